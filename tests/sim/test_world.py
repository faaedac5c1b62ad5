"""The world of one robot: its camera's image, its perception from geometry, and the evaluation of its task."""

import contextlib

import numpy as np
import pytest

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, bearing, gaze_error, pose_from_vector, target_in_camera
from reachy_kit.runtime.interface import BODY_YAW, CAMERA, NEUTRAL, PITCH, YAW, Observation
from reachy_kit.runtime.perception.camera import SIM_CAMERA
from reachy_kit.runtime.perception.target import AGE, BELOW, RIGHT, SIZE, TARGET_FEATURES, VISIBLE
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_sim.domain import LATENCY, DomainParameters
from reachy_sim.dynamics.model import BALL_RADIUS, HEAD_HEIGHT
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.sensing_noise import SensingNoise
from reachy_sim.tasks import variant_by_name
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.tasks.track import TRACK
from reachy_sim.tasks.variants import Variant
from reachy_sim.world import GeometricPerception, SimWorld

EXACT = DomainParameters(noise=(0.0, 0.0), missed=(0.0, 0.0))
DT = 0.04


def ball_perception():
    """What sees the ball in frames at hand."""
    return CameraPerception(BallDetector())


def nine(yaw=0.0, pitch=0.0, body=0.0):
    state = NEUTRAL.copy()
    state[[YAW, PITCH, BODY_YAW]] = yaw, pitch, body
    return state


def started_world(task, seed, at=0.0, domain=EXACT):
    """A world whose episode has begun, and its start pose."""
    world = SimWorld(Variant("tried", task, domain))
    start = world.reset(seed)
    world.start(at)
    return world, start


def truth_in_camera(world, state, time):
    return target_in_camera(pose_from_vector(state), world.target(time))


def random_views(count, seed=0):
    """Head poses and balls whose whole image lies inside the frame: (pose, target, in_camera) each."""
    rng = np.random.default_rng(seed)
    while count:
        distance, right, below = rng.uniform([0.4, -0.65, -0.4], [1.3, 0.65, 0.4])
        in_camera = distance * np.array([np.cos(below) * np.sin(right), np.sin(below), np.cos(below) * np.cos(right)])
        pose = pose_from_vector(
            np.array([*rng.uniform(-0.015, 0.015, 3), *rng.uniform(-0.3, 0.3, 2), rng.uniform(-1, 1)])
        )
        in_head = CAMERA_IN_HEAD + in_camera[[2, 0, 1]] * [1, -1, -1]
        target = pose[:3, 3] + pose[:3, :3] @ in_head
        margin = 1.6 * BALL_RADIUS / distance * SIM_CAMERA.focal
        off_centre = np.abs(in_camera[:2] / in_camera[2] * SIM_CAMERA.focal) + margin
        inside = off_centre < [SIM_CAMERA.width / 2, SIM_CAMERA.height / 2]
        if inside.all() and target[2] + HEAD_HEIGHT > BALL_RADIUS:
            count -= 1
            yield pose, target, in_camera


# The head camera and the detector


def test_the_detector_measures_in_rendered_frames_what_geometry_says():
    errors, sizes = [], []
    with contextlib.closing(HeadCameraRenderer()) as renderer:
        for pose, target, in_camera in random_views(120):
            image = renderer.render(pose, target)
            features = ball_perception().perceive(Observation(NEUTRAL, 0.0, images={CAMERA: image}))
            assert features[VISIBLE] == 1
            errors.append(np.hypot(*(features[[RIGHT, BELOW]] - bearing(in_camera))))
            sizes.append(features[SIZE] / np.arcsin(BALL_RADIUS / np.linalg.norm(in_camera)))
    assert np.rad2deg(np.mean(errors)) < 0.15
    assert np.rad2deg(np.max(errors)) < 0.6
    np.testing.assert_allclose(sizes, 1, atol=0.1)


def test_an_empty_table_holds_no_ball_wherever_the_camera_points():
    with contextlib.closing(HeadCameraRenderer()) as renderer:
        for pose, _, _ in random_views(20, seed=1):
            features = ball_perception().perceive(
                Observation(NEUTRAL, 0.0, images={CAMERA: renderer.render(pose, None)})
            )
            assert features[VISIBLE] == 0


def test_the_image_shows_the_ball_one_latency_after_it_appears():
    world, start = started_world(LOOK_AT, seed=0)
    appears = next(time for time in np.arange(0, 1, 0.001) if world.is_shown(time))
    assert 0.1 < appears < 0.6
    visible = []
    with contextlib.closing(world):
        for time in np.arange(0, 1, 0.02):
            image, captured = world.camera(start, time)
            visible.append(ball_perception().perceive(Observation(start, time, images={CAMERA: image}))[VISIBLE])
            assert captured == pytest.approx(time - LATENCY)
    expected = np.arange(0, 1, 0.02) - LATENCY >= appears
    np.testing.assert_array_equal(np.array(visible) == 1, expected)


def test_the_image_is_taken_from_the_head_pose_of_one_latency_ago():
    world, start = started_world(LOOK_AT, seed=3)
    poses = {0.02 * tick: nine(yaw=start[YAW] + 0.02 * tick, pitch=start[PITCH]) for tick in range(51)}
    with contextlib.closing(world):
        for time, state in poses.items():
            image, captured = world.camera(state, time)
        features = ball_perception().perceive(Observation(NEUTRAL, time, images={CAMERA: image}))
    then = next(state for when, state in poses.items() if when == pytest.approx(captured))
    np.testing.assert_allclose(features[[RIGHT, BELOW]], bearing(truth_in_camera(world, then, captured)), atol=0.008)


# Perception from geometry


def test_exact_geometry_is_the_bearing_and_size_of_one_latency_ago():
    world, start = started_world(TRACK, seed=2)
    perception = GeometricPerception(world)
    perception.reset(0)
    for tick in range(60):
        features = perception.perceive(Observation(start, DT * tick))
    then = DT * 59 - LATENCY
    in_camera = truth_in_camera(world, start, then)
    assert perception.names == TARGET_FEATURES
    np.testing.assert_allclose(features[[RIGHT, BELOW]], bearing(in_camera), atol=1e-9)
    assert features[SIZE] == pytest.approx(np.arcsin(BALL_RADIUS / np.linalg.norm(in_camera)))
    assert features[VISIBLE] == 1
    assert features[AGE] == pytest.approx(LATENCY)


def test_a_target_outside_the_image_is_not_seen():
    world, start = started_world(LOOK_AT, seed=0)
    perception = GeometricPerception(world)
    away = nine(yaw=start[YAW] + 2.0)
    assert not any(perception.perceive(Observation(away, time))[VISIBLE] for time in np.arange(1, 2, DT))


def test_the_noise_is_as_large_as_configured_and_repeats_with_the_seed():
    world, noise = SimWorld(variant_by_name("look_at")), SensingNoise()
    perception, start = GeometricPerception(world), world.reset(4)

    def features(seed):
        world.reset(seed)
        world.scenario = scenario  # the same ball, so that only the noise differs
        world.start(0.0)
        perception.reset(seed)
        return np.array([perception.perceive(Observation(start, 1 + DT * tick)) for tick in range(1500)])

    scenario = world.scenario

    first = features(4)
    visible = first[first[:, VISIBLE] == 1]
    exact = bearing(truth_in_camera(world, start, 1.0))
    assert 1 - len(visible) / 1500 == pytest.approx(noise.missed, abs=0.01)
    np.testing.assert_allclose(visible[:, [RIGHT, BELOW]].mean(axis=0), exact, atol=noise.bearing / 5)
    np.testing.assert_allclose(visible[:, [RIGHT, BELOW]].std(axis=0), noise.bearing, rtol=0.1)
    assert visible[:, SIZE].std() / visible[:, SIZE].mean() == pytest.approx(noise.size, rel=0.1)
    np.testing.assert_array_equal(features(4), first)
    assert not np.array_equal(features(5), first)


# Evaluation


def aimed(world, time, off):
    """A pose whose gaze misses the target by an angle, found by turning the head until the camera agrees."""
    state = nine()
    for _ in range(30):
        x, y, z = truth_in_camera(world, state, time)
        state = nine(yaw=state[YAW] - np.arctan2(x, z), pitch=state[PITCH] + np.arctan2(y, z))
    return nine(yaw=state[YAW] + off, pitch=state[PITCH])


def succeeded(task, pattern, begun=1000.0):
    """Success after each step of looking at the target (True) or not, on a clock that started long ago."""
    world, _ = started_world(task, seed=1, at=begun)
    times = begun + DT * np.arange(1, len(pattern) + 1)
    return [
        world.measure(Observation(aimed(world, time, 0.0 if on_target else 2 * task.tolerance), time)).success
        for time, on_target in zip(times, pattern, strict=True)
    ]


def test_track_adds_up_all_time_on_target():
    steps = round(TRACK.hold / DT)
    pattern = ([True] * 7 + [False] * 3) * 20
    success = succeeded(TRACK, pattern)
    assert success.index(True) == [index for index, on_target in enumerate(pattern) if on_target][steps - 1]
    assert all(success[success.index(True) :])


def test_look_at_counts_from_zero_after_every_glance_away():
    assert not any(succeeded(LOOK_AT, ([True] * 24 + [False]) * 4))
    assert succeeded(LOOK_AT, [False] * 3 + [True] * 25).index(True) == 27


def test_a_new_episode_has_not_succeeded_yet():
    world, _ = started_world(LOOK_AT, seed=1)
    for tick in range(1, 40):
        truth = world.measure(Observation(aimed(world, DT * tick, 0.0), DT * tick))
    assert truth.success
    world.reset(1)
    world.start(50.0)
    assert not world.measure(Observation(aimed(world, 50.04, 0.0), 50.04)).success


def test_the_truth_is_the_target_and_the_gaze_error_at_the_time_of_capture():
    world, start = started_world(TRACK, seed=4, at=7.0)
    truth = world.measure(Observation(start, 9.5))
    np.testing.assert_array_equal(truth.target, world.target(9.5))
    assert truth.task_error == gaze_error(pose_from_vector(start), world.target(9.5))
    assert not np.array_equal(world.target(9.5), world.target(7.0))


@pytest.mark.parametrize("speed", [1.0, 3.0])
def test_fidgeting_costs_reward(speed):
    def reward(turned):
        world, _ = started_world(LOOK_AT, seed=1)
        still = aimed(world, DT, 0.0)
        world.measure(Observation(nine(yaw=still[YAW] + turned, pitch=still[PITCH]), DT))
        return world.measure(Observation(still, 2 * DT)).reward

    assert reward(0.0) == pytest.approx(1.0)
    assert reward(speed * DT) == pytest.approx(1 - 0.02 * speed**2)
