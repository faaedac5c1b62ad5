"""look_at: find a still target in view, and hold the gaze on it."""

from reachy_kit.runtime.interface import TaskError, TaskSpec
from reachy_kit.runtime.perception.target import TARGET_FEATURES

SPEC = TaskSpec(
    name="look_at",
    instruction="Look at the ball and keep looking at it.",
    features=TARGET_FEATURES,
    explored_axes=("head_pitch.pos", "head_yaw.pos"),
    error=TaskError("gaze error"),
    gym_id="ReachyMini/LookAt-v0",
    simulation="reachy_sim.tasks.look_at:SIMULATION",
)
