"""Schema of a recorded frame: the keys of its columns, and the frame of a step.

LeRobot's names where it has them; columns of our own begin with ``kit.``. LeRobot's timestamps are
index / fps; ours are the measured times. LeRobot takes every column with "image" in its name for pixels.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, Step

SCHEMA = 2
"""Version of datasets and of episode files; raised when older ones can no longer be read."""

ROBOT_TYPE = "reachy_mini"
"""LeRobot's name of the robot, in datasets and on the cards of policies."""
OBS_STATE = "observation.state"
OBS_ENV_STATE = "observation.environment_state"
OBS_LAST_ACTION = "observation.last_action"
IMAGE = f"observation.images.{CAMERA}"
ACTION = "action"
REWARD = "next.reward"
SUCCESS = "next.success"
CAPTURE_TIME = "kit.capture_time"
"""Time at which the state was measured, s on the robot's clock.

Its least and largest value stand in each episode's metadata, among LeRobot's statistics: how late an episode was is
known without reading its frames."""
IMAGE_TIME = "kit.frame_time"
"""Time at which the image was captured, s on the robot's clock."""
SEED = "kit.seed"
"""Seed of the episode."""

type Frame = dict[str, npt.NDArray[Any]]
"""Column → value of one step."""


def frame(step: Step, seed: int, *, image: bool) -> Frame:
    """The columns of one step.

    Args:
        step: with its perception's features and the action in force.
        seed: of the episode.
        image: whether to keep the head camera's image.

    Raises:
        KitError: there is no image to keep.
    """
    observation, truth = step.observation, step.truth
    columns: Frame = {
        OBS_STATE: observation.state.astype(np.float32),
        OBS_ENV_STATE: np.asarray(observation.environment_state, dtype=np.float32),
        OBS_LAST_ACTION: np.asarray(observation.last_action, dtype=np.float32),
        ACTION: step.action.astype(np.float32),
        REWARD: np.array([truth.reward if truth else np.nan], dtype=np.float32),
        SUCCESS: np.array([bool(truth and truth.success)]),
        CAPTURE_TIME: np.array([observation.capture_time]),
        SEED: np.array([seed]),
    }
    if image:
        if CAMERA not in observation.images:
            raise KitError("the robot's camera gives no images. Look at its connection, or record without --camera")
        columns[IMAGE] = observation.images[CAMERA]
        columns[IMAGE_TIME] = np.array([observation.image_times[CAMERA]])
    return columns
