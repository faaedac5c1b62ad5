"""The microphone of a session: which one, what is kept of it, and when it is opened at all.

It is opened only where a task needs to hear, or a recording asks for sound; the command says so.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import AUDIO_HZ
from reachy_kit.runtime.perception.hearing.heard_features import require_direction
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.perception.sound import HEARING_FEATURES
from reachy_kit.workflows.inputs.reporter import Reporter

if TYPE_CHECKING:
    from reachy_kit.runtime.perception.hearing.local_microphone import LocalMicrophone
    from reachy_kit.runtime.perception.hearing.sound_source import DirectionSource, SoundSource
    from reachy_kit.runtime.perception.selection import PerceptionName

AUDIO_MODES = ("off", "features", "raw")


@dataclass(frozen=True)
class Listening:
    """What a person has asked for."""

    microphone: str = ""
    """Microphone of this computer; empty for the robot's own."""
    audio: str | None = None
    """What a recording keeps of the sound, one of ``AUDIO_MODES``; None where nothing is recorded."""
    hears: bool = False
    """Whether something listens beside a perception that looks."""

    def __post_init__(self) -> None:
        if self.audio not in (None, *AUDIO_MODES):
            raise WrongUseError(f"--audio {self.audio} does not exist; there are off, features and raw")

    @property
    def records(self) -> bool:
        """Whether a recording keeps anything of the sound."""
        return self.audio in ("features", "raw")

    def columns(self, hz: int) -> tuple[tuple[str, ...], int]:
        """A dataset's features of sound, and its samples of sound in each frame.

        Args:
            hz: decisions per second.
        """
        return HEARING_FEATURES if self.records else (), AUDIO_HZ // hz if self.audio == "raw" else 0

    def is_needed(self, perception: "PerceptionName", *, simulated: bool, realtime: bool) -> bool:
        """Whether a session opens a microphone.

        Args:
            perception: of the session.
            simulated: whether the robot is, and so has no microphone of its own.
            realtime: whether its clock is the wall clock.

        Raises:
            WrongUseError: it must, and may not or cannot.
        """
        if perception == "microphone" and self.audio == "off":
            raise WrongUseError(
                "this task is learned from sound: record it with --audio features, which opens the microphone and "
                "keeps numbers such as direction and beat, not the sound itself"
            )
        if perception != "microphone" and not self.records and not self.hears:
            if self.microphone:
                raise WrongUseError("--microphone has no use here: nothing listens. record keeps sound with --audio")
            return False
        if not realtime:
            raise WrongUseError("a microphone hears in real time, and this simulation runs faster: take --robot daemon")
        if simulated and not self.microphone:
            raise WrongUseError(
                "a simulated robot has no microphone: name one of this computer, as in --microphone default"
            )
        return True


NOT_LISTENING = Listening(audio="off")


@runtime_checkable
class _Listener(Protocol):
    def listen_with(self, hearing: Hearing) -> None: ...


def find_microphone(choice: str, perception: "PerceptionName", features: tuple[str, ...] | None) -> "LocalMicrophone":
    """A microphone of this computer, not yet opened: looked for before the robot moves.

    Args:
        choice: of the person.
        perception: of the session.
        features: that the perception must yield.

    Raises:
        WrongUseError: it does not exist, or cannot yield the features.
    """
    from reachy_kit.runtime.perception.hearing.local_microphone import LocalMicrophone

    microphone = LocalMicrophone(choice)
    if perception == "microphone":
        require_direction(microphone.name, features or (), given=microphone.spacing is not None)
    return microphone


@contextlib.contextmanager
def open_hearing(
    robot: object, listening: Listening, local: "SoundSource | None", reporter: Reporter
) -> Iterator[Hearing]:
    """Open a microphone for a connected robot, say so, and say at the end what was wrong with it.

    Args:
        robot: that listens.
        listening: what is kept of the sound.
        local: the microphone of this computer; None for the robot's own.
        reporter: receives what is said.

    Raises:
        KitError: it cannot be opened.
    """
    assert isinstance(robot, _Listener)
    source, directions = (local, None) if local else _own_microphone(robot)
    with Hearing(source, directions, raw=listening.audio == "raw") as hearing:
        kept = {"raw": "what it hears is recorded", "features": "features of the sound are recorded, not the sound"}
        reporter.note(
            f"the microphone {source.name} is on; {kept.get(listening.audio or '', 'nothing of it is recorded')}"
        )
        robot.listen_with(hearing)
        try:
            yield hearing
        finally:
            for complaint in hearing.complaints:
                reporter.note(f"warning: {complaint}")


def _own_microphone(robot: object) -> "tuple[SoundSource, DirectionSource | None]":
    from reachy_kit.runtime.robots.daemon_directions import DaemonDirections
    from reachy_kit.runtime.robots.sdk import SdkRobot

    assert isinstance(robot, SdkRobot)
    directions = DaemonDirections(robot.address)
    return robot.open_microphone(), directions if directions.is_available() else None
