"""A Reachy Mini for ``lerobot-record``, without a robot: it is where it was sent, and sees a target to its right.

LeRobot loads this module by ``--robot.discover_packages_path``.
"""

from dataclasses import dataclass
from typing import ClassVar

from lerobot.robots import Robot, RobotConfig
from lerobot.teleoperators import Teleoperator, TeleoperatorConfig

from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.perception.target import TARGET_FEATURES

NAMES = tuple(reversed(ACTION_NAMES))
STATE = (*NAMES, *(f"{name}.pos" for name in TARGET_FEATURES), *(f"last_{name}" for name in NAMES))


@RobotConfig.register_subclass("reachy_mini_test")
@dataclass
class ReachyMiniTestConfig(RobotConfig):
    """No settings."""


class ReachyMiniTest(Robot):
    """A robot that is where it was sent."""

    config_class = ReachyMiniTestConfig
    name = "reachy_mini"
    cameras: ClassVar = {}
    is_connected = False
    is_calibrated = True
    observation_features = dict.fromkeys(STATE, float)
    action_features = dict.fromkeys(NAMES, float)

    def connect(self, calibrate=True):
        self.is_connected, self.action = True, dict.fromkeys(NAMES, 0.0)

    def calibrate(self):
        pass

    def configure(self):
        pass

    def get_observation(self):
        last = {f"last_{name}": value for name, value in self.action.items()}
        return dict.fromkeys(STATE, 0.1) | self.action | last

    def send_action(self, action):
        self.action = {name: float(action[name]) for name in NAMES}
        return self.action

    def disconnect(self):
        self.is_connected = False


@TeleoperatorConfig.register_subclass("reachy_mini_test_teleop")
@dataclass
class ReachyMiniTestTeleopConfig(TeleoperatorConfig):
    """No settings."""


class ReachyMiniTestTeleop(Teleoperator):
    """A hand that turns the head by a milliradian per step."""

    config_class = ReachyMiniTestTeleopConfig
    name = "reachy_mini_test_teleop"
    is_connected = False
    is_calibrated = True
    action_features = dict.fromkeys(NAMES, float)
    feedback_features: ClassVar = {}
    turned = 0.0

    def connect(self, calibrate=True):
        self.is_connected = True

    def calibrate(self):
        pass

    def configure(self):
        pass

    def get_action(self):
        self.turned += 0.001
        return dict.fromkeys(NAMES, 0.0) | {"head_yaw.pos": self.turned}

    def send_feedback(self, feedback):
        pass

    def disconnect(self):
        self.is_connected = False
