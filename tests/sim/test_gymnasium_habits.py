"""What people do with any Gymnasium environment: lengths, copies, films, windows, a keyboard, other batches."""

import contextlib
import copy
import itertools
import pickle
import sys

import gymnasium
import imageio.v3 as iio
import numpy as np
import pygame
import pytest
from gymnasium.utils.play import play
from gymnasium.wrappers import RecordEpisodeStatistics, RecordVideo, TimeLimit

from reachy_kit.runtime.errors import MissingPackageError, WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, PITCH, YAW
from reachy_kit.runtime.tasks.task_registry import known_tasks
from reachy_sim.envs.single_env import ReachyMiniEnv
from reachy_sim.envs.vector_env import ReachyMiniVectorEnv

LOOK_AT = "ReachyMini/LookAt-v0"
GYM_IDS = [spec.gym_id for spec in known_tasks()]
STILL = NEUTRAL.astype(np.float32)


def length(env) -> int:
    """Number of decisions until the episode is truncated, at most 600."""
    env.reset(seed=0)
    for step in range(1, 601):
        *_, truncated, _ = env.step(STILL)
        if truncated:
            return step
    return 0


def batch_length(envs) -> int:
    envs.reset(seed=0)
    for step in range(1, 601):
        *_, truncated, _ = envs.step(np.tile(STILL, (envs.num_envs, 1)))
        if truncated.any():
            return step
    return 0


# Length of an episode


@pytest.mark.parametrize("name", GYM_IDS)
def test_a_longer_episode_than_the_tasks_own_is_as_long_as_asked(name):
    env = gymnasium.make(name, tier="kinematic", max_episode_steps=500)
    assert env.spec.max_episode_steps == 500
    assert length(env) == 500


@pytest.mark.parametrize(("hz", "own"), [(50, 175), (25, 88), (10, 35)])
def test_the_tasks_own_length_is_in_the_specification_at_every_rate(hz, own):
    env = gymnasium.make(LOOK_AT, tier="kinematic", policy_hz=hz)
    assert (env.spec.max_episode_steps, length(env)) == (own, own)
    short = gymnasium.make(LOOK_AT, tier="kinematic", policy_hz=hz, max_episode_steps=20)
    assert (short.spec.max_episode_steps, length(short)) == (20, 20)


def test_what_is_made_again_from_its_specification_has_the_same_length():
    env = gymnasium.make(LOOK_AT, tier="kinematic", max_episode_steps=120)
    assert length(gymnasium.make(env.spec)) == 120
    assert length(env.spec.make()) == 120
    assert length(gymnasium.make(gymnasium.make(LOOK_AT, tier="kinematic").spec)) == 88


def test_without_a_limit_an_episode_does_not_end():
    env = gymnasium.make(LOOK_AT, tier="kinematic", max_episode_steps=-1)
    assert (env.spec.max_episode_steps, length(env)) == (None, 0)


def test_environments_that_are_not_made_by_gymnasium_take_the_argument_too():
    assert length(ReachyMiniEnv(tier="kinematic")) == 88
    assert length(ReachyMiniEnv(tier="kinematic", max_episode_steps=100)) == 100
    assert length(TimeLimit(ReachyMiniEnv(tier="kinematic"), 30)) == 30
    with pytest.raises(WrongUseError, match="max_episode_steps=0: at least one"):
        ReachyMiniEnv(tier="kinematic", max_episode_steps=0)


def test_an_environment_made_inside_another_has_its_own_length():
    class Outer(gymnasium.Wrapper):
        def __init__(self):
            super().__init__(ReachyMiniEnv(tier="kinematic"))

    gymnasium.register("Tests/Outer-v0", Outer)
    assert length(gymnasium.make("Tests/Outer-v0", max_episode_steps=200)) == 88


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])
@pytest.mark.parametrize(("given", "expected"), [({}, 88), ({"max_episode_steps": 130}, 130)])
def test_batches_have_the_length_that_was_asked_for(mode, given, expected):
    envs = gymnasium.make_vec(LOOK_AT, 2, vectorization_mode=mode, tier="kinematic", **given)
    assert batch_length(envs) == expected
    if mode == "vector_entry_point":
        assert envs.spec.max_episode_steps == expected


# Copies


def continues_equally(one, other, actions, assert_same):
    for action in actions:
        assert_same(other.step(action), one.step(action))


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}


@pytest.mark.parametrize(
    ("name", "tier", "how"),
    [
        pytest.param(*case, marks=() if case[0] == LOOK_AT or case[2] == "deepcopy" else pytest.mark.long)
        for case in itertools.product(GYM_IDS, ("kinematic", "physics"), COPIES)
    ],
)
def test_a_copy_continues_the_episode_and_the_next_bit_for_bit(name, tier, how, assert_same):
    env = gymnasium.make(name, tier=tier, randomization="wide", variant="training")
    env.reset(seed=5)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(40)]
    for action in actions[:7]:
        env.step(action)
    other = COPIES[how](env)
    continues_equally(env, other, actions[7:], assert_same)
    assert_same(other.reset(), env.reset())  # the same next episode
    continues_equally(env, other, actions[:5], assert_same)
    assert other.spec == env.spec


def test_a_copy_leaves_the_original_alone(assert_same):
    env, twin = (gymnasium.make(LOOK_AT, tier="physics") for _ in range(2))
    for each in (env, twin):
        each.reset(seed=1)
        each.step(STILL)
    other = copy.deepcopy(env)
    for _ in range(10):
        other.step(env.action_space.high)
    assert_same(env.step(STILL), twin.step(STILL))


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize(
    "options",
    [{"tier": "kinematic"}, {"tier": "physics"}, {"tier": "physics", "processes": 2}],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_copy_of_a_batch_continues_it_through_the_ends_of_episodes(options, how, assert_same):
    envs = gymnasium.make_vec("ReachyMini/Track-v0", 3, max_episode_steps=12, variant="hard", **options)
    envs.reset(seed=[4, 9, 2])
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(20)]
    for action in actions[:5]:
        envs.step(action)
    other = COPIES[how](envs)
    continues_equally(envs, other, actions[5:], assert_same)
    envs.close()
    with contextlib.closing(gymnasium.make_vec("ReachyMini/Track-v0", 3, variant="hard", tier=options["tier"])) as new:
        assert_same(other.reset(seed=3)[0], new.reset(seed=3)[0])
    other.close()


def test_a_copy_draws_with_a_renderer_of_its_own():
    env = gymnasium.make(LOOK_AT, tier="kinematic", obs_type="pixels_state", render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    other = copy.deepcopy(env)
    env.close()
    assert np.array_equal(other.render(), image)
    other.close()


# Films


def test_record_video_writes_an_episode(tmp_path):
    env = gymnasium.make(LOOK_AT, tier="kinematic", render_mode="rgb_array", policy_hz=10)
    env = RecordEpisodeStatistics(RecordVideo(env, str(tmp_path), disable_logger=True))
    env.reset(seed=0)
    truncated = False
    while not truncated:
        *_, truncated, info = env.step(STILL)
    env.close()
    (film,) = tmp_path.glob("*.mp4")
    assert iio.imread(film).shape == (36, 180, 320, 3)  # 35 decisions and the start
    assert info["episode"]["l"] == 35


def test_record_video_of_a_batch_writes_its_images(tmp_path):
    envs = gymnasium.make_vec(LOOK_AT, 2, tier="kinematic", render_mode="rgb_array", policy_hz=10)
    envs = gymnasium.wrappers.vector.RecordVideo(envs, str(tmp_path), video_length=5, disable_logger=True)
    envs.reset(seed=0)
    for _ in range(6):
        envs.step(envs.action_space.sample())
    envs.close()
    assert len(list(tmp_path.glob("*.mp4"))) == 1


@pytest.mark.parametrize("mode", ["rgb_array_list", "robot"])
def test_other_render_modes_are_made_without_a_warning(mode, recwarn):
    env = gymnasium.make(LOOK_AT, tier="kinematic", render_mode=mode)
    env.reset(seed=0)
    env.step(STILL)
    assert np.shape(env.render()) == ((2, 180, 320, 3) if mode == "rgb_array_list" else (500, 800, 3))
    assert [str(warning.message) for warning in recwarn] == []
    env.close()


# Windows. SDL's dummy driver (conftest.py) keeps them in memory.


def test_human_rendering_shows_every_step_in_a_window():
    env = gymnasium.make(LOOK_AT, tier="kinematic", render_mode="human")
    env.reset(seed=0)
    first = pygame.surfarray.array3d(pygame.display.get_surface())
    assert first.std() > 10  # the robot, and not an empty window
    action = STILL.copy()
    action[YAW] = 0.8
    for _ in range(5):
        env.step(action)
    assert env.render() is None
    assert (pygame.surfarray.array3d(pygame.display.get_surface()) != first).any()
    other = copy.deepcopy(env)
    env.close()
    other.step(action)  # in a window of its own
    other.close()
    assert pygame.display.get_surface() is None


def test_without_pygame_the_window_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingPackageError, match=r"needs pygame-ce\. Install it: ") as refused:
        gymnasium.make(LOOK_AT, tier="kinematic", render_mode="human")
    assert refused.value.extra == "view"


def test_gymnasiums_play_drives_with_the_keyboard():
    down = STILL.copy()
    down[PITCH] = 0.4
    pressed = []

    def on_step(before, after, action, *_):
        pressed.append(bool(np.array_equal(action, down)))
        if len(pressed) == 3:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=ord("s")))
        if len(pressed) == 8:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    env = gymnasium.make(LOOK_AT, tier="kinematic", render_mode="rgb_array")
    play(env, keys_to_action={"s": down}, noop=STILL, callback=on_step, fps=200, seed=0)
    assert pressed == [False] * 3 + [True] * 5
    env.close()


# Other ways of batching


def test_gymnasiums_asynchronous_batch_equals_ours(assert_same):
    def run(envs):
        observations = [envs.reset(seed=3)[0]]
        for _ in range(4):
            observations.append(envs.step(np.tile(STILL, (2, 1)))[0])
        envs.close()
        return tuple(observations)

    ours = gymnasium.make_vec(LOOK_AT, 2, tier="kinematic")
    theirs = gymnasium.make_vec(
        LOOK_AT, 2, vectorization_mode="async", tier="kinematic", vector_kwargs={"context": "spawn"}
    )
    assert isinstance(ours.unwrapped, ReachyMiniVectorEnv)
    assert_same(run(theirs), run(ours))
