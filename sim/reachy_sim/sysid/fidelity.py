"""How far two robots go apart when they are told the same: simulator against daemon, tier against tier.

Try it: .venv/bin/python -m reachy_sim.sysid.fidelity --daemon --out runs/fidelity
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from reachy_kit.runtime.geometry import rotation_from_euler
from reachy_kit.runtime.interface import ANTENNA_REST, CONTROL_HZ, Array, Robot
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.robot import SimRobot, SimRobotConfig

MAX_LAG = 0.2
"""s, the largest lag that is looked for."""
_STEP = 0.002
"""s between the lags that are tried."""


def action_sequence(seconds: float = 20.0, seed: int = 0) -> Array:
    """(ticks, 9) targets: slow swings on every axis, and a jump of the gaze every two seconds.

    Args:
        seconds: length.
        seed: of the swings and the jumps.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * CONTROL_HZ)) / CONTROL_HZ
    reach = np.array([0.004, 0.004, 0.006, 0.08, 0.12, 0.3, 0.3, 0.5, 0.5])
    sequence = np.zeros((len(time), 9))
    for frequency in (0.11, 0.23, 0.47, 0.9):
        phase = rng.uniform(0, 2 * np.pi, 9)
        sequence += reach / 4 * (np.sin(2 * np.pi * frequency * time[:, None] + phase) - np.sin(phase))
    jumps = rng.uniform(-1, 1, (len(time) // (2 * CONTROL_HZ) + 1, 2)) * (0.12, 0.3)
    sequence[:, [4, 5]] += jumps[np.arange(len(time)) // (2 * CONTROL_HZ)]
    sequence[:, 7:] += ANTENNA_REST
    return sequence


@dataclass(frozen=True)
class Replay:
    """What a robot did."""

    name: str
    times: Array
    """(ticks,) s of its clock since the first command."""
    states: Array
    """(ticks, 9) measured."""


def replay(robot: Robot, sequence: Array, name: str = "") -> Replay:
    """Tell a connected robot a (ticks, 9) sequence, from the sequence's first pose on."""
    robot.reset(sequence[0])
    times, states = [], []
    began = robot.get_observation().capture_time
    for target in sequence:
        robot.send_action(target)
        robot.wait_next_tick()
        seen = robot.get_observation()
        times.append(seen.capture_time - began)
        states.append(seen.state)
    return Replay(name or robot.name, np.array(times), np.array(states))


@dataclass(frozen=True)
class Fidelity:
    """How a robot differs from a reference."""

    name: str
    lag: float
    """s that it comes after the reference; taken out of the rest."""
    angle: float
    """rad, mean angle between the two heads."""
    worst_angle: float
    """rad, 99th percentile."""
    distance: float
    """m, mean distance between the two heads' origins."""
    angle_with_lag: float
    """rad, mean angle with the lag left in."""

    def row(self) -> str:
        """One line for people."""
        return (
            f"{self.name:>24}  lag {1e3 * self.lag:+5.0f} ms  head {np.rad2deg(self.angle):.2f}° mean, "
            f"{np.rad2deg(self.worst_angle):.2f}° p99, {1e3 * self.distance:.2f} mm; lag left in "
            f"{np.rad2deg(self.angle_with_lag):.2f}°"
        )


def compare(reference: Replay, other: Replay) -> Fidelity:
    """Difference on the two clocks, which may tick unevenly: both are read at the reference's instants."""
    shifts = np.arange(-MAX_LAG, MAX_LAG + _STEP / 2, _STEP)
    angles = [head_angle(reference, other, shift).mean() for shift in shifts]
    best = float(shifts[int(np.argmin(angles))])
    apart = head_angle(reference, other, best)
    places = _at(other, reference.times + best)[:, :3] - reference.states[:, :3]
    return Fidelity(
        other.name,
        best,
        float(apart.mean()),
        float(np.percentile(apart, 99)),
        float(np.linalg.norm(places, axis=-1).mean()),
        float(head_angle(reference, other, 0.0).mean()),
    )


def head_angle(reference: Replay, other: Replay, shift: float) -> Array:
    """(ticks,) rad between the heads, the other one read ``shift`` s later."""
    one = rotation_from_euler(reference.states[:, 3:6])
    two = rotation_from_euler(_at(other, reference.times + shift)[:, 3:6])
    cosine = (np.sum(one * two, axis=(-2, -1)) - 1) / 2
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def _at(run: Replay, times: Array) -> Array:
    return np.stack([np.interp(times, run.times, run.states[:, axis]) for axis in range(9)], axis=-1)


def simulated(name: str, sequence: Array, **config: object) -> Replay:
    """The sequence on a simulated robot of some configuration."""
    robot = SimRobot(SimRobotConfig(**config))  # type: ignore[arg-type]
    robot.connect()
    return replay(robot, sequence, name)


@contextlib.contextmanager
def daemon_robot() -> Iterator[Robot]:
    """A simulated robot behind its own daemon."""
    from reachy_kit.runtime.robots.daemon import simulated_daemon
    from reachy_kit.runtime.robots.lifecycle import connected
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

    with simulated_daemon() as address, connected(SdkRobot(SdkRobotConfig(address.host, address.port))) as robot:
        yield robot


def main(
    out: Annotated[Path, typer.Option("--out", help="Folder for the table and the plot.")] = Path("runs/fidelity"),
    daemon: Annotated[bool, typer.Option("--daemon", help="Compare with the robot's own daemon too.")] = False,
    actuators: Annotated[Path | None, typer.Option("--actuators", help="A JSON of sysid, as one more robot.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=2.0, help="Length of the sequence.")] = 20.0,
) -> None:
    """Replay one action sequence on tiers, settings and the daemon; a table, and a plot of the first seconds.

    Example: python -m reachy_sim.sysid.fidelity --daemon --out runs/fidelity
    """
    from reachy_sim.sysid.sysid_plots import replays

    sequence = action_sequence(seconds)
    physics = simulated("physics", sequence)
    runs = [simulated("kinematic", sequence, tier="kinematic")]
    runs += [simulated(f"physics, {name}", sequence, physics=name) for name in ("fast", "coarse")]
    found = [compare(physics, run) for run in runs]
    shown = [physics, runs[0]]
    if daemon:
        with daemon_robot() as robot:
            real = replay(robot, sequence, "daemon")
        found.append(compare(physics, real))
        shown.append(real)
        if actuators:
            fitted = simulated("physics as identified", sequence, actuators=Actuators.load(actuators))
            found.append(compare(real, fitted))
    out.mkdir(parents=True, exist_ok=True)
    (out / "fidelity.json").write_text(json.dumps([vars(one) for one in found], indent=2))
    (out / "fidelity.png").write_bytes(replays(sequence, shown))
    for one in found:
        typer.echo(one.row())
    typer.echo(f"plot: {out / 'fidelity.png'}")


if __name__ == "__main__":
    typer.run(main)
