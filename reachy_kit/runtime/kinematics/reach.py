"""Reach: whether the six legs hold a pose, and the last reachable point on the way to a goal."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, YAW, Array
from reachy_kit.runtime.kinematics import half_tangents, half_tangents_inside_limits

REACH_HALVINGS = 10
"""Bisection steps of the draw-back: the pose is within 0.1 % of the way to the edge of reach."""

EASY_CENTRE: Array = np.array([0.0, 0.0, -0.007, 0.0, 0.0, 0.0])
EASY_RADII: Array = np.array([0.018, 0.018, 0.024, 0.38, 0.48, 1.2])
"""m and rad: x, y, z, roll, pitch and head against body of an ellipsoid in which no leg comes nearer than 2° to a limit
(tests/unit/test_safety.py samples its surface and its inside). The legs' slopes prove nothing more: they are unbounded
where a leg is stretched."""


def all_true(flags: npt.NDArray[np.bool_]) -> bool:
    """As ``flags.all()``, which takes four times as long."""
    return bool(np.count_nonzero(flags) == flags.size)


def in_reach(vector: Array, *, mostly_easy: bool = False) -> npt.NDArray[np.bool_]:
    """Whether the legs reach a pose inside their joint limits.

    Args:
        vector: (..., 9) m and rad, in the order of ``ACTION_NAMES``.
        mostly_easy: compute the kinematics only outside the easy ellipsoid; faster where most poses lie inside.

    Returns:
        (...,) bool.
    """
    if not mostly_easy:
        return half_tangents_inside_limits(half_tangents(vector)).reshape(vector.shape[:-1])
    centre, share = _easy_region(vector.shape)
    ease = vector - centre
    ease[..., YAW] -= vector[..., BODY_YAW]
    ease *= share
    inside = np.asarray(np.einsum("...k,...k", ease, ease) <= 1.0)
    if not all_true(inside):
        doubtful = ~inside
        inside[doubtful] = in_reach(vector[doubtful])
    return inside


def neutral_over(goal: Array) -> Array:
    """Neutral head pose above the goal's body yaw, the antennas as they are: reachable at any body yaw."""
    neutral = goal.copy()
    neutral[..., :YAW] = NEUTRAL[:YAW]
    neutral[..., YAW] = goal[..., BODY_YAW]
    return neutral


def draw_back(goal: Array, refuge: Array, inside: npt.NDArray[np.bool_]) -> Array:
    """The last reachable point on the way from a refuge to the goal; the goal itself where the refuge is out of reach.

    Only the elements in need, those not ``inside``, are searched.
    """
    if all_true(inside):
        return goal
    out_of_reach = ~inside
    goals, refuges = goal[out_of_reach], refuge[out_of_reach]
    low: Array = np.zeros(len(goals))
    high: Array = np.ones(len(goals))
    for _ in range(REACH_HALVINGS):
        middle = (low + high) / 2
        inside = in_reach(refuges + middle[:, None] * (goals - refuges))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    drawn = refuges + low[:, None] * (goals - refuges)
    drawn[:, ANTENNAS] = goals[:, ANTENNAS]  # no leg holds them
    result = goal.copy()
    result[out_of_reach] = np.where(in_reach(refuges)[:, None], drawn, goals)
    return result


@lru_cache(maxsize=4)
def _easy_region(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Centre, and inverse radii (0 for axes that no leg feels), of the easy ellipsoid, over the batch.

    numpy is slow where rows of nine meet nine numbers.
    """
    centre, share = np.zeros(9), np.zeros(9)
    centre[: YAW + 1], share[: YAW + 1] = EASY_CENTRE, 1 / EASY_RADII
    return np.broadcast_to(centre, shape).copy(), np.broadcast_to(share, shape).copy()
