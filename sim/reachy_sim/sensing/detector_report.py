"""Command that measures a target's detector on rendered frames: a JSON of the fitted noise, and a plot.

Try it: .venv/bin/python -m reachy_sim.sensing.detector_report --out runs/detector
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_sim.sensing.detector_noise import Estimate, NoiseFit, fit_noise
from reachy_sim.sensing.detector_plot import plot_errors
from reachy_sim.sensing.sightings import render_sightings


def main(
    out: Annotated[Path, typer.Option(help="Folder for detector.json and detector.png.")] = Path("runs/detector"),
    frames: Annotated[int, typer.Option(min=50, help="How many frames to render.")] = 4000,
    seed: int = 0,
    target: Annotated[str, typer.Option(metavar="NAME[:ARGUMENT]", help="What is looked for.")] = BALL,
) -> None:
    """Measure the detector's errors on rendered frames and fit the simulator's noise model to them."""
    try:
        sightings = render_sightings(frames, seed, target, progress=True)
        fitted = fit_noise(sightings)
    except KitError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from error
    out.mkdir(parents=True, exist_ok=True)
    assert sightings.seconds is not None
    median, slowest = np.quantile(1e3 * sightings.seconds, [0.5, 0.99])
    times = {"median_ms": round(float(median), 2), "p99_ms": round(float(slowest), 2)}
    (out / "detector.json").write_text(
        json.dumps({"target": target, "seed": seed, **times, **asdict(fitted)}, indent=2) + "\n"
    )
    plot_errors(sightings, fitted, out / "detector.png", target)
    for line in summarize(fitted):
        typer.echo(line)
    typer.echo(f"{'computing per frame':<22} {median:7.3f} ms  99 %: {slowest:.3f} ms")
    typer.echo(f"written: {out / 'detector.json'} and {out / 'detector.png'}; next: sim/reachy_sim/sensing_noise.py")


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
    typer.run(main)
