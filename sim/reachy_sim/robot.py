"""SimRobot: the Robot protocol over one simulated robot.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

from collections.abc import Callable
from dataclasses import dataclass

from reachy_kit.interface import (
    ACTION_NAMES,
    CAMERA,
    CONTROL_HZ,
    NEUTRAL,
    Action,
    Array,
    Image,
    Observation,
)
from reachy_kit.safety import CLASSROOM, LimitsProfile, Motion, limit
from reachy_sim.physics import Physics

type Camera = Callable[[Array, float], tuple[Image, float]]
"""(9,) state and time → RGB image and its capture time."""


@dataclass(frozen=True)
class SimRobotConfig:
    """A simulated robot."""

    delay: float = 0.03
    """s from command to motor. The real robot needs 20–40 ms (reachy_mini documentation and bus rate)."""
    profile: LimitsProfile = CLASSROOM
    """What the limiter permits; the same profile as on the robot."""


class SimRobot:
    """One robot in physics, as fast as the computer goes.

    Args:
        config: delay and limits.
        camera: what the robot's eye sees; None saves the time to draw it.
        image_shape: (height, width, 3) of that camera.
    """

    name = "sim"
    control_hz = CONTROL_HZ

    def __init__(
        self,
        config: SimRobotConfig | None = None,
        camera: Camera | None = None,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        self.config = config or SimRobotConfig()
        self.physics = Physics(self.config.delay)
        self._camera = camera
        self._image_shape = image_shape
        self._motion = Motion.at_rest(NEUTRAL)

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

    def connect(self) -> None:
        """Go to neutral."""
        self.reset(NEUTRAL)

    def disconnect(self) -> None:
        """Nothing to let go of."""

    def reset(self, pose: Array) -> None:
        """Stand still at a (9,) pose; simulated time starts at 0."""
        self.physics.reset(pose)
        self._motion = Motion.at_rest(pose)

    def get_observation(self) -> Observation:
        """The state now, and the camera's latest frame."""
        state, now = self.physics.state, self.physics.time
        if self._camera is None:
            return Observation(state, now)
        image, captured = self._camera(state, now)
        return Observation(state, now, images={CAMERA: image}, image_times={CAMERA: captured})

    def send_action(self, action: Action) -> Action:
        """Limit a (9,) target and command it from the next tick on; returns what was applied."""
        self._motion, _ = limit(self.physics.state, self._motion, action, self.config.profile)
        return self._motion.position

    def wait_next_tick(self) -> None:
        """Simulate 20 ms."""
        self.physics.step(self._motion.position)
