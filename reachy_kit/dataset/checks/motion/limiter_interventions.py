"""RK124. Interventions of the limiter: what was asked for against what was applied, where both were recorded."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes, Mask
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.schema import REQUESTED_ACTION

_TOLERANCE = np.array([0.005] * 3 + [0.09] * 6)
"""(9,) m and rad: difference that counts, about 5° of an angle. A smooth start and end differ by less."""
_SHARE = 0.25
"""Share of an episode's frames in which the limiter may step in."""


def interventions(episodes: CheckedEpisodes) -> Mask | None:
    """(F, 9) whether the applied action is another than was asked for; None where that was not recorded."""
    requested = episodes.column(REQUESTED_ACTION)
    if requested is None or requested.shape != episodes.action.shape:
        return None
    return np.asarray(np.abs(requested - episodes.action) > _TOLERANCE)


@register_check("RK124", "interventions of the limiter", Aspect.MOTION)
def check_limiter_interventions(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes in which the limiter had to change much of what was asked for."""
    changed = interventions(episodes)
    if changed is None:
        return
    share = episodes.mean(np.any(changed, axis=1))
    wrong = share > _SHARE
    if not wrong.any():
        return
    axes = episodes.mean(changed)[wrong].mean(axis=0)
    worst = int(np.argmax(share))
    yield Finding(
        f"the limiter changed more than {100 * _SHARE:.0f} % of the commands in {np.count_nonzero(wrong)} of "
        f"{len(wrong)} episodes, most of {ACTION_NAMES[int(np.argmax(axes))]}; {100 * share[worst]:.0f} % in episode "
        f"{episodes.indices[worst]}",
        Severity.WARNING,
        remedy="Move more slowly, and stay within reach: what is applied, and learned, is not what was meant",
        episodes=episodes.named(wrong),
    )
