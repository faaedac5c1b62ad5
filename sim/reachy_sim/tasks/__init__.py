"""The tasks in the simulator: a file each, found by name through the light halves in ``reachy_kit.runtime.tasks``."""

from reachy_sim.tasks.simulated_task import (
    TRAINING,
    SimulatedTask,
    expert_policy,
    simulated_task,
    single_expert_policy,
    variant_by_name,
)

__all__ = ["TRAINING", "SimulatedTask", "expert_policy", "simulated_task", "single_expert_policy", "variant_by_name"]
