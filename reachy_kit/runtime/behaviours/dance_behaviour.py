"""dance: nods on the beat that is heard and sways with it, or plays a recorded dance.

The head is lowest on a beat, and moves as far as the limiter lets it: 5° once per second. To music that is faster it
nods on every other beat, since smaller nods are lost in the motors' friction.
Try it: reachy-kit run dance idle --robot daemon --microphone default
"""

import os
from pathlib import Path

import numpy as np

from reachy_kit.runtime.behaviours.behaviour_kind import Behaviour, BehaviourContext, BehaviourKind
from reachy_kit.runtime.behaviours.driving.free_speed import free_speed
from reachy_kit.runtime.behaviours.driving.pose_follower import PoseFollower
from reachy_kit.runtime.behaviours.driving.presence import Presence
from reachy_kit.runtime.behaviours.driving.seen_target import MOTOR_DELAY
from reachy_kit.runtime.behaviours.recorded_move import RecordedMove, read_move
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, ROLL, YAW, Action, Array, Observation
from reachy_kit.runtime.perception.sound import BEAT_FEATURES
from reachy_kit.runtime.safety import CLASSROOM

MAKERS_DANCES = "datasets--pollen-robotics--reachy-mini-dances-library"
"""The maker's library of dances, as the Hub's cache names its folder; the robot's daemon downloads it."""
_PATIENCE = 1.0
"""Time without a tracked beat after which the music has ended, s."""
_SLOWEST = 0.5
"""Least tempo, Hz; the beat tracker's begins above it."""
_QUICKEST = 1.05
"""Nods per second at most: above that it nods on every second or fourth beat."""
_LARGEST: Array = np.zeros(9)
_LARGEST[[ROLL, PITCH, BODY_YAW, 7, 8]] = np.deg2rad([8.0, 8.0, 10.0, 23.0, 23.0])
"""(9,) rad, amplitudes that are not exceeded however slow the beat is."""
_SHARE = 0.9
"""Share of the free speed at the middle of a swing."""
_CATCH_UP, _MOST = 2.0, 0.04
"""Share of a phase error that is made up per second, and the most of it, in parts of the tempo: a beat tracker's jumps
are not danced."""
_TEMPO_MEMORY = 0.5
"""Time over which the tempo is averaged, s."""
_WARM_UP = 1.5
"""Time over which the swings grow, s."""
_THERE = 0.05
"""Distance from the middle within which the swings may grow, m or rad."""

_AT_FIRST, _CLOSED = 0.01, 0.002
"""Distance from a recorded move's first pose within which it begins, and that of its last pose within which it is
repeated without a pause, m or rad."""
_BRAKING = CLASSROOM.acceleration / 2
"""(9,) per s², with which the motion at the end of a recorded move becomes slow: half of what the limiter permits."""


class Dance:
    """Dances to the beat that is heard.

    Args:
        hz: decisions per second.
    """

    features = BEAT_FEATURES
    carries_on = True

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self._presence, self._follower, self._fastest = Presence(hz, _PATIENCE), PoseFollower(hz), free_speed()
        self._beats, self._size, self._tempo, self._beats_per_nod = 0.0, 0.0, _SLOWEST, 1

    def reset(self) -> None:
        """Forget the beat of the episode before."""
        self._presence.forget()

    def wants_to_drive(self, observation: Observation) -> bool:
        """While a beat is tracked, and ``_PATIENCE`` longer."""
        return self._presence.update(observation)

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, on the beat."""
        self._follower.start(observation.action_in_force, speed)
        assert observation.environment_state is not None
        self._beats, self._size = self._heard_beats(observation), 0.0
        self._tempo = max(float(observation.environment_state[2]), _SLOWEST)
        self._beats_per_nod = next(beats for beats in (1, 2, 4) if self._tempo / beats <= _QUICKEST or beats == 4)

    def act(self, observation: Observation) -> Action:
        """The (9,) target of this moment of the beat."""
        middle = self._follower.follow(NEUTRAL)
        assert observation.environment_state is not None
        self._tempo += (float(observation.environment_state[2]) - self._tempo) / (_TEMPO_MEMORY * self._hz)
        tempo = self._tempo
        off = self._heard_beats(observation) - self._beats
        off -= round(off)  # to the nearest beat: a phase tells one from none of the others
        self._beats += tempo * (1 + float(np.clip(_CATCH_UP * off / tempo, -_MOST, _MOST))) / self._hz
        grows = np.abs(middle - NEUTRAL).max() < _THERE
        self._size = min(self._size + 1 / (_WARM_UP * self._hz), 1.0) if grows else self._size
        return np.asarray(middle + self._size * self._swing(tempo))

    def _heard_beats(self, observation: Observation) -> float:
        """Beats, of which only the fraction counts, at the time at which a command of now is carried out."""
        assert observation.environment_state is not None
        sine, cosine, tempo, _, age = observation.environment_state
        return float(np.arctan2(sine, cosine) / (2 * np.pi) + tempo * (age + MOTOR_DELAY))

    def _swing(self, tempo: float) -> Array:
        """(9,) difference from the middle: with each nod, head and antennas go to another side."""
        nods, rate = self._beats / self._beats_per_nod, tempo / self._beats_per_nod
        nod, side, turn = (np.cos(2 * np.pi * nods / several) for several in (1, 2, 4))
        swing = np.zeros(len(NEUTRAL))
        swing[PITCH] = nod * self._amplitude(PITCH, rate)
        swing[ROLL] = side * self._amplitude(ROLL, rate / 2)
        swing[ANTENNAS] = side * self._amplitude(ANTENNAS.start, rate / 2)
        swing[YAW] = swing[BODY_YAW] = turn * self._amplitude(BODY_YAW, rate / 4)
        return swing

    def _amplitude(self, axis: int, frequency: float) -> float:
        """Amplitude of a swing whose fastest moment the limiter lets pass, m or rad."""
        possible = _SHARE * self._fastest[axis] / (2 * np.pi * frequency)
        return float(min(possible, _LARGEST[axis]))


class RecordedDance:
    """Plays a recorded move, again and again; it always wants to drive.

    A move that ends where it began is repeated without a pause. Another one's last motion is braked, and carried on
    into the way back to the first pose.

    Args:
        move: to play.
        hz: decisions per second.
    """

    features: tuple[str, ...] = ()
    carries_on = True

    def __init__(self, move: RecordedMove, hz: int) -> None:
        self._move, self._hz, self._follower = move, hz, PoseFollower(hz)
        self._fastest = free_speed()
        self.reset()

    def reset(self) -> None:
        """Begin with the first pose."""
        self._played: float | None = None
        self._braked: tuple[Array, Array] | None = None

    def wants_to_drive(self, observation: Observation) -> bool:
        """Always."""
        return True

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, on the way to the first pose."""
        self.reset()
        self._follower.start(observation.action_in_force, speed)

    def act(self, observation: Observation) -> Action:
        """The (9,) target: on the way to the first pose, then the move's."""
        if self._braked:
            return self._brake(*self._braked)
        first = self._move.poses[0]
        if self._played is None:
            target = self._follower.follow(first)
            self._played = 0 if np.abs(target - first).max() < _AT_FIRST else None
            return target
        self._played += 1
        over = self._played / self._hz - self._move.seconds
        if over < 0:
            return self._move.pose(self._played / self._hz)
        last = self._move.poses[-1]
        if np.abs(last - first).max() < _CLOSED:
            self._played = over * self._hz
            return self._move.pose(over)
        self._played = None
        speed = (last - self._move.pose(self._move.seconds - 1 / self._hz)) * self._hz
        speed = np.clip(speed, -CLASSROOM.speed, CLASSROOM.speed)
        return self._brake(last + (over - 1 / self._hz) * speed, speed)

    def _brake(self, place: Array, speed: Array) -> Action:
        """The (9,) target after one that was passed at a speed, until the way back can carry that speed on."""
        slower = np.maximum(np.abs(speed) - _BRAKING / self._hz, np.minimum(np.abs(speed), self._fastest))
        speed = np.sign(speed) * slower
        place = place + speed / self._hz
        self._braked = (place, speed) if (slower > self._fastest).any() else None
        if self._braked is None:
            self._follower.start(place, speed)
        return place


def _open(context: BehaviourContext) -> Behaviour:
    if not context.argument:
        return Dance(context.hz)
    return RecordedDance(read_move(_find_move(context.argument)), context.hz)


def _find_move(text: str) -> Path:
    """The file of a recorded move: a path, or the name of one of the maker's dances on this computer.

    Raises:
        WrongUseError: there is none.
    """
    path = Path(text).expanduser()
    if path.suffix == ".json" or path.exists():
        return path
    dances = _makers_dances()
    if text in dances:
        return dances[text]
    known = (
        f"the maker's dances here are {', '.join(sorted(dances))}"
        if dances
        else ("the maker's dances are not on this computer, the robot's daemon downloads them")
    )
    raise WrongUseError(f"dance:{text} does not exist: give a recorded move's JSON file; {known}")


def _makers_dances() -> dict[str, Path]:
    """Name → file of the maker's dances in the Hub's cache of this computer.

    Source: the environment variables and the layout of huggingface_hub's cache.
    """
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return {file.stem: file for file in sorted((cache / MAKERS_DANCES).glob("snapshots/*/**/*.json"))}


BEHAVIOUR = BehaviourKind(
    summary="dances to the beat (a microphone), or plays a recorded move: a JSON file or one of the maker's dances",
    open=_open,
    argument="MOVE",
    task="dance",
)
