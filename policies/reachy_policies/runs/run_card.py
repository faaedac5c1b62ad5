"""A run's card: training, data and results, for programs and for people."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reachy_kit.runtime.recording.schema import ROBOT_TYPE
from reachy_kit.runtime.shell_command import portable_command
from reachy_kit.runtime.tasks.task_registry import task_argument

LICENSE = "apache-2.0"
"""Licence on the Hub, as LeRobot's own cards have it; whose demonstrations it learned from may choose another."""
_HUB_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,90}[A-Za-z0-9])?")


@dataclass(frozen=True)
class RunCard:
    """Provenance and results of a run."""

    task: str
    policy: str
    """LeRobot's name of the policy's kind."""
    policy_hz: int
    control_hz: int
    environment_state: tuple[str, ...]
    """Names of its perception's features, in order. The policy takes them if they are among its ``inputs``."""
    environment_state_units: tuple[str, ...]
    method: str
    """Method: imitation, ppo, scratch, residual, bc-continue, filtered-bc or dagger."""
    seed: int
    steps: int
    """Step or iteration whose weights were kept."""
    seconds: float
    """Wall time of this training, s."""
    versions: dict[str, str]
    inputs: dict[str, list[int]] = field(default_factory=dict)
    """Observations that the policy takes: LeRobot's key → shape. Written with the run."""
    dataset: str = ""
    """Names of the datasets' folders, separated by commas; empty where nothing was imitated."""
    dataset_sha256: str = ""
    """SHA-256 over each dataset's layout and the numbers of its frames, in the same order."""
    episodes: int = 0
    held_out: list[int] = field(default_factory=list)
    held_out_loss: float | None = None
    held_out_position_error: float | None = None
    """Mean error of the head's planned position on held-out episodes, m."""
    held_out_angle_error: float | None = None
    """Mean error of the planned angles on held-out episodes, rad."""
    start: str = ""
    """Name of the run that it was improved from."""
    start_sha256: str = ""
    """SHA-256 of that run's weights."""
    start_seconds: float = 0.0
    """Wall time of the trainings before it, s."""
    tier: str = ""
    """Simulator's tier of reinforcement learning."""
    variant: str = ""
    env_steps: int = 0
    """Number of decisions of all environments together."""
    settings: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    """Results of the kept weights on the episodes that selected them; the error in the unit of ``error_heading``."""
    error_heading: str = ""
    """Name and unit of the task's error."""

    @property
    def instruction(self) -> str:
        """The task in words."""
        return str(self.settings.get("instruction", self.task))

    @property
    def total_seconds(self) -> float:
        """Wall time of this training and of those that it builds on, s."""
        return self.start_seconds + self.seconds

    def provenance(self) -> dict[str, Any]:
        """Everything, for a bundle and for programs."""
        return asdict(self)

    def markdown(self) -> str:
        """Policy card for people, with the metadata that the Hub reads."""
        rows = [
            ("task", f"{self.task}: {self.instruction}"),
            ("robot", ROBOT_TYPE),
            ("method", self.method),
            ("policy", f"{self.policy}, {self.policy_hz} decisions per second"),
            ("inputs", ", ".join(f"`{name}` {shape}" for name, shape in self.inputs.items())),
            ("improved from", self.start),
            ("demonstrations", f"{self.episodes} episodes of {self.dataset}" if self.dataset else ""),
            (
                "simulator",
                f"{self.tier} tier, variant {self.variant}, {self.env_steps:,} decisions" if self.env_steps else "",
            ),
            ("training", f"{self.seconds:.0f} s, {self.total_seconds:.0f} s with what it builds on; seed {self.seed}"),
            *(
                (self.error_heading if name == "error" else name.replace("_", " "), f"{value:.4g}")
                for name, value in self.result.items()
                if value is not None
            ),
        ]
        table = "\n".join(f"| {name} | {value} |" for name, value in rows if value)
        return (
            f"---\n{_front_matter(self._hub_metadata())}---\n\n"
            f"# {self.task}, by {self.method}\n\n"
            f"| | |\n|---|---|\n{table}\n\n"
            "These results are from the episodes that selected the weights, so they are too good. Evaluate on others, "
            f"in this folder:\n`{portable_command('eval', '.', task=self._task_argument(), episodes=200)}`.\n\n"
            "The folder `pretrained_model` is complete by itself: LeRobot loads it with `from_pretrained`, reachy-kit\n"
            "as a run. Before you share the policy, replace names that begin with `local/`, which are folders of the\n"
            "computer that trained it, by their names on the Hub, and check that the licence is yours to give.\n\n"
            "Trained for a Reachy Mini under reachy_kit's limiter. It does not know of people and must not run without "
            "the limiter.\n"
        )

    def _task_argument(self) -> str:
        """What ``--task`` takes on another computer: the task's name, or the name of its file without the folder."""
        return Path(task_argument(self.task)).name

    def _hub_metadata(self) -> dict[str, Any]:
        """Metadata by the Hub's names; empty values are left out."""
        return {
            "license": LICENSE,
            "library_name": "lerobot",
            "pipeline_tag": "robotics",
            "tags": ["robotics", "lerobot", ROBOT_TYPE, "reachy_kit", self.policy],
            "datasets": [name for folder in self.dataset.split(", ") for name in _hub_names(folder)],
            "base_model": _hub_names(self.start),
            "robot_type": ROBOT_TYPE,
        }


def _hub_names(folder: str) -> list[str]:
    """A folder's name as LeRobot calls what is on this computer; none if the Hub would refuse the name."""
    return [f"local/{folder}"] if _HUB_NAME.fullmatch(folder) and not re.search(r"--|\.\.", folder) else []


def _front_matter(metadata: Mapping[str, str | Sequence[str]]) -> str:
    """Metadata as YAML; JSON's strings and lists are YAML too."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in metadata.items() if value)
