"""A speaker of this computer, through PortAudio."""

from typing import Any

from reachy_kit.runtime.errors import MissingPackageError, WrongUseError
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
        self._sounddevice = _load()
        device = int(choice) if choice.isdecimal() else None if choice == "default" else choice
        try:
            info = self._sounddevice.query_devices(device, "output")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise WrongUseError(f"--speaker {choice}: {self._explain()}") from error
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

    def _explain(self) -> str:
        outputs = [found for found in self._sounddevice.query_devices() if found["max_output_channels"] > 0]
        if not outputs:
            return "this computer has no speaker"
        return f"it does not exist; there are {', '.join(f'{found["index"]} {found["name"]}' for found in outputs)}"


def _load() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MissingPackageError("sounddevice, which opens speakers, is not installed here", "teleop") from error
    except OSError as error:  # the package is there, the library that it loads is not
        raise WrongUseError(
            "PortAudio, which opens speakers, is missing. On Debian: apt-get install libportaudio2"
        ) from error
    return sounddevice
