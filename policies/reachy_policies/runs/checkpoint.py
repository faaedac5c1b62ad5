"""Checkpoints: one safetensors file each, with its numbers as JSON inside; written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_policies.runs.run import sync


@dataclass(frozen=True)
class Checkpoint:
    """Everything from which a training goes on."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]
    """JSON."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write, have the disk keep it, then take the old one's place.

    Raises:
        KitError: it cannot be written; the old one is still there.
    """
    making = path.with_suffix(".making")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().contiguous().clone() for name, value in checkpoint.tensors.items()}
        save_file(tensors, making, {"numbers": json.dumps(checkpoint.numbers)})
        sync(making)
        making.replace(path)
        sync(path.parent)
    except Exception as error:  # safetensors raises its own for a full disk
        making.unlink(missing_ok=True)
        raise KitError(
            f"the checkpoint {path} cannot be written ({error}). The one before it is kept: make room, then give "
            "the same command again"
        ) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what ``write_checkpoint`` wrote.

    Raises:
        RefusedError: it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            return Checkpoint(tensors, json.loads(file.metadata()["numbers"]))
    except Exception as error:  # safetensors raises its own
        raise RefusedError(f"{path} is damaged ({error}). Delete its folder to train anew") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of an Adam, by parameter."""
    return {
        f"optimizer.{index}.{name}": value
        for index, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimizer_tensors`` took out; rates stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".")
            state.setdefault(int(index), {})[moment] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
