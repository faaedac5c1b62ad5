"""A run's card: training, data and results, for programs and for people."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunCard:
    """Provenance and results of a run."""

    task: str
    policy: str
    """LeRobot's name of the policy's kind."""
    policy_hz: int
    control_hz: int
    environment_state: tuple[str, ...]
    """Names of the features that the policy takes."""
    environment_state_units: tuple[str, ...]
    method: str
    """Method: imitation, ppo, scratch, residual, bc-continue, filtered-bc or dagger."""
    seed: int
    steps: int
    """Step or iteration whose weights were kept."""
    seconds: float
    """Wall time of this training, s."""
    versions: dict[str, str]
    dataset: str = ""
    """Folder of the dataset; empty where nothing was imitated."""
    dataset_sha256: str = ""
    """SHA-256 over the dataset's tables and its layout."""
    episodes: int = 0
    held_out: list[int] = field(default_factory=list)
    held_out_loss: float | None = None
    held_out_position_error: float | None = None
    """Mean error of the head's planned position on held-out episodes, m."""
    held_out_angle_error: float | None = None
    """Mean error of the planned angles on held-out episodes, rad."""
    start: str = ""
    """Folder of the run that it was improved from."""
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
    def dataset_path(self) -> Path:
        """Folder of the dataset."""
        return Path(self.dataset)

    @property
    def total_seconds(self) -> float:
        """Wall time of this training and of those that it builds on, s."""
        return self.start_seconds + self.seconds

    def provenance(self) -> dict[str, Any]:
        """Provenance for a bundle: names and hashes, without folders of the training computer."""
        names = {"dataset": self.dataset_path.name, "start": Path(self.start).name}
        return {**asdict(self), **names}

    def markdown(self) -> str:
        """Policy card for people, as the Hub shows it."""
        rows = [
            ("task", self.task),
            ("method", self.method),
            ("policy", f"{self.policy}, {self.policy_hz} decisions per second"),
            ("improved from", Path(self.start).name),
            ("demonstrations", f"{self.episodes} episodes of {self.dataset_path.name}" if self.dataset else ""),
            (
                "simulator",
                f"{self.tier} tier, variant {self.variant}, {self.env_steps:,} decisions" if self.env_steps else "",
            ),
            ("training", f"{self.seconds:.0f} s, {self.total_seconds:.0f} s with what it builds on; seed {self.seed}"),
            *(
                (self.error_heading if name == "error" else name.replace("_", " "), f"{value:.4g}")
                for name, value in self.result.items()
            ),
        ]
        table = "\n".join(f"| {name} | {value} |" for name, value in rows if value)
        return (
            "---\nlibrary_name: lerobot\ntags: [robotics, reachy-mini, reachy_kit]\n---\n\n"
            f"# {self.task}, by {self.method}\n\n"
            f"| | |\n|---|---|\n{table}\n\n"
            "These results are from the episodes that selected the weights, so they are too good. Evaluate on others:\n"
            f"`reachy-kit eval RUN --task {self.task} --episodes 200`.\n\n"
            "Trained for a Reachy Mini under reachy_kit's limiter. It does not know of people and must not run without "
            "the limiter.\n"
        )
