"""The line between the recorder on the robot and a desktop: what arrives, what silence does, who may connect."""

import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, Observation
from reachy_kit.runtime.recording.on_robot import desktop_link, forwarded_device
from reachy_kit.runtime.recording.on_robot.desktop_link import DesktopLink
from reachy_kit.runtime.recording.on_robot.forwarded_device import ForwardedDevice
from reachy_kit.runtime.recording.on_robot.recorder_process import PatientEvents
from reachy_kit.runtime.recording.on_robot.recording_order import RecordingOrder, order_text, read_order
from reachy_kit.runtime.recording.takes.live_view import LiveView, Phase
from reachy_kit.runtime.teleop.teleoperator import TakeEvent

HELD = NEUTRAL + 0.1
OBSERVATION = Observation(NEUTRAL, 1.0, environment_state=np.zeros(0), last_action=HELD)


class Desktop:
    """A desktop's end of the line."""

    def __init__(self, link):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(link.path))
        self._socket.settimeout(10)
        self._file = self._socket.makefile("rb")

    def send(self, **message):
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def raw(self, content):
        self._socket.sendall(content)

    def receive(self):
        line = self._file.readline()
        return json.loads(line) if line else None

    def close(self):
        self._file.close()
        self._socket.close()


@pytest.fixture
def link():
    with DesktopLink("look_at-1234", "anna@desk") as link:
        yield link


@pytest.fixture
def connect(link):
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Desktop(link)))


def until(condition):
    deadline = time.monotonic() + 60
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return result


def test_events_arrive_in_order_and_nonsense_is_left_out(link, connect):
    desktop = connect()
    assert desktop.receive() == {"type": "hello", "session": "look_at-1234", "by": "anna@desk", "busy": False}
    desktop.send(type="event", event="start")
    for content in (b"\n", b"{\n", b"[]\n", b'{"type": "event", "event": "dance"}\n', b'{"type": 5}\n', b"\xff\n"):
        desktop.raw(content)
    desktop.send(type="event", event="redo")
    arrived = []
    until(lambda: arrived.extend(link.events()) or len(arrived) == 2)
    assert arrived == [TakeEvent.START, TakeEvent.REDO]


def test_a_target_drives_for_as_long_as_it_is_fresh(link, connect, monkeypatch):
    desktop, device = connect(), ForwardedDevice(link)
    desktop.receive()
    device.reset()
    np.testing.assert_array_equal(device.act(OBSERVATION), HELD)  # nothing has arrived yet
    seen = desktop.receive()
    assert (seen["type"], seen["take"], seen["last_action"]) == ("observation", 1, HELD.tolist())
    target = (NEUTRAL + 0.2).tolist()
    desktop.send(type="target", take=1, target=target)
    until(lambda: link.target)
    np.testing.assert_array_equal(device.act(OBSERVATION), target)
    monkeypatch.setattr(forwarded_device, "WATCHDOG", 0.0)  # silence
    np.testing.assert_array_equal(device.act(OBSERVATION), HELD)


@pytest.mark.parametrize(
    "message",
    [
        {"take": 0, "target": NEUTRAL.tolist()},  # of the take before
        {"take": 1, "target": [0.0] * 8},
        {"take": 1, "target": [float("nan")] * 9},
    ],
)
def test_a_target_that_does_not_fit_moves_nothing(link, connect, message):
    desktop, device = connect(), ForwardedDevice(link)
    device.reset()
    desktop.send(type="target", **message)
    until(lambda: link.target)
    np.testing.assert_array_equal(device.act(OBSERVATION), HELD)


def test_a_device_that_the_desktop_loses_pauses_the_take(link, connect, monkeypatch):
    desktop, device = connect(), ForwardedDevice(link)
    desktop.send(type="device", lost="the controller was unplugged")
    assert until(lambda: device.lost) == "the controller was unplugged"
    desktop.send(type="device", lost=None)
    until(lambda: device.lost is None)


def test_a_desktop_that_connects_again_begins_without_the_lost_device_of_before(link, connect, monkeypatch):
    desktop, device = connect(), ForwardedDevice(link)
    desktop.send(type="target", take=0, target=NEUTRAL.tolist())
    desktop.send(type="device", lost="the controller was unplugged")
    until(lambda: device.lost)
    desktop.close()
    monkeypatch.setattr(desktop_link, "SILENT_AFTER", 0.0)
    assert connect().receive()["busy"] is False
    monkeypatch.undo()
    assert device.lost is None
    assert link.target is None


def test_one_desktop_at_a_time_and_a_silent_one_gives_way(link, connect, monkeypatch):
    first = connect()
    assert first.receive()["busy"] is False
    second = connect()
    assert second.receive()["busy"] is True
    assert second.receive() is None
    monkeypatch.setattr(desktop_link, "SILENT_AFTER", 0.0)
    third = connect()
    assert third.receive()["busy"] is False
    third.send(type="event", event="stop")
    assert until(link.events) == [TakeEvent.STOP]
    with contextlib.suppress(OSError):  # the first one may be closed already
        first.send(type="event", event="stop now")
    assert link.events() == []


def test_a_desktop_that_reads_nothing_never_holds_up_the_loop(link, connect):
    desktop = connect()
    until(lambda: link.silence < 10)
    assert desktop.receive()["type"] == "hello"
    began = time.monotonic()
    for _ in range(5000):
        link.send({"type": "view", "text": "x" * 1000})
    link.send({"type": "end"})
    assert time.monotonic() - began < 30
    while (message := desktop.receive())["type"] != "end":  # the last message is not the one that is dropped
        assert message["type"] == "view"


@pytest.mark.parametrize(
    ("phase", "event"),
    [(Phase.RECORDING, TakeEvent.STOP), (Phase.PAUSED, TakeEvent.STOP), (Phase.READY, TakeEvent.STOP_NOW)],
)
def test_a_desktop_that_stays_away_ends_the_session_and_keeps_the_take(link, phase, event):
    view = LiveView("hand", "robot", 25)
    view.phase = phase
    patient = PatientEvents(link, view, patience=1000.0)
    assert patient.events() == []
    assert not patient.given_up
    impatient = PatientEvents(link, view, patience=0.0)
    assert impatient.events() == [event]
    assert impatient.given_up


def test_the_socket_is_only_this_users_and_goes_with_the_link():
    before = threading.active_count()
    with DesktopLink("a", "b") as link:
        assert link.path.parent.stat().st_mode & 0o077 == 0
        assert len(str(link.path)) < 100
    assert not link.path.parent.exists()
    until(lambda: threading.active_count() <= before)


def test_an_order_is_read_as_it_was_given(tmp_path):
    layout = {"task": "look_at", "instruction": "Look.", "environment_state": ["right"], "policy_hz": 25}
    layout["environment_state_units"] = ["rad"]
    order = RecordingOrder(
        "data-1", "anna@desk", "/home/pollen/data", layout, True, 3, 1_000_000, 50, ["Look."], "anna", None, "hand",
        "ball",
    )  # fmt: skip
    path = tmp_path / "order.json"
    path.write_text(order_text(order))
    assert read_order(path) == order
    stored = order.dataset_layout("localhost:8000", (720, 1280, 3))
    assert (stored.environment_state, stored.image_shape) == (("right",), (720, 1280, 3))
    for damaged in ("{}", "[]", "{", order_text(order).replace('"wanted": 3', '"wanted": "3"')):
        path.write_text(damaged)
        with pytest.raises(WrongUseError, match=r"order\.json is not an order of this version"):
            read_order(path)
