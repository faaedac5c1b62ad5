"""The checks of a single take, cheap enough for the moment between two takes of a recording."""

from collections.abc import Sequence

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, all_checks
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import Frame

_OF_ONE = (Aspect.VALUES, Aspect.TIMING, Aspect.MOTION)


def check_episode(frames: Sequence[Frame], layout: DatasetLayout) -> list[Finding]:
    """Look for what spoils a take, before or after it is saved.

    Args:
        frames: of the take, as the recorder has them.
        layout: of the dataset that it belongs to.

    Returns:
        Findings, errors first; about episode 0, which is the take.
    """
    episodes = CheckedEpisodes.of_take(frames, layout)
    if not len(episodes.indices):
        return []
    found = list[Finding]()
    for check in all_checks():
        if check.of_episodes is None or check.aspect not in _OF_ONE:
            continue
        if check.aspect > Aspect.VALUES and any(finding.severity is Severity.ERROR for finding in found):
            break  # what follows from an error would only hide it
        found += [check.signed(finding) for finding in check.of_episodes(episodes)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))
