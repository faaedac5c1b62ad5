"""LeRobot's own tools on our datasets, and its recorder's: what they leave goes through check, train and record on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.layout import LAYOUT_FILE, read_layout
from reachy_kit.workflows.datasets.dataset_check import check_dataset
from reachy_kit.workflows.inputs.session import open_session
from reachy_kit.workflows.record import record_episodes
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_sim.tasks import variant_by_name

BRIEF = {"max_steps": 2, "eval_every": 2}
HERE = Path(__file__).parent
WORDS = "look at me"


def delete(source, out):
    from lerobot.datasets import delete_episodes

    delete_episodes(source, [0, 2], output_dir=out, repo_id="local/edited")


def split(source, out):
    from lerobot.datasets import split_dataset

    split_dataset(source, {out.name: [1, 4, 6]}, output_dir=out.parent)


def merge(source, out):
    from lerobot.datasets import merge_datasets

    merge_datasets([source, source], "local/edited", output_dir=out)


def in_a_copy(edit):
    """An edit of LeRobot's that changes a dataset where it is."""

    def work(source, out):
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        shutil.copytree(source.root, out)
        edit(LeRobotDataset("local/edited", root=out))

    return work


def modify_tasks(**given):
    def edit(dataset):
        from lerobot.datasets import modify_tasks as modify

        modify(dataset, **given)

    return in_a_copy(edit)


@in_a_copy
def recompute(dataset):
    from lerobot.datasets import recompute_stats

    recompute_stats(dataset)


EDITS = {
    "delete_episodes": (delete, 6),
    "split": (split, 3),
    "merge": (merge, 16),
    "new_task": (modify_tasks(new_task=WORDS), 8),
    "episode_tasks": (modify_tasks(episode_tasks={1: WORDS}), 8),
    "recompute_stats": (recompute, 8),
}
"""Name → LeRobot's edit, and the number of episodes after it."""


@pytest.fixture(scope="module")
def original(recorded_dataset):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset("local/original", root=recorded_dataset)


def goes_on(root, episodes, tmp_path, settings=BRIEF, *, camera=False, hz=25):
    """A dataset is checked, trained on and recorded into: one episode more."""
    report = check_dataset(root)
    assert not report.spoilt, [finding.message for finding in report.findings]
    run = train_imitation(root, tmp_path / "run", settings=settings)
    assert (run.card.task, run.card.episodes) == ("look_at", episodes)
    look_at = variant_by_name("look_at")
    with open_session("sim", look_at, camera=camera) as session:
        total = record_episodes(session, look_at, root, episodes=episodes + 1, hz=hz, seed=0, camera=camera)
    assert total == episodes + 1 == len(open_for_reading(root).episodes)
    assert read_layout(root).task == "look_at", "the layout's file is there again"
    return run


@pytest.mark.parametrize("name", EDITS)
def test_a_dataset_goes_on_after_an_edit_of_lerobots(name, original, tmp_path):
    edit, episodes = EDITS[name]
    root = tmp_path / name
    edit(original, root)
    run = goes_on(root, episodes, tmp_path)
    seeds = open_for_reading(root).column("kit.seed")
    assert seeds[-1] > max(seeds[:-100]), "the seed of a new episode was in no other"
    if name == "new_task":
        assert run.card.instruction == WORDS


def test_what_lost_a_column_is_trained_on_but_not_recorded_into(original, tmp_path):
    from lerobot.datasets import remove_feature

    root = tmp_path / "removed"
    remove_feature(original, ["observation.last_action", "kit.seed"], output_dir=root, repo_id="local/edited")
    with pytest.raises(RefusedError, match=r"differ in kit\.seed, observation\.last_action"):
        goes_on(root, 8, tmp_path)
    assert not (root / LAYOUT_FILE).exists()


def in_a_process(command, folder, *arguments):
    """A command of LeRobot's, in a process of its own."""
    environment = os.environ | {"HOME": str(folder), "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    program = Path(sys.executable).with_name(command)
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_commands_of_lerobot_edit_dataset(image_dataset, tmp_path):
    root = shutil.copytree(image_dataset, tmp_path / "data")
    edits = {
        "modify_tasks": ["--operation.new_task", WORDS],
        "reencode_videos": ["--operation.rgb_encoder.vcodec", "h264", "--operation.overwrite", "true"],
        "info": ["--operation.show_features", "true"],
    }
    for name, arguments in edits.items():
        new = ["--new_repo_id", "local/data", "--new_root", str(root)] if name == "reencode_videos" else []
        given = ["--repo_id", "local/data", "--root", str(root), "--operation.type", name, *new, *arguments]
        in_a_process("lerobot-edit-dataset", tmp_path, *given)
    run = goes_on(root, 2, tmp_path, settings={**BRIEF, "obs_type": "pixels", "batch_size": 8}, camera=True, hz=10)
    assert run.card.instruction == WORDS


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_dataset_of_lerobot_record(kit):
    in_a_process(
        "lerobot-record",
        kit.folder,
        "--robot.discover_packages_path=lerobot_test_robot",
        "--robot.type=reachy_mini_test",
        "--teleop.type=reachy_mini_test_teleop",
        "--dataset.repo_id=local/recorded",
        f"--dataset.root={kit.folder / 'recorded'}",
        "--dataset.num_episodes=2",
        "--dataset.episode_time_s=1",
        "--dataset.reset_time_s=0",
        f"--dataset.single_task={WORDS}",
        "--dataset.push_to_hub=false",
        "--dataset.fps=30",
        "--display_data=false",
        "--play_sounds=false",
    )
    shown = kit.run("dataset", "show", "recorded", "--json").json
    assert (len(shown["episodes"]), shown["fps"], list(shown["instructions"])) == (2, 30, [WORDS])
    checked = kit.run("dataset", "check", "recorded", "--json")
    assert checked.code in (0, 1) and json.loads(checked.out)["episodes"] == 2
    kit.run("train", "imitation", "--dataset", "recorded", "--out", "run").says(2, "--task: look_at")
    brief = ("--task", "look_at", "--set", "max_steps=2", "--set", "eval_every=2")
    trained = kit.run("train", "imitation", "--dataset", "recorded", "--out", "run", *brief)
    assert trained.code == 0, trained
    assert json.loads((kit.folder / "run/card.json").read_text())["policy_hz"] == 25
    converted = kit.run("dataset", "convert", "recorded", "--task", "look_at", "--out", "converted", "--json")
    assert (converted.code, converted.json["episodes"]) == (0, 2)
    kit.run("record", "--out", "recorded", "--episodes", 3).says(4, "recorded holds")
