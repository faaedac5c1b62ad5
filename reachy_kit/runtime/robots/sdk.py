"""SdkRobot: a Reachy Mini through its SDK.

What the daemon adds to our targets is switched off for the time of the connection: automatic body yaw, head tracking
and speech wobble. The SDK cannot tell what they were before, so disconnecting brings the daemon's defaults back:
automatic body yaw on, the other two off.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import KitError, NoRobotError
from reachy_kit.runtime.geometry import pose_from_vector, vector_from_pose
from reachy_kit.runtime.interface import (
    ACTION_NAMES,
    ANTENNAS,
    BODY_YAW,
    CAMERA,
    CONTROL_HZ,
    NEUTRAL,
    Action,
    Array,
    Image,
    Observation,
)
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.robots.daemon import DEFAULT_PORT, DaemonAddress, daemon_status
from reachy_kit.runtime.robots.driver_lock import DriverLock
from reachy_kit.runtime.robots.face_tracking import DaemonFaceTracking
from reachy_kit.runtime.robots.guiding.guidable import RESPONSE, GuidanceMode
from reachy_kit.runtime.robots.guiding.sdk_guiding import SdkGuiding
from reachy_kit.runtime.robots.media.frame_reader import FrameReader
from reachy_kit.runtime.robots.media.sdk_client import (
    expected_camera_shape,
    lost_robot,
    no_daemon,
    open_camera,
    open_client,
    require_media,
)
from reachy_kit.runtime.robots.media.sdk_microphone import SdkMicrophone
from reachy_kit.runtime.robots.other_drivers import OtherDrivers
from reachy_kit.runtime.robots.pacer import TickPacer
from reachy_kit.runtime.robots.state_clock import StateClock
from reachy_kit.runtime.safety import CLASSROOM, Limited, LimitsProfile, Motion, limit

STALE_AFTER = 1.0
"""Time without a measurement after which the robot counts as lost, s; the daemon publishes at 50 Hz."""
SETTLE = 0.3
"""Rest at the start pose before an episode, s; five times the time in which a body-yaw step settles there."""
_AT_REST_AFTER = 0.1
"""Time without a command after which the robot stands where it was commanded, s: five ticks, as a paused take."""
_NEUTRAL_SECONDS, _SLEEP_SECONDS = 1.0, 1.5
_OTHERS_END = 6.0
"""Longest wait for a move that is not ours, s; longer ones are recorded dances."""
_SLEEP_HEAD: Array = np.array(
    [[0.911, 0.004, 0.413, -0.021], [-0.004, 1.0, -0.001, 0.001], [-0.413, -0.001, 0.911, -0.044], [0.0, 0.0, 0.0, 1.0]]
)
_SLEEP_ANTENNAS = [-3.05, 3.05]
"""Source of both: SLEEP_HEAD_POSE and SLEEP_ANTENNAS_JOINT_POSITIONS in reachy_mini 1.12."""

type Camera = Callable[[Array, float], tuple[Image, float]]


@dataclass(frozen=True)
class SdkRobotConfig:
    """Which robot, and which of its parts to use."""

    host: str | None = None
    """Name or address; None stays on this machine, whatever else answers in the network."""
    port: int = DEFAULT_PORT
    robot_name: str | None = None
    """Name of the robot; another robot is refused. None accepts any."""
    camera: bool = False
    """Stream the robot's camera."""
    microphone: bool = False
    """Use the microphone. Off by default, for the privacy of a classroom."""
    profile: LimitsProfile = CLASSROOM
    """Limits of every command."""


@dataclass(frozen=True)
class _Link:
    """What goes to the robot and comes from it, unlimited."""

    sdk: Any

    def measured(self) -> Array:
        """(9,) now."""
        head_joints, antennas = self.sdk.get_current_joint_positions()
        return np.concatenate([vector_from_pose(self.sdk.get_current_head_pose()), head_joints[:1], antennas])

    def command(self, pose: Action) -> None:
        """Send a (9,) target as one message."""
        self.sdk.set_target(
            head=pose_from_vector(pose), antennas=pose[ANTENNAS].tolist(), body_yaw=float(pose[BODY_YAW])
        )


class SdkRobot:
    """One Reachy Mini, real or simulated by its daemon.

    Args:
        config: which robot.
        camera: in place of the robot's own, for a headless simulated daemon: state, time → image, its time.
        image_shape: (height, width, 3) of that camera.
    """

    control_hz = CONTROL_HZ
    response = RESPONSE

    def __init__(
        self,
        config: SdkRobotConfig,
        camera: Camera | None = None,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        self.config = config
        self.address = DaemonAddress(config.host or "localhost", config.port)
        self.name = str(self.address)
        self._camera = camera
        self._image_shape = image_shape
        self._sdk: Any = None
        self._clock: StateClock | None = None
        self._frames: FrameReader | None = None
        self._rendered_at = -math.inf
        self._hearing: Hearing | None = None
        self._lock = DriverLock(self.address)
        self._others = OtherDrivers(self.address)
        self._motion, self._sent_at = Motion.at_rest(NEUTRAL), -math.inf
        self.limited = Limited(0)
        """Limits that changed the last action that was sent."""
        self._pacer = TickPacer(CONTROL_HZ)
        self.guidance: GuidanceMode | None = None
        self._guiding = SdkGuiding(self.address)
        self._guided_as = GuidanceMode.LIMP

    @property
    def observation_features(self) -> dict[str, type | tuple[int, ...]]:
        """Nine positions, and the camera's image shape where there is a camera.

        Raises:
            NoRobotError: the robot is not connected, and its daemon, which knows the shape, does not answer.
        """
        features: dict[str, type | tuple[int, ...]] = dict.fromkeys(ACTION_NAMES, float)
        if self._image_shape:
            features[CAMERA] = self._image_shape
        elif self.config.camera:
            features[CAMERA] = (self._frames and self._frames.shape) or expected_camera_shape(self.address)
        return features

    @property
    def action_features(self) -> dict[str, type]:
        """Nine targets."""
        return dict.fromkeys(ACTION_NAMES, float)

    @property
    def state_age(self) -> float:
        """Time since the latest measurement arrived, s; infinite before connecting."""
        return time.monotonic() - self._clock.last_arrival if self._clock else math.inf

    @property
    def camera_age(self) -> float | None:
        """Time since the newest frame, s, or since the camera was opened; None without one, or before connecting."""
        if self._frames:
            return self._frames.frame_age
        return time.monotonic() - self._rendered_at if self._rendered_at > -math.inf else None

    @property
    def frame_source(self) -> FrameReader | None:
        """The robot's own camera, which hands on each frame as it arrives; None without one, or before connecting."""
        return self._frames

    @property
    def face_tracking(self) -> DaemonFaceTracking:
        """The daemon's own face tracking, which ``connect`` ends and a perception may start again."""
        return DaemonFaceTracking(self.address)

    def connect(self) -> None:
        """Connect, enable the motors and go to neutral.

        Raises:
            NoRobotError: nothing answers there, or it is another robot.
            RefusedError: something else drives it: another process, an app, a move.
            KitError: the camera or the microphone was asked for and is not available.
        """
        self._lock.acquire()
        try:
            self._sdk = self._open()
            if self.config.camera and self._camera is None:
                self._frames = open_camera(self._sdk, self.address)
        except BaseException:
            sdk, self._sdk = self._sdk, None
            if sdk is not None:
                sdk.__exit__(None, None, None)
            self._lock.close()
            raise
        with self._alive():
            self._sdk.set_automatic_body_yaw(False)
            self._sdk.stop_head_tracking()
            self._sdk.disable_wobbling()
        self._clock = StateClock(self._sdk.client.joint_position_received)
        with self._alive():
            self._guiding.hold_again(_Link(self._sdk))
            self._sdk.enable_motors()
            self._go(pose_from_vector(NEUTRAL), NEUTRAL[ANTENNAS].tolist(), _NEUTRAL_SECONDS)
        self._motion = Motion.at_rest(NEUTRAL)
        self._others.watch()
        self._pacer.restart()

    def open_microphone(self) -> SdkMicrophone:
        """The robot's own microphone, not yet started; the connected robot was configured with it.

        Raises:
            KitError: the SDK has no sound here.
        """
        return SdkMicrophone(self._sdk.media, self.name)

    def listen_with(self, hearing: Hearing) -> None:
        """Add what is heard to every observation from now on."""
        self._hearing = hearing

    def disconnect(self) -> None:
        """Lie down, switch the motors off, give the daemon its defaults back; an app that took the robot keeps it.

        Raises:
            RefusedError: the motors stay as a hand has left them, since the daemon refuses to hold the head.
        """
        if self._sdk is None:
            return
        sdk, self._sdk = self._sdk, None
        for part in (self._clock, self._frames, self._others):
            if part:
                part.stop()
        try:
            # A lost robot cannot be brought to rest; the caller reports the lost connection.
            with closing(self._lock), suppress(NoRobotError), self._alive():
                try:
                    if self._others.are_gone(_OTHERS_END):
                        self._lie_down(sdk)
                finally:
                    sdk.set_automatic_body_yaw(True)
        finally:
            self.guidance = None
            sdk.__exit__(None, None, None)

    def reset(self, pose: Array) -> None:
        """Move to a (9,) pose through the limiter, and stand still there."""
        self.end_guiding()
        self._motion = Motion.at_rest(self._motion.position)
        deadline = time.monotonic() + 10.0
        while np.abs(self.send_action(pose) - pose).max() > 1e-3:
            if time.monotonic() > deadline:
                raise KitError(f"{self.name} does not reach its start pose: is something in its way?")
            self.wait_next_tick()
        for _ in range(round(SETTLE * CONTROL_HZ)):
            self.send_action(pose)
            self.wait_next_tick()
        self._motion = Motion.at_rest(pose)

    def get_observation(self) -> Observation:
        """The latest measurement with the time of its arrival, and the camera's and microphone's latest.

        Raises:
            NoRobotError: the daemon has stopped publishing.
            KitError: the microphone has stopped.
        """
        assert self._clock is not None, "connect first"
        captured = self._clock.last_arrival
        if time.monotonic() - captured > STALE_AFTER:
            raise self._lost("it has stopped sending measurements")
        state = self._state()
        images, image_times = self._read_frame(state, captured)
        observation = Observation(state, captured, images=images, image_times=image_times)
        return self._hearing.add_to(observation, time.monotonic()) if self._hearing else observation

    def send_action(self, action: Action) -> Action:
        """Limit a (9,) target and send it as one batched message; returns what was applied.

        While a hand guides the head, nothing is sent, and what is applied is the measured pose. After a pause the robot
        starts from rest.

        Raises:
            NoRobotError: the connection is gone.
            RefusedError: something else commands the robot.
        """
        assert self._clock is not None, "connect first"
        state = self._state()
        self._others.check(state, self._clock.arrivals)
        if self.guidance:
            self._motion, self.limited = Motion.at_rest(state), Limited(0)
            return state
        now = time.monotonic()
        if now - self._sent_at > _AT_REST_AFTER:
            self._motion = Motion.at_rest(self._motion.position)
        self._sent_at = now
        self._motion, flags = limit(state, self._motion, action, self.config.profile)
        self.limited = Limited(int(flags))
        applied = self._motion.position
        self._others.sent(applied)
        with self._alive():
            _Link(self._sdk).command(applied)
        return applied

    def prepare_guiding(self) -> GuidanceMode:
        """Find out how it can be guided, without letting the head go; takes half a second.

        Raises:
            RefusedError: its motors do not go off.
            NoRobotError: the connection is gone.
        """
        with self._alive():
            self._guided_as = self._guiding.prepare(_Link(self._sdk))
            self._motion = Motion.at_rest(_Link(self._sdk).measured())
        self._pacer.restart()
        return self._guided_as

    def begin_guiding(self) -> None:
        """Let the motors give way, as ``prepare_guiding`` found. With limp motors a person must hold the head already.

        Raises:
            RefusedError: they do not give way.
            NoRobotError: the connection is gone.
        """
        with interrupts_held_back():
            self.guidance = self._guided_as  # first: a daemon that has obeyed may still fail to answer
            self._others.expect_motors(self._guiding.let_go(self._guided_as))

    def end_guiding(self) -> None:
        """Hold the head where it is, without a jump.

        Does nothing while another program commands the robot: motors that go on would follow it. ``disconnect`` then
        holds the head when that program has ended.

        Raises:
            RefusedError: the daemon refuses.
            NoRobotError: the connection is gone.
        """
        if self.guidance and not self._others.noticed:
            self._others.expect_motors(None)
            with interrupts_held_back(), self._alive():
                self._motion = Motion.at_rest(self._guiding.hold(_Link(self._sdk)))
                self.guidance = None
            self._pacer.restart()

    def wait_next_tick(self) -> None:
        """Sleep to the next tick of an absolute schedule; after a stall it starts again, it never catches up."""
        self._pacer.wait()

    def _state(self) -> Array:
        return _Link(self._sdk).measured()

    def _read_frame(self, state: Array, now: float) -> tuple[dict[str, Image], dict[str, float]]:
        if self._camera:
            image, captured = self._camera(state, now)
            self._rendered_at = captured
        elif self._frames and self._frames.latest:
            image, captured = self._frames.latest
        else:
            return {}, {}
        return {CAMERA: image}, {CAMERA: captured}

    def _go(self, head: Array, antennas: list[float], seconds: float, sdk: Any = None) -> None:
        """The daemon's own smooth move, body straight ahead; blocks until it is done."""
        (sdk or self._sdk).goto_target(head=head, antennas=antennas, duration=seconds, body_yaw=0.0)

    def _lie_down(self, sdk: Any) -> None:
        """Go to sleep; a head that was guided is held first, at the second try if the first one fails."""
        if self.guidance:
            try:
                self._guiding.hold(_Link(sdk))
            except KitError:
                self._guiding.hold(_Link(sdk))
        self._go(pose_from_vector(NEUTRAL), NEUTRAL[ANTENNAS].tolist(), _NEUTRAL_SECONDS, sdk)
        self._go(_SLEEP_HEAD, _SLEEP_ANTENNAS, _SLEEP_SECONDS, sdk)
        sdk.disable_motors()

    def _open(self) -> Any:
        status = daemon_status(self.address)
        if status is None:
            raise no_daemon(self.address)
        if self.config.robot_name and status.get("robot_name") != self.config.robot_name:
            raise NoRobotError(
                f"the robot at {self.address} is called {status.get('robot_name')!r}, not {self.config.robot_name!r}"
            )
        wants_media = (self.config.camera and self._camera is None) or self.config.microphone
        if wants_media:
            require_media(status, self.address, microphone=self.config.microphone)
        self._others.require_none(_OTHERS_END)
        return open_client(self.address, media=wants_media)

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Turn the exceptions of a lost connection into ``NoRobotError``."""
        from websockets.exceptions import WebSocketException

        try:
            yield
        except (WebSocketException, OSError, TimeoutError) as error:
            raise self._lost(str(error)) from error

    def _lost(self, why: str) -> NoRobotError:
        return lost_robot(self.address, why)
