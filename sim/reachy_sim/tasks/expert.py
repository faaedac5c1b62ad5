"""A person's way of following something with the gaze: late, smooth, a little off. The demonstrations come from it.

It sees what a policy sees (``environment_state``), never the truth, so it also drives the real robot.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from reachy_kit.errors import WrongUseError
from reachy_kit.interface import ANTENNA_REST, ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Action, Array, Observation
from reachy_kit.perception.target import AGE, BELOW, RIGHT, VISIBLE


@dataclass(frozen=True)
class ExpertConfig:
    """How human the expert is."""

    reaction: float = 0.2
    """s from seeing to moving. Visual reactions take 180–200 ms (Welford 1980, simple reaction to light)."""
    reaction_spread: float = 0.03
    """s, standard deviation from episode to episode."""
    approach: float = 0.12
    """s, time constant of the approach once moving; chosen so that a turn of 30° takes about half a second."""
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
        self._aim: Array | None = None
        self._body = 0.0
        self._wander = config.aim_noise * self._rng.standard_normal(2)
        self._antennas = np.array(ANTENNA_REST)

    def act(self, observation: Observation) -> Action:
        """The (9,) target for the next decision."""
        features = observation.environment_state
        if features is None:
            raise WrongUseError("the scripted expert needs perception; this robot gives none")
        state, now = observation.state, observation.capture_time
        if self._aim is None:
            self._aim, self._body = state[[YAW, PITCH]], float(state[BODY_YAW])
        self._heads.append((now, state[[YAW, PITCH]]))
        late = self._percepts[0] if len(self._percepts) == self._percepts.maxlen else None
        self._percepts.append(self._seen_in_base(features, now) if features[VISIBLE] else late)
        if late is not None:
            self._follow(late)
        return self._command()

    def _seen_in_base(self, features: Array, now: float) -> Array:
        """(2,) rad yaw and pitch of the target: its bearing added to where the head was when the frame was taken."""
        captured = now - features[AGE]
        _, head = min(self._heads, key=lambda entry: abs(entry[0] - captured))
        return head + np.array([-features[RIGHT], features[BELOW]])

    def _follow(self, percept: Array) -> None:
        assert self._aim is not None
        config, dt = self._config, 1 / self._hz
        keep = np.exp(-dt / config.aim_memory)
        self._wander = keep * self._wander + config.aim_noise * np.sqrt(1 - keep**2) * self._rng.standard_normal(2)
        off = percept + self._wander - self._aim
        self._aim = self._aim + (1 - np.exp(-dt / config.approach)) * off
        behind = self._aim[0] - self._body
        self._body += behind - float(np.clip(behind, -config.body_slack, config.body_slack))
        wanted = ANTENNAS_UP if np.hypot(*off) < config.found else ANTENNA_REST
        self._antennas = self._antennas + (1 - np.exp(-dt / config.approach)) * (np.array(wanted) - self._antennas)

    def _command(self) -> Action:
        assert self._aim is not None
        action = NEUTRAL.copy()
        action[[YAW, PITCH]] = self._aim
        action[BODY_YAW] = self._body
        action[ANTENNAS] = self._antennas
        return action
