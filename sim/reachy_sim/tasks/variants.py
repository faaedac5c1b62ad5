"""A variant: a task with its own motion, or under domain parameters of its own.

Every task has a ``training`` variant. The others are held out: policies are evaluated on them and never trained.
Try it: reachy-kit eval expert --task track --variant hard --episodes 20
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reachy_sim.domain import DomainParameters
from reachy_sim.tasks.task import Task


@dataclass(frozen=True)
class Variant:
    """A task in a named domain."""

    name: str
    task: Task
    domain: DomainParameters = field(default_factory=DomainParameters)

    @property
    def has_own_domain(self) -> bool:
        """Whether motors, senses or visuals differ from the training variant's."""
        usual = DomainParameters()
        # Motors are arrays, which do not compare to a single truth value; no variant changes them.
        return replace(self.domain, motors=usual.motors) != usual


def variants(*every: Variant) -> dict[str, Variant]:
    """Variants by name; the first is the training variant."""
    return {variant.name: variant for variant in every}


def held_out(task: Task, *parameters: Mapping[str, DomainParameters]) -> list[Variant]:
    """A task under each of the named domain parameters, for example ``HELD_OUT_ROBOTS``."""
    return [Variant(name, task, domain) for named in parameters for name, domain in named.items()]
