"""Reinforcement learning: which axes it changes, its run and curve, and its resumption after interruptions."""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.workflows.inputs.reporter import SilentReporter
from reachy_kit.workflows.training.train_rl import train_rl
from reachy_policies.evaluation.groups import open_group
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.ppo.ppo_learner import PPOLearner
from reachy_policies.reinforcement.reinforce import make_curriculum
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.reinforcement.reinforce_spec import ReinforceSpec
from reachy_policies.runs.checkpoint import read_checkpoint, tensors_of
from reachy_policies.runs.policy_loader import load_chunk_policy
from reachy_policies.runs.resumable import all_finite
from reachy_policies.runs.run_files import BEST, LAST, TRAINING
from reachy_policies.runs.saved_run import open_run

TINY = {
    "num_envs": 16,
    "eval_episodes": 8,
    "iterations": 4,
    "eval_every": 2,
    "warmup": 1,
    "epochs": 2,
    "batch_size": 128,
}


class Opened:
    """Environments that can only be closed."""

    closed = False

    def close(self):
        self.closed = True


STEPS = 88
"""Decisions of a look_at episode: 3.5 s at 25 Hz."""


def weights(run):
    return load_chunk_policy(open_run(run.path)).state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def evaluations(run):
    return list(csv.DictReader((run.path / "curve.csv").open()))


@pytest.fixture(scope="module")
def reinforced(trained_run, tmp_path_factory):
    """A short training without interruption."""
    out = tmp_path_factory.mktemp("rl") / "run"
    return train_rl(out, task="look_at", init=trained_run.path, settings=dict(TINY))


@given(st.integers(1, 8), st.lists(st.integers(0, 8), min_size=1, max_size=4, unique=True), st.integers(0, 2**31))
def test_a_variation_is_recovered_from_the_chunk_and_touches_only_its_axes(chunk, axes, seed):
    basis = ChunkNoiseBasis(chunk, axes, 9)
    latent = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, basis.size))).float()
    varied = basis.variation(latent)
    assert torch.allclose(basis.latent(varied), latent, atol=1e-5)
    assert varied[..., [axis for axis in range(9) if axis not in axes]].abs().max() == 0
    assert torch.allclose(basis.latent(basis.residue(varied + 1.0)), torch.zeros_like(latent), atol=1e-5)


def test_a_reinforced_run_says_where_it_comes_from_and_keeps_its_start(reinforced, trained_run):
    card = reinforced.card
    assert (card.task, card.method, card.tier, card.dataset) == (
        "look_at",
        "ppo",
        "kinematic",
        trained_run.card.dataset,
    )
    assert card.total_seconds == pytest.approx(card.seconds + trained_run.card.seconds)
    theirs, ours = (
        path.read_bytes()
        for path in (
            trained_run.path / "pretrained_model" / "model.safetensors",
            reinforced.path / "start" / "model.safetensors",
        )
    )
    assert theirs == ours
    assert "| method | ppo |" in (reinforced.path / "README.md").read_text()


def test_its_curve_has_a_row_for_every_evaluation(reinforced):
    rows = evaluations(reinforced)
    assert [int(row["iteration"]) for row in rows] == [0, 2, 4]
    assert [int(row["env_steps"]) for row in rows] == [0, 2 * 16 * STEPS, 4 * 16 * STEPS]
    assert float(rows[-1]["kl_to_start"]) >= 0
    assert float(rows[-1]["kl_from_start"]) >= 0


def test_every_evaluation_is_kept_as_a_run_that_eval_finds(reinforced, trained_run):
    group = open_group("rl", reinforced.path, "look_at", reinforced.card.environment_state)
    earlier = group.checkpoints(0)
    assert [group.name for group in earlier] == ["rl at 0", "rl at 2", "rl at 4"]
    kept = next(group.runs[0] for group in earlier if group.runs[0].card.steps == reinforced.card.steps)
    assert same(weights(kept), weights(reinforced))
    assert earlier[0].runs[0].card.result["success"] == float(evaluations(reinforced)[0]["success"])
    inputs = [getattr(trained_run.examples(), name) for name in ("state", "environment_state", "last_action")]
    with torch.inference_mode():
        start, first = (
            load_chunk_policy(run).network.plan(*inputs)[:, :5] for run in (trained_run, earlier[0].runs[0])
        )
    assert torch.allclose(start, first, atol=1e-6)


def test_a_full_disk_ends_training_with_a_message_and_keeps_the_checkpoint_before(
    reinforced, trained_run, tmp_path, monkeypatch
):
    """A limit on the size of files fails at the same call as a disk without room."""
    from reachy_policies.runs import resumable

    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    write = resumable.write_checkpoint

    def filling(path, state):
        if path.name == LAST and state["state"]["iteration"] == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        write(path, state)

    options = {"task": "look_at", "init": trained_run.path}
    monkeypatch.setattr(resumable, "write_checkpoint", filling)
    try:
        with pytest.raises(KitError, match=r"cannot be written.*make room"):
            train_rl(tmp_path / "run", **options, settings=dict(TINY))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "run" / TRAINING / LAST)["state"]["iteration"] == 2
    assert same(weights(train_rl(tmp_path / "run", **options, settings=dict(TINY))), weights(reinforced))


def test_the_same_seed_learns_the_same_and_another_one_something_else(reinforced, trained_run, tmp_path):
    again = train_rl(tmp_path / "again", task="look_at", init=trained_run.path, settings=dict(TINY))
    other = train_rl(tmp_path / "other", task="look_at", init=trained_run.path, seed=1, settings=dict(TINY))
    assert same(weights(again), weights(reinforced))
    assert not same(weights(other), weights(reinforced))


@pytest.mark.parametrize(
    "method",
    [
        "ppo",
        pytest.param("filtered-bc", marks=pytest.mark.long),
        pytest.param("scratch", marks=pytest.mark.long),
        pytest.param("bc-continue", marks=pytest.mark.long),
    ],
)
def test_an_interrupted_training_is_resumed_to_the_same_weights(
    trained_run, reinforced, tmp_path, train_interrupted, method
):
    options = {"task": "look_at", "method": method, "init": None if method == "scratch" else trained_run.path}
    whole = reinforced if method == "ppo" else train_rl(tmp_path / "whole", **options, settings=dict(TINY))
    train_interrupted(tmp_path / "run", after_iteration=3, **options, settings=dict(TINY))
    assert not (tmp_path / "run" / "card.json").exists()
    resumed = train_rl(tmp_path / "run", **options, settings=dict(TINY))
    assert same(weights(resumed), weights(whole))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


class NotesReporter(SilentReporter):
    """A reporter that keeps the notes."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_what_is_finished_is_not_done_again(reinforced, trained_run):
    before, reporter = (reinforced.path / "card.json").stat().st_mtime_ns, NotesReporter()
    train_rl(reinforced.path, task="look_at", init=trained_run.path, settings=dict(TINY), reporter=reporter)
    assert (reinforced.path / "card.json").stat().st_mtime_ns == before
    assert len(reporter.notes) == 1
    assert "already" in reporter.notes[0]


class Interrupting(SilentReporter):
    """Ends a training after its first iteration, as Ctrl-C does."""

    @contextlib.contextmanager
    def progress(self, label, total, done=0):
        def advance():
            raise KeyboardInterrupt

        yield advance


def test_fresh_keeps_the_finished_run_until_the_new_one_is_complete(reinforced, trained_run, tmp_path):
    out = shutil.copytree(reinforced.path, tmp_path / "run")
    again = {"task": "look_at", "init": trained_run.path, "seed": 1, "settings": {**TINY, "iterations": 2}}
    with pytest.raises(KeyboardInterrupt):
        train_rl(out, **again, fresh=True, reporter=Interrupting())
    assert open_run(out).card == reinforced.card
    assert (out / TRAINING / LAST).is_file()
    reporter = NotesReporter()
    train_rl(out, **again, reporter=reporter)
    assert "resuming it" in reporter.notes[0]
    assert open_run(out).card.seed == 1
    assert not (out / TRAINING).exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [({"task": "track"}, "not for track"), ({"settings": {**TINY, "chunk": 9}}, "fewer than chunk=9")],
)
def test_fresh_discards_nothing_of_a_training_that_is_refused(reinforced, trained_run, tmp_path, options, says):
    out = shutil.copytree(reinforced.path, tmp_path / "run")
    (out / TRAINING).mkdir()
    (out / TRAINING / LAST).write_bytes(b"an unfinished training")
    with pytest.raises(RefusedError, match=says):
        train_rl(out, **{"task": "look_at", "init": trained_run.path, "settings": dict(TINY), **options}, fresh=True)
    assert open_run(out).card == reinforced.card
    assert (out / TRAINING / LAST).is_file()


@pytest.mark.parametrize("inside", ["", "checkpoints/2"])
@pytest.mark.parametrize("fresh", [False, True])
def test_the_start_is_never_replaced(reinforced, tmp_path, inside, fresh):
    out = shutil.copytree(reinforced.path, tmp_path / "run")
    with pytest.raises(WrongUseError, match="holds the start"):
        train_rl(out, task="look_at", init=out / inside, fresh=fresh, settings={**TINY, "chunk": 2})
    assert open_run(out).card == reinforced.card


def test_runs_moved_aside_by_a_crash_come_back(reinforced, trained_run, tmp_path):
    shutil.copytree(reinforced.path, tmp_path / ".run.old")
    shutil.copytree(trained_run.path, tmp_path / ".start.old")
    reporter = NotesReporter()
    run = train_rl(tmp_path / "run", task="look_at", init=tmp_path / "start", settings=dict(TINY), reporter=reporter)
    assert "already" in reporter.notes[0]
    assert run.card == reinforced.card


def test_a_training_that_fails_again_and_again_names_the_cause(trained_run, tmp_path, monkeypatch):
    def fail(learner, iteration):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(PPOLearner, "train_iteration", fail)
    with pytest.raises(KitError, match="diverged in iteration 1") as caught:
        train_rl(tmp_path / "run", task="look_at", init=trained_run.path, settings=dict(TINY))
    assert "out of memory" in str(caught.value.__cause__)


def test_a_run_of_another_version_is_refused(trained_run, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy")
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, "schema": 1}))
    with pytest.raises(RefusedError, match=r"another version.*Train it again"):
        open_run(copy)


def test_a_finished_run_is_never_replaced_by_another_training(reinforced, trained_run):
    with pytest.raises(RefusedError, match="another epochs"):
        train_rl(reinforced.path, task="look_at", init=trained_run.path, settings={**TINY, "epochs": 3})


def test_a_folder_that_is_not_a_run_is_left_alone(trained_run, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(RefusedError, match="not a run"):
        train_rl(tmp_path, task="look_at", init=trained_run.path, settings=dict(TINY))
    assert (tmp_path / "thesis.txt").read_text() == "three years"


def test_a_damaged_checkpoint_is_refused_not_restarted(trained_run, tmp_path):
    folder = tmp_path / "run" / TRAINING
    folder.mkdir(parents=True)
    (folder / LAST).write_bytes(b"half a file")
    with pytest.raises(RefusedError, match="damaged"):
        train_rl(tmp_path / "run", task="look_at", init=trained_run.path, settings=dict(TINY))


def test_a_run_of_another_task_is_refused(trained_run, tmp_path):
    with pytest.raises(RefusedError, match="trained for look_at, not for track"):
        train_rl(tmp_path / "run", task="track", init=trained_run.path, settings=dict(TINY))


def test_other_features_are_refused(trained_run, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy")
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, "environment_state": ["smell"]}))
    with pytest.raises(RefusedError, match="trained on smell"):
        train_rl(tmp_path / "run", task="look_at", init=copy, settings=dict(TINY))


@pytest.mark.parametrize(
    ("options", "settings", "says"),
    [
        ({"init": None}, {}, "give its run with --init"),
        ({"method": "scratch"}, {}, "leave out --init"),
        ({"method": "prayer"}, {}, "there are ppo"),
        ({}, {"chunk": 0}, "chunk must be at least 1"),
        ({}, {"chunk": 9}, "plans 8 decisions, fewer than chunk=9"),
        ({}, {"explore": "nose"}, "nose is not an axis"),
        ({}, {"colour": 3}, "no setting is called colour"),
        ({"tier": "astral"}, {}, "astral"),
        ({"variant": "astral"}, {}, "astral"),
    ],
)
def test_wrong_use_says_what_to_do(trained_run, tmp_path, options, settings, says):
    arguments = {"task": "look_at", "init": trained_run.path, **options}
    with pytest.raises((WrongUseError, RefusedError), match=says):
        train_rl(tmp_path / "run", **arguments, settings={**TINY, **settings})
    assert not (tmp_path / "run" / "card.json").exists()


@pytest.mark.long
def test_a_killed_command_is_resumed_from_its_checkpoint(trained_run, tmp_path):
    settings = [f"--set={name}={value}" for name, value in TINY.items() if name != "iterations"]
    words = ["train", "rl", "--init", str(trained_run.path), "--task", "look_at", "--iterations", "30", *settings]
    command = [str(Path(sys.executable).parent / "reachy-kit"), *words, "--out", str(tmp_path / "run")]
    last = tmp_path / "run" / TRAINING / LAST
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while not last.is_file() and process.poll() is None:
            os.sched_yield()
        process.kill()
    assert not (tmp_path / "run" / "card.json").exists()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "resuming it from its last checkpoint" in done.stderr
    assert open_run(tmp_path / "run").card.steps <= 30


def test_a_diverging_training_returns_to_good_weights_then_gives_up_with_a_remedy(trained_run, tmp_path):
    settings = {**TINY, "lr": 1e30, "critic_lr": 1e30}
    with pytest.raises(KitError, match=r"diverged in iteration 1.*smaller rate"):
        train_rl(tmp_path / "run", task="look_at", init=trained_run.path, settings=settings)
    kept = read_checkpoint(tmp_path / "run" / TRAINING / BEST)
    assert all_finite(tensor for _, tensor in tensors_of(kept))


def test_what_does_not_explore_stays_near_the_imitation(reinforced, trained_run):
    examples = trained_run.examples()
    inputs = examples.state, examples.environment_state, examples.last_action
    with torch.inference_mode():
        before = load_chunk_policy(trained_run).network.plan(*inputs)[:, :5]
        after = load_chunk_policy(reinforced).network.plan(*inputs)
    moved = (after - before).abs().mean(dim=(0, 1))
    still = [ACTION_NAMES.index(name) for name in ("head_x.pos", "head_y.pos", "head_z.pos")]
    assert moved[still].max() < 2e-3
    assert moved[[4, 5]].max() > 0


def test_a_reinforced_run_exports_and_acts_as_its_bundle(reinforced, tmp_path):
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_policies.onnx_export import export_bundle

    manifest = export_bundle(reinforced, tmp_path / "rl.bundle")
    assert manifest.graphs[0].n_action_steps == 5
    assert read_bundle(tmp_path / "rl.bundle").manifest.provenance["method"] == "ppo"


def test_physics_finishes_where_that_is_asked_for(trained_run, tmp_path):
    settings = {**TINY, "iterations": 2, "finish": 1, "num_envs": 4, "eval_episodes": 2, "batch_size": 16}
    run = train_rl(tmp_path / "run", task="look_at", init=trained_run.path, tier="both", settings=settings)
    assert run.card.tier == "both"
    assert run.card.env_steps == 2 * 4 * STEPS


def test_a_curriculum_spends_as_many_iterations_in_each_variant():
    envs = [Opened() for _ in range(4)]
    spec = ReinforceSpec("look_at", "training,late,worn", "both", "dense", "off", "ppo", None, 25, 50, ())
    asked = []

    def made(tier, variant, count):
        asked.append((tier, variant, count))
        return envs[len(asked) - 1]

    curriculum = make_curriculum(spec, ReinforceConfig(iterations=9, finish=2, num_envs=3), made)
    assert asked == [
        *(("kinematic", variant, 3) for variant in ("training", "late", "worn")),
        ("physics", "worn", 3),
    ]
    assert [envs.index(curriculum.at(iteration)) for iteration in range(1, 10)] == [0, 0, 0, 1, 1, 1, 2, 3, 3]
    curriculum.close()
    assert all(env.closed for env in envs)


def test_a_curriculum_is_learned_from_the_command_line(trained_run, tmp_path):
    settings = {**TINY, "iterations": 2, "num_envs": 4, "eval_episodes": 2, "batch_size": 16}
    run = train_rl(tmp_path / "run", task="look_at", init=trained_run.path, variant="training,late", settings=settings)
    assert run.card.variant == "training,late"
    with pytest.raises(WrongUseError, match="no variant 'dark'"):
        train_rl(tmp_path / "x", task="look_at", init=trained_run.path, variant="training,dark", settings=settings)


@pytest.mark.long
def test_reinforcement_learning_beats_the_imitation_it_came_from(trained_run, tmp_path):
    settings = {"iterations": 12, "num_envs": 128, "eval_every": 4}
    run = train_rl(tmp_path / "run", task="look_at", init=trained_run.path, settings=settings)
    rows = evaluations(run)
    assert float(rows[-1]["error"]) < 0.8 * float(rows[0]["error"])
    assert float(rows[-1]["reward"]) > float(rows[0]["reward"])


@pytest.mark.long
def test_seeds_are_trained_each_for_itself_paired_with_their_starts_and_only_once(recorded_dataset, tmp_path):
    def kit(*words):
        command = [str(Path(sys.executable).parent / "reachy-kit"), "train", *words, "--seeds", "2"]
        subprocess.run(command, check=True, capture_output=True)

    imitation, rl = tmp_path / "imitation", tmp_path / "rl"
    kit("imitation", "--dataset", str(recorded_dataset), "--out", str(imitation), "--set", "max_steps=50")
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    explore = ("rl", "--init", str(imitation), "--task", "look_at", "--out", str(rl), *settings)
    kit(*explore)
    cards = [open_run(rl / f"seed-{seed}").card for seed in (0, 1)]
    assert [card.seed for card in cards] == [0, 1]
    assert [card.start for card in cards] == ["seed-0", "seed-1"]
    made = [(rl / f"seed-{seed}" / "card.json").stat().st_mtime_ns for seed in (0, 1)]
    kit(*explore)
    assert made == [(rl / f"seed-{seed}" / "card.json").stat().st_mtime_ns for seed in (0, 1)]
