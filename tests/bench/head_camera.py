"""Benchmark of the simulated head camera: how fast one context renders the images of many environments."""

import time

import numpy as np

BATCH = 64


def batch_frames() -> tuple[str, float, str, float]:
    """A frame of 96 × 96 px in a batch of 64, each with its own visuals; limit 150 frames/s."""
    from reachy_kit.runtime.perception.camera import ENV_CAMERA
    from reachy_sim.rendering.head_camera import HeadCameraRenderer
    from reachy_sim.rendering.visuals import DRAWS, VISUAL_RANGES

    rng = np.random.default_rng(0)
    poses, targets = np.tile(np.eye(4), (BATCH, 1, 1)), rng.uniform([0.5, -0.4, -0.1], [1.2, 0.4, 0.2], (BATCH, 3))
    visuals = VISUAL_RANGES["busy_background"].draw(rng.random((BATCH, DRAWS)))
    shown = np.ones(BATCH, dtype=bool)
    renderer = HeadCameraRenderer(ENV_CAMERA)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        renderer.render_batch(poses, targets, shown, visuals)
        seconds.append((time.perf_counter() - start) / BATCH)
    renderer.close()
    return (
        f"head camera, a frame of {BATCH} at 96 × 96",
        float(np.median(seconds[1:])),
        "the limit of 150 frames/s",
        1 / 150,
    )
