"""RK123. Saturation: axes that stay at the edge of the workspace, where a demonstration is cut off."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes, Mask
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import ACTION_NAMES, BODY_YAW, YAW
from reachy_kit.runtime.safety import CLASSROOM

_EDGE = 0.99
"""Share of a limit from which a command counts as being at it."""
_SHARE = 0.2
"""Share of an episode's frames that may be at a limit."""


def at_limits(episodes: CheckedEpisodes) -> Mask:
    """(F, 9) whether each command is at the limiter's edge of its axis; of the head's yaw, also against the body."""
    action = episodes.action
    edge = (action <= _EDGE * CLASSROOM.low) | (action >= _EDGE * CLASSROOM.high)
    edge[:, YAW] |= np.abs(action[:, YAW] - action[:, BODY_YAW]) >= _EDGE * CLASSROOM.relative_yaw
    return np.asarray(edge)


@register_check("RK123", "axes at their limits", Aspect.MOTION)
def check_saturation(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes that spend much time at the edge of the workspace."""
    share = episodes.mean(at_limits(episodes))
    wrong: Mask = np.any(share > _SHARE, axis=1)
    if not wrong.any():
        return
    worst, axis = np.unravel_index(int(np.argmax(share)), share.shape)
    axes = [name for name, much in zip(ACTION_NAMES, np.any(share > _SHARE, axis=0).tolist(), strict=True) if much]
    yield Finding(
        f"{', '.join(axes)} at the limit for long in {np.count_nonzero(wrong)} of {len(wrong)} episodes; "
        f"{ACTION_NAMES[axis]} for {100 * share[worst, axis]:.0f} % of episode {episodes.indices[worst]}",
        Severity.WARNING,
        remedy="Demonstrate nearer to the middle, or move the target; the limiter cuts off what lies beyond",
        episodes=episodes.named(wrong),
    )
