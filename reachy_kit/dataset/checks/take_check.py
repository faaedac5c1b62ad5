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
    findings = list[Finding]()
    for check in all_checks():
        if check.of_episodes is None or check.aspect not in _OF_ONE:
            continue
        if check.aspect > Aspect.VALUES and any(finding.severity is Severity.ERROR for finding in findings):
            break  # what follows from an error would only hide it
        findings += [check.signed(finding) for finding in check.of_episodes(episodes)]
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))


def describe_take(frames: Sequence[Frame], layout: DatasetLayout) -> str:
    """What is wrong with a take, in a line for the person who records: its worst finding; empty if nothing is."""
    findings = [finding for finding in check_episode(frames, layout) if finding.severity is not Severity.NOTE]
    if not findings:
        return ""
    more = f", and {len(findings) - 1} more" if findings[1:] else ""
    words = findings[0].message.replace(" of episode 0", "").replace("episode 0 ", "it ")
    return f"{findings[0].number} {findings[0].title}: {words}{more}. Redo it if that spoils it"
