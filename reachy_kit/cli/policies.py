"""Load the policy that an argument names: a scripted one, the folder of a run, or a bundle."""

from dataclasses import dataclass
from pathlib import Path

from reachy_kit.errors import RefusedError, WrongUseError
from reachy_kit.interface import Policy


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy and what it was made for."""

    label: str
    policy: Policy
    policy_hz: int
    task: str | None
    """None for what fits any task."""


SCRIPTED = ("expert", "oracle", "random")
_HZ = 25


def load(name: str, features: tuple[str, ...], task: str) -> LoadedPolicy:
    """Load a policy for a perception that yields the given features, and for a task.

    ``expert`` does it as a person would, ``oracle`` as well as the same senses allow, ``random`` moves about.

    Raises:
        WrongUseError: there is no such policy.
        RefusedError: it was trained on other features.
    """
    if name in SCRIPTED:
        from reachy_sim.tasks.expert import Restless, expert

        scripted = Restless(_HZ) if name == "random" else expert(task, _HZ, oracle=name == "oracle")
        return LoadedPolicy(name, scripted, _HZ, None)
    path = Path(name)
    if (path / "card.json").is_file():
        from reachy_policies.run import open_run

        run = open_run(path)
        if run.card.environment_state != features:
            raise RefusedError(
                f"{path} was trained on {', '.join(run.card.environment_state)}, not {', '.join(features)}"
            )
        return LoadedPolicy(path.name, run.policy(), run.card.policy_hz, run.card.task)
    if not path.exists():
        raise WrongUseError(
            f"{name} is neither a run nor a bundle nor {', '.join(SCRIPTED)}. Train one: reachy-kit train imitation "
            f"--out {name}"
        )
    from reachy_kit.bundle import read_bundle
    from reachy_kit.runner import load_policy

    bundle = read_bundle(path)
    graph = bundle.manifest.graphs[0]
    return LoadedPolicy(path.name, load_policy(bundle, features), graph.hz, bundle.manifest.task)
