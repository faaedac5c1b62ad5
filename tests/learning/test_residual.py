"""A residual begins as its base, corrects within its bounds, and its training is resumed after interruptions."""

import csv
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.workflows.inputs.sim_envs import BatchExpert, make_envs
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_kit.workflows.training.train_rl import train_rl
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.onnx_export import export_bundle
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.residual.replay_memory import Episodes, ReplayMemory
from reachy_policies.reinforcement.residual.residual_config import ResidualConfig
from reachy_policies.reinforcement.residual.td3_learner import TD3Learner
from reachy_policies.rollouts.episode_batch import run_episodes
from reachy_policies.runs.policy_loader import lerobot_batch_policy
from reachy_policies.runs.run_files import MODEL
from reachy_policies.runs.saved_run import open_run

TINY = {
    "num_envs": 8,
    "eval_episodes": 8,
    "iterations": 3,
    "eval_every": 3,
    "warmup": 1,
    "demonstrations": 1,
    "updates": 10,
    "batch_size": 64,
    "memory": 12,
    "ramp": 1000,
}
PITCH, YAW = 4, 5
STEPS = 88
"""Decisions of a look_at episode: 3.5 s at 25 Hz."""


def weights(run):
    return lerobot_batch_policy(run).policy.state_dict()


def expert(seed):
    return BatchExpert("look_at", 25, range(seed, seed + 8))


@pytest.fixture(scope="module")
def envs():
    envs = make_envs("look_at", 8, tier="kinematic")
    yield envs
    envs.close()


@pytest.fixture(scope="module")
def corrected(trained_run, tmp_path_factory):
    """A short training without interruption."""
    out = tmp_path_factory.mktemp("residual") / "run"
    settings = {**TINY, "checkpoints": True}
    return train_rl(out, task="look_at", init=trained_run.path, method="residual", settings=settings)


def test_an_untrained_residual_acts_exactly_as_its_base(trained_run, envs):
    base = FrozenBase.load(trained_run.path / MODEL)
    learner = TD3Learner(base, Curriculum(envs), expert, [PITCH, YAW], ResidualConfig(num_envs=8))
    policies = learner.eval_policy(), lerobot_batch_policy(trained_run)
    ours, theirs = (run_episodes(envs, policy, 0) for policy in policies)
    np.testing.assert_array_equal(ours.commands, theirs.commands)


def test_only_the_explored_axes_are_corrected_and_by_no_more_than_alpha(corrected, envs):
    """The base is asked in the states that the residual gets into, so its answers are recorded as it is asked.

    The last weights: the best ones may be those that correct nothing.
    """
    last = open_run(corrected.path / "checkpoints" / "3")
    acting = lerobot_batch_policy(last)
    policy = acting.policy
    observation, _ = envs.reset(seed=0)
    policy.reset()
    largest = np.zeros(9)
    act = policy.base.act
    wanted = []
    policy.base.act = lambda batch: wanted.append(act(batch)) or wanted[-1]
    for _ in range(STEPS - 1):
        action = acting.act(observation)
        largest = np.maximum(largest, np.abs(action - wanted[-1].numpy()).max(axis=0))
        observation, *_ = envs.step(action)
    still = [axis for axis in range(9) if axis not in (PITCH, YAW)]
    assert largest[still].max() == 0
    assert 0 < largest[[PITCH, YAW]].min() <= largest.max() <= 0.15 + 1e-6


def test_a_saved_residual_brings_its_base_and_its_card_along(corrected, trained_run):
    card = corrected.card
    assert (card.method, card.policy, card.start) == ("residual", "reachy_residual", trained_run.path.name)
    assert card.env_steps == (3 + 1) * 8 * STEPS
    theirs, ours = (path / "model.safetensors" for path in (trained_run.path / MODEL, corrected.path / MODEL / "base"))
    assert theirs.read_bytes() == ours.read_bytes()


def test_the_curve_has_a_row_for_every_evaluation(corrected):
    rows = list(csv.DictReader((corrected.path / "curve.csv").open()))
    assert [int(row["iteration"]) for row in rows] == [0, 3]
    assert 0 < float(rows[-1]["acting_share"]) <= 1


def test_an_interrupted_training_is_resumed_to_the_same_weights(corrected, trained_run, tmp_path, train_interrupted):
    options = {"task": "look_at", "method": "residual", "init": trained_run.path}
    train_interrupted(tmp_path / "run", after_iteration=2, **options, settings=dict(TINY))
    resumed = train_rl(tmp_path / "run", **options, settings=dict(TINY))
    one, other = weights(resumed), weights(corrected)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_without_demonstrations_too(trained_run, tmp_path):
    settings = {**TINY, "demonstrations": 0, "iterations": 1, "warmup": 0}
    run = train_rl(tmp_path / "run", task="look_at", init=trained_run.path, method="residual", settings=settings)
    assert run.card.env_steps == 2 * 8 * STEPS


@given(
    st.integers(1, 5), st.integers(1, 6), st.integers(2, 4), st.floats(0.5, 0.99), st.integers(1, 3), st.integers(1, 9)
)
def test_a_drawn_decision_counts_the_rewards_that_followed_it_and_no_others(
    count, length, history, gamma, n_step, keep
):
    """Rewards are the decision's own number; features are the number of the step and of those before it."""
    steps = torch.arange(length + 1.0).expand(count, -1)[..., None]
    memory = ReplayMemory(keep, history, n_step, gamma, 0.5)
    memory.add(Episodes(steps, steps, steps, steps, steps[:, :-1], steps[:, :-1, 0]))
    assert len(memory.own) == min(count, keep)
    batch = memory.sample(32, lambda state, environment_state, last_action, base_action: state[..., 0])
    for row in range(32):
        now = int(batch.correction[row])
        after = range(now, min(now + n_step, length))
        assert batch.reward[row] == pytest.approx(sum(gamma ** (step - now) * step for step in after), rel=1e-5)
        assert batch.discount[row] == pytest.approx(gamma ** len(after), rel=1e-5)
        assert batch.n_step_features[row].tolist() == [max(after.stop - back, 0) for back in range(history - 1, -1, -1)]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"demonstration_share": 1.0}, "demonstration_share must lie"),
        ({"critics": 0}, "critics must be at least 1"),
        ({"colour": 3}, "no setting is called colour"),
    ],
)
def test_wrong_use_says_what_to_do(trained_run, tmp_path, settings, says):
    with pytest.raises(WrongUseError, match=says):
        train_rl(
            tmp_path / "run",
            task="look_at",
            init=trained_run.path,
            method="residual",
            settings={**TINY, **settings},
        )
    assert not (tmp_path / "run" / "card.json").exists()


def test_a_damaged_base_is_refused(corrected, tmp_path):
    copy = shutil.copytree(corrected.path, tmp_path / "run")
    base = copy / MODEL / "base" / "model.safetensors"
    base.write_bytes(base.read_bytes()[:100])
    with pytest.raises(RefusedError, match="base cannot be loaded"):
        lerobot_batch_policy(open_run(copy))


def test_every_axis_has_a_name_that_can_be_corrected(trained_run, envs):
    """Positions move by a tenth of what angles do."""
    base = FrozenBase.load(trained_run.path / MODEL)
    axes = list(range(9))
    learner = TD3Learner(base, Curriculum(envs), expert, axes, ResidualConfig(num_envs=8, alpha=0.2))
    policy = learner.policy()
    assert policy.config.axes == list(ACTION_NAMES)
    np.testing.assert_allclose(policy.network.reach, np.diag([0.02] * 3 + [0.2] * 6), rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["act", "diffusion"])
def test_any_policy_of_lerobots_can_be_corrected_but_only_ours_exports(recorded_dataset, envs, tmp_path, kind):
    small = {
        "act": {"dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1, "latent_dim": 4}
        | {"n_vae_encoder_layers": 1, "chunk_size": 6, "n_action_steps": 3},
        "diffusion": {"down_dims": [8, 16], "horizon": 8, "n_action_steps": 4, "n_groups": 4, "num_inference_steps": 2},
    }
    brief = {"max_steps": 10, "eval_every": 10, "batch_size": 8, "held_out_frames": 16}
    base = train_imitation(recorded_dataset, tmp_path / "base", policy=kind, seed=0, settings={**brief, **small[kind]})
    settings = {**TINY, "iterations": 1, "eval_every": 1}  # the critics alone learn: the correction stays at zero
    run = train_rl(tmp_path / "run", task="look_at", init=base.path, method="residual", settings=settings)
    commands = []
    for policy in [lerobot_batch_policy(trained) for trained in (base, run)]:
        torch.manual_seed(0)  # diffusion draws its noise
        commands.append(run_episodes(envs, policy, 0).commands)
    np.testing.assert_array_equal(*commands)
    with pytest.raises(RefusedError, match=f"kind {kind}, which has no graph"):
        export_bundle(run, tmp_path / "x.bundle")


@pytest.mark.long
def test_a_residual_beats_the_base_that_it_corrects(trained_run, tmp_path):
    settings = {"iterations": 10, "eval_every": 5}
    run = train_rl(tmp_path / "run", task="look_at", init=trained_run.path, method="residual", settings=settings)
    rows = list(csv.DictReader((run.path / "curve.csv").open()))
    assert float(rows[-1]["error"]) < 0.8 * float(rows[0]["error"])
    assert float(rows[-1]["reward"]) > float(rows[0]["reward"])
