"""DAgger: the expert answers to where the policy went, the demonstrations stay, and nothing is done twice."""

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
"""Episodes of the recorded dataset, and of a round."""


def digest(root):
    """Of all that a dataset's folder holds."""
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def corrected(recorded_dataset, tmp_path_factory):
    """A run of one iteration, its folder of iterations, and the digest of the demonstrations before."""
    out, before = tmp_path_factory.mktemp("dagger") / "run", digest(recorded_dataset)
    run = train_dagger(recorded_dataset, out, rounds=1, episodes=ADDED, settings=dict(BRIEF))
    return run, out.with_name("run.dagger"), before


def test_the_copy_grows_and_the_demonstrations_stay(corrected, recorded_dataset):
    run, rounds, before = corrected
    assert digest(recorded_dataset) == before
    assert len(load_demonstrations(rounds / "dataset").episodes) == SHOWN + ADDED
    assert open_run(rounds / "iteration-0").card.episodes == SHOWN
    assert open_run(rounds / "iteration-1").card.episodes == SHOWN + ADDED
    assert run.card.method == "dagger"
    rows = list(csv.DictReader((run.path / "dagger.csv").open()))
    assert [int(row["episodes"]) for row in rows] == [SHOWN, SHOWN + ADDED]
    assert (run.path / "dagger.png").read_bytes().startswith(b"\x89PNG")


def test_the_action_in_force_is_the_policys_and_the_answer_the_experts(corrected):
    """A demonstration carries its action out; here the next action in force is another than what was answered."""
    _, rounds, _ = corrected
    whole = load_demonstrations(rounds / "dataset")

    def parting(episode):
        rows = whole.episode == episode
        return float((whole.action[rows][:-1] - whole.last_action[rows][1:]).abs().max())

    assert max(parting(episode) for episode in range(SHOWN)) < 1e-6
    assert min(parting(episode) for episode in range(SHOWN, SHOWN + ADDED)) > 0.01


def test_the_same_command_again_drives_no_more_and_fits_no_more(corrected, recorded_dataset):
    run, rounds, _ = corrected
    made = {path: path.stat().st_mtime_ns for path in rounds.rglob("*") if path.is_file()}
    again = train_dagger(recorded_dataset, run.path, rounds=1, episodes=ADDED, settings=dict(BRIEF))
    assert made == {path: path.stat().st_mtime_ns for path in rounds.rglob("*") if path.is_file()}
    assert again.card == run.card


def test_what_was_interrupted_ends_as_if_it_had_not_been(corrected, recorded_dataset, tmp_path, monkeypatch):
    from reachy_kit.dataset.lerobot_writer import LeRobotWriter

    write, saved = LeRobotWriter.write, []

    def interrupted(self, frames):
        write(self, frames)
        saved.append(self.episodes)
        if len(saved) == 1:
            raise KeyboardInterrupt

    options = {"rounds": 1, "episodes": ADDED}
    monkeypatch.setattr(LeRobotWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_dagger(recorded_dataset, tmp_path / "run", **options, settings=dict(BRIEF))
    train_dagger(recorded_dataset, tmp_path / "run", **options, settings=dict(BRIEF))
    assert saved == [SHOWN + 1, SHOWN + 2]
    ours, theirs = (
        (rounds / "iteration-1" / "pretrained_model" / "model.safetensors").read_bytes()
        for rounds in (tmp_path / "run.dagger", corrected[1])
    )
    assert ours == theirs


def test_iterations_of_something_else_are_not_resumed(corrected, recorded_dataset):
    run, _, _ = corrected
    with pytest.raises(RefusedError, match=r"another episodes, hidden\. .*--fresh"):
        train_dagger(recorded_dataset, run.path, rounds=1, episodes=3, settings={**BRIEF, "hidden": 8})


class Expert:
    """Always wants the same, from however far away."""

    def __init__(self, wanted):
        self.wanted = wanted

    def reset(self):
        """Nothing to forget."""

    def act(self, observation):
        return self.wanted


class Kept:
    """A recorder in memory."""

    def __init__(self):
        self.steps = []

    def on_episode_start(self, seed):
        """Nothing to open."""

    def on_step(self, step):
        self.steps.append(step)

    def on_episode_end(self, episode):
        """Nothing to close."""


def test_an_answer_asks_for_no_more_than_the_robot_would_be_let():
    far, kept = NEUTRAL.copy(), Kept()
    far[5] = 1.0
    corrections = ExpertRelabeler(kept, lambda seed: Expert(far), 25, 50)
    corrections.on_episode_start(0)
    observation = Observation(NEUTRAL, 0.0, last_action=NEUTRAL)
    corrections.on_step(Step(0, observation, NEUTRAL, None, observation))
    answer = kept.steps[0].action
    assert 0 < answer[5] < 0.1
    assert np.array_equal(np.delete(answer, 5), np.delete(NEUTRAL, 5))


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
    [({"image_shape": [9, 16, 3]}, "Record without --camera"), ({"provenance": {}}, "does not say in which variant")],
)
def test_a_dataset_that_cannot_be_driven_is_refused_with_the_reason(recorded_dataset, tmp_path, changes, words):
    dataset = altered(recorded_dataset, tmp_path / "data", **changes)
    with pytest.raises(WrongUseError, match=words):
        train_dagger(dataset, tmp_path / "run", rounds=1, episodes=1, settings={})
    assert not (tmp_path / "run.dagger").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_holds_no_rounds_is_left_alone(recorded_dataset, tmp_path, fresh):
    diary = tmp_path / "run.dagger" / "diary.txt"
    diary.parent.mkdir()
    diary.write_text("mine")
    with pytest.raises(RefusedError, match="other than rounds of --dagger"):
        train_dagger(recorded_dataset, tmp_path / "run", rounds=1, episodes=1, fresh=fresh, settings={})
    assert diary.read_text() == "mine"


def test_a_copy_that_was_cut_short_is_made_again(recorded_dataset, corrected, tmp_path):
    half = tmp_path / "run.dagger" / "dataset.copying" / "dataset" / "meta"
    half.mkdir(parents=True)
    (half / "info.json").write_text("{")
    run = train_dagger(recorded_dataset, tmp_path / "run", rounds=1, episodes=ADDED, settings=dict(BRIEF))
    assert run.card.result == corrected[0].card.result
    assert sorted(path.name for path in (tmp_path / "run.dagger").iterdir()) == [
        "dagger.json",
        "dataset",
        "iteration-0",
        "iteration-1",
    ]


def test_the_card_tells_of_the_dataset_that_the_kept_round_was_fitted_to(corrected):
    run, rounds, _ = corrected
    kept = open_run(rounds / f"iteration-{run.card.result['dagger_iteration']}").card
    assert (run.card.episodes, run.card.dataset_sha256) == (kept.episodes, kept.dataset_sha256)
