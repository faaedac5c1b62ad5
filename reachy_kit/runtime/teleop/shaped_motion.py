"""The motion between a person's device and the robot: the same smooth one for keys, sticks and whatever comes next.

A device moves a goal; the command follows it within a gentle speed and acceleration. It starts where the robot is, so
that nothing jumps; at the goal it stands exactly still. The limiter's own function does it, with a gentler profile.
"""

from dataclasses import replace

import numpy as np

from reachy_kit.runtime.interface import Action, Array, Observation
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile, Motion, limit

GENTLE = replace(CLASSROOM, name="teleoperation", speed=CLASSROOM.speed / 2, acceleration=CLASSROOM.acceleration / 4)
"""Limits of a demonstration: half the limiter's speed, and a quarter of its acceleration."""
_LEAD_TIME = 0.2
"""Time by which a goal may be ahead of the command at full speed, s: the robot stops that soon after the last key."""


class ShapedMotion:
    """A goal that a device moves, and the command that follows it.

    Args:
        policy_hz: decisions per second.
        profile: its limits.
    """

    def __init__(self, policy_hz: int, profile: LimitsProfile = GENTLE) -> None:
        self._hz, self._profile = policy_hz, profile
        self._lead = profile.speed * _LEAD_TIME
        self._motion: Motion | None = None
        self._goal: Array = np.zeros(9)

    def reset(self) -> None:
        """Start where the robot is at the next step."""
        self._motion = None

    def start(self, observation: Observation) -> None:
        """Start where the robot is, unless the motion has started."""
        if self._motion is None:
            self._motion = Motion.at_rest(observation.action_in_force)
            self._goal = observation.action_in_force.copy()

    def move_goal(self, change: Array) -> None:
        """Move the goal by (9,) m and rad, within the workspace and not far ahead of the command."""
        assert self._motion is not None, "start first"
        goal = np.clip(self._goal + change, self._profile.low, self._profile.high)
        ahead = np.clip(goal, self._motion.position - self._lead, self._motion.position + self._lead)
        self._goal = np.where(change != 0, ahead, self._goal)

    def set_goal(self, goal: Array) -> None:
        """Go to a (9,) pose, however far away."""
        self._goal = goal.copy()

    def halt(self) -> None:
        """Brake, and stay there."""
        assert self._motion is not None, "start first"
        velocity = self._motion.velocity
        self._goal = self._motion.position + np.sign(velocity) * velocity**2 / (2 * self._profile.acceleration)

    def step(self, observation: Observation) -> Action:
        """The (9,) command of the next decision."""
        assert self._motion is not None, "start first"
        self._motion, _ = limit(observation.state, self._motion, self._goal, self._profile, self._hz)
        return self._motion.position.copy()
