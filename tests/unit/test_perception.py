"""From pixels to the five features: the pinhole, the coloured ball, and the memory of a lost target."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reachy_kit.runtime.geometry import bearing
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Observation
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.target import AGE, BELOW, RIGHT, SIZE, VISIBLE, TargetMemory
from reachy_kit.runtime.perception.targets.ball_target import BallColour, BallDetector, find_ball
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception

GREEN, WALL = (26, 191, 38), (235, 230, 220)
HEIGHT, WIDTH = 180, 320
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]

points = st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.3, 3)).map(np.array)


def image(*patches):
    """An image of a wall with coloured patches: (mask, colour) each."""
    wall = np.full((HEIGHT, WIDTH, 3), WALL, dtype=np.uint8)
    for mask, colour in patches:
        wall[mask] = colour
    return wall


def disc(column, row, radius):
    return np.hypot(COLUMNS - column, ROWS - row) <= radius


def box(left, top, width, height):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


# The pinhole


@given(points)
def test_a_pixels_bearing_is_the_bearing_of_what_it_shows(point):
    assume(SIM_CAMERA.sees(point))
    x, y = point[:2] / point[2] * SIM_CAMERA.focal
    np.testing.assert_allclose(SIM_CAMERA.bearing(x + (WIDTH - 1) / 2, y + (HEIGHT - 1) / 2), bearing(point), atol=1e-9)


@given(points)
def test_the_camera_sees_what_falls_on_its_pixels(point):
    column, row = point[:2] / point[2] * SIM_CAMERA.focal + [WIDTH / 2, HEIGHT / 2]
    assume(min(abs(column), abs(column - WIDTH), abs(row), abs(row - HEIGHT)) > 1e-6)
    assert SIM_CAMERA.sees(point) == (0 < column < WIDTH and 0 < row < HEIGHT)


def test_nothing_behind_the_camera_is_seen():
    assert not SIM_CAMERA.sees(np.array([0.0, 0.0, -1.0]))


def test_the_field_of_view_is_the_same_at_every_resolution():
    full = PinholeCamera(1280, 720)
    assert full.vertical_field_of_view == pytest.approx(SIM_CAMERA.vertical_field_of_view)
    assert np.rad2deg(full.vertical_field_of_view) == pytest.approx(56.7, abs=0.2)


@pytest.mark.parametrize("off", [(0.0, 0.0), (0.6, 0.0), (0.0, -0.4), (-0.55, 0.35)], ids=str)
@pytest.mark.parametrize("radius", [0.03, 0.08])
def test_a_balls_apparent_radius_is_the_same_wherever_it_stands_in_the_image(off, radius):
    x, y = (COLUMNS - (WIDTH - 1) / 2) / SIM_CAMERA.focal, (ROWS - (HEIGHT - 1) / 2) / SIM_CAMERA.focal
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    centre = np.array([np.tan(off[0]), np.tan(off[1]), 1.0])
    cosine = rays @ centre / np.linalg.norm(rays, axis=-1) / np.linalg.norm(centre)
    covered = np.arccos(np.minimum(cosine, 1)) <= radius  # the pixels whose rays meet a ball of that apparent radius
    measured = SIM_CAMERA.angular_radius(COLUMNS[covered].mean(), ROWS[covered].mean(), covered.sum())
    assert measured == pytest.approx(radius, rel=0.03)


# The ball


@pytest.mark.parametrize("radius", [2, 5, 20, 60])
@pytest.mark.parametrize("place", [(160, 90), (70, 60), (255.5, 110.25)])
def test_a_disc_of_the_colour_is_a_ball(place, radius):
    ball = find_ball(image((disc(*place, radius), GREEN)), BallColour())
    assert (ball.column, ball.row) == pytest.approx(place, abs=0.5)
    assert ball.area == disc(*place, radius).sum()


@pytest.mark.parametrize(
    "colour",
    [
        (128, 128, 128),
        (255, 255, 255),
        (0, 0, 0),
        (224, 172, 105),
        (141, 85, 36),
        (200, 30, 30),
        (40, 60, 200),
        (240, 220, 40),
        (190, 220, 194),
        (3, 30, 5),
    ],
    ids=[
        "grey",
        "white",
        "black",
        "light skin",
        "dark skin",
        "red",
        "blue",
        "yellow",
        "pale green",
        "a shadow on green",
    ],
)
def test_a_disc_of_another_colour_is_not(colour):
    assert find_ball(image((disc(160, 90, 25), colour)), BallColour()) is None


@pytest.mark.parametrize(
    "patch",
    [
        box(100, 80, 60, 8),
        box(100, 20, 6, 120),
        box(100, 80, 50, 22),
        disc(160, 90, 40) & ~disc(160, 90, 34),
        disc(9, 9, 1),
    ],
    ids=["strip", "pole", "book", "ring", "speck"],
)
def test_a_patch_of_the_colour_that_is_not_round_is_not_a_ball(patch):
    assert find_ball(image((patch, GREEN)), BallColour()) is None


def test_a_ball_is_found_beside_a_larger_thing_of_its_colour():
    ball = find_ball(image((box(0, 150, 320, 30), GREEN), (disc(200, 60, 10), GREEN)), BallColour())
    assert (ball.column, ball.row) == pytest.approx((200, 60), abs=0.5)


def test_of_two_balls_the_larger_counts():
    ball = find_ball(image((disc(60, 60, 8), GREEN), (disc(250, 100, 14), GREEN)), BallColour())
    assert ball.column == pytest.approx(250, abs=0.5)


def test_a_ball_cut_off_by_the_images_edge_is_still_a_ball():
    assert find_ball(image((disc(8, 90, 20), GREEN)), BallColour()) is not None


@pytest.mark.parametrize("colour", [(255, 0, 20), (255, 0, 0), (255, 25, 0)], ids=["crimson", "red", "vermilion"])
def test_a_red_ball_is_found_although_red_lies_at_both_ends_of_the_hue_scale(colour):
    assert find_ball(image((disc(160, 90, 20), colour)), BallColour(hue=0)) is not None
    assert find_ball(image((disc(160, 90, 20), GREEN)), BallColour(hue=0)) is None


# The detector


def observation(image, now, captured=None):
    images = {} if image is None else {CAMERA: image}
    times = {} if captured is None else {CAMERA: captured}
    return Observation(NEUTRAL, now, images=images, image_times=times)


def test_the_detector_reports_where_the_ball_is_how_large_and_how_long_ago():
    detector = CameraPerception(BallDetector())
    features = detector.perceive(observation(image((disc(240, 50, 12), GREEN)), now=10.0, captured=9.96))
    assert features[RIGHT] == pytest.approx(np.arctan(80.5 / SIM_CAMERA.focal), abs=0.01)
    assert features[BELOW] < 0
    assert features[SIZE] == pytest.approx(12 / SIM_CAMERA.focal, rel=0.3)
    assert features[VISIBLE] == 1
    assert features[AGE] == pytest.approx(0.04)


@pytest.mark.parametrize("blind", [image(), None], ids=["no ball in the image", "no image"])
def test_a_lost_ball_keeps_its_place_while_its_age_grows(blind):
    detector = CameraPerception(BallDetector())
    last = detector.perceive(observation(image((disc(240, 50, 12), GREEN)), now=10.0, captured=9.96))
    lost = detector.perceive(observation(blind, now=10.3))
    np.testing.assert_array_equal(lost[: SIZE + 1], last[: SIZE + 1])
    assert lost[VISIBLE] == 0
    assert lost[AGE] == pytest.approx(0.34)


def test_a_new_episode_knows_nothing_of_the_last_ones_ball():
    detector = CameraPerception(BallDetector())
    detector.perceive(observation(image((disc(240, 50, 12), GREEN)), now=10.0))
    detector.reset(seed=1)
    np.testing.assert_array_equal(detector.perceive(observation(None, now=10.1)), [0, 0, 0, 0, 1])


# The memory


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.2), st.floats(0, 0.5)), min_size=1, max_size=30))
def test_age_is_the_time_since_the_last_sighting_within_a_second(frames):
    memory, now, seen_at = TargetMemory(), 0.0, -np.inf
    for sees, latency, pause in frames:
        now += pause
        features = memory.update(np.ones(3) * now if sees else None, now - latency, now)
        seen_at = now - latency if sees else seen_at
        assert features[VISIBLE] == sees
        assert features[AGE] == pytest.approx(min(now - seen_at, 1.0))


def test_a_frame_from_the_future_is_not_younger_than_new():
    assert TargetMemory().update(np.zeros(3), captured=1.01, now=1.0)[AGE] == 0
