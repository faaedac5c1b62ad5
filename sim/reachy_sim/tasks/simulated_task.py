"""The heavy half of a task: its variants, its expert and its oracle; and how to find them by the task's name."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_sim import register_environment
from reachy_sim.tasks.expert import Expert, SingleEnvPolicy
from reachy_sim.tasks.task import Task
from reachy_sim.tasks.variants import Variant

TRAINING = "training"
"""The variant that every task has: policies are trained on it."""
type MakeExpert = Callable[[int, int], Expert]
"""Factory of an expert, from the number of environments and the decisions per second."""


@dataclass(frozen=True)
class SimulatedTask:
    """A task in the simulator; ``TaskSpec.simulation`` names it."""

    variants: Mapping[str, Variant]
    """Variants by name; ``training`` is the one to train on."""
    expert: MakeExpert
    """Makes the expert, which acts as a person would."""
    oracle: MakeExpert
    """Makes the oracle, which acts as well as the same senses permit."""

    def __post_init__(self) -> None:
        if TRAINING not in self.variants:
            raise ValueError(f"a task needs a variant that is called {TRAINING}")

    @property
    def task(self) -> Task:
        """The task of the training variant."""
        return self.variants[TRAINING].task


def simulated_task(task: str) -> SimulatedTask:
    """The heavy half of a task.

    Args:
        task: its name, or the path of the file that holds it.

    Raises:
        WrongUseError: the task does not exist or cannot be simulated.
    """
    spec = task_spec(task)
    module, _, attribute = spec.simulation.partition(":")
    try:
        simulated = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # code of another package
        raise WrongUseError(f"{spec.name} cannot be simulated: {spec.simulation} fails with {error!r}") from error
    if not isinstance(simulated, SimulatedTask):
        raise WrongUseError(f"{spec.name} cannot be simulated: {spec.simulation} is not a SimulatedTask")
    if simulated.task.spec != spec:
        raise WrongUseError(f"{spec.name} cannot be simulated: {spec.simulation} has another TaskSpec")
    register_environment(spec)  # a task from a file is not registered before
    return simulated


def variant_by_name(task: str, variant: str = TRAINING) -> Variant:
    """A task's variant.

    Raises:
        WrongUseError: the task or its variant does not exist.
    """
    variants = simulated_task(task).variants
    if variant not in variants:
        raise WrongUseError(f"{task} has no variant {variant!r}; there are {', '.join(variants)}")
    return variants[variant]


def expert_policy(task: str, hz: int, count: int = 1, *, oracle: bool = False) -> Expert:
    """A task's expert or oracle for many environments at once.

    Args:
        task: its name.
        hz: decisions per second.
        count: N environments.
        oracle: make the oracle instead of the expert.
    """
    simulated = simulated_task(task)
    return (simulated.oracle if oracle else simulated.expert)(count, hz)


def single_expert_policy(task: str, hz: int, seed: int = 0, *, oracle: bool = False) -> SingleEnvPolicy:
    """A task's expert or oracle for the control loop."""
    return SingleEnvPolicy(expert_policy(task, hz, oracle=oracle), seed)
