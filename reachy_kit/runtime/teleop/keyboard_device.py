"""The terminal's keyboard as a device: each press moves the goal by a step, and held keys repeat.

Terminals send presses and repeats, never releases. The robot therefore stops by itself soon after the last press.
Try it: reachy-kit teleop keyboard --robot sim
"""

from collections.abc import Sequence

import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, NEUTRAL, Action, Observation, Robot
from reachy_kit.runtime.teleop.shaped_motion import ShapedMotion
from reachy_kit.runtime.teleop.teleoperator import Keys, TakeEvent, TeleopContext
from reachy_kit.runtime.teleop.terminal_keys import NO_TERMINAL

_ANGLE, _DISTANCE, _ANTENNA = np.deg2rad(3.0), 0.002, np.deg2rad(12.0)
"""Steps of a key, rad, m and rad. A terminal repeats about 30 times per second."""
_FINE = 0.25
"""Share of a step that a key moves together with Shift."""
_STEPS: dict[str, tuple[str, float]] = {
    "left": ("head_yaw.pos", _ANGLE),
    "right": ("head_yaw.pos", -_ANGLE),
    "up": ("head_pitch.pos", -_ANGLE),
    "down": ("head_pitch.pos", _ANGLE),
    "q": ("head_roll.pos", -_ANGLE),
    "e": ("head_roll.pos", _ANGLE),
    "a": ("body_yaw.pos", _ANGLE),
    "d": ("body_yaw.pos", -_ANGLE),
    "w": ("head_z.pos", _DISTANCE),
    "s": ("head_z.pos", -_DISTANCE),
    "t": ("head_x.pos", _DISTANCE),
    "g": ("head_x.pos", -_DISTANCE),
    "f": ("head_y.pos", _DISTANCE),
    "h": ("head_y.pos", -_DISTANCE),
    "i": ("left_antenna.pos", -_ANTENNA),
    "k": ("left_antenna.pos", _ANTENNA),
    "o": ("right_antenna.pos", _ANTENNA),
    "l": ("right_antenna.pos", -_ANTENNA),
}
_HOME, _HALT = "0", "space"


class KeyboardTeleoperator:
    """A keyboard that drives the robot.

    Args:
        keys: pressed on the terminal.
        policy_hz: decisions per second.
    """

    name = "keyboard"
    lost: str | None = None
    controls: tuple[tuple[str, str], ...] = (
        ("arrows", "look"),
        ("q e", "tilt"),
        ("a d", "turn the body"),
        ("w s", "up, down"),
        ("t g", "forward, back"),
        ("f h", "left, right"),
        ("i k", "left antenna"),
        ("o l", "right antenna"),
        ("Shift", "small steps"),
        ("0", "home"),
        ("Space", "hold"),
    )

    def __init__(self, keys: Keys, policy_hz: int) -> None:
        self._keys = keys
        self._motion = ShapedMotion(policy_hz)

    def connect(self, robot: Robot) -> None:
        """Do nothing: the terminal is open."""

    def disconnect(self) -> None:
        """Do nothing: who opened the terminal restores it."""

    def reset(self) -> None:
        """Begin a take: keys pressed before it do not count."""
        self._keys.pressed()
        self._motion.reset()

    def act(self, observation: Observation) -> Action:
        """The (9,) target after the keys since the last decision."""
        self._motion.start(observation)
        for key in self._keys.pressed():
            self._press(key)
        return self._motion.step(observation)

    def events(self) -> Sequence[TakeEvent]:
        """No events: the recording's keys belong to the screen."""
        return ()

    def _press(self, key: str) -> None:
        fine = key.startswith("s-") or (len(key) == 1 and key.isupper())
        step = _STEPS.get(key.removeprefix("s-").lower())
        if step:
            axis, size = step
            change = np.zeros(len(ACTION_NAMES))
            change[ACTION_NAMES.index(axis)] = size * (_FINE if fine else 1.0)
            self._motion.move_goal(change)
        elif key == _HOME:
            self._motion.set_goal(NEUTRAL)
        elif key == _HALT:
            self._motion.halt()


def open_device(context: TeleopContext) -> KeyboardTeleoperator:
    """The terminal's keyboard.

    Raises:
        WrongUseError: there is not a terminal.
    """
    if context.keys is None:
        raise WrongUseError(NO_TERMINAL)
    return KeyboardTeleoperator(context.keys, context.policy_hz)
