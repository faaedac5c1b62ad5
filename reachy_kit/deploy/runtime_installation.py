"""Installing the runtime on a robot: in a folder of its own, atomically, as often as one likes.

Nothing of the robot's own environments changes. The folder lies outside ``/venvs``, which a software reset of the robot
removes. What is there already is not sent again; what was cut off is continued.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from reachy_kit.deploy import version_installer
from reachy_kit.deploy.robot_python import RobotPython
from reachy_kit.deploy.robot_shell import RobotShell
from reachy_kit.runtime.errors import KitError

FOLDER = ".local/share/reachy-kit"
"""Everything of reachy-kit's on a robot, in the user's home."""
RESERVE = 100 << 20
"""Bytes that must stay free on the robot's disk: the daemon's log and the system write too."""
_UNPACKED = 4
"""Times the size of a wheel that it takes on the way: itself, and up to three times as much unpacked (pyarrow)."""


@dataclass(frozen=True)
class InstalledRuntime:
    """The runtime on a robot."""

    base: str
    """Folder of everything of reachy-kit's there."""
    python: str
    """Python that sees the runtime and the robot's SDK."""
    version: str
    sent: int
    """Wheels that were sent this time."""


def install_runtime(shell: RobotShell, robot: RobotPython, wheels: dict[str, Path]) -> InstalledRuntime:
    """Install a version of the runtime on a robot, and make it the current one.

    Args:
        shell: connected.
        robot: Python there.
        wheels: SHA-256 → file, the runtime first.

    Raises:
        KitError: the robot's disk is full or cannot be written; the version of before stays.
        ConnectionCut: the connection was cut; the version of before stays.
    """
    base = f"{robot.home}/{FOLDER}"
    version = hashlib.sha256("\n".join([robot.python, *wheels]).encode()).hexdigest()[:16]
    current = f"{base}/current/python"
    installed = InstalledRuntime(base, f"{base}/versions/{version}/python", version, 0)
    if (
        shell.run("readlink", f"{base}/current").out.strip() == f"versions/{version}"
        and shell.run(current, "-c", "import reachy_kit.runtime").code == 0
    ):
        return installed
    there = set(shell.list_folder(f"{base}/wheels"))
    missing = {digest: path for digest, path in wheels.items() if digest not in there}
    _require_space(shell, robot, sum(path.stat().st_size for path in missing.values()) * _UNPACKED)
    arrived = set(shell.list_folder(f"{base}/incoming"))
    for digest, path in missing.items():
        if f"{digest}.whl" not in arrived:
            shell.send_file(path, f"{base}/incoming/{digest}.whl")
    order = json.dumps({"version": version, "wheels": {digest: path.name for digest, path in wheels.items()}})
    program = Path(version_installer.__file__).read_text()
    ended = shell.run(robot.python, "-I", "-", base, order, text=program)
    error = _error(ended.out) if ended.code == 0 else (ended.err.strip().splitlines() or ["without output"])[-1]
    if error:
        raise KitError(f"the runtime could not be installed on {shell.address} ({error}). The version of before stays")
    return InstalledRuntime(base, installed.python, version, len(missing))


def _require_space(shell: RobotShell, robot: RobotPython, needed: int) -> None:
    free = shell.free_bytes(robot.home)
    if free < needed + RESERVE:
        raise KitError(
            f"{shell.address} has {free >> 20} MB free; {(needed + RESERVE) >> 20} MB are needed. Make room there"
        )


def _error(out: str) -> str | None:
    try:
        reason: str | None = json.loads(out)["error"]
    except (ValueError, KeyError, TypeError):
        return f"unexpected answer {out[:80]!r}"
    return reason
