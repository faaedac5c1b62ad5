"""The robot's own computer as SSH shows it, and a person who is not there."""

import contextlib
import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from reachy_kit.deploy.runtime_installation import FOLDER
from reachy_kit.runtime.recording.on_robot.recording_order import LOG, STATUS


@dataclass
class RobotsComputer:
    """The robot's own computer, as SSH shows it."""

    folder: Path
    port: int
    server: subprocess.Popen

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def base(self) -> Path:
        return self.home / FOLDER

    @property
    def first_on_path(self) -> Path:
        return self.folder / "bin"

    @property
    def status(self) -> dict:
        try:
            return json.loads((self.base / "recorder" / STATUS).read_text()) or {}
        except OSError:
            return {}

    @property
    def log(self) -> str:
        return (self.base / "recorder" / LOG).read_text()

    @property
    def episodes(self) -> list[Path]:
        return sorted(self.base.glob("recordings/*/episodes/*/episode.json"))

    def stall(self) -> None:
        """Let every connection fall silent, as a Wi-Fi does; the next one works."""
        self._send(signal.SIGSTOP)

    def cut(self) -> None:
        """End every connection."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for child in psutil.Process(self.server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if "sshd" in child.name():
                    child.send_signal(number)


class NoPerson:
    """Nobody answers."""

    def accept_key(self, host, fingerprint):
        return False

    def password(self, login):
        return None
