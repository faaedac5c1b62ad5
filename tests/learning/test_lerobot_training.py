"""LeRobot's own policies train on our datasets, resume exactly where they were cut short, and act."""

import csv
import json
import shutil
import socket
from dataclasses import dataclass

import huggingface_hub
import lerobot.policies  # noqa: F401  (registers every kind)
import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import CAMERA, Observation
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.recording.layout import read_layout
from reachy_kit.runtime.recording.schema import IMAGE
from reachy_kit.runtime.rollout import rollout
from reachy_kit.workflows.evaluate import evaluate_policies
from reachy_kit.workflows.inputs.policy_arguments import load_policy
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_policies.data.demonstrations import load_demonstrations
from reachy_policies.data.frames import Frames
from reachy_policies.data.windows import cut_windows
from reachy_policies.imitation import lerobot_training
from reachy_policies.imitation.lerobot_training import LeRobotTrainConfig, fit_lerobot
from reachy_policies.models.lerobot.lerobot_config import read_policy_config, set_features
from reachy_policies.onnx_export import export_bundle
from reachy_policies.runs.policy_loader import lerobot_batch_policy, single_policy
from reachy_policies.runs.run_files import MODEL, TRAINING
from reachy_policies.runs.saved_run import open_run
from reachy_sim.robot import SimRobot
from reachy_sim.tasks import variant_by_name
from reachy_sim.world import GeometricPerception, SimWorld

TINY_ACT = {
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 16,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "latent_dim": 4,
    "chunk_size": 6,
    "n_action_steps": 3,
}
TINY_DIFFUSION = {"down_dims": [8, 16], "horizon": 8, "n_action_steps": 4, "n_groups": 4, "num_inference_steps": 2}
BRIEF = {"max_steps": 10, "eval_every": 5, "batch_size": 8, "held_out_frames": 16}
KINDS = {"act": TINY_ACT, "diffusion": TINY_DIFFUSION}


@pytest.fixture(scope="module")
def demonstrations(recorded_dataset):
    return load_demonstrations(recorded_dataset)


@pytest.fixture(scope="module", params=KINDS)
def run(request, recorded_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "run"
    settings = {**BRIEF, **KINDS[request.param]}
    return train_imitation(recorded_dataset, out, policy=request.param, seed=0, settings=settings)


def fit_act(demonstrations, out=None, on_progress=lambda progress: None, **config):
    chosen = LeRobotTrainConfig(**{**BRIEF, "max_steps": 20, "checkpoint_every": 3, **config})
    return fit_lerobot(demonstrations, read_policy_config("act", dict(TINY_ACT)), chosen, on_progress, out)


def test_a_policy_of_lerobots_leaves_a_whole_run(run, recorded_dataset):
    opened = open_run(run.path)
    assert (opened.card.task, opened.card.method, opened.card.episodes) == ("look_at", "imitation", 8)
    assert not (run.path / TRAINING).exists()
    with (run.path / "curve.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["5", "10"]
    config = json.loads((run.path / MODEL / "config.json").read_text())
    assert set(config["input_features"]) == {"observation.state", "observation.environment_state"}
    assert config.get("pretrained_backbone_weights") is None


def test_a_run_of_lerobots_acts_in_the_control_loop(run):
    look_at = variant_by_name("look_at")
    world = SimWorld(look_at)
    policy = load_policy(str(run.path), TARGET_FEATURES, "look_at").policy
    episode = rollout(
        SimRobot(), policy, seconds=1.0, policy_hz=25, seed=0, perception=GeometricPerception(world), world=world,
        subscribers=[],
    )  # fmt: skip
    assert episode.steps == 25


def test_the_batched_chunk_policy_decides_as_the_single_one(trained_run, demonstrations):
    require_batch_as_single(trained_run, demonstrations)


@pytest.mark.parametrize("run", ["act"], indirect=True)  # diffusion draws its plans at random
def test_the_batched_policy_decides_as_the_single_one(run, demonstrations):
    require_batch_as_single(run, demonstrations)


def require_batch_as_single(run, demonstrations):
    """Two environments at once, each fed another stretch of the demonstrations."""
    starts, steps = (10, 60), 12
    batch = lerobot_batch_policy(run)
    batch.reset()
    decided = []
    for step in range(steps):
        rows = [start + step for start in starts]
        observation = {
            "agent_pos": demonstrations.state[rows].numpy(),
            "environment_state": demonstrations.environment_state[rows].numpy(),
            "last_action": demonstrations.last_action[rows].numpy(),
        }
        decided.append(batch.act(observation))
    single = single_policy(run)
    for index, start in enumerate(starts):
        single.reset()
        for step in range(steps):
            row = start + step
            observation = Observation(
                state=demonstrations.state[row].double().numpy(),
                capture_time=0.04 * step,
                environment_state=demonstrations.environment_state[row].double().numpy(),
                last_action=demonstrations.last_action[row].double().numpy(),
            )
            np.testing.assert_allclose(single.act(observation), decided[step][index], atol=1e-5)


def test_a_run_of_lerobots_is_not_exported_and_says_which_are(run, tmp_path):
    with pytest.raises(RefusedError, match="Only the chunk policy"):
        export_bundle(run, tmp_path / "look_at.bundle")


def test_training_that_was_cut_short_is_resumed_to_the_same_weights(demonstrations, recorded_dataset, tmp_path):
    """Dropout, the batches and the optimizer continue as they were, though checkpoints are not at evaluations alone."""
    whole = fit_act(demonstrations)

    def cut(progress):
        if progress.step == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_act(demonstrations, tmp_path, cut)
    points = []
    again = fit_act(demonstrations, tmp_path, points.append)
    assert [progress.step for progress in points] == [5, 10, 15, 20]
    for one, other in zip(whole.policy.state_dict().values(), again.policy.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(RefusedError, match=r"another batch_size"):
        fit_act(demonstrations, tmp_path, batch_size=4)


def test_a_frame_holds_what_the_chunk_policys_windows_hold(demonstrations, recorded_dataset):
    config = read_policy_config("diffusion", {"horizon": 8, "down_dims": [8, 16], "n_action_steps": 4})
    set_features(config, "state", demonstrations.layout, 0)
    frames = Frames(demonstrations, config, augment=False)
    made = cut_windows(demonstrations, demonstrations.episodes, n_obs_steps=2, chunk_size=7)
    for row in (0, 5, len(frames) - 1):
        item = frames[row]
        assert torch.equal(item["observation.state"], made.state[row])
        assert torch.equal(item["observation.environment_state"], made.environment_state[row])
        assert torch.equal(item["action"][1:], made.action[row])
        assert torch.equal(item["action_is_pad"][1:], made.is_pad[row])


@pytest.fixture(scope="module", params=["act", pytest.param("diffusion", marks=pytest.mark.long)])
def image_run(request, image_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp(f"{request.param}_images") / "run"
    settings = {**BRIEF, **KINDS[request.param], "max_steps": 2, "eval_every": 1, "batch_size": 2, "held_out_frames": 2}
    settings |= {"image_height": 32, "obs_type": "pixels"}
    return train_imitation(image_dataset, out, policy=request.param, seed=0, settings=settings)


def act_once(run, **observed):
    torch.manual_seed(0)  # diffusion draws its plans at random
    policy = single_policy(run)
    policy.reset()
    return policy.act(Observation(state=np.zeros(9), capture_time=0.0, **observed))


def test_an_image_policy_takes_the_image_and_the_pose_alone(image_run, image_dataset):
    height, width, _ = read_layout(image_dataset).image_shape
    shape = [3, 32, round(32 * width / height)]
    config = json.loads((image_run.path / MODEL / "config.json").read_text())
    assert set(config["input_features"]) == {"observation.state", IMAGE}
    assert config["input_features"][IMAGE]["shape"] == shape
    assert image_run.card.inputs == {"observation.state": [9], IMAGE: shape}
    assert IMAGE in (image_run.path / "README.md").read_text()

    def action(brightness, features=0.0, last_action=0.0):
        image = np.full((height, width, 3), brightness, dtype=np.uint8)
        rest = {"environment_state": np.full(5, features), "last_action": np.full(9, last_action)}
        return act_once(image_run, images={CAMERA: image}, **rest)

    assert action(0).shape == (9,)
    assert np.array_equal(action(0), action(0, features=1.0))
    assert np.array_equal(action(0), action(0, last_action=0.1))
    assert not np.array_equal(action(0), action(255))
    with pytest.raises(WrongUseError, match="camera"):
        act_once(image_run, environment_state=np.zeros(5))


@pytest.mark.parametrize("image_run", ["act"], indirect=True)
def test_an_image_policy_is_evaluated_with_the_camera_on(image_run, tmp_path):
    (evaluation,) = evaluate_policies([str(image_run.path)], episodes=1).results
    assert len(evaluation.episodes) == 1
    with pytest.raises(RefusedError, match="Only the chunk policy"):
        export_bundle(image_run, tmp_path / "look_at.bundle")


def test_a_camera_dataset_gives_features_by_default_as_to_the_chunk_policy(image_dataset, tmp_path):
    settings = {**BRIEF, **TINY_ACT, "max_steps": 1, "eval_every": 1, "batch_size": 2, "held_out_frames": 2}
    run = train_imitation(image_dataset, tmp_path / "act", policy="act", settings=settings)
    chunk = train_imitation(image_dataset, tmp_path / "chunk", settings={"max_steps": 1, "eval_every": 1})
    assert set(run.card.inputs) == {"observation.state", "observation.environment_state"}
    assert set(chunk.card.inputs) == {*run.card.inputs, "observation.last_action"}


@pytest.mark.parametrize(
    ("kind", "settings", "match"),
    [
        ("bct", {}, "--policy bct does not exist; there are chunk, act, diffusion"),
        ("reachy_residual", {}, "--policy reachy_residual does not exist"),
        ("act", {"chunk_sise": 3}, "no setting is called chunk_sise; there are .*chunk_size"),
        ("act", {"n_action_steps": "many"}, "n_action_steps does not fit"),
        ("act", {"n_action_steps": 200}, "chunk size is the upper bound"),
        ("act", {"obs_type": "pixels"}, "Record it with --camera"),
        ("act", {"obs_type": "smell"}, "state, pixels, pixels_state"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(kind, settings, match, recorded_dataset, tmp_path):
    with pytest.raises(WrongUseError, match=match):
        train_imitation(recorded_dataset, tmp_path / "run", policy=kind, seed=0, settings=settings)
    assert not (tmp_path / "run").exists()


LEROBOTS_KINDS = sorted(
    kind
    for kind, config in PreTrainedConfig.get_known_choices().items()
    if config.__module__.startswith("lerobot.policies.")
)


@pytest.mark.parametrize("kind", LEROBOTS_KINDS)
@pytest.mark.parametrize("obs_type", ["state", "pixels"])
def test_every_kind_of_lerobots_trains_or_says_in_a_line_what_there_is_instead(
    kind, obs_type, recorded_dataset, image_dataset, tmp_path, monkeypatch
):
    asked = []

    def refuse(host, *arguments, **options):
        asked.append(host)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    settings = {**BRIEF, **KINDS.get(kind, {}), "max_steps": 2, "eval_every": 1, "batch_size": 2, "held_out_frames": 2}
    settings |= {"obs_type": obs_type, "image_height": 32}
    dataset = image_dataset if obs_type == "pixels" else recorded_dataset
    try:
        assert train_imitation(dataset, tmp_path / "run", policy=kind, settings=settings).card.steps in (1, 2)
        assert kind in KINDS
    except WrongUseError as error:
        assert kind not in KINDS, error
        assert str(error).startswith(f"--policy {kind} ")
        assert "; here there are chunk, act, diffusion" in str(error)
        assert "\n" not in str(error)
        assert not (tmp_path / "run").exists()
    assert asked == []


@PreTrainedConfig.register_subclass("plugins_own")
@dataclass
class PluginsOwnConfig(ACTConfig):
    """A kind of policy of another package; what its constructor or its loss raises is anything."""

    broken: str = "loss"


class PluginsOwnPolicy(ACTPolicy):
    config_class = PluginsOwnConfig
    name = "plugins_own"

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        if config.broken == "constructor":
            raise RuntimeError("no such device\nTraceback (most recent call last)")

    def forward(self, batch):
        return batch["index"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [("constructor", "does not fit .*: no such device$"), ("loss", "cannot be trained on .*KeyError")],
)
def test_what_a_plugins_policy_raises_becomes_a_line(broken, said, recorded_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_training, "make_policy", lambda config, ds_meta: PluginsOwnPolicy(config))
    monkeypatch.setattr(
        lerobot_training, "make_pre_post_processors", lambda config, **given: make_act_pre_post_processors(config)
    )
    with pytest.raises(KitError, match=said):
        train_imitation(
            recorded_dataset, tmp_path / "run", policy="plugins_own", settings={**BRIEF, **TINY_ACT, "broken": broken}
        )


def test_a_damaged_run_is_refused(run, tmp_path):
    copy = shutil.copytree(run.path, tmp_path / "run")
    (copy / MODEL / "policy_preprocessor.json").unlink()
    with pytest.raises(RefusedError, match="Train it again"):
        single_policy(open_run(copy))
