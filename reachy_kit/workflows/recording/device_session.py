"""A device and the terminal's keys, open beside a robot's session.

Try it: reachy-kit teleop keyboard --robot sim
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reachy_kit.runtime.recording.takes.live_view import LiveView, SessionScreen
from reachy_kit.runtime.recording.takes.take_keys import TakeKeys
from reachy_kit.runtime.teleop.teleoperator import TeleopContext, Teleoperator, open_teleoperator, split_argument
from reachy_kit.runtime.teleop.terminal_keys import has_terminal, terminal_keys

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Policy, Robot
    from reachy_sim.tasks.variants import Variant


@dataclass(frozen=True)
class DeviceSession:
    """A device that is open, the keys, and what the screen shows."""

    device: Teleoperator
    keys: TakeKeys
    view: LiveView


@contextlib.contextmanager
def open_device_session(
    teleop: str,
    robot: str,
    hz: int,
    variant: "Variant | None",
    screen: SessionScreen,
    session_controls: tuple[tuple[str, str], ...],
) -> Iterator[DeviceSession]:
    """Open the terminal, a device and the screen; whatever ends the block, the terminal is restored.

    Args:
        teleop: ``NAME`` or ``NAME:ARGUMENT``.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        hz: decisions per second.
        variant: of the task; None where there is none.
        screen: shows the session.
        session_controls: keys of the session, for the screen.

    Yields:
        The device, not yet connected.

    Raises:
        WrongUseError: the device does not exist, or needs a terminal.
        MissingPackageError: a package is not installed that it needs.
    """
    name, argument = split_argument(teleop)
    with contextlib.ExitStack() as stack:
        keys = TakeKeys(stack.enter_context(terminal_keys()) if has_terminal() else None)
        context = TeleopContext(
            argument=argument,
            policy_hz=hz,
            task=variant.task.spec if variant else None,
            keys=keys if has_terminal() else None,
            expert=_expert(variant, hz),
        )
        device = open_teleoperator(name, context)
        view = LiveView(name, robot, hz, device.controls, session_controls if has_terminal() else ())
        view.error = variant.task.spec.error if variant else None
        stack.enter_context(screen.open(view))
        yield DeviceSession(device, keys, view)


@contextlib.contextmanager
def connected_device(device: Teleoperator, robot: "Robot") -> Iterator[None]:
    """A device that is closed at the end, whatever ends the block."""
    try:
        device.connect(robot)
        yield
    finally:
        device.disconnect()


def _expert(variant: "Variant | None", hz: int) -> "Callable[[], Policy] | None":
    if variant is None:
        return None
    name = variant.task.name

    def open_expert() -> "Policy":
        from reachy_sim.tasks import single_expert_policy

        return single_expert_policy(name, hz, 0)

    return open_expert
