"""dance: nod and swing the antennas in time with a beat, from the beat's phase and tempo."""

from reachy_kit.runtime.interface import TaskError, TaskSpec
from reachy_kit.runtime.perception.sound import BEAT_FEATURES

SPEC = TaskSpec(
    name="dance",
    instruction="Dance to the beat.",
    features=BEAT_FEATURES,
    explored_axes=("head_pitch.pos", "right_antenna.pos", "left_antenna.pos"),
    error=TaskError("phase error", unit="degrees of a beat"),
    gym_id="ReachyMini/Dance-v0",
    simulation="reachy_sim.tasks.dance:SIMULATION",
)
