"""The watchdogs that belong to a session's robot, its camera and the policy that drives."""

from reachy_kit.runtime.interface import Policy
from reachy_kit.runtime.watchdogs.camera_watchdog import CameraWatchdog
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy, Watchdog
from reachy_kit.runtime.watchdogs.loop_watchdogs import DecisionWatchdog, StateWatchdog, TickWatchdog
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import SIMULATED, Session


def guard(policy: Policy, session: Session, robot: str, *, camera: bool, reporter: Reporter = SILENT) -> GuardedPolicy:
    """A policy under the watchdogs of a session; in simulated time, which is never late, without any.

    Args:
        policy: drives.
        session: open.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        camera: whether the policy, or its perception, looks at the camera's images.
        reporter: receives what the watchdogs notice.
    """
    watchdogs = list[Watchdog]()
    if session.wall_clock:
        watchdogs += [StateWatchdog(session.robot), TickWatchdog(), DecisionWatchdog(policy)]
        if camera and session.image_shape:
            watchdogs.append(CameraWatchdog(real=robot not in SIMULATED))
    return GuardedPolicy(policy, watchdogs, reporter.note)
