"""From a trained run to a bundle: its networks as ONNX graphs, compared with torch on recorded observations.

Try it: reachy-kit export runs/look_at --out look_at.bundle
"""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.utils.constants import OBS_ENV_STATE
from torch import Tensor, nn

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import Graph, Manifest, sha256, write_bundle
from reachy_kit.runtime.inference.onnx_policy import IMAGES, OnnxPredictor, OnnxResidual
from reachy_policies.data.windows import Windows, past, steps_around
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.residual import ReachyResidualPolicy
from reachy_policies.runs.policy_loader import load_chunk_policy, load_policy
from reachy_policies.runs.run import Run

PARITY_TOLERANCE = 1e-4
"""rad and m: a hundredth of a degree, far below what the robot can carry out."""
PARITY_OBSERVATIONS = 256
_GRAPH, _CORRECTION = "policy.onnx", "residual.onnx"


def export(run: Run, out: Path) -> Manifest:
    """Write the bundle of a run: one graph of a chunk policy, two of a residual over one.

    Raises:
        RefusedError: ONNX and torch differ by more than ``PARITY_TOLERANCE`` on recorded observations, or the policy is
            of a kind that has no graph.
    """
    examples = run.examples()
    if run.card.policy == ReachyResidualPolicy.name:
        residual = _residual(run)
        chunk = residual.base.policy
        assert isinstance(chunk, ReachyChunkPolicy)
        model, correction = to_onnx(chunk), residual_to_onnx(residual)
        error = max(parity_error(chunk, model, examples), residual_parity_error(residual, correction, examples))
        graphs = [_chunk_graph(chunk, run), _step_graph(residual, run)]
        files = {_GRAPH: model, _CORRECTION: correction}
    else:
        policy = load_chunk_policy(run)
        model = to_onnx(policy)
        error, graphs, files = parity_error(policy, model, examples), [_chunk_graph(policy, run)], {_GRAPH: model}
    if not error <= PARITY_TOLERANCE:
        raise RefusedError(
            f"{run.path}: ONNX and torch differ by {error:.2g} on {PARITY_OBSERVATIONS} observations, more than "
            f"{PARITY_TOLERANCE:g}. Nothing was written; please report the versions of torch and onnxruntime"
        )
    card, vision = run.card, IMAGES in graphs[0].inputs
    manifest = Manifest(
        task=run.card.task,
        graphs=graphs,
        environment_state=() if vision else card.environment_state,
        environment_state_units=() if vision else card.environment_state_units,
        parity_error=error,
        parity_observations=min(PARITY_OBSERVATIONS, len(examples.state)),
        sha256={name: sha256(content) for name, content in files.items()},
        provenance=run.card.provenance(),
    )
    write_bundle(out, manifest, files)
    return manifest


def _residual(run: Run) -> ReachyResidualPolicy:
    policy, _ = load_policy(run)
    assert isinstance(policy, ReachyResidualPolicy)
    kind = policy.base.policy.name
    if kind != ReachyChunkPolicy.name:
        raise RefusedError(
            f"{run.path} corrects a policy of LeRobot's kind {kind}, which has no graph for the robot. It can be "
            f"evaluated from torch; to run on the robot, correct a chunk policy ({ReachyChunkPolicy.name})"
        )
    return policy


def _chunk_graph(policy: ReachyChunkPolicy, run: Run) -> Graph:
    config, actions = policy.config, policy.network.action_dim
    history, chunk = config.n_obs_steps, config.chunk_size
    return Graph(
        file=_GRAPH,
        role="chunk",
        inputs={name: list(value.shape) for name, value in _chunk_inputs(policy).items()},
        outputs={"action": [1, chunk, actions]},
        hz=run.card.policy_hz,
        n_obs_steps=history,
        chunk_size=chunk,
        n_action_steps=config.n_action_steps,
        temporal_ensemble_coeff=config.temporal_ensemble_coeff,
    )


def _step_graph(policy: ReachyResidualPolicy, run: Run) -> Graph:
    history, features, actions = policy.config.n_obs_steps, len(run.card.environment_state), policy.network.action_dim
    return Graph(
        file=_CORRECTION,
        role="step",
        inputs={
            "state": [1, history, actions],
            "environment_state": [1, history, features],
            "last_action": [1, actions],
            "base_action": [1, actions],
        },
        outputs={"action": [1, actions]},
        hz=run.card.policy_hz,
        n_obs_steps=history,
        chunk_size=1,
        n_action_steps=1,
    )


def to_onnx(policy: ReachyChunkPolicy) -> bytes:
    """The network with its normalisation as a serialised graph; the batch is one."""
    return _serialised(policy.network.eval(), _chunk_inputs(policy))


def _chunk_inputs(policy: ReachyChunkPolicy) -> dict[str, Tensor]:
    """Zeros by the names of a chunk graph's inputs."""
    config, network = policy.config, policy.network
    steps, shape = network.sensed_steps, config.input_features[config.sensed_key].shape
    return {
        "state": torch.zeros(1, config.n_obs_steps, network.action_dim),
        "environment_state" if config.image_shape is None else IMAGES: torch.zeros(1, steps, *shape),
        "last_action": torch.zeros(1, network.action_dim),
        "noise": torch.zeros(1, config.chunk_size, network.action_dim),
    }


def residual_to_onnx(policy: ReachyResidualPolicy) -> bytes:
    """The correction with its normalisation as a serialised graph; the batch is one."""
    config, network = policy.config, policy.network.eval()
    (features,) = config.input_features[OBS_ENV_STATE].shape
    return _serialised(
        network,
        {
            "state": torch.zeros(1, config.n_obs_steps, network.action_dim),
            "environment_state": torch.zeros(1, config.n_obs_steps, features),
            "last_action": torch.zeros(1, network.action_dim),
            "base_action": torch.zeros(1, network.action_dim),
        },
    )


def _serialised(network: nn.Module, inputs: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # The tracing exporter: a plain feed-forward graph needs no more, and the other one pulls in onnxscript.
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            buffer,
            input_names=list(inputs),
            output_names=["action"],
            dynamo=False,
        )
    return buffer.getvalue()


def parity_error(policy: ReachyChunkPolicy, model: bytes, examples: Windows) -> float:
    """Largest difference between the graph and torch over recorded observations, m and rad; NaN counts as infinite."""
    config = policy.config
    noise = torch.zeros(1, config.chunk_size, policy.network.action_dim)
    predict = OnnxPredictor(model, config.chunk_size)
    rows = _rows(examples, config.n_obs_steps, image_shape=config.image_shape)
    return max(_difference(predict(*_arrays(row)), policy.network, *row, noise) for row in rows)


def residual_parity_error(policy: ReachyResidualPolicy, model: bytes, examples: Windows) -> float:
    """As ``parity_error``; what the base would want is what was recorded."""
    correct = OnnxResidual(model)
    rows = _rows(examples, policy.config.n_obs_steps, examples.action[:, 0])
    return max(_difference(correct(*_arrays(row)), policy.network, *row) for row in rows)


def _rows(
    examples: Windows, n_obs_steps: int, *more: Tensor, image_shape: tuple[int, ...] | None = None
) -> list[list[Tensor]]:
    """Single examples of the given history: what is longer is cut, what is shorter begins with its first again."""
    end = torch.tensor([examples.state.shape[1] - 1])
    (seen,), _ = steps_around(end, past(n_obs_steps), 0, end)
    sensed = examples.sensed
    sensed = sensed[:, seen] if image_shape is None else sensed.reshape(len(sensed), -1, *image_shape).float()
    parts = examples.state[:, seen], sensed, examples.last_action, *more
    rows = np.unique(np.linspace(0, len(examples.state) - 1, PARITY_OBSERVATIONS).round().astype(int))
    return [[part[row : row + 1] for part in parts] for row in rows]


def _arrays(row: list[Tensor]) -> list[Any]:
    return [part.numpy() for part in row]


@torch.no_grad()
def _difference(found: Any, network: nn.Module, *inputs: Tensor) -> float:
    difference = np.abs(found - network(*inputs).numpy()).max()
    return float(np.nan_to_num(difference, nan=np.inf))
