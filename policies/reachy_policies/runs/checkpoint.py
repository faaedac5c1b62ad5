"""Checkpoints: a training's state as one safetensors file, written atomically; values that are not tensors are JSON.

A *state* is a dictionary by name whose leaves are tensors, or values that JSON knows; its parts may be dictionaries of
the same kind.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from reachy_kit.runtime.durable_files import replace_file
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_policies.runs.run_files import CHECKPOINT_SCHEMA

type State = Mapping[str, Any]
_SEPARATOR = "/"


def write_checkpoint(path: Path, state: State) -> None:
    """Write a checkpoint, flush it to disk, then replace the old one.

    Raises:
        KitError: it cannot be written; the old one is kept.
    """
    temporary = path.with_suffix(".making")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().contiguous().clone() for name, value in tensors_of(state)}
        save_file(tensors, temporary, {"schema": str(CHECKPOINT_SCHEMA), "values": json.dumps(_without_tensors(state))})
        replace_file(path, temporary)
    except Exception as error:  # safetensors raises an exception of its own for a full disk
        temporary.unlink(missing_ok=True)
        raise KitError(
            f"the checkpoint {path} cannot be written ({error}). The one before it is kept: make room, then give "
            "the same command again"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        RefusedError: it is damaged, or of another version of this kit.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            metadata = file.metadata()
        schema, values = metadata.get("schema"), json.loads(metadata.get("values", "{}"))
    except Exception as error:  # safetensors raises an exception of its own
        raise RefusedError(f"{path} is damaged ({error}). Delete its folder to train again") from error
    if schema != str(CHECKPOINT_SCHEMA):
        raise RefusedError(f"{path} is of another version of this kit. Delete its folder to train again")
    state: dict[str, Any] = values
    for name, value in tensors.items():
        *folders, leaf = name.split(_SEPARATOR)
        part = state
        for folder in folders:
            part = part.setdefault(folder, {})
        part[leaf] = value
    return state


def tensors_of(state: State, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors of a state, each with the names on its path."""
    for name, value in state.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, Mapping):
            yield from tensors_of(value, f"{prefix}{name}{_SEPARATOR}")


def copy_state(state: State) -> dict[str, Any]:
    """Copy a state with all its tensors."""
    return {name: _copy(value) for name, value in state.items()}


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """State of an Adam optimizer: moments by parameter, and learning rates."""
    moments = {str(index): dict(part) for index, part in optimizer.state_dict()["state"].items()}
    return {"moments": moments, "rates": [group["lr"] for group in optimizer.param_groups]}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Restore an ``optimizer_state``."""
    moments = {int(index): _copy(part) for index, part in state["moments"].items()}
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    for group, rate in zip(optimizer.param_groups, state["rates"], strict=True):
        group["lr"] = rate


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return copy_state(value)
    return value.detach().clone() if isinstance(value, Tensor) else value


def _without_tensors(state: State) -> dict[str, Any]:
    return {
        name: _without_tensors(value) if isinstance(value, Mapping) else value
        for name, value in state.items()
        if not isinstance(value, Tensor)
    }
