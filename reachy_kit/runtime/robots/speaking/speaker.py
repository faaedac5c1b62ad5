"""A speaker for cues: the robot's own, this computer's, or none.

A tone is played by a thread: the control loop never waits for it, and while one sounds only the latest other cue is
kept. A speaker that fails falls silent and says so once, at the end.
Try it: reachy-kit run idle --robot daemon --speaker default
"""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Protocol

from reachy_kit.runtime.robots.speaking.tones import Cue

OFF, ROBOT = "off", "robot"
"""Choices beside the speakers of this computer."""


class Player(Protocol):
    """Plays a cue, and returns when it has been handed over or has sounded."""

    name: str

    def play(self, cue: Cue) -> None:
        """Play it.

        Raises:
            OSError: it cannot.
        """
        ...


class Speaker:
    """Plays cues beside the loop.

    Args:
        player: plays one cue after another; None for silence.
    """

    def __init__(self, player: Player | None) -> None:
        self._player = player
        self._cues: queue.Queue[Cue | None] = queue.Queue(maxsize=1)
        self.complaint: str | None = None
        """What was wrong with it; None if nothing was."""
        self._thread = threading.Thread(target=self._play, name="speaker", daemon=True)
        if player:
            self._thread.start()

    @property
    def name(self) -> str | None:
        """Name of the speaker; None where nothing is heard."""
        return self._player.name if self._player and not self.complaint else None

    def play(self, cue: Cue) -> None:
        """Play a cue soon; a cue that still waits is replaced. Never blocks."""
        if self._thread.is_alive():
            self._put(cue)

    def close(self, patience: float = 1.0) -> None:
        """Let the last cue sound, and end the thread.

        Args:
            patience: longest wait, s.
        """
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._cues.put(None, timeout=patience)
            self._thread.join(patience)

    def _put(self, cue: Cue) -> None:
        while True:
            try:
                self._cues.put_nowait(cue)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._cues.get_nowait()

    def _play(self) -> None:
        assert self._player is not None
        while (cue := self._cues.get()) is not None:
            try:
                self._player.play(cue)
            except Exception as error:  # a tone is never worth a run
                self.complaint = f"the speaker {self._player.name} fell silent: {error}"
                return


@contextlib.contextmanager
def opened_speaker(player: Player | None) -> Iterator[Speaker]:
    """A speaker for as long as the block lasts; after an error or Ctrl-C a tone is not waited for."""
    speaker = Speaker(player)
    try:
        yield speaker
    except BaseException:
        speaker.close(patience=0.0)
        raise
    speaker.close()
