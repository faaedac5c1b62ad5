"""What all tasks and their variants share: episodes that can be begun, seeds, sightings, time that counts, experts."""

import numpy as np
import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, pose_from_vector, target_in_camera
from reachy_kit.runtime.interface import BODY_YAW, NEUTRAL, YAW, Observation
from reachy_kit.runtime.kinematics import reachable
from reachy_kit.runtime.perception.camera import SIM_CAMERA
from reachy_kit.runtime.perception.features import features_by_name
from reachy_kit.runtime.safety import CLASSROOM
from reachy_kit.runtime.tasks.task_registry import own_task_names
from reachy_sim import counter_rng
from reachy_sim.dynamics.model import BALL_RADIUS, HEAD_HEIGHT
from reachy_sim.tasks import simulated_task, single_expert_policy, variant_by_name
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.tasks.task import View
from reachy_sim.tasks.track import TRACK

SEEDS = np.arange(500, dtype=np.uint64)
EVERY = [(task, name) for task in own_task_names() for name in simulated_task(task).variants]
every_variant = pytest.mark.parametrize(("task", "name"), EVERY)
every_gaze_variant = pytest.mark.parametrize(("task", "name"), [one for one in EVERY if one[0] in ("look_at", "track")])
every_task = pytest.mark.parametrize("task", own_task_names())


def drawn(task, seeds=SEEDS):
    """Episodes of a task, one for each seed."""
    return task.scenario(counter_rng.uniform(seeds, np.zeros_like(seeds), counter_rng.SCENARIO, len(task.spans)))


def at(task, seconds):
    return np.full(len(SEEDS), seconds)


def view(states):
    poses = pose_from_vector(states)
    return View(states, poses[..., :3, :3], poses[..., :3, 3])


@every_variant
def test_every_episode_begins_where_the_robot_can_stand(task, name):
    start = drawn(variant_by_name(task, name).task).start
    assert reachable(pose_from_vector(start), start[:, BODY_YAW]).all()
    assert ((start >= CLASSROOM.low) & (start <= CLASSROOM.high)).all()
    assert (np.abs(start[:, YAW] - start[:, BODY_YAW]) <= CLASSROOM.relative_yaw).all()
    assert np.ptp(start[:, YAW]) > 0.5


@every_variant
def test_what_is_sensed_stays_inside_its_range_and_is_finite(task, name):
    chosen = variant_by_name(task, name).task
    low, high = np.array([(feature.low, feature.high) for feature in features_by_name(chosen.features[:-2])]).T
    scenario = drawn(chosen)
    normals = counter_rng.normal(counter_rng.uniform(SEEDS, SEEDS, counter_rng.SENSING, 4))
    for seconds in (0.0, 1.3, chosen.seconds):
        values, _ = chosen.sighting(scenario, at(chosen, seconds), view(scenario.start))
        noisy = chosen.noisy(values, normals, np.full(len(SEEDS), 5.0))
        for sensed in (values, noisy):
            assert ((sensed >= low) & (sensed <= high)).all()


@every_variant
def test_a_success_fits_into_the_episode(task, name):
    chosen = variant_by_name(task, name).task
    assert 0 < chosen.hold < chosen.seconds


@every_task
def test_an_episode_depends_on_its_seed_alone(task):
    chosen = simulated_task(task).task
    single, among = drawn(chosen, SEEDS[7:8]), drawn(chosen)
    for name, value in vars(single).items():
        np.testing.assert_array_equal(value[0], vars(among)[name][7], err_msg=name)
    assert len(np.unique(among.start[:, YAW])) == len(SEEDS)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("juggle",), "no task is called 'juggle'; there are dance, look_at, sound_orient, track"),
        (("dance", "tango"), "dance has no variant 'tango'; there are training, fast, slow"),
    ],
    ids=["task", "variant"],
)
def test_an_unknown_name_is_refused_with_a_list(names, said):
    with pytest.raises(WrongUseError) as refused:
        variant_by_name(*names)
    assert said in str(refused.value)


# The ball


@pytest.mark.parametrize("task", [LOOK_AT, TRACK], ids=lambda task: task.name)
def test_the_start_shows_where_the_ball_will_appear(task):
    scenario = drawn(task)
    points = target_in_camera(pose_from_vector(scenario.start), task.target(scenario, at(task, 0.0)))
    assert all(SIM_CAMERA.sees(point) for point in points)


def test_half_of_the_balls_out_of_view_are_out_of_view():
    task = variant_by_name("look_at", "out_of_view").task
    scenario = drawn(task)
    _, visible = task.sighting(scenario, at(task, 1.0), view(scenario.start))
    assert 0.3 < visible.mean() < 0.8


@every_gaze_variant
def test_the_ball_never_sinks_into_the_table(task, name):
    chosen = variant_by_name(task, name).task
    for seconds in np.linspace(0, chosen.seconds, 12):
        assert (chosen.target(drawn(chosen), at(chosen, seconds))[:, 2] + HEAD_HEIGHT >= BALL_RADIUS).all()


def test_balls_are_placed_relative_to_the_neutral_camera():
    scenario = drawn(LOOK_AT)
    place = LOOK_AT.target(scenario, at(LOOK_AT, 0.0))
    np.testing.assert_allclose(np.linalg.norm(place - CAMERA_IN_HEAD, axis=-1), scenario.distance)


def test_look_at_keeps_its_ball_still_and_track_does_not():
    for task, moves in ((LOOK_AT, False), (TRACK, True)):
        scenario = drawn(task)
        way = task.target(scenario, at(task, 2.0)) - task.target(scenario, at(task, 0.0))
        assert ((np.linalg.norm(way, axis=-1) > 1e-9) == moves).mean() > 0.99


@pytest.mark.parametrize(
    ("task", "name", "shortest", "longest"), [("look_at", "hidden", 0.3, 0.6), ("track", "hidden", 0.3, 0.8)]
)
def test_a_hidden_ball_is_hidden_for_a_while_and_comes_back(task, name, shortest, longest):
    chosen = variant_by_name(task, name).task
    scenario, times = drawn(chosen), np.arange(0.0, chosen.seconds, 0.01)
    shown = np.array([chosen.shown(scenario, at(chosen, time)) for time in times])
    _, visible = chosen.sighting(scenario, at(chosen, 3.0), view(scenario.start))
    assert not (visible & ~chosen.shown(scenario, at(chosen, 3.0))).any()
    for episode in shown.T:
        changes = np.flatnonzero(np.diff(episode))
        appeared, *rest = times[changes]
        assert appeared <= 0.61
        lengths = np.diff(rest)[::2]  # hidden first, then out again
        assert len(lengths)
        assert ((lengths >= shortest - 0.02) & (lengths <= longest + 0.02)).all()


# Experts


@every_task
def test_the_oracle_is_at_least_as_good_as_the_person_and_both_can_do_it(run_expert, task):
    person, oracle = (run_expert(task, seeds=range(40), oracle=oracle) for oracle in (False, True))
    assert oracle.success.sum() >= person.success.sum()
    assert oracle.success.mean() > 0.8
    assert person.success.mean() > 0.5


@every_task
@pytest.mark.parametrize("oracle", [False, True], ids=["expert", "oracle"])
def test_a_batch_of_experts_is_many_experts(run_expert, task, oracle):
    together = run_expert(task, seeds=[4, 9, 2], oracle=oracle)
    single = run_expert(task, seeds=[9], oracle=oracle)
    np.testing.assert_array_equal(together.states[1], single.states[0])


def test_a_person_needs_time_to_react_and_the_oracle_does_not(run_expert):
    appears = drawn(LOOK_AT, np.arange(30, dtype=np.uint64)).appears
    reacted = []
    for oracle in (False, True):
        states = run_expert("look_at", seeds=range(30), oracle=oracle, hz=50).states
        moved = np.abs(states[..., YAW] - states[:, :1, YAW]) > 0.01
        reacted.append(np.argmax(moved, axis=1) / 50 - appears)
    # Latency, delay and the motors take 0.1 s and more; a person's reaction another 0.2 s.
    assert 0.15 < np.median(reacted[0] - reacted[1]) < 0.35
    assert np.median(reacted[1]) < 0.3


@every_task
def test_experts_say_that_they_need_perception(task):
    with pytest.raises(WrongUseError, match="perception"):
        single_expert_policy(task, 25).act(Observation(NEUTRAL, 0.0))


@pytest.mark.parametrize("task", ["look_at", "sound_orient"])
def test_an_expert_turns_to_where_the_features_say(task):
    """The same features whatever the world: also to where there is nothing."""
    policy, heard = (
        single_expert_policy(task, 25, 0),
        {"look_at": [0.4, -0.2, 0.05, 1.0, 0.04], "sound_orient": [0.4, 0.5, 1.0, 0.04]},
    )
    policy.reset()
    for tick in range(30):
        observation = Observation(NEUTRAL, 0.04 * tick, environment_state=np.array(heard[task]), last_action=NEUTRAL)
        action = policy.act(observation)
    assert action[YAW] < -0.05


def test_the_expert_keeps_the_command_while_there_is_nothing_to_see():
    policy, last = single_expert_policy("look_at", 25, 0), NEUTRAL.copy()
    last[YAW] = 0.3
    policy.reset()
    for tick in range(30):
        observation = Observation(NEUTRAL, 0.04 * tick, environment_state=np.array([0.0, 0, 0, 0, 1]), last_action=last)
        np.testing.assert_array_equal(policy.act(observation), last)
