"""The chunk policy learns, the same way each time, and a saved run is the policy that was trained."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE

from reachy_kit.errors import KitError, RefusedError, WrongUseError
from reachy_kit.interface import NEUTRAL, Observation
from reachy_kit.perception.target import MAX_AGE
from reachy_policies.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.chunk.configuration_chunk import OBS_LAST_ACTION
from reachy_policies.demonstrations import load_demonstrations
from reachy_policies.imitation import ImitationConfig, fit, split_episodes
from reachy_policies.run import MODEL, open_run

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


def test_a_diverging_loss_ends_with_a_message(demonstrations):
    wild = replace(demonstrations, action=demonstrations.action * float("inf"))
    with pytest.raises(KitError, match="diverged"):
        fit(wild, None, BRIEF)


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
    ours = trained_run.policy()
    for observation in observations(demonstrations, range(20)):
        batch = {
            OBS_STATE: torch.from_numpy(observation.state).float(),
            OBS_ENV_STATE: torch.from_numpy(observation.environment_state).float(),
            OBS_LAST_ACTION: torch.from_numpy(observation.last_action).float(),
        }
        theirs = after(policy.select_action(before(batch)))
        np.testing.assert_allclose(theirs.squeeze(0).numpy(), ours.act(observation), atol=1e-6)


def test_reset_forgets_the_episode_before(trained_run, demonstrations):
    policy = trained_run.policy()
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
        open_run(copy).load()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(WrongUseError, match="no run"):
        open_run(tmp_path)


def test_a_policy_that_sees_nothing_asks_for_hardly_any_motion(trained_run):
    nothing = Observation(NEUTRAL, 0.0, environment_state=np.array([0, 0, 0, 0, MAX_AGE]), last_action=NEUTRAL)
    action = trained_run.policy().act(nothing)
    assert np.rad2deg(np.abs(action - NEUTRAL)[:7]).max() < 5.0
