"""Demonstrations by a person: a session of takes into a LeRobot dataset.

Try it: reachy-kit record --teleop keyboard --robot sim --out data/by_hand
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.dataset.checks.take_check import describe_take
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import BALL
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
from reachy_kit.workflows.inputs.session import SIMULATED, needs_camera, open_session
from reachy_kit.workflows.inputs.session_hearing import NOT_LISTENING, Listening
from reachy_kit.workflows.inputs.session_speaker import SpeakingScreen, open_speaker
from reachy_kit.workflows.recording.device_session import connected_device, open_device_session
from reachy_kit.workflows.recording.episode_seeds import remaining_seeds
from reachy_kit.workflows.recording.recording_layout import dataset_layout

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Policy
    from reachy_sim.tasks.variants import Variant

_PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


def record_by_hand(
    out: Path,
    variant: "Variant",
    *,
    robot: str,
    teleop: str,
    episodes: int,
    perception: str,
    target: str = BALL,
    camera: bool,
    hz: int,
    seed: int,
    seconds: float | None = None,
    operator: str = "",
    instructions: Sequence[str] = (),
    policy: Callable[[tuple[str, ...]], "Policy"] | None = None,
    screen: SessionScreen = NO_SCREEN,
    listening: Listening = NOT_LISTENING,
    reporter: Reporter = SILENT,
) -> int:
    """Record a person's takes until the dataset holds as many episodes as are wanted, or the person ends the session.

    Args:
        out: folder of the dataset; an existing one is continued.
        variant: of the task.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        teleop: the device, ``NAME`` or ``NAME:ARGUMENT``.
        episodes: number that the dataset holds in the end.
        perception: ``auto``, ``geometry`` or ``detector``.
        target: what is looked at, as ``--target`` gives it.
        camera: whether to keep the camera's images.
        hz: decisions per second.
        seed: seed of the episodes.
        seconds: length of a take; None = until the person stops it.
        operator: pseudonym of the person.
        instructions: tasks in words; the person chooses among them. None for the task's own.
        policy: opens, for the names of perception's features, a policy that drives until the person takes over.
        screen: shows the session.
        listening: what is kept of the sound, and from which microphone.
        reporter: shows notes.

    Returns:
        Episodes that the dataset holds.

    Raises:
        WrongUseError: an argument does not fit, or the device needs a terminal.
        RefusedError: the folder holds a dataset of another layout, or another process records into it.
        NoRobotError: no robot answers.
        KitError: the disk is full or cannot be written; the episodes that were saved are kept.
    """
    labels = [
        EpisodeLabels(instruction, check_pseudonym(operator))
        for instruction in check_instructions(instructions) or (variant.task.instruction,)
    ]
    with (
        open_device_session(teleop, robot, hz, variant, screen, SESSION_CONTROLS) as opened,
        open_session(
            robot,
            variant,
            perception,
            camera=camera or needs_camera(robot, variant.task.features),
            realtime=True,
            camera_beside=True,
            target=target,
            listening=listening,
            reporter=reporter,
        ) as session,
        connected_device(opened.device, session.robot),
        open_speaker("", None, session, reporter, simulated=robot in SIMULATED) as speaker,
    ):
        view, device, take_over = opened.view, opened.device, None
        if policy:
            guarded = guard_decisions(policy(session.perception.names), session, reporter.note)
            device = take_over = TakeOver(guarded, opened.device)
            view.controls = device.controls
        view.wanted, view.operator, view.instructions = episodes, operator, len(labels)
        view.features, view.reason = session.perception.names, "opening the dataset (LeRobot takes a while to load)"
        layout = dataset_layout(session, variant, device.name, hz, camera, listening)
        if warning := check_space(out, layout):
            reporter.note(f"warning: {warning}")
        with LeRobotWriter(out, layout) as writer:
            view.episodes = first = writer.episodes
            missing = max(episodes - first, 0)
            seeds = iter(remaining_seeds(out, seed, writer.seeds, missing, corrections=take_over is not None))
            recorder = EpisodeRecorder(
                writer,
                intervened=(lambda: take_over.intervened) if take_over else None,
                wall_clock=session.wall_clock,
                check=describe_take,
            )
            takes = TakeSession(
                session.robot, device, recorder, opened.keys, view, SpeakingScreen(screen, speaker), labels, seconds,
                perception=session.perception, world=session.world, take_over=take_over,
                watchdogs=session_watchdogs(session),
            )  # fmt: skip
            takes.run(seeds, episodes)
            view.phase, view.reason = Phase.PREPARING, "the dataset is closed, and the robot comes to rest"
            stored = writer.episodes
    if first >= episodes:
        reporter.note(f"{out} already holds {first} episodes")
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
