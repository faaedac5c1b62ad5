"""RK125. Actions that the state does not follow: a limp motor, swapped numbers, a reversed axis, other units."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes, Mask
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.runtime.interface import ACTION_NAMES, Array

_LONGEST_LAG = 0.4
"""Longest delay from command to motion, s. Source: 20 to 40 ms on the robot, and the motors' own response."""
MOVES = np.array([0.004] * 3 + [0.04] * 6)
"""(9,) m and rad: standard deviation of an episode's commands from which an axis counts as moved."""
_FOLLOWS, _SURE = 0.5, 0.85
"""Correlation below which the state does not follow, and above which another number follows instead."""
LIMP = 0.2
"""Share of the commanded motion below which a motor is limp."""
_SCALE = 3.0
"""Factor between state and action from which units are not the same."""


@dataclass(frozen=True)
class Following:
    """How well the measured state follows the commands, at the delay that fits best."""

    moved: Mask
    """(E, 9) whether the axis was commanded to move."""
    correlation: Array
    """(E, 9) of command and state."""
    ratio: Array
    """(E, 9) standard deviation of the state, relative to that of the commands."""
    cross: Array
    """(9, 9) correlation of each command (row) with each number of the state, over the episodes that move it."""
    error: Array
    """(9,) m or rad, root mean square of state less command, at the best delay."""
    lag: float
    """Best delay, s."""


def measure_following(episodes: CheckedEpisodes) -> Following:
    """Compare commands and states, each less its mean over the episode."""
    action, state = episodes.centred(episodes.action), episodes.centred(episodes.state)
    deviation = np.sqrt(episodes.mean(action**2))
    spread = np.sqrt(episodes.mean(state**2))
    moved = deviation > MOVES
    best: tuple[float, int, Array] | None = None
    for lag in range(round(_LONGEST_LAG * episodes.fps) + 1):
        inside = episodes.followed(lag)
        if not inside.any():
            continue
        products = np.zeros_like(action)
        ahead = action[: len(action) - lag] * state[lag:]
        products[: len(ahead)] = np.where(inside[:, None], ahead, 0.0)
        count = np.maximum(episodes.lengths - lag, 1)[:, None]
        correlation = episodes.total(products) / count / np.maximum(deviation * spread, 1e-12)
        score = float(np.abs(correlation[moved]).mean()) if moved.any() else 0.0
        if best is None or score > best[0]:
            best = score, lag, correlation
    assert best is not None  # there is at least the lag 0
    _, lag, correlation = best
    inside = episodes.followed(lag)
    commands, states = action[: len(action) - lag][inside], state[lag:][inside]
    frames = moved[episodes.places[: len(action) - lag][inside]]
    masked = np.where(frames, commands, 0.0)
    energy = frames.astype(np.float64).T @ states**2
    cross = masked.T @ states / np.maximum(np.sqrt((masked**2).sum(axis=0)[:, None] * energy), 1e-12)
    error = np.sqrt(np.mean((states - commands) ** 2, axis=0)) if len(states) else np.zeros(len(ACTION_NAMES))
    return Following(moved, correlation, spread / np.maximum(deviation, 1e-12), cross, error, lag / episodes.fps)


@register_check("RK125", "actions that the state does not follow", Aspect.MOTION, refuses=True)
def check_following(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find axes that were commanded and did not move so."""
    following = measure_following(episodes)
    own = np.diag(following.cross)
    for axis, name in enumerate(ACTION_NAMES):
        moved = following.moved[:, axis]
        if not moved.any():
            continue
        limp = moved & (following.ratio[:, axis] < LIMP)
        if limp.any():
            yield _limp(episodes, name, limp, moved)
        if (moved & ~limp).sum() <= limp.sum():
            continue
        if (wrong := _wrong_numbers(following, own, axis, limp)) is not None:
            yield Finding(wrong[0], Severity.ERROR, remedy=wrong[1], episodes=episodes.named(moved))
            continue
        lost = moved & ~limp & (following.correlation[:, axis] < _FOLLOWS)
        if lost.sum() > 0.5 * moved.sum():
            yield Finding(
                f"{name} does not follow its commands in {np.count_nonzero(lost)} of {np.count_nonzero(moved)} "
                f"episodes (correlation {np.median(following.correlation[lost, axis]):.2f})",
                Severity.WARNING,
                remedy="Look at the motor and at the columns: state and action may be of different times",
                command=episodes.drop_command(episodes.named(lost)),
                episodes=episodes.named(lost),
            )


def _limp(episodes: CheckedEpisodes, name: str, limp: Mask, moved: Mask) -> Finding:
    named = episodes.named(limp)
    always = len(named) == np.count_nonzero(moved)
    command = "" if always else episodes.drop_command(named)
    return Finding(
        f"{name} was commanded and hardly moved in {len(named)} of {np.count_nonzero(moved)} episodes: a limp or "
        "blocked motor",
        Severity.WARNING,
        remedy="Drop them, and look at the motor" if command else "Look at the motor, and record again",
        command=command,
        episodes=named,
    )


def _wrong_numbers(following: Following, own: Array, axis: int, limp: Mask) -> tuple[str, str] | None:
    """What is wrong with the numbers of a column, and the remedy; None if that is not it."""
    name, others = ACTION_NAMES[axis], following.cross[axis].copy()
    others[axis] = -1.0
    other = int(np.argmax(others))
    mutual = following.cross[other, axis] > _SURE
    if own[axis] < _FOLLOWS and others[other] > _SURE and mutual and own[other] < _FOLLOWS:
        return (
            f"observation.state has {name} and {ACTION_NAMES[other]} swapped: each follows the other's commands",
            "Swap their names in meta/info.json, or the numbers where they are written",
        )
    if own[axis] < -_SURE:
        return (
            f"observation.state has {name} reversed: it moves against its commands",
            "Change the sign of one of the two where they are written",
        )
    ratio = float(np.median(following.ratio[following.moved[:, axis] & ~limp, axis]))
    if own[axis] > _SURE and not 1 / _SCALE < ratio < _SCALE:
        factor = ratio if ratio > 1 else 1 / ratio
        larger, smaller = ("observation.state", "action") if ratio > 1 else ("action", "observation.state")
        return (
            f"{name} moves {factor:.3g} times as far in {larger} as in {smaller}: they have different units",
            "Give both the units of this robot, m and rad",
        )
    return None
