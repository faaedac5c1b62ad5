"""Microphones and speakers of this computer, as PortAudio names them."""

from typing import Any, Literal

from reachy_kit.runtime.errors import MissingPackageError, WrongUseError

type DeviceKind = Literal["microphone", "speaker"]
_DIRECTIONS = {"microphone": "input", "speaker": "output"}


def load_portaudio(kind: DeviceKind) -> Any:
    """The package sounddevice, with the library that it loads.

    Args:
        kind: what is to be opened, for messages.

    Raises:
        WrongUseError: PortAudio is missing.
        MissingPackageError: the package is missing.
    """
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"sounddevice, which opens {kind}s, is not installed here", "teleop") from error
    except OSError as error:  # the package is there, the library that it loads is not
        raise WrongUseError(
            f"PortAudio, which opens {kind}s, is missing. On Debian: apt-get install libportaudio2"
        ) from error
    return sounddevice


def find_device(sounddevice: Any, choice: str, kind: DeviceKind) -> Any:
    """What PortAudio says of a device: a mapping with its name, index, rates and channels.

    Args:
        sounddevice: the package.
        choice: ``default``, the device's index, or a part of its name.
        kind: of the device.

    Raises:
        WrongUseError: it does not exist, or several have that name.
    """
    device = int(choice) if choice.isdecimal() else None if choice == "default" else choice
    try:
        return sounddevice.query_devices(device, _DIRECTIONS[kind])
    except (ValueError, sounddevice.PortAudioError) as error:
        raise WrongUseError(f"--{kind} {choice}: {_explain(sounddevice, choice, kind)}") from error


def _explain(sounddevice: Any, choice: str, kind: DeviceKind) -> str:
    channels = f"max_{_DIRECTIONS[kind]}_channels"
    present = [device for device in sounddevice.query_devices() if device[channels] > 0]
    if not present:
        return f"this computer has no {kind}"
    names = ", ".join(f"{device['index']} {device['name']}" for device in present)
    several = sum(choice.lower() in device["name"].lower() for device in present) > 1
    return f"{'several have that name' if several else 'it does not exist'}; there are {names}"
