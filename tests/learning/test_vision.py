"""The chunk policy on images: their resizing, that its encoder finds a ball, imitation and reinforcement learning."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import CAMERA, Observation
from reachy_kit.runtime.recording.schema import IMAGE
from reachy_kit.workflows.driving.run_plan import RunSettings, plan_run
from reachy_kit.workflows.group_comparison import compare_policies
from reachy_kit.workflows.inputs.drivers import read_drivers
from reachy_kit.workflows.run import run
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_kit.workflows.training.train_rl import train_rl
from reachy_policies.data.demonstrations import load_demonstrations, load_images
from reachy_policies.data.image_tensors import CHUNK_IMAGE_SHAPE, resize_images
from reachy_policies.models.chunk import ReachyChunkConfig
from reachy_policies.models.chunk.vision_network import VisionChunkNetwork
from reachy_policies.onnx_export import export_bundle
from reachy_policies.runs.policy_loader import batch_policy, lerobot_batch_policy, load_chunk_policy, single_policy
from reachy_policies.runs.saved_run import open_run

BRIEF = {"obs_type": "pixels", "max_steps": 10, "eval_every": 5, "checkpoint_every": 5, "batch_size": 16}
TINY = {
    "num_envs": 4,
    "eval_episodes": 4,
    "iterations": 2,
    "eval_every": 1,
    "warmup": 1,
    "epochs": 2,
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def vision_run(image_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("vision") / "run"
    return train_imitation(image_dataset, out, settings=dict(BRIEF))


@pytest.fixture(scope="module")
def reinforced_run(vision_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("reinforced") / "run"
    return train_rl(out, task="look_at", init=vision_run.path, settings=dict(TINY))


def weights(run):
    return load_chunk_policy(open_run(run.path)).state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def ball_image(right=0.0, down=0.0, background=200):
    """A grey wall with a green ball of 3 × 3 pixels, its place in halves of the image."""
    _, rows, columns = CHUNK_IMAGE_SHAPE
    image = np.full((rows, columns, 3), background, dtype=np.uint8)
    row, column = round((down + 1) / 2 * (rows - 3)), round((right + 1) / 2 * (columns - 3))
    image[row : row + 3, column : column + 3] = (20, 230, 40)
    return image


def test_of_a_square_image_the_middle_rows_are_kept_and_of_the_robots_stream_everything():
    _, rows, columns = CHUNK_IMAGE_SHAPE
    square = np.random.default_rng(0).integers(0, 256, (2, columns, columns, 3), dtype=np.uint8)
    above = (columns - rows) // 2
    middle = resize_images(square, (rows, columns))
    assert torch.equal(middle, torch.from_numpy(square[:, above : above + rows]).permute(0, 3, 1, 2))
    stream = np.zeros((180, 320, 3), dtype=np.uint8)
    stream[:, :160] = 255
    halves = resize_images(stream, (rows, columns))
    assert halves.shape == CHUNK_IMAGE_SHAPE
    assert (halves[:, :, : columns // 2 - 1] == 255).all()
    assert (halves[:, :, columns // 2 + 1 :] == 0).all()


def test_an_image_that_is_wider_than_the_trained_ones_is_refused():
    with pytest.raises(WrongUseError, match="wide as high"):
        resize_images(np.zeros((100, 320, 3), dtype=np.uint8), CHUNK_IMAGE_SHAPE[1:])


def test_the_image_encoder_learns_where_a_small_ball_is():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = ReachyChunkConfig()
    network = VisionChunkNetwork(config, action_dim=9, shape=CHUNK_IMAGE_SHAPE, env_dim=2)
    rng = np.random.default_rng(0)
    places = rng.uniform(-0.9, 0.9, (512, 2)).astype(np.float32)
    images = np.stack([ball_image(*place, background=int(rng.integers(120, 240))) for place in places])
    shown = torch.from_numpy(images).permute(0, 3, 1, 2).flatten(1)[:, None].expand(-1, 2, -1)
    state, last, wanted = torch.zeros(512, config.n_obs_steps, 9), torch.zeros(512, 9), torch.from_numpy(places)
    network.fit_auxiliary_features(wanted)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    def loss(rows):
        return network.auxiliary_feature_loss(
            network.inputs_from(network.normalised(state[rows], shown[rows], last[rows])), wanted[rows]
        )

    for _ in range(100):
        optimizer.zero_grad()
        loss(torch.randint(0, 448, (32,))).backward()
        optimizer.step()
    with torch.no_grad():
        assert loss(torch.arange(448, 512)) < 0.1  # of the places' variance, on images that were not trained on


def test_an_imitation_takes_images_and_not_features(vision_run):
    config = json.loads((vision_run.path / "pretrained_model" / "config.json").read_text())
    assert config["input_features"][IMAGE]["shape"] == list(CHUNK_IMAGE_SHAPE)
    assert "observation.environment_state" not in config["input_features"]
    policy = single_policy(vision_run)

    def action(right, features=0.0):
        policy.reset()
        images = {CAMERA: ball_image(right)}
        return policy.act(Observation(np.zeros(9), 0.0, environment_state=np.full(5, features), images=images))

    assert np.array_equal(action(0.5), action(0.5, features=1.0))
    assert not np.array_equal(action(0.5), action(-0.5))
    policy.reset()
    with pytest.raises(WrongUseError, match="camera"):
        policy.act(Observation(np.zeros(9), 0.0, environment_state=np.zeros(5)))


def test_it_acts_alike_in_the_control_loop_in_a_batch_and_as_lerobot_runs_it(vision_run):
    rng = np.random.default_rng(0)
    single, batch, lerobots = single_policy(vision_run), batch_policy(vision_run), lerobot_batch_policy(vision_run)
    single.reset()
    for step in range(6):
        state, last, pixels = rng.normal(0, 0.1, 9), rng.normal(0, 0.1, 9), ball_image(rng.uniform(-0.9, 0.9))
        observed = {
            "agent_pos": state[None].astype("f4"),
            "last_action": last[None].astype("f4"),
            "pixels": pixels[None],
        }
        expected = single.act(Observation(state, step / 10, last_action=last, images={CAMERA: pixels}))
        assert np.allclose(batch.act(observed)[0], expected, atol=1e-5)
        assert np.allclose(lerobots.act(observed)[0], expected, atol=1e-5)


def test_the_videos_are_read_frame_by_frame(image_dataset):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    read = load_images(load_demonstrations(image_dataset), (180, 320)).images
    dataset = LeRobotDataset("local/images", root=image_dataset, video_backend="pyav")
    for frame in (0, 7, len(dataset) // 2, len(dataset) - 1):
        assert (read[frame].float() / 255 - dataset[frame][IMAGE]).abs().max() < 0.01


def test_an_interrupted_imitation_is_resumed_to_the_same_weights(vision_run, image_dataset, tmp_path):
    out, points = tmp_path / "run", []

    def once(progress):
        points.append(progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_imitation(image_dataset, out, seed=0, settings=dict(BRIEF), on_progress=once)
    assert [progress.step for progress in points] == [5]
    again = train_imitation(image_dataset, out, seed=0, settings=dict(BRIEF))
    assert same(weights(again), weights(vision_run))


def test_reinforcement_learning_changes_the_image_encoder_and_keeps_its_evaluations(reinforced_run, vision_run):
    start, end = (
        weights(vision_run),
        load_chunk_policy(open_run(reinforced_run.path / "checkpoints" / "2")).state_dict(),
    )
    assert any(not torch.equal(start[name], end[name]) for name in start if name.startswith("network.image_encoder."))
    assert (reinforced_run.card.method, reinforced_run.card.policy_hz) == ("ppo", 10)  # as its start
    assert reinforced_run.card.settings["obs_type"] == "pixels"


def test_reinforcement_learning_from_images_is_resumed_where_it_was_interrupted(
    reinforced_run, vision_run, tmp_path, train_interrupted
):
    options = {"task": "look_at", "init": vision_run.path}
    train_interrupted(tmp_path / "run", after_iteration=1, **options, settings=dict(TINY))
    resumed = train_rl(tmp_path / "run", **options, settings=dict(TINY))
    assert same(weights(resumed), weights(reinforced_run))


@pytest.mark.parametrize("method", ["bc-continue", "filtered-bc", "residual"])
def test_what_needs_features_refuses_a_policy_that_takes_images(method, vision_run, tmp_path):
    with pytest.raises((WrongUseError, RefusedError), match=r"images|observation\.images"):
        train_rl(tmp_path / "run", task="look_at", init=vision_run.path, method=method, settings=dict(TINY))


def test_what_the_start_observes_cannot_be_changed(vision_run, trained_run, tmp_path):
    with pytest.raises(WrongUseError, match="takes pixels"):
        train_rl(tmp_path / "run", task="look_at", init=vision_run.path, obs_type="state", settings=dict(TINY))
    with pytest.raises(WrongUseError, match="takes state"):
        train_rl(tmp_path / "run", task="look_at", init=trained_run.path, obs_type="pixels", settings=dict(TINY))
    with pytest.raises(WrongUseError, match="state and pixels"):
        train_rl(tmp_path / "run", task="look_at", init=None, method="scratch", obs_type="smell", settings=dict(TINY))
    with pytest.raises(WrongUseError, match="does not show"):
        train_rl(tmp_path / "run", task="dance", init=None, method="scratch", obs_type="pixels", settings=dict(TINY))


def test_images_that_are_missing_are_asked_for(recorded_dataset, tmp_path):
    with pytest.raises(WrongUseError, match="Record with --camera"):
        train_imitation(recorded_dataset, tmp_path / "run", seed=0, settings=dict(BRIEF))


def test_its_bundle_acts_on_the_robot_as_the_run_does(vision_run, tmp_path, actions_of_a_stranger):
    manifest = export_bundle(vision_run, tmp_path / "vision.bundle")
    assert manifest.parity_error < 1e-4
    assert manifest.graphs[0].inputs["images"].shape == [1, 2, *CHUNK_IMAGE_SHAPE]
    robots, runs = load_policy(read_bundle(tmp_path / "vision.bundle"), ()), single_policy(vision_run)
    robots.reset()
    runs.reset()
    rng = np.random.default_rng(0)
    shown = [ball_image(rng.uniform(-0.9, 0.9)) for _ in range(6)]
    state, last = rng.normal(0, 0.1, (2, 6, 9))
    actions = []
    for row, small in enumerate(shown):
        large = np.repeat(np.repeat(small, 5, axis=0), 5, axis=1)
        observation = Observation(state[row], 0.0, last_action=last[row], images={CAMERA: large})
        actions.append(robots.act(observation))
        assert np.allclose(actions[-1], runs.act(observation), atol=1e-4)
    observed = {"state": state, "images": np.moveaxis(shown, -1, 1), "last_action": last}
    assert np.allclose(actions_of_a_stranger(tmp_path / "vision.bundle", **observed), actions, atol=1e-5)
    with pytest.raises(WrongUseError, match="camera"):
        robots.act(Observation(np.zeros(9), 0.0, environment_state=np.zeros(5)))


@pytest.mark.long
def test_scratch_takes_images_too_and_eval_renders_them(tmp_path):
    options = {"init": None, "method": "scratch", "obs_type": "pixels", "settings": {**TINY, "iterations": 1}}
    scratch = train_rl(tmp_path / "scratch", task="look_at", **options)
    assert load_chunk_policy(scratch).config.image_shape == CHUNK_IMAGE_SHAPE
    policies = [str(scratch.path), "expert"]
    result = compare_policies(policies, task="look_at", tier="kinematic", episodes=3, variants="dim_light")
    assert list(result.comparison.scores["dim_light"]) == ["scratch", "expert"]


def test_its_bundle_runs_with_the_camera_on(vision_run, tmp_path):
    export_bundle(vision_run, tmp_path / "vision.bundle")
    settings = RunSettings(robot="sim", seconds=0.5)
    assert len(run([tmp_path / "vision.bundle"], settings).episodes) == 1
    with pytest.raises(WrongUseError, match="--no-camera"):
        run([tmp_path / "vision.bundle"], replace(settings, camera=False))


def test_its_bundle_opens_the_camera_of_a_real_robot_and_no_detector(vision_run, tmp_path):
    export_bundle(vision_run, tmp_path / "vision.bundle")
    plan = plan_run(read_drivers([tmp_path / "vision.bundle"]), RunSettings(robot="192.0.2.1"))
    assert plan.camera
    assert not plan.senses
