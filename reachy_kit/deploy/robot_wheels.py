"""Wheels for the robot: the runtime, built here, and what its Python lacks of the runtime's dependencies.

The robot needs no internet: wheels for its platform are fetched here, and kept for the next time.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit import runtime
from reachy_kit.deploy.robot_python import RobotPython
from reachy_kit.runtime.errors import KitError, MissingPackageError
from reachy_kit.runtime.recording.episode_files import sha256

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.tags import Tag


def wheels_for(robot: RobotPython, cache: Path | None = None) -> dict[str, Path]:
    """The runtime's wheel, and those that the robot's Python lacks.

    Args:
        robot: what is installed there.
        cache: folder of wheels that were fetched before; None for the user's.

    Returns:
        SHA-256 → file, the runtime first.

    Raises:
        KitError: a wheel cannot be built or fetched.
        MissingPackageError: a package for building or fetching is not installed here.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reachy-kit/wheels"
    cache.mkdir(parents=True, exist_ok=True)
    wheels = [_build_runtime(cache)]
    waiting = deque(_requirements(wheels[0], robot))
    fetched: set[str] = set()
    while waiting:
        needed = waiting.popleft()
        name = _normalised(needed.name)
        if name in fetched or _is_installed(needed, robot):
            continue
        wheel = _find(needed, robot, cache) or _fetch(needed, robot, cache)
        fetched.add(name)
        wheels.append(wheel)
        waiting.extend(_requirements(wheel, robot))
    return {sha256(wheel): wheel for wheel in wheels}


def _build_runtime(cache: Path) -> Path:
    """Build the runtime's wheel from the files of this installation: the same files give the same wheel."""
    try:
        import hatchling  # noqa: F401  (a command builds with it)
    except ModuleNotFoundError as error:
        raise MissingPackageError("hatchling is not installed here, which builds the wheel", "deploy") from error
    source = Path(next(iter(runtime.__path__)))
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        ended = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        built = list(Path(folder).glob("*.whl"))
        if ended.returncode or not built:
            reason = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or ["without output"]
            raise KitError(
                f"the runtime's wheel could not be built from {source} ({reason[0]}). Install reachy-kit again"
            )
        return built[0].replace(cache / built[0].name)


def _requirements(wheel: Path, robot: RobotPython) -> "Iterable[Requirement]":
    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    environment = {
        "python_version": ".".join(map(str, robot.version)),
        "python_full_version": ".".join(map(str, (*robot.version, 0))),
        "platform_machine": robot.machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "extra": "",
    }
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield requirement


def _is_installed(needed: "Requirement", robot: RobotPython) -> bool:
    version = robot.installed.get(_normalised(needed.name))
    return version is not None and needed.specifier.contains(version, prereleases=True)


def _find(needed: "Requirement", robot: RobotPython, cache: Path) -> Path | None:
    """A wheel that was fetched before; the newest of them that fits."""
    from packaging.utils import parse_wheel_filename

    supported = set(_tags(robot))
    fitting = []
    for path in cache.glob("*.whl"):
        name, version, _, tags = parse_wheel_filename(path.name)
        if name == _normalised(needed.name) and needed.specifier.contains(version) and tags & supported:
            fitting.append((version, path))
    return max(fitting)[1] if fitting else None


def _fetch(needed: "Requirement", robot: RobotPython, cache: Path) -> Path:
    import importlib.util

    if importlib.util.find_spec("pip") is None:
        raise MissingPackageError("pip is not installed here, which fetches wheels for the robot", "deploy")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        platforms = [argument for name in _platforms(robot) for argument in ("--platform", name)]
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", "--python-version", ".".join(map(str, robot.version)), *platforms),
            *("--dest", folder, f"{needed.name}{needed.specifier}"),
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = list(Path(folder).glob("*.whl"))
        if ended.returncode or not fetched:
            errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ["no such wheel"]
            raise KitError(
                f"{needed.name}, which the robot lacks, could not be fetched ({errors[-1].removeprefix('ERROR: ')}). "
                f"Connect this computer to the internet once, or put the wheel for {_platforms(robot)[0]} into {cache}"
            )
        return fetched[0].replace(cache / fetched[0].name)


def _platforms(robot: RobotPython) -> list[str]:
    """Platforms of wheels that the robot's C library takes, the newest first."""
    major, newest = robot.glibc
    return [f"manylinux_{major}_{minor}_{robot.machine}" for minor in range(newest, 16, -1)] + [
        f"manylinux2014_{robot.machine}"
    ]


def _tags(robot: RobotPython) -> "Iterable[Tag]":
    from packaging.tags import compatible_tags, cpython_tags

    platforms = _platforms(robot)
    interpreter = f"cp{robot.version[0]}{robot.version[1]}"
    yield from cpython_tags(robot.version, platforms=platforms)
    yield from compatible_tags(robot.version, interpreter, platforms)


def _normalised(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
