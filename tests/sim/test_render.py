"""The head camera and the robot from outside: batches, visuals, contexts that are freed, drawing from any thread."""

import contextlib
import subprocess
import sys
import threading

import gymnasium
import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.geometry import bearing, pose_from_vector, target_in_camera
from reachy_kit.runtime.interface import NEUTRAL
from reachy_kit.runtime.perception.camera import ENV_CAMERA, SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.targets.ball_target import BallColour, find_ball
from reachy_sim.rendering.gaze_views import GazeViews
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.offscreen import ROBOT_IMAGES
from reachy_sim.rendering.robot_renderer import RobotRenderer, robot_images
from reachy_sim.rendering.visuals import CLUTTER, DRAWS, SHAPES, TRAINING_VISUALS, VISUAL_RANGES, Visuals

AHEAD = np.eye(4)
BALL = np.array([0.8, -0.1, 0.05])
ORANGE = BallColour(hue=10)


@pytest.fixture(scope="module")
def camera():
    with contextlib.closing(HeadCameraRenderer()) as renderer:
        yield renderer


def worlds(count, seed=0):
    """Head poses, balls ahead of them, near enough for the detector in the small frame, and whether they show."""
    rng = np.random.default_rng(seed)
    poses = pose_from_vector(rng.uniform(-1, 1, (count, 6)) * [0.015, 0.015, 0.015, 0.2, 0.2, 0.2])
    targets = rng.uniform([0.5, -0.15, 0.0], [1.0, 0.15, 0.12], (count, 3))
    return poses, targets, rng.random(count) < 0.8


def detect(image, colour=None):
    """(2,) rad where the ball is found."""
    ball = find_ball(image, colour or BallColour())
    return PinholeCamera(image.shape[1], image.shape[0]).bearing(ball.column, ball.row)


def drawn(name, count=4, seed=0):
    return VISUAL_RANGES[name].draw(np.random.default_rng(seed).random((count, DRAWS)))


# Batches


@pytest.mark.parametrize("name", [None, *VISUAL_RANGES])
def test_a_batch_is_its_frames_one_by_one_bit_for_bit(camera, name):
    poses, targets, shown = worlds(6)
    visuals = drawn(name, 6) if name else None
    batch = camera.render_batch(poses, targets, shown, visuals)
    assert batch.shape == (6, *camera.shape)
    assert batch.dtype == np.uint8
    for index in range(6):
        own = Visuals(**{field: values[index] for field, values in visuals.rows(6).items()}) if visuals else None
        target = targets[index] if shown[index] else None
        np.testing.assert_array_equal(camera.render(poses[index], target, own), batch[index])


def test_no_environments_are_no_frames(camera):
    assert camera.render_batch(np.zeros((0, 4, 4)), np.zeros((0, 3)), np.zeros(0, dtype=bool)).shape == (
        0,
        *camera.shape,
    )


@pytest.mark.parametrize("pinhole", [SIM_CAMERA, ENV_CAMERA], ids=["16:9", "square"])
def test_every_ball_of_a_batch_is_where_geometry_says(pinhole):
    poses, targets, _ = worlds(20)
    with contextlib.closing(HeadCameraRenderer(pinhole)) as renderer:
        images = renderer.render_batch(poses, targets, np.ones(20, dtype=bool))
    expected = bearing(target_in_camera(poses, targets))
    np.testing.assert_allclose([detect(image) for image in images], expected, atol=1.5 / pinhole.focal)


def test_a_hidden_ball_is_in_no_frame(camera):
    poses, targets, shown = worlds(10)
    images = camera.render_batch(poses, targets, shown)
    assert [find_ball(image, BallColour()) is not None for image in images] == shown.tolist()


# Visuals


def changed(camera, visuals):
    """(H, W) where a frame differs from the one that training shows."""
    return (camera.render(AHEAD, BALL, visuals) != camera.render(AHEAD, BALL)).any(axis=-1)


def test_the_ball_takes_its_colour_and_nothing_else_changes(camera):
    orange = Visuals(ball=(1.0, 0.4, 0.05))
    image = camera.render(AHEAD, BALL, orange)
    assert find_ball(image, BallColour()) is None
    np.testing.assert_allclose(detect(image, ORANGE), bearing(target_in_camera(AHEAD, BALL)), atol=0.01)
    assert 0 < changed(camera, orange).mean() < 0.01


def test_less_light_makes_everything_but_the_pale_room_darker(camera):
    bright, dim = (
        camera.render(AHEAD, BALL).astype(int),
        camera.render(AHEAD, BALL, Visuals(brightness=0.4)).astype(int),
    )
    table = np.s_[-60:]
    assert (dim <= bright).all()
    assert dim[table].mean() == pytest.approx(0.4 * bright[table].mean(), rel=0.15)
    np.testing.assert_array_equal(dim[:20], bright[:20])


def test_the_lamp_lights_the_side_it_shines_on(camera):
    near = np.array([0.35, 0.0, 0.05])

    def right_minus_left(lamp):
        image = camera.render(AHEAD, near, Visuals(lamp=lamp)).astype(int)
        ball = find_ball(image.astype(np.uint8), BallColour())
        column, row = round(ball.column), round(ball.row)
        return image[row, column + 6 : column + 12, 1].mean() - image[row, column - 12 : column - 6, 1].mean()

    assert right_minus_left((0.3, -1.5, 0.8)) > 10
    assert right_minus_left((0.3, 1.5, 0.8)) < -10


@pytest.mark.parametrize("changes", [{"table": (1.0, 0.5, 0.5)}, {"checks": 3.0}], ids=["tint", "checks"])
def test_the_table_changes_below_the_horizon_only(camera, changes):
    different = changed(camera, Visuals(**changes))
    assert different[-40:].mean() > 0.1
    assert not different[:80].any()


def test_walls_hide_the_pale_room(camera):
    different = changed(camera, Visuals(wall=(0.6, 0.3, 0.3, 1.0)))
    assert different[:80].all()
    assert detect(camera.render(AHEAD, BALL, Visuals(wall=(0.6, 0.3, 0.3, 1.0)))) is not None


def test_a_thing_stands_where_it_is_put(camera):
    clutter = np.zeros((CLUTTER, 6))
    clutter[1] = 1.9, 0.4, 0.15, 0.1, 0.1, 1.0  # the second is a ball
    image = camera.render(AHEAD, None, Visuals(clutter=clutter))
    place = np.array([1.9, 0.4, 0.15 - 0.177])
    np.testing.assert_allclose(detect(image, BallColour(hue=120)), bearing(target_in_camera(AHEAD, place)), atol=0.01)


@pytest.mark.parametrize(
    ("turn", "moves"), [((0, 0.1, 0), (-0.1, 0)), ((0.1, 0, 0), (0, 0.1)), ((0, -0.05, 0), (0.05, 0))], ids=str
)
def test_a_turned_camera_sees_the_ball_elsewhere(camera, turn, moves):
    ball = np.array([0.8, 0.0, 0.0512])
    moved = detect(camera.render(AHEAD, ball, Visuals(camera_turn=turn))) - detect(camera.render(AHEAD, ball))
    np.testing.assert_allclose(moved, moves, atol=0.006)


def test_a_rolled_camera_turns_the_image_the_other_way(camera):
    ball = np.array([0.8, -0.2, 0.0512])
    _, below = detect(camera.render(AHEAD, ball, Visuals(camera_turn=(0.0, 0.0, 0.3))))
    right, _ = detect(camera.render(AHEAD, ball))
    assert np.tan(below) == pytest.approx(-np.sin(0.3) * np.tan(right), abs=0.01)


@pytest.mark.parametrize(("shift", "moves"), [((0.05, 0, 0), (-1, 0)), ((0, 0.05, 0), (0, -1))], ids=str)
def test_a_shifted_camera_sees_the_ball_on_the_other_side(camera, shift, moves):
    ball = np.array([0.8437, 0.0, 0.0512])
    moved = detect(camera.render(AHEAD, ball, Visuals(camera_shift=shift))) - detect(camera.render(AHEAD, ball))
    np.testing.assert_allclose(moved, np.arctan(0.05 / 0.8) * np.array(moves), atol=0.006)


def test_a_wider_view_makes_the_ball_smaller(camera):
    wide = find_ball(camera.render(AHEAD, BALL, Visuals(view=1.2)), BallColour()).area
    assert wide < 0.85 * find_ball(camera.render(AHEAD, BALL), BallColour()).area


def test_training_changes_nothing_and_leaves_nothing_of_what_was_drawn_before(camera):
    poses, targets, shown = *worlds(4)[:2], np.ones(4, dtype=bool)
    before = camera.render_batch(poses, targets, shown)
    for name in VISUAL_RANGES:
        assert (camera.render_batch(poses, targets, shown, drawn(name)) != before).any(axis=(1, 2, 3)).all()
    training = TRAINING_VISUALS.draw(np.random.default_rng(0).random((4, DRAWS)))
    np.testing.assert_array_equal(camera.render_batch(poses, targets, shown, training), before)


@pytest.mark.parametrize("name", VISUAL_RANGES)
def test_visuals_are_the_callers_numbers_and_stay_within_their_range(name):
    span, uniform = VISUAL_RANGES[name], np.random.default_rng(1).random((50, DRAWS))
    visuals, low, high = span.draw(uniform).rows(50), span.low.rows(50), span.high.rows(50)
    for field in SHAPES:
        np.testing.assert_array_equal(span.draw(uniform[:7]).rows(7)[field], visuals[field][:7])
        assert (np.minimum(low[field], high[field]) <= visuals[field] + 1e-12).all()
        assert (visuals[field] <= np.maximum(low[field], high[field]) + 1e-12).all()


@pytest.mark.parametrize("name", [name for name in VISUAL_RANGES if name != "other_colour"])
def test_nothing_but_the_ball_looks_like_the_ball(camera, name):
    """Whatever is drawn, an empty room holds no ball, and a ball is found: the task stays possible."""
    poses, targets, _ = worlds(30, seed=2)
    visuals = drawn(name, 30, seed=3)
    empty = camera.render_batch(poses, targets, np.zeros(30, dtype=bool), visuals)
    assert all(find_ball(image, BallColour()) is None for image in empty)
    full = camera.render_batch(poses, targets, np.ones(30, dtype=bool), visuals)
    assert np.mean([find_ball(image, BallColour()) is not None for image in full]) > 0.9


def test_visuals_for_another_number_of_environments_are_refused(camera):
    poses, targets, shown = worlds(4)
    with pytest.raises(WrongUseError, match="ball has the shape"):
        camera.render_batch(poses, targets, shown, Visuals(ball=np.ones((3, 3))))


# The robot from outside


@pytest.fixture(scope="module")
def robot_renderer():
    with contextlib.closing(RobotRenderer(320, 200, [BALL], gaze=True)) as renderer:
        yield renderer


def differing(image, other):
    """Share of the pixels that differ visibly."""
    return np.mean(np.abs(image.astype(int) - other).max(axis=-1) > 25)


def test_a_robot_that_moves_looks_different_and_is_drawn_the_same_again(robot_renderer):
    turned = NEUTRAL + np.eye(9)[5] * 0.5
    still, moved = robot_renderer.render(NEUTRAL, None), robot_renderer.render(turned, None)
    assert still.shape == (200, 320, 3)
    assert still.dtype == np.uint8
    assert 0.002 < differing(moved, still) < 0.2
    assert differing(robot_renderer.render(NEUTRAL, None), still) == 0


def test_a_pose_out_of_reach_leaves_the_robot_where_it_was(robot_renderer):
    still = robot_renderer.render(NEUTRAL, None)
    assert differing(robot_renderer.render(NEUTRAL + np.eye(9)[2], None), still) == 0


@pytest.mark.parametrize("target", [BALL, np.array([0.5, 0.4, 0.1]), np.array([1.1, -0.5, -0.1])], ids=str)
def test_the_view_holds_robot_and_ball_and_the_line_of_gaze(robot_renderer, target):
    robot_renderer.frame([target])
    empty, full = robot_renderer.render(NEUTRAL, None).astype(int), robot_renderer.render(NEUTRAL, target).astype(int)
    green = (full[..., 1] > 100) & (full[..., 0] < 60) & (full[..., 2] < 60)
    orange = (full[..., 0] > 150) & (full[..., 1] < 120) & (full[..., 2] < 80)
    assert find_ball(full.astype(np.uint8), BallColour()) is not None
    assert not (green[0].any() or green[-1].any() or green[:, 0].any() or green[:, -1].any()), "the ball is cut off"
    assert orange.sum() > 50
    assert differing(empty[:, :160], np.array([183, 157, 128])) > 0.05, "no robot on the left"


def test_reports_have_shadows_and_one_view_for_all_their_images():
    first, last = robot_images([NEUTRAL, NEUTRAL], [BALL, BALL], 320, 200)
    assert differing(first, last) == 0
    with contextlib.closing(RobotRenderer(320, 200, [BALL], gaze=True)) as renderer:
        assert differing(first, renderer.render(NEUTRAL, BALL)) > 0.001


def test_an_environment_shows_its_robot():
    with contextlib.closing(gymnasium.make("ReachyMini/LookAt-v0", tier="kinematic", render_mode="robot")) as env:
        env.reset(seed=0)
        before = env.render()
        env.step(env.action_space.high)
        assert before.shape == (500, 800, 3)
        assert differing(env.render(), before) > 0


def test_the_head_camera_does_not_wait_for_an_image_of_the_robot(camera, robot_renderer):
    drawing, done = threading.Event(), threading.Event()

    def hold():
        drawing.set()
        done.wait(60)

    thread = threading.Thread(target=ROBOT_IMAGES.do, args=[hold])
    thread.start()
    drawing.wait(60)
    camera.render(AHEAD, BALL)  # would wait for ever in the same thread
    done.set()
    thread.join(60)
    assert not thread.is_alive()


# Contexts


def test_cameras_side_by_side_do_not_disturb_each_other(camera):
    poses, targets, shown = worlds(3)
    expected = camera.render_batch(poses, targets, shown)
    with contextlib.closing(HeadCameraRenderer(ENV_CAMERA)) as square:
        first = square.render_batch(poses, targets, shown, drawn("busy_background", 3))
        for _ in range(3):
            np.testing.assert_array_equal(camera.render_batch(poses, targets, shown), expected)
            again = square.render_batch(poses, targets, shown, drawn("busy_background", 3))
            np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(camera.render_batch(poses, targets, shown), expected)


def test_any_thread_may_draw_and_close(camera):
    expected, other = camera.render(AHEAD, BALL), HeadCameraRenderer()
    images = []

    def work():
        images.extend(each.render(AHEAD, BALL) for each in (camera, other) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    closing = threading.Thread(target=other.close)
    closing.start()
    closing.join(60)
    assert len(images) == 40
    assert all(np.array_equal(image, expected) for image in images)
    np.testing.assert_array_equal(camera.render(AHEAD, BALL), expected)


def test_a_closed_camera_says_so():
    camera = HeadCameraRenderer()
    camera.close()
    camera.close()
    with pytest.raises(KitError, match="closed"):
        camera.render(AHEAD, BALL)


OPENING = """
import gc, sys, numpy as np, psutil
from reachy_sim.rendering.head_camera import HeadCameraRenderer

def use(count):
    for _ in range(count):
        camera = HeadCameraRenderer()
        camera.render(np.eye(4), np.array([0.8, 0.0, 0.0]))
        CLOSE
        del camera
    gc.collect()
    HeadCameraRenderer().close()  # whatever the garbage collector handed over has been freed before this
    return psutil.Process().memory_info().rss / 2**20, psutil.Process().num_fds(), psutil.Process().num_threads()

print(*use(COUNT), *use(4 * COUNT))
"""


@pytest.mark.long
@pytest.mark.parametrize("count", [5, 40])
@pytest.mark.parametrize("close", ["camera.close()", "pass"], ids=["closed", "garbage collected"])
def test_cameras_leave_nothing_behind(close, count):
    script = OPENING.replace("CLOSE", close).replace("COUNT", str(count))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=250, check=True)
    megabytes, files, threads, megabytes_later, files_later, threads_later = map(float, done.stdout.split())
    assert megabytes_later - megabytes < 15  # an open camera holds 11
    assert (files_later, threads_later) == (files, threads)
    assert done.stderr == ""


LEFT_OPEN = """
import numpy as np
from reachy_sim.rendering.head_camera import HeadCameraRenderer
cameras = [HeadCameraRenderer() for _ in range(3)]
cameras[0].render(np.eye(4), None)
cameras[1].itself = cameras[1]
print("done")
"""
FORKED = """
import os, warnings, numpy as np
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own about forks beside threads
from reachy_kit.runtime.errors import KitError
from reachy_sim.rendering.head_camera import HeadCameraRenderer
camera = HeadCameraRenderer()
if os.fork() == 0:
    try:
        camera.render(np.eye(4), None)
    except KitError as error:
        print("refused:", error, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize(("script", "says"), [(LEFT_OPEN, "done"), (FORKED, "refused")], ids=["left open", "forked"])
def test_a_process_ends_quietly_with_cameras_open_and_its_fork_is_refused(script, says):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert says in done.stdout
    assert done.stderr == ""


def test_gaze_views_show_the_robot_above_its_camera_and_colour_the_ring_while_the_ball_is_in_it():
    tolerance = np.deg2rad(8.0)
    with contextlib.closing(GazeViews(160, np.array([BALL]), tolerance)) as views:
        inside, outside = (views.render(NEUTRAL, BALL, error) for error in (0.5 * tolerance, 2 * tolerance))
    assert inside.shape == outside.shape == views.shape
    camera = 160 * 9 // 32 * 2  # 16:9, an even height
    assert (inside[:-camera] == outside[:-camera]).all()
    changed = (inside[-camera:] != outside[-camera:]).any(axis=2)
    rows, columns = np.nonzero(changed)
    radius = SIM_CAMERA.focal / SIM_CAMERA.width * 160 * np.tan(tolerance)
    assert np.hypot(rows - camera / 2, columns - 80) == pytest.approx(radius, abs=3)
