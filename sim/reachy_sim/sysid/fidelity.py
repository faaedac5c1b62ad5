"""Fidelity: differences of two robots on the same action sequence, simulator against daemon, tier against tier.

Try it: .venv/bin/python -m reachy_sim.sysid.fidelity --daemon --out runs/fidelity
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reachy_kit.runtime.geometry import rotation_from_euler
from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.sysid.action_replay import (
    ActionReplay,
    action_sequence,
    daemon_robot,
    replay_actions,
    replay_simulated,
)
from reachy_sim.sysid.fidelity_plot import plot_replays

MAX_LAG = 0.2
"""Largest lag that is searched, s."""
_STEP = 0.002
"""Step of the search, s."""


@dataclass(frozen=True)
class Fidelity:
    """Differences of a robot from a reference."""

    name: str
    lag: float
    """Time by which it follows the reference, s; compensated in the other figures."""
    angle: float
    """Mean angle between the two heads, rad."""
    worst_angle: float
    """99th percentile of that angle, rad."""
    distance: float
    """Mean distance between the two heads' origins, m."""
    angle_with_lag: float
    """Mean angle without compensation of the lag, rad."""

    def format(self) -> str:
        """Format a line of the report."""
        return (
            f"{self.name:>24}  lag {1e3 * self.lag:+5.0f} ms  head {np.rad2deg(self.angle):.2f}° mean, "
            f"{np.rad2deg(self.worst_angle):.2f}° p99, {1e3 * self.distance:.2f} mm; lag left in "
            f"{np.rad2deg(self.angle_with_lag):.2f}°"
        )


def compare(reference: ActionReplay, other: ActionReplay) -> Fidelity:
    """Compare two replays on their clocks, which may tick unevenly: both are read at the reference's instants."""
    shifts = np.arange(-MAX_LAG, MAX_LAG + _STEP / 2, _STEP)
    angles = [head_angle(reference, other, shift).mean() for shift in shifts.tolist()]
    best = float(shifts[int(np.argmin(angles))])
    angle = head_angle(reference, other, best)
    offsets = _at(other, reference.times + best)[:, :3] - reference.states[:, :3]
    return Fidelity(
        other.name,
        best,
        float(angle.mean()),
        float(np.percentile(angle, 99)),
        float(np.linalg.norm(offsets, axis=-1).mean()),
        float(head_angle(reference, other, 0.0).mean()),
    )


def head_angle(reference: ActionReplay, other: ActionReplay, shift: float) -> Array:
    """Angle between the heads, (ticks,) rad, with the other replay read ``shift`` s later."""
    first = rotation_from_euler(reference.states[:, 3:6])
    second = rotation_from_euler(_at(other, reference.times + shift)[:, 3:6])
    cosine = (np.sum(first * second, axis=(-2, -1)) - 1) / 2
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _at(run: ActionReplay, times: Array) -> Array:
    return np.stack([np.interp(times, run.times, run.states[:, axis]) for axis in range(9)], axis=-1)


SHORTEST = 2.0
"""Length of the shortest sequence, s."""


def main() -> None:
    """Replay one action sequence on tiers, settings and the daemon; print a table and plot the first seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/fidelity"), help="folder of the table and the plot")
    parser.add_argument("--daemon", action="store_true", help="compare with the robot's own daemon too")
    parser.add_argument("--actuators", type=Path, help="a JSON of sysid, as an additional robot; needs --daemon")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the sequence")
    options = parser.parse_args()
    if not options.seconds >= SHORTEST:
        parser.error(f"--seconds must be {SHORTEST} or more")
    if options.actuators and not options.daemon:
        parser.error("--actuators is compared with the daemon: give --daemon too")
    write_fidelity(options.out, options.seconds, options.daemon, options.actuators)


def write_fidelity(out: Path, seconds: float, daemon: bool, actuators: Path | None) -> None:
    """Write the table and the plot, and print the table."""
    sequence = action_sequence(seconds)
    physics = replay_simulated("physics", sequence)
    runs = [replay_simulated("kinematic", sequence, tier="kinematic")]
    runs += [replay_simulated(f"physics, {name}", sequence, physics=name) for name in ("fast", "coarse")]
    fidelities = [compare(physics, run) for run in runs]
    shown = [physics, runs[0]]
    if daemon:
        with daemon_robot() as robot:
            real = replay_actions(robot, sequence, "daemon")
        fidelities.append(compare(physics, real))
        shown.append(real)
        if actuators:
            fitted = replay_simulated("physics as identified", sequence, actuators=Actuators.load(actuators))
            fidelities.append(compare(real, fitted))
    out.mkdir(parents=True, exist_ok=True)
    (out / "fidelity.json").write_text(json.dumps([vars(fidelity) for fidelity in fidelities], indent=2))
    (out / "fidelity.png").write_bytes(plot_replays(sequence, shown))
    for fidelity in fidelities:
        print(fidelity.format())
    print(f"plot: {out / 'fidelity.png'}")


if __name__ == "__main__":
    main()
