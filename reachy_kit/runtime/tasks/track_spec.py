"""track: keep the gaze on a target that swings about."""

from reachy_kit.runtime.interface import TaskError, TaskSpec
from reachy_kit.runtime.perception.target import TARGET_FEATURES

SPEC = TaskSpec(
    name="track",
    instruction="Follow the moving ball with your gaze.",
    features=TARGET_FEATURES,
    explored_axes=("head_pitch.pos", "head_yaw.pos"),
    error=TaskError("gaze error"),
    gym_id="ReachyMini/Track-v0",
    simulation="reachy_sim.tasks.track:SIMULATION",
)
