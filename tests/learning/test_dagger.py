"""DAgger: the expert corrects the policy, the demonstrations stay, and nothing is done twice."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, Observation, Step
from reachy_kit.workflows.training.dagger_training import train_dagger
from reachy_policies.data.demonstrations import load_demonstrations
from reachy_policies.imitation.dagger import DaggerIteration, ExpertRelabeler, best_of
from reachy_policies.runs.saved_run import open_run

BRIEF = {"max_steps": 40, "eval_every": 20, "hidden": 16}
SHOWN, ADDED = 8, 2
"""Episodes of the recorded dataset, and of an iteration."""


def digest(root):
    """SHA-256 over all files of a dataset."""
    contents = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            contents.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return contents.hexdigest()


@pytest.fixture(scope="module")
def corrected(recorded_dataset, tmp_path_factory):
    """A run of one iteration, the folder of its iterations, and the digest of the demonstrations before."""
    out, before = tmp_path_factory.mktemp("dagger") / "run", digest(recorded_dataset)
    run = train_dagger(recorded_dataset, out, iterations=1, episodes=ADDED, settings=dict(BRIEF))
    return run, out.with_name("run.dagger"), before


def test_the_copy_grows_and_the_demonstrations_stay(corrected, recorded_dataset):
    run, folder, before = corrected
    assert digest(recorded_dataset) == before
    assert len(load_demonstrations(folder / "dataset").episodes) == SHOWN + ADDED
    assert open_run(folder / "iteration-0").card.episodes == SHOWN
    assert open_run(folder / "iteration-1").card.episodes == SHOWN + ADDED
    assert run.card.method == "dagger"
    rows = list(csv.DictReader((run.path / "dagger.csv").open()))
    assert [int(row["episodes"]) for row in rows] == [SHOWN, SHOWN + ADDED]
    assert (run.path / "dagger.png").read_bytes().startswith(b"\x89PNG")


def test_the_action_in_force_is_the_policys_and_the_recorded_action_the_experts(corrected):
    """In a demonstration the next action in force is the recorded one; in a corrected episode it is the policy's."""
    _, folder, _ = corrected
    whole = load_demonstrations(folder / "dataset")

    def largest_difference(episode):
        rows = whole.episode == episode
        return float((whole.action[rows][:-1] - whole.last_action[rows][1:]).abs().max())

    assert max(largest_difference(episode) for episode in range(SHOWN)) < 1e-6
    assert min(largest_difference(episode) for episode in range(SHOWN, SHOWN + ADDED)) > 0.01


def test_the_same_command_again_drives_no_more_and_fits_no_more(corrected, recorded_dataset):
    run, folder, _ = corrected
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = train_dagger(recorded_dataset, run.path, iterations=1, episodes=ADDED, settings=dict(BRIEF))
    assert files == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert again.card == run.card


def test_an_interrupted_training_ends_with_the_same_weights(corrected, recorded_dataset, tmp_path, monkeypatch):
    from reachy_kit.dataset.lerobot_writer import LeRobotWriter

    write, saved = LeRobotWriter.write, []

    def interrupted(self, *episode):
        write(self, *episode)
        saved.append(self.episodes)
        if len(saved) == 1:
            raise KeyboardInterrupt

    options = {"iterations": 1, "episodes": ADDED}
    monkeypatch.setattr(LeRobotWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_dagger(recorded_dataset, tmp_path / "run", **options, settings=dict(BRIEF))
    train_dagger(recorded_dataset, tmp_path / "run", **options, settings=dict(BRIEF))
    assert saved == [SHOWN + 1, SHOWN + 2]
    ours, theirs = (
        (folder / "iteration-1" / "pretrained_model" / "model.safetensors").read_bytes()
        for folder in (tmp_path / "run.dagger", corrected[1])
    )
    assert ours == theirs


def test_iterations_of_another_training_are_not_resumed(corrected, recorded_dataset):
    run, _, _ = corrected
    with pytest.raises(RefusedError, match=r"another episodes, hidden\. .*--fresh"):
        train_dagger(recorded_dataset, run.path, iterations=1, episodes=3, settings={**BRIEF, "hidden": 8})


class ConstantExpert:
    """An expert that always returns the same action."""

    def __init__(self, wanted):
        self.wanted = wanted

    def reset(self):
        """Do nothing."""

    def act(self, observation):
        return self.wanted


class MemoryRecorder:
    """A recorder in memory."""

    def __init__(self):
        self.steps = []

    def on_episode_start(self, seed):
        """Do nothing."""

    def on_step(self, step):
        self.steps.append(step)

    def on_episode_end(self, episode):
        """Do nothing."""


def test_a_correction_is_limited_as_on_the_robot():
    far, recorder = NEUTRAL.copy(), MemoryRecorder()
    far[5] = 1.0
    corrections = ExpertRelabeler(recorder, lambda seed: ConstantExpert(far), 25, 50)
    corrections.on_episode_start(0)
    observation = Observation(NEUTRAL, 0.0, last_action=NEUTRAL)
    corrections.on_step(Step(0, observation, NEUTRAL, None, observation, NEUTRAL))
    correction = recorder.steps[0].action
    assert 0 < correction[5] < 0.1
    assert np.array_equal(np.delete(correction, 5), np.delete(NEUTRAL, 5))


def test_the_best_iteration_is_kept_not_the_last():
    rows = (0, 5, 0.5, 4.0, 1.0), (1, 7, 0.9, 3.0, 1.0), (2, 9, 0.9, 3.5, 1.0)
    iterations = [DaggerIteration(*row) for row in rows]
    assert best_of(iterations).iteration == 1


def altered(dataset, folder, **changes):
    """A copy of a dataset whose layout says something else."""
    shutil.copytree(dataset, folder)
    layout = folder / "meta" / "reachy_kit.json"
    layout.write_text(json.dumps(json.loads(layout.read_text()) | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [(None, "Record without --camera"), ({"provenance": {}}, "does not say in which variant")],
)
def test_a_dataset_that_cannot_be_corrected_is_refused_with_the_reason(
    recorded_dataset, image_dataset, tmp_path, changes, words
):
    dataset = image_dataset if changes is None else altered(recorded_dataset, tmp_path / "data", **changes)
    with pytest.raises(WrongUseError, match=words):
        train_dagger(dataset, tmp_path / "run", iterations=1, episodes=1, settings={})
    assert not (tmp_path / "run.dagger").exists()


def test_a_damaged_dataset_is_named_before_anything_is_copied(recorded_dataset, tmp_path):
    dataset = shutil.copytree(recorded_dataset, tmp_path / "data")
    (dataset / "meta/info.json").unlink()
    with pytest.raises(RefusedError, match=r"meta/info\.json is missing\. Copy the file again"):
        train_dagger(dataset, tmp_path / "run", iterations=1, episodes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_something_else_is_left_alone(recorded_dataset, tmp_path, fresh):
    diary = tmp_path / "run.dagger" / "diary.txt"
    diary.parent.mkdir()
    diary.write_text("mine")
    with pytest.raises(RefusedError, match="other than iterations of --dagger"):
        train_dagger(recorded_dataset, tmp_path / "run", iterations=1, episodes=1, fresh=fresh, settings={})
    assert diary.read_text() == "mine"


def test_a_copy_that_was_cut_short_is_made_again(recorded_dataset, corrected, tmp_path):
    half = tmp_path / "run.dagger" / "dataset.copying" / "dataset" / "meta"
    half.mkdir(parents=True)
    (half / "info.json").write_text("{")
    run = train_dagger(recorded_dataset, tmp_path / "run", iterations=1, episodes=ADDED, settings=dict(BRIEF))
    assert run.card.result == corrected[0].card.result
    assert sorted(path.name for path in (tmp_path / "run.dagger").iterdir()) == [
        "dagger.json",
        "dataset",
        "iteration-0",
        "iteration-1",
    ]


def test_the_card_describes_the_dataset_of_the_kept_iteration(corrected):
    run, folder, _ = corrected
    kept = open_run(folder / f"iteration-{run.card.result['dagger_iteration']}").card
    assert (run.card.episodes, run.card.dataset_sha256) == (kept.episodes, kept.dataset_sha256)
