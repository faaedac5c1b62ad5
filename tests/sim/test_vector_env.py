"""The environments from outside: the libraries' own checkers, actions, resets, rewards, images, wrong names."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Observation
from reachy_kit.runtime.perception.camera import SIM_CAMERA
from reachy_kit.runtime.perception.target import BELOW, RIGHT, VISIBLE
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.tasks.task_registry import known_tasks
from reachy_sim.envs.single_env import ReachyMiniEnv
from reachy_sim.envs.spaces import OBS_TYPES
from reachy_sim.envs.vector_env import ReachyMiniVectorEnv
from reachy_sim.tasks import expert_policy

LOOK_AT, EPISODE = "ReachyMini/LookAt-v0", 35
"""And its decisions at 10 Hz."""
GYM_IDS = [spec.gym_id for spec in known_tasks()]
TIERS = ("kinematic", "physics")
ABSOLUTE_TARGETS = "symmetric and normalized"
"""Both libraries advise actions in [-1, 1]; ours are absolute targets, as on the robot."""


def vector(count=2, name=LOOK_AT, **options):
    return gymnasium.make_vec(name, count, **{"tier": "kinematic", "policy_hz": 10} | options)


def gaze(yaw=0.0, pitch=0.0):
    action = NEUTRAL.copy()
    action[[YAW, BODY_YAW, PITCH]] = yaw, yaw, pitch
    return action


@pytest.fixture
def envs():
    batch = vector(3)
    yield batch
    batch.close()


# The libraries' own checks


@pytest.mark.parametrize(
    ("name", "tier", "obs_type"),
    [
        pytest.param(name, tier, obs_type, marks=() if obs_type == "state" or name == LOOK_AT else pytest.mark.long)
        for name in GYM_IDS
        for tier in TIERS
        for obs_type in OBS_TYPES
    ],
)
def test_both_checkers_pass(name, tier, obs_type):
    render = (name, tier) == (LOOK_AT, "kinematic") and obs_type == "state"  # drawing the whole robot takes a second
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        env = gymnasium.make(name, tier=tier, obs_type=obs_type, disable_env_checker=True).unwrapped
        check_env(env, skip_render_check=not render)
        check_for_stable_baselines(env, skip_render_check=not render)
        env.close()
    assert [str(warning.message) for warning in warned if ABSOLUTE_TARGETS not in str(warning.message)] == []


@pytest.mark.parametrize("name", GYM_IDS)
def test_make_vec_returns_our_batch_and_not_a_loop_over_single_environments(name):
    batch, single = vector(3, name), gymnasium.make(name, tier="kinematic")
    assert isinstance(batch.unwrapped, ReachyMiniVectorEnv)
    assert isinstance(single.unwrapped, ReachyMiniEnv)
    assert batch.single_observation_space == single.observation_space
    assert batch.single_action_space == single.action_space
    assert batch.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "juggle"}, "dance, look_at, sound_orient, track"),
        ({"tier": "quantum"}, "physics, kinematic"),
        ({"obs_type": "smell"}, "state, pixels, pixels_state"),
        ({"reward": "money"}, "dense, sparse"),
        ({"variant": "upside_down"}, "training, out_of_view"),
        ({"randomization": "insane"}, "off, mild, wide"),
        ({"variant": "sluggish", "randomization": "mild"}, "a domain of its own"),
        ({"policy_hz": 7}, "50, 25, 10"),
        ({"render_mode": "human"}, "rgb_array, robot"),
        ({"tier": "physics", "physics": "sloppy"}, "daemon, fast, coarse"),
        ({"limits": "acrobat"}, "classroom"),
        ({"num_envs": 0}, "at least one"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_does_not_exist_is_refused_with_what_does(wrong, message):
    with pytest.raises(WrongUseError) as refused:
        ReachyMiniVectorEnv(**{"tier": "kinematic"} | wrong)
    assert message in str(refused.value)


def test_a_variant_without_a_domain_of_its_own_is_randomised_and_stays_what_it_is():
    def ball_and_senses(**options):
        batch = vector(8, "ReachyMini/Track-v0", **options)
        batch.reset(seed=0)
        for _ in range(10):
            observation, *_ = batch.step(np.tile(NEUTRAL, (8, 1)))
        ball = batch.unwrapped.simulation.target.copy()
        batch.close()
        return ball, observation["environment_state"]

    (ball, features), (same_ball, other_features) = (
        ball_and_senses(variant="hard", randomization=spread) for spread in ("off", "wide")
    )
    calm_ball, _ = ball_and_senses(randomization="wide")
    assert np.array_equal(ball, same_ball)
    assert not np.array_equal(features, other_features)
    assert not np.array_equal(ball, calm_ball)


# Actions


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([gaze(), [*gaze()[:4], np.nan, *gaze()[5:]]], "environment 1 is nan for head_pitch.pos"),
        ([gaze(), [*gaze()[:8], -np.inf]], "environment 1 is -inf for left_antenna.pos"),
        ([gaze()], r"shape \(1, 9\); \(2, 9\) is wanted"),
        (gaze(), r"shape \(9,\)"),
        (np.zeros((2, 8)), r"shape \(2, 8\)"),
    ],
    ids=["nan", "infinite", "one too few", "no batch", "eight numbers"],
)
def test_a_broken_action_names_its_environment_and_moves_nothing(broken, message, tier):
    disturbed, smooth = vector(tier=tier), vector(tier=tier)
    good = np.array([gaze(0.3), gaze(-0.2, 0.1)])
    for batch in (disturbed, smooth):
        batch.reset(seed=4)
        batch.step(good)
    with pytest.raises(WrongUseError, match=message):
        disturbed.step(broken)
    for result, expected in zip(disturbed.step(good), smooth.step(good), strict=True):
        np.testing.assert_equal(result, expected)


@pytest.mark.parametrize("tier", TIERS)
def test_the_robot_moves_to_its_targets(tier):
    batch = vector(tier=tier)
    batch.reset(seed=0)
    for _ in range(20):
        observation, *_ = batch.step([gaze(0.4, 0.2), gaze(-0.4, -0.2)])
    np.testing.assert_allclose(observation["agent_pos"][:, [YAW, PITCH]], [[0.4, 0.2], [-0.4, -0.2]], atol=0.03)
    np.testing.assert_allclose(
        observation["last_action"][:, : ANTENNAS.start],
        np.array([gaze(0.4, 0.2), gaze(-0.4, -0.2)])[:, : ANTENNAS.start],
        atol=1e-6,
    )


def extremes(space, rng, count):
    """Corners of the space, points far outside it, and points inside."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    corner = np.where(rng.random((count, 9)) < 0.5, low, high)
    return np.where(
        rng.random((count, 1)) < 0.3,
        100 * corner,
        np.where(rng.random((count, 1)) < 0.5, corner, rng.uniform(low, high)),
    )


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", GYM_IDS)
def test_observations_stay_inside_their_space_whatever_is_commanded(name, tier):
    batch, rng = vector(4, name, tier=tier, randomization="wide"), np.random.default_rng(0)
    observation, _ = batch.reset(seed=0)
    for _ in range(25):
        assert batch.observation_space.contains(observation)
        observation, *_ = batch.step(extremes(batch.single_action_space, rng, 4))


# Reset


@pytest.mark.parametrize("tier", TIERS)
def test_an_episode_starts_exactly_at_a_given_pose(tier):
    batch = vector(3, tier=tier)
    poses = np.array([gaze(0.5, -0.1), gaze(-1.0, 0.2), [0.005, -0.004, 0.01, 0.1, 0.0, 0.2, 0.0, 1.0, -1.5]])
    observation, _ = batch.reset(seed=0, options={"pose": poses})
    np.testing.assert_allclose(observation["agent_pos"], poses, atol=1e-6)
    np.testing.assert_allclose(observation["last_action"], poses, atol=1e-6)
    observation, _ = batch.reset(options={"pose": poses[1]})
    np.testing.assert_allclose(observation["agent_pos"], poses[[1, 1, 1]], atol=1e-6)


def test_a_mask_resets_only_the_selected_environments(envs):
    envs.reset(seed=0)
    for _ in range(4):
        before, *_ = envs.step([gaze(0.5)] * 3)
    mask, pose = np.array([False, True, False]), gaze(-0.3, 0.1)
    after, info = envs.reset(options={"reset_mask": mask, "pose": pose})
    np.testing.assert_allclose(after["agent_pos"][1], pose, atol=1e-6)
    for key, value in after.items():
        np.testing.assert_array_equal(value[~mask], before[key][~mask], err_msg=key)
    np.testing.assert_array_equal(info["_is_success"], mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pose": gaze()[:8]}, r"shape \(8,\)"),
        ({"pose": [gaze()] * 2}, r"shape \(2, 9\); \(9,\) or \(3, 9\)"),
        ({"reset_mask": np.array([True])}, "3 booleans"),
        ({"reset_mask": np.zeros(3, dtype=np.bool_)}, "with a True among them"),
        ({"reset_mask": np.array([1, 0, 0])}, "3 booleans"),
    ],
    ids=["eight numbers", "two poses", "one boolean", "all false", "no booleans"],
)
def test_invalid_options_are_refused(options, message, envs):
    envs.reset(seed=0)
    with pytest.raises(WrongUseError, match=message):
        envs.reset(options=options)


@pytest.mark.parametrize("tier", TIERS)
def test_a_pose_out_of_reach_is_refused_by_environment(tier):
    batch = vector(3, tier=tier)
    poses = np.array([gaze(), gaze(), gaze()])
    poses[2, 2] = 0.1
    with pytest.raises(WrongUseError, match="start pose of environment 2"):
        batch.reset(seed=0, options={"pose": poses})


def test_seeds_may_be_given_one_by_one(envs):
    one_by_one, _ = envs.reset(seed=[5, 0, 6])
    for row, seed in ((0, 5), (1, 0), (2, 6)):
        counted, _ = vector(1).reset(seed=seed)
        np.testing.assert_array_equal(one_by_one["agent_pos"][row], counted["agent_pos"][0])
    with pytest.raises(WrongUseError, match="2 seeds for 3"):
        envs.reset(seed=[1, 2])


# Reward


def episode(name, count=4, **options):
    """(steps, N) rewards, success and info of an episode of the oracle."""
    batch = vector(count, name, policy_hz=25, **options)
    observation, _ = batch.reset(seed=0)
    oracle = expert_policy(batch.unwrapped.task, 25, count, oracle=True)
    oracle.reset(np.arange(count), np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64))
    steps, truncated = [], np.zeros(count, dtype=np.bool_)
    while not truncated.any():
        parts = (observation[key].astype(np.float64) for key in ("agent_pos", "environment_state", "last_action"))
        observation, reward, terminated, truncated, info = batch.step(oracle.act(*parts))
        assert not terminated.any()
        steps.append((reward, info))
    return steps


@pytest.mark.parametrize("name", GYM_IDS)
def test_the_sparse_reward_is_one_exactly_once_when_the_success_comes(name):
    steps = episode(name, reward="sparse")
    rewards = np.array([reward for reward, _ in steps])
    success = np.array([info["is_success"] for _, info in steps])
    assert success[-1].any()
    np.testing.assert_array_equal(rewards, np.diff(success, axis=0, prepend=False).astype(float))
    np.testing.assert_array_equal(rewards.sum(axis=0), success[-1])


@pytest.mark.parametrize("name", GYM_IDS)
def test_the_dense_reward_is_the_sum_of_its_named_terms(name):
    for reward, info in episode(name, count=2):
        terms = {key: value for key, value in info["reward_terms"].items() if not key.startswith("_")}
        np.testing.assert_allclose(sum(terms.values()), reward, atol=1e-12)
        assert (reward <= 1.0).all()


def test_an_episode_lasts_as_long_as_its_task():
    steps = episode(LOOK_AT, count=1)
    assert len(steps) == round(3.5 * 25)


# Images


def detected(image):
    """Features that the detector finds in an image."""
    return CameraPerception(BallDetector()).perceive(Observation(NEUTRAL, 0.0, images={"head": image}))


@pytest.mark.parametrize("variant", ["training", "late"])
def test_images_agree_with_the_features_and_have_their_latency(variant):
    batch = vector(2, obs_type="pixels_state", policy_hz=50, image_size=192, variant=variant)
    batch.reset(seed=3)
    errors, neither = [], 0
    for step in range(60):
        observation, *_ = batch.step([gaze(0.4 * np.sin(0.2 * step)), gaze(-0.3 * np.sin(0.2 * step))])
        for image, features in zip(observation["pixels"], observation["environment_state"], strict=True):
            found = detected(image)
            if features[VISIBLE] and found[VISIBLE] and (np.abs(features[[RIGHT, BELOW]]) < (0.6, 0.4)).all():
                errors.append(np.hypot(*(found - features)[[RIGHT, BELOW]]))
            neither += not features[VISIBLE] and not found[VISIBLE]
    # The noise of the features; the head turns by up to 3° a tick.
    assert np.rad2deg(np.quantile(errors, 0.9)) < 1.0
    assert len(errors) > 40
    assert neither > 5
    batch.close()


def test_a_target_that_has_not_appeared_is_not_drawn():
    batch = vector(4, obs_type="pixels", policy_hz=50)
    observation, _ = batch.reset(seed=0)
    appears = batch.unwrapped.simulation.scenario.appears
    drawn = []
    for _ in range(40):
        drawn.append([detected(image)[VISIBLE] for image in observation["pixels"]])
        observation, *_ = batch.step([gaze()] * 4)
    first = np.argmax(drawn, axis=0) / 50
    # Each start pose has the target's place in view; the ball is in the image one latency after it has appeared.
    assert ((first >= appears + 0.04 - 1e-9) & (first < appears + 0.08)).sum() >= 3
    batch.close()


def test_rendering_gives_an_image_for_each_environment():
    batch = vector(2, render_mode="rgb_array", obs_type="pixels")
    batch.reset(seed=0)
    images = batch.render()
    assert [image.shape for image in images] == [(SIM_CAMERA.height, SIM_CAMERA.width, 3)] * 2
    assert all(image.dtype == np.uint8 and image.std() > 1 for image in images)
    assert len(batch.call("render")) == 2
    single = gymnasium.make(LOOK_AT, tier="kinematic", render_mode="rgb_array")
    single.reset(seed=0)
    np.testing.assert_array_equal(single.render(), images[0])
    batch.close()
    single.close()


def test_without_a_render_mode_nothing_is_rendered(envs):
    envs.reset(seed=0)
    assert envs.render() is None
    assert envs.call("render") == (None,) * 3


# The rest of Gymnasium's interface


def test_attributes_come_once_for_each_environment(envs):
    assert envs.get_attr("task") == ("look_at",) * 3
    assert envs.call("task_description")[1].startswith("Look at the ball")
    assert envs.get_attr("_max_episode_steps") == (EPISODE,) * 3
    with pytest.raises(WrongUseError, match="make_vec"):
        envs.set_attr("task", "dance")


def test_closing_twice_does_no_harm():
    batch = vector(obs_type="pixels", render_mode="rgb_array")
    batch.reset(seed=0)
    batch.render()
    batch.close()
    batch.close()
    single = gymnasium.make(LOOK_AT, tier="kinematic")
    single.close()
    single.close()


def test_gymnasiums_own_wrappers_fit():
    flat = gymnasium.wrappers.vector.FlattenObservation(vector(2))
    assert flat.reset(seed=0)[0].shape == (2, 9 + 5 + 9)
    listed = gymnasium.wrappers.vector.DictInfoToList(vector(2, autoreset_mode=AutoresetMode.SAME_STEP))
    listed.reset(seed=0)
    for _ in range(EPISODE):
        observation, _, _, truncated, infos = listed.step(np.array([gaze()] * 2))
    assert truncated.all()
    for row, info in enumerate(infos):
        assert info["final_obs"].keys() == observation.keys()
        assert not np.array_equal(info["final_obs"]["agent_pos"], observation["agent_pos"][row])
        assert 0 <= info["final_info"]["error"] < np.pi


@pytest.mark.parametrize("tier", ["physics", "kinematic"])
def test_a_refused_start_pose_changes_nothing(tier):
    envs = gymnasium.make_vec("ReachyMini/LookAt-v0", num_envs=2, tier=tier, threads=1)
    untouched = gymnasium.make_vec("ReachyMini/LookAt-v0", num_envs=2, tier=tier, threads=1)
    for batch in (envs, untouched):
        batch.reset(seed=5)
    with pytest.raises(WrongUseError, match="cannot reach the start pose of environment 0"):
        envs.reset(seed=9, options={"pose": [0.0, 0.0, 0.2, 0, 0, 0, 0, 0, 0]})
    for _ in range(2):
        stepped = [batch.step(np.zeros((2, 9)))[0] for batch in (envs, untouched)]
        for value, expected in zip(*(observation.values() for observation in stepped), strict=True):
            np.testing.assert_array_equal(value, expected)
    for value, expected in zip(envs.reset()[0].values(), untouched.reset()[0].values(), strict=True):
        np.testing.assert_array_equal(value, expected)
