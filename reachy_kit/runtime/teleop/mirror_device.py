"""A mirror as a device: the robot's head follows your face, or a marker in your hand, before a webcam of this computer.

``mirror`` follows a face before the first camera; ``mirror:marker:7@1`` the marker 7 before the second one, and
``mirror:@/dev/video2`` a face before that device. A turn of the head follows where you are, and leaning in moves it
forward. It starts from where the robot is and where you are: what counts is how you move. Frames stay in memory.
Try it: reachy-kit teleop mirror --robot sim
"""

import time
from collections.abc import Sequence

import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import PITCH, YAW, Action, Array, Image, Observation, Robot
from reachy_kit.runtime.perception.target import BELOW, RIGHT, SIZE
from reachy_kit.runtime.perception.targets.detection_thread import DetectionThread
from reachy_kit.runtime.perception.targets.target_kind import Detector
from reachy_kit.runtime.perception.targets.target_registry import target_by_name
from reachy_kit.runtime.teleop.inputs.webcam import Webcam
from reachy_kit.runtime.teleop.shaped_motion import ShapedMotion
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext

_TURN = 1.5
"""Angle by which the head turns for each angle in the camera's image: a webcam sees 60 to 80°, the neck turns 120°."""
_LEAN = 0.02
"""Way forward for a face that is twice as near, m; the workspace ends a little beyond."""
_STALE = 0.5
"""Age of a sighting after which the head stays where it is, s."""


class MirrorTeleoperator:
    """A device that follows a target before a webcam.

    Args:
        detector: finds the target in a frame.
        camera: number or path of the camera, as ``Webcam`` takes it.
        policy_hz: decisions per second.
    """

    name = "mirror"
    controls: tuple[tuple[str, str], ...] = (("you", "move before the webcam"),)

    def __init__(self, detector: Detector, camera: str, policy_hz: int) -> None:
        self._detector, self._camera = detector, camera
        self._motion = ShapedMotion(policy_hz)
        self._webcam: Webcam | None = None
        self._detection: DetectionThread | None = None
        self._zero: tuple[Array, Action] | None = None

    @property
    def lost(self) -> str | None:
        """Why there is nothing to follow; None while the camera sends frames, also of an empty room."""
        return self._webcam.lost if self._webcam else None

    def connect(self, robot: Robot) -> None:
        """Open the camera.

        Raises:
            WrongUseError: it does not exist.
        """
        self._detection = DetectionThread(self._detector)
        self._webcam = Webcam(self._camera, self._offer)

    def disconnect(self) -> None:
        """Close the camera."""
        webcam, self._webcam = self._webcam, None
        detection, self._detection = self._detection, None
        if webcam:
            webcam.close()
        if detection:
            detection.stop()

    def reset(self) -> None:
        """Begin a take: where you are now stands for where the robot is."""
        self._motion.reset()
        self._zero = None

    def act(self, observation: Observation) -> Action:
        """The (9,) target for where the person is; without a recent sighting the head stays."""
        assert self._detection is not None, "connect first"
        self._motion.start(observation)
        sighting = self._detection.latest()
        if sighting is None or sighting.target is None or time.monotonic() - sighting.captured > _STALE:
            self._motion.halt()
        elif self._zero is None:
            self._zero = sighting.target, observation.action_in_force.copy()
        else:
            self._motion.set_goal(_mirrored(sighting.target, *self._zero))
        return self._motion.step(observation)

    def events(self) -> Sequence[TakeEvent]:
        """No events: a face presses no buttons."""
        return ()

    def _offer(self, image: Image, captured: float) -> None:
        if self._detection:
            self._detection.offer(image, captured)


def open_device(context: TeleopContext) -> MirrorTeleoperator:
    """The mirror that the argument ``[TARGET][@CAMERA]`` describes.

    Raises:
        WrongUseError: the target does not exist, or a webcam cannot see it.
    """
    target, _, camera = context.argument.partition("@")
    named = target_by_name(target or "face")
    if named.kind.open_detector is None:
        raise WrongUseError(f"--teleop mirror:{target}: that is not found in a webcam's frames; take face or marker")
    return MirrorTeleoperator(named.kind.open_detector(named.argument), camera, context.policy_hz)


def _mirrored(sighting: Array, zero: Array, start: Action) -> Action:
    """The (9,) pose for a sighting, (3,) rad, relative to the one at the start of the take."""
    pose = start.copy()
    # The camera looks at the person as the robot does: a person on its left is on the robot's left.
    pose[YAW] -= _TURN * (sighting[RIGHT] - zero[RIGHT])
    pose[PITCH] += _TURN * (sighting[BELOW] - zero[BELOW])
    nearness = sighting[SIZE] / zero[SIZE] - 1
    pose[0] += np.clip(_LEAN * nearness, -_LEAN, _LEAN)
    return pose
