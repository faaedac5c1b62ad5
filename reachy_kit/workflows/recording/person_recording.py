"""Demonstrations by a person: a session of takes into a LeRobot dataset.

Try it: reachy-kit record --teleop keyboard --robot sim --out data/by_hand
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reachy_kit.dataset.checks.take_check import describe_take
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.recording_space import check_space
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, Phase, SessionScreen
from reachy_kit.runtime.recording.takes.take_keys import SESSION_CONTROLS
from reachy_kit.runtime.recording.takes.take_session import TakeSession
from reachy_kit.runtime.robots.loop_rate import late_warning
from reachy_kit.runtime.teleop.take_over import TakeOver
from reachy_kit.workflows.inputs.guarded_session import guard_decisions, session_watchdogs
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import SIMULATED, Session, open_session
from reachy_kit.workflows.inputs.session_speaker import SpeakingScreen, open_speaker
from reachy_kit.workflows.recording.device_session import DeviceSession, connected_device, open_device_session
from reachy_kit.workflows.recording.episode_seeds import remaining_seeds
from reachy_kit.workflows.recording.recording_layout import dataset_layout
from reachy_kit.workflows.recording.recording_plan import RecordingPlan

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Policy

_PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


def record_by_hand(
    plan: RecordingPlan,
    *,
    policy: Callable[[tuple[str, ...]], "Policy"] | None = None,
    screen: SessionScreen = NO_SCREEN,
    reporter: Reporter = SILENT,
) -> int:
    """Record a person's takes until the dataset holds as many episodes as are wanted, or the person ends the session.

    Args:
        plan: what to record.
        policy: opens, for the names of perception's features, a policy that drives until the person takes over.
        screen: shows the session.
        reporter: shows notes.

    Returns:
        Episodes that the dataset holds.

    Raises:
        WrongUseError: an argument does not fit, or the device needs a terminal.
        RefusedError: the folder holds a dataset of another layout, or another process records into it.
        NoRobotError: no robot answers.
        KitError: the disk is full or cannot be written, or a watchdog reports what does not pass; the episodes that
            were saved are kept.
    """
    labels = [
        EpisodeLabels(instruction, check_pseudonym(plan.operator))
        for instruction in check_instructions(plan.instructions) or (plan.variant.task.instruction,)
    ]
    with (
        open_device_session(plan.teleop, plan.robot, plan.hz, plan.variant, screen, SESSION_CONTROLS) as opened,
        open_session(
            plan.robot, plan.variant, plan.perception, camera=plan.opens_camera, realtime=True, camera_beside=True,
            target=plan.target, listening=plan.listening, reporter=reporter,
        ) as session,
        connected_device(opened.device, session.robot),
        open_speaker("", None, session, reporter, simulated=plan.robot in SIMULATED) as speaker,
    ):  # fmt: skip
        take_over = None
        if policy:
            guarded = guard_decisions(policy(session.perception.names), session, reporter.note)
            take_over = TakeOver(guarded, opened.device)
            opened.view.controls = take_over.controls
        return _record_takes(
            plan, session, opened, take_over, labels, SpeakingScreen(screen, speaker), reporter
        )  # fmt: skip


def _record_takes(
    plan: RecordingPlan,
    session: Session,
    opened: DeviceSession,
    take_over: TakeOver | None,
    labels: Sequence[EpisodeLabels],
    screen: SessionScreen,
    reporter: Reporter,
) -> int:
    """Record takes in an open session; returns the episodes that the dataset holds."""
    view, device = opened.view, take_over or opened.device
    view.wanted, view.operator, view.instructions = plan.episodes, plan.operator, len(labels)
    view.features, view.reason = session.perception.names, "opening the dataset (LeRobot takes a while to load)"
    layout = dataset_layout(session, plan.variant, device.name, plan.hz, plan.camera, plan.listening)
    if warning := check_space(plan.out, layout):
        reporter.note(f"warning: {warning}")
    with LeRobotWriter(plan.out, layout) as writer:
        view.episodes = first = writer.episodes
        missing = max(plan.episodes - first, 0)
        seeds = remaining_seeds(plan.out, plan.seed, writer.seeds, missing, corrections=take_over is not None)
        recorder = EpisodeRecorder(
            writer,
            intervened=(lambda: take_over.intervened) if take_over else None,
            wall_clock=session.wall_clock,
            check=describe_take,
        )
        takes = TakeSession(
            session.robot, device, recorder, opened.keys, view, screen, labels, plan.seconds,
            perception=session.perception, world=session.world, take_over=take_over,
            watchdogs=session_watchdogs(session),
        )  # fmt: skip
        takes.run(iter(seeds), plan.episodes)
        view.phase, view.reason = Phase.PREPARING, "the dataset is closed, and the robot comes to rest"
        stored = writer.episodes
    if first >= plan.episodes:
        reporter.note(f"{plan.out} already holds {first} episodes")
    if warning := late_warning(takes.takes):
        reporter.note(f"warning: {warning}")
    return stored


def check_pseudonym(operator: str) -> str:
    """Return a pseudonym that fits.

    Raises:
        WrongUseError: it does not.
    """
    if operator and not _PSEUDONYM.fullmatch(operator):
        raise WrongUseError(
            f"--operator {operator} does not fit: a pseudonym has at most 32 letters, digits, - and _, and starts with "
            "a letter or a digit"
        )
    return operator


def check_instructions(instructions: Sequence[str]) -> tuple[str, ...]:
    """Return instructions that fit, without spaces around them.

    Raises:
        WrongUseError: an instruction is empty, has more than a line, or is given twice.
    """
    stripped = tuple(instruction.strip() for instruction in instructions)
    for instruction in stripped:
        if not instruction or not instruction.isprintable():
            raise WrongUseError(f"--instruction {instruction!r} does not fit: it is a line of text")
        if stripped.count(instruction) > 1:
            raise WrongUseError(f"--instruction {instruction!r} is given twice")
    return stripped
