"""The recorder on the robot's own computer: takes into episode files, beside the daemon, without a desktop if need be.

It is started over SSH, and survives the connection: while the desktop is away a take continues, and the robot holds
where the desktop's device drives. A desktop that does not come back ends the session safely, with everything kept.
Try it: python -m reachy_kit.runtime.recording.on_robot.recorder_process FOLDER  (the folder of its order.json)
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.durable_files import replace_file
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.interface import CAMERA, Array, Observation, Perception, Robot
from reachy_kit.runtime.interrupts import unwind_on_signals
from reachy_kit.runtime.json_record import finite_json
from reachy_kit.runtime.perception.targets.target_kind import TargetContext
from reachy_kit.runtime.perception.targets.target_registry import target_by_name
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.on_robot.desktop_link import DesktopLink
from reachy_kit.runtime.recording.on_robot.forwarded_device import ForwardedDevice
from reachy_kit.runtime.recording.on_robot.recording_order import LOCK, ORDER, STATUS, RecordingOrder, read_order
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.recording_space import check_space
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, LiveView, Phase
from reachy_kit.runtime.recording.takes.take_session import TakeSession
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_kit.runtime.teleop.teleoperator import (
    TakeEvent,
    TeleopContext,
    Teleoperator,
    open_teleoperator,
    split_argument,
)
from reachy_kit.runtime.watchdogs.guarded_rollout import robot_watchdogs

_SHOWN_EVERY = 0.1
"""Time between two messages of what the screen shows, s."""
_NOT_SENT = {"controls", "session_controls", "error", "messages", "robot", "hz"}
"""Fields of the view that the desktop knows, or that grow."""


class PatientEvents:
    """The desktop's events; after too long without the desktop, those that end the session safely.

    Args:
        link: to the desktop.
        view: of the session.
        patience: how long to wait for the desktop, s.
    """

    def __init__(self, link: DesktopLink, view: LiveView, patience: float) -> None:
        self._link, self._view, self._patience = link, view, patience
        self.given_up = False

    def events(self) -> Sequence[TakeEvent]:
        """Events since the last call."""
        if self._link.silence < self._patience:
            return self._link.events()
        self.given_up = True
        return [TakeEvent.STOP if self._view.phase in (Phase.RECORDING, Phase.PAUSED) else TakeEvent.STOP_NOW]


def record(order: RecordingOrder, link: DesktopLink) -> int:
    """Record takes until the folder holds as many episodes as are wanted, or the session ends.

    Args:
        order: what to record.
        link: to the desktop.

    Returns:
        Episodes in the folder.

    Raises:
        KitError: the session cannot begin or continue; what was saved is kept.
    """
    config = SdkRobotConfig("127.0.0.1", order.port, camera=order.camera)

    def note(text: str) -> None:
        view.say(text)

    robot = SdkRobot(config, note=note)
    shape: Any = robot.observation_features.get(CAMERA) if order.camera else None
    layout = order.dataset_layout(robot.name, shape)
    warning = check_space(Path(order.folder), layout)
    sink = EpisodeFiles(Path(order.folder), layout)
    device = _device(order, link)
    view = LiveView(device.name, robot.name, sink.layout.policy_hz)
    view.episodes, view.wanted, view.operator = sink.episodes, order.wanted, order.operator
    view.instructions, view.features = len(order.instructions), sink.layout.environment_state
    if warning:
        view.say(f"warning: {warning}")
    labels = [EpisodeLabels(instruction, order.operator) for instruction in order.instructions]
    events = PatientEvents(link, view, order.patience)
    with _shown(view, link), connected(robot), _open(device, robot), _perception(order, robot) as perception:
        seeds = iter(range(order.first_seed, order.first_seed + order.seeds))
        takes = TakeSession(
            robot, device, EpisodeRecorder(sink, wall_clock=True), events, view, NO_SCREEN, labels, order.seconds,
            perception=perception, watchdogs=robot_watchdogs(camera=order.camera, real=True),
        )  # fmt: skip
        takes.run(seeds, order.wanted)
    if events.given_up:
        raise KitError(
            f"the desktop was away for {order.patience:.0f} s, so the session ended. A take in progress was kept as it "
            f"was. The {sink.episodes} episodes on the robot are kept; give the same command again to continue"
        )
    return sink.episodes


def main() -> None:
    """Carry out the order in a folder."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    unwind_on_signals()
    place = Path(sys.argv[1])
    with _alone(place), contextlib.ExitStack() as stack:
        order = read_order(place / ORDER)
        link = stack.enter_context(DesktopLink(order.session, order.by))
        running = {"pid": os.getpid(), "socket": str(link.path), "session": order.session, "by": order.by}
        _write_status(place, running | {"ended": False})
        end: dict[str, Any] = {"type": "end", "error": None, "exit_code": 0}
        try:
            end["episodes"] = record(order, link)
        except KitError as error:
            end |= {"error": str(error), "exit_code": error.exit_code}
        except KeyboardInterrupt:
            end |= {"error": "the recorder on the robot was stopped by a signal", "exit_code": 1}
        except Exception as error:
            end |= {"error": f"the recorder on the robot failed: {error!r}", "exit_code": 1}
            raise
        finally:
            _write_status(place, running | {"ended": True} | end)
            link.send(end)
    sys.exit(end["exit_code"])


def _device(order: RecordingOrder, link: DesktopLink) -> Teleoperator:
    if not order.teleop:
        return ForwardedDevice(link)
    name, argument = split_argument(order.teleop)
    spec = None
    with contextlib.suppress(KitError):  # a task of a file on the desktop
        spec = task_spec(str(order.layout.get("task")))
    context = TeleopContext(argument, int(order.layout["policy_hz"]), spec)
    return open_teleoperator(name, context)


class _NoPerception:
    """Perception of a robot without a camera: it yields nothing."""

    names: tuple[str, ...] = ()

    def reset(self, seed: int) -> None:
        """Do nothing."""

    def perceive(self, observation: Observation) -> Array:
        """(0,) features."""
        return np.zeros(0)


def _perception(order: RecordingOrder, robot: Robot) -> contextlib.AbstractContextManager[Perception]:
    if not order.camera:
        return contextlib.nullcontext(_NoPerception())
    target = target_by_name(order.target)
    return target.kind.open_perception(TargetContext(target.argument, robot, beside_loop=True))


@contextlib.contextmanager
def _open(device: Teleoperator, robot: Robot) -> Iterator[None]:
    try:
        device.connect(robot)
        yield
    finally:
        device.disconnect()


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Be the one recorder on this robot.

    Raises:
        RefusedError: another one runs.
    """
    with (place / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError("another recorder runs on this robot") from error
        yield


@contextlib.contextmanager
def _shown(view: LiveView, link: DesktopLink) -> Iterator[None]:
    """Send what the screen shows, from a thread of its own."""
    done = threading.Event()

    def show() -> None:
        while not done.wait(_SHOWN_EVERY):
            link.send({"type": "view"} | finite_json(_shown_values(view)))

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _shown_values(view: LiveView) -> dict[str, Any]:
    names = (field.name for field in fields(view) if field.init and not field.name.startswith("_"))
    values = {name: getattr(view, name) for name in names if name not in _NOT_SENT}
    values["said"] = len(view.messages)
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.value if isinstance(value, Enum) else value


def _write_status(place: Path, status: dict[str, Any]) -> None:
    partial = place / f"{STATUS}.partial"
    partial.write_text(json.dumps(status))
    replace_file(place / STATUS, partial)


if __name__ == "__main__":
    main()
