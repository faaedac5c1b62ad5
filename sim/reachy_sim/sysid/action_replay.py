"""Replay of one action sequence on a robot: simulated, behind the daemon, or real."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reachy_kit.runtime.interface import ANTENNA_REST, CONTROL_HZ, Array, Robot
from reachy_sim.robot import SimRobot, SimRobotConfig


def action_sequence(seconds: float = 20.0, seed: int = 0) -> Array:
    """Build a sequence of targets: slow swings on every axis, and a jump of the gaze every two seconds.

    Args:
        seconds: length, s.
        seed: of the swings and the jumps.

    Returns:
        (ticks, 9) m and rad at 50 Hz.
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
class ActionReplay:
    """States of a robot that carried out a sequence of targets."""

    name: str
    times: Array
    """(ticks,) s on the robot's clock since the first command."""
    states: Array
    """(ticks, 9) measured."""


def replay_actions(robot: Robot, sequence: Array, name: str = "") -> ActionReplay:
    """Send a (ticks, 9) sequence of targets to a connected robot, which starts at the sequence's first pose."""
    robot.reset(sequence[0])
    times, states = [], []
    began = robot.get_observation().capture_time
    for target in sequence:
        robot.send_action(target)
        robot.wait_next_tick()
        observation = robot.get_observation()
        times.append(observation.capture_time - began)
        states.append(observation.state)
    return ActionReplay(name or robot.name, np.array(times), np.array(states))


def replay_simulated(name: str, sequence: Array, **config: Any) -> ActionReplay:
    """Replay a sequence on a simulated robot; ``config`` are fields of ``SimRobotConfig``."""
    robot = SimRobot(SimRobotConfig(**config))
    robot.connect()
    return replay_actions(robot, sequence, name)


@contextlib.contextmanager
def daemon_robot() -> Iterator[Robot]:
    """Start the robot's own daemon with its simulated robot, and connect to it."""
    from reachy_kit.runtime.robots.daemon import simulated_daemon
    from reachy_kit.runtime.robots.lifecycle import connected
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

    with simulated_daemon() as address, connected(SdkRobot(SdkRobotConfig(address.host, address.port))) as robot:
        yield robot
