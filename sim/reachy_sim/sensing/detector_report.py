"""Command that measures a target's detector on rendered frames: a JSON of the fitted noise, and a plot.

Try it: .venv/bin/python -m reachy_sim.sensing.detector_report --out runs/detector
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_sim.sensing.detector_noise import Estimate, NoiseFit, fit_noise
from reachy_sim.sensing.detector_plot import plot_errors
from reachy_sim.sensing.sightings import render_sightings

FEWEST_FRAMES = 50


def main() -> None:
    """Measure the detector's errors on rendered frames and fit the simulator's noise model to them."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/detector"), help="folder of the JSON and the plot")
    parser.add_argument("--frames", type=int, default=4000, help=f"how many to render, at least {FEWEST_FRAMES}")
    parser.add_argument("--seed", type=int, default=0, help="of the views")
    parser.add_argument("--target", metavar="NAME[:ARGUMENT]", default=BALL, help="what is looked for")
    options = parser.parse_args()
    if options.frames < FEWEST_FRAMES:
        parser.error(f"--frames must be {FEWEST_FRAMES} or more")
    try:
        write_report(options.out, options.frames, options.seed, options.target)
    except KitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")


def write_report(out: Path, frames: int, seed: int, target: str) -> None:
    """Write the JSON and the plot, and print a line for each number.

    Raises:
        KitError: the target does not exist, or nothing can be drawn here.
    """
    sightings = render_sightings(frames, seed, target)
    fitted = fit_noise(sightings)
    out.mkdir(parents=True, exist_ok=True)
    assert sightings.seconds is not None
    median, slowest = np.quantile(1e3 * sightings.seconds, [0.5, 0.99])
    times = {"median_ms": round(float(median), 2), "p99_ms": round(float(slowest), 2)}
    (out / "detector.json").write_text(
        json.dumps({"target": target, "seed": seed, **times, **asdict(fitted)}, indent=2) + "\n"
    )
    plot_errors(sightings, fitted, out / "detector.png", target)
    print(*summarize(fitted), sep="\n")
    print(f"{'computing per frame':<22} {median:7.3f} ms  99 %: {slowest:.3f} ms")
    print(f"written: {out / 'detector.json'} and {out / 'detector.png'}; next: sim/reachy_sim/sensing_noise.py")


def summarize(fitted: NoiseFit) -> list[str]:
    """Format a line for each number, in degrees and percent."""

    def text(name: str, estimate: Estimate, scale: float, unit: str) -> str:
        value, low, high = (scale * number for number in (estimate.value, estimate.low, estimate.high))
        return f"{name:<22} {value:7.3f} {unit}   [{low:.3f}, {high:.3f}]"

    degrees = float(np.rad2deg(1))
    return [
        text("bearing right, bias", fitted.bias[0], degrees, "°"),
        text("bearing below, bias", fitted.bias[1], degrees, "°"),
        text("bearing right, spread", fitted.deviation[0], degrees, "°"),
        text("  without stretch", fitted.remainder[0], degrees, "°"),
        text("bearing below, spread", fitted.deviation[1], degrees, "°"),
        text("  without stretch", fitted.remainder[1], degrees, "°"),
        text("stretch", fitted.stretch, 1, " "),
        text("size, bias", fitted.size_bias, 100, "%"),
        text("size, spread", fitted.size_deviation, 100, "%"),
        text("whole targets missed", fitted.missed, 100, "%"),
        f"{'border':<22} {fitted.border:7.3f} half-widths inside the frame",
    ]


if __name__ == "__main__":
    main()
