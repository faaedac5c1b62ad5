"""RK116. Dead time: an episode's beginning or end in which nothing moves. A policy learns to wait from it."""

from collections.abc import Iterator, Sequence

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes, Mask
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.dataset.checks.remedies import trim_command
from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.recording.schema import OBS_ENV_STATE

_VISIBLE = "target_visible"
LONGEST = 1.5
"""Longest time at rest before or after the motion, s. A person takes about half a second to begin."""
_WINDOW = 0.2
"""Time over which a motion is measured, s: noise of the sensors does not add up over it."""
_MOVED = np.array([0.0015] * 3 + [0.015] * 6)
"""(9,) m and rad: least motion in that time that counts, about ten steps of the servo's encoder (4096 per turn)."""


def shows_target(names: Sequence[str], features: Array) -> Mask:
    """(F,) whether each frame shows the target. Others are not dead time: waiting for a target is worth learning.

    Args:
        names: of the features.
        features: (F, N).
    """
    if _VISIBLE not in names:
        return np.ones(len(features), dtype=np.bool_)
    return np.asarray(features[:, names.index(_VISIBLE)] > 0)


def rests(episodes: CheckedEpisodes) -> tuple[Array, Array, Mask]:
    """(E,) s at rest before the first motion, (E,) s after the last one, and (E,) whether anything moved.

    Frames that do not show the target are not at rest.
    """
    window = max(1, round(_WINDOW * episodes.fps))
    inside = episodes.followed(window)
    moves = np.zeros(len(episodes.places), dtype=np.bool_)
    for values in (episodes.action, episodes.state):
        if len(inside):
            change = np.abs(values[window:] - values[: len(values) - window]) > _MOVED
            moves[: len(inside)] |= inside & change.any(axis=1)
    moved = np.logical_or.reduceat(moves, episodes.starts)
    features = episodes.column(OBS_ENV_STATE)
    shown = shows_target(episodes.layout.environment_state, features) if features is not None else ~np.zeros_like(moves)
    rows = np.arange(len(moves))
    first = np.minimum.reduceat(np.where(moves | ~shown, rows, len(rows)), episodes.starts)
    last = np.maximum.reduceat(np.where(moves, rows + window, np.where(shown, -1, rows)), episodes.starts)
    before = np.where(moved, first - episodes.starts, 0) / episodes.fps
    after = np.where(moved, np.maximum(episodes.ends - last, 0), 0) / episodes.fps
    return before, after, moved


@register_check("RK116", "dead time", Aspect.TIMING)
def check_dead_time(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes that begin or end with a rest, and those in which nothing moves at all."""
    before, after, moved = rests(episodes)
    still = ~moved & (episodes.lengths / episodes.fps > LONGEST)
    if still.any():
        named = episodes.named(still)
        yield Finding(
            f"nothing moves in {len(named)} of {len(moved)} episodes",
            Severity.WARNING,
            remedy="Drop them" if episodes.drop_command(named) else "Record again, and move the robot",
            command=episodes.drop_command(named),
            episodes=named,
        )
    slow = (before > LONGEST) | (after > LONGEST)
    if slow.any():
        worst = int(np.argmax(np.maximum(before, after)))
        at_start = before[worst] >= after[worst]
        rest, where = max(before[worst], after[worst]), "begins" if at_start else "ends"
        named = episodes.named(slow)
        yield Finding(
            f"{len(named)} of {len(moved)} episodes begin or end at rest; episode {episodes.indices[worst]} {where} "
            f"with {rest:.1f} s in which nothing moves",
            Severity.WARNING,
            remedy="Trim the rest off",
            command=trim_command(episodes.root, named) if episodes.root else "",
            episodes=named,
        )
