"""The expert that follows a bearing: it turns the head, and the body after it, to where something was seen or heard.

Its numbers are fixed here, with their sources: learning is measured against them. Batched, one row per environment.
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
    """How human a follower is."""

    reaction: float = 0.2
    """s from a sighting to a movement. Visual reactions take 180–200 ms (Welford 1980, simple reaction to light)."""
    reaction_spread: float = 0.03
    """s, standard deviation from episode to episode."""
    gain: float = 0.75
    """Share of the remaining way that each command asks for at 25 Hz. Chosen so that the robot, friction and all, ends
    a turn of 30° within 2° of its aim."""
    pursuit: float = 0.8
    """Share of the target's movement during the reaction that is made up for: people's smooth pursuit predicts. Chosen
    below 1, as the head follows a gaze that is nearly perfect with less than all of it."""
    lead: float = 0.0
    """s by which the aim is ahead, with ``pursuit``: the delay of the motors."""
    trust: float = 1.0
    """Least share of a new bearing in the aim; the rest is the aim before. The first few bearings weigh the same."""
    insistence: float = 0.0
    """Share of an error that is added to the command at 25 Hz until it is gone: what play and weak motors need."""
    aim_noise: float = np.deg2rad(1.0)
    """rad, standard deviation of the slow wander of the aim. Held fixation wanders by about a degree when the head does
    the looking; chosen, not fitted."""
    aim_memory: float = 0.5
    """s, correlation time of that wander."""
    body_slack: float = np.deg2rad(15.0)
    """rad, how far the head turns before the body follows."""
    found: float = np.deg2rad(8.0)
    """rad, bearing within which the antennas rise: people see that the robot has found its target."""
    patience: float = 1.5
    """s without a first sighting, after which it searches."""


PERSON = FollowerConfig()
LISTENER = FollowerConfig(reaction=0.16, gain=0.5, pursuit=0.0, trust=0.5)
"""Auditory reactions take 140–160 ms (Welford 1980); a direction of arrival is unsure, so it is averaged."""
VISION_ORACLE = FollowerConfig(
    reaction=0.0, reaction_spread=0.0, gain=0.8, pursuit=1.0, lead=0.09, insistence=0.1, aim_noise=0.0, patience=0.8
)
"""No delay, and the target's movement made up for: what is possible on these observations."""
SOUND_ORACLE = FollowerConfig(
    reaction=0.0, reaction_spread=0.0, gain=0.8, pursuit=0.0, trust=0.08, insistence=0.1, aim_noise=0.0
)

ANTENNAS_UP = (-0.6, 0.6)
"""[right, left] rad: spread, the robot's way of looking pleased."""
_REMEMBERED = 1.0
"""s of head poses and percepts."""
_SEARCH = (0.9, 0.35)
"""rad and Hz: how far to each side and how often it sweeps while it searches."""
_PUSH = 0.2
"""rad, the most that is added to a command."""
_QUICK = 0.25
"""Share of a new speed in the remembered one, at 25 Hz."""


class Follower:
    """Turns the head, and the body after it, to where something was seen or heard.

    Args:
        count: N.
        hz: decisions per second.
        config: how human it is.
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
        self._missing: Array = np.zeros((count, 2))
        # Shares are meant at 25 Hz; at another rate the same is done in the same time.
        shares = (config.gain, config.trust, config.insistence, _QUICK)
        self._gain, self._trust, self._insistence, self._quick = (1 - (1 - share) ** (25 / hz) for share in shares)

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
        self._missing[ids] = 0.0
        self._speed[ids] = 0.0

    def act(self, state: Array, environment_state: Array, last_action: Array) -> Array:
        """The next targets.

        Every command starts from the measured pose, as a person's does: pushed off course, the expert corrects.
        """
        self._now = (self._now + 1) % self._slots
        self._decisions += 1
        self._remember(state, environment_state)
        late = (self._now - self._late) % self._slots
        known = self._known[late, self._rows]
        self._drift()
        aim = self._aims[late, self._rows] + self._wander
        searching = ~known & (self._decisions > self._config.patience * self._hz)
        aim = np.where(searching[:, None], self._search(), aim)
        action = np.tile(NEUTRAL, (len(state), 1))
        action[:, [YAW, PITCH, BODY_YAW]] = state[:, [YAW, PITCH, BODY_YAW]]
        self._follow(action, aim, known)
        return np.where((known | searching)[:, None], action, last_action)

    def _remember(self, state: Array, features: Array) -> None:
        """Remember where the head is now, and where in the base frame something was when its frame was taken."""
        config = self._config
        visible, age = features[:, -2] > 0, features[:, -1]
        self._heads[self._now] = state[:, [YAW, PITCH]]
        ago = np.minimum(np.round(age * self._hz).astype(np.int64), np.minimum(self._slots, self._decisions) - 1)
        head = self._heads[(self._now - ago) % self._slots, self._rows]
        below = features[:, 1] if self._vision else -head[:, 1]
        seen = head + np.stack([-features[:, 0], below], axis=-1)
        sure = self._sightings > 0
        trust = np.maximum(self._trust, 1 / (self._sightings + 1))[:, None]
        aim = np.where(sure[:, None], self._aim, seen)
        self._measure_speed(aim, seen, visible & sure)
        self._aim = np.where(visible[:, None], aim + trust * (seen - aim), self._aim)
        self._sightings += visible
        ahead = config.pursuit * (np.where(visible, age, 0.0) + config.reaction) + config.lead
        self._aims[self._now] = self._aim + (ahead[:, None] * self._speed if config.pursuit else 0.0)
        self._known[self._now] = self._sightings > 0

    def _measure_speed(self, aim: Array, seen: Array, both: npt.NDArray[np.bool_]) -> None:
        """How fast the target moves, as the average of its last few steps."""
        moved = (seen - aim) * self._hz
        self._speed = np.where(both[:, None], self._speed + self._quick * (moved - self._speed), self._speed)

    def _drift(self) -> None:
        """The aim wanders as an Ornstein-Uhlenbeck process."""
        config = self._config
        if not config.aim_noise:
            return
        keep = np.exp(-1 / (self._hz * config.aim_memory))
        steps = self._decisions.astype(np.uint64)
        drawn = counter_rng.normal(counter_rng.uniform(self._seeds, self._episodes, counter_rng.POLICY, 2, steps))
        self._wander = keep * self._wander + config.aim_noise * np.sqrt(1 - keep**2) * drawn

    def _search(self) -> Array:
        """(N, 2) rad: sweeping from side to side."""
        far, often = _SEARCH
        waited = np.maximum(self._decisions / self._hz - self._config.patience, 0.0)
        return np.stack([far * np.sin(2 * np.pi * often * waited), np.full(len(waited), 0.1)], axis=-1)

    def _follow(self, action: Array, aim: Array, known: npt.NDArray[np.bool_]) -> None:
        """Turn (N, 9) actions that hold the measured pose into ones that approach the aim, (N, 2) rad yaw and pitch."""
        config = self._config
        off = aim - action[:, [YAW, PITCH]]
        behind = aim[:, 0] - action[:, BODY_YAW]
        action[:, [YAW, PITCH]] += self._gain * off
        if self._insistence:
            near = known & (np.hypot(off[:, 0], off[:, 1]) < config.found)
            self._missing = np.where(near[:, None], np.clip(self._missing + self._insistence * off, -_PUSH, _PUSH), 0.0)
            action[:, [YAW, PITCH]] += self._missing
        slack = np.clip(behind, -config.body_slack, config.body_slack)
        action[:, BODY_YAW] += self._gain * (behind - slack)
        found = known & (np.hypot(off[:, 0], off[:, 1]) < config.found)
        action[:, ANTENNAS] = np.where(found[:, None], ANTENNAS_UP, action[:, ANTENNAS])
