"""The chunk policy learns, the same way each time, and a saved run is the policy that was trained."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE

from reachy_kit.runtime.durable_files import undo_broken_replacement
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.inference.chunked import TemporalEnsembler
from reachy_kit.runtime.interface import PITCH, ROLL, YAW, Observation
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_kit.runtime.rollout import rollout
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_policies.data.demonstrations import load_demonstrations
from reachy_policies.data.windows import cut_windows
from reachy_policies.imitation.behavior_cloning import ImitationConfig, fit
from reachy_policies.imitation.imitation_run import save_imitation
from reachy_policies.imitation.supervised import split_episodes
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.runs.policy_loader import load_chunk_policy, single_policy
from reachy_policies.runs.run_files import BEST, LAST, MODEL, TRAINING
from reachy_policies.runs.saved_run import dataset_digest, example_rows, open_run
from reachy_sim.robot import SimRobot
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.tasks.variants import Variant
from reachy_sim.world import GeometricPerception, SimWorld

BRIEF = ImitationConfig(max_steps=200, eval_every=50)


@pytest.fixture(scope="module")
def demonstrations(recorded_dataset):
    return load_demonstrations(recorded_dataset)


@pytest.fixture(scope="module")
def fitted(demonstrations):
    return fit(demonstrations, None, BRIEF)


def test_the_held_out_loss_falls(fitted):
    assert fitted.best.held_out_loss < fitted.history[0].held_out_loss
    assert fitted.best.held_out_loss == min(progress.held_out_loss for progress in fitted.history)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(demonstrations, fitted):
    again = fit(demonstrations, None, BRIEF)
    for one, other in zip(fitted.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_seed_gives_other_weights(demonstrations, fitted):
    other = fit(demonstrations, None, replace(BRIEF, seed=1))
    assert not torch.equal(fitted.policy.network.body[0].weight, other.policy.network.body[0].weight)


@pytest.mark.parametrize("episodes", [2, 3, 8, 50])
def test_held_out_episodes_are_never_trained_on(episodes):
    kept, aside = split_episodes(list(range(episodes)), ImitationConfig())
    assert aside
    assert kept
    assert sorted(kept + aside) == list(range(episodes))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_each_split_has_training_and_held_out_episodes_whatever_the_share(share):
    kept, aside = split_episodes([3, 5], ImitationConfig(held_out=share))
    assert (len(kept), len(aside)) == (1, 1)


@pytest.mark.parametrize(("steps", "evaluated"), [(7, [7]), (50, [20, 40, 50]), (60, [20, 40, 60])])
def test_the_last_step_is_evaluated_even_between_two_evaluations(demonstrations, steps, evaluated):
    history = fit(demonstrations, None, ImitationConfig(max_steps=steps, eval_every=20)).history
    assert [progress.step for progress in history] == evaluated


@pytest.mark.parametrize(
    "setting", [{"max_steps": 0}, {"eval_every": 0}, {"batch_size": 0}, {"held_out": 1.0}, {"held_out": 0.0}], ids=str
)
def test_a_setting_that_cannot_train_is_refused_by_name(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        ImitationConfig(**setting)


def test_training_stops_when_held_out_episodes_no_longer_improve(demonstrations):
    fitted = fit(demonstrations, ReachyChunkConfig(lr=1e-12), replace(BRIEF, eval_every=10, patience=3))
    assert [progress.step for progress in fitted.history] == [10, 20, 30, 40]
    assert fitted.best.step == 10


def test_another_seed_holds_out_other_episodes():
    splits = {tuple(split_episodes(list(range(50)), ImitationConfig(seed=seed))[1]) for seed in range(5)}
    assert len(splits) == 5


def test_the_weights_that_did_best_are_kept_and_plan_as_well_as_they_did_then(demonstrations):
    """A learning rate so high that the last weights are not the best."""
    fitted = fit(demonstrations, ReachyChunkConfig(lr=0.02), replace(BRIEF, eval_every=25))
    assert fitted.best.held_out_loss < fitted.history[-1].held_out_loss
    policy, config = fitted.policy, fitted.policy.config
    test = cut_windows(demonstrations, fitted.held_out, config.n_obs_steps, config.chunk_size, BRIEF.trim_idle)
    batch = {OBS_STATE: test.state, OBS_ENV_STATE: test.environment_state, OBS_LAST_ACTION: test.last_action}
    with torch.no_grad():
        plans = policy.predict_action_chunk(batch)
    error = (plans - test.action).abs()[~test.is_pad]
    assert error[:, :3].mean().item() == pytest.approx(fitted.best.held_out_position_error, rel=1e-4)  # m
    assert error[:, 3:].mean().item() == pytest.approx(fitted.best.held_out_angle_error, rel=1e-4)  # rad


def test_a_diverging_loss_ends_with_a_message(demonstrations):
    wild = replace(demonstrations, action=demonstrations.action * float("inf"))
    with pytest.raises(KitError, match="diverged"):
        fit(wild, None, BRIEF)


class Poses:
    """A subscriber that keeps the measured states."""

    def __init__(self):
        self.states = []

    def on_episode_start(self, seed): ...

    def on_step(self, step):
        self.states.append(step.observation.state)

    def on_episode_end(self, episode): ...


def observations(demonstrations, rows) -> list[Observation]:
    return [
        Observation(
            state=demonstrations.state[row].double().numpy(),
            capture_time=0.04 * index,
            environment_state=demonstrations.environment_state[row].double().numpy(),
            last_action=demonstrations.last_action[row].double().numpy(),
        )
        for index, row in enumerate(rows)
    ]


def test_lerobot_loads_the_run_and_chooses_what_our_runner_chooses(trained_run, demonstrations):
    """LeRobot's own loading, processors and select_action, step by step over an episode."""
    config = PreTrainedConfig.from_pretrained(trained_run.path / MODEL)
    assert isinstance(config, ReachyChunkConfig)
    policy = ReachyChunkPolicy.from_pretrained(trained_run.path / MODEL)
    before, after = make_pre_post_processors(config, pretrained_path=str(trained_run.path / MODEL))
    ours = single_policy(trained_run)
    for observation in observations(demonstrations, range(20)):
        batch = {
            OBS_STATE: torch.from_numpy(observation.state).float(),
            OBS_ENV_STATE: torch.from_numpy(observation.environment_state).float(),
            OBS_LAST_ACTION: torch.from_numpy(observation.last_action).float(),
        }
        theirs = after(policy.select_action(before(batch)))
        np.testing.assert_allclose(theirs.squeeze(0).numpy(), ours.act(observation), atol=1e-6)


def test_lerobots_processors_leave_the_numbers_as_they_are(trained_run, demonstrations):
    config = PreTrainedConfig.from_pretrained(trained_run.path / MODEL)
    before, after = make_pre_post_processors(config, pretrained_path=str(trained_run.path / MODEL))
    batch = {
        OBS_STATE: demonstrations.state[:1],
        OBS_ENV_STATE: demonstrations.environment_state[:1],
        OBS_LAST_ACTION: demonstrations.last_action[:1],
    }
    processed = before(dict(batch))
    for key, value in batch.items():
        assert torch.equal(processed[key], value)
    assert torch.equal(after(demonstrations.action[:1]), demonstrations.action[:1])


def test_a_saved_run_says_where_it_comes_from_and_opens_again(trained_run, recorded_dataset):
    opened = open_run(trained_run.path)
    assert opened == trained_run
    assert opened.card.dataset == recorded_dataset.name
    assert (opened.card.task, opened.card.episodes, opened.card.policy_hz) == ("look_at", 8, 25)
    assert opened.card.dataset_sha256 == dataset_digest(recorded_dataset)


def test_saving_a_run_again_replaces_it_whole(demonstrations, fitted, recorded_dataset, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "leftover").touch()
    run = save_imitation(tmp_path / "run", fitted, demonstrations, BRIEF)
    assert not (run.path / "leftover").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    every = cut_windows(demonstrations, demonstrations.episodes, 4, 8)
    kept = every.select(example_rows(len(every.state))).tensors()
    for name, value in run.examples().tensors().items():
        assert torch.equal(value, kept[name])
    for one, other in zip(fitted.policy.parameters(), load_chunk_policy(run).parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_datasets_digest_changes_with_its_frames_and_not_with_its_files(recorded_dataset, tmp_path):
    copy = shutil.copytree(recorded_dataset, tmp_path / "copy")
    file = next(copy.glob("data/**/*.parquet"))
    table = pq.read_table(file)
    pq.write_table(table, file, compression="gzip", row_group_size=50)
    assert file.read_bytes() != (recorded_dataset / file.relative_to(copy)).read_bytes()
    assert dataset_digest(copy) == dataset_digest(recorded_dataset)
    states = table["observation.state"].to_pylist()
    states[3][0] += 1e-3
    place, field = table.schema.get_field_index("observation.state"), table.schema.field("observation.state")
    pq.write_table(table.set_column(place, field, pa.array(states, field.type)), file)
    assert dataset_digest(copy) != dataset_digest(recorded_dataset)


def test_reset_forgets_the_episode_before(trained_run, demonstrations):
    policy = single_policy(trained_run)
    first, *rest = observations(demonstrations, range(30, 34))
    fresh = policy.act(first)
    for observation in rest:
        policy.act(observation)
    policy.reset()
    np.testing.assert_array_equal(policy.act(first), fresh)


def test_a_run_with_damaged_weights_is_refused(trained_run, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "run")
    weights = copy / MODEL / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(RefusedError, match="Train it again"):
        load_chunk_policy(open_run(copy))


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(WrongUseError, match="not a reachy-kit run"):
        open_run(tmp_path)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_a_sighting_the_robot_keeps_nearly_still(trained_run, seed):
    never = Variant("never", replace(LOOK_AT, appears=(1e6, 1e6)))
    world, listener = SimWorld(never), Poses()
    rollout(
        SimRobot(),
        single_policy(trained_run),
        seconds=3.0,
        policy_hz=trained_run.card.policy_hz,
        seed=seed,
        perception=GeometricPerception(world),
        world=world,
        subscribers=[listener],
    )
    turned = np.abs(np.array(listener.states)[:, [ROLL, PITCH, YAW]] - listener.states[0][[ROLL, PITCH, YAW]])
    assert np.rad2deg(turned.max()) < 15


STEPS = ImitationConfig(max_steps=80, eval_every=20, checkpoint_every=7)


def same_weights(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_training_that_was_cut_short_is_resumed_to_the_same_weights(demonstrations, tmp_path):
    whole = fit(demonstrations, None, STEPS)

    def cut(progress):
        if progress.step == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(demonstrations, None, STEPS, cut, tmp_path)
    again = fit(demonstrations, None, STEPS, out=tmp_path)
    assert same_weights(whole.policy, again.policy)
    assert [progress.step for progress in again.history] == [20, 40, 60, 80]
    losses = [[progress.held_out_loss for progress in result.history] for result in (again, whole)]
    assert losses[0] == losses[1]


def test_an_unfinished_training_is_never_replaced_by_another_in_silence(demonstrations, tmp_path):
    fit(demonstrations, None, STEPS, out=tmp_path)
    kept = (tmp_path / TRAINING / LAST).read_bytes()
    with pytest.raises(RefusedError, match=r"another hidden, seed.*--fresh"):
        fit(demonstrations, ReachyChunkConfig(hidden=32), replace(STEPS, seed=1), out=tmp_path)
    changed = replace(demonstrations, action=demonstrations.action + 0.001)
    with pytest.raises(RefusedError, match="another dataset"):
        fit(changed, None, STEPS, out=tmp_path)
    assert (tmp_path / TRAINING / LAST).read_bytes() == kept


def test_a_full_disk_ends_training_with_a_message_and_keeps_the_checkpoint_before(demonstrations, tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole = fit(demonstrations, None, STEPS)

    def fill(progress):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(KitError, match="make room"):
            fit(demonstrations, None, STEPS, fill, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name for path in (tmp_path / TRAINING).iterdir()} == {BEST, LAST}
    assert same_weights(whole.policy, fit(demonstrations, None, STEPS, out=tmp_path).policy)


def test_a_damaged_checkpoint_is_refused(demonstrations, tmp_path):
    fit(demonstrations, None, STEPS, out=tmp_path)
    content = (tmp_path / TRAINING / LAST).read_bytes()
    (tmp_path / TRAINING / LAST).write_bytes(content[: len(content) // 2])
    with pytest.raises(RefusedError, match="damaged"):
        fit(demonstrations, None, STEPS, out=tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from reachy_policies.data.demonstrations import load_demonstrations
from reachy_policies.imitation.behavior_cloning import ImitationConfig, fit
from reachy_policies.runs.policy_loader import load_chunk_policy, single_policy

def kill(progress):
    if progress.step == 40:
        os.kill(os.getpid(), signal.SIGKILL)

fit(load_demonstrations(Path(sys.argv[1])), None, ImitationConfig(max_steps=80, eval_every=20, checkpoint_every=7),
    kill, Path(sys.argv[2]))
"""


@pytest.mark.long
def test_the_same_command_resumes_a_killed_run(demonstrations, recorded_dataset, tmp_path):
    out = tmp_path / "run"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(recorded_dataset), str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    settings = {"max_steps": 80, "eval_every": 20, "checkpoint_every": 7}
    with pytest.raises(RefusedError, match="another hidden"):
        train_imitation(recorded_dataset, out, seed=0, settings={**settings, "hidden": 32})
    run = train_imitation(recorded_dataset, out, seed=0, settings=settings)
    assert same_weights(load_chunk_policy(run), fit(demonstrations, None, STEPS).policy)
    assert not (out / TRAINING).exists()
    assert [row.split(",")[0] for row in (out / "curve.csv").read_text().split()[1:]] == ["20", "40", "60", "80"]


def test_fresh_begins_again_and_a_finished_run_is_replaced(recorded_dataset, tmp_path):
    brief = {"max_steps": 10, "eval_every": 10}
    first = train_imitation(recorded_dataset, tmp_path / "run", seed=0, settings=brief)
    (first.path / TRAINING).mkdir()
    (first.path / TRAINING / LAST).write_bytes(b"an unfinished training of something else")
    with pytest.raises(RefusedError, match="damaged"):
        train_imitation(recorded_dataset, first.path, seed=1, settings=brief)
    second = train_imitation(recorded_dataset, first.path, seed=1, fresh=True, settings=brief)
    assert not (second.path / TRAINING / LAST).exists()
    assert open_run(second.path).card.seed == 1


def test_a_run_moved_aside_by_a_crash_comes_back(trained_run, tmp_path):
    shutil.copytree(trained_run.path, tmp_path / ".run.old")
    undo_broken_replacement(tmp_path / "run")
    assert open_run(tmp_path / "run").card == trained_run.card


@pytest.mark.parametrize("coefficient", [0.0, 0.01, -0.5])
def test_temporal_ensembling_averages_what_overlapping_plans_say_of_a_step(coefficient):
    """As LeRobot's ACT does it."""
    from lerobot.policies.act.modeling_act import ACTTemporalEnsembler

    ours, theirs = TemporalEnsembler(coefficient, 5), ACTTemporalEnsembler(coefficient, 5)
    plans = torch.randn(12, 3, 5, 9, generator=torch.Generator().manual_seed(0))
    for plan in plans:
        np.testing.assert_allclose(ours.update(plan.numpy()), theirs.update(plan).numpy(), atol=1e-5)
    ours.reset()
    np.testing.assert_array_equal(ours.update(plans[0].numpy()), plans[0, :, 0].numpy())


def test_a_policy_that_ensembles_acts_the_same_in_lerobot_and_in_our_runner(demonstrations, recorded_dataset, tmp_path):
    brief = {"max_steps": 20, "n_action_steps": 1}
    settings = {**brief, "temporal_ensemble_coeff": 0.01}
    run = train_imitation(recorded_dataset, tmp_path / "run", seed=0, settings=settings)
    plain = train_imitation(recorded_dataset, tmp_path / "plain", seed=0, settings=brief)
    theirs, ours, without = load_chunk_policy(run), single_policy(run), single_policy(plain)
    differences = []
    for observation in observations(demonstrations, range(20)):
        batch = {
            OBS_STATE: torch.from_numpy(observation.state).float()[None],
            OBS_ENV_STATE: torch.from_numpy(observation.environment_state).float()[None],
            OBS_LAST_ACTION: torch.from_numpy(observation.last_action).float()[None],
        }
        decided = ours.act(observation)
        np.testing.assert_allclose(theirs.select_action(batch)[0].numpy(), decided, atol=1e-6)
        differences.append(np.abs(decided - without.act(observation)).max())
    assert max(differences) > 1e-4


def test_tracking_writes_tensorboards_events(recorded_dataset, tmp_path):
    brief = {"max_steps": 10, "eval_every": 5}
    train_imitation(recorded_dataset, tmp_path / "run", seed=0, track=True, settings=brief)
    assert list((tmp_path / "tensorboard" / "run").glob("events.*"))
