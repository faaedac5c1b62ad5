"""The task's scripted expert as a device: it demonstrates without a person.

Try it: reachy-kit record --task look_at --teleop scripted --out data/look_at
"""

from collections.abc import Sequence

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Action, Observation, Policy, Robot
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext


class ScriptedTeleoperator:
    """An expert that is a device.

    Args:
        expert: decides.
    """

    name = "scripted"
    controls: tuple[tuple[str, str], ...] = ()
    lost: str | None = None

    def __init__(self, expert: Policy) -> None:
        self._expert = expert

    def connect(self, robot: Robot) -> None:
        """Do nothing: a script needs no device."""

    def disconnect(self) -> None:
        """Do nothing."""

    def reset(self) -> None:
        """Forget the take before."""
        self._expert.reset()

    def act(self, observation: Observation) -> Action:
        """The expert's (9,) target."""
        return self._expert.act(observation)

    def events(self) -> Sequence[TakeEvent]:
        """No events: it has no buttons."""
        return ()


def open_device(context: TeleopContext) -> ScriptedTeleoperator:
    """The expert of the context's task.

    Raises:
        WrongUseError: the task has no expert here.
    """
    if context.expert is None:
        raise WrongUseError("--teleop scripted needs a task of the simulator, whose expert demonstrates")
    return ScriptedTeleoperator(context.expert())
