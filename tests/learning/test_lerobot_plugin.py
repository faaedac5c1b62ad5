"""LeRobot's own commands find our environments and our policy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.envs import make_env, preprocess_observation
from lerobot.envs.factory import make_env_config
from lerobot.utils.import_utils import register_third_party_plugins

from reachy_kit.runtime.tasks.task_registry import own_task_names
from reachy_policies.runs.run_files import MODEL


@pytest.fixture(scope="module", autouse=True)
def _plugins():
    register_third_party_plugins()


def test_lerobot_finds_the_policy_type():
    assert "reachy_chunk" in PreTrainedConfig.get_known_choices()


@pytest.mark.parametrize("task", own_task_names())
def test_lerobot_makes_every_task_as_one_batch(task):
    config = make_env_config("reachy_mini", task=task, tier="kinematic")
    env = make_env(config, n_envs=3)["reachy_mini"][0]
    observation, _ = env.reset(seed=[4, 5, 6])
    observed = preprocess_observation(observation)
    expected = {"observation.state", "observation.environment_state", "observation.last_action"}
    assert set(observed) == expected
    assert {key: tuple(value.shape) for key, value in observed.items()} == {
        config.features_map[key]: (3, *feature.shape) for key, feature in config.features.items() if key != "action"
    }
    assert env.call("task_description")[0] == env.get_attr("task_description")[2]
    env.close()


def test_images_come_under_the_cameras_name_in_the_datasets():
    config = make_env_config("reachy_mini", task="look_at", tier="kinematic", obs_type="pixels")
    env = make_env(config, n_envs=2)["reachy_mini"][0]
    observed = preprocess_observation(env.reset(seed=[0, 1])[0])
    assert observed["observation.images.head"].shape == (2, 3, 96, 96)
    assert observed["observation.images.head"].dtype == torch.float32
    env.close()


@pytest.mark.long
def test_lerobot_eval_evaluates_a_run(trained_run, tmp_path):
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("lerobot-eval")), "--env.type=reachy_mini", "--env.task=look_at",
            f"--policy.path={trained_run.path / MODEL}", "--policy.device=cpu", "--eval.n_episodes=8",
            "--eval.batch_size=8", f"--output_dir={tmp_path / 'eval'}",
        ],
        env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "eval" / "eval_info.json").read_text())["overall"]
    assert result["n_episodes"] == 8
    assert result["pc_success"] >= 50
    assert len(list((tmp_path / "eval").rglob("*.mp4"))) == 8


def test_an_unknown_task_is_named():
    with pytest.raises(Exception, match="juggle"):
        make_env_config("reachy_mini", task="juggle")
