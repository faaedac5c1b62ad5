"""The speaker of a session: a real robot's own unless another one, or none, is asked for. It is never needed.

While a microphone is open there are no cues: the robot would hear, record and follow itself.
"""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from reachy_kit.runtime.recording.takes.live_view import LiveView, SessionScreen
from reachy_kit.runtime.robots.speaking.speaker import OFF, ROBOT, Player, Speaker, opened_speaker
from reachy_kit.runtime.robots.speaking.tones import Cue
from reachy_kit.workflows.inputs.reporter import Reporter

if TYPE_CHECKING:
    from reachy_kit.workflows.inputs.session import Session


def find_speaker(choice: str) -> Player | None:
    """A speaker of this computer, not yet opened: looked for before the robot moves.

    Args:
        choice: of the person: empty, ``off``, ``robot``, or a speaker of this computer.

    Returns:
        None where none of this computer's was named.

    Raises:
        WrongUseError: it does not exist.
    """
    if choice in ("", OFF, ROBOT):
        return None
    from reachy_kit.runtime.robots.speaking.local_speaker import LocalSpeaker

    return LocalSpeaker(choice)


@contextlib.contextmanager
def open_speaker(
    choice: str, local: Player | None, session: "Session", reporter: Reporter, *, simulated: bool
) -> Iterator[Speaker]:
    """The speaker of an open session; it says at the end what was wrong with it.

    Args:
        choice: of the person.
        local: what ``find_speaker`` has found.
        session: open.
        reporter: receives notes.
        simulated: whether the robot is simulated: then it speaks only if it is asked to.
    """
    player = local or (_of_robot(session) if choice == ROBOT or (not choice and not simulated) else None)
    if choice not in ("", OFF) and session.hearing:
        reporter.note("no cues while a microphone is on: the robot would hear them")
    elif choice == ROBOT and player is None:
        reporter.note("this robot has no speaker here: its daemon runs without media")
    with opened_speaker(None if session.hearing else player) as speaker:
        yield speaker
    if speaker.complaint:
        reporter.note(f"warning: {speaker.complaint}")


class SpeakingScreen:
    """A screen of takes whose sounds come from a speaker too.

    Args:
        screen: shows the takes.
        speaker: of the session.
    """

    def __init__(self, screen: SessionScreen, speaker: Speaker) -> None:
        self._screen, self._speaker = screen, speaker

    def open(self, view: LiveView) -> AbstractContextManager[None]:
        """Show a view, as it changes, while the context is open."""
        return self._screen.open(view)

    def signal(self, cue: Cue) -> None:
        """Make both sounds."""
        self._screen.signal(cue)
        self._speaker.play(cue)


def _of_robot(session: "Session") -> Player | None:
    from reachy_kit.runtime.robots.sdk import SdkRobot
    from reachy_kit.runtime.robots.speaking.daemon_speaker import DaemonSpeaker

    if not isinstance(session.robot, SdkRobot):
        return None
    speaker = DaemonSpeaker(session.robot.address)
    return speaker if speaker.is_available() else None
