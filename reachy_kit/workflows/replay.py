"""An episode of a dataset on a robot: its actions again, through the limiter.

In the simulator an episode of the same seed is the same episode: what differs is what the robot does differently.
Try it: reachy-kit replay data/look_at 0 --robot sim
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.behaviours.recorded_actions import ReplayPolicy
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import (
    ACTION_NAMES,
    ANGLE_AXES,
    CONTROL_HZ,
    POLICY_RATES,
    POSITION_AXES,
    Array,
    Episode,
    Step,
)
from reachy_kit.runtime.recording.schema import ACTION, OBS_LAST_ACTION, OBS_STATE, REQUESTED_ACTION, SEED
from reachy_kit.runtime.robots.loop_rate import late_warning
from reachy_kit.runtime.shell_command import compose_command
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.workflows.inputs.guarded_session import guard, stoppable_session
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import simulated_variant


@dataclass(frozen=True)
class Replay:
    """A replayed episode, compared with the recorded one."""

    dataset: Path
    episode: int
    robot: str
    result: Episode
    degrees: float
    """Largest difference between recorded and replayed angles at the same step, over head, body and antennas, °."""
    millimetres: float
    """Largest difference between recorded and replayed positions of the head at the same step, mm."""
    axis: str
    """Name of the angle that differs most."""


def replay(
    dataset: Path, episode: int, *, robot: str = "daemon", speed: float = 1.0, reporter: Reporter = SILENT
) -> Replay:
    """Repeat a recorded episode on a robot; it goes to the episode's start first and lies down at the end.

    Args:
        dataset: folder of the dataset.
        episode: its index.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        speed: factor; below 1 the motion is slower than it was recorded.
        reporter: shows the progress.

    Raises:
        WrongUseError: there is no such episode, or the task of a simulated robot is not known.
        RefusedError: the dataset is damaged, or of another robot.
        NoRobotError: no robot answers.
        KitError: a watchdog has ended the episode.
    """
    if not 0.1 <= speed <= 2.0:
        raise WrongUseError(f"--speed {speed:g} does not fit; it is a factor from 0.1 to 2")
    recorded = _read_episode(dataset, episode)
    variant = simulated_variant(robot, recorded.task, recorded.variant)
    hz = recorded.hz * speed
    policy_hz = int(hz) if hz in POLICY_RATES else CONTROL_HZ
    # At another speed the limiter would cut other corners: what it applied then is the way to follow.
    policy = ReplayPolicy(recorded.requests if speed == 1.0 else recorded.actions, hz, policy_hz)
    states_replayed = _States()
    with (
        stoppable_session(
            robot, variant, "geometry" if variant else "auto", camera=False, reporter=reporter
        ) as session,
        reporter.progress(f"episode {episode} on {session.robot.name}", total=policy.steps) as advance,
    ):
        states_replayed.advance = advance
        guarded = guard(policy, session, reporter.note, resumes=False)
        result = guarded_rollout(
            session.robot,
            guarded,
            seconds=policy.steps / policy_hz,
            policy_hz=policy_hz,
            seed=recorded.seed,
            perception=session.perception if session.world else None,
            world=session.world,
            start=recorded.start,
            subscribers=[states_replayed],
        )
        guarded.raise_trouble("The episode was cut short: replay it again")
    if warning := late_warning([result]):
        reporter.note(f"warning: {warning}")
    difference = np.abs(_resampled(np.array(states_replayed.states), len(recorded.states)) - recorded.states)
    angles = difference[:, ANGLE_AXES].max(axis=0)
    return Replay(
        dataset,
        episode,
        robot,
        result,
        degrees=float(np.rad2deg(angles.max())),
        millimetres=float(1000 * difference[:, POSITION_AXES].max()),
        axis=ACTION_NAMES[ANGLE_AXES][int(angles.argmax())],
    )


class _States:
    """A rollout's subscriber that keeps the measured states."""

    def __init__(self) -> None:
        self.states: list[Array] = []
        self.advance: Callable[[], None] = lambda: None

    def on_episode_start(self, seed: int) -> None:
        """Begin without states."""
        self.states = []

    def on_step(self, step: Step) -> None:
        """Keep the (9,) state in which the step was decided."""
        self.states.append(step.observation.state)
        self.advance()

    def on_episode_end(self, episode: Episode) -> None:
        """Do nothing."""


def _resampled(states: Array, count: int) -> Array:
    """(T, 9) → (count, 9): states at the steps of an episode of another rate."""
    if len(states) == count:
        return states
    at = np.linspace(0, len(states) - 1, count)
    return np.stack([np.interp(at, np.arange(len(states)), column) for column in states.T], axis=-1)


@dataclass(frozen=True)
class _RecordedEpisode:
    """What a recording says about an episode."""

    actions: Array
    """(T, 9) applied targets."""
    requests: Array
    """(T, 9) targets before the limiter, which treats them as it did then; the applied ones where only those are
    recorded."""
    states: Array
    """(T, 9) measured."""
    start: Array
    """(9,) action in force before the first."""
    seed: int
    task: str
    variant: str
    hz: int
    """Decisions per second."""


def _read_episode(dataset: Path, episode: int) -> _RecordedEpisode:
    stored = open_for_reading(dataset)
    layout = stored.layout
    if layout.action != ACTION_NAMES:
        raise RefusedError(f"{dataset} holds the actions {', '.join(layout.action)}: they are another robot's")
    if not 0 <= episode < len(stored.episodes):
        last = len(stored.episodes) - 1
        held = f"0 to {last}: {compose_command('replay', dataset, last)}" if last >= 0 else "none"
        raise WrongUseError(f"{dataset} has no episode {episode}; it has {held}")
    entry = stored.episodes[episode]
    columns = {key: values.astype(np.float64) for key, values in stored.read(entry.table)[episode].items()}
    requests = columns[ACTION]
    if stored.has_column(REQUESTED_ACTION):
        requests = stored.read(entry.table, REQUESTED_ACTION)[episode][REQUESTED_ACTION].astype(np.float64)
    return _RecordedEpisode(
        columns[ACTION],
        requests,
        columns[OBS_STATE],
        columns[OBS_LAST_ACTION][0],
        int(stored.read(entry.table, SEED)[episode][SEED][0]),
        layout.task,
        layout.provenance.get("variant", "training"),
        layout.policy_hz,
    )
