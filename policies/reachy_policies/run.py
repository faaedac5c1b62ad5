"""A run on disk: a LeRobot ``pretrained_model`` folder, a card that says where it comes from, and its learning curve.

::

    runs/look_at/
        pretrained_model/   config.json, model.safetensors, LeRobot's processors
        card.json           task, rates, features, dataset and its hash, seed, versions, result
        curve.csv  curve.png
"""

import contextlib
import hashlib
import io
import json
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reachy_kit.errors import KitError, RefusedError, WrongUseError
from reachy_kit.recording import DatasetLayout
from reachy_kit.runner import ChunkedPolicy, Floats
from reachy_policies.chunk import ReachyChunkPolicy, make_reachy_chunk_pre_post_processors
from reachy_policies.imitation import Fitted, ImitationConfig, write_curve
from reachy_policies.plots import learning_curve

MODEL, CARD = "pretrained_model", "card.json"


@dataclass(frozen=True)
class RunCard:
    """Where a run comes from."""

    task: str
    policy: str
    policy_hz: int
    control_hz: int
    environment_state: tuple[str, ...]
    dataset: str
    dataset_sha256: str
    """Over the dataset's tables and its layout."""
    episodes: int
    held_out: list[int]
    seed: int
    steps: int
    """Step whose weights were kept."""
    held_out_loss: float
    held_out_error: float
    seconds: float
    """Wall time of the fit."""
    versions: dict[str, str]

    @property
    def dataset_path(self) -> Path:
        """Folder of the dataset."""
        return Path(self.dataset)

    def provenance(self) -> dict[str, Any]:
        """What a bundle keeps of it: the dataset's name and hash, not the folders of whoever trained."""
        return {**asdict(self), "dataset": self.dataset_path.name}


@dataclass(frozen=True)
class Run:
    """A saved run."""

    path: Path
    card: RunCard

    def load(self) -> ReachyChunkPolicy:
        """The policy, through LeRobot's own loading.

        Raises:
            RefusedError: its files are missing or damaged.
        """
        try:
            # LeRobot prints as it loads; standard output belongs to our results.
            with contextlib.redirect_stdout(io.StringIO()):
                return ReachyChunkPolicy.from_pretrained(self.path / MODEL, strict=True)
        except Exception as error:  # draccus, safetensors and torch each raise their own
            raise RefusedError(f"{self.path / MODEL} cannot be loaded ({error}). Train it again") from error

    def policy(self) -> ChunkedPolicy:
        """The policy ready to act, in torch, with the same history and queue as a bundle on the robot."""
        loaded = self.load()
        config = loaded.config

        def predict(state: Floats, environment_state: Floats, last_action: Floats) -> Floats:
            noise = torch.zeros(len(state), config.chunk_size, last_action.shape[-1])
            with torch.no_grad():
                inputs = (torch.from_numpy(part) for part in (state, environment_state, last_action))
                return np.asarray(loaded.network(*inputs, noise).numpy())

        return ChunkedPolicy(predict, config.n_obs_steps, config.n_action_steps)


def save_run(
    path: Path, fitted: Fitted, layout: DatasetLayout, dataset: Path, episodes: int, config: ImitationConfig
) -> Run:
    """Write a run whole or not at all; one that is already there is replaced only by a whole one.

    Raises:
        KitError: it cannot be written.
    """
    card = RunCard(
        task=layout.task,
        policy=fitted.policy.name,
        policy_hz=layout.policy_hz,
        control_hz=layout.control_hz,
        environment_state=layout.environment_state,
        dataset=str(dataset.resolve()),
        dataset_sha256=dataset_digest(dataset),
        episodes=episodes,
        held_out=fitted.held_out,
        seed=config.seed,
        steps=fitted.best.step,
        held_out_loss=fitted.best.held_out_loss,
        held_out_error=fitted.best.held_out_error,
        seconds=fitted.history[-1].seconds,
        versions={name: version(name) for name in ("reachy-kit", "lerobot", "torch")},
    )
    making = path.with_name(f".{path.name}.making")
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        fitted.policy.save_pretrained(making / MODEL)
        for processor in make_reachy_chunk_pre_post_processors(fitted.policy.config):
            processor.save_pretrained(making / MODEL)
        write_curve(fitted.history, making / "curve.csv")
        (making / "curve.png").write_bytes(learning_curve(fitted.history))
        (making / CARD).write_text(json.dumps(asdict(card), indent=2))
        if path.exists():
            shutil.rmtree(path)
        making.rename(path)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise KitError(f"the run {path} cannot be written: {error}") from error
    return Run(path, card)


def open_run(path: Path) -> Run:
    """A run that was saved here.

    Raises:
        WrongUseError: there is none.
    """
    try:
        stored = json.loads((path / CARD).read_text())
        return Run(path, RunCard(**{**stored, "environment_state": tuple(stored["environment_state"])}))
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
