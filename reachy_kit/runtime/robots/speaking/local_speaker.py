"""A speaker of this computer, through PortAudio."""

from reachy_kit.runtime.perception.hearing.portaudio import find_device, load_portaudio
from reachy_kit.runtime.robots.speaking.tones import Cue, synthesize


class LocalSpeaker:
    """A speaker that PortAudio knows.

    Args:
        choice: ``default``, its index, or a part of its name.

    Raises:
        WrongUseError: it does not exist, or PortAudio is missing.
        MissingPackageError: the package sounddevice is missing.
    """

    def __init__(self, choice: str) -> None:
        self._sounddevice = load_portaudio("speaker")
        info = find_device(self._sounddevice, choice, "speaker")
        self.name, self._index, self._rate = str(info["name"]), info["index"], round(info["default_samplerate"])

    def play(self, cue: Cue) -> None:
        """Play a cue to its end.

        Raises:
            OSError: the device is gone or held by another program.
        """
        try:
            self._sounddevice.play(synthesize(cue, self._rate), self._rate, device=self._index, blocking=True)
        except self._sounddevice.PortAudioError as error:
            raise OSError(str(error)) from error
