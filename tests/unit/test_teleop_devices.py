"""Devices of a person: smooth motions that begin where the robot is, and buttons that mean something."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, NEUTRAL, Observation
from reachy_kit.runtime.safety import CLASSROOM
from reachy_kit.runtime.teleop.keyboard_device import KeyboardTeleoperator
from reachy_kit.runtime.teleop.shaped_motion import GENTLE
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext, open_teleoperator

HZ = 25
ELSEWHERE = NEUTRAL + np.array([0.0, 0.0, 0.004, 0.02, -0.1, 0.3, 0.2, 0.1, -0.1])
DRIVING_KEYS = [key for keys, _ in KeyboardTeleoperator.controls[:8] for key in keys.split()]
KEYS = [
    *(key for key in DRIVING_KEYS if key != "arrows"),
    "up",
    "down",
    "left",
    "right",
    "W",
    "s-up",
    "0",
    "space",
    "?",
]


class TypedKeys:
    """Keys of a test."""

    def __init__(self):
        self.waiting = []

    def pressed(self):
        keys, self.waiting = self.waiting, []
        return keys


def drive(device, decisions, at=ELSEWHERE, before=lambda index: None):
    """(decisions, 9) targets of a robot that follows them exactly, from a pose."""
    device.reset()
    actions = []
    for index in range(decisions):
        before(index)
        observation = Observation(at, index / HZ, last_action=at)
        at = device.act(observation)
        actions.append(at)
    return np.array(actions)


@pytest.fixture
def keys():
    return TypedKeys()


@pytest.fixture
def keyboard(keys):
    return open_teleoperator("keyboard", TeleopContext("", HZ, keys=keys))


@given(st.lists(st.lists(st.sampled_from(KEYS), max_size=4), min_size=1, max_size=40))
def test_whatever_keys_are_pressed_the_motion_is_smooth_from_the_first_decision(pressed):
    keys = TypedKeys()
    device = KeyboardTeleoperator(keys, HZ)
    actions = drive(device, len(pressed), before=lambda index: keys.waiting.extend(pressed[index]))
    motion = np.vstack([ELSEWHERE, ELSEWHERE, actions])
    speed = np.diff(motion, axis=0) * HZ
    assert (np.abs(speed) <= GENTLE.speed + 1e-9).all()
    assert (motion >= CLASSROOM.low - 1e-9).all()
    assert (motion <= CLASSROOM.high + 1e-9).all()
    acceleration = np.abs(np.diff(speed, axis=0)) * HZ
    free = [ACTION_NAMES.index(f"{name}.pos") for name in ("right_antenna", "left_antenna")]
    assert (acceleration[:, free] <= GENTLE.acceleration[free] + 1e-6).all()  # the head's may brake harder at its reach


def test_an_idle_keyboard_holds_exactly(keyboard):
    np.testing.assert_array_equal(drive(keyboard, 50), np.tile(ELSEWHERE, (50, 1)))


@pytest.mark.parametrize(
    ("key", "axis", "sign"),
    [("left", "head_yaw", 1), ("right", "head_yaw", -1), ("up", "head_pitch", -1), ("down", "head_pitch", 1),
     ("q", "head_roll", -1), ("e", "head_roll", 1), ("a", "body_yaw", 1), ("d", "body_yaw", -1), ("w", "head_z", 1),
     ("s", "head_z", -1), ("t", "head_x", 1), ("g", "head_x", -1), ("f", "head_y", 1), ("h", "head_y", -1),
     ("i", "left_antenna", -1), ("k", "left_antenna", 1), ("o", "right_antenna", 1), ("l", "right_antenna", -1)],
)  # fmt: skip
def test_a_key_moves_its_axis_alone_by_one_step_and_with_shift_by_less(key, axis, sign, keyboard, keys):
    def move(pressed):
        change = drive(keyboard, 30, NEUTRAL, lambda index: keys.waiting.extend([pressed] if index == 3 else []))
        return change[-1] - NEUTRAL

    whole, fine = move(key), move(f"s-{key}" if len(key) > 1 else key.upper())
    moved = ACTION_NAMES.index(f"{axis}.pos")
    assert sign * whole[moved] > 0
    assert fine[moved] == pytest.approx(whole[moved] / 4)
    np.testing.assert_allclose(np.delete(whole, moved), 0, atol=1e-12)


def test_a_held_key_stops_the_robot_soon_after_its_last_repeat(keyboard, keys):
    actions = drive(keyboard, 60, NEUTRAL, lambda index: keys.waiting.extend(["left"] * 2 if index < 20 else []))
    yaw = actions[:, ACTION_NAMES.index("head_yaw.pos")]
    assert yaw[19] > 0.5
    assert yaw[30] == yaw[-1]  # 0.4 s later it stands
    assert np.diff(yaw).min() >= -1e-9  # and does not swing back


def test_home_and_hold(keyboard, keys):
    actions = drive(keyboard, 100, before=lambda index: keys.waiting.extend(["0"] if index == 0 else []))
    np.testing.assert_allclose(actions[-1], NEUTRAL, atol=1e-9)
    actions = drive(keyboard, 60, before=lambda index: keys.waiting.extend({0: ["0"], 3: ["space"]}.get(index, [])))
    assert np.abs(actions[-1] - NEUTRAL).max() > 0.05
    np.testing.assert_array_equal(actions[-1], actions[-20])


def test_keys_pressed_before_a_take_do_not_move_the_robot(keyboard, keys):
    keys.waiting = ["left"] * 10
    np.testing.assert_array_equal(drive(keyboard, 20), np.tile(ELSEWHERE, (20, 1)))


def test_a_keyboard_needs_a_terminal():
    with pytest.raises(WrongUseError, match="needs a terminal"):
        open_teleoperator("keyboard", TeleopContext("", HZ))


# --- gamepads: SDL's own virtual one ----------------------------------------------------------------------------------


@pytest.fixture
def gamepad(virtual_pad):
    device = open_teleoperator("gamepad", TeleopContext("", HZ))
    yield device
    device.disconnect()


def test_without_a_gamepad_it_says_so():
    with pytest.raises(WrongUseError, match="a gamepad is not connected"):
        open_teleoperator("gamepad", TeleopContext("", HZ))


def test_a_gamepad_is_chosen_by_its_name_or_number(virtual_pad):
    for choice in ("virtual", "0"):
        open_teleoperator("gamepad", TeleopContext(choice, HZ)).disconnect()
    with pytest.raises(WrongUseError, match="a gamepad 'sony' is not connected; there is Virtual"):
        open_teleoperator("gamepad", TeleopContext("sony", HZ))


@pytest.mark.parametrize(
    ("axes", "buttons", "axis", "sign"),
    [({"rightx": 1}, [], "head_yaw", -1), ({"righty": -1}, [], "head_pitch", -1), ({"leftx": -1}, [], "body_yaw", 1),
     ({"lefty": -1}, [], "head_z", 1), ({"righttrigger": 1}, [], "head_roll", 1),
     ({"lefttrigger": 1}, [], "head_roll", -1), ({}, ["dpup"], "head_x", 1), ({}, ["dpright"], "head_y", -1),
     ({"lefty": -1}, ["leftshoulder"], "left_antenna", -1), ({"righty": -1}, ["leftshoulder"], "right_antenna", 1)],
)  # fmt: skip
def test_a_stick_is_a_speed_and_lets_the_robot_stand_when_it_is_let_go(axes, buttons, axis, sign, virtual_pad, gamepad):
    def handle(index):
        if index == 0:
            virtual_pad.move(**axes)
            virtual_pad.press(*buttons)
        if index == 8:
            virtual_pad.move(**dict.fromkeys(axes, 0) | {name: -1 for name in axes if "trigger" in name})
            virtual_pad.release(*buttons)

    actions = drive(gamepad, 40, NEUTRAL, handle)
    moved = ACTION_NAMES.index(f"{axis}.pos")
    change = actions[:, moved] - NEUTRAL[moved]
    assert sign * change[7] > 0.005
    assert change[20] == change[-1]
    np.testing.assert_allclose(np.delete(actions[-1] - NEUTRAL, moved), 0, atol=1e-12)
    assert (np.abs(np.diff(actions, axis=0)) * HZ <= GENTLE.speed + 1e-9).all()


def test_a_worn_stick_and_the_slow_button(virtual_pad, gamepad):
    virtual_pad.move(rightx=0.1, righty=-0.1)
    np.testing.assert_array_equal(drive(gamepad, 20), np.tile(ELSEWHERE, (20, 1)))
    virtual_pad.move(rightx=1, righty=0)
    fast = drive(gamepad, 20, NEUTRAL)
    virtual_pad.press("rightshoulder")
    slow = drive(gamepad, 20, NEUTRAL)
    yaw = ACTION_NAMES.index("head_yaw.pos")
    assert slow[-1, yaw] < 0
    assert slow[-1, yaw] > 0.35 * fast[-1, yaw]


def test_each_button_means_one_event_once(virtual_pad, gamepad):
    meanings = {"a": TakeEvent.START, "y": TakeEvent.SUCCESS, "b": TakeEvent.FAILURE, "x": TakeEvent.REDO,
                "back": TakeEvent.DISCARD, "leftstick": TakeEvent.NEXT_TASK, "start": TakeEvent.STOP_NOW}  # fmt: skip
    assert not gamepad.events()
    for button, meaning in meanings.items():
        virtual_pad.press(button)
        assert gamepad.events() == [meaning]
        assert not gamepad.events()  # it is still held
        virtual_pad.release(button)
        assert not gamepad.events()


def test_a_gamepad_that_was_unplugged_holds_and_drives_on_from_there_when_it_returns(virtual_pad, gamepad):
    def handle(index):
        if index == 0:
            virtual_pad.move(rightx=-1)
        if index == 10:
            virtual_pad.unplug()
            assert gamepad.lost == "the gamepad is gone: plug it in, or switch it on"
            assert not gamepad.events()
        if index == 20:
            virtual_pad.plug_in()
            assert gamepad.lost is None
            virtual_pad.move(rightx=-1)

    actions = drive(gamepad, 30, NEUTRAL, handle)
    yaw = actions[:, ACTION_NAMES.index("head_yaw.pos")]
    assert yaw[9] > 0.2
    np.testing.assert_array_equal(yaw[10:20], np.full(10, yaw[10]))
    assert 0 < yaw[20] - yaw[19] < 0.03
    assert yaw[29] > yaw[19] + 0.1


def test_every_device_names_itself_and_its_controls(keys):
    for name in ("keyboard", "scripted"):
        device = open_teleoperator(name, replace(TeleopContext("", HZ, keys=keys), expert=lambda: None))
        assert device.name == name
        assert all(len(control) == 2 for control in device.controls)
