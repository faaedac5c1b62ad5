"""A bundle or behaviours on a robot. Loads onnxruntime; never torch or LeRobot, and MuJoCo only to simulate.

Try it: reachy-kit run look_at.bundle --robot sim
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reachy_kit.runtime.inference.background_policy import InferenceSummary
from reachy_kit.runtime.interface import EndReason, Episode, Subscriber, TaskError, Tick
from reachy_kit.runtime.interrupts import ending_on_signals
from reachy_kit.runtime.perception.targets.camera_perception import FROZEN, DetectionSummary, summarize_detection
from reachy_kit.runtime.robots.calmness import Calmness, CalmnessMeter
from reachy_kit.runtime.robots.loop_rate import LoopRate, late_warning, measure_rate
from reachy_kit.runtime.robots.speaking.speaker import Speaker
from reachy_kit.runtime.robots.speaking.tones import Cue
from reachy_kit.runtime.telemetry.publishing import publishing
from reachy_kit.runtime.telemetry.run_meter import RunMeter
from reachy_kit.runtime.teleop.terminal_keys import HOW_TO_STOP, TerminalKeys, stop_keys
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.workflows.driving.run_plan import RunPlan, RunSettings, plan_run
from reachy_kit.workflows.inputs.drivers import HandOverCount, OpenDrivers, read_drivers
from reachy_kit.workflows.inputs.guarded_session import guard
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import Session
from reachy_kit.workflows.inputs.session_speaker import find_speaker, open_speaker
from reachy_kit.workflows.top import watching_command


@dataclass(frozen=True)
class RobotRun:
    """Episodes of a bundle or of behaviours on a robot."""

    given: tuple[str, ...]
    """Bundle, or behaviours, as they were given."""
    robot: str
    episodes: tuple[Episode, ...]
    error: TaskError | None
    """Name and unit of the task's error; None without ground truth, and for behaviours."""
    rate: LoopRate | None
    """Rate of the control loop; None in simulated time, which is never late."""
    calmness: Calmness | None = None
    """Speed of the head while the target stands still; None where it never does."""
    detection: DetectionSummary | None = None
    """How the detector kept up with the loop; None where no detector runs beside it."""
    inference: InferenceSummary | None = None
    """How inference kept up with the loop; None in simulated time, which waits for it, and without a bundle."""
    shares: dict[str, float] = field(default_factory=dict)
    """Share of the decisions that each behaviour has taken; empty for a bundle alone."""
    hand_overs: int = 0
    """Number of hand-overs from one behaviour to another."""
    stopped_by: int | None = None
    """Number of the signal that has ended a run without an end of its own; None where none has."""


def run(given: Sequence[str | Path], settings: RunSettings, *, reporter: Reporter = SILENT) -> RobotRun:
    """Run a bundle or behaviours on a robot; it goes to neutral first and lies down at the end.

    Args:
        given: bundle, a file or unpacked folder, or behaviours, the highest priority first.
        settings: the robot, the episodes and the senses.
        reporter: shows the progress.

    Returns:
        The episodes. One without an end of its own is ended by a signal.

    Raises:
        WrongUseError: a bundle or a behaviour does not exist, or takes images and the camera is off.
        RefusedError: a bundle is damaged, or was made for something else.
        NoRobotError: no robot answers.
    """
    drivers = read_drivers(given)
    plan = plan_run(drivers, settings)
    local_speaker = find_speaker(settings.speaker)
    hand_overs = HandOverCount(drivers.names)
    with (
        publishing(f"run {drivers.label}", settings.telemetry, settings.metrics, reporter.note) as meter,
        stop_keys() as keys,
        contextlib.ExitStack() as when_at_rest,
        plan.open_session(reporter) as session,
        open_speaker(settings.speaker, local_speaker, session, reporter, simulated=plan.variant is not None) as sounds,
    ):
        hand_overs.on_notice = partial(sounds.play, Cue.NOTICE)
        opened = drivers.open(session, when_at_rest, hand_overs.add)
        guarded = guard(opened.policy, session, reporter.note)
        meter.follow(
            session.robot, opened.policy, session.hearing, planner=next(iter(opened.planners), None),
            guard=guarded, wall_clock=session.wall_clock,
        )  # fmt: skip
        loop = _Loop(plan, session, opened, guarded, meter, sounds, keys, reporter)
        loop.explain()
        calmness = CalmnessMeter(session.perception.names)
        done, stopped_by = loop.run_episodes([meter] if plan.length is None else [meter, calmness])
        detection = summarize_detection(session.perception) if session.image_shape else None
    inference = opened.summary()
    for warning in _warnings(done, detection, inference):
        reporter.note(f"warning: {warning}")
    error = plan.variant.task.spec.error if plan.variant and drivers.lone_bundle else None
    rate = measure_rate(done) if session.wall_clock and any(len(episode.periods) for episode in done) else None
    return RobotRun(
        tuple(map(str, given)), settings.robot, tuple(done), error, rate, calmness.calmness, detection, inference,
        opened.shares(), hand_overs.total, stopped_by,
    )  # fmt: skip


@dataclass(frozen=True)
class _Loop:
    """The episodes of a run, one after another, and what takes part in them."""

    plan: RunPlan
    session: Session
    drivers: OpenDrivers
    guarded: GuardedPolicy
    meter: RunMeter
    sounds: Speaker
    keys: TerminalKeys | None
    reporter: Reporter

    def explain(self) -> None:
        """Say which keys do what, and how to watch the run."""
        for line in (HOW_TO_STOP, self.drivers.describe_keys()) if self.keys else ():
            if line:
                self.reporter.note(line)
        if self.meter.published_at:
            watching = watching_command(self.session.robot.name, self.meter.published_at)
            self.reporter.note(f"to watch it: {watching}")

    def run_episodes(self, subscribers: Sequence[Subscriber]) -> tuple[list[Episode], int | None]:
        """Run all episodes.

        Returns:
            The episodes, and the number of the signal that has ended one without an end of its own.

        Raises:
            KitError: a watchdog has ended an episode.
        """
        settings, done = self.plan.settings, list[Episode]()
        with (
            self._progress() as advance,
            ending_on_signals() if self.plan.length is None else contextlib.nullcontext(lambda: None) as stopped_by,
        ):
            for seed in range(settings.seed, settings.seed + settings.episodes):
                self.sounds.play(Cue.BEGIN)
                done.append(self._run_episode(seed, subscribers, stopped_by))
                if stopped_by() is None:
                    self.guarded.raise_trouble()
                    self.sounds.play(Cue.END)
                advance()
        return done, stopped_by()

    def _run_episode(
        self, seed: int, subscribers: Sequence[Subscriber], stopped_by: Callable[[], int | None]
    ) -> Episode:
        return guarded_rollout(
            self.session.robot,
            self.guarded,
            seconds=self.plan.length,
            policy_hz=self.plan.drivers.hz,
            seed=seed,
            perception=self.session.perception,
            world=self.session.world,
            subscribers=subscribers,
            on_tick=self._on_tick,
            stop=lambda: None if stopped_by() is None else EndReason.STOPPED,
            on_timing=self.meter.tick,
        )

    def _on_tick(self, tick: Tick) -> None:
        """Let keys stop single behaviours."""
        for key in self.keys.pressed() if self.keys else ():
            if change := self.drivers.press(key):
                self.reporter.note(change)

    @contextlib.contextmanager
    def _progress(self) -> Iterator[Callable[[], None]]:
        """A bar of episodes; without an end, a sign that the work runs."""
        label = f"{self.plan.drivers.label} on {self.session.robot.name}"
        if self.plan.length is not None:
            with self.reporter.progress(label, total=self.plan.settings.episodes) as advance:
                yield advance
            return
        with self.reporter.working(f"{label}; Ctrl-C stops it"):
            yield lambda: None


def _warnings(
    done: Sequence[Episode], detection: DetectionSummary | None, inference: InferenceSummary | None
) -> Iterator[str]:
    """What people should know of a run that has ended."""
    if inference and inference.is_slow:
        yield inference.warning()
    if detection and detection.frozen:
        yield FROZEN
    if late := late_warning(done):
        yield late
