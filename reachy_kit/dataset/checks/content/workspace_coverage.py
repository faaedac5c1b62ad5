"""RK131. Coverage of the workspace: episodes that all look the same way teach nothing about the others."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import PITCH, YAW

_EPISODES = 5
"""Least number of episodes from which a coverage can be expected."""
_NARROW = np.deg2rad(10.0)
"""Spread of the head's yaw and pitch below which the episodes show one place, rad."""
CELL = 10.0
"""Width of a cell of the map, degrees."""


def visited(episodes: CheckedEpisodes) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(F,) degrees each: yaw and pitch of the measured head."""
    return np.rad2deg(episodes.state[:, YAW]), np.rad2deg(episodes.state[:, PITCH])


@register_check("RK131", "little of the workspace covered", Aspect.CONTENT)
def check_workspace_coverage(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find datasets in which the head always looks the same way."""
    if len(episodes.indices) < _EPISODES:
        return
    yaw, pitch = (np.percentile(episodes.state[:, axis], [2, 98]) for axis in (YAW, PITCH))
    spread = [float(high - low) for low, high in (yaw, pitch)]
    if max(spread) >= _NARROW:
        return
    yield Finding(
        f"the head looks one way in all {len(episodes.indices)} episodes: yaw {np.rad2deg(yaw[0]):.0f} to "
        f"{np.rad2deg(yaw[1]):.0f}°, pitch {np.rad2deg(pitch[0]):.0f} to {np.rad2deg(pitch[1]):.0f}°",
        Severity.WARNING,
        remedy="Record more episodes with the target elsewhere; a policy knows only what it has seen",
    )
