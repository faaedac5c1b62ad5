"""From a trained run to a bundle: the network as one ONNX graph, compared with torch on recorded observations.

Try it: reachy-kit export runs/look_at --out look_at.bundle
"""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.utils.constants import OBS_ENV_STATE

from reachy_kit.bundle import Graph, Manifest, sha256, write_bundle
from reachy_kit.errors import RefusedError
from reachy_kit.perception.target import TARGET_FEATURES, TARGET_UNITS
from reachy_kit.runner import OnnxPredictor
from reachy_policies.chunk import ReachyChunkPolicy
from reachy_policies.demonstrations import Windows
from reachy_policies.run import Run

PARITY_TOLERANCE = 1e-4
"""rad and m: a hundredth of a degree, far below what the robot can carry out."""
PARITY_OBSERVATIONS = 256
_GRAPH = "policy.onnx"
_UNITS = dict(zip(TARGET_FEATURES, TARGET_UNITS, strict=True))


def export(run: Run, out: Path) -> Manifest:
    """Write the bundle of a run.

    Raises:
        RefusedError: ONNX and torch differ by more than ``PARITY_TOLERANCE`` on recorded observations.
    """
    policy = run.load()
    config = policy.config
    examples = run.examples()
    model = to_onnx(policy)
    error = parity_error(policy, model, examples)
    if not error <= PARITY_TOLERANCE:
        raise RefusedError(
            f"{run.path}: ONNX and torch differ by {error:.2g} on {PARITY_OBSERVATIONS} observations, more than "
            f"{PARITY_TOLERANCE:g}. Nothing was written; please report the versions of torch and onnxruntime"
        )
    features, actions = len(run.card.environment_state), policy.network.action_dim
    history, chunk = config.n_obs_steps, config.chunk_size
    manifest = Manifest(
        task=run.card.task,
        graphs=[
            Graph(
                file=_GRAPH,
                role="chunk",
                inputs={
                    "state": [1, history, actions],
                    "environment_state": [1, history, features],
                    "last_action": [1, actions],
                    "noise": [1, chunk, actions],
                },
                outputs={"action": [1, chunk, actions]},
                hz=run.card.policy_hz,
                history=history,
                chunk_size=chunk,
                execute=config.n_action_steps,
            )
        ],
        environment_state=run.card.environment_state,
        environment_state_units=tuple(_UNITS[name] for name in run.card.environment_state),
        parity_error=error,
        parity_observations=min(PARITY_OBSERVATIONS, len(examples.state)),
        sha256={_GRAPH: sha256(model)},
        provenance=run.card.provenance(),
    )
    write_bundle(out, manifest, {_GRAPH: model})
    return manifest


def to_onnx(policy: ReachyChunkPolicy) -> bytes:
    """The network with its normalisation as a serialised graph; the batch is one."""
    config, network = policy.config, policy.network.eval()
    (features,) = config.input_features[OBS_ENV_STATE].shape
    example: tuple[Any, ...] = (
        torch.zeros(1, config.n_obs_steps, network.action_dim),
        torch.zeros(1, config.n_obs_steps, features),
        torch.zeros(1, network.action_dim),
        torch.zeros(1, config.chunk_size, network.action_dim),
    )
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # The tracing exporter: a plain feed-forward graph needs no more, and the other one pulls in onnxscript.
        torch.onnx.export(
            network,
            example,
            buffer,
            input_names=["state", "environment_state", "last_action", "noise"],
            output_names=["action"],
            dynamo=False,
        )
    return buffer.getvalue()


def parity_error(policy: ReachyChunkPolicy, model: bytes, examples: Windows) -> float:
    """Largest difference between the graph and torch over recorded observations, m and rad; NaN counts as infinite."""
    predict = OnnxPredictor(model, policy.config.chunk_size)
    rows = np.linspace(0, len(examples.state) - 1, PARITY_OBSERVATIONS).round().astype(int)
    worst = 0.0
    for row in np.unique(rows):
        inputs = [part[row : row + 1] for part in (examples.state, examples.environment_state, examples.last_action)]
        noise = torch.zeros(1, policy.config.chunk_size, policy.network.action_dim)
        with torch.no_grad():
            wanted = policy.network(*inputs, noise).numpy()
        difference = np.abs(predict(*(part.numpy() for part in inputs)) - wanted).max()
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)))
    return worst
