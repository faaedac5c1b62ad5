"""What runs a bundle on a robot: its ONNX graphs in onnxruntime. Nothing else is loaded.

Try it: reachy-kit run look_at.bundle --robot daemon
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import Bundle, Graph
from reachy_kit.runtime.inference.chunked import ChunkedPolicy, ResidualPolicy
from reachy_kit.runtime.inference.history import Floats
from reachy_kit.runtime.interface import ACTION_NAMES, Policy

PICTURES = "pictures"
"""Input of a graph that looks at pictures, (1, 2, 3, H, W) float32 from 0 to 255: the earliest and the latest."""


def load_policy(bundle: Bundle, features: tuple[str, ...]) -> Policy:
    """The bundle's policy, ready to act on a perception that yields the given features.

    Raises:
        RefusedError: the bundle was trained on other features, or one of its graphs does not run.
    """
    manifest = bundle.manifest
    chunk, *steps = manifest.graphs
    picture = picture_of(bundle)
    if picture is None and manifest.environment_state != features:
        raise RefusedError(
            f"{bundle.path.name} expects the features {', '.join(manifest.environment_state)}; this robot's perception "
            f"gives {', '.join(features)}"
        )
    predictor = _running(bundle, chunk, lambda model: OnnxPredictor(model, chunk.chunk_size))
    policy = ChunkedPolicy(predictor, chunk.history, chunk.execute, chunk.temporal_ensemble_coeff, picture)
    if not steps:
        return policy
    return ResidualPolicy(policy, _running(bundle, steps[0], OnnxResidual), steps[0].history)


def picture_of(bundle: Bundle) -> tuple[int, int] | None:
    """Rows and columns of the pictures that a bundle's policy looks at; None if it looks at features.

    Raises:
        RefusedError: its manifest says something else.
    """
    shape = bundle.manifest.graphs[0].inputs.get(PICTURES)
    if shape is None:
        return None
    if len(shape) != 5 or shape[:3] != [1, 2, 3] or min(shape) < 1:
        raise RefusedError(f"{bundle.path.name} looks at pictures of the shape {shape}, which no robot has")
    return shape[3], shape[4]


def _running[Model: (OnnxPredictor, OnnxResidual)](
    bundle: Bundle, graph: Graph, load: Callable[[bytes], Model]
) -> Model:
    """A graph, tried on zeros before the robot moves."""
    nine, features = len(ACTION_NAMES), len(bundle.manifest.environment_state)
    sensed = tuple(graph.inputs.get(PICTURES, (1, graph.history, features)))
    shapes: list[tuple[int, ...]] = [(1, graph.history, nine), sensed, (1, nine)]
    wanted: tuple[int, ...] = (1, graph.chunk_size, nine)
    if graph.role == "step":
        shapes.append((1, nine))
        wanted = (1, nine)
    try:
        model = load(bundle.read(graph.file))
        found = model(*(np.zeros(shape, np.float32) for shape in shapes)).shape
    except Exception as error:  # onnxruntime raises its own, one for each way of being wrong
        raise RefusedError(f"{bundle.path.name}: {graph.file} does not run ({error}). Export it again") from error
    if found != wanted:
        raise RefusedError(f"{bundle.path.name}: {graph.file} plans {found} instead of what its manifest says")
    return model


class OnnxPredictor:
    """A chunk graph in onnxruntime; acts on the mean (its noise input is zero).

    Args:
        model: the serialised graph.
        chunk_size: actions it plans.
    """

    def __init__(self, model: bytes, chunk_size: int) -> None:
        self._session, self._chunk_size = _session(model), chunk_size
        names = {one.name for one in self._session.get_inputs()}
        self._sensed = PICTURES if PICTURES in names else "environment_state"

    def __call__(self, state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K) or (1, 2, C, H, W), (1, 9) → (1, chunk, 9)."""
        noise = np.zeros((len(state), self._chunk_size, last_action.shape[-1]), dtype=np.float32)
        inputs = {"state": state, self._sensed: sensed, "last_action": last_action, "noise": noise}
        return np.asarray(self._session.run(["action"], inputs)[0], dtype=np.float32)


class OnnxResidual:
    """A step graph in onnxruntime.

    Args:
        model: the serialised graph.
    """

    def __init__(self, model: bytes) -> None:
        self._session = _session(model)

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats, base_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9), (1, 9) → (1, 9)."""
        inputs = {
            "state": state,
            "environment_state": environment_state,
            "last_action": last_action,
            "base_action": base_action,
        }
        return np.asarray(self._session.run(["action"], inputs)[0], dtype=np.float32)


def _session(model: bytes) -> Any:
    """The graph on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
