"""Anybody's LeRobot v3 dataset of this robot: columns by name, words of LeRobot, several at once."""

import json
import shutil

import numpy as np
import pytest
import torch

from reachy_kit.dataset.dataset_layout import read_dataset_layout
from reachy_kit.dataset.reading import open_for_training
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.recording.layout import LAYOUT_FILE
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_policies.data.demonstrations import load_demonstrations, load_images
from reachy_policies.runs.saved_run import dataset_digest

WORDS, HEIGHT, WIDTH = "look at me", 36, 64
BRIEF = {"max_steps": 4, "eval_every": 4}
TINY = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "chunk_size": 4, "n_action_steps": 4, "batch_size": 4}


@pytest.fixture(scope="module")
def foreign(recorded_dataset, make_once, write_foreign):
    """Three episodes as ``lerobot-record`` writes them: 9 + K + 9 numbers, the nine in another order."""
    return make_once("foreign/plain", lambda path: write_foreign(path, recorded_dataset, words=(WORDS, "look away")))


@pytest.fixture(scope="module")
def filmed(recorded_dataset, make_once, write_foreign):
    """Two episodes at 30 Hz with one camera, ``front``, an extra column and an extra number."""

    def write(path):
        write_foreign(path, recorded_dataset, fps=30, camera="front", episodes=2, extra=True, words=(WORDS,))

    return make_once("foreign/filmed", write)


@pytest.fixture
def copy(tmp_path):
    return lambda root: shutil.copytree(root, tmp_path / "copy")


def change_info(root, change):
    file = root / "meta/info.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))


def test_columns_in_another_order_are_read_by_their_names(foreign, recorded_dataset):
    read, recorded = StoredDataset(foreign), StoredDataset(recorded_dataset)
    for entry in read.episodes:
        for key in (OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION, ACTION):
            wanted = recorded.read(recorded.episodes[entry.index].table)[entry.index][key]
            np.testing.assert_array_equal(read.read(entry.table)[entry.index][key], wanted)
    assert read.layout.action == ACTION_NAMES
    assert read.layout.environment_state == TARGET_FEATURES
    assert read.layout.environment_state_units == StoredDataset(recorded_dataset).layout.environment_state_units
    assert [entry.instruction for entry in read.episodes] == [WORDS, "look away", WORDS]


def test_without_a_last_action_it_is_the_action_before(recorded_dataset, write_foreign, tmp_path):
    root = write_foreign(tmp_path / "data", recorded_dataset, last=False, episodes=2)
    read, recorded = StoredDataset(root), StoredDataset(recorded_dataset)
    for entry in read.episodes:
        columns = read.read(entry.table)[entry.index]
        wanted = recorded.read(recorded.episodes[entry.index].table)[entry.index]
        np.testing.assert_array_equal(columns[OBS_LAST_ACTION][1:], wanted[OBS_LAST_ACTION][1:])
        np.testing.assert_array_equal(columns[OBS_LAST_ACTION][0], columns[OBS_STATE][0])


def test_a_task_that_nothing_tells_is_asked_for(foreign):
    with pytest.raises(WrongUseError, match=f"'{WORDS}'.*--task: look_at, track, or FILE"):
        load_demonstrations(foreign)
    demonstrations = load_demonstrations(foreign, task="look_at")
    assert demonstrations.layout.task == "look_at"
    assert demonstrations.instructions == (WORDS, "look away", WORDS)


def test_the_words_of_a_task_of_this_kit_tell_it(copy, recorded_dataset):
    root = copy(recorded_dataset)
    (root / LAYOUT_FILE).unlink()
    restored, original = read_dataset_layout(root), read_dataset_layout(recorded_dataset)
    assert restored == original


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("shoulder_pan.pos", "gripper.pos"), r"action lacks head_x\.pos.*; it has shoulder_pan\.pos, gripper\.pos"),
        (ACTION_NAMES[:7], r"action lacks right_antenna\.pos, left_antenna\.pos of a Reachy Mini"),
        (None, "action does not name its numbers"),
    ],
)
def test_another_robot_is_refused_with_the_difference(names, words, copy, foreign):
    root = copy(foreign)
    change_info(root, lambda info: info["features"][ACTION].update(names=names and list(names)))
    with pytest.raises(RefusedError, match=words):
        open_for_training(root)


def test_features_that_the_task_needs_are_named(recorded_dataset, write_foreign, tmp_path):
    root = write_foreign(tmp_path / "data", recorded_dataset, features=False, episodes=2)
    with pytest.raises(RefusedError, match=r"lacks target_right, .*, which look_at needs. .*reachy-kit record"):
        train_imitation(root, tmp_path / "run", task="look_at", settings=BRIEF)


def test_another_rate_is_resampled_to_one_at_which_policies_act(filmed):
    recorded, read = StoredDataset(filmed), load_demonstrations(filmed, task="look_at")
    assert (recorded.layout.policy_hz, read.layout.policy_hz) == (30, 25)
    for entry in recorded.episodes:
        columns, rows = recorded.read(entry.table)[entry.index], read.episode == entry.index
        count = int(rows.sum())
        assert count == int((entry.length - 1) * 25 / 30) + 1
        times, stamps = np.arange(count) / 25, np.arange(entry.length) / 30
        wanted = np.stack([np.interp(times, stamps, number) for number in columns[ACTION].T], axis=1)
        np.testing.assert_allclose(read.action[rows], wanted, atol=1e-5)
        assert torch.equal(read.last_action[rows][1:], read.action[rows][:-1])
        assert set(read.environment_state[rows][:, TARGET_FEATURES.index("target_visible")].tolist()) <= {0.0, 1.0}


def test_images_follow_the_resampled_frames(filmed):
    read = load_images(load_demonstrations(filmed, task="look_at"), (HEIGHT, WIDTH))
    bright = (read.images.float().mean(dim=(1, 2)) > 127).sum(-1)
    expected = torch.cat([read.steps_of(episode) for episode in read.episodes]) % WIDTH
    assert ((bright - expected).abs() <= 2).all()


def test_several_datasets_are_put_one_after_the_other(foreign, recorded_dataset):
    first, second = load_demonstrations(recorded_dataset), load_demonstrations(foreign, task="look_at")
    both = load_demonstrations(recorded_dataset, foreign, task="look_at")
    assert both.episodes == list(range(len(first.episodes) + len(second.episodes)))
    for name in ("state", "environment_state", "last_action", "action"):
        assert torch.equal(getattr(both, name), torch.cat([getattr(first, name), getattr(second, name)]))


def test_datasets_that_differ_are_refused_with_the_difference(foreign, image_dataset):
    with pytest.raises(RefusedError, match=r"holds policy_hz 10, the first dataset has 25"):
        load_demonstrations(foreign, image_dataset, task="look_at")


@pytest.mark.parametrize(
    ("policy", "settings"),
    [("chunk", {"obs_type": "pixels", "batch_size": 8}), ("act", {**TINY, "obs_type": "pixels_state"})],
)
def test_a_policy_learns_from_a_foreign_dataset(policy, settings, filmed, tmp_path):
    run = train_imitation(filmed, tmp_path / "run", policy=policy, task="look_at", settings={**BRIEF, **settings})
    assert (run.card.task, run.card.policy_hz, run.card.instruction) == ("look_at", 25, WORDS)


@pytest.mark.parametrize(("policy", "settings"), [("chunk", {}), pytest.param("act", TINY, marks=pytest.mark.long)])
def test_a_policy_learns_from_two_datasets_and_names_both(policy, settings, foreign, recorded_dataset, tmp_path):
    roots = recorded_dataset, foreign
    run = train_imitation(roots, tmp_path / "run", policy=policy, task="look_at", settings={**BRIEF, **settings})
    assert run.card.dataset == f"{recorded_dataset.name}, {foreign.name}"
    assert run.card.dataset_sha256 == ", ".join(map(dataset_digest, roots))
    assert run.card.episodes == 11


def test_normalisation_of_two_datasets_is_of_both(foreign, recorded_dataset):
    from reachy_policies.data.lerobot_metadata import describe_to_lerobot

    both = load_demonstrations(foreign, recorded_dataset, task="look_at")
    metadata = describe_to_lerobot(both)
    np.testing.assert_allclose(metadata.stats[ACTION]["mean"], both.action.numpy().mean(0), atol=1e-6)
    assert metadata.features[OBS_STATE]["names"] == list(ACTION_NAMES)
