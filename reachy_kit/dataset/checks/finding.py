"""Findings and their registry: a module in a room of this folder registers a check, and importing it is all it takes.

A finding's number stays its own for good: documentation, scripts and people refer to it. The hundred is the dataset's;
the ten tells the room: 10x files, 11x timing, 12x motion, 13x content.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from functools import cache

from reachy_kit.dataset import checks
from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError


class Severity(StrEnum):
    """Weight of a finding."""

    ERROR = "error"
    """It spoils training, which refuses the dataset; a fault of videos or statistics, a training that uses them."""
    WARNING = "warning"
    """It makes a policy worse than it could be, or part of the data useless."""
    NOTE = "note"
    """Worth knowing."""


@dataclass(frozen=True)
class Finding:
    """A fault of a dataset, in one or two sentences."""

    message: str
    """The file or the column, and what is wrong with it."""
    severity: Severity = Severity.ERROR
    remedy: str = ""
    """What to do, as a sentence without its final stop."""
    command: str = ""
    """A command that does it, to be pasted; empty where there is none."""
    episodes: tuple[int, ...] = ()
    """Indices of the episodes that it is about; empty where it is about the dataset as a whole."""
    fixable: bool = False
    """Whether ``dataset check --fix`` mends it."""
    needs_words: bool = False
    """Whether it does so only with ``--instruction``."""
    number: str = ""
    """``RK`` and three digits; its check fills it in, as it does the title."""
    title: str = ""

    def __str__(self) -> str:
        """Message, remedy and command, as an error shows them."""
        remedy = self.remedy + (f": {self.command}" if self.command else "")
        return f"{self.message}. {remedy}" if remedy else self.message


class Aspect(IntEnum):
    """What a check looks at, in this order; an episode with an error in one is left out of those after it."""

    TABLES = 1
    METADATA = 2
    STATISTICS = 3
    VIDEOS = 4
    VALUES = 5
    TIMING = 6
    MOTION = 7
    CONTENT = 8


type FileCheck = Callable[[StoredDataset], Iterable[Finding]]
type EpisodeCheck = Callable[[CheckedEpisodes], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """A registered check."""

    number: str
    title: str
    """Name of what it finds."""
    aspect: Aspect
    refuses: bool
    """Whether it may find an error, so that training has to ask it."""
    of_files: FileCheck | None = None
    of_episodes: EpisodeCheck | None = None

    def run(self, dataset: StoredDataset, episodes: CheckedEpisodes) -> Iterator[Finding]:
        """Findings about a dataset, those about its frames without the episodes that were left out."""
        findings = self.of_files(dataset) if self.of_files else ()
        if self.of_episodes and len(episodes.indices):
            findings = self.of_episodes(episodes)
        for finding in findings:
            yield self.signed(finding)

    def signed(self, finding: Finding) -> Finding:
        """A finding with this check's number and title."""
        return replace(finding, number=self.number, title=self.title)


_registered: dict[str, Check] = {}


def register_file_check(
    number: str, title: str, aspect: Aspect, *, refuses: bool = False
) -> Callable[[FileCheck], FileCheck]:
    """Decorate a check of a dataset's files."""

    def register(check: FileCheck) -> FileCheck:
        _register(Check(number, title, aspect, refuses, of_files=check))
        return check

    return register


def register_check(
    number: str, title: str, aspect: Aspect, *, refuses: bool = False
) -> Callable[[EpisodeCheck], EpisodeCheck]:
    """Decorate a check of frames, which may be those of a dataset or of a single take."""

    def register(check: EpisodeCheck) -> EpisodeCheck:
        _register(Check(number, title, aspect, refuses, of_episodes=check))
        return check

    return register


def _register(check: Check) -> None:
    if check.number in _registered:
        raise ValueError(f"two checks have the number {check.number}")
    _registered[check.number] = check


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order in which they run: by aspect, then by number."""
    for module in pkgutil.walk_packages(checks.__path__, f"{checks.__name__}."):
        importlib.import_module(module.name)
    return tuple(sorted(_registered.values(), key=lambda check: (check.aspect, check.number)))


def run_checks(
    dataset: StoredDataset,
    chosen: Iterable[Check],
    after_each: Callable[[], None] = lambda: None,
) -> Iterator[Finding]:
    """Findings about a dataset.

    Args:
        dataset: to be checked.
        chosen: checks, in the order of ``all_checks``.
        after_each: called when a check is done.
    """
    episodes, spoilt, aspect = CheckedEpisodes.of_dataset(dataset), set[int](), Aspect.TABLES
    for check in chosen:
        if check.aspect != aspect:  # errors that follow from others would only hide them
            aspect = check.aspect
            if spoilt & set(episodes.indices.tolist()):
                episodes = CheckedEpisodes.of_dataset(dataset, without=spoilt)
        for finding in check.run(dataset, episodes):
            if finding.severity is Severity.ERROR and aspect is not Aspect.VIDEOS:
                spoilt |= set(finding.episodes)
            yield finding
        after_each()


def require_sound(dataset: StoredDataset, *aspects: Aspect) -> None:
    """Refuse a dataset whose frames, or those of its files that these aspects look at, spoil training.

    Raises:
        RefusedError: there is an error; the message holds the first, and the number of the others.
    """
    chosen = [check for check in all_checks() if check.refuses and check.aspect in aspects]
    errors = [finding for finding in run_checks(dataset, chosen) if finding.severity is Severity.ERROR]
    if errors:
        others = len(errors) - 1
        more = f" ({others} more fault{'s' if others > 1 else ''})" if others else ""
        raise RefusedError(f"{errors[0]}{more}")
