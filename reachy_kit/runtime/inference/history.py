"""The last few observations of an episode, as a network takes them: of one robot, or of a batch of environments."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CAMERA, Observation

type Floats = npt.NDArray[np.float32]
type Sensed = npt.NDArray[Any]
"""Observed besides the pose: features of perception, or images."""


class ObservationHistory:
    """The last few observations of N robots or environments; the first one counts as all before it.

    Args:
        n_obs_steps: T, how many.
        images: whether images are sensed. Only the earliest and the latest of them are returned.
    """

    def __init__(self, n_obs_steps: int, *, images: bool = False) -> None:
        self._observations: deque[tuple[npt.NDArray[Any], Sensed, npt.NDArray[Any]]] = deque(maxlen=n_obs_steps)
        self._n_obs_steps, self._images = n_obs_steps, images

    def reset(self) -> None:
        """Forget the episodes before."""
        self._observations.clear()

    def append(self, state: npt.NDArray[Any], sensed: Sensed, last_action: npt.NDArray[Any]) -> None:
        """Add the next observation of each.

        Args:
            state: (N, A) m and rad.
            sensed: (N, …).
            last_action: (N, A) the action in force.
        """
        self._observations.append((state, sensed, last_action))

    def inputs(self) -> tuple[npt.NDArray[Any], Sensed, npt.NDArray[Any]]:
        """States, what was sensed, and the action in force.

        Returns:
            (N, T, A) oldest first; (N, S, …) with S = T, or 2 of images; (N, A).
        """
        missing = self._n_obs_steps - len(self._observations)
        window = [self._observations[0]] * missing + list(self._observations)
        sensed = [window[0], window[-1]] if self._images else window
        states = np.stack([observation[0] for observation in window], axis=1)
        return states, np.stack([observation[1] for observation in sensed], axis=1), window[-1][2]


def robot_inputs(observation: Observation, image_size: tuple[int, int] | None) -> tuple[Floats, Floats, Floats]:
    """Arguments of ``ObservationHistory.append`` for one robot.

    Args:
        observation: of the control loop.
        image_size: rows and columns, for a policy that takes images; None for one that takes features.

    Returns:
        (1, 9); (1, K) features or (1, 3, rows, columns) image, 0 to 255; (1, 9).

    Raises:
        WrongUseError: it comes without perception, or without the image that is needed.
    """
    parts = observation.state, _sensed(observation, image_size), observation.action_in_force
    state, sensed, last = (part[None].astype(np.float32) for part in parts)
    return state, sensed, last


def _sensed(observation: Observation, image_size: tuple[int, int] | None) -> Sensed:
    if image_size is not None:
        if CAMERA not in observation.images:
            raise WrongUseError("this policy takes images, and there are none: open the robot with its camera")
        from reachy_kit.runtime.perception.images import resize_image

        return np.moveaxis(resize_image(observation.images[CAMERA], *image_size), -1, 0)
    if observation.environment_state is None:
        raise WrongUseError("this policy needs perception, and the robot has none: give rollout one")
    return np.asarray(observation.environment_state)
