"""A bundle or behaviours on a robot. Loads onnxruntime; never torch or LeRobot, and MuJoCo only to simulate.

Try it: reachy-kit run look_at.bundle --robot sim
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import InferenceSummary
from reachy_kit.runtime.interface import EndReason, Episode, Subscriber, TaskError, Tick
from reachy_kit.runtime.interrupts import ending_on_signals
from reachy_kit.runtime.perception.targets.camera_perception import FROZEN, DetectionSummary, summarize_detection
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.robots.calmness import Calmness, CalmnessMeter
from reachy_kit.runtime.robots.loop_rate import LoopRate, late_warning, measure_rate
from reachy_kit.runtime.robots.speaking.tones import Cue
from reachy_kit.runtime.telemetry.publishing import publishing
from reachy_kit.runtime.teleop.terminal_keys import HOW_TO_STOP, TerminalKeys, stop_keys
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.workflows.inputs.drivers import Drivers, HandOverCount, OpenDrivers, read_drivers
from reachy_kit.workflows.inputs.guarded_session import guard
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import HARDWARE_SECONDS, needs_camera, open_session, simulated_variant
from reachy_kit.workflows.inputs.session_hearing import Listening
from reachy_kit.workflows.inputs.session_speaker import find_speaker, open_speaker
from reachy_kit.workflows.top import watching_command

if TYPE_CHECKING:
    from reachy_sim.tasks.variants import Variant

SIMULATED_SECONDS = 20.0
"""Length of a run of behaviours on ``sim``, whose time is not the wall clock's, s; elsewhere they run until stopped."""
HIDDEN, BETWEEN = (2.0, 2.5), (5.0, 6.0)
"""How long a simulated target is hidden from several behaviours, and the time from one hiding to the next, s."""


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


def run(
    given: Sequence[str | Path],
    *,
    robot: str = "daemon",
    task: str = "",
    episodes: int = 1,
    seconds: float | None = None,
    perception: str = "auto",
    target: str = BALL,
    camera: bool = True,
    microphone: str = "",
    speaker: str = "",
    seed: int = 0,
    telemetry: Path | None = None,
    metrics: str = "",
    reporter: Reporter = SILENT,
) -> RobotRun:
    """Run a bundle or behaviours on a robot; it goes to neutral first and lies down at the end.

    Args:
        given: bundle, a file or unpacked folder, or behaviours, the highest priority first.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        task: file of the bundle's task, if it is in one.
        episodes: number of episodes, one after another.
        seconds: length of each; None for the task's own, on hardware ``HARDWARE_SECONDS``. Behaviours run until they
            are stopped, on ``sim`` for ``SIMULATED_SECONDS``.
        perception: ``auto``, ``geometry``, ``detector`` or ``microphone``.
        target: what is looked at, as ``--target`` gives it.
        camera: whether to open the camera; without it a policy receives no target.
        microphone: of this computer, by name or index; empty for the robot's own.
        speaker: of this computer, by name or index, ``robot`` or ``off``; empty for a real robot's own.
        seed: of the first initial state in a simulation.
        telemetry: file to which a line of telemetry is appended each second.
        metrics: ``PORT`` or ``HOST:PORT`` at which the run answers Prometheus and ``reachy-kit top``.
        reporter: shows the progress.

    Returns:
        The episodes. One without an end of its own is ended by a signal.

    Raises:
        WrongUseError: a bundle or a behaviour does not exist, or takes images and the camera is off.
        RefusedError: a bundle is damaged, or was made for something else.
        NoRobotError: no robot answers.
    """
    drivers = read_drivers(given)
    if drivers.takes_images and not camera:
        raise WrongUseError(f"{drivers.label} takes images: leave out --no-camera")
    variant = _surroundings(drivers, robot, task)
    length = _seconds(drivers, robot, variant, seconds)
    if length is None and episodes > 1:
        raise WrongUseError("behaviours run until they are stopped: give --seconds for several episodes")
    senses = drivers.features is not None
    wanted = camera and (drivers.takes_images or (senses and needs_camera(robot, drivers.features)))
    local_speaker = find_speaker(speaker)
    done, hand_overs = list[Episode](), HandOverCount(drivers.names)
    with (
        publishing(f"run {drivers.label}", telemetry, metrics, reporter.note) as meter,
        stop_keys() as keys,
        contextlib.ExitStack() as when_at_rest,
        open_session(
            robot, variant, _perception(perception, target, senses=senses or variant is None), camera=wanted,
            features=drivers.features if senses else (), limits=drivers.limits, target=target,
            listening=Listening(microphone, hears=drivers.hears), reporter=reporter,
        ) as session,
        open_speaker(speaker, local_speaker, session, reporter, simulated=variant is not None) as sounds,
    ):  # fmt: skip
        hand_overs.on_notice = partial(sounds.play, Cue.NOTICE)
        opened = drivers.open(session, when_at_rest, hand_overs.add)
        guarded = guard(opened.policy, session, reporter.note)
        meter.follow(
            session.robot, opened.policy, session.hearing, planner=next(iter(opened.planners), None),
            guard=guarded, wall_clock=session.wall_clock,
        )  # fmt: skip
        _explain(keys, opened, reporter)
        if meter.published_at:
            reporter.note(f"to watch it: {watching_command(session.robot.name, meter.published_at)}")
        calmness = CalmnessMeter(session.perception.names)
        subscribers: list[Subscriber] = [meter] if length is None else [meter, calmness]
        with (
            _progress(reporter, f"{drivers.label} on {session.robot.name}", episodes, length) as advance,
            ending_on_signals() if length is None else contextlib.nullcontext(lambda: None) as stopped_by,
        ):
            for episode_seed in range(seed, seed + episodes):
                sounds.play(Cue.BEGIN)
                done.append(
                    guarded_rollout(
                        session.robot,
                        guarded,
                        seconds=length,
                        policy_hz=drivers.hz,
                        seed=episode_seed,
                        perception=session.perception,
                        world=session.world,
                        subscribers=subscribers,
                        on_tick=_on_tick(keys, opened, reporter),
                        stop=lambda: None if stopped_by() is None else EndReason.STOPPED,
                        on_timing=meter.tick,
                    )
                )
                if stopped_by() is None:
                    guarded.raise_trouble()
                    sounds.play(Cue.END)
                advance()
        detection = summarize_detection(session.perception) if session.image_shape else None
    inference = opened.summary()
    for warning in _warnings(done, detection, inference):
        reporter.note(f"warning: {warning}")
    error = variant.task.spec.error if variant and drivers.lone_bundle else None
    rate = measure_rate(done) if session.wall_clock and any(len(episode.periods) for episode in done) else None
    return RobotRun(
        tuple(map(str, given)), robot, tuple(done), error, rate, calmness.calmness, detection, inference,
        opened.shares(), hand_overs.total, stopped_by(),
    )  # fmt: skip


def _perception(asked: str, target: str, *, senses: bool) -> str:
    """The perception to open: the cheapest where nothing senses and none was asked for."""
    return asked if senses or asked != "auto" or target != BALL else "geometry"


def _explain(keys: TerminalKeys | None, opened: OpenDrivers, reporter: Reporter) -> None:
    """Say which keys do what."""
    for line in (HOW_TO_STOP, opened.describe_keys()) if keys else ():
        if line:
            reporter.note(line)


def _on_tick(keys: TerminalKeys | None, opened: OpenDrivers, reporter: Reporter) -> Callable[[Tick], None]:
    """What happens at the start of each tick: keys stop single behaviours."""

    def on_tick(tick: Tick) -> None:
        for key in keys.pressed() if keys else ():
            if change := opened.press(key):
                reporter.note(change)

    return on_tick


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


def _surroundings(drivers: Drivers, robot: str, task: str) -> "Variant | None":
    """The world of a simulated robot, in which a target that several behaviours share comes and goes."""
    variant = simulated_variant(robot, task or drivers.task)
    bundle = drivers.lone_bundle
    if variant and bundle and variant.task.name != bundle.manifest.task:
        raise WrongUseError(f"the bundle was made for {bundle.manifest.task}, not for {variant.task.name}")
    if variant is None or len(drivers.drivers) == 1:
        return variant
    from reachy_sim.tasks.gaze import GazeTask

    if not isinstance(variant.task, GazeTask):
        return variant
    return replace(variant, task=replace(variant.task, hidden=HIDDEN, between=BETWEEN))


def _seconds(drivers: Drivers, robot: str, variant: "Variant | None", asked: float | None) -> float | None:
    """Length of an episode, s; None = until it is stopped."""
    if asked is not None or drivers.lone_bundle:
        return asked or (variant.task.seconds if variant else HARDWARE_SECONDS)
    return SIMULATED_SECONDS if robot == "sim" else None


@contextlib.contextmanager
def _progress(reporter: Reporter, label: str, episodes: int, length: float | None) -> Iterator[Callable[[], None]]:
    """A bar of episodes; without an end, a sign that the work runs."""
    if length is not None:
        with reporter.progress(label, total=episodes) as advance:
            yield advance
        return
    with reporter.working(f"{label}; Ctrl-C stops it"):
        yield lambda: None
