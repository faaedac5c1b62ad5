"""Commands that mend what a check has found."""

from collections.abc import Iterable
from pathlib import Path

from reachy_kit.dataset.dataset_index import index_runs
from reachy_kit.runtime.shell_command import compose_command


def drop_command(root: Path, episodes: Iterable[int]) -> str:
    """The command that drops episodes of a dataset."""
    return compose_command("dataset drop", root, episode_ranges(episodes))


def trim_command(root: Path, episodes: Iterable[int]) -> str:
    """The command that trims the rest at the beginning and the end of some episodes."""
    return compose_command("dataset trim", root, episodes=episode_ranges(episodes))


def label_command(root: Path) -> str:
    """The command that says in words what the unlabelled episodes of a dataset show."""
    return compose_command("dataset check", root, fix=True, instruction="TEXT")


def fix_command(root: Path) -> str:
    """The command that mends what can be mended without loss."""
    return compose_command("dataset check", root, fix=True)


def episode_ranges(episodes: Iterable[int]) -> str:
    """Episodes as an option takes them: ``0,2,5-8``."""
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in index_runs(episodes))
