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
"""The world's reward; without a world, 1 in the last frame of an episode that the operator marked as a success."""
SUCCESS = "next.success"
"""The world's success; without a world, the operator's mark, in the last frame."""
OUR_COLUMNS = "kit."
"""What the names of our own columns begin with."""
CAPTURE_TIME = "kit.capture_time"
"""Time at which the state was measured, s since the episode's first measurement: LeRobot reads 32-bit floats.

Its least and largest value stand in each episode's metadata, among LeRobot's statistics: how late an episode was is
known without reading its frames."""
IMAGE_TIME = "kit.frame_time"
"""Time at which the image was captured, s since the episode's first measurement."""
SEED = "kit.seed"
"""Seed of the episode."""
REQUESTED_ACTION = "kit.requested_action"
"""The policy's target, before interpolation and limiter; the applied one is ``action``."""
INTERVENTION = "kit.intervention"
"""Whether a person drove instead of the policy."""
OPERATOR = "kit.operator"
"""Pseudonym of the person who demonstrated; empty without one."""
SUCCESS_MARK = "kit.success_mark"
"""The operator's mark of the whole episode: 1 success, 0 failure, −1 not marked."""
SOUND = "kit.sound"
"""Features of the sound at the time of the observation, named by the layout."""
AUDIO = "kit.audio"
"""Samples of the microphone, mono, 16 bits, ``AUDIO_HZ`` per second, one decision's worth in each frame."""

type Frame = dict[str, npt.NDArray[Any]]
"""Column → value of one step."""


def frame(
    step: Step, seed: int, *, start: float, intervened: bool = False, image: bool = False, sound: bool = False
) -> Frame:
    """The columns of one step, but for those that only the whole episode's labels and audio fill.

    Args:
        step: with its perception's features and the action in force.
        seed: of the episode.
        start: capture time of the episode's first observation, s on the robot's clock.
        intervened: whether a person drove instead of the policy.
        image: whether to keep the head camera's image.
        sound: whether to keep the sound's features.

    Raises:
        KitError: there is no image or no sound to keep.
    """
    observation, truth = step.observation, step.truth
    columns: Frame = {
        OBS_STATE: observation.state.astype(np.float32),
        OBS_ENV_STATE: np.asarray(observation.environment_state, dtype=np.float32),
        OBS_LAST_ACTION: np.asarray(observation.last_action, dtype=np.float32),
        ACTION: step.action.astype(np.float32),
        REWARD: np.array([truth.reward if truth else 0.0], dtype=np.float32),
        SUCCESS: np.array([bool(truth and truth.success)]),
        CAPTURE_TIME: np.array([observation.capture_time - start]),
        SEED: np.array([seed]),
        REQUESTED_ACTION: np.asarray(step.request, dtype=np.float32),
        INTERVENTION: np.array([intervened]),
    }
    if image:
        if CAMERA not in observation.images:
            raise KitError("the robot's camera gives no images. Look at its connection, or record without --camera")
        columns[IMAGE] = observation.images[CAMERA]
        columns[IMAGE_TIME] = np.array([observation.image_times[CAMERA] - start])
    if sound:
        if observation.sound is None:
            raise KitError("the microphone gives no sound. Look at its connection, or record with --audio off")
        columns[SOUND] = np.asarray(observation.sound, dtype=np.float32)
    return columns
