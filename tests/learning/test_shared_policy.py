"""A policy for others: its card on the Hub, its folder copied alone, and nothing of the computer that trained it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.tasks import task_registry
from reachy_kit.workflows.evaluate import evaluate_policies
from reachy_kit.workflows.export import export_run
from reachy_kit.workflows.group_comparison import compare_policies
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_kit.workflows.training.train_rl import train_rl
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.runs.policy_loader import load_chunk_policy
from reachy_policies.runs.run_files import CARD, MODEL, README
from reachy_policies.runs.saved_run import open_run
from reachy_sim.dynamics.actuators import IDENTIFIED

ONE_ITERATION = {"num_envs": 4, "eval_episodes": 4, "iterations": 1, "batch_size": 16}


@pytest.fixture(scope="module")
def improved_run(trained_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("improved") / "look_at_rl"
    return train_rl(out, task="look_at", init=trained_run.path, settings=dict(ONE_ITERATION))


@pytest.fixture(scope="module")
def lerobots_run(recorded_dataset, tmp_path_factory):
    settings = {"dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1, "latent_dim": 4}
    settings |= {"n_vae_encoder_layers": 1, "max_steps": 1, "eval_every": 1, "batch_size": 2, "held_out_frames": 2}
    out = tmp_path_factory.mktemp("act") / "act"
    return train_imitation(recorded_dataset, out, policy="act", settings=settings)


@pytest.fixture(params=["trained_run", "improved_run", "lerobots_run"])
def run(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def copied_model(run, tmp_path):
    """The folder that LeRobot's users push, in another place under another name."""
    return shutil.copytree(run.path / MODEL, tmp_path / "elsewhere" / "mine")


@pytest.mark.parametrize("folder", ["", MODEL])
def test_the_card_says_what_the_hub_asks_for(run, folder, recorded_dataset):
    card = ModelCard.load(run.path / folder / README)
    data = card.data.to_dict()
    robot = LeRobotDatasetMetadata("local/look_at", root=recorded_dataset).robot_type
    assert (data["license"], data["library_name"], data["pipeline_tag"]) == ("apache-2.0", "lerobot", "robotics")
    assert {"robotics", "lerobot", robot, run.card.policy} <= set(data["tags"])
    assert data["robot_type"] == robot == "reachy_mini"
    assert data["datasets"] == [f"local/{recorded_dataset.name}"]
    assert data.get("base_model") == (["local/look_at"] if run.card.start else None)
    assert "reachy-mini" not in card.content
    for name in run.card.inputs:
        assert name in card.text


@pytest.mark.parametrize("name", ["meine Daten", "look--at", "-x", "ball.", "ü", "x" * 200, 'a"b: [c'])
def test_a_name_that_the_hub_refuses_is_left_out_of_the_metadata(trained_run, name):
    data = ModelCard(replace(trained_run.card, dataset=name, start=name).markdown()).data.to_dict()
    assert "datasets" not in data
    assert "base_model" not in data


def test_a_file_of_motors_is_named_without_its_folder_and_noticed_when_it_changes(trained_run, tmp_path):
    motors, out = tmp_path / "motors" / "actuators.json", tmp_path / "rl"
    motors.parent.mkdir()
    IDENTIFIED.save(motors)
    options = {"task": "look_at", "init": trained_run.path, "settings": {**ONE_ITERATION, "checkpoints": False}}
    run = train_rl(out, randomization=str(motors), **options)
    assert run.card.settings["randomization"] == "actuators.json"
    assert [file for file in out.rglob("*") if file.is_file() and str(tmp_path).encode() in file.read_bytes()] == []
    moved = shutil.move(motors, tmp_path / "actuators.json")
    assert train_rl(out, randomization=str(moved), **options) == run, "the same file elsewhere is the same training"
    replace(IDENTIFIED, damping=2 * IDENTIFIED.damping).save(moved)
    with pytest.raises(RefusedError, match="another randomization_sha256"):
        train_rl(out, randomization=str(moved), **options)


def test_a_card_names_a_tasks_file_without_its_folder(trained_run, monkeypatch):
    monkeypatch.setattr(task_registry, "_files", {})  # what other tests loaded, and may load, is left alone
    file = Path(__file__).parents[1] / "integration/wave_task.py"
    text = replace(trained_run.card, task=task_registry.load_task_file(file).name).markdown()
    assert "--task wave_task.py " in text
    assert str(file.parent) not in text


def test_no_folder_of_the_training_computer_is_in_a_run(run, recorded_dataset):
    folders = {str(path).encode() for path in (Path.home(), recorded_dataset.parent, run.path.parent, Path.cwd())}
    named = [
        (file.relative_to(run.path), folder)
        for file in run.path.rglob("*")
        for folder in folders
        if file.is_file() and folder in file.read_bytes()
    ]
    assert named == []


def test_the_copied_model_is_a_run_with_its_card(run, copied_model):
    opened = open_run(copied_model)
    assert opened.card == run.card
    assert (copied_model / README).read_text() == (run.path / README).read_text()
    here, there = (evaluate_policies([str(path)], episodes=1).results[0] for path in (run.path, copied_model))
    assert here.task_errors.tolist() == there.task_errors.tolist()
    compared = compare_policies([str(copied_model), "expert"], task="look_at", tier="kinematic", episodes=2)
    assert "mine" in compared.comparison.scores["training"]


def test_the_copied_model_loads_with_lerobot(trained_run, tmp_path):
    folder = shutil.copytree(trained_run.path / MODEL, tmp_path / "mine")
    theirs = ReachyChunkPolicy.from_pretrained(folder)
    for one, other in zip(theirs.parameters(), load_chunk_policy(trained_run).parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_copied_model_starts_reinforcement_learning(trained_run, improved_run, tmp_path):
    folder = shutil.copytree(trained_run.path / MODEL, tmp_path / "look_at")
    settings = {**ONE_ITERATION, "checkpoints": False}
    again = train_rl(tmp_path / "rl", task="look_at", init=folder, settings=settings)
    assert again.card.start == improved_run.card.start == "look_at"
    assert again.card.start_sha256 == improved_run.card.start_sha256


def test_the_copied_model_is_neither_exported_without_examples_nor_replaced(trained_run, recorded_dataset, tmp_path):
    folder = shutil.copytree(trained_run.path / MODEL, tmp_path / "mine")
    with pytest.raises(RefusedError, match="Give the whole run"):
        export_run(folder, tmp_path / "x.bundle")
    with pytest.raises(RefusedError, match="not a run"):
        train_imitation(recorded_dataset, folder, settings={"max_steps": 1})
    assert (folder / README).exists()


def test_a_run_that_an_earlier_version_wrote_still_loads(trained_run, tmp_path):
    """It had whole paths in its card, no inputs, and no card beside the weights."""
    old = shutil.copytree(trained_run.path, tmp_path / "old")
    (old / MODEL / CARD).unlink()
    (old / MODEL / README).unlink()
    card = json.loads((old / CARD).read_text())
    del card["inputs"]
    card |= {"dataset": "/home/somebody/data/look_at", "start": "/home/somebody/runs/before"}
    (old / CARD).write_text(json.dumps(card))
    opened = open_run(old)
    assert (opened.card.dataset, opened.card.start) == ("look_at", "before")
    assert len(evaluate_policies([str(old)], episodes=1).results[0].episodes) == 1
    export_run(old, tmp_path / "old.bundle")
    provenance = read_bundle(tmp_path / "old.bundle").manifest.provenance
    assert (provenance["dataset"], provenance["start"]) == ("look_at", "before")
