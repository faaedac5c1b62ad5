"""RK134. A target that is not sensed: episodes in which perception hardly ever found what the task is about."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.recording.schema import OBS_ENV_STATE

_SHARE = 0.1
"""Least share of an episode's frames in which the target must be sensed."""
_SENSED = ("_visible", "_heard")
"""What the names of the features end in that say whether something is sensed now."""


@register_check("RK134", "a target that is not sensed", Aspect.CONTENT)
def check_target_sensing(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes whose target was hardly ever sensed."""
    names, values = episodes.layout.environment_state, episodes.column(OBS_ENV_STATE)
    for number, name in enumerate(names if values is not None else ()):
        if not name.endswith(_SENSED):
            continue
        assert values is not None
        share = episodes.mean(values[:, number] > 0.5)
        blind = share < _SHARE
        if blind.any():
            named = episodes.named(blind)
            worst = int(np.argmin(share))
            yield Finding(
                f"{name}: the target is hardly sensed in {len(named)} of {len(blind)} episodes; in "
                f"{100 * share[worst]:.0f} % of the frames of episode {episodes.indices[worst]}",
                Severity.WARNING,
                remedy="Drop them: a policy learns there to move without looking"
                if episodes.drop_command(named)
                else "Record again with the target in view",
                command=episodes.drop_command(named),
                episodes=named,
            )
