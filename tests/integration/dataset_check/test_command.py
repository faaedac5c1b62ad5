"""`dataset check` as a command: its findings, its exit codes, its page; a single take as it is kept."""

import re
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.dataset.checks.take_check import check_episode, describe_take
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.schema import ACTION, CAPTURE_TIME, REQUESTED_ACTION, SEED
from reachy_kit.workflows.datasets.dataset_check import check_dataset

from .damage import FINDINGS, change_info


def test_the_command_shows_findings_and_ends_with_a_code(kit, dataset):
    sound = kit.run("dataset", "check", dataset)
    assert (sound.code, sound.out.splitlines()[-1]) == (0, "nothing found"), sound
    FINDINGS["gap"][0](dataset)
    warned = kit.run("dataset", "check", dataset)
    assert warned.code == 0 and "warning RK112  gaps: 1 gap" in warned.out
    assert re.search(r"dataset drop \S+ 5$", warned.out, re.MULTILINE), warned.out
    FINDINGS["swapped"][0](dataset)
    spoilt = kit.run("dataset", "check", dataset, "--json")
    assert spoilt.code == 1
    assert {"RK112", "RK125"} <= {finding["number"] for finding in spoilt.json["findings"]}
    assert (spoilt.json["episodes"], spoilt.json["frames"], spoilt.json["fps"]) == (8, 704, 25)
    alone = kit.run("dataset", "check", dataset, "--only", "rk112")
    assert (alone.code, len(alone.out.splitlines()), alone.err) == (0, 2, "")


def test_wrong_use_and_what_cannot_be_read(kit, dataset):
    kit.run("dataset", "check", "nothing").says(2, "does not exist")
    kit.run("dataset", "check", dataset, "--only", "RK999").says(2, "RK999 does not exist", "RK101")
    kit.run("dataset", "check", dataset, "--instruction", "Look.").says(2, "give --fix too")
    (kit.folder / "notes.html").write_text("mine")
    kit.run("dataset", "check", dataset, "--html", "notes.html").says(4, "notes.html")
    change_info(dataset, codebase_version="v2.1")
    kit.run("dataset", "check", dataset).says(4, "format v2.1", "dataset convert")


def test_the_page_shows_each_finding_with_its_picture(dataset, tmp_path):
    for name in ("gap", "tremor", "limp", "limited"):
        FINDINGS[name][0](dataset)
    check_dataset(dataset, html=tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    for number, picture in (("RK112", "measured rate"), ("RK121", "jerk"), ("RK125", "correlation")):
        assert 0 < page.index(f"<h2>{number}") < page.index(picture, page.index(f"<h2>{number}"))
    assert page.count("data:image/png") == 7
    check_dataset(dataset, html=tmp_path / "check.html")  # over its own page


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("frame-count", "Nothing of this keeps a training from starting."),
        ("lost-task", "Training refuses this dataset."),
        ("no-statistics", "Training from images or of LeRobot"),
    ],
)
def test_the_page_says_which_training_refuses_the_dataset(name, verdict, dataset, tmp_path):
    FINDINGS[name][0](dataset)
    check_dataset(dataset, only=[FINDINGS[name][1]], html=tmp_path / "check.html")
    assert verdict in (tmp_path / "check.html").read_text()


def take_of(root: Path, episode: int):
    stored = StoredDataset(root)
    keys = (CAPTURE_TIME, SEED, REQUESTED_ACTION)
    of_episode = stored.read(stored.tables[0])[episode] | stored.read(stored.tables[0], *keys)[episode]
    length = len(of_episode[ACTION])
    return [{key: np.atleast_1d(values[row]) for key, values in of_episode.items()} for row in range(length)], stored


def test_a_take_is_checked_as_its_episode_would_be(dataset):
    frames, stored = take_of(dataset, 5)
    assert check_episode(frames, stored.layout) == [] and describe_take(frames, stored.layout) == ""
    FINDINGS["gap"][0](dataset)
    frames, stored = take_of(dataset, 5)
    assert [finding.number for finding in check_episode(frames, stored.layout)] == ["RK112"]
    assert describe_take(frames, stored.layout).startswith("RK112 gaps: 1 gap; the longest is 0.34 s, after frame 30")
    frames[3][ACTION] = np.full(9, np.nan)
    assert [finding.number for finding in check_episode(frames, stored.layout)] == ["RK104"]
    assert check_episode([], stored.layout) == []
