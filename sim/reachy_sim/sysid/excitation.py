"""What shakes a robot gently enough for a classroom, and thoroughly enough to identify its motors; and what it did.

Chirps say how a joint follows slow and quick motion, steps how late it starts and how fast it can go. Body and antennas
come first, then the head one axis after another: each of them moves all six legs. All of it passes the limiter.
Try it: reachy-kit sysid --robot sim --out runs/sysid
"""

import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import (
    ANTENNAS,
    BODY_YAW,
    CONTROL_HZ,
    NEUTRAL,
    YAW,
    Action,
    Array,
    Episode,
    Observation,
    Robot,
    Step,
)
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile
from reachy_sim.dynamics.joints import joint_targets

RIGHT, LEFT = range(ANTENNAS.start, ANTENNAS.stop)
STALL = 0.05
"""s between ticks, or between measurements, above which somebody was held up: two and a half ticks."""
_RECOVERY = 0.25
"""s after which a joint no longer shows that its commands came late."""
HEAD_AXES = (3, 4, 5, 2, 0, 1)
"""The rotations first: should somebody stop early, they have moved the legs furthest."""


@dataclass(frozen=True)
class ExcitationConfig:
    """How far, how fast and how long."""

    lowest: float = 0.2
    """Hz at which a chirp begins."""
    highest: float = 4.0
    """Hz at which it ends: twice the bandwidth that an XL330 under load is said to have."""
    body_seconds: float = 7.0
    """s of chirp for the body, and at the same time for the antennas."""
    head_seconds: float = 2.8
    """s of chirp for each of the head's six axes."""
    hold: float = 0.5
    """s that each step is held; the slowest joint we mean to find (1.5 Hz) has then gone 95 % of the way."""
    chirp: tuple[float, ...] = (0.01, 0.01, 0.012, 0.2, 0.2, 0.25, 0.5, 0.6, 0.6)
    """m or rad, amplitudes in the order of ``ACTION_NAMES``. Quick parts shrink to what the limits allow."""
    step: tuple[float, ...] = (0.012, 0.012, 0.015, 0.25, 0.3, 0.4, 0.5, 0.8, 0.8)
    """m or rad, up and down from neutral."""
    share: float = 0.7
    """Of the limiter's speed and acceleration that chirps use. Steps take all of it: they look for the rate limit."""


def excitation(config: ExcitationConfig | None = None, profile: LimitsProfile = CLASSROOM) -> Array:
    """The targets to ask for.

    Args:
        config: how far, how fast and how long.
        profile: the limits that chirps stay within.

    Returns:
        (T, 9) targets at 50 Hz, m and rad in the base frame; starts and ends at neutral.
    """
    config = config or ExcitationConfig()
    hold = np.zeros((round(config.hold * CONTROL_HZ), len(NEUTRAL)))
    body = np.zeros((round(config.body_seconds * CONTROL_HZ), len(NEUTRAL)))
    for axis in (BODY_YAW, RIGHT, LEFT):
        body[:, axis] = _chirp(axis, len(body), config, profile)
    body[:, LEFT] = body[::-1, LEFT]  # against the right one, so that neither can pass for the other
    parts = [hold, body, *_steps((BODY_YAW, RIGHT, LEFT), hold, config)]
    for axis in HEAD_AXES:
        sweep = np.zeros((round(config.head_seconds * CONTROL_HZ), len(NEUTRAL)))
        sweep[:, axis] = _chirp(axis, len(sweep), config, profile)
        parts += [sweep, *_steps((axis,), hold, config)]
    targets = np.concatenate([*parts, hold])
    # The head rides on the body: else the legs would turn against it, out of their reach.
    targets[:, YAW] += targets[:, BODY_YAW]
    return np.asarray(NEUTRAL + targets)


def _chirp(axis: int, ticks: int, config: ExcitationConfig, profile: LimitsProfile) -> Array:
    """(ticks,) logarithmic sweep that shrinks where the limiter would bend it."""
    elapsed = np.arange(ticks) / CONTROL_HZ
    growth = np.log(config.highest / config.lowest) / (ticks / CONTROL_HZ)
    frequency = config.lowest * np.exp(growth * elapsed)
    phase = 2 * np.pi * config.lowest * np.expm1(growth * elapsed) / growth
    omega = 2 * np.pi * frequency
    amplitude = np.minimum(
        config.share * profile.speed[axis] / omega, config.share * profile.acceleration[axis] / omega**2
    )
    return np.asarray(np.minimum(config.chirp[axis], amplitude) * np.sin(phase))


def _steps(axes: tuple[int, ...], hold: Array, config: ExcitationConfig) -> list[Array]:
    """Up, down and home; the right antenna against the left."""
    up = hold.copy()
    for axis in axes:
        up[:, axis] = config.step[axis] * (-1 if axis == LEFT else 1)
    return [up, -up, hold]


@dataclass(frozen=True)
class Recording:
    """What the nine joints were told and where they were, on the robot's own clock."""

    sent: Array
    """(T,) s, when each command was sent."""
    commands: Array
    """(T, 9) rad, in the order of ``JOINTS``, as applied by the limiter."""
    captured: Array
    """(M,) s, when each measurement was made; rising."""
    measured: Array
    """(M, 9) rad."""

    @property
    def stalled(self) -> float:
        """Share of the time that was lost to stalls: this computer, the network or the robot was busy."""
        length = self.sent[-1] - self.sent[0]
        lost = [np.maximum(np.diff(times) - STALL, 0.0).sum() for times in (self.sent, self.captured)]
        return float(max(lost) / length) if length > 0 else 0.0

    @property
    def steady(self) -> npt.NDArray[np.bool_]:
        """(M,) measurements that no stall came shortly before."""
        ends = np.concatenate([times[1:][np.diff(times) > STALL] for times in (self.sent, self.captured)])
        starts = np.concatenate([times[:-1][np.diff(times) > STALL] for times in (self.sent, self.captured)])
        late = (self.captured[:, None] >= starts) & (self.captured[:, None] < ends + _RECOVERY)
        return np.asarray(~late.any(axis=1))

    def save(self, path: Path) -> None:
        """Write the four arrays as .npz."""
        np.savez_compressed(path, allow_pickle=False, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """What ``save`` wrote.

        Raises:
            RefusedError: the file is none of ours.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{name: np.asarray(stored[name], dtype=np.float64) for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RefusedError(f"{path} is no recording of reachy-kit sysid ({error})") from error


def record(robot: Robot, targets: Array, *, wall_clock: bool, on_tick: Callable[[], None] = lambda: None) -> Recording:
    """Ask a robot for targets tick by tick, and keep what came of it.

    Args:
        robot: connected; it walks to neutral first.
        targets: (T, 9) at the robot's control rate.
        wall_clock: whether the robot's clock is this computer's monotonic one; else commands are sent when the
            measurement before them was made, as in simulation.
        on_tick: told of each.
    """
    listener = _Listener(targets, wall_clock, on_tick)
    seconds = len(targets) / robot.control_hz
    rollout(robot, listener, seconds=seconds, policy_hz=robot.control_hz, subscribers=[listener])
    listener.seen.append(robot.get_observation())
    captured = np.array([seen.capture_time for seen in listener.seen])
    measured = joint_targets(np.array([seen.state for seen in listener.seen]))
    # A daemon slower than we are is seen twice; a pose beyond the legs' reach is a glitch of the measurement.
    fresh = (np.diff(captured, prepend=-np.inf) > 0) & np.isfinite(measured).all(axis=-1)
    return Recording(
        np.array(listener.sent), joint_targets(np.array(listener.applied)), captured[fresh], measured[fresh]
    )


class _Listener:
    """Policy and subscriber of the one control loop: asks for the targets in turn, and remembers."""

    def __init__(self, targets: Array, wall_clock: bool, on_tick: Callable[[], None]) -> None:
        self._targets, self._wall_clock, self._on_tick = targets, wall_clock, on_tick
        self.sent: list[float] = []
        self.seen: list[Observation] = []
        self.applied: list[Action] = []

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Action:
        """The target whose turn it is; the rollout sends it at once."""
        self.sent.append(time.monotonic() if self._wall_clock else observation.capture_time)
        return np.asarray(self._targets[len(self.sent) - 1])

    def on_episode_start(self, seed: int) -> None:
        """Nothing to prepare."""

    def on_step(self, step: Step) -> None:
        """Remember it."""
        self.seen.append(step.observation)
        self.applied.append(step.action)
        self._on_tick()

    def on_episode_end(self, episode: Episode) -> None:
        """Nothing to tidy up."""
