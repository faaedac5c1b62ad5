"""What a recording on this computer is to do: one record that its commands and its workflows pass on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import POLICY_RATES
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.workflows.inputs.session import needs_camera
from reachy_kit.workflows.inputs.session_hearing import NOT_LISTENING, Listening

if TYPE_CHECKING:
    from reachy_sim.tasks.variants import Variant

SCRIPTED = "scripted"
"""The device that needs no person."""


@dataclass(frozen=True)
class RecordingPlan:
    """What to record, and into which dataset."""

    out: Path
    """Folder of the dataset; an existing one is continued."""
    variant: "Variant"
    """Of the task."""
    robot: str = "sim"
    """``sim``, ``daemon`` or HOST[:PORT]."""
    teleop: str = SCRIPTED
    """Device that demonstrates, ``NAME`` or ``NAME:ARGUMENT``; ``scripted`` is the task's expert, which needs no
    person."""
    episodes: int = 20
    """Number that the dataset holds in the end."""
    perception: str = "auto"
    """``auto``, ``geometry`` or ``detector``."""
    target: str = BALL
    """What is looked at, as ``--target`` gives it."""
    camera: bool = False
    """Whether to keep the camera's images."""
    hz: int = 25
    """Decisions per second."""
    seed: int = 0
    """Seed of the episodes."""
    seconds: float | None = None
    """Length of a person's take, s; None = until the person stops it."""
    operator: str = ""
    """Pseudonym of the person."""
    instructions: Sequence[str] = ()
    """Tasks in words, among which the person chooses; none for the task's own."""
    listening: Listening = NOT_LISTENING
    """What is kept of the sound, and from which microphone."""

    def __post_init__(self) -> None:
        if self.hz not in POLICY_RATES:
            raise WrongUseError(f"--hz {self.hz} does not fit; there are {', '.join(map(str, POLICY_RATES))}")

    @property
    def opens_camera(self) -> bool:
        """Whether the robot's camera is needed: for the images, or for what is perceived."""
        return self.camera or needs_camera(self.robot, self.variant.task.features)
