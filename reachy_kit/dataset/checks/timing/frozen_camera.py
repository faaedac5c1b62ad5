"""RK115. A camera that stands still: the same image again and again, or one that lags behind the state."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.recording.schema import IMAGE_TIME

_STILL = 0.5
"""Longest time for which an image may be repeated, s."""


@register_check("RK115", "a camera that stands still", Aspect.TIMING)
def check_frozen_camera(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find frames whose image was captured long before their state."""
    images, times = episodes.column(IMAGE_TIME), episodes.times
    if images is None or times is None or not len(times):
        return
    age = times - images
    known = np.isfinite(age)
    old = known & (age - np.minimum.reduceat(np.where(known, age, np.inf), episodes.starts)[episodes.places] > _STILL)
    old |= known & (age > _STILL)
    if not old.any():
        return
    named = episodes.named(np.unique(episodes.places[old]))
    worst = int(np.argmax(np.where(old, age, -np.inf)))
    yield Finding(
        f"{np.count_nonzero(old)} frames hold an image more than {_STILL} s old; one is {age[worst]:.1f} s old, in "
        f"episode {episodes.indices[episodes.places[worst]]}",
        Severity.WARNING,
        remedy="Drop the episodes, and look at the camera's connection",
        command=episodes.drop_command(named),
        episodes=named,
    )
