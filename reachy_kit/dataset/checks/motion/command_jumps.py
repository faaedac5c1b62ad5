"""RK122. Jumps: commands that go farther in one frame than the limiter permits, as in a glitch or a missing limiter."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS
from reachy_kit.runtime.safety import CLASSROOM

_MARGIN = 1.3
"""Factor above the limiter's speed that counts: a late loop packs two ticks into a frame now and then."""


@register_check("RK122", "jumps", Aspect.MOTION)
def check_command_jumps(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find commands that are faster than the robot is allowed to be."""
    steps, places = episodes.steps(episodes.action)
    relative = np.abs(steps) * episodes.fps / CLASSROOM.speed
    jumps = (relative > _MARGIN).any(axis=1)
    if not jumps.any():
        return
    worst, axis = np.unravel_index(int(np.argmax(relative)), relative.shape)
    place = places[worst]
    frame = int(np.flatnonzero(episodes.followed(1))[worst] - episodes.starts[place]) + 1
    named = episodes.named(np.unique(places[jumps]))
    yield Finding(
        f"{np.count_nonzero(jumps)} commands jump; {ACTION_NAMES[axis]} by {abs(steps[worst, axis]):.3f} "
        f"{ACTION_UNITS[axis]} in frame {frame} of episode {episodes.indices[place]}, "
        f"{relative[worst, axis]:.1f} times the limiter's speed",
        Severity.WARNING,
        remedy="Look at the program that wrote them; drop the episodes if the jumps are glitches",
        command=episodes.drop_command(named),
        episodes=named,
    )
