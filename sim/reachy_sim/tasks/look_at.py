"""look_at: find a still target in view, and hold the gaze on it.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

from dataclasses import replace
from functools import partial

import numpy as np

from reachy_kit.runtime.tasks.look_at_spec import SPEC
from reachy_sim.domain import HELD_OUT_ROBOTS, HELD_OUT_SENSING, HELD_OUT_VISUALS
from reachy_sim.tasks.follower import PERSON, VISION_ORACLE, Follower
from reachy_sim.tasks.gaze import GazeTask
from reachy_sim.tasks.simulated_task import SimulatedTask
from reachy_sim.tasks.variants import Variant, held_out, variants

LOOK_AT = GazeTask(
    spec=SPEC,
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
VARIANTS = variants(
    Variant("training", LOOK_AT),
    # Half of them outside the view (±43°) at the start: there a policy has to search.
    Variant("out_of_view", replace(LOOK_AT, seconds=6.0, target_offset=((-1.1, 1.1), (-0.3, 0.3)))),
    Variant("swaying", replace(LOOK_AT, amplitude=((0.1, 0.3), (0.03, 0.1)), frequency=(0.1, 0.25))),
    Variant("hidden", replace(LOOK_AT, seconds=4.5, hidden=(0.3, 0.6), between=(0.9, 1.4))),
    *held_out(LOOK_AT, HELD_OUT_ROBOTS, HELD_OUT_SENSING, HELD_OUT_VISUALS),
)
SIMULATION = SimulatedTask(
    VARIANTS, expert=partial(Follower, config=PERSON), oracle=partial(Follower, config=VISION_ORACLE)
)
