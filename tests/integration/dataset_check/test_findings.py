"""`dataset check`: each finding in a dataset that has it, none in a sound one; what training does with them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.dataset.checks.finding import all_checks
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.recording.layout import LAYOUT_FILE
from reachy_kit.runtime.recording.schema import IMAGE_TIME
from reachy_kit.workflows.datasets.dataset_check import check_dataset
from reachy_kit.workflows.training.train_imitation import train_imitation

from .damage import FINDINGS, WARNING, alter, in_episode


def test_a_recording_has_no_finding(dataset):
    assert check_dataset(dataset).findings == ()


@pytest.mark.parametrize("name", FINDINGS)
def test_each_finding_names_what_is_wrong_and_where(name, dataset):
    damage, number, severity, episodes, words = FINDINGS[name]
    damage(dataset)
    found = {finding.number: finding for finding in check_dataset(dataset).findings}
    assert number in found, found
    assert (found[number].severity, found[number].remedy != "") == (severity, True)
    assert words in found[number].message
    if episodes is not None:
        assert found[number].episodes == episodes


def test_every_check_has_a_dataset_that_it_finds_something_in():
    elsewhere = {"RK102", "RK115"}  # they need images
    assert {check.number for check in all_checks()} == {number for _, number, *_ in FINDINGS.values()} | elsewhere


def test_an_error_of_an_episode_does_not_hide_behind_what_follows_from_it(dataset):
    FINDINGS["degrees"][0](dataset)
    found = {finding.number for finding in check_dataset(dataset).findings}
    assert found <= {"RK105", "RK107"}


def test_equal_seeds_of_a_real_robot_are_not_a_finding(dataset):
    FINDINGS["equal-seeds"][0](dataset)
    layout = json.loads((dataset / LAYOUT_FILE).read_text())
    layout["provenance"] |= {"robot": "daemon", "success": "operator"}
    (dataset / LAYOUT_FILE).write_text(json.dumps(layout))
    assert check_dataset(dataset, only=["RK132"]).findings == ()


def test_equal_seeds_are_not_dropped(dataset):
    FINDINGS["equal-seeds"][0](dataset)
    assert [finding.command for finding in check_dataset(dataset, only=["RK132"]).findings] == [""]


@pytest.fixture
def films(image_dataset, tmp_path):
    return shutil.copytree(image_dataset, tmp_path / "films")


def test_a_camera_that_freezes_is_found(films):
    alter(IMAGE_TIME, in_episode(1, lambda values: np.minimum(values, 0.5)))(films)
    (finding,) = check_dataset(films, only=["RK115"]).findings
    assert (finding.severity, finding.episodes) == (WARNING, (1,))


def test_a_recording_with_images_has_no_finding(films):
    assert check_dataset(films).findings == ()


@pytest.mark.parametrize("name", ["disorder", "lost-task", "swapped", "much-too-slow", "not-a-number"])
def test_training_refuses_what_spoils_it(name, dataset, tmp_path):
    FINDINGS[name][0](dataset)
    with pytest.raises(RefusedError, match=FINDINGS[name][4]):
        train_imitation(dataset, tmp_path / "run", settings={"max_steps": 5, "eval_every": 5})


def test_training_takes_what_is_only_a_warning(dataset, tmp_path):
    for name in ("frame-count", "gap", "glitch", "limp"):
        FINDINGS[name][0](dataset)
    assert not check_dataset(dataset, only=["RK103", "RK112", "RK122", "RK125"]).spoilt
    train_imitation(dataset, tmp_path / "run", settings={"max_steps": 5, "eval_every": 5})


def test_a_number_that_two_checks_take_is_refused():
    from reachy_kit.dataset.checks.finding import Aspect, register_check

    all_checks()
    with pytest.raises(ValueError, match="RK101"):
        register_check("RK101", "again", Aspect.VALUES)(lambda episodes: ())


def test_only_knows_the_numbers_that_there_are(dataset):
    with pytest.raises(WrongUseError, match="RK1"):
        check_dataset(dataset, only=["RK1"])


def test_the_page_of_findings_lists_each_of_them():
    page = (Path(__file__).parents[3] / "reachy_kit/dataset/README.md").read_text()
    rows = re.findall(r"^\| (RK\d+) \| ([^|]+) \| (error|warning|note) \|", page, re.MULTILINE)
    checks = sorted(all_checks(), key=lambda check: check.number)
    assert [(number, title) for number, title, _ in rows] == [(check.number, check.title) for check in checks]
    assert {number for number, _, most in rows if most == "error"} >= {
        check.number for check in checks if check.refuses
    }
