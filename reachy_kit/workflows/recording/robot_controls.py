"""The controls of a recorder on the robot: its state is shown here, and what the person and the device want is sent."""

import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from reachy_kit.deploy.recorder_client import RecorderClient
from reachy_kit.deploy.robot_shell import RobotShell
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CONTROL_HZ, Observation
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.recording.takes.live_view import LiveView, Phase
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, Teleoperator
from reachy_kit.workflows.recording.device_session import DeviceSession

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Action, Array

_LYING_DOWN = 8.0
"""Longest wait for the robot to lie down after Ctrl-C, s."""
_POLL = 0.02
"""Longest wait for a message before the keys are looked at, s."""


class TakeControls:
    """The person's controls of a recorder that runs on the robot.

    Args:
        client: connected to it.
        opened: device, keys and view.
        device: the desktop's, which drives; None where the robot's own does.
        offset: episodes of the dataset that the robot does not have.
        automatic: whether takes start by themselves.
    """

    def __init__(
        self,
        client: RecorderClient,
        opened: DeviceSession,
        device: Teleoperator | None,
        offset: int,
        *,
        automatic: bool,
    ) -> None:
        self._client, self._opened, self._device = client, opened, device
        self._offset, self._automatic = offset, automatic
        self._take: int | None = None
        self._said = 0
        self._lost: str | None = None
        self._asked = False

    def run(self, shell: RobotShell) -> dict[str, Any]:
        """Work until the recorder ends; returns its last message.

        Raises:
            ConnectionCut: the connection was cut.
        """
        try:
            while not self._client.cut:
                self._client.keep_alive()
                self._send_events()
                for message in self._client.messages(within=_POLL):
                    if message.get("type") == "end":
                        return message
                    self._receive(message)
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            self._client.close()
        shell.run("true")  # raises if the connection is gone; otherwise the recorder is
        return {"ended": False}

    def _stop(self) -> None:
        """End the session on the robot at once, and wait until the robot lies down."""
        self._send(TakeEvent.STOP_NOW)
        deadline = time.monotonic() + _LYING_DOWN
        with interrupts_held_back():
            while not self._client.cut and time.monotonic() < deadline:
                if any(message.get("type") == "end" for message in self._client.messages(within=_POLL)):
                    return

    def _receive(self, message: dict[str, Any]) -> None:
        if message.get("type") == "view":
            self._show(message)
        elif message.get("type") == "observation" and self._device is not None:
            self._drive(self._device, message)

    def _drive(self, device: Teleoperator, message: dict[str, Any]) -> None:
        if message["take"] != self._take:
            self._take = message["take"]
            device.reset()
        observation = Observation(
            np.array(message["state"]),
            message["time"],
            environment_state=np.array(message["environment_state"]),
            last_action=np.array(message["last_action"]),
        )
        target = device.act(observation)
        self._client.send({"type": "target", "take": self._take, "target": np.asarray(target).tolist()})

    def _send_events(self) -> None:
        device = self._device
        for event in itertools.chain(self._opened.keys.events(), device.events() if device else ()):
            if event is not TakeEvent.START or self._opened.view.phase is not Phase.READY or not self._asked:
                self._send(event)
            self._asked = event is TakeEvent.START  # a device may ask at each look; twice would stop the take
        if device and device.lost != self._lost:
            self._lost = device.lost
            self._client.send({"type": "device", "lost": self._lost})

    def _send(self, event: TakeEvent) -> None:
        self._client.send({"type": "event", "event": event.value})

    def _show(self, message: dict[str, Any]) -> None:
        view: LiveView = self._opened.view
        could_start = _can_start(view)
        for name in ("reason", "instruction", "instructions", "operator", "seconds", "decisions", "task_error"):
            setattr(view, name, message[name])
        view.phase, view.episodes = Phase(message["phase"]), message["episodes"] + self._offset
        view.features = tuple(message["features"])
        view.state, view.action = np.array(message["state"]), np.array(message["action"])
        features = message["environment_state"]
        view.environment_state = None if features is None else np.array(features)
        spoke = message["said"] != self._said
        if spoke:
            self._said = message["said"]
            if message["last"]:
                view.say(message["last"])
        # A take shorter than the time between two messages shows no other phase, but the robot says what became of it.
        self._asked = self._asked and _can_start(view) and not spoke
        if self._automatic and _can_start(view) and (spoke or not could_start):
            self._send(TakeEvent.START)


def _can_start(view: LiveView) -> bool:
    """Whether the robot stands and waits for a take, and nothing is wrong."""
    return view.phase is Phase.READY and not view.reason


class FarRobot:
    """The robot at the other end, as a device of the desktop sees it: named, and out of reach.

    Args:
        name: of the robot.
    """

    control_hz = CONTROL_HZ

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def observation_features(self) -> dict[str, type | tuple[int, ...]]:
        """None: observations arrive with the recorder's messages."""
        return {}

    @property
    def action_features(self) -> dict[str, type]:
        """None."""
        return {}

    def connect(self) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Do nothing."""

    def reset(self, pose: "Array") -> None:
        """Not from here.

        Raises:
            KitError: always.
        """
        raise self._out_of_reach()

    def get_observation(self) -> Observation:
        """Not from here.

        Raises:
            KitError: always.
        """
        raise self._out_of_reach()

    def send_action(self, action: "Action") -> "Action":
        """Not from here.

        Raises:
            KitError: always.
        """
        raise self._out_of_reach()

    def wait_next_tick(self) -> None:
        """Do nothing."""

    def _out_of_reach(self) -> KitError:
        return KitError(f"this device drives the robot itself, which {self.name} does not allow from here")
