"""The gaze tasks: what is drawn, when it counts as done, and that their teacher can do them."""

import numpy as np
import pytest

from reachy_kit.errors import WrongUseError
from reachy_kit.geometry import CAMERA_IN_HEAD, pose_from_vector, target_in_camera
from reachy_kit.interface import NEUTRAL, PITCH, YAW, Observation
from reachy_kit.kinematics import reachable
from reachy_kit.perception.camera import SIM_CAMERA
from reachy_kit.perception.target import AGE, MAX_AGE, VISIBLE
from reachy_kit.rollout import rollout
from reachy_sim.model import BALL_RADIUS, HEAD_HEIGHT
from reachy_sim.robot import SimRobot
from reachy_sim.tasks import TASKS, task_by_name
from reachy_sim.tasks.expert import GazeExpert
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.tasks.track import TRACK
from reachy_sim.twin import GeometricPerception, SensingNoise, Twin

SEEDS = np.arange(500)
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@every_task
def test_the_start_can_be_reached_and_shows_the_target(task):
    scenario = task.reset(SEEDS)
    poses = pose_from_vector(scenario.start)
    assert reachable(poses, scenario.start[:, 6]).all()
    seen = target_in_camera(poses, task.target(scenario, np.zeros(len(SEEDS))))
    assert all(SIM_CAMERA.sees(point) for point in seen)


@every_task
@pytest.mark.parametrize("time", [0.0, 1.3, 4.0])
def test_the_target_never_sinks_into_the_table(task, time):
    target = task.target(task.reset(SEEDS), np.full(len(SEEDS), time))
    assert (target[:, 2] + HEAD_HEIGHT >= BALL_RADIUS).all()


@every_task
def test_an_episode_depends_on_its_seed_alone(task):
    alone, among = task.reset(np.array([7])), task.reset(np.array([3, 7, 9]))
    np.testing.assert_array_equal(alone.start[0], among.start[1])
    np.testing.assert_array_equal(alone.centre[0], among.centre[1])
    assert not np.array_equal(among.centre[0], among.centre[1])


def test_look_at_keeps_its_target_still_and_track_does_not():
    for task, moves in ((LOOK_AT, False), (TRACK, True)):
        scenario = task.reset(SEEDS)
        distance = np.linalg.norm(
            task.target(scenario, np.full(500, 2.0)) - task.target(scenario, np.zeros(500)), axis=-1
        )
        assert ((distance > 1e-9) == moves).mean() > 0.99


def test_an_unknown_task_is_refused_with_a_list():
    with pytest.raises(WrongUseError, match="look_at, track"):
        task_by_name("juggle")


def aimed(twin: Twin, off: float) -> np.ndarray:
    """A pose that looks past the target by that many degrees, found by turning the head until the camera agrees."""
    state, target = NEUTRAL.copy(), twin.target(twin.start_time)
    for _ in range(20):
        x, y, z = target_in_camera(pose_from_vector(state), target)
        state[YAW] -= np.arctan2(x, z)
        state[PITCH] += np.arctan2(y, z)
    state[YAW] += np.deg2rad(off)
    return state


class StartedTwin(Twin):
    start_time = 10.0


def judged(task, errors: list[float], dt: float = 0.04):
    twin = StartedTwin(task)
    twin.reset(0)
    twin.start(twin.start_time)
    return [
        twin.measure(Observation(aimed(twin, off), twin.start_time + (index + 1) * dt))
        for index, off in enumerate(errors)
    ]


def test_success_comes_after_a_whole_second_of_looking_and_stays():
    truths = judged(LOOK_AT, [20.0] * 5 + [2.0] * 30 + [20.0] * 5)
    assert [truth.success for truth in truths].index(True) == 5 + 25 - 1
    assert truths[-1].success
    assert np.rad2deg(truths[7].gaze_error) == pytest.approx(2.0, abs=0.2)


def test_a_glance_away_starts_the_second_anew():
    assert not judged(LOOK_AT, [2.0] * 20 + [8.0] + [2.0] * 20)[-1].success


def test_looking_nearer_is_rewarded_more():
    rewards = [judged(LOOK_AT, [off] * 3)[-1].reward for off in (0.0, 3.0, 10.0, 30.0)]
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[0] == pytest.approx(1.0, abs=0.01)


def test_nothing_is_seen_before_the_target_appears():
    twin = Twin(LOOK_AT)
    start = twin.reset(0)
    perception = GeometricPerception(twin, SensingNoise(missed=0.0))
    twin.start(0.0)
    seen = [perception.perceive(Observation(start, time)) for time in np.arange(0, 1.0, 0.04)]
    visible = np.array([features[VISIBLE] for features in seen])
    first = int(visible.argmax())
    assert 0 < first < 20
    assert visible[first:].all()
    assert all(features[AGE] == MAX_AGE for features in seen[:first])


def test_the_expert_looks_at_the_ball():
    twin, robot = Twin(LOOK_AT), SimRobot()
    perception, expert = GeometricPerception(twin), GazeExpert(25, seed=1)
    done = [
        rollout(robot, expert, seconds=LOOK_AT.seconds, policy_hz=25, seed=seed, perception=perception, world=twin)
        for seed in range(20)
    ]
    assert sum(episode.success for episode in done) >= 18
    assert np.rad2deg(np.median([episode.gaze_error for episode in done])) < 3.0


def test_the_expert_needs_time_to_react():
    twin, expert = Twin(LOOK_AT), GazeExpert(25, seed=0)
    start = twin.reset(0)
    twin.start(-2.0)  # the ball has long appeared
    perception = GeometricPerception(twin)
    commands = []
    for time in np.arange(0, 0.5, 0.04):
        seen = Observation(
            start, time, environment_state=perception.perceive(Observation(start, time)), last_action=start
        )
        commands.append(expert.act(seen))
    moved = [not np.array_equal(command, start) for command in commands]
    assert 0.1 < 0.04 * moved.index(True) < 0.35


def test_the_expert_says_that_it_needs_perception():
    with pytest.raises(WrongUseError, match="perception"):
        GazeExpert(25).act(Observation(NEUTRAL, 0.0))


def test_the_neutral_eye_is_where_the_targets_are_measured_from():
    scenario = LOOK_AT.reset(SEEDS)
    target = LOOK_AT.target(scenario, np.zeros(500))
    np.testing.assert_allclose(np.linalg.norm(target - CAMERA_IN_HEAD, axis=-1), scenario.distance)
