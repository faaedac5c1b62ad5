"""The robot's own speaker, through the REST interface of its daemon: cues are uploaded once and played by name.

Source: reachy_mini.daemon.app.routers.media (1.13). A daemon without media (``--no-media``) has no speaker.
"""

import json
import uuid

from reachy_kit.runtime.robots.daemon import DaemonAddress, ask_daemon
from reachy_kit.runtime.robots.speaking.tones import Cue, as_wave

_TIMEOUT = 6.0
"""Longest wait for an answer, s: the daemon takes up to five to look into an uploaded file."""
_SHORT = 1.0


class DaemonSpeaker:
    """The speaker of a daemon's robot.

    Args:
        address: of the daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self.name = f"of {address}"
        self._address = address
        self._uploaded: set[Cue] = set()

    def is_available(self) -> bool:
        """Whether the daemon has a speaker."""
        try:
            return bool(ask_daemon(self._address, "/api/media/status", timeout=_SHORT)["available"])
        except (OSError, KeyError, TypeError):
            return False

    def play(self, cue: Cue) -> None:
        """Have a cue played; the daemon does not wait for its end.

        Raises:
            OSError: the daemon does not answer, or refuses.
        """
        name = f"reachy-kit-{cue}.wav"
        if cue not in self._uploaded:
            self._upload(name, as_wave(cue))
            self._uploaded.add(cue)
        self._post("play_sound", json.dumps({"file": name}).encode(), "application/json")

    def _upload(self, name: str, content: bytes) -> None:
        """Send a file as an HTML form does (RFC 7578)."""
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: audio/wav\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        self._post("sounds/upload", body, f"multipart/form-data; boundary={boundary}")

    def _post(self, what: str, body: bytes, kind: str) -> None:
        ask_daemon(self._address, f"/api/media/{what}", body, content_type=kind, timeout=_TIMEOUT)
