"""The last few observations of an episode, as a policy looks at them."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CAMERA, Observation

type Floats = npt.NDArray[np.float32]


class ObservationHistory:
    """The last few observations of an episode.

    Args:
        n_obs_steps: T, how many; the first one counts as all before it.
        picture: rows and columns, for a policy that looks at pictures; None for one that looks at features.
    """

    def __init__(self, n_obs_steps: int, picture: tuple[int, int] | None = None) -> None:
        self._seen: deque[tuple[Observation, npt.NDArray[Any]]] = deque(maxlen=n_obs_steps)
        self._picture = picture

    def reset(self) -> None:
        """Forget the episode before."""
        self._seen.clear()

    def note(self, observation: Observation) -> None:
        """Another observation.

        Raises:
            WrongUseError: it comes without perception, or without a picture where one is looked at.
        """
        self._seen.append((observation, self._sensed(observation)))

    def inputs(self) -> tuple[Floats, Floats, Floats]:
        """States, what was sensed, and the action in force.

        Returns:
            (1, T, 9); (1, T, K) features, or (1, 2, 3, H, W) the first and the last picture; (1, 9).
        """
        seen = [self._seen[0]] * ((self._seen.maxlen or 0) - len(self._seen)) + list(self._seen)
        latest, _ = seen[-1]
        last = latest.state if latest.last_action is None else latest.last_action
        looked_at = seen if self._picture is None else [seen[0], seen[-1]]
        window = np.stack([one.state for one, _ in seen]), np.stack([sensed for _, sensed in looked_at])
        state, sensed = (part[None].astype(np.float32) for part in window)
        return state, sensed, last[None].astype(np.float32)

    def _sensed(self, observation: Observation) -> npt.NDArray[Any]:
        if self._picture is not None:
            if CAMERA not in observation.images:
                raise WrongUseError("this policy looks at pictures, and there are none: open the robot with its camera")
            from reachy_kit.runtime.perception.images import resize_image

            return np.moveaxis(resize_image(observation.images[CAMERA], *self._picture), -1, 0)
        if observation.environment_state is None:
            raise WrongUseError("this policy needs perception; the robot gives none")
        return np.asarray(observation.environment_state)
