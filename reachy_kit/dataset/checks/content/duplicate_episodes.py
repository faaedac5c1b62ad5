"""RK132. Duplicates: episodes that are equal or nearly so, and seeds of a simulation that occur twice.

A copy on the other side of the held-out split makes validation look better than it is.
"""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.recording.schema import SEED

_POINTS = 24
"""Instants of an episode by which it is compared."""
_SCALE = np.array([20.0] * 3 + [1.0] * 6)
"""(9,) metres count as much as radians then: the head moves by centimetres."""
NEAR = 0.005
"""Root mean square difference below which episodes are nearly equal, rad. Measured: those of one expert with noise, at
the same target, differ by more than 0.02."""
_BLOCK = 512


@register_check("RK132", "duplicates", Aspect.CONTENT)
def check_duplicate_episodes(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes that repeat an earlier one, and in a simulation seeds that were used twice."""
    repeats = _repeats(episodes)
    if repeats:
        places, firsts = zip(*sorted(repeats.items()), strict=True)
        named = episodes.named(np.array(places))
        pairs = ", ".join(
            f"{episodes.indices[place]} of {episodes.indices[first]}"
            for place, first in list(zip(places, firsts, strict=True))[:3]
        )
        yield Finding(
            f"{len(named)} episode{'s repeat earlier ones' if len(named) > 1 else ' repeats an earlier one'}: {pairs}"
            f"{', …' if len(named) > 3 else ''}",
            Severity.WARNING,
            remedy="Drop the copies",
            command=episodes.drop_command(named),
            episodes=named,
        )
    yield from _equal_seeds(episodes, set(repeats))


def _equal_seeds(episodes: CheckedEpisodes, known: set[int]) -> Iterator[Finding]:
    if episodes.layout.provenance.get("success") != "world":
        return  # a seed decides nothing about a real robot's surroundings, and each recording begins with the same
    seeds = episodes.column(SEED)
    if seeds is None:
        return
    first = dict[int, int]()
    again = []
    for place, seed in enumerate(seeds[episodes.starts].tolist()):
        if seed in first and place not in known:
            again.append(place)
        first.setdefault(seed, place)
    if again:
        named = episodes.named(np.array(again))
        seed = int(seeds[episodes.starts[again[0]]])
        yield Finding(
            f"{len(named)} episode{'s have seeds' if len(named) > 1 else ' has a seed'} of earlier ones; episode "
            f"{named[0]} and episode {episodes.indices[first[seed]]} both have {seed}",
            Severity.NOTE,
            remedy="Their worlds are the same, so a held-out episode may resemble one that was trained on",
            episodes=named,
        )


def _repeats(episodes: CheckedEpisodes) -> dict[int, int]:
    """Place of each episode that nearly equals an earlier one, and the place of that one."""
    count = len(episodes.indices)
    rows = episodes.starts[:, None] + np.rint(
        np.linspace(0, 1, _POINTS)[None, :] * (episodes.lengths - 1)[:, None]
    ).astype(np.int64)
    moved = (np.sqrt(episodes.mean(episodes.centred(episodes.action) ** 2)) * _SCALE).max(axis=1) > 2 * NEAR
    points: Array = np.concatenate(
        [(episodes.action[rows] * _SCALE).reshape(count, -1), (episodes.state[rows] * _SCALE).reshape(count, -1)],
        axis=1,
    )
    norms = (points**2).sum(axis=1)
    limit = NEAR**2 * points.shape[1]
    repeats = dict[int, int]()
    for begin in range(0, count, _BLOCK):
        block = slice(begin, begin + _BLOCK)
        squares = norms[block, None] + norms[None, :] - 2 * points[block] @ points.T
        for row, column in np.argwhere(squares < 2 * limit):
            place, earlier = begin + int(row), int(column)
            near = earlier < place and ((points[place] - points[earlier]) ** 2).sum() < limit
            alike = abs(int(episodes.lengths[place]) - int(episodes.lengths[earlier])) <= 2
            if near and alike and moved[place]:
                repeats.setdefault(place, earlier)
    return {place: repeats.get(earlier, earlier) for place, earlier in repeats.items()}
