"""The expert that follows a bearing: it turns the head, and the body after it, to the last bearing of a target.

Its numbers are fixed here, with their sources, as the reference for learning. Batched, one row per environment.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Array
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_sim import counter_rng
from reachy_sim.tasks.expert import Ids


@dataclass(frozen=True)
class FollowerConfig:
    """Reaction, gains and noise of a follower."""

    reaction: float = 0.2
    """Time from a sighting to a movement, s. Reactions to light take 180–200 ms (Welford 1980)."""
    reaction_spread: float = 0.03
    """Standard deviation of that time from episode to episode, s."""
    gain: float = 0.75
    """Share of the remaining way in each command at 25 Hz. Chosen so that the robot, friction and all, ends
    a turn of 30° within 2° of its aim."""
    pursuit: float = 0.8
    """Share of the target's movement during the reaction that is compensated: people's smooth pursuit predicts. Chosen
    below 1, as the head follows a gaze that is nearly perfect with less than all of it."""
    lead: float = 0.0
    """Time by which the aim is ahead with ``pursuit``, s: the delay of the motors."""
    update_share: float = 1.0
    """Least share of a new bearing in the aim; the rest is the aim before. The first few bearings weigh the same."""
    integral_gain: float = 0.0
    """Share of an error that is added to each command at 25 Hz, against play and weak motors."""
    aim_noise: float = np.deg2rad(1.0)
    """Standard deviation of the slow wander of the aim, rad. Held fixation wanders by about a degree when the head does
    the looking; chosen, not fitted."""
    aim_memory: float = 0.5
    """Correlation time of that wander, s."""
    body_slack: float = np.deg2rad(15.0)
    """Angle by which the head turns before the body follows, rad."""
    antenna_bearing: float = np.deg2rad(8.0)
    """Bearing within which the antennas rise, rad: people see that the robot has found its target."""
    search_after: float = 1.5
    """Time without a first sighting after which it searches, s."""


PERSON = FollowerConfig()
LISTENER = FollowerConfig(reaction=0.16, gain=0.5, pursuit=0.0, update_share=0.5)
"""Follower of a sound. Auditory reactions take 140–160 ms (Welford 1980); directions of arrival are averaged."""
VISION_ORACLE = FollowerConfig(
    reaction=0.0,
    reaction_spread=0.0,
    gain=0.8,
    pursuit=1.0,
    lead=0.09,
    integral_gain=0.1,
    aim_noise=0.0,
    search_after=0.8,
)
"""Follower of the oracle, without delay and with full pursuit: what is possible on these observations."""
SOUND_ORACLE = FollowerConfig(
    reaction=0.0, reaction_spread=0.0, gain=0.8, pursuit=0.0, update_share=0.08, integral_gain=0.1, aim_noise=0.0
)

ANTENNAS_UP = (-0.6, 0.6)
"""Antennas spread, [right, left] rad: the robot's way of looking pleased."""
_REMEMBERED = 1.0
"""Length of the memory of head poses and sightings, s."""
_SEARCH = (0.9, 0.35)
"""Amplitude and frequency of the sweep while it searches, rad and Hz."""
_PUSH = 0.2
"""Largest angle that is added to a command, rad."""
_QUICK = 0.25
"""Share of a new speed in the remembered one, at 25 Hz."""


class Follower:
    """Turns the head, and the body after it, to where something was bearing or heard.

    Args:
        count: N.
        hz: decisions per second.
        config: reaction, gains and noise.
        features: their names; the first is a bearing to the right, and of a visible target the second is one below.
    """

    def __init__(
        self, count: int, hz: int, config: FollowerConfig, features: tuple[str, ...] = TARGET_FEATURES
    ) -> None:
        self._hz, self._config, self._vision = hz, config, features == TARGET_FEATURES
        self._slots = round(_REMEMBERED * hz) + 1
        self._heads, self._aims = np.zeros((self._slots, count, 2)), np.zeros((self._slots, count, 2))
        self._known = np.zeros((self._slots, count), dtype=np.bool_)
        self._rows = np.arange(count)
        self._now = 0
        self._wander: Array = np.zeros((count, 2))
        self._speed: Array = np.zeros((count, 2))
        self._aim: Array = np.zeros((count, 2))
        self._late, self._decisions = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self._seeds, self._episodes = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
        self._sightings = np.zeros(count)
        self._integral: Array = np.zeros((count, 2))
        # Shares are meant at 25 Hz; at another rate the same is done in the same time.
        shares = (config.gain, config.update_share, config.integral_gain, _QUICK)
        self._gain, self._update_share, self._integral_gain, self._quick = (
            1 - (1 - share) ** (25 / hz) for share in shares
        )

    def reset(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> None:
        """Begin new episodes, with new reaction times and without a sighting."""
        self._seeds[ids], self._episodes[ids] = seeds, episodes
        self._decisions[ids] = 0
        drawn = counter_rng.normal(counter_rng.uniform(seeds, episodes, counter_rng.POLICY, 4))
        reaction = self._config.reaction + self._config.reaction_spread * drawn[:, 0]
        self._late[ids] = np.clip(np.round(reaction * self._hz), min(self._config.reaction, 1), self._slots - 1)
        self._wander[ids] = self._config.aim_noise * drawn[:, 1:3]
        self._known[:, ids] = False
        self._sightings[ids] = 0
        self._integral[ids] = 0.0
        self._speed[ids] = 0.0

    def act(self, state: Array, environment_state: Array, last_action: Array) -> Array:
        """Return the next targets.

        Every command starts from the measured pose, as a person's does, so the expert corrects after a push.
        """
        self._now = (self._now + 1) % self._slots
        self._decisions += 1
        self._remember(state, environment_state)
        late = (self._now - self._late) % self._slots
        known = self._known[late, self._rows]
        self._drift()
        aim = self._aims[late, self._rows] + self._wander
        searching = ~known & (self._decisions > self._config.search_after * self._hz)
        aim = np.where(searching[:, None], self._search(), aim)
        action = np.tile(NEUTRAL, (len(state), 1))
        action[:, [YAW, PITCH, BODY_YAW]] = state[:, [YAW, PITCH, BODY_YAW]]
        self._follow(action, aim, known)
        return np.where((known | searching)[:, None], action, last_action)

    def _remember(self, state: Array, features: Array) -> None:
        """Store the head's pose, and the target's direction in the base frame when its frame was captured."""
        config = self._config
        visible, age = features[:, -2] > 0, features[:, -1]
        self._heads[self._now] = state[:, [YAW, PITCH]]
        ago = np.minimum(np.round(age * self._hz).astype(np.int64), np.minimum(self._slots, self._decisions) - 1)
        head = self._heads[(self._now - ago) % self._slots, self._rows]
        below = features[:, 1] if self._vision else -head[:, 1]
        bearing = head + np.stack([-features[:, 0], below], axis=-1)
        sure = self._sightings > 0
        share = np.maximum(self._update_share, 1 / (self._sightings + 1))[:, None]
        aim = np.where(sure[:, None], self._aim, bearing)
        self._measure_speed(aim, bearing, visible & sure)
        self._aim = np.where(visible[:, None], aim + share * (bearing - aim), self._aim)
        self._sightings += visible
        ahead = config.pursuit * (np.where(visible, age, 0.0) + config.reaction) + config.lead
        self._aims[self._now] = self._aim + (ahead[:, None] * self._speed if config.pursuit else 0.0)
        self._known[self._now] = self._sightings > 0

    def _measure_speed(self, aim: Array, bearing: Array, both: npt.NDArray[np.bool_]) -> None:
        """Estimate the target's speed as the average of its last few steps."""
        moved = (bearing - aim) * self._hz
        self._speed = np.where(both[:, None], self._speed + self._quick * (moved - self._speed), self._speed)

    def _drift(self) -> None:
        """Move the aim as an Ornstein-Uhlenbeck process."""
        config = self._config
        if not config.aim_noise:
            return
        keep = np.exp(-1 / (self._hz * config.aim_memory))
        steps = self._decisions.astype(np.uint64)
        drawn = counter_rng.normal(counter_rng.uniform(self._seeds, self._episodes, counter_rng.POLICY, 2, steps))
        self._wander = keep * self._wander + config.aim_noise * np.sqrt(1 - keep**2) * drawn

    def _search(self) -> Array:
        """Aim (N, 2) rad of a sweep from side to side."""
        far, often = _SEARCH
        waited = np.maximum(self._decisions / self._hz - self._config.search_after, 0.0)
        return np.stack([far * np.sin(2 * np.pi * often * waited), np.full(len(waited), 0.1)], axis=-1)

    def _follow(self, action: Array, aim: Array, known: npt.NDArray[np.bool_]) -> None:
        """Turn (N, 9) actions that hold the measured pose into ones that approach the aim, (N, 2) rad yaw and pitch."""
        config = self._config
        off = aim - action[:, [YAW, PITCH]]
        behind = aim[:, 0] - action[:, BODY_YAW]
        action[:, [YAW, PITCH]] += self._gain * off
        if self._integral_gain:
            near = known & (np.hypot(off[:, 0], off[:, 1]) < config.antenna_bearing)
            self._integral = np.where(
                near[:, None], np.clip(self._integral + self._integral_gain * off, -_PUSH, _PUSH), 0.0
            )
            action[:, [YAW, PITCH]] += self._integral
        slack = np.clip(behind, -config.body_slack, config.body_slack)
        action[:, BODY_YAW] += self._gain * (behind - slack)
        on_target = known & (np.hypot(off[:, 0], off[:, 1]) < config.antenna_bearing)
        action[:, ANTENNAS] = np.where(on_target[:, None], ANTENNAS_UP, action[:, ANTENNAS])
