"""The scripted teachers: a person's way of doing a task, late, smooth and a little off; and the oracle, which is not.

They see what a policy sees (``environment_state``), never the truth, so they also drive the real robot. Their numbers
are fixed here, with their sources, and nobody who learns may touch them. Batched: one row an environment.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Action, Array, Observation
from reachy_kit.runtime.perception.sound import SOUND_FEATURES
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_sim import counter_rng
from reachy_sim.tasks.dance import NOD, SWING

type Ids = npt.NDArray[np.int64]


class BatchPolicy(Protocol):
    """Decides for N environments at once."""

    def reset(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> None:
        """Begin new episodes; whatever is random about them follows from their seeds and counts."""
        ...

    def act(self, state: Array, environment_state: Array, last_action: Array) -> Array:
        """(N, 9) targets from (N, 9) measured, (N, K) features and the (N, 9) actions in force."""
        ...


@dataclass(frozen=True)
class ExpertConfig:
    """How human a teacher is."""

    reaction: float = 0.2
    """s from seeing to moving. Visual reactions take 180–200 ms (Welford 1980, simple reaction to light)."""
    reaction_spread: float = 0.03
    """s, standard deviation from episode to episode."""
    gain: float = 0.75
    """Share of the remaining way that each command asks for at 25 Hz. Chosen so that the robot, friction and all, ends
    a turn of 30° within 2° of its aim."""
    pursuit: float = 0.8
    """Share of the target's movement during the reaction that is made up for: people's smooth pursuit predicts. Chosen
    below 1, as the head follows a gaze that is nearly perfect with less than all of it."""
    lead: float = 0.0
    """s by which the aim is ahead, with ``pursuit``: what the motors will be late."""
    trust: float = 1.0
    """Least share of a new bearing in the aim; the rest is what was aimed at before. The first few count alike."""
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
    """rad, bearing within which the antennas rise: the pupil sees that the robot has found its target."""
    patience: float = 1.5
    """s without ever having seen anything, after which it looks about."""


HUMAN = ExpertConfig()
LISTENER = ExpertConfig(reaction=0.16, gain=0.5, pursuit=0.0, trust=0.5)
"""Auditory reactions take 140–160 ms (Welford 1980); a direction of arrival is unsure, so it is averaged."""
SEEING_ORACLE = ExpertConfig(
    reaction=0.0, reaction_spread=0.0, gain=0.8, pursuit=1.0, lead=0.09, insistence=0.1, aim_noise=0.0, patience=0.8
)
"""No delay, and the target's movement made up for: what is possible on these observations."""
HEARING_ORACLE = ExpertConfig(
    reaction=0.0, reaction_spread=0.0, gain=0.8, pursuit=0.0, trust=0.08, insistence=0.1, aim_noise=0.0
)

ANTENNAS_UP = (-0.6, 0.6)
"""[right, left] rad: spread, the robot's way of looking pleased."""
_REMEMBERED = 1.0
"""s of head poses and percepts."""
_SEARCH = (0.9, 0.35)
"""rad and Hz: how far to each side and how often it looks about."""
_PUSH = 0.2
"""rad, the most that is added to a command."""
_QUICK = 0.25
"""Share of a new speed in the remembered one, at 25 Hz."""


class Follower:
    """Turns the head, and the body after it, to where something was seen or heard.

    Args:
        count: N.
        hz: how often it decides.
        config: how human it is.
        features: what it gets; the first is a bearing to the right, and with a ball the second one below.
    """

    def __init__(self, count: int, hz: int, config: ExpertConfig, features: tuple[str, ...] = TARGET_FEATURES) -> None:
        self._hz, self._config, self._looks = hz, config, features == TARGET_FEATURES
        self._slots = round(_REMEMBERED * hz) + 1
        self._heads, self._aims = np.zeros((self._slots, count, 2)), np.zeros((self._slots, count, 2))
        self._known = np.zeros((self._slots, count), dtype=np.bool_)
        self._rows = np.arange(count)
        self._now = 0
        self._wander, self._speed, self._aim = np.zeros((count, 2)), np.zeros((count, 2)), np.zeros((count, 2))
        self._late, self._decisions = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self._seeds, self._episodes = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
        self._sightings = np.zeros(count)
        self._missing = np.zeros((count, 2))
        # Shares are meant at 25 Hz; at another rate the same is done in the same time.
        shares = (config.gain, config.trust, config.insistence, _QUICK)
        self._gain, self._trust, self._insistence, self._quick = (1 - (1 - share) ** (25 / hz) for share in shares)

    def reset(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> None:
        """New episodes: new reaction times, and nothing seen yet."""
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
        self._notice(state, environment_state)
        late = (self._now - self._late) % self._slots
        known = self._known[late, self._rows]
        self._drift()
        aim = self._aims[late, self._rows] + self._wander
        searching = ~known & (self._decisions > self._config.patience * self._hz)
        aim = np.where(searching[:, None], self._look_about(), aim)
        action = np.tile(NEUTRAL, (len(state), 1))
        action[:, [YAW, PITCH, BODY_YAW]] = state[:, [YAW, PITCH, BODY_YAW]]
        self._follow(action, aim, known)
        return np.where((known | searching)[:, None], action, last_action)

    def _notice(self, state: Array, features: Array) -> None:
        """Remember where the head is now, and where in the base frame something was when its frame was taken."""
        config = self._config
        visible, age = features[:, -2] > 0, features[:, -1]
        self._heads[self._now] = state[:, [YAW, PITCH]]
        ago = np.minimum(np.round(age * self._hz).astype(np.int64), np.minimum(self._slots, self._decisions) - 1)
        head = self._heads[(self._now - ago) % self._slots, self._rows]
        below = features[:, 1] if self._looks else -head[:, 1]
        seen = head + np.stack([-features[:, 0], below], axis=-1)
        sure = self._sightings > 0
        trust = np.maximum(self._trust, 1 / (self._sightings + 1))[:, None]
        aim = np.where(sure[:, None], self._aim, seen)
        self._observe(aim, seen, visible & sure)
        self._aim = np.where(visible[:, None], aim + trust * (seen - aim), self._aim)
        self._sightings += visible
        ahead = config.pursuit * (np.where(visible, age, 0.0) + config.reaction) + config.lead
        self._aims[self._now] = self._aim + (ahead[:, None] * self._speed if config.pursuit else 0.0)
        self._known[self._now] = self._sightings > 0

    def _observe(self, aim: Array, seen: Array, both: npt.NDArray[np.bool_]) -> None:
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

    def _look_about(self) -> Array:
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


@dataclass(frozen=True)
class DancerConfig:
    """How human a dancer is."""

    asynchrony: float = 0.0
    """s by which the movement is meant to come after the beat. People's taps lead it by 20–80 ms (Repp 2005)."""
    asynchrony_spread: float = 0.025
    """s, standard deviation from episode to episode."""
    jitter: float = 0.025
    """s, standard deviation within an episode: taps scatter by 20–30 ms (Repp 2005)."""
    lead: float = 0.09
    """s by which it anticipates its own body: less than the robot's motors are late (about 0.12 s)."""
    reach: float = 1.25
    """Multiples of the wanted swing that it asks for: the motors carry out four fifths."""
    amplitude_spread: float = 0.1
    """Relative, from episode to episode."""


PERSON = DancerConfig()
METRONOME = DancerConfig(asynchrony_spread=0.0, jitter=0.0, lead=0.12, reach=1.3, amplitude_spread=0.0)
"""The oracle: knows how late the robot is, and never wavers."""


class Dancer:
    """Nods on the beat and swings the antennas apart.

    Args:
        count: N.
        hz: how often it decides.
        config: how human it is.
    """

    def __init__(self, count: int, hz: int, config: DancerConfig = PERSON) -> None:
        self._hz, self._config = hz, config
        self._late, self._wobble, self._size = np.zeros(count), np.zeros(count), np.ones(count)
        self._decisions = np.zeros(count, dtype=np.uint64)
        self._seeds, self._episodes = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)

    def reset(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> None:
        """New episodes: another day's timing and temper."""
        config = self._config
        self._seeds[ids], self._episodes[ids], self._decisions[ids] = seeds, episodes, 0
        drawn = counter_rng.normal(counter_rng.uniform(seeds, episodes, counter_rng.POLICY, 4))
        self._late[ids] = config.asynchrony + config.asynchrony_spread * drawn[:, 0]
        self._wobble[ids] = config.jitter * drawn[:, 1]
        self._size[ids] = 1 + config.amplitude_spread * np.clip(drawn[:, 2], -2, 2)

    def act(self, state: Array, environment_state: Array, last_action: Array) -> Array:
        """The next targets."""
        config = self._config
        self._decisions += np.uint64(1)
        if config.jitter:
            keep = np.exp(-2.0 / self._hz)
            drawn = counter_rng.normal(
                counter_rng.uniform(self._seeds, self._episodes, counter_rng.POLICY, 2, self._decisions)
            )
            self._wobble = keep * self._wobble + config.jitter * np.sqrt(1 - keep**2) * drawn[:, 0]
        sine, cosine, tempo, _, age = environment_state.T
        ahead = age + config.lead + 1 / self._hz - self._late - self._wobble
        angle = np.arctan2(sine, cosine) + 2 * np.pi * tempo * ahead
        beat = config.reach * self._size * np.cos(angle)
        action = np.tile(NEUTRAL, (len(state), 1))
        action[:, YAW] = action[:, BODY_YAW] = state[:, BODY_YAW]
        action[:, PITCH] = NOD * beat
        action[:, ANTENNAS] += SWING * beat[:, None] * (-1.0, 1.0)
        return action


def teacher(task: str, hz: int, count: int = 1, *, oracle: bool = False) -> BatchPolicy:
    """A task's expert or oracle.

    Args:
        task: its name.
        hz: how often it decides.
        count: N environments.
        oracle: rather what is possible than what a person would do.
    """
    if task == "dance":
        return Dancer(count, hz, METRONOME if oracle else PERSON)
    if task == "sound_orient":
        return Follower(count, hz, HEARING_ORACLE if oracle else LISTENER, SOUND_FEATURES)
    return Follower(count, hz, SEEING_ORACLE if oracle else HUMAN)


class SingleEnvPolicy:
    """A batch policy of one, as the control loop's policy.

    Args:
        policy: of one environment.
        seed: of its randomness; each reset begins the next episode of it.
    """

    def __init__(self, policy: BatchPolicy, seed: int = 0) -> None:
        self._policy, self._seed, self._episode = policy, seed, 0

    def reset(self) -> None:
        """A new episode."""
        one = np.ones(1, dtype=np.uint64)
        self._policy.reset(np.zeros(1, dtype=np.int64), one * np.uint64(self._seed), one * np.uint64(self._episode))
        self._episode += 1

    def act(self, observation: Observation) -> Action:
        """The (9,) target for the next decision."""
        if observation.environment_state is None:
            raise WrongUseError("the scripted teachers need perception; this robot gives none")
        last = observation.state if observation.last_action is None else observation.last_action
        return np.asarray(self._policy.act(observation.state[None], observation.environment_state[None], last[None])[0])


class RandomPolicy:
    """Wanders about at random, smoothly: what doing nothing in particular is worth.

    Args:
        hz: how often it decides.
        seed: of its wandering.
    """

    def __init__(self, hz: int, seed: int = 0) -> None:
        self._keep, self._rng = float(np.exp(-1 / hz)), np.random.default_rng(seed)
        self.reset()

    def reset(self) -> None:
        """Start in the middle."""
        self._place = np.zeros(len(NEUTRAL))

    def act(self, observation: Observation) -> Action:
        """The (9,) target for the next decision."""
        spread = np.sqrt(1 - self._keep**2) * _RESTLESS
        self._place = self._keep * self._place + spread * self._rng.standard_normal(len(NEUTRAL))
        return np.asarray(NEUTRAL + self._place)


_RESTLESS: Array = np.array([0.003, 0.003, 0.005, 0.1, 0.15, 0.4, 0.4, 0.4, 0.4])
"""m and rad, standard deviations."""


def expert(task: str, hz: int, seed: int = 0, *, oracle: bool = False) -> SingleEnvPolicy:
    """One teacher for the control loop."""
    return SingleEnvPolicy(teacher(task, hz, oracle=oracle), seed)
