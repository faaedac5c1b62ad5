"""The one source of truth: what an observation and an action hold, and what a robot, a policy and a world must do.

Nine numbers describe the robot, commanded (action) or measured (state), always in this order; absolute targets in the
robot's base frame (x forward, y left, z up; the origin is the neutral head position):

===  ===================  ====  ====================================================
 #   name                 unit  meaning
===  ===================  ====  ====================================================
 0   head_x.pos           m     head position, forward
 1   head_y.pos           m     head position, left
 2   head_z.pos           m     head position, up
 3   head_roll.pos        rad   head rotation, extrinsic xyz as in the SDK
 4   head_pitch.pos       rad   positive looks down
 5   head_yaw.pos         rad   positive looks left
 6   body_yaw.pos         rad   positive turns left
 7   right_antenna.pos    rad   as the SDK counts it
 8   left_antenna.pos     rad   as the SDK counts it
===  ===================  ====  ====================================================

The names end in ``.pos`` because LeRobot's own rollout keeps only keys that end in ``.pos`` or ``.vel``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import pi
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

type Array = npt.NDArray[np.float64]
type Image = npt.NDArray[np.uint8]
type Action = Array
"""(9,) absolute targets in the order of ``ACTION_NAMES``."""

ACTION_NAMES: tuple[str, ...] = (
    "head_x.pos",
    "head_y.pos",
    "head_z.pos",
    "head_roll.pos",
    "head_pitch.pos",
    "head_yaw.pos",
    "body_yaw.pos",
    "right_antenna.pos",
    "left_antenna.pos",
)
ACTION_UNITS: tuple[str, ...] = ("m", "m", "m", "rad", "rad", "rad", "rad", "rad", "rad")
POSITION_AXES, ANGLE_AXES = slice(0, 3), slice(3, 9)
"""Indices of the metres and of the radians in an action."""
HEAD = slice(0, 6)
ROLL, PITCH, YAW, BODY_YAW = 3, 4, 5, 6
ANTENNAS = slice(7, 9)

ANTENNA_REST = (-0.1745, 0.1745)
"""Rest angles of the antennas, [right, left] rad. They shake at exactly 0, so they rest 10° off.

Source: INIT_ANTENNAS_JOINT_POSITIONS in reachy_mini 1.12.
"""
NEUTRAL: Array = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, *ANTENNA_REST])
SLEEP: Array = np.array([-0.021, 0.001, -0.044, -0.0011, 0.4257, -0.0044, 0.0, -3.05, 3.05])
"""Pose in which the motors may be switched off: the head rests low and does not drop.

Source: SLEEP_HEAD_POSE and SLEEP_ANTENNAS_JOINT_POSITIONS in reachy_mini 1.12.
"""

CONTROL_HZ = 50
"""Ticks per second of every robot. Source: the daemon's own loop and state publication (reachy_mini 1.12)."""
POLICY_RATES = (50, 25, 10)
"""Rates in Hz at which a policy may decide; the rollout interpolates between its targets."""
AUDIO_HZ = 16_000
"""Samples per second of ``Observation.audio``. Source: the robot's microphone array, and what voice detectors take."""
CAMERA = "head"
"""Name of the robot's one camera; datasets hold it as ``observation.images.head``."""


@dataclass(frozen=True)
class TaskError:
    """What a task's error is called, and the unit in which people read it."""

    name: str
    """Name, such as ``gaze error``."""
    unit: str = "degrees"
    """Unit in words, for axes and headings."""
    symbol: str = "°"
    """Unit as written behind a number."""
    scale: float = 180 / pi
    """What people read for 1 rad of ``Truth.task_error``; a task whose error is not an angle has its own scale."""

    @property
    def heading(self) -> str:
        """Name and unit, for a column or an axis."""
        return f"{self.name} ({self.unit})"

    def text(self, value: float, digits: int = 1) -> str:
        """A value of ``Truth.task_error`` as people read it."""
        return f"{self.scale * value:.{digits}f}{self.symbol}"


@dataclass(frozen=True)
class TaskSpec:
    """The light half of a task: everything that needs no simulator."""

    name: str
    instruction: str
    """The task in words, as datasets store it."""
    features: tuple[str, ...]
    """Names of ``environment_state``, in order. The last two say whether it is sensed now, and its age in s."""
    explored_axes: tuple[str, ...]
    """Of ``ACTION_NAMES``, those on which the reward depends; on the others an imitated way of moving is kept."""
    error: TaskError
    gym_id: str
    """Name of its environments in Gymnasium."""
    simulation: str
    """``module:attribute`` of its heavy half, a ``reachy_sim.tasks.SimulatedTask``. Loaded only to simulate; a file
    with both halves has ``f"{__name__}:SIMULATION"``."""

    def __post_init__(self) -> None:
        unknown = [axis for axis in self.explored_axes if axis not in ACTION_NAMES]
        if unknown:
            raise ValueError(f"explored axes {', '.join(unknown)} do not exist; there are {', '.join(ACTION_NAMES)}")


@dataclass(frozen=True)
class Observation:
    """Measurements of one instant, each part with the time at which it was captured.

    Times are in seconds on the robot's own clock: wall clock on hardware, simulated time in the simulator.
    """

    state: Array
    """(9,) measured, in the order of ``ACTION_NAMES``."""
    capture_time: float
    """Time at which ``state`` was measured."""
    environment_state: Array | None = None
    """(K,) perception's features for the task, in the order of its ``names``."""
    last_action: Array | None = None
    """(9,) the action in force at that instant; the rollout fills it in."""
    images: Mapping[str, Image] = field(default_factory=dict)
    """Camera name → (H, W, 3) RGB uint8."""
    image_times: Mapping[str, float] = field(default_factory=dict)
    """Camera name → time at which its frame was captured."""
    sound: Array | None = None
    """(K,) what a microphone hears, in the order of ``perception.sound.HEARING_FEATURES``; None without one."""
    audio: npt.NDArray[np.float32] | None = None
    """(samples,) in [-1, 1], mono at ``AUDIO_HZ``, since the last observation; None unless raw sound is asked for."""
    audio_time: float | None = None
    """Time at which the last of those samples was captured."""

    @property
    def action_in_force(self) -> Action:
        """(9,) the last action; before the first one, the measured state."""
        return self.state if self.last_action is None else self.last_action


@dataclass(frozen=True)
class Truth:
    """Ground truth of the task, without sensing noise; only a world knows it."""

    target: Array
    """(3,) m, base frame."""
    task_error: float
    """The task's error, rad, or in the unit that ``TaskError.scale`` implies; 0 at best."""
    reward: float
    """Sum of the task's weighted reward terms for this step, 1 at best."""
    success: bool
    """True once the task's full criterion has been met."""


class Robot(Protocol):
    """A Reachy Mini, real or simulated. It owns the clock: nothing else sleeps."""

    name: str
    control_hz: int

    @property
    def observation_features(self) -> dict[str, type | tuple[int, ...]]:
        """Name → float, or the shape of an image. Known before connecting."""
        ...

    @property
    def action_features(self) -> dict[str, type]:
        """Name → float, in the order of ``ACTION_NAMES``. Known before connecting."""
        ...

    def connect(self) -> None:
        """Open the connection and go to neutral."""
        ...

    def disconnect(self) -> None:
        """Leave the robot at rest. Safe to call twice, and after a failure."""
        ...

    def reset(self, pose: Array) -> None:
        """Go to a (9,) pose and come to rest there; the limiter starts from it."""
        ...

    def get_observation(self) -> Observation:
        """The latest measurement; never blocks for a whole tick."""
        ...

    def send_action(self, action: Action) -> Action:
        """Command a (9,) target; returns the one actually applied, after the limiter."""
        ...

    def wait_next_tick(self) -> None:
        """Advance by one tick of 1 / control_hz seconds."""
        ...


class Policy(Protocol):
    """Maps observations to actions. A policy that predicts chunks keeps its own queue."""

    def reset(self) -> None:
        """Forget the episode before."""
        ...

    def act(self, observation: Observation) -> Action:
        """The (9,) target to reach by the next decision."""
        ...


class World(Protocol):
    """Ground truth of a task. The simulator has one, also behind a simulated daemon; hardware does not."""

    def reset(self, seed: int) -> Array:
        """Draw an episode; returns the (9,) pose from which the robot starts."""
        ...

    def start(self, time: float) -> None:
        """Begin the episode at this instant of the robot's clock."""
        ...

    def measure(self, observation: Observation) -> Truth:
        """Measure the task at the instant at which the observation was captured."""
        ...


class Perception(Protocol):
    """Maps an observation to the named numbers of ``environment_state``."""

    names: tuple[str, ...]

    def reset(self, seed: int) -> None:
        """Forget the episode before; any noise starts from the seed."""
        ...

    def perceive(self, observation: Observation) -> Array:
        """(K,) features in the order of ``names``."""
        ...


@dataclass(frozen=True)
class Step:
    """One decision of a rollout: the observation, and the action that answered it."""

    index: int
    observation: Observation
    action: Action
    """(9,) the action actually applied by the end of the step."""
    truth: Truth | None
    """Ground truth of the observation that follows the action; None without a world."""
    next_observation: Observation
    """Observation after the action; the next step's ``observation``."""
    request: Action
    """(9,) the policy's target, before interpolation and limiter."""


@dataclass(frozen=True)
class Tick:
    """One control tick of a rollout, before anything is decided or commanded in it."""

    index: int
    """Counts from 0 through the episode; a decision falls on every ``control_hz // policy_hz``-th."""
    observation: Observation
    """The latest one: captured at the last decision, or now if this tick decides."""
    action: Action
    """(9,) the action in force."""


class TickTiming(NamedTuple):
    """How long a control tick took, on this computer's clock; known once the tick has commanded the robot."""

    period: float | None
    """s since the tick before began; None for the first one of an episode and after a pause."""
    work: float
    """s from its beginning until the robot was commanded."""
    decision: float | None
    """s that the policy took to decide; None where no decision was due."""


class EndReason(StrEnum):
    """Reason for which an episode ended; it decides whether the episode is kept."""

    COMPLETED = "completed"
    """The episode ran its length, or was declared complete early. Only such an episode is recorded."""
    REDO = "redo"
    """Discarded, to be run again from the same seed."""
    DISCARDED = "discarded"
    """Discarded, and not to be run again."""
    STOPPED = "stopped"
    """Discarded, and no other is to follow."""


@dataclass(frozen=True)
class Episode:
    """The result of a finished rollout."""

    seed: int
    steps: int
    """Number of complete decisions; one that was cut short by an early end does not count."""
    success: bool | None
    """Whether it ended in success; like the next two, None without a world or a step."""
    task_error: float | None
    """Mean of ``Truth.task_error`` over the last second."""
    reward: float | None
    """Mean reward over the episode."""
    periods: Array
    """(ticks - 1,) s of wall time between the starts of successive ticks, without pauses; at least the last hour's."""
    work: Array
    """(ticks,) s of wall time that each tick took before it waited; at least the last hour's."""
    end_reason: EndReason = EndReason.COMPLETED
    seconds: float = 0.0
    """Length on the robot's own clock, from the first observation to the last, s."""
    nominal_seconds: float = 0.0
    """Length that its steps stand for, s: what a dataset's timestamps say."""

    @property
    def slowdown(self) -> float:
        """Factor by which it took longer than its steps stand for; 1 at best, and always in simulated time."""
        return self.seconds / self.nominal_seconds if self.nominal_seconds else 1.0


class Subscriber(Protocol):
    """Follows a rollout: a recorder, a progress bar, a plot."""

    def on_episode_start(self, seed: int) -> None:
        """Called when the robot stands at its initial pose."""
        ...

    def on_step(self, step: Step) -> None:
        """Called when a decision has been carried out."""
        ...

    def on_episode_end(self, episode: Episode) -> None:
        """Called when the episode ended, early or not: see its ``end_reason``. Not called after an exception."""
        ...
