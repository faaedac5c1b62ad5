"""Episodes from the robot to this computer: each file whole and verified, what arrived before is not copied again."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from reachy_kit.deploy.robot_shell import RobotShell
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.recording.episode_files import EPISODE, episode_files, sha256
from reachy_kit.runtime.recording.layout import LAYOUT_FILE

_TRIES = 2


@dataclass(frozen=True)
class EpisodeOnRobot:
    """An episode in a folder on the robot."""

    index: int
    take: str
    """Identity of the take."""


def list_episodes(shell: RobotShell, folder: str) -> list[EpisodeOnRobot]:
    """Whole episodes in a folder on the robot.

    Raises:
        KitError: a file there is damaged.
        ConnectionCut: the connection was cut.
    """
    episodes = []
    for name in shell.list_folder(f"{folder}/episodes"):
        if not name.isdecimal() or (about := shell.read(f"{folder}/episodes/{name}/{EPISODE}")) is None:
            continue
        try:
            episodes.append(EpisodeOnRobot(int(name), str(json.loads(about)["take"])))
        except (ValueError, KeyError, TypeError) as error:
            raise KitError(
                f"{folder}/episodes/{name}/{EPISODE} on {shell.address} is damaged. Move that folder away"
            ) from error
    return episodes


def pull_episode(shell: RobotShell, folder: str, index: int, place: Path) -> None:
    """Copy an episode from the robot, verified by the SHA-256 of its files, and the layout.

    What is here of another episode at the same place is deleted: the folder may be of an earlier pull.

    Args:
        shell: connected.
        folder: of the episode files, on the robot.
        index: of the episode.
        place: folder of episode files here.

    Raises:
        KitError: a file cannot be read, or arrives damaged twice.
        ConnectionCut: the connection was cut; the same call continues.
    """
    name = f"episodes/{index:06d}"
    about = _read(shell, f"{folder}/{name}/{EPISODE}")
    layout = _read(shell, f"{folder}/{LAYOUT_FILE.as_posix()}")
    try:
        if not (place / name / EPISODE).exists() or (place / name / EPISODE).read_bytes() != about:
            shutil.rmtree(place / name, ignore_errors=True)
            _write(place / name / EPISODE, about)
        _write(place / LAYOUT_FILE, layout)
    except OSError as error:
        raise KitError(f"{place} cannot be written ({error.strerror}). If the disk is full, make room") from error
    for file, digest in episode_files(place, index).items():
        path = place / name / file
        for tries_left in reversed(range(_TRIES)):
            if not path.exists():
                shell.fetch_file(f"{folder}/{name}/{file}", path)
            if sha256(path) == digest:
                break
            path.unlink()
            if not tries_left:
                raise KitError(f"{folder}/{name}/{file} on {shell.address} is damaged. Move that episode away")


def _read(shell: RobotShell, path: str) -> bytes:
    content = shell.read(path)
    if content is None:
        raise KitError(f"{path} on {shell.address} is missing. Copy the episodes from there by hand")
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def remove_episodes(shell: RobotShell, folder: str) -> None:
    """Remove a folder of episode files from the robot.

    Raises:
        KitError: it cannot be removed.
        ConnectionCut: the connection was cut.
    """
    ended = shell.run("rm", "-rf", "--", folder)
    if ended.code:
        raise KitError(
            f"{folder} on {shell.address} could not be removed ({ended.err.strip()}). Remove it there by hand"
        )
