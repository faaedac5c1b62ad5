"""One history for a robot and for a batch: oldest first, and the first observation stands for all before it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.history import ObservationHistory, robot_inputs
from reachy_kit.runtime.interface import CAMERA, Observation


def filled(history, steps, count):
    """A history of observations whose numbers are those of their steps."""
    for step in range(steps):
        history.append(np.full((count, 9), step), np.full((count, 3), step), np.full((count, 9), step))
    return history


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 3))
def test_a_window_holds_the_latest_observations_oldest_first(n_obs_steps, steps, count):
    state, sensed, last_action = filled(ObservationHistory(n_obs_steps), steps, count).inputs()
    wanted = [max(steps - n_obs_steps + index, 0) for index in range(n_obs_steps)]
    assert state.shape == (count, n_obs_steps, 9)
    assert state[0, :, 0].tolist() == sensed[-1, :, -1].tolist() == wanted
    assert last_action[:, 0].tolist() == [steps - 1] * count


@given(st.integers(1, 6), st.integers(1, 9))
def test_of_images_the_earliest_and_the_latest_are_handed_out(n_obs_steps, steps):
    _, sensed, _ = filled(ObservationHistory(n_obs_steps, images=True), steps, 2).inputs()
    assert sensed[:, :, 0].tolist() == [[max(steps - n_obs_steps, 0), steps - 1]] * 2


def test_a_reset_forgets_the_episode_before():
    history = filled(ObservationHistory(4), 3, 1)
    history.reset()
    state, _, _ = filled(history, 1, 1).inputs()
    assert (state == 0).all()


def test_without_a_last_action_the_pose_stands_for_it():
    state, sensed, last_action = robot_inputs(Observation(np.full(9, 0.5), 0.0, np.arange(5.0)), None)
    assert (state.dtype, state.shape, sensed.shape) == (np.float32, (1, 9), (1, 5))
    np.testing.assert_array_equal(last_action, state)


def test_an_image_has_its_channels_first():
    image = np.zeros((36, 64, 3), np.uint8)
    image[..., 1] = 200
    _, sensed, _ = robot_inputs(Observation(np.zeros(9), 0.0, images={CAMERA: image}), (36, 64))
    assert sensed.shape == (1, 3, 36, 64)
    assert (sensed[0, 1] == 200).all()


@pytest.mark.parametrize(("image_size", "says"), [(None, "needs perception"), ((36, 64), "camera")])
def test_what_is_missing_is_asked_for(image_size, says):
    with pytest.raises(WrongUseError, match=says):
        robot_inputs(Observation(np.zeros(9), 0.0), image_size)
