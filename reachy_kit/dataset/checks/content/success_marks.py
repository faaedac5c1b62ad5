"""RK133. Success marks: if it is known demonstrations succeeded, the others can be left out."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.recording.schema import SUCCESS, SUCCESS_MARK


@register_check("RK133", "success marks", Aspect.CONTENT)
def check_success_marks(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find datasets without marks, and episodes that did not succeed."""
    successes, marks = episodes.column(SUCCESS), episodes.column(SUCCESS_MARK)
    if successes is None and marks is None:
        yield Finding(
            f"episodes are not marked as succeeded or failed: there is not a column {SUCCESS}",
            Severity.NOTE,
            remedy="Look at the episodes yourself before training",
        )
        return
    count = len(episodes.indices)
    mark = np.full(count, -1) if marks is None else marks[episodes.ends].astype(np.int64)
    succeeded = mark == 1
    if successes is not None:
        succeeded |= (mark < 0) & successes[episodes.ends].astype(np.bool_)
    if succeeded.all():
        return
    named = episodes.named(~succeeded)
    if not succeeded.any() and (mark < 0).all():
        yield Finding(
            f"none of the {count} episodes is marked as succeeded: the marks are missing, or all failed",
            Severity.NOTE,
            remedy="Mark them while recording, or look at the episodes yourself before training",
        )
        return
    yield Finding(
        f"{len(named)} of {count} episodes are not marked as succeeded",
        Severity.NOTE,
        remedy="Drop them if they show what should not be learned",
        command=episodes.drop_command(named),
        episodes=named,
    )
