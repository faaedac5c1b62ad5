"""A run on disk: a LeRobot ``pretrained_model`` folder, a card that says where it comes from, and its learning curve.

::

    runs/look_at/
        pretrained_model/   config.json, model.safetensors, LeRobot's processors
        card.json  README.md  task, method, rates, features, dataset and its hash, seed, versions, result
        examples.safetensors  a few observations, by which an exported graph is compared with torch
        curve.csv  curve.png
        checkpoints/        earlier weights, a run each, named by their iteration
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import PolicyProcessorPipeline
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import Policy
from reachy_kit.runtime.inference.chunked import ChunkedPolicy
from reachy_kit.runtime.inference.history import Floats
from reachy_policies.runs.run_card import RunCard
from reachy_policies.models.chunk import ReachyChunkPolicy, make_reachy_chunk_pre_post_processors
from reachy_policies.data.demonstrations import Windows

MODEL, CARD, EXAMPLES = "pretrained_model", "card.json", "examples.safetensors"
CHECKPOINTS = "checkpoints"
KEPT_EXAMPLES = 256


@dataclass(frozen=True)
class Run:
    """A saved run."""

    path: Path
    card: RunCard

    def load(self) -> ReachyChunkPolicy:
        """The chunk policy, through LeRobot's own loading.

        Raises:
            RefusedError: it is a policy of another kind, or its files are missing or damaged.
        """
        if self.card.policy != ReachyChunkPolicy.name:
            raise RefusedError(
                f"{self.path} is a policy of LeRobot's kind {self.card.policy}, which can be evaluated from torch. "
                f"Only the chunk policy ({ReachyChunkPolicy.name}) can be exported, or improved by reinforcement"
            )
        try:
            # LeRobot prints as it loads; standard output belongs to our results.
            with contextlib.redirect_stdout(io.StringIO()):
                return ReachyChunkPolicy.from_pretrained(self.path / MODEL, strict=True)
        except Exception as error:  # draccus, safetensors and torch each raise their own
            raise RefusedError(f"{self.path / MODEL} cannot be loaded ({error}). Train it again") from error

    def examples(self) -> Windows:
        """Observations from its training, a few.

        Raises:
            RefusedError: the file is missing or damaged.
        """
        try:
            return Windows(**load_file(self.path / EXAMPLES))
        except Exception as error:  # safetensors raises its own
            raise RefusedError(f"{self.path / EXAMPLES} cannot be read ({error}). Train the run again") from error

    def policy(self) -> Policy:
        """The policy ready to act, in torch; the chunk policy with the history and queue of a bundle on the robot."""
        if self.card.policy != ReachyChunkPolicy.name:
            from reachy_policies.models.lerobot import single_policy_of

            return single_policy_of(self)
        loaded = self.load()
        config = loaded.config

        def predict(state: Floats, sensed: Floats, last_action: Floats) -> Floats:
            noise = torch.zeros(len(state), config.chunk_size, last_action.shape[-1])
            with torch.no_grad():
                inputs = (torch.from_numpy(part) for part in (state, sensed, last_action))
                return np.asarray(loaded.network(*inputs, noise).numpy())

        picture = None if config.picture is None else (config.picture[1], config.picture[2])
        coefficient = config.temporal_ensemble_coeff
        return ChunkedPolicy(predict, config.n_obs_steps, config.n_action_steps, coefficient, picture)


def save_run(
    path: Path,
    policy: PreTrainedPolicy,
    card: RunCard,
    examples: Windows,
    files: Mapping[str, bytes],
    kept: Mapping[str, Path] = MappingProxyType({}),
    processors: tuple[PolicyProcessorPipeline, PolicyProcessorPipeline] | None = None,
) -> Run:
    """Write a run whole or not at all; one that is already there is replaced only by a whole one.

    Args:
        path: its folder.
        policy: what was learned.
        card: where it comes from.
        examples: observations by which an exported graph is compared with it; some of them are kept.
        files: what else lies in the folder, by name.
        kept: folders to copy into it, by name.
        processors: what LeRobot's policies are fed and read through; the chunk policy's own if not given.

    Raises:
        KitError: it cannot be written.
    """
    making, old = path.with_name(f".{path.name}.making"), path.with_name(f".{path.name}.old")
    try:
        undo_broken_replacement(path)
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        policy.save_pretrained(making / MODEL)
        for processor in processors or make_reachy_chunk_pre_post_processors(policy.config):
            processor.save_pretrained(making / MODEL)
        save_file(_some(examples), making / EXAMPLES)
        for name, content in files.items():
            (making / name).write_bytes(content)
        for name, source in kept.items():
            shutil.copytree(source, making / name)
        (making / CARD).write_text(json.dumps(asdict(card), indent=2))
        (making / "README.md").write_text(card.markdown())
        for file in sorted(making.rglob("*")):
            sync(file)
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        making.rename(path)
        sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(making, ignore_errors=True)
        raise KitError(
            f"the run {path} cannot be written: {error}. Make room, then give the same command again"
        ) from error
    return Run(path, card)


def undo_broken_replacement(path: Path) -> None:
    """Bring back a run, finished or not, that a crash caught between its moving aside and the new one's moving in."""
    old = path.with_name(f".{path.name}.old")
    if old.is_dir() and not path.exists():
        old.rename(path)


def versions() -> dict[str, str]:
    """Of what a training depends on."""
    return {name: version(name) for name in ("reachy-kit", "lerobot", "torch")}


def sync(path: Path) -> None:
    """Have the disk keep a file, or a folder's list of files, before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def weights_digest(run: Path) -> str:
    """SHA-256 of a run's weights."""
    return hashlib.sha256((run / MODEL / "model.safetensors").read_bytes()).hexdigest()


def _some(examples: Windows) -> dict[str, torch.Tensor]:
    """A few windows, evenly over all of them."""
    rows = torch.linspace(0, len(examples.state) - 1, KEPT_EXAMPLES).round().long().unique()
    return examples.at(rows).tensors()


def open_run(path: Path) -> Run:
    """A run that was saved here.

    Raises:
        WrongUseError: there is none.
    """
    try:
        stored = json.loads((path / CARD).read_text())
        names = ("environment_state", "environment_state_units")
        return Run(path, RunCard(**{**stored, **{name: tuple(stored[name]) for name in names}}))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WrongUseError(
            f"{path} is no run of reachy-kit ({CARD}: {error}). Train one: reachy-kit train imitation --out {path}"
        ) from error


def dataset_digest(root: Path) -> str:
    """SHA-256 over a dataset's tables and layout, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted([*root.glob("data/**/*.parquet"), *root.glob("meta/reachy_kit.json")]):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
