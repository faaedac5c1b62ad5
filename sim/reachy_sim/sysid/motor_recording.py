"""Recording of a robot's motors: the commands sent and the joints measured, on the robot's own clock."""

import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import Action, Array, Episode, Observation, Policy, Robot, Step
from reachy_kit.runtime.shell_command import compose_command
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_sim.dynamics.joints import joint_targets

STALL = 0.05
"""Time between ticks, or between measurements, that counts as a stall, s: two and a half ticks."""
_RECOVERY = 0.25
"""Time after which a joint no longer shows that its commands came late, s."""


@dataclass(frozen=True)
class MotorRecording:
    """Commands and measurements of the nine joints, on the robot's own clock."""

    sent: Array
    """(T,) s, time at which each command was sent."""
    commands: Array
    """(T, 9) rad, in the order of ``JOINTS``, as applied by the limiter."""
    captured: Array
    """(M,) s, time of each measurement; rising."""
    measured: Array
    """(M, 9) rad."""

    @property
    def stalled(self) -> float:
        """Share of the time lost to stalls, in which this computer, the network or the robot was busy."""
        length = self.sent[-1] - self.sent[0]
        lost = [np.maximum(np.diff(times) - STALL, 0.0).sum() for times in (self.sent, self.captured)]
        return float(max(lost) / length) if length > 0 else 0.0

    @property
    def steady(self) -> npt.NDArray[np.bool_]:
        """Mask (M,) of the measurements that no stall precedes closely."""
        ends = np.concatenate([times[1:][np.diff(times) > STALL] for times in (self.sent, self.captured)])
        starts = np.concatenate([times[:-1][np.diff(times) > STALL] for times in (self.sent, self.captured)])
        late = (self.captured[:, None] >= starts) & (self.captured[:, None] < ends + _RECOVERY)
        return np.asarray(~late.any(axis=1))

    def save(self, path: Path) -> None:
        """Write the four arrays as .npz."""
        np.savez_compressed(path, allow_pickle=False, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> "MotorRecording":
        """Read what ``save`` wrote.

        Raises:
            RefusedError: the file is not a recording of ``reachy-kit sysid``.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{name: np.asarray(stored[name], dtype=np.float64) for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RefusedError(
                f"{path} is not a recording of sysid ({error}). Record it again: "
                + compose_command("sysid", robot="HOST", out=path.parent)
            ) from error


def record_motors(
    robot: Robot,
    targets: Array,
    *,
    wall_clock: bool,
    guard: Callable[[Policy], GuardedPolicy] = lambda policy: GuardedPolicy(policy, []),
    on_tick: Callable[[], None] = lambda: None,
) -> MotorRecording:
    """Send targets to a robot tick by tick, and record commands and measurements.

    Args:
        robot: connected; it moves to neutral first.
        targets: (T, 9) at the robot's control rate.
        wall_clock: whether the robot's clock is this computer's monotonic clock; otherwise a command counts as sent at
            the time of the measurement before it, as in simulation.
        guard: puts what drives under the robot's watchdogs.
        on_tick: called after each tick.

    Raises:
        KitError: a watchdog has ended the motion.
    """
    recorder = _MotorRecorder(targets, wall_clock, on_tick)
    seconds = len(targets) / robot.control_hz
    guarded = guard(recorder)
    guarded_rollout(robot, guarded, seconds=seconds, policy_hz=robot.control_hz, subscribers=[recorder])
    guarded.raise_trouble("Measure again")
    recorder.observations.append(robot.get_observation())
    captured = np.array([observation.capture_time for observation in recorder.observations])
    measured = joint_targets(np.array([observation.state for observation in recorder.observations]))
    # A measurement of a slower daemon can be read twice; a pose beyond the legs' reach is a glitch.
    fresh = (np.diff(captured, prepend=-np.inf) > 0) & np.isfinite(measured).all(axis=-1)
    return MotorRecording(
        np.array(recorder.sent), joint_targets(np.array(recorder.applied)), captured[fresh], measured[fresh]
    )


class _MotorRecorder:
    """Policy and subscriber of the control loop: returns the targets in turn, and records every step."""

    def __init__(self, targets: Array, wall_clock: bool, on_tick: Callable[[], None]) -> None:
        self._targets, self._wall_clock, self._on_tick = targets, wall_clock, on_tick
        self.sent: list[float] = []
        self.observations: list[Observation] = []
        self.applied: list[Action] = []

    def reset(self) -> None:
        """Do nothing: the targets continue."""

    def act(self, observation: Observation) -> Action:
        """Return the next target; the rollout sends it at once."""
        self.sent.append(time.monotonic() if self._wall_clock else observation.capture_time)
        return np.asarray(self._targets[len(self.sent) - 1])

    def on_episode_start(self, seed: int) -> None:
        """Do nothing."""

    def on_step(self, step: Step) -> None:
        """Record the step."""
        self.observations.append(step.observation)
        self.applied.append(step.action)
        self._on_tick()

    def on_episode_end(self, episode: Episode) -> None:
        """Do nothing."""
