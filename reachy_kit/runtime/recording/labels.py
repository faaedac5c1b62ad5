"""Labels of an episode: what a person says about it, beside what was measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpisodeLabels:
    """A person's words about one episode."""

    instruction: str
    """The task in words, LeRobot's ``task`` column."""
    operator: str = ""
    """Pseudonym of the person who demonstrated; empty without one."""
    success: bool | None = None
    """The operator's mark; None where the episode was not marked."""
