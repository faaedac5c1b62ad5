"""The limiter between any policy and the motors: pure, batched, the same function in the simulator and on the robot.

A request becomes an applied action in this order: a component that is not a number keeps its previous value; the
workspace box and the head–body yaw are clipped; a pose that the legs cannot reach is drawn back towards neutral; then
speed, acceleration and the lead over the measured pose are bounded for one nominal tick. The nominal tick, never the
elapsed time: a Wi-Fi stall must not permit a jump.
"""

from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.geometry import turn_near
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, YAW, Array
from reachy_kit.runtime.kinematics import angles_from_half_tangents, half_tangents, half_tangents_inside_limits
from reachy_kit.runtime.kinematics.reach import all_true, draw_back, in_reach, neutral_over
from reachy_kit.runtime.safety.limits import CLASSROOM, LimitsProfile


class Limited(IntFlag):
    """Which limits changed a request."""

    NOT_A_NUMBER = 1
    WORKSPACE = 2
    RELATIVE_YAW = 4
    REACH = 8
    SPEED = 16
    ACCELERATION = 32
    LEAD = 64


@dataclass(frozen=True)
class Motion:
    """Commanded position and velocity: the limiter's only memory, carried by its caller."""

    position: Array
    """(..., 9) m or rad."""
    velocity: Array
    """(..., 9) per s."""
    legs: Array | None = None
    """(..., 6) rad, stewart_1..6 at that position; None where the limiter has not computed them."""

    @classmethod
    def at_rest(cls, position: Array) -> "Motion":
        """Motion of a robot that stands still at a (..., 9) position."""
        return cls(position.copy(), np.zeros_like(position))


def limit(
    state: Array, previous: Motion, request: Array, profile: LimitsProfile = CLASSROOM, hz: float = CONTROL_HZ
) -> tuple[Motion, npt.NDArray[np.int64]]:
    """Limit a request to what the robot may safely be commanded to do in one tick.

    Args:
        state: (..., 9) measured, in the order of ``ACTION_NAMES``.
        previous: (..., 9) each: the command of the tick before.
        request: (..., 9) absolute targets; any values, NaN included.
        profile: the limits.
        hz: nominal control rate.

    Returns:
        The motion to command now and (...,) ``Limited`` flags, 0 where the request passed unchanged.
        Position always keeps the box, the head–body yaw, the speed and, from a reachable previous command, the reach.
        Acceleration gives way only where the edge of reach demands a harder stop.

    Raises:
        WrongUseError: the request is not nine numbers for each robot.
    """
    request = np.asarray(request)
    if request.shape != previous.position.shape or request.dtype.kind not in "fiu":
        raise WrongUseError(
            f"a request of shape {request.shape} and type {request.dtype} is not nine numbers for each robot, "
            f"{previous.position.shape}"
        )
    bounds = _bounds(profile, hz, request.shape)
    flags = np.zeros(request.shape[:-1], dtype=np.int64)
    number = np.isfinite(request)
    goal = request
    if not all_true(number):
        goal = _mark_changed(flags, Limited.NOT_A_NUMBER, request, np.where(number, request, previous.position))
    goal = _mark_changed(flags, Limited.WORKSPACE, goal, _clip(goal, bounds.low, bounds.high))
    goal = _mark_changed(flags, Limited.RELATIVE_YAW, goal, _clip_relative_yaw(goal, profile.relative_yaw))

    inside = in_reach(goal, mostly_easy=True)
    if not all_true(inside):
        goal = _mark_changed(flags, Limited.REACH, goal, draw_back(goal, neutral_over(goal), inside))

    velocity = _approach(flags, goal, previous, bounds, hz)
    # Reach and head–body yaw again: the way from one allowed pose to another may lead through forbidden ones.
    step = position = previous.position + velocity / hz
    tangents = half_tangents(step)
    step_inside = half_tangents_inside_limits(tangents).reshape(flags.shape)
    if not all_true(step_inside):
        slid = _slide(position, goal, previous.position, profile, hz, step_inside)
        position = _mark_changed(flags, Limited.REACH, position, slid)
    position = _mark_changed(flags, Limited.LEAD, position, _clip_lead(position, state, previous.position, bounds.lead))
    held = _hold_relative_yaw(position, previous.position, profile.relative_yaw)
    position = _mark_changed(flags, Limited.RELATIVE_YAW, position, held)
    if position is not step:
        moved = (position != step).any(axis=-1) | ~step_inside  # of the others the legs are known
        drawn, beyond = position.copy(), position[moved]
        drawn[moved] = draw_back(beyond, previous.position[moved], in_reach(beyond))
        position = _mark_changed(flags, Limited.REACH, position, drawn)
        tangents[:, moved.ravel()] = half_tangents(position[moved])
    legs = angles_from_half_tangents(tangents).reshape(*flags.shape, 6)
    return Motion(position, (position - previous.position) * hz, legs), flags


class _Bounds(NamedTuple):
    """A profile's numbers for one tick, over the batch: numpy is slow where rows of nine meet nine numbers."""

    low: Array
    high: Array
    speed: Array
    slowest: Array
    """Lowest velocities: the speed limits, negated."""
    change: Array
    """Largest change of a velocity in a tick."""
    half_change: Array
    lead: Array


@lru_cache(maxsize=4)
def _bounds(profile: LimitsProfile, hz: float, shape: tuple[int, ...]) -> _Bounds:
    change = profile.acceleration / hz
    rows = (profile.low, profile.high, profile.speed, -profile.speed, change, change / 2, profile.lead)
    return _Bounds(*(np.broadcast_to(row, shape).copy() for row in rows))


def _clip(values: Array, low: Array, high: Array) -> Array:
    """np.clip without its overhead; the limiter runs at every tick of every robot."""
    return np.asarray(np.minimum(np.maximum(values, low), high))


def _mark(flags: npt.NDArray[np.int64], flag: Limited, where: npt.NDArray[np.bool_]) -> None:
    """Mark the elements with any True among their (..., 9)."""
    if np.count_nonzero(where):
        flags |= np.where(where.any(axis=-1), int(flag), 0)


def _mark_changed(flags: npt.NDArray[np.int64], flag: Limited, before: Array, after: Array) -> Array:
    """Mark the elements that a limit changed; returns ``after``, or ``before`` itself where nothing changed."""
    changed = before != after
    if not np.count_nonzero(changed):
        return before
    _mark(flags, flag, changed)
    return after


def _clip_relative_yaw(goal: Array, most: float) -> Array:
    yaw, body = goal[..., YAW], goal[..., BODY_YAW]
    clipped = _clip(yaw, body - most, body + most)
    if all_true(np.asarray(clipped == yaw)):
        return goal
    result = goal.copy()
    result[..., YAW] = clipped
    return result


def _hold_relative_yaw(position: Array, previous: Array, most: float) -> Array:
    """Limit the angle between head and body during a motion: the one that widens it beyond the limit waits."""
    relative = position[..., YAW] - position[..., BODY_YAW]
    if all_true(np.asarray(np.abs(relative) <= most)):
        return position
    allowed = np.maximum(most, np.abs(previous[..., YAW] - previous[..., BODY_YAW]))
    excess = relative - _clip(relative, -allowed, allowed)
    if not excess.any():
        return position
    held = position.copy()
    head_step = position[..., YAW] - previous[..., YAW]
    from_head = np.where(
        excess > 0, np.clip(excess, 0, np.maximum(head_step, 0)), np.clip(excess, np.minimum(head_step, 0), 0)
    )
    held[..., YAW] -= from_head
    held[..., BODY_YAW] += excess - from_head
    return held


def _slide(
    position: Array, goal: Array, previous: Array, profile: LimitsProfile, hz: float, inside: npt.NDArray[np.bool_]
) -> Array:
    """Replace steps that leave the reach: straight towards the goal, short enough from rest, drawn back over the body.

    Axes that are limited one by one may run into the edge of reach and stay there. The straight way between two poses
    hardly ever leaves the reach, and along the edge there is always a way forward.
    """
    blocked = ~inside
    start, way = previous[blocked], (goal - previous)[blocked]
    head = np.abs(way[:, : ANTENNAS.start]) * hz**2 / profile.acceleration[: ANTENNAS.start]
    way[:, : ANTENNAS.start] /= np.maximum(head.max(axis=-1), 1.0)[:, None]
    step = start + way
    step = draw_back(step, neutral_over(step), in_reach(step))
    step = _clip(step, start - profile.speed / hz, start + profile.speed / hz)
    result = position.copy()
    result[blocked, : ANTENNAS.start] = step[:, : ANTENNAS.start]
    return result


def _approach(flags: npt.NDArray[np.int64], goal: Array, previous: Motion, bounds: _Bounds, hz: float) -> Array:
    """(..., 9) per s towards a goal: within the permitted speed and acceleration, and able to brake before it."""
    straight = goal - previous.position
    straight *= hz
    far = np.abs(straight)
    _mark(flags, Limited.SPEED, far > bounds.speed)
    swift = _clip(straight, bounds.slowest, bounds.speed)
    # The fastest speed from which braking ends at the goal in n whole ticks: n·v − change·n(n−1)/2 = |distance|·hz.
    ticks = far / bounds.half_change
    ticks += 0.25
    np.sqrt(ticks, out=ticks)
    ticks -= 0.5
    np.maximum(np.ceil(ticks, out=ticks), 1.0, out=ticks)
    brake = far / ticks
    ticks -= 1.0
    ticks *= bounds.half_change
    brake += ticks
    wanted = _clip(swift, -brake, brake)
    velocity = _clip(wanted, previous.velocity - bounds.change, previous.velocity + bounds.change)
    swift -= velocity
    _mark(flags, Limited.ACCELERATION, np.abs(swift, out=swift) > 1e-9)
    return velocity


def _clip_lead(position: Array, state: Array, previous: Array, lead: Array) -> Array:
    """Keep the command near the measured pose, but never step away from where it already is to do so.

    An axis whose measurement is not a number waits (fmin and fmax pass over it).
    """
    ahead = position - state
    if all_true(np.abs(ahead, out=ahead) <= 0.999 * lead):  # well within, so that rounding decides nothing
        return position
    near = state.copy()  # a measured yaw lies within ±180°; body and head together turn further
    near[..., YAW] = turn_near(state[..., YAW], position[..., YAW])
    low = np.fmin(near - lead, previous)
    high = np.fmax(near + lead, previous)
    return _clip(position, low, high)
