"""A person's way of following something with the gaze: late, smooth, a little off. The demonstrations come from it.

It sees what a policy sees (``environment_state``), never the truth, so it also drives the real robot.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from reachy_kit.errors import WrongUseError
from reachy_kit.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Action, Array, Observation
from reachy_kit.perception.target import AGE, BELOW, RIGHT, VISIBLE


@dataclass(frozen=True)
class ExpertConfig:
    """How human the expert is."""

    reaction: float = 0.2
    """s from seeing to moving. Visual reactions take 180–200 ms (Welford 1980, simple reaction to light)."""
    reaction_spread: float = 0.03
    """s, standard deviation from episode to episode."""
    gain: float = 0.45
    """Share of the remaining way that each command asks for. Chosen so that a turn of 30° takes about half a second."""
    aim_noise: float = np.deg2rad(1.0)
    """rad, standard deviation of the slow wander of the aim. Held fixation wanders by about a degree when the head does
    the looking; chosen, not fitted."""
    aim_memory: float = 0.5
    """s, correlation time of that wander."""
    body_slack: float = np.deg2rad(15.0)
    """rad, how far the head turns before the body follows."""
    found: float = np.deg2rad(8.0)
    """rad, bearing within which the antennas rise: the pupil sees that the robot has found its target."""


ANTENNAS_UP = (-0.6, 0.6)
"""[right, left] rad: spread, the robot's way of looking pleased."""


class GazeExpert:
    """The scripted teacher of the gaze tasks.

    Args:
        hz: how often it decides.
        config: how human it is.
        seed: of its reaction times and its wandering aim.
    """

    def __init__(self, hz: int, config: ExpertConfig | None = None, seed: int = 0) -> None:
        self._hz = hz
        self._config = config or ExpertConfig()
        self._rng = np.random.default_rng(seed)
        self.reset()

    def reset(self) -> None:
        """A new episode: a new reaction time, and nothing seen yet."""
        config = self._config
        reaction = config.reaction + config.reaction_spread * self._rng.standard_normal()
        self._percepts: deque[Array | None] = deque(maxlen=max(1, round(reaction * self._hz)))
        self._heads: deque[tuple[float, Array]] = deque(maxlen=self._hz)
        self._wander = config.aim_noise * self._rng.standard_normal(2)

    def act(self, observation: Observation) -> Action:
        """The (9,) target for the next decision.

        Every command starts from the measured pose, as a person's does: pushed off course, the expert corrects.
        """
        features = observation.environment_state
        if features is None:
            raise WrongUseError("the scripted expert needs perception; this robot gives none")
        state, now = observation.state, observation.capture_time
        self._heads.append((now, state[[YAW, PITCH]]))
        late = self._percepts[0] if len(self._percepts) == self._percepts.maxlen else None
        self._percepts.append(self._seen_in_base(features, now) if features[VISIBLE] else late)
        self._drift()
        if late is None:
            return state.copy() if observation.last_action is None else observation.last_action.copy()
        action = NEUTRAL.copy()
        action[[YAW, PITCH, BODY_YAW]] = state[[YAW, PITCH, BODY_YAW]]
        self._follow(action, late + self._wander)
        return action

    def _seen_in_base(self, features: Array, now: float) -> Array:
        """(2,) rad yaw and pitch of the target: its bearing added to where the head was when the frame was taken."""
        captured = now - features[AGE]
        _, head = min(self._heads, key=lambda entry: abs(entry[0] - captured))
        return head + np.array([-features[RIGHT], features[BELOW]])

    def _drift(self) -> None:
        """The aim wanders as an Ornstein-Uhlenbeck process."""
        config = self._config
        keep = np.exp(-1 / (self._hz * config.aim_memory))
        self._wander = keep * self._wander + config.aim_noise * np.sqrt(1 - keep**2) * self._rng.standard_normal(2)

    def _follow(self, action: Action, aim: Array) -> None:
        """Turn a (9,) action that holds the measured pose into one that approaches the aim, (2,) rad yaw and pitch."""
        config = self._config
        off = aim - action[[YAW, PITCH]]
        behind = aim[0] - action[BODY_YAW]
        action[[YAW, PITCH]] += config.gain * off
        action[BODY_YAW] += config.gain * (behind - np.clip(behind, -config.body_slack, config.body_slack))
        if np.hypot(*off) < config.found:
            action[ANTENNAS] = ANTENNAS_UP
