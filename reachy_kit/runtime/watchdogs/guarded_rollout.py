"""The control loop under watchdogs: what every command that drives a robot calls in place of the bare loop."""

import time
from collections.abc import Callable
from typing import Any

from reachy_kit.runtime.interface import EndReason, Episode, Robot, Tick
from reachy_kit.runtime.rollout import PAUSED_AFTER, rollout
from reachy_kit.runtime.watchdogs.camera_watchdog import CameraWatchdog
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy, Watchdog
from reachy_kit.runtime.watchdogs.loop_watchdogs import TickWatchdog


def guarded_rollout(
    robot: Robot,
    guarded: GuardedPolicy,
    *,
    stop: Callable[[], EndReason | None] = lambda: None,
    on_tick: Callable[[Tick], None] = lambda tick: None,
    **loop: Any,
) -> Episode:
    """Run one episode in which a policy's watchdogs look at each tick, and end it if need be.

    Args:
        robot: connected.
        guarded: decides.
        stop: asked once per tick, after the watchdogs.
        on_tick: called at the start of each tick, after the watchdogs. It may pause the loop.
        loop: all other arguments of ``rollout``.

    Raises:
        WrongUseError: the rates do not fit.
        RefusedError: the policy returned something that is not nine finite numbers.
    """

    def look(tick: Tick) -> None:
        guarded.on_tick(tick)
        began = time.perf_counter()
        on_tick(tick)
        if time.perf_counter() - began > PAUSED_AFTER:
            guarded.pause()

    return rollout(robot, guarded, stop=lambda: guarded.stop() or stop(), on_tick=look, **loop)


def robot_watchdogs(*, camera: bool, real: bool) -> list[Watchdog]:
    """The watchdogs of a robot on a wall clock, whatever drives it.

    Args:
        camera: whether its observations hold a camera's images.
        real: whether that is a real camera.
    """
    watchdogs: list[Watchdog] = [TickWatchdog()]
    if camera:
        watchdogs.append(CameraWatchdog(real=real))
    return watchdogs
