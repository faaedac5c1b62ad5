"""track: keep the gaze on a target that swings about.

Try it: reachy-kit eval expert --task track --episodes 5
"""

import numpy as np

from reachy_sim.tasks.gaze import GazeTask

TRACK = GazeTask(
    name="track",
    instruction="Follow the moving ball with your gaze.",
    seconds=6.0,
    tolerance=np.deg2rad(8.0),
    # Five sixths of the time after a first second to find it.
    hold=4.2,
    hold_mode="total",
    target_offset=((-0.4, 0.4), (-0.2, 0.2)),
    distance=(0.5, 1.2),
    amplitude=((0.15, 0.45), (0.05, 0.15)),
    # 0.45 rad at 0.2 Hz peaks at 32°/s, a third of the fastest motion that human smooth pursuit follows (about 100°/s,
    # Meyer, Lasker & Robinson 1985).
    frequency=(0.05, 0.2),
    appears=(0.0, 0.6),
)
