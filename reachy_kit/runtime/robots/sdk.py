"""SdkRobot: a Reachy Mini through its SDK.

What the daemon adds to our targets is switched off for the time of the connection: automatic body yaw, head tracking
and speech wobble. The SDK cannot tell what they were before, so disconnecting brings the daemon's defaults back:
automatic body yaw on, the other two off.
"""

import math
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.errors import KitError, NoRobotError, RefusedError
from reachy_kit.runtime.interface import (
    ACTION_NAMES,
    BODY_YAW,
    CAMERA,
    CONTROL_HZ,
    Action,
    Array,
    Image,
    Observation,
)
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.robots.daemon import DEFAULT_PORT, DaemonAddress, running_status
from reachy_kit.runtime.robots.face_tracking import DaemonFaceTracking
from reachy_kit.runtime.robots.guiding.guidable import RESPONSE, GuidanceMode
from reachy_kit.runtime.robots.guiding.sdk_guiding import SdkGuiding
from reachy_kit.runtime.robots.link.driver_lock import DriverLock
from reachy_kit.runtime.robots.link.other_drivers import OtherDrivers
from reachy_kit.runtime.robots.link.resting_ways import Ways, get_up, is_in_reach, lower
from reachy_kit.runtime.robots.link.sdk_link import SdkLink
from reachy_kit.runtime.robots.media.frame_reader import FrameReader
from reachy_kit.runtime.robots.media.sdk_client import (
    close_client,
    expected_camera_shape,
    open_camera,
    open_client,
    require_frames,
    require_media,
)
from reachy_kit.runtime.robots.media.sdk_microphone import SdkMicrophone
from reachy_kit.runtime.robots.pacer import TickPacer
from reachy_kit.runtime.safety import CLASSROOM, RESTING, Limited, LimitsProfile
from reachy_kit.runtime.watchdogs.motor_following import MotorFollowing

SETTLE = 0.3
"""Rest at the start pose before an episode, s; five times the time in which a body-yaw step settles there."""
_AT_REST_AFTER = 0.1
"""Time without a command after which the robot stands where it was commanded, s: five ticks, as a paused take."""
_AWAY_AFTER = 0.5
"""Time without a command after which it may also be elsewhere, s: by then it has come to rest."""
_STALE_AFTER = 1.0
"""Age of a measurement from which on it is waited for instead of being returned, s."""
_REACHED = 1e-3
"""m and rad: deviation from a pose with which the command has arrived there."""
_LATE_TICKS = 500
"""Ticks after which a start pose that is not reached is given up; 10 s."""
_OTHERS_END = 6.0
"""Longest wait for a move that is not ours, s; longer ones are recorded dances."""
_TRIES = 2
"""Tries to lie down while something else begins to command the robot."""

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


class SdkRobot:
    """One Reachy Mini, real or simulated by its daemon.

    Args:
        config: which robot.
        camera: in place of the robot's own, for a headless simulated daemon: state, time → image, its time.
        image_shape: (height, width, 3) of that camera.
        note: receives a line about what is wrong and does not end a run.
    """

    control_hz = CONTROL_HZ
    response = RESPONSE

    def __init__(
        self,
        config: SdkRobotConfig,
        camera: Camera | None = None,
        image_shape: tuple[int, int, int] | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.config = config
        self._note = note
        self.address = DaemonAddress(config.host or "localhost", config.port)
        self.name = str(self.address)
        self._camera = camera
        self._image_shape = image_shape
        self._link: SdkLink | None = None
        self._frames: FrameReader | None = None
        self._rendered_at = -math.inf
        self._hearing: Hearing | None = None
        self._lock = DriverLock(self.address)
        self._others = OtherDrivers(self.address)
        self._following: MotorFollowing | None = None
        self._sent_at = -math.inf
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
        """Time since the latest measurement arrived, s; infinite while it is not connected."""
        return self._link.age if self._link else math.inf

    @property
    def limited(self) -> Limited:
        """Limits that changed the last action that was sent."""
        return self._link.limited if self._link else Limited(0)

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
        """Connect, enable the motors and go to neutral, from where the robot is.

        Raises:
            NoRobotError: nothing answers there, or it is another robot.
            RefusedError: something else drives it: another process, an app, a move; or it is where no legs reach.
            KitError: the camera or the microphone was asked for and is not available; the robot does not get up.
        """
        link = self._hold()
        self._following = MotorFollowing(self.name, self._note)
        if not get_up(self._ways(link)):
            raise KitError(f"{self.name} does not get up: is something in its way?")

    def bring_to_rest(self) -> None:
        """Connect, and lie down from where the robot is, as after a program that has left it standing.

        Raises:
            NoRobotError: nothing answers there, or the robot is lost.
            RefusedError: something else drives it, or it does not lie down.
        """
        try:
            self._hold()
        finally:
            self.disconnect()

    def open_microphone(self) -> SdkMicrophone:
        """The robot's own microphone, not yet started; the connected robot was configured with it.

        Raises:
            KitError: the SDK has no sound here.
        """
        return SdkMicrophone(self._connected.sdk.media, self.name)

    def listen_with(self, hearing: Hearing) -> None:
        """Add what is heard to every observation from now on."""
        self._hearing = hearing

    def disconnect(self) -> None:
        """Lie down, give the daemon its defaults back, switch the motors off; an app that took the robot keeps it.

        Raises:
            RefusedError: the head does not lie, as measured: the motors stay as they are.
            NoRobotError: the robot was lost while it lay down, or before its motors were off; not where that was raised
                before.
        """
        if self._link is None:
            return
        link = self._link
        if self._following:
            self._following.only_note()  # a robot with a limp motor lies down all the same
        reported, answers = sys.exception(), True  # the caller's, which an error of here replaces
        try:
            with closing(self._lock), suppress(*(NoRobotError,) * link.is_reported_lost), link.alive():
                lies = False
                try:
                    lies = self._lie_down(link)
                finally:
                    link.sdk.set_automatic_body_yaw(True)
                if not lies:
                    raise self._still_up(reported)
                answers = link.switch_motors_off()
            if not answers:
                raise NoRobotError(
                    f"{_before(reported)}lost the robot at {self.address}: it lies, but does not answer, and its "
                    "motors may still be on. Switch it off"
                )
        finally:
            self.guidance = None
            self._others.stop()
            if self._frames:
                self._frames.stop()
            self._link = None
            link.close()

    def reset(self, pose: Array) -> None:
        """Move to a (9,) pose through the limiter, and stand still there."""
        self.end_guiding()
        link = self._connected
        link.rest()
        for _ in range(_LATE_TICKS):
            away = np.abs(self.send_action(pose) - pose)
            if away.max() <= _REACHED:
                break
            self.wait_next_tick()
        if away[: BODY_YAW + 1].max() > _REACHED:
            raise KitError(f"{self.name} does not reach its start pose: is something in its way?")
        for _ in range(round(SETTLE * CONTROL_HZ)):
            self.send_action(pose)
            self.wait_next_tick()
        link.rest_at(link.motion.position)

    def get_observation(self) -> Observation:
        """The latest measurement with the time of its arrival, and the camera's and microphone's latest.

        Raises:
            NoRobotError: the daemon has stopped publishing.
            KitError: the microphone has stopped.
        """
        link = self._connected
        if link.age > _STALE_AFTER:
            self._wait_through_stall(link)
        captured, state = link.last_arrival, link.measured()
        images, image_times = self._read_frame(state, captured)
        observation = Observation(state, captured, images=images, image_times=image_times)
        return self._hearing.add_to(observation, time.monotonic()) if self._hearing else observation

    def send_action(self, action: Action) -> Action:
        """Limit a (9,) target and send it as one batched message; returns what was applied.

        Nothing is sent, and the motion stays where it is, while measurements are missing: that waits for the next tick.
        While a hand guides the head, nothing is sent, and what is applied is the measured pose. After a pause the robot
        starts from rest.

        Raises:
            RefusedError: something else commands the robot, or a motor of body or head does not follow.
        """
        link = self._connected
        state = link.measured()
        self._others.observe(state, link.arrivals)
        self._others.refuse()
        if self.guidance or self._others.in_doubt:
            link.rest_at(state)
            return state
        applied = self._command(link, action, state, self.config.profile)
        self._others.sent(applied, state)
        return applied

    def _command(self, link: SdkLink, target: Action, state: Array, profile: LimitsProfile) -> Action:
        if not link.is_sure:
            link.limited = Limited(0)
            return link.motion.position
        if self._following:
            self._following.check(link.motion, link.joints(), link.arrivals)
        now = time.monotonic()
        if now - self._sent_at > _AWAY_AFTER:
            link.rest()
        elif now - self._sent_at > _AT_REST_AFTER:
            link.rest_at(link.motion.position)
        self._sent_at = now
        return link.command(target, state, profile)

    def prepare_guiding(self) -> GuidanceMode:
        """Find out how it can be guided, without letting the head go; takes half a second.

        Raises:
            RefusedError: its motors do not go off.
            NoRobotError: the connection is gone.
        """
        link = self._connected
        with link.alive():
            self._guided_as = self._guiding.prepare(link)
            link.rest_at(link.measured())
        self._others.expect_hand()
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
            link = self._connected
            with interrupts_held_back(), link.alive():
                if link.has_stalled:
                    self._wait_through_stall(link)
                link.rest_at(self._guiding.hold(link))
                self.guidance = None
            self._pacer.restart()

    def wait_next_tick(self) -> None:
        """Sleep to the next tick of an absolute schedule; after a stall it starts again, it never catches up.

        While no measurements arrive this is one long tick.

        Raises:
            NoRobotError: none have arrived for too long.
        """
        self._connected.end_tick()
        self._pacer.wait()
        if self._connected.has_stalled:
            self._wait_through_stall(self._connected)

    @property
    def _connected(self) -> SdkLink:
        assert self._link is not None, "connect first"
        return self._link

    def _wait_through_stall(self, link: SdkLink) -> None:
        """Wait for measurements; then the robot is at rest where it is, behind a daemon that may be a new one."""
        if link.wait_for_measurements(self._note):
            self._take_over(link)
        self._others.forget()
        if self._following:
            self._following.restart()
        self._pacer.restart()

    def _take_over(self, link: SdkLink) -> None:
        """Let the daemon carry out our targets as they are; motors that are off hold the robot where it is."""
        with link.alive():
            link.keep_targets_as_sent()
            if self.guidance is None:
                self._guiding.hold_again(link)
                link.sdk.enable_motors()

    def _read_frame(self, state: Array, now: float) -> tuple[dict[str, Image], dict[str, float]]:
        if self._camera:
            image, captured = self._camera(state, now)
            self._rendered_at = captured
        elif self._frames and self._frames.latest:
            image, captured = self._frames.latest
        else:
            return {}, {}
        return {CAMERA: image}, {CAMERA: captured}

    def _lie_down(self, link: SdkLink) -> bool:
        """Go to sleep; returns whether the motors may go off.

        A head that was guided is held first, at the second try if the first one fails. An app that has taken the robot
        keeps it, as does whatever else does not stop commanding it.
        """
        for _ in range(_TRIES):
            if not self._others.are_gone(_OTHERS_END):
                break
            if link.has_stalled:
                self._wait_through_stall(link)
            if self._others.noticed or time.monotonic() - self._sent_at > _AWAY_AFTER:
                link.rest()  # otherwise it brakes from where it is commanded
            self._others.watch()
            if self.guidance:
                try:
                    self._guiding.hold(link)
                except KitError:
                    self._guiding.hold(link)
                self.guidance = None
            with suppress(RefusedError):
                return lower(self._ways(link))
        return False

    def _still_up(self, reported: BaseException | None) -> RefusedError:
        if self._others.app:
            return RefusedError(self._others.noticed)
        return RefusedError(
            f"{_before(reported)}{self.name} did not lie down, its motors stay on: something holds it or commands it. "
            "Hold its head, then switch it off"
        )

    def _ways(self, link: SdkLink) -> Ways:
        def send(target: Action) -> Action:
            self._others.refuse()  # where the robot is says little meanwhile: a hand may be on it, or its body under it
            return self._command(link, target, link.measured(), RESTING)

        return Ways(link, send, self.wait_next_tick)

    def _hold(self) -> SdkLink:
        """Connect, and hold the robot where it is.

        Raises:
            RefusedError: its legs do not reach where it is measured: a target would not be carried out.
        """
        self._lock.acquire()
        link = None
        try:
            link = self._open()
            if not is_in_reach(link.measured()):
                raise RefusedError(
                    f"the head of {self.name} is measured where its legs do not reach, so it cannot be led from there. "
                    f"Wake the robot up in its dashboard, http://{self.address}, then give the same command again"
                )
        except BaseException:
            if self._frames:
                self._frames.stop()
                self._frames = None
            if link:
                link.close()
            self._lock.close()
            raise
        self._link = link
        self._take_over(link)
        link.rest_at(link.measured())
        self._others.watch()
        self._pacer.restart()
        return link

    def _open(self) -> SdkLink:
        status = running_status(self.address)
        if self.config.robot_name and status.get("robot_name") != self.config.robot_name:
            raise NoRobotError(
                f"the robot at {self.address} is called {status.get('robot_name')!r}, not {self.config.robot_name!r}"
            )
        wants_media = (self.config.camera and self._camera is None) or self.config.microphone
        if wants_media:
            require_media(status, self.address, microphone=self.config.microphone)
        self._others.require_none(_OTHERS_END)
        if self.config.camera and self._camera is None:
            require_frames(self.address)
        sdk = open_client(self.address, media=wants_media)
        try:
            if self.config.camera and self._camera is None:
                self._frames = open_camera(sdk, self.address)
        except BaseException:
            close_client(sdk)
            raise
        return SdkLink(sdk, self.address)


def _before(reported: BaseException | None) -> str:
    """What an error that replaces another one says first."""
    return f"{reported}. " if isinstance(reported, KitError) else ""
