"""Senses of a batch: their latency, noise, missed frames and tilt are as configured."""

import contextlib

import numpy as np
import pytest

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import BODY_YAW, CAMERA, CONTROL_HZ, NEUTRAL, PITCH, YAW, Observation
from reachy_kit.runtime.perception.target import BELOW, MAX_AGE, RIGHT, SIZE, VISIBLE
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.tasks.task_registry import own_task_names, task_spec
from reachy_sim import counter_rng
from reachy_sim.domain import DRAWS, RANDOMIZATIONS, DomainParameters, randomization
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.visuals import Visuals
from reachy_sim.sensing.senses import PoseHistory, Senses
from reachy_sim.sensing_noise import SensingNoise
from reachy_sim.tasks import simulated_task, variant_by_name
from reachy_sim.tasks.dance import PHASE_NOISE, TEMPO_NOISE
from reachy_sim.tasks.sound_orient import BEARING_NOISE, LEVEL_NOISE
from reachy_sim.tasks.task import View

PERFECT = {"noise": (0.0, 0.0), "missed": (0.0, 0.0)}


def view(states):
    poses = pose_from_vector(states)
    return View(states, poses[..., :3, :3], poses[..., :3, 3])


class SensingBatch:
    """Senses of a batch of heads that the test moves.

    Args:
        task: its name.
        count: N, with seeds 0 to N − 1.
        tilt: (N, 3) rad of their cameras.
        parameters: domain parameters that differ from the defaults.
    """

    def __init__(self, task, count=1, tilt=None, **parameters):
        self.task = simulated_task(task).task
        self.seeds, self.episodes = np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
        keys = self.seeds, self.episodes
        self.scenario = self.task.scenario(counter_rng.uniform(*keys, counter_rng.SCENARIO, len(self.task.spans)))
        self.sample = DomainParameters(**parameters).draw(counter_rng.uniform(*keys, counter_rng.DOMAIN, DRAWS))
        self.senses, self.poses = Senses(self.task, count), PoseHistory(count)
        self.senses.reset(np.arange(count), self.sample, tilt)
        self.poses.reset(np.arange(count), view(self.scenario.start))
        self.ticks = np.zeros(count, dtype=np.int64)

    def sense(self):
        return self.senses.sense(
            self.scenario, self.ticks, self.poses, counter_rng.episode_keys(self.seeds, self.episodes)
        )

    def tick(self, states=None):
        """Advance 20 ms, with the heads at (N, 9); returns what is sensed then."""
        self.poses.append(view(self.scenario.start if states is None else states))
        self.ticks = self.ticks + 1
        return self.sense()

    def exact(self, ticks, states=None):
        """Sighting (N, K) of a perfect sense at a tick, and whether there is one."""
        where = view(self.scenario.start if states is None else states)
        return self.task.sighting(self.scenario, np.full(len(self.seeds), ticks / CONTROL_HZ), where)


# Latency


@pytest.mark.parametrize("latency", [0.0, 0.02, 0.04, 0.14, 0.28])
@pytest.mark.parametrize("task", ["look_at", "track", "dance"])
def test_senses_see_the_world_of_one_latency_ago_from_the_head_pose_of_then(task, latency):
    sensed, late = SensingBatch(task, 5, latency=(latency, latency), **PERFECT), round(latency * CONTROL_HZ)
    states = [sensed.scenario.start]
    for tick in range(1, 60):
        turned = sensed.scenario.start.copy()
        turned[:, [YAW, BODY_YAW]] += 0.2 * np.sin(0.3 * tick)
        states.append(turned)
        features = sensed.tick(turned)
        exact, present = sensed.exact(tick - late, states[max(tick - late, 0)])
        np.testing.assert_array_equal(features[:, -2] == 1, present)
        np.testing.assert_allclose(features[present, :-2], exact[present], atol=1e-12)
        np.testing.assert_allclose(features[present, -1], latency, atol=1e-12)


def test_every_environment_has_the_latency_that_it_drew():
    sensed = SensingBatch("dance", 20, latency=(0.02, 0.2), **PERFECT)
    for _ in range(30):
        features = sensed.tick()
    np.testing.assert_allclose(features[:, -1], sensed.sample.latency / CONTROL_HZ, atol=1e-12)
    assert len(np.unique(sensed.sample.latency)) > 5


def test_a_new_direction_of_sound_comes_ten_times_a_second():
    sensed = SensingBatch("sound_orient", 20, missed=(0.0, 0.0))
    sensed.scenario.begins[:], sensed.scenario.talk[:] = -1.0, 100.0
    features = np.array([sensed.tick() for _ in range(100)])
    new = (np.diff(features[..., 0], axis=0) != 0).any(axis=1)
    # 40 ms late: a sound of 0.1 s is sensed from 0.14 s, the seventh tick, on.
    np.testing.assert_array_equal(np.flatnonzero(new) + 2, np.arange(2, 101, 5))
    assert features[10:, :, -1].min() == pytest.approx(0.04)
    assert features[10:, :, -1].max() == pytest.approx(0.12)


# Memory


@pytest.mark.parametrize("task", ["look_at", "track", "dance"])
def test_what_is_no_longer_sensed_is_remembered_and_grows_old(task):
    sensed = SensingBatch(task, 30, latency=(0.0, 0.0), noise=(1.0, 1.0), missed=(0.5, 0.5))
    last, found_at = np.zeros((30, len(sensed.task.features) - 2)), np.full(30, -np.inf)
    found_somewhere = 0
    for tick in range(1, 120):
        features = sensed.tick()
        found = features[:, -2] == 1
        np.testing.assert_array_equal(features[~found, :-2], last[~found])
        last, found_at = features[:, :-2], np.where(found, tick / CONTROL_HZ, found_at)
        np.testing.assert_allclose(features[:, -1], np.minimum(tick / CONTROL_HZ - found_at, MAX_AGE), atol=1e-9)
        found_somewhere += found.sum()
    assert 0.3 < found_somewhere / (119 * 30) < 0.7


def test_before_the_first_sighting_features_are_zero_and_have_the_greatest_age():
    features = SensingBatch("look_at", 3).sense()
    np.testing.assert_array_equal(features, np.tile([0, 0, 0, 0, MAX_AGE], (3, 1)))


def test_a_new_episode_remembers_nothing_of_the_one_before():
    sensed = SensingBatch("dance", 2, **PERFECT)
    assert sensed.tick()[:, -2].all()
    sensed.scenario.tempo[:] = 1.5
    nothing = DomainParameters(missed=(1.0, 1.0)).draw(np.zeros((1, DRAWS)))
    sensed.senses.reset(np.array([1]), nothing)
    kept, forgotten = sensed.tick()
    assert kept[-2] == 1
    np.testing.assert_array_equal(forgotten, [0, 0, 0, 0, MAX_AGE])


# Noise


def sensed_and_exact(task, **parameters):
    """Sensed and exact values (M, K) where something is sensed, and the share that is missed."""
    sensed = SensingBatch(task, 400, latency=(0.0, 0.0), **parameters)
    features, exact, missed = [], [], []
    for tick in range(1, 151, 5):
        for _ in range(5):
            row = sensed.tick()
        values, present = sensed.exact(sensed.ticks[0])
        found = row[:, -2] == 1
        assert not (found & ~present).any()
        features.append(row[found, :-2])
        exact.append(values[found])
        missed.append(present & ~found)
        assert tick
    share = np.sum(missed) / (np.sum(missed) + sum(map(len, features)))
    return np.concatenate(features), np.concatenate(exact), share


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.0])
def test_the_balls_noise_is_as_large_as_configured(scale):
    features, exact, _ = sensed_and_exact("look_at", noise=(scale, scale))
    noise = SensingNoise()
    off = features - exact
    np.testing.assert_allclose(off[:, [RIGHT, BELOW]].std(axis=0), scale * noise.bearing, rtol=0.05)
    np.testing.assert_allclose(off.mean(axis=0), 0, atol=0.002 * scale)
    assert (features[:, SIZE] / exact[:, SIZE]).std() == pytest.approx(scale * noise.size, rel=0.05)
    if scale:
        assert abs(np.corrcoef(off.T)[0, 1]) < 0.05


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_sounds_noise_is_as_large_as_configured(scale):
    features, exact, _ = sensed_and_exact("sound_orient", noise=(scale, scale))
    ahead = (np.abs(exact[:, 0]) < 0.5) & (exact[:, 1] < 0.8)
    off = (features - exact)[ahead]
    assert off[:, 0].std() == pytest.approx(scale * BEARING_NOISE, rel=0.1)
    assert off[:, 1].std() == pytest.approx(scale * LEVEL_NOISE, rel=0.1)
    assert (np.abs(features[:, 0]) <= np.pi / 2).all()


def test_the_beats_noise_is_as_large_as_configured():
    features, exact, _ = sensed_and_exact("dance")
    turned = np.angle((features[:, 1] + 1j * features[:, 0]) / (exact[:, 1] + 1j * exact[:, 0]))
    assert turned.std() == pytest.approx(2 * np.pi * PHASE_NOISE, rel=0.05)
    assert (features[:, 2] / exact[:, 2]).std() == pytest.approx(TEMPO_NOISE, rel=0.05)
    np.testing.assert_allclose(np.hypot(features[:, 0], features[:, 1]), 1.0)


@pytest.mark.parametrize("task", own_task_names())
@pytest.mark.parametrize("share", [0.0, 0.02, 0.4])
def test_the_configured_share_of_frames_is_dropped(task, share):
    *_, missed = sensed_and_exact(task, missed=(share, share))
    assert missed == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("task", own_task_names())
def test_two_queries_of_one_frame_agree(task):
    sensed = SensingBatch(task, 6)
    for _ in range(40):
        first = sensed.tick()
        np.testing.assert_array_equal(sensed.sense(), first)


# A tilted camera


TURN = np.deg2rad(6.0)


@pytest.mark.parametrize(
    "tilt",
    [(TURN, 0, 0), (-TURN, 0, 0), (0, TURN, 0), (0, -TURN, 0), (0, 0, TURN), (0, 0, -TURN), (0.07, -0.07, 0.1)],
    ids=["down or up", "up or down", "right or left", "left or right", "clockwise", "anticlockwise", "all"],
)
@pytest.mark.parametrize(("right", "below"), [(0.0, 0.0), (0.35, 0.0), (-0.3, 0.15), (0.2, -0.2)])
def test_a_tilted_camera_bends_bearings_as_the_detector_measures_them(tilt, right, below):
    sensed = SensingBatch("look_at", 1, tilt=np.array([tilt]), latency=(0.0, 0.0), **PERFECT)
    state, scenario = sensed.scenario.start, sensed.scenario
    scenario.anchor[:], scenario.appears[:] = state[:, [YAW, PITCH]] + (-right, below), -1.0
    features = sensed.sense()[0]
    with contextlib.closing(HeadCameraRenderer()) as renderer:
        target = sensed.task.target(scenario, np.zeros(1))[0]
        image = renderer.render(pose_from_vector(state[0]), target, Visuals(camera_turn=tilt))
    found = CameraPerception(BallDetector()).perceive(Observation(state[0], 0.0, images={CAMERA: image}))
    assert features[VISIBLE] == found[VISIBLE] == 1
    np.testing.assert_allclose(features[[RIGHT, BELOW]], found[[RIGHT, BELOW]], atol=np.deg2rad(0.7))


def test_the_variant_with_a_tilted_camera_tilts_both_alike():
    """In the environment itself: the features agree with what the detector finds in the image."""
    import gymnasium

    name = task_spec("look_at").gym_id
    batch = gymnasium.make_vec(
        name, 6, tier="kinematic", variant="tilted_camera", obs_type="pixels_state", image_size=192
    )
    batch.reset(seed=0)
    for _ in range(25):
        observation, *_ = batch.step(batch.unwrapped.simulation.applied)
    off = []
    for image, features in zip(observation["pixels"], observation["environment_state"], strict=True):
        found = CameraPerception(BallDetector()).perceive(Observation(NEUTRAL, 0.0, images={CAMERA: image}))
        if found[VISIBLE] and features[VISIBLE]:
            off.append(np.hypot(*(found - features)[[RIGHT, BELOW]]))
    assert len(off) >= 4
    assert np.rad2deg(np.median(off)) < 1.2
    batch.close()


# Domain parameters


@pytest.mark.parametrize("name", RANDOMIZATIONS)
def test_randomisations_stay_in_their_ranges_and_fill_them(name):
    domain = randomization(name)
    rng = np.random.default_rng(0)
    drawn = domain.draw(rng.random((2000, DRAWS)))
    for what, values in (
        ("noise", drawn.noise),
        ("missed", drawn.missed),
        ("delay", drawn.actuators.delay[:, 0]),
        ("gain", drawn.actuators.gain[:, 0]),
        ("friction", drawn.actuators.friction[:, 0]),
    ):
        low, high = getattr(domain, what)
        assert ((values >= low) & (values <= high)).all(), what
        assert np.ptp(values) >= 0.95 * (high - low), what


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("sluggish", "bandwidth_scale"),
        ("sluggish", "delay"),
        ("worn", "backlash"),
        ("loose_antenna", "loose_antenna"),
        ("noisy", "noise"),
        ("dropped_frames", "missed"),
        ("late", "latency"),
    ],
)
def test_held_out_variants_are_outside_of_mild_randomisation(name, what):
    (low, high), (first, last) = (
        getattr(domain, what) for domain in (randomization("mild"), variant_by_name("look_at", name).domain)
    )
    assert last < low or first > high
