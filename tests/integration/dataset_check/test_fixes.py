"""`dataset check --fix`: what can be mended without loss is, whole or not at all; commands of findings."""

import json
import shlex

import numpy as np
import pytest

from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE
from reachy_kit.workflows.datasets.dataset_check import check_dataset
from reachy_kit.workflows.datasets.trimming import trim_episodes

from ..saved_episodes import files, killed_at, lerobot_dataset
from .damage import FINDINGS, INFO, STATS, YAW, alter, change_info, change_stats, change_words, in_episode

MENDED = ("frame-count", "no-statistics", "cut-statistics", "stale-statistics", "nan-statistics")


@pytest.mark.parametrize("name", MENDED)
def test_what_can_be_mended_without_loss_is_mended_once(name, dataset):
    sound = files(dataset)
    FINDINGS[name][0](dataset)
    report = check_dataset(dataset, fix=True)
    assert (report.findings, [finding.number for finding in report.fixed]) == ((), [FINDINGS[name][1]])
    mended = files(dataset)
    assert mended.keys() == sound.keys()
    assert all(json.loads(mended[name]) == json.loads(sound[name]) for name in (INFO, STATS))
    assert check_dataset(dataset, fix=True).fixed == ()
    assert files(dataset) == mended


def test_what_has_no_words_gets_them(kit, dataset):
    change_words(dataset, "todo")
    told = kit.run("dataset", "check", dataset)
    assert "--fix --instruction TEXT" in told.out
    check_dataset(dataset, fix=True)
    assert [finding.number for finding in check_dataset(dataset).findings] == ["RK106"], "words are not invented"
    report = check_dataset(dataset, fix=True, instruction="Look at me.")
    assert (report.findings, [finding.number for finding in report.fixed]) == ((), ["RK106", "RK107"])
    read = lerobot_dataset(dataset)
    assert {read[row]["task"] for row in (0, 300, 703)} == {"Look at me."}
    assert StoredDataset(dataset).layout.instruction == "Look at me."
    mended = files(dataset)
    check_dataset(dataset, fix=True, instruction="Look at me.")
    assert files(dataset) == mended


def test_the_command_that_mends_is_pasted(kit, dataset):
    change_info(dataset, total_frames=7)
    command = check_dataset(dataset).findings[0].command
    assert kit.run(*shlex.split(command)[1:]).code == 0
    assert check_dataset(dataset).findings == ()


def test_the_command_that_trims_is_pasted(dataset):
    FINDINGS["rest"][0](dataset)
    (finding,) = check_dataset(dataset, only=["RK116"]).findings
    assert shlex.split(finding.command)[1:] == ["dataset", "trim", str(dataset), "--episodes", "3"]


def test_a_rest_in_which_the_target_is_hidden_is_neither_found_nor_trimmed(dataset):
    FINDINGS["rest"][0](dataset)
    alter(OBS_ENV_STATE, in_episode(3, lambda values: np.where(
        (np.arange(len(values))[:, None] < 60) & (np.arange(5) == 3), 0, values)))(dataset)  # fmt: skip
    assert check_dataset(dataset, only=["RK116"]).findings == ()
    assert 3 not in trim_episodes(dataset).changed


def test_lerobot_reads_the_statistics_that_were_mended(dataset):
    (dataset / STATS).unlink()
    check_dataset(dataset, fix=True)
    assert lerobot_dataset(dataset).meta.stats[ACTION]["mean"] == pytest.approx(
        StoredDataset(dataset).column(ACTION).mean(axis=0), abs=1e-6
    )


def test_quantiles_are_those_of_all_frames(dataset):
    stats = json.loads((dataset / STATS).read_text())
    yaw = StoredDataset(dataset).column(ACTION)[:, YAW]
    assert stats[ACTION]["q99"][YAW] == pytest.approx(np.quantile(yaw, 0.99))


def test_a_fix_that_is_killed_anywhere_is_whole_or_absent(dataset, recorded_dataset):
    change_stats(dataset, ACTION, mean=[1.0] * 9)
    stale = files(dataset)
    for number in (0, 3, 5, 50):
        if not killed_at(number, lambda: check_dataset(dataset, fix=True)):
            break
        now = (dataset / STATS).read_bytes()
        assert now in (stale[STATS], (recorded_dataset / STATS).read_bytes())
    assert number == 50
    assert check_dataset(dataset, fix=True).findings == ()
    assert set(files(dataset)) == set(stale)


def test_a_fix_is_not_made_while_another_program_records(kit, until, dataset):
    change_info(dataset, total_frames=7)
    recording = kit.start("record", "--episodes", 40, "--out", kit.folder / "data")
    until((kit.folder / "data/meta/info.json").exists)
    kit.run("dataset", "check", "data", "--fix").says(4, "recorded into by process")
    recording.send(2)
    recording.wait()
