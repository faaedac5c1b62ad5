"""Driving a robot by hand; nothing is recorded.

Try it: reachy-kit teleop keyboard --robot sim
"""

import time
from dataclasses import dataclass

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import POLICY_RATES, EndReason, Episode, Tick
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, Phase, SessionScreen
from reachy_kit.runtime.recording.takes.take_keys import DRIVE_CONTROLS
from reachy_kit.runtime.robots.loop_rate import LoopRate, measure_rate
from reachy_kit.runtime.teleop.teleoperator import TakeEvent
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.workflows.inputs.guarded_session import guard
from reachy_kit.workflows.inputs.session import SIMULATED, open_session, simulated_variant
from reachy_kit.workflows.recording.device_session import DeviceSession, connected_device, open_device_session

_PAUSE_POLL = 0.02
"""Time between two looks at a lost device, s."""


@dataclass(frozen=True)
class Drive:
    """A robot that was driven."""

    device: str
    robot: str
    episode: Episode
    rate: LoopRate


def teleop(
    device: str,
    *,
    robot: str = "sim",
    task: str = "look_at",
    seconds: float | None = None,
    camera: bool = False,
    hz: int = 25,
    seed: int = 0,
    screen: SessionScreen = NO_SCREEN,
) -> Drive:
    """Drive a robot with a device until a key, its button or Ctrl-C ends it.

    Args:
        device: ``NAME`` or ``NAME:ARGUMENT``.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        task: what the simulated world shows.
        seconds: time to drive; None = until the person ends it.
        camera: whether to open a real robot's camera.
        hz: decisions per second.
        seed: of the simulated world.
        screen: shows the state.

    Returns:
        The drive.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        NoRobotError: no robot answers.
        KitError: a watchdog has ended the drive.
    """
    if hz not in POLICY_RATES:
        raise WrongUseError(f"--hz {hz} does not fit; there are {', '.join(map(str, POLICY_RATES))}")
    variant = simulated_variant(robot, task)
    with (
        open_device_session(device, robot, hz, variant, screen, DRIVE_CONTROLS) as opened,
        open_session(robot, variant, camera=camera and robot not in SIMULATED, realtime=True) as session,
        connected_device(opened.device, session.robot),
    ):
        opened.view.features = session.perception.names
        driver = _Driver(opened)
        guarded = guard(opened.device, session, opened.view.say)
        episode = guarded_rollout(
            session.robot,
            guarded,
            seconds=seconds,
            policy_hz=hz,
            seed=seed,
            perception=session.perception,
            world=session.world,
            subscribers=[opened.view],
            on_tick=driver.on_tick,
            stop=lambda: driver.end,
        )
        if driver.end is None:
            guarded.raise_trouble()
    return Drive(opened.device.name, robot, episode, measure_rate([episode]))


class _Driver:
    """Follows a drive, pauses it while the device is lost, and ends it."""

    def __init__(self, opened: DeviceSession) -> None:
        self._opened = opened
        self.end: EndReason | None = None

    def on_tick(self, tick: Tick) -> None:
        """Show the tick, and look for the end."""
        view, device = self._opened.view, self._opened.device
        view.follow(tick)
        self._look()
        while device.lost and self.end is None:
            view.phase, view.reason = Phase.PAUSED, device.lost
            time.sleep(_PAUSE_POLL)
            self._look()
        view.phase, view.reason = Phase.DRIVING, ""

    def _look(self) -> None:
        events = [*self._opened.keys.events(), *self._opened.device.events()]
        if TakeEvent.STOP_NOW in events or TakeEvent.STOP in events:
            self.end = EndReason.STOPPED
