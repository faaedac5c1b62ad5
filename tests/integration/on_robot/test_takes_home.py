"""Takes on the robot come home once, are removed only then, and moves are sent there."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.saving.imported_takes import IMPORTED_TAKES
from reachy_kit.deploy.ssh_login import parse_ssh_address
from reachy_kit.runtime.behaviours.recorded_move import read_moves
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.schema import ACTION, SEED
from reachy_kit.workflows.datasets.dataset_care import drop_episodes, merge_datasets
from reachy_kit.workflows.recording.robot_recording import RobotRecording, record_on_robot, send_teleop
from reachy_sim.tasks import variant_by_name

from ..saved_episodes import LABELS, STATE, episode, write
from .robots_computer import NoPerson, RobotsComputer


@dataclass
class TakesOnRobot:
    """A dataset's folder on the robot, and the command that brings home what is in it."""

    computer: RobotsComputer
    out: Path
    person: "Person"

    @property
    def folder(self):
        variant = variant_by_name("look_at", "training")
        asked = RobotRecording(
            self.out, parse_ssh_address(self.computer.host), variant, "hand", 1, False, 25, 0, None, "", ()
        )
        return self.computer.base / "recordings" / asked.session

    def write(self, *numbers):
        sink = EpisodeFiles(self.folder, STATE)
        for number in numbers:
            sink.write(episode(number), LABELS)

    def bring(self):
        """Ask for one episode, so that nothing is left to record."""
        return record_on_robot(
            self.out, self.computer.host, variant_by_name("look_at", "training"), self.person, teleop="hand",
            episodes=1, camera=False, hz=25, seed=0,
        )  # fmt: skip


class Person(NoPerson):
    """Answers whether to remove what was brought home."""

    removes = True
    asked = 0

    def remove_from_robot(self, episodes, robot):
        self.asked += 1
        return self.removes


@pytest.fixture
def takes(robots_computer, desktop, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    return TakesOnRobot(robots_computer, tmp_path / "data", Person())


def first_actions(root):
    dataset = open_for_reading(root)
    return [dataset.read(entry.table, ACTION)[entry.index][ACTION][0].tolist() for entry in dataset.episodes]


def action_of(number):
    return episode(number)[0][ACTION].tolist()


def test_takes_whose_seeds_were_recorded_elsewhere_too_are_brought_home_before_they_are_removed(takes):
    write(takes.out, (0, 1))
    there = EpisodeFiles(takes.folder, STATE)
    for number in (0, 1):  # other motions with the seeds of the dataset's episodes
        frames = episode(number + 7)
        for frame in frames:
            frame[SEED] = np.array([1_000_000 + number])
        there.write(frames, LABELS)
    assert takes.bring() == 4
    assert first_actions(takes.out) == [action_of(number) for number in (0, 1, 7, 8)]
    assert takes.computer.episodes == []
    assert takes.person.asked == 1


def test_an_episode_that_was_dropped_or_forgotten_does_not_come_back(takes):
    takes.write(0, 1, 2)
    takes.person.removes = False
    assert takes.bring() == 3
    drop_episodes(takes.out, [1])
    assert takes.bring() == 2
    merge_datasets([takes.out, takes.out], takes.out.with_name("merged"))
    shutil.rmtree(takes.out)
    takes.out.with_name("merged").rename(takes.out)
    assert takes.bring() == 4
    assert first_actions(takes.out) == [action_of(number) for number in (0, 2, 0, 2)]
    assert "operator" not in (takes.out / IMPORTED_TAKES).read_text()


def test_what_an_earlier_pull_left_does_not_replace_newer_takes(takes):
    takes.write(0, 1)
    stale = takes.out.with_name(f".{takes.out.name}.from-robot")
    shutil.copytree(takes.folder, stale)
    shutil.rmtree(takes.folder)
    takes.write(3, 4)
    assert takes.bring() == 2
    assert first_actions(takes.out) == [action_of(number) for number in (3, 4)]
    assert not stale.exists()


def test_a_library_of_moves_is_sent_with_its_folders(shell, robots_computer, nod, tmp_path):
    library = tmp_path / "library"
    (library / "data").mkdir(parents=True)
    nod.rename(library / "data/nod.json")
    place = f"{robots_computer.home}/moves"
    assert send_teleop(shell, f"move:{library}", place) == f"move:{place}"
    assert [move.name for move in read_moves(Path(place))] == ["nod"]


def test_a_file_that_cannot_be_written_here_is_named_in_a_line(shell, robots_computer, tmp_path):
    (robots_computer.home / "take").write_bytes(b"1")
    (tmp_path / "take.partial").symlink_to("/dev/full")
    with pytest.raises(KitError, match=r"cannot be read or written \(No space left"):
        shell.fetch_file(f"{robots_computer.home}/take", tmp_path / "take")
