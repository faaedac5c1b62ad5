"""A run on disk: opening, and atomic saving. ``run_files`` lists its files."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.durable_files import replace_folder, undo_broken_replacement
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.json_record import finite_json
from reachy_policies.data.windows import Windows
from reachy_policies.models.chunk import make_reachy_chunk_pre_post_processors
from reachy_policies.models.pretrained import Processors, save_pretrained
from reachy_policies.runs.run_card import RunCard
from reachy_policies.runs.run_files import (
    CARD,
    CARD_SCHEMA,
    EXAMPLES,
    MODEL,
    README,
    WEIGHTS,
    model_folder,
    training_command,
)

_KEPT_EXAMPLES = 256


@dataclass(frozen=True)
class Run:
    """A saved run."""

    path: Path
    card: RunCard

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        path = self.path.resolve()
        return (path.parent if path.name == MODEL else path).name

    @property
    def model(self) -> Path:
        """Folder of the policy's weights, as LeRobot's ``from_pretrained`` takes it."""
        return model_folder(self.path)

    @property
    def is_model_alone(self) -> bool:
        """Whether it is a copied ``pretrained_model``: without examples and learning curve."""
        return self.model == self.path

    def examples(self) -> Windows:
        """Observations from its training, at most ``_KEPT_EXAMPLES``.

        Raises:
            RefusedError: the file is missing or damaged.
        """
        if self.is_model_alone:
            raise RefusedError(f"{self.path} is a {MODEL} folder without its run's {EXAMPLES}. Give the whole run")
        try:
            return Windows(**load_file(self.path / EXAMPLES))
        except Exception as error:  # safetensors raises an exception of its own
            raise RefusedError(f"{self.path / EXAMPLES} cannot be read ({error}). Train the run again") from error


def open_run(path: Path) -> Run:
    """Open a saved run.

    Raises:
        WrongUseError: the folder is not a run.
        RefusedError: it was written by another version of this kit.
    """
    try:
        stored = json.loads((path / CARD).read_text())
        if stored.pop("schema", None) != CARD_SCHEMA:
            raise RefusedError(f"{path} is a run of another version of this kit. Train it again")
        stored |= {name: tuple(stored[name]) for name in ("environment_state", "environment_state_units")}
        stored |= {name: Path(stored[name]).name for name in ("dataset", "start")}  # once whole paths
        return Run(path, RunCard(**stored))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongUseError(
            f"{path} is not a reachy-kit run ({CARD}: {error}). Train one: {training_command(path)}"
        ) from error


def save_run(
    path: Path,
    policy: PreTrainedPolicy,
    card: RunCard,
    examples: Windows,
    files: Mapping[str, bytes],
    folders: Mapping[str, Path] = MappingProxyType({}),
    processors: Processors | None = None,
) -> Run:
    """Write a run completely or not at all; an existing run is replaced only by a complete one.

    Args:
        path: folder of the run.
        policy: the trained policy.
        card: its provenance and results.
        examples: observations by which an exported graph is compared with it; some of them are kept.
        files: further files of the folder, by name.
        folders: folders to copy into it, by name.
        processors: before and after a policy of LeRobot's; the chunk policy's own if not given.

    Raises:
        KitError: it cannot be written.
    """
    temporary = path.resolve().with_name(f".{path.resolve().name}.making")
    inputs = {key: list(feature.shape) for key, feature in (policy.config.input_features or {}).items()}
    card = replace(card, inputs=inputs)
    try:
        undo_broken_replacement(path)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_pretrained(temporary / MODEL, policy, processors or make_reachy_chunk_pre_post_processors(policy.config))
        save_file(_few(examples), temporary / EXAMPLES)
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        for name, source in folders.items():
            shutil.copytree(source, temporary / name)
        for folder in (temporary, temporary / MODEL):  # pretrained_model is what people push to the Hub
            _write_card(folder, card)
        replace_folder(path, temporary)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise KitError(
            f"the run {path} cannot be written: {error}. Make room, then give the same command again"
        ) from error
    return Run(path, card)


def _write_card(folder: Path, card: RunCard) -> None:
    content = finite_json({"schema": CARD_SCHEMA, **asdict(card)})
    (folder / CARD).write_text(json.dumps(content, indent=2, allow_nan=False))
    (folder / README).write_text(card.markdown(), encoding="utf-8")


def _few(examples: Windows) -> dict[str, torch.Tensor]:
    """At most ``_KEPT_EXAMPLES`` windows, evenly over all of them."""
    return examples.select(example_rows(len(examples.state))).tensors()


def example_rows(count: int) -> torch.Tensor:
    """Indices of the examples that a run keeps of ``count``; of those that are kept, it keeps all."""
    rows: torch.Tensor = torch.linspace(0, count - 1, _KEPT_EXAMPLES).round().long().unique()
    return rows


def versions() -> dict[str, str]:
    """Versions of the packages that a training depends on."""
    return {name: version(name) for name in ("reachy-kit", "lerobot", "torch")}


def weights_digest(run: Path) -> str:
    """SHA-256 of a run's weights."""
    return hashlib.sha256((model_folder(run) / WEIGHTS).read_bytes()).hexdigest()


def dataset_digest(root: Path) -> str:
    """SHA-256 over a dataset's layout and the numbers of its frames, in whatever files they are.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: a file is missing or damaged.
    """
    with files_in_place(root):
        dataset = StoredDataset(root)
        columns = {key: dataset.column(key) for key in sorted(dataset.vectors)}
    digest = hashlib.sha256(json.dumps(asdict(dataset.layout), sort_keys=True).encode())
    for name, values in {**columns, "episode": dataset.frame_episodes()}.items():
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
