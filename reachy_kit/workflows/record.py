"""Demonstrations, recorded into a LeRobot dataset.

Try it: reachy-kit record --robot sim --task look_at --episodes 20 --out data/look_at
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.recording_folder import check_recordable
from reachy_kit.runtime.behaviours.hold import HoldPolicy
from reachy_kit.runtime.durable_files import check_folder
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, EndReason, Episode, Tick
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.recording_space import check_space
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, SessionScreen
from reachy_kit.runtime.robots.daemon import DEFAULT_PORT, parse_address
from reachy_kit.runtime.robots.loop_rate import REFUSED, describe_delay, is_late, late_warning
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.workflows.inputs.guarded_session import guard, run_episode, stoppable_session
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import SIMULATED, Session
from reachy_kit.workflows.inputs.session_hearing import NOT_LISTENING, Listening
from reachy_kit.workflows.recording.episode_seeds import remaining_seeds
from reachy_kit.workflows.recording.person_recording import record_by_hand
from reachy_kit.workflows.recording.recording_layout import dataset_layout
from reachy_kit.workflows.recording.recording_plan import SCRIPTED, RecordingPlan

if TYPE_CHECKING:
    from reachy_kit.workflows.recording.robot_recording import RobotPrompts
    from reachy_sim.tasks.variants import Variant

_LOCAL = "localhost", "127.0.0.1"
_TO_CONTINUE = "What was saved before is kept; give the same command again to continue"
TRIES = 3
"""Times that an episode is run before a computer that is too slow is given up: a stall may be over after one."""


@dataclass(frozen=True)
class RecordedDataset:
    """A dataset after a recording."""

    dataset: Path
    episodes: int
    """Number of episodes in the dataset."""
    task: str
    robot: str
    hz: int
    """Decisions per second."""


def record(
    out: Path,
    *,
    task: str = "look_at",
    variant: str = "training",
    audio: str = "off",
    microphone: str = "",
    on_robot: str | None = None,
    prompts: "RobotPrompts | None" = None,
    screen: SessionScreen = NO_SCREEN,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> RecordedDataset:
    """Record demonstrations of a task until a dataset holds as many episodes as are wanted.

    Each episode is safe on disk before the next begins, so an interrupted recording is resumed by the same call.

    Args:
        out: folder of the dataset; an existing one is continued.
        task: its name, or the file of one.
        variant: name of its variant.
        audio: what is kept of the sound: ``off``, ``features`` or ``raw``.
        microphone: of this computer, by name or index; empty for the robot's own.
        on_robot: ``[USER@]HOST[:PORT]`` of the robot's own computer, to record there; ``robot`` then gives no more
            than the daemon's port there, as in ``localhost:8001``.
        prompts: asks a person when logging in there, and at the end.
        screen: shows a person's session.
        reporter: shows the progress.
        settings: all other fields of `RecordingPlan`.

    Returns:
        The dataset after the recording.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        RefusedError: the folder holds a dataset of another layout, another process records into it, or the robot or
            this computer is too slow to record.
        NoRobotError: no robot answers.
        KitError: a watchdog reports what does not pass; the episodes that were saved are kept.
    """
    from reachy_sim.tasks import variant_by_name

    plan = RecordingPlan(out, variant_by_name(task, variant), listening=Listening(microphone, audio), **settings)
    if plan.teleop == SCRIPTED and (plan.operator or plan.instructions or plan.seconds):
        raise WrongUseError("--operator, --instruction and --seconds are for a person: give a device with --teleop")
    check_recordable(out)
    check_folder(out)
    if on_robot is not None:
        assert prompts is not None, "recording on a robot logs in there"
        total = _record_there(plan, on_robot, prompts, screen, reporter)
    elif plan.teleop == SCRIPTED:
        total = _record_script(plan, reporter)
    else:
        total = record_by_hand(plan, screen=screen, reporter=reporter)
    return RecordedDataset(out, total, plan.variant.task.name, on_robot or plan.robot, plan.hz)


def _record_script(plan: RecordingPlan, reporter: Reporter) -> int:
    """Record the task's scripted expert; returns the episodes that the dataset holds."""
    with stoppable_session(
        plan.robot, plan.variant, plan.perception, camera=plan.opens_camera, target=plan.target,
        listening=plan.listening, reporter=reporter,
    ) as session:  # fmt: skip
        return record_episodes(
            session, plan.variant, plan.out, episodes=plan.episodes, hz=plan.hz, seed=plan.seed, camera=plan.camera,
            listening=plan.listening, reporter=reporter,
        )  # fmt: skip


def _record_there(
    plan: RecordingPlan, host: str, prompts: "RobotPrompts", screen: SessionScreen, reporter: Reporter
) -> int:
    """Record on the robot's own computer; returns the episodes that the dataset holds."""
    from reachy_kit.workflows.recording.robot_recording import record_on_robot

    return record_on_robot(
        plan.out, host, plan.variant, prompts, teleop=plan.teleop, episodes=plan.episodes, camera=plan.camera,
        hz=plan.hz, seed=plan.seed, seconds=plan.seconds, operator=plan.operator, instructions=plan.instructions,
        screen=screen, reporter=reporter, target=plan.target, port=_port_on_robot(plan),
    )  # fmt: skip


def record_episodes(
    session: Session,
    variant: "Variant",
    out: Path,
    *,
    episodes: int,
    hz: int,
    seed: int,
    camera: bool,
    listening: Listening = NOT_LISTENING,
    reporter: Reporter = SILENT,
) -> int:
    """Record the task's scripted expert in an open session.

    Args:
        session: where to record.
        variant: of the task.
        out: folder of the dataset.
        episodes: number that the dataset holds in the end.
        hz: decisions per second.
        seed: seed of the episodes.
        camera: whether to keep the camera's images.
        listening: what is kept of the sound.
        reporter: shows the progress.

    Returns:
        Episodes that the dataset holds.

    Raises:
        WrongUseError: the folder holds something else, or episodes of other seeds.
        RefusedError: the folder holds a dataset of another layout, another process records into it, or the robot or
            this computer is too slow to record.
        KitError: the disk is full or cannot be written, or a watchdog reports what does not pass; the episodes that
            were saved are kept.
    """
    layout = dataset_layout(session, variant, SCRIPTED, hz, camera, listening)
    if warning := check_space(out, layout):
        reporter.note(f"warning: {warning}")
    with reporter.working("opening the dataset (LeRobot takes a while to load)"):
        writer = LeRobotWriter(out, layout)
    with writer:
        first = writer.episodes
        if first >= episodes:
            reporter.note(f"{out} already holds {first} episodes")
        seeds = remaining_seeds(out, seed, writer.seeds, episodes - first)[: max(episodes - first, 0)]
        recorder, recorded = EpisodeRecorder(writer, wall_clock=session.wall_clock), list[Episode]()
        try:
            with reporter.progress("recording", total=max(episodes, first), done=first) as advance:
                for episode_seed in seeds:
                    recorded.append(_record_episode(session, variant, episode_seed, hz, recorder, reporter))
                    advance()
        finally:  # also where the recording was interrupted: what it kept may be late
            if warning := late_warning(recorded):
                reporter.note(f"warning: {warning}")
    return writer.episodes


def _port_on_robot(plan: RecordingPlan) -> int:
    """Port of the daemon on the robot's computer.

    Raises:
        WrongUseError: an option is given that does not work there.
    """
    if plan.listening.audio != "off" or plan.listening.microphone:
        option = "--audio" if plan.listening.audio != "off" else "--microphone"
        raise WrongUseError(f"{option} does not work with --on-robot: the recorder there keeps no sound")
    if plan.perception != "auto":
        raise WrongUseError("--perception does not work with --on-robot: with --camera the recorder there detects")
    if plan.robot in SIMULATED:
        return DEFAULT_PORT
    address = parse_address(plan.robot)
    if address.host not in _LOCAL:
        raise WrongUseError(
            f"--robot {plan.robot} does not work with --on-robot, which names the robot. Give --robot localhost:PORT "
            "for another port of the daemon there"
        )
    return address.port


def _record_episode(
    session: Session, variant: "Variant", seed: int, hz: int, recorder: EpisodeRecorder, reporter: Reporter
) -> Episode:
    """Record one episode; where it was too late, or a fault has spoilt it, it is run again a few times."""
    from reachy_sim.tasks import single_expert_policy

    for tries_left in reversed(range(TRIES)):
        # Each episode's expert has its own seed: a continued recording equals one made in a single call.
        expert = single_expert_policy(variant.task.name, hz, seed)
        before, guarded = recorder.episodes, guard(expert, session, resumes=False)
        episode = run_episode(session, variant, guarded, seed, hz, recorder)
        if recorder.remark:
            reporter.note(f"episode {seed}: {recorder.remark}")
        if recorder.episodes > before:
            break
        late = is_late(episode, REFUSED)
        if not tries_left:
            why = guarded.fault or (f"it {describe_delay(episode)}" if late else recorder.remark)
            raise RefusedError(f"episode {seed} was not kept in {TRIES} tries; in the last one, {why}. {_TO_CONTINUE}")
        if guarded.fault:
            reporter.note(f"episode {seed}: {guarded.fault}. It was not kept, and is run again")
            _stand_until_well(session, hz, reporter)
        elif late:
            reporter.note(f"episode {seed} {describe_delay(episode)}. It was not kept, and is run again")
    return episode


def _stand_until_well(session: Session, hz: int, reporter: Reporter) -> None:
    """Let the robot stand until no watchdog has reported anything for a second.

    Raises:
        KitError: what one of them reports does not pass.
    """
    guarded, well = guard(HoldPolicy(), session, reporter.note), 0

    def count(tick: Tick) -> None:
        nonlocal well
        well = 0 if guarded.fault else well + 1

    guarded_rollout(
        session.robot,
        guarded,
        seconds=None,
        policy_hz=hz,
        on_tick=count,
        stop=lambda: EndReason.COMPLETED if well > CONTROL_HZ else None,
    )
    guarded.raise_trouble(_TO_CONTINUE)
