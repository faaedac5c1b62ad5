"""Export of a trained run to a bundle: its networks as ONNX graphs, compared with torch on recorded observations.

Try it: reachy-kit export runs/look_at --out look_at.bundle
"""

import io
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.inference.bundle import sha256, write_bundle
from reachy_kit.runtime.inference.manifest import (
    IMAGES,
    Graph,
    Manifest,
    Sensed,
    chunk_inputs,
    chunk_outputs,
    step_inputs,
    step_outputs,
)
from reachy_kit.runtime.inference.onnx_policy import OnnxPredictor, OnnxResidual
from reachy_kit.runtime.perception.features import feature_by_name
from reachy_policies.data.windows import Windows, past, steps_around
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.residual import ReachyResidualPolicy
from reachy_policies.runs.policy_loader import load_chunk_policy, load_policy
from reachy_policies.runs.run_card import RunCard
from reachy_policies.runs.saved_run import Run

PARITY_TOLERANCE = 1e-4
"""Largest accepted difference between ONNX and torch, rad and m: far below what the robot can carry out."""
PARITY_OBSERVATIONS = 256


@dataclass(frozen=True)
class _ExportedGraph:
    """A network as an ONNX graph, its entry in the manifest, and its difference from torch."""

    graph: Graph
    model: bytes
    parity_error: float
    """Largest difference over the compared observations, m and rad."""


def export_bundle(run: Run, out: Path) -> Manifest:
    """Write the bundle of a run: one graph of a chunk policy, two of a residual over one.

    Args:
        run: a run of the chunk policy, or of a residual over one.
        out: file of the bundle.

    Raises:
        RefusedError: ONNX and torch differ by more than ``PARITY_TOLERANCE`` on recorded observations, or the policy is
            of a kind that has no graph.
        KitError: the bundle cannot be written.
    """
    card, examples = run.card, run.examples()
    if card.policy == ReachyResidualPolicy.name:
        residual, base = _load_residual(run)
        exported = [_export_chunk(base, run, examples), _export_residual(residual, run, examples)]
    else:
        exported = [_export_chunk(load_chunk_policy(run), run, examples)]
    parity_error = max(part.parity_error for part in exported)
    if not parity_error <= PARITY_TOLERANCE:
        raise RefusedError(
            f"{run.path}: ONNX and torch differ by {parity_error:.2g} on {PARITY_OBSERVATIONS} observations, more than "
            f"{PARITY_TOLERANCE:g}. Nothing was written; please report the versions of torch and onnxruntime"
        )
    files = {part.graph.file: part.model for part in exported}
    features = () if IMAGES in exported[0].graph.inputs else card.environment_state
    manifest = Manifest(
        task=card.task,
        instruction=card.instruction,
        graphs=[part.graph for part in exported],
        environment_state=features,
        environment_state_units=card.environment_state_units[: len(features)],
        parity_error=parity_error,
        parity_observations=min(PARITY_OBSERVATIONS, len(examples.state)),
        sha256={name: sha256(content) for name, content in files.items()},
        provenance=card.provenance(),
    )
    write_bundle(out, manifest, files)
    return manifest


def _sensed(card: RunCard, image_shape: tuple[int, ...] | None) -> Sensed:
    """What a policy observes besides the pose."""
    if image_shape is not None:
        return Sensed(image_shape=image_shape)
    names = card.environment_state
    return Sensed(names, card.environment_state_units, tuple(_meaning(name) for name in names))


def _meaning(feature: str) -> str:
    """Meaning of a feature; empty for one of a file that is not loaded."""
    try:
        return feature_by_name(feature).meaning
    except WrongUseError:
        return ""


def _load_residual(run: Run) -> tuple[ReachyResidualPolicy, ReachyChunkPolicy]:
    """Load a residual policy and the chunk policy that it corrects."""
    policy, _ = load_policy(run)
    assert isinstance(policy, ReachyResidualPolicy)
    base = policy.base.policy
    if not isinstance(base, ReachyChunkPolicy):
        raise RefusedError(
            f"{run.path} corrects a policy of LeRobot's kind {base.name}, which has no graph for the robot. It can be "
            f"evaluated from torch; to run on the robot, correct a chunk policy ({ReachyChunkPolicy.name})"
        )
    return policy, base


def _export_chunk(policy: ReachyChunkPolicy, run: Run, examples: Windows) -> _ExportedGraph:
    config = policy.config
    graph = Graph(
        file="policy.onnx",
        role="chunk",
        inputs=chunk_inputs(config.n_obs_steps, config.chunk_size, _sensed(run.card, config.image_shape)),
        outputs=chunk_outputs(config.chunk_size),
        hz=run.card.policy_hz,
        n_obs_steps=config.n_obs_steps,
        chunk_size=config.chunk_size,
        n_action_steps=config.n_action_steps,
        temporal_ensemble_coeff=config.temporal_ensemble_coeff,
    )
    model = _labelled(to_onnx(policy.network, _zeros(graph)), graph, run.card)
    return _ExportedGraph(graph, model, _chunk_parity_error(policy, model, examples))


def _export_residual(policy: ReachyResidualPolicy, run: Run, examples: Windows) -> _ExportedGraph:
    steps = policy.config.n_obs_steps
    graph = Graph(
        file="residual.onnx",
        role="step",
        inputs=step_inputs(steps, _sensed(run.card, None)),
        outputs=step_outputs(),
        hz=run.card.policy_hz,
        n_obs_steps=steps,
        chunk_size=1,
        n_action_steps=1,
    )
    model = _labelled(to_onnx(policy.network, _zeros(graph)), graph, run.card)
    return _ExportedGraph(graph, model, _residual_parity_error(policy, model, examples))


def _zeros(graph: Graph) -> dict[str, Tensor]:
    """Inputs of a graph by name, all zero."""
    return {name: torch.zeros(entry.shape) for name, entry in graph.inputs.items()}


def _labelled(model: bytes, graph: Graph, card: RunCard) -> bytes:
    """A serialised graph with metadata of its own, for one that is separated from its manifest."""
    labelled = onnx.load_from_string(model)
    onnx.helper.set_model_props(labelled, graph.metadata(card.task, card.instruction, version("reachy-kit")))
    return bytes(labelled.SerializeToString())


def to_onnx(network: nn.Module, inputs: dict[str, Tensor]) -> bytes:
    """Serialise a network with its normalisation as an ONNX graph for a batch of one."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # The tracing exporter is enough for a plain feed-forward graph; the other one depends on onnxscript.
        torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            cast(Any, buffer),  # a file object works with dynamo=False; the signature declares paths alone
            input_names=list(inputs),
            output_names=["action"],
            dynamo=False,
        )
    return buffer.getvalue()


def _chunk_parity_error(policy: ReachyChunkPolicy, model: bytes, examples: Windows) -> float:
    """Largest difference between the graph and torch over recorded observations, m and rad; infinite for NaN."""
    config = policy.config
    noise = torch.zeros(1, config.chunk_size, policy.network.action_dim)
    predict = OnnxPredictor(model, config.chunk_size)
    rows = _single_examples(examples, config.n_obs_steps, image_shape=config.image_shape)
    return max(_difference(predict(*_arrays(row)), policy.network, *row, noise) for row in rows)


def _residual_parity_error(policy: ReachyResidualPolicy, model: bytes, examples: Windows) -> float:
    """Same as ``_chunk_parity_error``; the recorded action stands for the base policy's."""
    correct = OnnxResidual(model)
    rows = _single_examples(examples, policy.config.n_obs_steps, examples.action[:, 0])
    return max(_difference(correct(*_arrays(row)), policy.network, *row) for row in rows)


def _single_examples(
    examples: Windows, n_obs_steps: int, *more: Tensor, image_shape: tuple[int, ...] | None = None
) -> list[list[Tensor]]:
    """Split examples into batches of one with ``n_obs_steps`` observations.

    Longer histories are cut; shorter ones repeat their first observation.
    """
    end = torch.tensor([examples.state.shape[1] - 1])
    (steps,), _ = steps_around(end, past(n_obs_steps), 0, end)
    sensed = examples.sensed
    sensed = sensed[:, steps] if image_shape is None else sensed.reshape(len(sensed), -1, *image_shape).float()
    parts = examples.state[:, steps], sensed, examples.last_action, *more
    rows = np.unique(np.linspace(0, len(examples.state) - 1, PARITY_OBSERVATIONS).round().astype(int))
    return [[part[row : row + 1] for part in parts] for row in rows]


def _arrays(row: list[Tensor]) -> list[Any]:
    return [part.numpy() for part in row]


@torch.no_grad()
def _difference(onnx_output: Any, network: nn.Module, *inputs: Tensor) -> float:
    difference = np.abs(onnx_output - network(*inputs).numpy()).max()
    return float(np.nan_to_num(difference, nan=np.inf))
