"""look_at: find a still target in view, and hold the gaze on it.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import numpy as np

from reachy_sim.tasks.gaze import GazeTask

LOOK_AT = GazeTask(
    name="look_at",
    instruction="Look at the ball and keep looking at it.",
    seconds=3.5,
    # People take a gaze as direct while it is up to 4–9° off (Gamer & Hecht 2007, the cone of gaze): 5° is "at me".
    tolerance=np.deg2rad(5.0),
    hold=1.0,
    hold_mode="continuous",
    target_offset=((-0.6, 0.6), (-0.35, 0.35)),
    distance=(0.5, 1.2),
    amplitude=((0.0, 0.0), (0.0, 0.0)),
    frequency=(0.0, 0.0),
    appears=(0.0, 0.6),
)
