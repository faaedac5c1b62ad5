"""track: keep the gaze on a target that swings about.

Try it: reachy-kit eval expert --task track --episodes 5
"""

from dataclasses import replace
from functools import partial

import numpy as np

from reachy_kit.runtime.tasks.track_spec import SPEC
from reachy_sim.domain import HELD_OUT_ROBOTS, HELD_OUT_SENSING, HELD_OUT_VISUALS
from reachy_sim.tasks.follower import PERSON, VISION_ORACLE, Follower
from reachy_sim.tasks.gaze import GazeTask
from reachy_sim.tasks.simulated_task import SimulatedTask
from reachy_sim.tasks.variants import Variant, held_out, variants

TRACK = GazeTask(
    spec=SPEC,
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
HARD = replace(
    TRACK,
    # The upper half of the swings, up to 36°/s: an expert that is a quarter of a second late is 9° off there. Its
    # success was set to 50–85 % with it.
    amplitude=((0.3, 0.5), (0.05, 0.15)),
    frequency=(0.08, 0.2),
)
VARIANTS = variants(
    Variant("training", TRACK),
    Variant("hard", HARD),
    Variant("still", replace(TRACK, amplitude=((0.0, 0.0), (0.0, 0.0)))),  # for calmness
    Variant("hidden", replace(TRACK, hidden=(0.3, 0.8), between=(1.5, 2.5))),
    # Swings of up to 57° to each side: it leaves the view of a head that does not follow.
    Variant("wide", replace(TRACK, target_offset=((-0.6, 0.6), (-0.2, 0.2)), amplitude=((0.5, 0.9), (0.05, 0.15)))),
    *held_out(TRACK, HELD_OUT_ROBOTS, HELD_OUT_SENSING, HELD_OUT_VISUALS),
)
SIMULATION = SimulatedTask(
    VARIANTS, expert=partial(Follower, config=PERSON), oracle=partial(Follower, config=VISION_ORACLE)
)
