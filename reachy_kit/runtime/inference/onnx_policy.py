"""A bundle's ONNX graphs as a policy, run by onnxruntime alone.

Try it: reachy-kit run look_at.bundle --robot daemon
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import Bundle
from reachy_kit.runtime.inference.chunked import ChunkedPolicy, ResidualPolicy
from reachy_kit.runtime.inference.history import Floats
from reachy_kit.runtime.inference.manifest import IMAGES, Graph
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.perception.features import require_features

type BundlePolicy = ChunkedPolicy | ResidualPolicy


def load_policy(bundle: Bundle, features: tuple[str, ...]) -> BundlePolicy:
    """The bundle's policy, ready to act.

    Args:
        bundle: opened.
        features: names that the robot's perception yields, in order.

    Raises:
        RefusedError: the bundle was trained on other features, or one of its graphs does not run.
    """
    manifest = bundle.manifest
    chunk, *steps = manifest.graphs
    size = image_size(bundle)
    if size is None:
        require_features(bundle.path.name, manifest.environment_state, features)
    predictor = _load_graph(bundle, chunk, lambda model, name: OnnxPredictor(model, chunk.chunk_size, name))
    policy = ChunkedPolicy(predictor, chunk.n_obs_steps, chunk.n_action_steps, chunk.temporal_ensemble_coeff, size)
    if not steps:
        return policy
    return ResidualPolicy(policy, _load_graph(bundle, steps[0], OnnxResidual), steps[0].n_obs_steps)


def image_size(bundle: Bundle) -> tuple[int, int] | None:
    """Rows and columns of the images that a bundle's policy takes; None for a policy on features.

    Raises:
        RefusedError: its manifest declares another shape.
    """
    images = bundle.manifest.graphs[0].inputs.get(IMAGES)
    if images is None:
        return None
    shape = images.shape
    if len(shape) != 5 or shape[:3] != [1, 2, 3] or min(shape) < 1:
        raise RefusedError(
            f"{bundle.path.name} takes images of the shape {shape}, not [1, 2, 3, H, W]. Export it again"
        )
    return shape[3], shape[4]


def _load_graph[Model: (OnnxPredictor, OnnxResidual)](
    bundle: Bundle, graph: Graph, load: Callable[[bytes, str], Model]
) -> Model:
    """Load a graph and try it on zeros, before the robot moves."""
    nine, features = len(ACTION_NAMES), len(bundle.manifest.environment_state)
    images = graph.inputs.get(IMAGES)
    sensed_shape = (1, graph.n_obs_steps, features) if images is None else tuple(images.shape)
    shapes: list[tuple[int, ...]] = [(1, graph.n_obs_steps, nine), sensed_shape, (1, nine)]
    declared: tuple[int, ...] = (1, graph.chunk_size, nine)
    if graph.role == "step":
        shapes.append((1, nine))
        declared = (1, nine)
    name = f"{bundle.path.name}: {graph.file}"
    try:
        model = load(bundle.read(graph.file), name)
        output = model(*(np.zeros(shape, np.float32) for shape in shapes)).shape
    except RefusedError:
        raise
    except Exception as error:  # onnxruntime raises exceptions of its own, of several kinds
        raise _refusal(name, error) from error
    if output != declared:
        raise RefusedError(f"{name} plans {output} instead of the {declared} of its manifest")
    return model


class OnnxPredictor:
    """A chunk graph in onnxruntime; it plans the mean chunk (its noise input is zero).

    Args:
        model: the serialised graph.
        chunk_size: actions it plans.
        name: of the graph, in messages.
    """

    def __init__(self, model: bytes, chunk_size: int, name: str = "the graph") -> None:
        self._session, self._chunk_size, self._name = _session(model), chunk_size, name
        names = {graph_input.name for graph_input in self._session.get_inputs()}
        self._sensed = IMAGES if IMAGES in names else "environment_state"

    def __call__(self, state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K) or (1, 2, C, H, W), (1, 9) → (1, chunk, 9).

        Raises:
            RefusedError: the graph fails on these numbers.
        """
        noise = np.zeros((len(state), self._chunk_size, last_action.shape[-1]), dtype=np.float32)
        inputs = {"state": state, self._sensed: sensed, "last_action": last_action, "noise": noise}
        return _run(self._session, inputs, self._name)


class OnnxResidual:
    """A step graph in onnxruntime.

    Args:
        model: the serialised graph.
        name: of the graph, in messages.
    """

    def __init__(self, model: bytes, name: str = "the graph") -> None:
        self._session, self._name = _session(model), name

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats, base_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9), (1, 9) → (1, 9).

        Raises:
            RefusedError: the graph fails on these numbers.
        """
        inputs = {
            "state": state,
            "environment_state": environment_state,
            "last_action": last_action,
            "base_action": base_action,
        }
        return _run(self._session, inputs, self._name)


def _run(session: Any, inputs: dict[str, Floats], name: str) -> Floats:
    try:
        return np.asarray(session.run(["action"], inputs)[0], dtype=np.float32)
    except Exception as error:  # onnxruntime raises exceptions of its own, of several kinds
        raise _refusal(name, error) from error


def _refusal(name: str, error: Exception) -> RefusedError:
    return RefusedError(f"{name} does not run ({error}). Export it again")


def _session(model: bytes) -> Any:
    """An onnxruntime session of a graph, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised too
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
