"""RK121. Jerk: commands that tremble. A policy learns the trembling, and motors and ears suffer."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes, Mask
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import ACTION_NAMES, Array
from reachy_kit.runtime.safety import CLASSROOM

LARGEST = 1.0
"""Relative jerk above which an episode trembles. Measured: a noisy scripted expert at 25 Hz 0.6; commands that reverse
at the limiter's full acceleration in each frame 2, and in random frames 1.4."""


def relative_jerk(episodes: CheckedEpisodes) -> Array:
    """(E, 9) root mean square of the action's jerk, relative to the limiter's acceleration gained in one frame."""
    third, places = episodes.steps(episodes.action, order=3)
    squares = np.zeros((len(episodes.indices), len(ACTION_NAMES)))
    np.add.at(squares, places, third**2)
    count = np.maximum(episodes.lengths - 3, 1)[:, None]
    return np.asarray(np.sqrt(squares / count) * episodes.fps**2 / CLASSROOM.acceleration)


@register_check("RK121", "jerk", Aspect.MOTION)
def check_jerk(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes whose commands tremble."""
    jerk = relative_jerk(episodes)
    wrong: Mask = np.any(jerk > LARGEST, axis=1)
    if not wrong.any():
        return
    worst, axis = np.unravel_index(int(np.argmax(jerk)), jerk.shape)
    named = episodes.named(wrong)
    yield Finding(
        f"commands tremble in {len(named)} of {len(wrong)} episodes, most in {ACTION_NAMES[axis]} of episode "
        f"{episodes.indices[worst]}: {jerk[worst, axis]:.1f} times the jerk that is usual at most",
        Severity.WARNING,
        remedy="Use a steadier device or move more slowly, and drop the worst",
        command=episodes.drop_command(named),
        episodes=named,
    )
