"""The Python of the robot that has the SDK, and what is installed there."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from reachy_kit.deploy import python_probe
from reachy_kit.deploy.robot_shell import RobotShell
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.messages.installation import pip_command

PYTHONS = (
    "/venvs/mini_daemon/bin/python",  # of a Reachy Mini Wireless; the next one too
    "/venvs/apps_venv/bin/python",
    "$HOME/.venv/bin/python",
    "python3.13",
    "python3.12",
    "python3",
)
"""Pythons that are tried, in this order."""
OLDEST = (3, 12)
_SDK = "reachy-mini"
_WHOLE_KIT = "reachy-kit"


@dataclass(frozen=True)
class RobotPython:
    """A Python on the robot."""

    python: str
    """Path of the interpreter."""
    version: tuple[int, int]
    machine: str
    """As in ``aarch64``."""
    glibc: tuple[int, int]
    home: str
    installed: dict[str, str]
    """Name → version of its distributions."""


def find_python(shell: RobotShell) -> RobotPython:
    """The first Python of the robot that can run the recorder.

    Raises:
        KitError: none is recent enough, or none has the SDK.
        RefusedError: the whole reachy-kit is installed there and would be used in place of the runtime.
        ConnectionCut: the connection was cut.
    """
    pythons = [_parse(line) for line in _ask(shell).splitlines() if line.startswith("{")]
    recent = [python for python in pythons if python.version >= OLDEST]
    if not recent:
        versions = ", ".join(sorted({".".join(map(str, python.version)) for python in pythons})) or "none"
        raise KitError(
            f"{shell.address} has no Python {'.'.join(map(str, OLDEST))} or newer (it has {versions}). Install one "
            f"there, with the robot's SDK: {pip_command('python3', _SDK)}"
        )
    with_sdk = [python for python in recent if _SDK in python.installed]
    if not with_sdk:
        raise KitError(
            f"{shell.address} has the robot's SDK in none of its Pythons ({', '.join(p.python for p in recent)}). "
            f"Install it there: {pip_command(recent[0].python, _SDK)}"
        )
    chosen = with_sdk[0]
    if _WHOLE_KIT in chosen.installed:
        raise RefusedError(
            f"{shell.address} has reachy-kit {chosen.installed[_WHOLE_KIT]} in {chosen.python}: it would be used in "
            "place of this version. Remove it there, or record on the robot itself with --robot localhost"
        )
    return chosen


def _ask(shell: RobotShell) -> str:
    program = shlex.quote(Path(python_probe.__file__).read_text())
    tries = (f'p="$(command -v "{python}")" && "$p" -I -c {program} 2>/dev/null' for python in PYTHONS)
    return shell.run("sh", "-s", text="\n".join(tries)).out


def _parse(line: str) -> RobotPython:
    answer = json.loads(line)
    major, minor = answer["version"]
    glibc = [int(part) for part in answer["glibc"].split(".")[:2] if part.isdecimal()] or [2, 17]
    return RobotPython(
        python=answer["python"],
        version=(major, minor),
        machine=answer["machine"],
        glibc=(glibc[0], glibc[-1]),
        home=answer["home"],
        installed=answer["installed"],
    )
