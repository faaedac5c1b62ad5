"""Any reachable pose in closed form: all rods close, and the head is exactly there."""

import mujoco
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import ANTENNA_REST, NEUTRAL
from reachy_kit.runtime.kinematics import reachable
from reachy_kit.runtime.safety import CLASSROOM, Motion, limit
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.joints import JOINTS, commanded_joints, joint_targets
from reachy_sim.dynamics.model import HEAD_HEIGHT, robot_model


@pytest.fixture(scope="module")
def chain_and_model():
    model = robot_model(drawing=False)
    return ClosedChain(model), model, mujoco.MjData(model)


@st.composite
def poses(draw):
    """Reachable poses of the classroom's box, the head at most 60° from the body."""
    nine = [draw(st.floats(float(low), float(high))) for low, high in zip(CLASSROOM.low, CLASSROOM.high, strict=True)]
    nine[5] = nine[6] + draw(st.floats(-1.0, 1.0))
    pose = np.array(nine)
    assume(reachable(pose_from_vector(pose), pose[6]))
    return pose


@given(pose=poses())
@settings(max_examples=100)
def test_all_rods_close_and_the_head_has_its_pose(chain_and_model, pose):
    chain, model, data = chain_and_model
    data.qpos[:] = chain.positions(pose)
    mujoco.mj_kinematics(model, data)
    for rod in range(1, 6):
        gap = data.site(f"closing_{rod}_1").xpos - data.site(f"closing_{rod}_2").xpos
        assert np.linalg.norm(gap) < 1e-6
    head, wanted = data.site("head"), pose_from_vector(pose)
    np.testing.assert_allclose(head.xpos - (0, 0, HEAD_HEIGHT), wanted[:3, 3], atol=1e-6)
    np.testing.assert_allclose(head.xmat.reshape(3, 3), wanted[:3, :3], atol=1e-6)


@given(pose=poses())
@settings(max_examples=30)
def test_a_pose_in_a_batch_gets_the_same_bits_as_alone(chain_and_model, pose):
    chain, *_ = chain_and_model
    among = chain.positions(np.array([NEUTRAL, pose, NEUTRAL]))
    np.testing.assert_array_equal(among[1], chain.positions(pose))


def test_a_pose_out_of_reach_gives_nan(chain_and_model):
    chain, *_ = chain_and_model
    high = NEUTRAL.copy()
    high[2] = 0.1
    assert np.isnan(chain.positions(np.array([NEUTRAL, high]))).any(axis=-1).tolist() == [False, True]


def test_the_motors_take_body_legs_and_antennas_in_the_models_order():
    turned = NEUTRAL.copy()
    turned[5:7] = 0.4
    targets = dict(zip(JOINTS, joint_targets(turned), strict=True))
    neutral = dict(zip(JOINTS, joint_targets(NEUTRAL), strict=True))
    assert targets["yaw_body"] == pytest.approx(0.4)
    assert (targets["right_antenna"], targets["left_antenna"]) == tuple(-angle for angle in ANTENNA_REST)
    for leg in range(1, 7):
        assert targets[f"stewart_{leg}"] == pytest.approx(neutral[f"stewart_{leg}"])


@given(pose=poses())
@settings(max_examples=30)
def test_the_limiters_legs_are_those_of_its_position(pose):
    motion = Motion.at_rest(NEUTRAL[None])
    for _ in range(5):
        motion, _ = limit(motion.position, motion, pose[None])
        assert motion.legs is not None
        np.testing.assert_allclose(commanded_joints(motion), joint_targets(motion.position), atol=1e-12)
