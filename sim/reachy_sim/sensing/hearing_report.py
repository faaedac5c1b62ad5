"""Command that measures hearing on synthesised beats and speech: a JSON, and a line for each figure.

Try it: .venv/bin/python -m reachy_sim.sensing.hearing_report --out runs/hearing
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_sim.domain import LATENCY
from reachy_sim.sensing.hearing_accuracy import (
    BeatAccuracy,
    DirectionAccuracy,
    Latency,
    measure_beats,
    measure_directions,
    measure_latency,
)
from reachy_sim.tasks.dance import PHASE_NOISE, TEMPO_NOISE
from reachy_sim.tasks.sound_orient import BEARING_NOISE


def main() -> None:
    """Measure direction, voice, beat and latency on sounds with known truth, beside the simulator's noise."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/hearing"), help="folder of the JSON")
    parser.add_argument("--sentences", type=int, default=12, help="from each direction, at least 1")
    parser.add_argument("--seed", type=int, default=0, help="of the sounds")
    options = parser.parse_args()
    if options.sentences < 1:
        parser.error("--sentences must be 1 or more")
    try:
        write_report(options.out, options.sentences, options.seed)
    except KitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")


def write_report(out: Path, sentences: int, seed: int) -> None:
    """Write the JSON, and print a line for each figure.

    Raises:
        KitError: no sentence can be spoken here.
    """
    rng = np.random.default_rng(seed)
    directions = measure_directions(rng, sentences)
    beats = measure_beats(rng)
    latency = measure_latency(rng)
    out.mkdir(parents=True, exist_ok=True)
    measured = {"directions": asdict(directions), "beats": [asdict(beat) for beat in beats], "latency": asdict(latency)}
    (out / "hearing.json").write_text(json.dumps({"seed": seed, **measured}, indent=2) + "\n")
    print(*summarize(directions, beats, latency), sep="\n")
    print(f"written: {out / 'hearing.json'}")


def summarize(directions: DirectionAccuracy, beats: list[BeatAccuracy], latency: Latency) -> list[str]:
    """Format a line for each figure, with the simulator's beside it."""
    octaves = [f"{beat.tempo} {beat.pattern}" for beat in beats if abs(beat.tempo_error) > 0.25]
    good = [beat for beat in beats if abs(beat.tempo_error) <= 0.25]
    bias, spread = (max(abs(getattr(beat, name)) for beat in good) for name in ("phase_bias", "phase_spread"))
    tempo_error = max(abs(beat.tempo_error) for beat in good)
    first, last = beats[0].tempo, beats[-1].tempo
    return [
        f"direction: bias {directions.bias:.1f}°, spread {directions.spread:.1f}°, 95 % within "
        f"{directions.worst_5_percent:.1f}° ({directions.directions} directions); simulator: "
        f"spread {np.rad2deg(BEARING_NOISE):.0f}°",
        f"voice: {100 * directions.voice_hit:.0f} % of speech heard, false alarms "
        f"{100 * directions.voice_false_alarm:.1f} %, {1000 * directions.voice_delay:.0f} ms after its begin; "
        f"simulator: {1000 * LATENCY:.0f} ms",
        f"beat, {first} to {last} per minute, {len(beats)} drum kits: an octave off: {', '.join(octaves) or 'none'}; "
        f"locked {np.nanmax([beat.locked_after for beat in beats]):.1f} s after the first beat at worst, "
        f"tracked {100 * min(beat.tracked for beat in beats):.0f} % of the time at worst",
        f"beat, at worst: tempo off by {100 * tempo_error:.1f} % (simulator {100 * TEMPO_NOISE:.0f} %), phase by "
        f"{bias:.3f} beats and {spread:.3f} around it (simulator {PHASE_NOISE:.3f} around it)",
        f"latency: onset {1000 * latency.onset:.0f} ms after a drum's attack; work {1000 * latency.work:.1f} ms for "
        f"20 ms of stereo sound, 99 % within {1000 * latency.work_worst:.1f} ms",
    ]


if __name__ == "__main__":
    main()
