"""SimRobot: the Robot protocol over one simulated robot.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import (
    ACTION_NAMES,
    CAMERA,
    CONTROL_HZ,
    NEUTRAL,
    Action,
    Array,
    Image,
    Observation,
)
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.robots.guiding.guidable import RESPONSE, GuidanceMode
from reachy_kit.runtime.robots.pacer import TickPacer
from reachy_kit.runtime.safety import CLASSROOM, Limited, LimitsProfile, Motion, limit
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.dynamics.hand import Hand
from reachy_sim.dynamics.joints import commanded_joints
from reachy_sim.dynamics.physics_tier import Physics
from reachy_sim.dynamics.tiers import open_dynamics

type Camera = Callable[[Array, float], tuple[Image, float]]
"""(9,) state and time → RGB image and its capture time."""

_FIRST = np.zeros(1, dtype=np.int64)
_LEEWAY = 0.1
"""Largest delay behind the wall clock that a simulation catches up, s: a few slow frames, but not a pause."""


@dataclass(frozen=True)
class SimRobotConfig:
    """Tier, physics, motors and limits of a simulated robot."""

    tier: str = "physics"
    """Tier: ``physics`` or ``kinematic``."""
    physics: str = "daemon"
    """Settings of the physics tier: daemon, fast or coarse."""
    actuators: Actuators = field(default_factory=Actuators)
    """Parameters of the motors."""
    profile: LimitsProfile = CLASSROOM
    """Profile of the limiter, the same as on the robot."""
    gravity_compensation: bool = True
    """Whether the motors carry the head's weight while a hand guides it; otherwise they are limp."""


class SimRobot:
    """One robot: the batch of one.

    Args:
        config: tier, motors and limits.
        camera: renders the head camera's image; None renders nothing.
        image_shape: (height, width, 3) of that camera.
        actuators: returns the motors of the next episode at each reset, instead of the configuration's.
        watch: called with the (9,) state and the time after every tick, also between observations.
        realtime: keep the wall clock's pace, for people who watch; otherwise as fast as possible.
        pacer: keeps that pace.
    """

    name = "sim"
    control_hz = CONTROL_HZ
    response = RESPONSE

    def __init__(
        self,
        config: SimRobotConfig | None = None,
        camera: Camera | None = None,
        image_shape: tuple[int, int, int] | None = None,
        actuators: Callable[[], Actuators] | None = None,
        watch: Callable[[Array, float], None] | None = None,
        *,
        realtime: bool = False,
        pacer: TickPacer | None = None,
    ) -> None:
        self.config = config or SimRobotConfig()
        self._dynamics = open_dynamics(self.config.tier, 1, settings=self.config.physics, threads=1)
        self._camera = camera
        self._image_shape = image_shape
        self._hearing: Hearing | None = None
        self._watch = watch
        self._pacer = (pacer or TickPacer(CONTROL_HZ, _LEEWAY)) if realtime else None
        self._actuators = actuators or (lambda: self.config.actuators)
        self.guidance: GuidanceMode | None = None
        self._hand = Hand()
        self._pulled_to: Array | None = None
        self._hand_motion = Motion.at_rest(NEUTRAL[None])
        self._motion = self._last_tick = Motion.at_rest(NEUTRAL[None])
        self.limited = Limited(0)
        """The limits that changed the last action."""
        self.reset(NEUTRAL)

    @property
    def observation_features(self) -> dict[str, type | tuple[int, ...]]:
        """The nine positions, and the camera where there is one."""
        features: dict[str, type | tuple[int, ...]] = dict.fromkeys(ACTION_NAMES, float)
        if self._image_shape:
            features[CAMERA] = self._image_shape
        return features

    @property
    def action_features(self) -> dict[str, type]:
        """The nine targets."""
        return dict.fromkeys(ACTION_NAMES, float)

    def listen_with(self, hearing: Hearing) -> None:
        """Add what a microphone beside the simulation hears to every observation from now on."""
        self._hearing = hearing

    def connect(self) -> None:
        """Go to neutral."""
        self.reset(NEUTRAL)

    def disconnect(self) -> None:
        """Do nothing: a simulated robot need not come to rest."""

    def reset(self, pose: Array) -> None:
        """Stand still at a (9,) pose; simulated time starts at 0."""
        self._dynamics.reset(_FIRST, pose[None], self._actuators())
        self.guidance, self._pulled_to = None, None
        self._hand.let_go()
        self._stand(pose[None])
        self._ticks = 0
        if self._pacer:
            self._pacer.restart()

    def get_observation(self) -> Observation:
        """The state now, and the camera's latest frame."""
        state, now = self._dynamics.state[0], self._ticks / CONTROL_HZ
        observation = Observation(state, now)
        if self._camera is not None:
            image, captured = self._camera(state, now)
            observation = Observation(state, now, images={CAMERA: image}, image_times={CAMERA: captured})
        return self._hearing.add_to(observation, now) if self._hearing else observation

    def send_action(self, action: Action) -> Action:
        """Limit a (9,) target and command it from the next tick on; returns what was applied.

        Several targets in one tick replace each other: the robot moves no further in a tick than one target may move
        it. While a hand guides the head, the measured pose is applied, whatever the target.

        Raises:
            WrongUseError: the target is not nine numbers.
        """
        if self.guidance:
            self._stand(self._dynamics.state)
            return np.asarray(self._motion.position[0])
        request = np.asarray(action)[None]
        self._motion, flags = limit(self._dynamics.state, self._last_tick, request, self.config.profile)
        self.limited = Limited(int(flags[0]))
        return np.asarray(self._motion.position[0])

    def wait_next_tick(self) -> None:
        """Simulate 20 ms; in real time also wait until they have passed."""
        if self._motion is self._last_tick:  # nothing was sent: the last command stays, and the robot stops there
            self._motion = Motion.at_rest(self._motion.position)
        self._last_tick = self._motion
        joints = commanded_joints(self._motion)
        if self._pulled_to is None:
            self._dynamics.step(joints)
        else:  # a person guides it no faster than it may move by itself
            state, goal = self._dynamics.state, self._pulled_to[None]
            self._hand_motion, _ = limit(state, self._hand_motion, goal, self.config.profile)
            self._physics.step(joints, self._pull)
        self._ticks += 1
        if self._watch:
            self._watch(self._dynamics.state[0], self._ticks / CONTROL_HZ)
        if self._pacer:
            self._pacer.wait()

    def prepare_guiding(self) -> GuidanceMode:
        """How it can be guided.

        Raises:
            WrongUseError: its tier knows no forces.
        """
        if not isinstance(self._dynamics, Physics):
            raise WrongUseError("a robot of the kinematic tier knows no forces: guide one of the physics tier")
        return GuidanceMode.GRAVITY_COMPENSATION if self.config.gravity_compensation else GuidanceMode.LIMP

    def begin_guiding(self) -> None:
        """Let the motors give way to a hand.

        Raises:
            WrongUseError: its tier knows no forces.
        """
        self.guidance = self.prepare_guiding()
        weightless = self.guidance is GuidanceMode.GRAVITY_COMPENSATION
        self._physics.set_torque(_FIRST, on=False, weightless=weightless)

    def end_guiding(self) -> None:
        """Hold the head where it is, without a jump."""
        if self.guidance:
            self.guidance, self._pulled_to = None, None
            self._stand(self._dynamics.state)
            self._hand.let_go()
            self._physics.set_torque(_FIRST, on=True)

    def pull(self, pose: Array | None) -> None:
        """Let a hand pull the head towards a (9,) pose, from the next tick on; None takes the hand away.

        Raises:
            WrongUseError: its tier knows no forces.
        """
        self.prepare_guiding()
        if self._pulled_to is None:
            self._hand_motion = Motion.at_rest(self._dynamics.state)
        self._pulled_to = pose
        if pose is None:
            self._hand.let_go()
            self._physics.pull_head(_FIRST, np.zeros((1, 3)), np.zeros((1, 3)))

    def _stand(self, pose: Array) -> None:
        """Command a (1, 9) pose at rest."""
        self._motion = self._last_tick = Motion.at_rest(pose)
        self.limited = Limited(0)

    def _pull(self, seconds: float) -> None:
        physics = self._physics
        head = physics.head_position[0], physics.head_rotation[0]
        force, torque = self._hand.wrench(*head, self._hand_motion.position[0], seconds)
        physics.pull_head(_FIRST, force[None], torque[None])

    @property
    def _physics(self) -> Physics:
        assert isinstance(self._dynamics, Physics), "only the physics tier knows forces"
        return self._dynamics
