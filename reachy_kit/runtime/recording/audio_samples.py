"""Audio for a dataset's frames: an episode's stream of samples cut into pieces of one decision each."""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Observation

_SCALE = 32767


class AudioSamples:
    """Collects an episode's samples, 32 kB per second, and cuts them into equal pieces.

    They are cut at the episode's end because they arrive in blocks, and by the microphone's clock instead of the
    robot's: one decision's period brings a few more or fewer than another's.
    """

    def __init__(self) -> None:
        self._arrived: list[npt.NDArray[np.int16]] = []

    def append(self, observation: Observation) -> None:
        """Append the samples since the last observation.

        Raises:
            KitError: there is no microphone.
        """
        if observation.audio is None:
            raise KitError("the microphone gives no samples. Look at its connection, or record with --audio off")
        self._arrived.append(np.round(np.clip(observation.audio, -1.0, 1.0) * _SCALE).astype(np.int16))

    def pieces(self, count: int, samples: int) -> npt.NDArray[np.int16]:
        """Cut the stream from its beginning.

        Args:
            count: of the pieces.
            samples: in each of them.

        Returns:
            (count, samples); zeros stand for what had not arrived at the end.
        """
        stream = np.concatenate(self._arrived)[: count * samples]
        return np.pad(stream, (0, count * samples - len(stream))).reshape(count, samples)
