"""sound_orient: turn head and body to a sound that may come from anywhere."""

from reachy_kit.runtime.interface import TaskError, TaskSpec
from reachy_kit.runtime.perception.sound import SOUND_FEATURES

SPEC = TaskSpec(
    name="sound_orient",
    instruction="Turn to the person who is speaking.",
    features=SOUND_FEATURES,
    explored_axes=("head_yaw.pos", "body_yaw.pos"),
    error=TaskError("bearing error"),
    gym_id="ReachyMini/SoundOrient-v0",
    simulation="reachy_sim.tasks.sound_orient:SIMULATION",
)
