"""Load the policy that an argument names: a scripted one, the folder of a run, an arm of several runs, or a bundle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.cli.simulated import BatchExpert
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import Policy

if TYPE_CHECKING:
    import numpy.typing as npt

    from reachy_policies.evaluation.groups import TrainingGroup
    from reachy_policies.rollouts.episode_batch import BatchPolicy


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
        from reachy_sim.tasks import single_expert_policy
        from reachy_sim.tasks.expert import RandomPolicy

        scripted = RandomPolicy(_HZ) if name == "random" else single_expert_policy(task, _HZ, oracle=name == "oracle")
        return LoadedPolicy(name, scripted, _HZ, None)
    path = Path(name)
    if (path / "card.json").is_file():
        from reachy_policies.runs.run import open_run

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
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_kit.runtime.inference.onnx_policy import load_policy

    bundle = read_bundle(path)
    graph = bundle.manifest.graphs[0]
    return LoadedPolicy(path.name, load_policy(bundle, features), graph.hz, bundle.manifest.task)


def looks_at_pictures(name: str) -> bool:
    """Whether a run's or a bundle's policy wants the camera's pictures."""
    return picture_width(name) > 0


def picture_width(name: str) -> int:
    """Px of the pictures that a run's or a bundle's policy looks at; 0 if it looks at none."""
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_kit.runtime.inference.onnx_policy import image_size
    from reachy_kit.runtime.recording.schema import IMAGE

    try:
        if not (Path(name) / "card.json").is_file():
            return (image_size(read_bundle(Path(name))) or (0, 0))[1]
        inputs = json.loads((Path(name) / "pretrained_model" / "config.json").read_text())["input_features"]
        return int(inputs[IMAGE]["shape"][2]) if IMAGE in inputs else 0
    except (KitError, OSError, ValueError, KeyError, TypeError):
        return 0  # scripted, a bundle, or damaged: whoever loads it says so


def is_group(argument: str) -> bool:
    """Whether an argument is NAME=DIR, or a folder of runs, one a training seed."""
    name, path = _named(argument)
    return name is not None or (not (path / "card.json").is_file() and any(path.glob("seed-*/card.json")))


def load_groups(arguments: Sequence[str], task: str, features: tuple[str, ...]) -> "list[TrainingGroup]":
    """What is to be judged in the batched simulator.

    Args:
        arguments: expert, oracle, random, a run, a folder of runs, or NAME=DIR of either.
        task: that they must be for.
        features: of the task.

    Raises:
        WrongUseError: there is no such policy, it is for another task, or two have the same name.
        RefusedError: it looks at other features.
    """
    from reachy_policies.evaluation.groups import open_group

    named = [(argument, *_named(argument)) for argument in arguments]
    labels = [name or (argument if argument in SCRIPTED else path.resolve().name) for argument, name, path in named]
    for label in labels:
        if labels.count(label) > 1:
            raise WrongUseError(f"two policies are called {label}: tell them apart with NAME={label}")
    groups = {
        label: open_group(label, _no_bundle(argument, path), task, features)
        for label, (argument, name, path) in zip(labels, named, strict=True)
        if name is not None or argument not in SCRIPTED
    }
    hz = next((group.hz for group in groups.values()), _HZ)
    return [groups[label] if label in groups else scripted_group(label, task, hz) for label in labels]


def scripted_group(name: str, task: str, hz: int = _HZ) -> "TrainingGroup":
    """The expert, the oracle or the restless, for many environments at once."""
    from reachy_policies.evaluation.groups import TrainingGroup

    def policy(seeds: Sequence[int]) -> "BatchPolicy":
        return _Restless(hz, seeds) if name == "random" else BatchExpert(task, hz, seeds, oracle=name == "oracle")

    return TrainingGroup(name, hz, (None,), (policy,))


class _Restless:
    """One restless policy an episode, each with the episode's seed."""

    def __init__(self, hz: int, seeds: Sequence[int]) -> None:
        self._hz, self._seeds = hz, seeds

    def begin(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> None:
        from reachy_sim.tasks.expert import RandomPolicy

        self._every = [RandomPolicy(self._hz, seed) for seed in self._seeds]

    def act(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> "npt.NDArray[Any]":
        import numpy as np

        from reachy_kit.runtime.interface import Observation

        unseen = Observation(observation["agent_pos"][0], 0.0)
        return np.stack([one.act(unseen) for one in self._every])


def _named(argument: str) -> tuple[str | None, Path]:
    """NAME=DIR taken apart; without a name, and where the whole is a path that exists, None and the path."""
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return None, Path(argument)
    if not name or not path:
        raise WrongUseError(f"{argument}: an arm is NAME=DIR")
    return name, Path(path)


def _no_bundle(argument: str, path: Path) -> Path:
    if not path.exists():
        raise WrongUseError(
            f"{argument} is neither a run nor a folder of runs nor {', '.join(SCRIPTED)}. Train one: reachy-kit train "
            f"imitation --out {path}"
        )
    if path.is_file() or (path / "manifest.json").is_file():
        raise WrongUseError(
            f"{path} is a bundle, which runs one episode after another: leave out --variants, --html and arms, or "
            "give its run"
        )
    return path
