"""Identification: known motors are recovered, the intervals hold the truth, and the excitation is gentle."""

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.geometry import pose_from_vector, vector_from_pose
from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, NEUTRAL, Observation
from reachy_kit.runtime.kinematics import forward, reachable
from reachy_kit.runtime.safety import CLASSROOM, Motion, limit
from reachy_sim.dynamics.actuators import IDENTIFIED, TICK, Actuators, Motors, in_series
from reachy_sim.dynamics.joints import joint_targets
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.sysid.excitation import excitation_targets
from reachy_sim.sysid.identification import identify_motors
from reachy_sim.sysid.motor_model import NAMES
from reachy_sim.sysid.motor_recording import MotorRecording, record_motors

ENCODER = 2 * np.pi / 4096
"""rad, a step of the XL330's encoder (Robotis e-Manual)."""
REST = joint_targets(NEUTRAL)


class MotorRobot:
    """A robot of nine motors behind the limiter, measured with given errors."""

    name, control_hz = "motors", CONTROL_HZ

    def __init__(self, actuators, errors):
        self._actuators, self._errors = actuators, errors

    def reset(self, pose):
        self._motors, self._motion, self._ticks = Motors(1), Motion.at_rest(pose), 0
        self._motors.reset(np.zeros(1, dtype=int), self._actuators, joint_targets(pose)[None])
        self._guess = pose_from_vector(pose)

    def get_observation(self):
        joints = self._motors.position[0] + self._errors[self._ticks]
        self._guess = forward(joints[1:7], joints[0], self._guess)
        state = np.concatenate([vector_from_pose(self._guess), joints[:1], -joints[7:]])
        return Observation(state, self._ticks / CONTROL_HZ)

    def send_action(self, action):
        self._motion, _ = limit(self._motion.position, self._motion, action)
        return self._motion.position

    def wait_next_tick(self):
        self._motors.step(joint_targets(self._motion.position)[None])
        self._ticks += 1


TARGETS = excitation_targets()
SLOW = Actuators(
    delay=np.array([0.03, 0.025, 0.03, 0.035, 0.04, 0.03, 0.02, 0.045, 0.03]),
    gain=np.array([1.0, 0.97, 0.95, 1.0, 0.98, 0.96, 1.0, 0.9, 1.02]),
    bandwidth=np.array([3.0, 4.0, 5.0, 3.5, 6.0, 4.5, 4.0, 6.0, 9.0]),
    damping=np.array([0.7, 1.0, 0.8, 0.9, 1.1, 0.6, 0.8, 0.7, 0.9]),
    backlash=np.array([0.0, 0.01, 0.02, 0.01, 0.03, 0.02, 0.01, 0.0, 0.02]),
    rate_limit=np.array([1.5, np.inf, np.inf, 1.8, np.inf, np.inf, np.inf, 3.0, np.inf]),
)


def record_motion(actuators, errors):
    return record_motors(MotorRobot(actuators, errors), TARGETS, wall_clock=False)


def independent(seed):
    return np.random.default_rng(seed).normal(0, ENCODER, (len(TARGETS) + 1, 9))


def persistent(seed):
    """Errors correlated over a quarter of a second, as a model's are."""
    fresh, errors = independent(seed), np.zeros((len(TARGETS) + 1, 9))
    for tick in range(1, len(errors)):
        errors[tick] = 0.92 * errors[tick - 1] + np.sqrt(1 - 0.92**2) * fresh[tick]
    return errors


# Known motors


@pytest.fixture(scope="module")
def motors():
    return identify_motors(record_motion(SLOW, independent(0)))


def test_known_motors_are_recovered(motors):
    got = motors.actuators
    assert np.abs(got.delay - SLOW.delay).max() < 0.01
    np.testing.assert_allclose(got.gain, SLOW.gain, atol=0.01)
    np.testing.assert_allclose(got.bandwidth, SLOW.bandwidth, rtol=0.25)
    np.testing.assert_allclose(got.damping, SLOW.damping, rtol=0.25)
    assert np.abs(got.backlash - SLOW.backlash).max() < 0.005
    np.testing.assert_allclose(motors.residual, ENCODER, rtol=0.1)


def test_a_rate_limit_is_found_where_the_motion_reached_it_and_bounded_elsewhere(motors):
    limited = np.isfinite(SLOW.rate_limit)
    np.testing.assert_array_equal(np.isfinite(motors.actuators.rate_limit), limited)
    np.testing.assert_allclose(motors.actuators.rate_limit[limited], SLOW.rate_limit[limited], rtol=0.02)
    assert (motors.rate_at_least[~limited] > 1.5).all()
    assert np.isinf(motors.high["rate_limit"][~limited]).all()


def share_held(motors, truth):
    """Share of the intervals that hold the truth."""
    inside = []
    for name in NAMES[:-1]:
        value = np.broadcast_to(getattr(truth, name), 9)
        inside.append((motors.low[name] <= value) & (value <= motors.high[name]))
    return np.mean(inside)


def test_the_intervals_hold_the_truth(motors):
    assert share_held(motors, SLOW) >= 0.87  # 39 of 45; at 95 % each, fewer happen once in 100


@pytest.mark.long
def test_the_intervals_hold_the_truth_when_errors_are_correlated(motors):
    disturbed = identify_motors(record_motion(SLOW, persistent(2)))
    assert share_held(disturbed, SLOW) >= 0.87
    wider = np.subtract(disturbed.high["gain"], disturbed.low["gain"]) / (motors.high["gain"] - motors.low["gain"])
    assert np.median(wider) > 2  # the same number of measurements, with less information


def test_saved_motors_are_read_back(motors, tmp_path):
    motors.save(tmp_path / "actuators.json", {"robot": "motors"})
    read = Actuators.load(tmp_path / "actuators.json")
    for name in NAMES:
        np.testing.assert_array_equal(getattr(read, name), getattr(motors.actuators, name))


def test_a_robot_that_does_not_move_is_reported():
    recording = record_motion(SLOW, independent(0))
    measured = recording.measured.copy()
    measured[:, 8] = REST[8]
    with pytest.raises(KitError, match="left_antenna did not move"):
        identify_motors(MotorRecording(recording.sent, recording.commands, recording.captured, measured))


# The clock


def test_what_happens_during_a_stall_is_left_out():
    times = np.arange(500) / CONTROL_HZ
    times[200:] += 0.3
    still = np.zeros((500, 9))
    recording = MotorRecording(times, still, times, still)
    left_out = np.flatnonzero(~recording.steady)
    assert left_out[0] == 199
    assert times[left_out[-1]] == pytest.approx(times[200] + 0.24, abs=0.02)
    assert recording.stalled == pytest.approx(0.27 / times[-1], rel=0.01)


def test_a_recording_survives_its_file(tmp_path):
    times, values = np.arange(5.0), np.ones((5, 9))
    MotorRecording(times, values, times, 2 * values).save(tmp_path / "recording.npz")
    np.testing.assert_array_equal(MotorRecording.load(tmp_path / "recording.npz").measured, 2 * values)
    (tmp_path / "other.npz").write_bytes(b"PK")
    with pytest.raises(RefusedError, match=r"other\.npz is not a recording"):
        MotorRecording.load(tmp_path / "other.npz")


# The excitation


def test_the_excitation_starts_and_ends_at_neutral_and_stays_where_the_legs_reach():
    assert 30 * CONTROL_HZ < len(TARGETS) < 40 * CONTROL_HZ
    np.testing.assert_array_equal(TARGETS[[0, -1]], [NEUTRAL, NEUTRAL])
    np.testing.assert_array_equal(np.clip(TARGETS, CLASSROOM.low, CLASSROOM.high), TARGETS)
    assert reachable(pose_from_vector(TARGETS), TARGETS[:, BODY_YAW]).all()


def test_the_excitation_moves_every_joint():
    assert (np.ptp(joint_targets(TARGETS), axis=0) > 0.3).all()


def test_the_limiter_follows_the_excitation_closely():
    motion = Motion.at_rest(NEUTRAL)
    off = np.zeros_like(TARGETS)
    for tick, target in enumerate(TARGETS):
        motion, _ = limit(motion.position, motion, target)
        off[tick] = motion.position - target
    # Except for the steps, whose corners it rounds.
    assert (np.median(np.abs(off), axis=0) < 0.02).all()


# Actuators before the model's own motors


def test_the_shipped_physics_need_nothing_before_them_to_be_the_shipped_physics():
    before, shipped = in_series(IDENTIFIED, IDENTIFIED).table(1), Actuators().table(1)
    for name in shipped.keys() - {"damping"}:  # of a response without lag
        np.testing.assert_allclose(before[name], shipped[name], err_msg=name)


@pytest.mark.parametrize("slower", [1.5, 4.0])
def test_a_slower_robot_trails_as_far_as_it_should(slower):
    wanted = Actuators(
        delay=0.04, bandwidth=IDENTIFIED.bandwidth / slower, damping=IDENTIFIED.damping, backlash=IDENTIFIED.backlash
    )
    before = in_series(wanted, IDENTIFIED)
    trail = [motors.damping / motors.bandwidth / np.pi for motors in (before, IDENTIFIED, wanted)]
    # Half a tick more: the position that the first motors reach at the end of a tick is passed on at its beginning.
    np.testing.assert_allclose(before.delay - TICK / 2 + trail[0] + trail[1], 0.04 + trail[2])


@pytest.mark.long
def test_a_simulated_robot_made_slower_is_found_slower():
    wanted = Actuators(
        delay=0.05, bandwidth=2.5, damping=0.9, backlash=IDENTIFIED.backlash,
        rate_limit=np.where(np.arange(9) == 0, 1.2, np.inf),
    )  # fmt: skip
    robot = SimRobot(SimRobotConfig(actuators=wanted))
    actuators = identify_motors(record_motors(robot, TARGETS, wall_clock=False)).actuators
    trail = actuators.delay + actuators.damping / actuators.bandwidth / np.pi
    np.testing.assert_allclose(trail, 0.05 + 0.9 / 2.5 / np.pi, rtol=0.15)
    assert actuators.rate_limit[0] == pytest.approx(1.2, rel=0.05)
