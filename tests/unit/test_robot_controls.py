"""The controls of a recorder on the robot: which of its messages and which keys start a take there."""

import pytest

from reachy_kit.runtime.interface import NEUTRAL
from reachy_kit.runtime.recording.takes.live_view import LiveView, Phase
from reachy_kit.runtime.teleop.teleoperator import TakeEvent
from reachy_kit.workflows.recording.device_session import DeviceSession
from reachy_kit.workflows.recording.robot_controls import TakeControls

START = {"type": "event", "event": TakeEvent.START.value}


def ready(said):
    """What the recorder sends while it waits for a take, after so many lines about those before."""
    return {
        "type": "view", "phase": Phase.READY.value, "reason": "", "instruction": "Look.", "instructions": 1,
        "operator": "", "seconds": 0.0, "decisions": 0, "task_error": None, "episodes": 0, "features": [],
        "state": NEUTRAL.tolist(), "action": NEUTRAL.tolist(), "environment_state": None, "said": said,
        "last": "take 7 was not kept: the camera has stopped. Record it again" if said else "",
    }  # fmt: skip


class Recorder:
    """A line to a recorder that says what the test wants, one message for each look, and notes what arrives."""

    cut = False

    def __init__(self, *says):
        self.says, self.received = [*says, {"type": "end", "ended": True}], []

    def messages(self, within):
        return [self.says.pop(0)]

    def send(self, message):
        self.received.append(message)

    def keep_alive(self): ...

    def close(self): ...


class Keys:
    """Keys of a person who asks for a take whenever it is looked."""

    def __init__(self, *wants):
        self.wants = wants

    def events(self):
        return self.wants


@pytest.mark.parametrize("automatic", [True, False], ids=["by itself", "by a person"])
def test_a_take_too_short_to_be_shown_is_started_again_once(automatic):
    recorder = Recorder(ready(0), ready(0), ready(1), ready(1))
    keys = Keys() if automatic else Keys(TakeEvent.START)
    opened = DeviceSession(None, keys, LiveView("scripted", "robot", 25))
    assert TakeControls(recorder, opened, None, 0, automatic=automatic).run(None) == {"type": "end", "ended": True}
    assert recorder.received == [START, START]
