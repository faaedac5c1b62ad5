"""Policies by the argument that names them: a scripted one, a run's folder, a group of several runs, or a bundle.

Try it: reachy-kit eval expert oracle random --task look_at --episodes 5
"""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.interface import Observation, Policy
from reachy_kit.runtime.perception.features import require_features
from reachy_kit.runtime.shell_command import quote_argument
from reachy_kit.workflows.inputs.sim_envs import BatchExpert
from reachy_policies.runs.run_files import CONFIG, is_run, model_folder, run_folders, training_command

if TYPE_CHECKING:
    import numpy.typing as npt

    from reachy_policies.evaluation.groups import TrainingGroup
    from reachy_policies.rollouts.episode_batch import BatchPolicy

SCRIPTED = ("expert", "oracle", "random")
SCRIPTED_HZ = 25
"""Decisions per second of a scripted policy, where no other policy sets the rate."""


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy with its task and rate."""

    label: str
    policy: Policy
    policy_hz: int
    """Decisions per second."""
    task: str | None
    """Name of its task; None where it fits any."""


def load_policy(argument: str, features: tuple[str, ...], task: str) -> LoadedPolicy:
    """Load the policy of an argument for one robot.

    Args:
        argument: ``expert`` acts as a person would, ``oracle`` as well as the senses permit, ``random`` moves about;
            anything else is the path of a run or of a bundle.
        features: names of what perception yields.
        task: that a scripted policy performs.

    Returns:
        The policy.

    Raises:
        WrongUseError: there is no such policy.
        RefusedError: it was trained on other features.
    """
    if argument in SCRIPTED:
        from reachy_sim.tasks import single_expert_policy
        from reachy_sim.tasks.expert import RandomPolicy

        oracle = argument == "oracle"
        random = argument == "random"
        scripted = RandomPolicy(SCRIPTED_HZ) if random else single_expert_policy(task, SCRIPTED_HZ, oracle=oracle)
        return LoadedPolicy(argument, scripted, SCRIPTED_HZ, None)
    path = Path(argument)
    path = path if path.name else path.resolve()  # the name of `.`
    if is_run(path):
        from reachy_policies.runs.policy_loader import single_policy
        from reachy_policies.runs.saved_run import open_run

        run = open_run(path)
        require_features(argument, run.card.environment_state, features)
        return LoadedPolicy(path.name, single_policy(run), run.card.policy_hz, run.card.task)
    if not path.exists():
        raise WrongUseError(
            f"{argument} is neither a run nor a bundle nor {', '.join(SCRIPTED)}. Train one: {training_command(path)}"
        )
    from reachy_kit.runtime.inference import onnx_policy
    from reachy_kit.runtime.inference.bundle import read_bundle

    bundle = read_bundle(path)
    policy = onnx_policy.load_policy(bundle, features)
    return LoadedPolicy(path.name, policy, bundle.manifest.graphs[0].hz, bundle.manifest.task)


def image_width(argument: str) -> int:
    """Width of the images that a run's or a bundle's policy takes, px; 0 if it takes none, or cannot be read."""
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_kit.runtime.inference.onnx_policy import image_size
    from reachy_kit.runtime.recording.schema import IMAGE

    try:
        if not is_run(Path(argument)):
            return (image_size(read_bundle(Path(argument))) or (0, 0))[1]
        inputs = json.loads((model_folder(Path(argument)) / CONFIG).read_text())["input_features"]
        return int(inputs[IMAGE]["shape"][2]) if IMAGE in inputs else 0
    except (KitError, OSError, ValueError, KeyError, TypeError):
        return 0  # a scripted policy, or damaged files, which loading reports


def takes_images(argument: str) -> bool:
    """Whether the policy of an argument takes the camera's images."""
    return image_width(argument) > 0


def is_group(argument: str) -> bool:
    """Whether an argument is NAME=DIR, or a folder of runs, one for each training seed."""
    name, path = _split_name(argument)
    return name is not None or (not is_run(path) and bool(run_folders(path)))


def open_groups(arguments: Sequence[str], task: str, features: tuple[str, ...]) -> "list[TrainingGroup]":
    """Open what is to be evaluated in the batched simulator.

    Args:
        arguments: expert, oracle, random, a run, a folder of runs, or NAME=DIR of either.
        task: that they must be for.
        features: names of what the task's perception yields.

    Returns:
        A group for each argument.

    Raises:
        WrongUseError: there is no such policy, it is for another task, or two have the same name.
        RefusedError: it was trained on other features.
    """
    from reachy_policies.evaluation.groups import open_group

    named = [(argument, *_split_name(argument)) for argument in arguments]
    labels = [name or (argument if argument in SCRIPTED else path.resolve().name) for argument, name, path in named]
    for label in labels:
        if labels.count(label) > 1:
            alike = [each for each, given in zip(named, labels, strict=True) if given == label]
            raise WrongUseError(f"two policies are called {label}: {_tell_apart(alike)}")
    groups = {
        label: open_group(label, _require_run(argument, path), task, features)
        for label, (argument, name, path) in zip(labels, named, strict=True)
        if name is not None or argument not in SCRIPTED
    }
    hz = next((group.hz for group in groups.values()), SCRIPTED_HZ)
    return [groups[label] if label in groups else scripted_group(label, task, hz) for label in labels]


def scripted_group(name: str, task: str, hz: int = SCRIPTED_HZ) -> "TrainingGroup":
    """A scripted policy as a group, for many environments at once.

    Args:
        name: ``expert``, ``oracle`` or ``random``.
        task: that it performs.
        hz: decisions per second.

    Returns:
        A group of one policy that was not trained.
    """
    from reachy_policies.evaluation.groups import TrainingGroup

    def policy(seeds: Sequence[int]) -> "BatchPolicy":
        return _RandomBatch(hz, seeds) if name == "random" else BatchExpert(task, hz, seeds, oracle=name == "oracle")

    return TrainingGroup(name, hz, (None,), (policy,))


class _RandomBatch:
    """A random policy for each environment, with the seed of its episode."""

    def __init__(self, hz: int, seeds: Sequence[int]) -> None:
        self._hz, self._seeds = hz, seeds

    def reset(self) -> None:
        from reachy_sim.tasks.expert import RandomPolicy

        self._policies = [RandomPolicy(self._hz, seed) for seed in self._seeds]

    def act(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> "npt.NDArray[Any]":
        ignored = Observation(observation["agent_pos"][0], 0.0)
        return np.stack([policy.act(ignored) for policy in self._policies])


def _split_name(argument: str) -> tuple[str | None, Path]:
    """Split NAME=DIR into name and path; the name is None without one, and where the argument itself is a path."""
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return None, Path(argument)
    if not name or not path:
        raise WrongUseError(f"{argument}: a group of runs is given as NAME=DIR")
    return name, Path(path)


def _tell_apart(alike: list[tuple[str, str | None, Path]]) -> str:
    """What to do about policies of one name, each given as argument, name and path."""
    paths = [path for argument, name, path in alike if name is not None or argument not in SCRIPTED]
    if not paths:
        return "give it once"
    letters = zip(string.ascii_uppercase, paths, strict=False)
    return f"tell them apart with {' '.join(quote_argument(f'{letter}={path}') for letter, path in letters)}"


def _require_run(argument: str, path: Path) -> Path:
    if not path.exists():
        raise WrongUseError(
            f"{argument} is neither a run nor a folder of runs nor {', '.join(SCRIPTED)}. Train one: "
            f"{training_command(path)}"
        )
    if path.is_file() or (path / "manifest.json").is_file():
        raise WrongUseError(
            f"{path} is a bundle, which runs one episode after another: leave out --variants, --html and groups, or "
            "give its run"
        )
    return path
