"""A kind of target: how it is seen on a robot, and how it looks in the simulator.

A target of this kit is a file ``NAME_target.py`` beside this one that holds a ``TargetKind`` as ``TARGET``; another
package adds one with an entry point of the group ``reachy_kit.targets``. Whatever the target, perception yields
``TARGET_FEATURES``, so that a policy trained on the ball runs on any of them.

Try it: reachy-kit eval expert --task track --robot sim --target marker --episodes 3
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reachy_kit.runtime.interface import Array, Image, Perception, Robot
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera

CLOSING = 0.5
"""Longest wait for a thread that looks for a target when it is closed, s: the robot lies down after that."""


class Detector(Protocol):
    """Looks for a target in one frame after another. It need not be safe for threads: one thread calls it."""

    width: int
    """Width to which frames are reduced before, px; a narrower frame stays as it is."""

    def reset(self) -> None:
        """Forget the frames before."""
        ...

    def detect(self, image: Image) -> Array | None:
        """The target in an (H, W, 3) RGB frame.

        Returns:
            (3,) rad: bearing right of and below the optical axis, and ``target.size_at`` of its distance; None where
            the frame shows no target.
        """
        ...


class FrameSource(Protocol):
    """A camera that hands on its frames as they arrive, so that a detector need not wait for the next decision."""

    def subscribe(self, receive: Callable[[Image, float], None]) -> None:
        """Have a function called with each frame, by a thread of the camera; it must return at once.

        Args:
            receive: takes the (H, W, 3) RGB frame and its time, s on the robot's clock.
        """
        ...

    def unsubscribe(self, receive: Callable[[Image, float], None]) -> None:
        """Call it no more."""
        ...


@dataclass(frozen=True)
class TargetContext:
    """What a target's perception is opened with."""

    argument: str
    """The text after the colon in ``--target NAME:ARGUMENT``; empty without one."""
    robot: Robot
    """The robot, connected."""
    beside_loop: bool
    """Whether time passes while the detector works, so that it needs a thread; not in simulated time."""

    @property
    def frames(self) -> FrameSource | None:
        """The robot's own camera; None where frames come with the observations alone, as a simulated camera's do."""
        frames: FrameSource | None = getattr(self.robot, "frame_source", None)
        return frames


@dataclass(frozen=True)
class TargetPicture:
    """A flat picture of a target, which the simulator shows in place of the ball."""

    image: Image
    """(H, W, 3) RGB."""
    width: float
    """Width of the whole picture in the world, m."""
    centre: tuple[float, float]
    """Column and row, px, of the point that the robot is to look at."""
    radius: float
    """Radius of what must be in the frame around that point to be found, m."""


@dataclass(frozen=True)
class TargetKind:
    """A kind of target."""

    open_perception: Callable[[TargetContext], contextlib.AbstractContextManager[Perception]]
    """Opens the perception that yields ``TARGET_FEATURES``, for the length of a session."""
    open_detector: Callable[[str], Detector] | None = None
    """The detector alone, from the argument; None for a target that is not looked for in our own frames."""
    picture: Callable[[str], TargetPicture] | None = None
    """The picture that a simulated world shows, from the argument; None for the ball."""
    camera: PinholeCamera = SIM_CAMERA
    """The simulated camera in which it can be seen at the tasks' distances."""
