"""A session that drives a robot: the keys that stop it, and the watchdogs of its robot, its camera and what drives.

Every command that drives a robot composes its protection here.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from reachy_kit.runtime.teleop.terminal_keys import HOW_TO_STOP, stop_keys
from reachy_kit.runtime.watchdogs.camera_watchdog import CameraWatchdog
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy, Watchdog
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout, robot_watchdogs
from reachy_kit.runtime.watchdogs.loop_watchdogs import DecisionWatchdog
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import Session, open_session

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Episode, Policy, Subscriber
    from reachy_sim.tasks.variants import Variant

_DRAWN_WITHIN = 1.0
"""Age of the latest image of a camera that is drawn beside the loop above which it counts as stopped, s: four images
may wait to be drawn, and a computer without a GPU takes its time for each."""
_TOO_BUSY_TO_DRAW = "This computer is too busy to draw its images. Close other programs, then start this command again"


@contextlib.contextmanager
def stoppable_session(
    robot: str, variant: "Variant | None", perception: str = "auto", *, reporter: Reporter = SILENT, **options: Any
) -> Iterator[Session]:
    """A session that the terminal's stop keys end, from before the robot is connected until it rests.

    Simulated time passes faster than a person presses a key: there Ctrl-C alone ends it.

    Args:
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        variant: the task and the conditions of the simulated world; hardware needs none.
        perception: ``auto``, ``geometry``, ``detector`` or ``microphone``.
        reporter: receives the session's notes, and which keys stop it.
        options: all other arguments of ``open_session``.

    Yields:
        The session.

    Raises:
        WrongUseError: the perception or the target does not exist on that robot.
        NoRobotError: no robot answers.
    """
    with (
        stop_keys() if robot != "sim" else contextlib.nullcontext() as keys,
        open_session(robot, variant, perception, reporter=reporter, **options) as session,
    ):
        if keys:
            reporter.note(HOW_TO_STOP)
        yield session


def session_watchdogs(session: Session) -> list[Watchdog]:
    """The watchdogs of a session, whatever drives.

    A simulation in this process endangers nothing: there the camera's alone looks, where images are drawn beside the
    loop and may become too old to record.
    """
    camera = session.image_shape is not None
    if session.kind != "sim":
        return robot_watchdogs(camera=camera, real=session.kind == "hardware")
    if not (camera and session.wall_clock):
        return []
    return [CameraWatchdog(real=False, silent_after=_DRAWN_WITHIN, advice=_TOO_BUSY_TO_DRAW)]


def guard(
    policy: "Policy", session: Session, note: Callable[[str], None] = SILENT.note, *, resumes: bool = True
) -> GuardedPolicy:
    """A policy under all watchdogs of a session.

    Args:
        policy: drives.
        session: open.
        note: receives what the watchdogs notice.
        resumes: whether the policy may drive again once a fault has passed. If not, a fault ends the episode at once.
    """
    return GuardedPolicy(policy, [*session_watchdogs(session), *_of_decisions(policy, session)], note, resumes=resumes)


def guard_decisions(policy: "Policy", session: Session, note: Callable[[str], None] = SILENT.note) -> GuardedPolicy:
    """A policy that a person corrects, under the watchdog of its decisions; the session's look at the whole take.

    Args:
        policy: drives until the person takes over.
        session: open.
        note: receives what the watchdog notices.
    """
    return GuardedPolicy(policy, _of_decisions(policy, session), note)


def _of_decisions(policy: "Policy", session: Session) -> list[Watchdog]:
    """The watchdog of a policy that is computed beside the loop, as on a wall clock."""
    return [DecisionWatchdog(policy)] if session.wall_clock else []


def run_episode(
    session: Session, variant: "Variant", guarded: GuardedPolicy, seed: int, hz: int, subscriber: "Subscriber"
) -> "Episode":
    """Run one whole episode of a task.

    Args:
        session: where to run it.
        variant: of the task; its length is the task's own.
        guarded: decides.
        seed: of the initial state and of perception's noise.
        hz: decisions per second.
        subscriber: receives the steps.

    Returns:
        The episode.
    """
    return guarded_rollout(
        session.robot,
        guarded,
        seconds=variant.task.seconds,
        policy_hz=hz,
        seed=seed,
        perception=session.perception,
        world=session.world,
        subscribers=[subscriber],
    )
