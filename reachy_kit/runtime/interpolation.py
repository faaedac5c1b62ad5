"""Interpolation of targets between the decisions of a policy that decides less often than the robot ticks."""

from reachy_kit.runtime.interface import Array


def interpolate(previous: Array, target: Array, tick: int, ticks: int) -> Array:
    """Request of one control tick, on the straight line to a decision's target.

    Args:
        previous: (..., 9) action in force when the decision was made.
        target: (..., 9) what the policy decided.
        tick: index within the decision, from 1; the last one requests the target itself.
        ticks: control ticks per decision.

    Returns:
        (..., 9) absolute targets, not limited yet.
    """
    return previous + (target - previous) * (tick / ticks)
