"""Any controller that SDL knows as a device: sticks are speeds, so that the robot stops when they are let go.

No window and no desktop are needed. A pad that was unplugged, or whose battery is empty, is opened again when it
returns. Try it: reachy-kit teleop gamepad --robot sim
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import MissingPackageError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, Action, Array, Observation, Robot
from reachy_kit.runtime.teleop.shaped_motion import GENTLE, ShapedMotion
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext

DEAD_ZONE = 0.15
"""Share of a stick's way that does nothing: worn sticks rest there."""
_FULL = 32767
"""An axis at its end. Source: SDL_GameControllerGetAxis."""
_SLOW = 0.25
"""Share of the speed while the right shoulder button is held."""
_BUTTONS = {
    "A": TakeEvent.START,
    "Y": TakeEvent.SUCCESS,
    "B": TakeEvent.FAILURE,
    "X": TakeEvent.REDO,
    "BACK": TakeEvent.DISCARD,
    "LEFTSTICK": TakeEvent.NEXT_TASK,
    "START": TakeEvent.STOP_NOW,
}
"""Names as in SDL, after an Xbox controller; on others the buttons of the same places."""


class GamepadTeleoperator:
    """A gamepad that drives the robot.

    Args:
        policy_hz: decisions per second.
        choice: part of the name of the pad, or its number from 0; empty for the first.

    Raises:
        WrongUseError: there is not such a pad.
        MissingPackageError: pygame-ce is not installed.
    """

    name = "gamepad"
    controls: tuple[tuple[str, str], ...] = (
        ("right stick", "look"),
        ("left stick", "turn the body, up and down"),
        ("triggers", "tilt"),
        ("cross", "forward, back, left, right"),
        ("LB + sticks", "antennas"),
        ("RB", "slowly"),
        ("A", "start, stop and keep"),
        ("Y B", "keep as success, failure"),
        ("X", "redo"),
        ("Back", "discard"),
        ("click left stick", "next task"),
        ("Start", "end the session"),
    )

    def __init__(self, policy_hz: int, choice: str = "") -> None:
        self._sdl, self._controllers = _open_sdl()
        self._hz, self._choice = policy_hz, choice
        self._motion = ShapedMotion(policy_hz)
        self._pad: Any = self._open()
        if self._pad is None:
            raise WrongUseError(self._missing())

    @property
    def lost(self) -> str | None:
        """Why it cannot drive now; it is looked for again each time."""
        self._sdl.event.pump()
        if self._pad is not None and not self._pad.attached():
            self._pad = None
            self._motion.reset()  # continue where the robot holds
        if self._pad is None:
            self._pad = self._open()
        return None if self._pad is not None else "the gamepad is gone: plug it in, or switch it on"

    def connect(self, robot: Robot) -> None:
        """Do nothing: the pad is open."""

    def disconnect(self) -> None:
        """Close the pad."""
        if self._pad is not None:
            self._pad.quit()
            self._pad = None

    def reset(self) -> None:
        """Begin a take."""
        self._motion.reset()

    def act(self, observation: Observation) -> Action:
        """The (9,) target that the sticks lead to."""
        self._motion.start(observation)
        if self.lost is None:
            self._motion.move_goal(self._velocity() * GENTLE.speed / self._hz)
        return self._motion.step(observation)

    def events(self) -> Sequence[TakeEvent]:
        """Buttons pressed since the last call."""
        happened = self._sdl.event.get()  # all of them: the queue must not run full, and a short tap counts
        if self.lost is not None:
            return ()
        pressed = [event.button for event in happened if event.type == self._sdl.CONTROLLERBUTTONDOWN]
        meanings = {getattr(self._sdl, f"CONTROLLER_BUTTON_{name}"): meaning for name, meaning in _BUTTONS.items()}
        return [meanings[button] for button in pressed if button in meanings]

    def _velocity(self) -> Array:
        """(9,) wanted speeds as shares of the fastest."""
        left_x, left_y = self._stick("LEFT")
        right_x, right_y = self._stick("RIGHT")
        shares = dict.fromkeys(ACTION_NAMES, 0.0)
        if self._button("LEFTSHOULDER"):  # up is forward on the stick, and raises an antenna
            shares["left_antenna.pos"], shares["right_antenna.pos"] = left_y, -right_y
        else:
            shares["head_yaw.pos"], shares["head_pitch.pos"] = -right_x, right_y
            shares["body_yaw.pos"], shares["head_z.pos"] = -left_x, -left_y
        shares["head_roll.pos"] = self._axis("TRIGGERRIGHT") - self._axis("TRIGGERLEFT")
        shares["head_x.pos"] = float(self._button("DPAD_UP")) - float(self._button("DPAD_DOWN"))
        shares["head_y.pos"] = float(self._button("DPAD_LEFT")) - float(self._button("DPAD_RIGHT"))
        return np.array(list(shares.values())) * (_SLOW if self._button("RIGHTSHOULDER") else 1.0)

    def _stick(self, side: str) -> tuple[float, float]:
        """Right and down, each from -1 to 1, outside the dead zone and finer near it."""
        x, y = self._axis(f"{side}X"), self._axis(f"{side}Y")
        length = float(np.hypot(x, y))
        if length <= DEAD_ZONE:
            return 0.0, 0.0
        beyond = min((length - DEAD_ZONE) / (1 - DEAD_ZONE), 1.0)
        return x / length * beyond**2, y / length * beyond**2

    def _axis(self, name: str) -> float:
        share = self._pad.get_axis(getattr(self._sdl, f"CONTROLLER_AXIS_{name}")) / _FULL
        return 0.0 if name.startswith("TRIGGER") and share < DEAD_ZONE else float(share)

    def _button(self, name: str) -> bool:
        return bool(self._pad.get_button(getattr(self._sdl, f"CONTROLLER_BUTTON_{name}")))

    def _open(self) -> Any:
        """The pad of the choice; None if it is not there."""
        self._sdl.event.pump()
        for number in range(self._sdl.joystick.get_count()):
            if not self._controllers.is_controller(number):
                continue
            pad = self._controllers.Controller(number)
            if self._choice in ("", str(number)) or self._choice.lower() in pad.name.lower():
                return pad
            pad.quit()
        return None

    def _missing(self) -> str:
        count = self._sdl.joystick.get_count()
        names = [self._sdl.joystick.Joystick(number).get_name() for number in range(count)]
        wanted = f"a gamepad {self._choice!r}" if self._choice else "a gamepad"
        if not names:
            return f"{wanted} is not connected. Plug it in, or pair it, and press a button on it"
        return (
            f"{wanted} is not connected; there is {', '.join(names)}. SDL has to know its buttons: give them in "
            "SDL_GAMECONTROLLERCONFIG"
        )


def open_device(context: TeleopContext) -> GamepadTeleoperator:
    """The gamepad of ``gamepad``, ``gamepad:NUMBER`` or ``gamepad:PART_OF_ITS_NAME``.

    Raises:
        WrongUseError: there is not such a pad.
        MissingPackageError: pygame-ce is not installed.
    """
    return GamepadTeleoperator(context.policy_hz, context.argument)


def _open_sdl() -> tuple[Any, Any]:
    """SDL without a window: pygame and its module of controllers."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would print on standard output
    try:
        import pygame
        from pygame._sdl2 import controller
    except ModuleNotFoundError as error:
        raise MissingPackageError("pygame-ce, which reads gamepads, is missing", "teleop") from error
    driver = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"  # events need a video system; this one needs neither screen nor keyboard
    try:
        pygame.display.init()
    finally:
        if driver is None:
            del os.environ["SDL_VIDEODRIVER"]
        else:
            os.environ["SDL_VIDEODRIVER"] = driver
    pygame.joystick.init()
    controller.init()
    return pygame, controller
