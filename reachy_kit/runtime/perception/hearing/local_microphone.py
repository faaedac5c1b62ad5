"""A microphone of this computer, through PortAudio.

Try it: reachy-kit run dance.bundle --robot daemon --microphone default
"""

import atexit
import threading
from typing import Any

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.interface import AUDIO_HZ
from reachy_kit.runtime.perception.hearing.portaudio import find_device, load_portaudio
from reachy_kit.runtime.perception.hearing.sound_source import Block, Receive

SPACING = 0.1
"""Distance between the microphones of a stereo device whose distance is not given, m."""
_BLOCK_SECONDS = 0.02
_CLOSE_TIMEOUT = 1.0
"""Longest wait for a driver to close a stream, s."""
_CHANNELS = 2
"""Channels that are listened to at most: the first two of an array give its direction."""


class LocalMicrophone:
    """A microphone that PortAudio knows.

    Args:
        choice: ``default``, its index, or a part of its name; ``@METRES`` behind it is the distance between a stereo
            device's microphones, as in ``usb@0.12``.

    Raises:
        WrongUseError: it does not exist, or PortAudio is missing.
        MissingPackageError: the package sounddevice is missing.
    """

    turns_with_head = False

    def __init__(self, choice: str) -> None:
        device, spacing = _split_spacing(choice)
        self._sounddevice = load_portaudio("microphone")
        info = find_device(self._sounddevice, device, "microphone")
        self._index = info["index"]
        self.name = str(info["name"])
        self.channels = min(int(info["max_input_channels"]), _CHANNELS)
        self.spacing = spacing if self.channels > 1 else None
        self.sample_rate = self._choose_rate(float(info["default_samplerate"]))
        self._stream: Any = None

    def start(self, receive: Receive) -> None:
        """Open the stream.

        Raises:
            KitError: another program holds the device, or it is gone.
        """

        def callback(block: Block, frames: int, time: Any, status: Any) -> None:
            receive(block)

        try:
            self._stream = self._sounddevice.InputStream(
                device=self._index,
                channels=self.channels,
                samplerate=self.sample_rate,
                dtype="float32",
                blocksize=round(_BLOCK_SECONDS * self.sample_rate),
                latency="low",
                callback=callback,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            self.stop()
            raise KitError(
                f"the microphone {self.name} cannot be opened ({_reason(error)}). Does another program use it?"
            ) from error

    def stop(self) -> None:
        """Close the stream; one whose driver hangs is left alone, so that the robot can lie down."""
        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        closing = threading.Thread(target=stream.abort, daemon=True)
        closing.start()
        closing.join(_CLOSE_TIMEOUT)
        if closing.is_alive():
            atexit.unregister(self._sounddevice._exit_handler)  # it would wait for the same driver
        else:
            stream.close(ignore_errors=True)

    def _choose_rate(self, usual: float) -> int:
        """The rate that the analysis needs, where the device has it; else the device's own."""
        try:
            self._sounddevice.check_input_settings(self._index, self.channels, "float32", samplerate=AUDIO_HZ)
        except self._sounddevice.PortAudioError:
            return round(usual)
        return AUDIO_HZ


def _split_spacing(choice: str) -> tuple[str, float]:
    device, at, metres = choice.rpartition("@")
    if not at:
        return choice, SPACING
    try:
        spacing = float(metres)
    except ValueError:
        return choice, SPACING  # an @ of the device's name
    if not 0.01 <= spacing <= 1.0:
        raise WrongUseError(f"--microphone {choice}: the distance between the microphones must be 0.01 to 1 m")
    return device, spacing


def _reason(error: Exception) -> str:
    return str(error).partition(" [")[0]
