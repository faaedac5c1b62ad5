"""What runs a bundle on a robot: a history of observations, a queue of planned actions, and onnxruntime. Nothing else.

Try it: reachy-kit run look_at.bundle --robot daemon --task look_at
"""

from collections import deque
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.bundle import Bundle
from reachy_kit.errors import RefusedError, WrongUseError
from reachy_kit.interface import ACTION_NAMES, Action, Observation

type Floats = npt.NDArray[np.float32]


class Predictor(Protocol):
    """Plans a chunk from a window of observations."""

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9) → (1, chunk, 9) absolute actions."""
        ...


class Ensemble:
    """What the plans made lately say of this step, averaged.

    Args:
        coefficient: m in the weights exp(-m·k), k = 0 for the oldest plan: 0 weighs all alike, below 0 the newest most.
        chunk_size: actions of a plan.

    Source: temporal ensembling, algorithm 2 of ACT (Zhao et al. 2023, arXiv 2304.13705).
    """

    def __init__(self, coefficient: float, chunk_size: int) -> None:
        self._coefficient = coefficient
        self._plans: deque[npt.NDArray[np.floating]] = deque(maxlen=chunk_size)

    def reset(self) -> None:
        """Forget the episode before."""
        self._plans.clear()

    def update(self, plan: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """(…, chunk, A) the plan made now → (…, A) the action now."""
        self._plans.append(plan)
        said = [past[..., age, :] for age, past in zip(range(len(self._plans) - 1, -1, -1), self._plans, strict=True)]
        weights = np.exp(-self._coefficient * np.arange(len(said)))
        return np.asarray(np.average(said, axis=0, weights=weights), dtype=plan.dtype)


class ChunkedPolicy:
    """A policy that plans a few actions at a time; the same for a network in training and for a bundle on the robot.

    Args:
        predictor: plans.
        n_obs_steps: T, observations it looks at.
        n_action_steps: actions to carry out before planning anew.
        temporal_ensemble_coeff: of an ``Ensemble``, with a plan at each step; None for none.
    """

    def __init__(
        self,
        predictor: Predictor,
        n_obs_steps: int,
        n_action_steps: int,
        temporal_ensemble_coeff: float | None = None,
    ) -> None:
        self._predictor = predictor
        self._coefficient = temporal_ensemble_coeff
        self._ensemble: Ensemble | None = None
        self._n_action_steps = n_action_steps
        self._seen: deque[Observation] = deque(maxlen=n_obs_steps)
        self._plan: deque[Action] = deque()

    def reset(self) -> None:
        """Forget the episode before."""
        self._seen.clear()
        self._plan.clear()
        self._ensemble = None

    def act(self, observation: Observation) -> Action:
        """The next planned action; plans anew when the plan is used up."""
        if observation.environment_state is None:
            raise WrongUseError("this policy needs perception; the robot gives none")
        self._seen.append(observation)
        if self._coefficient is not None:
            chunk = self._predictor(*self._inputs(observation))[0]
            self._ensemble = self._ensemble or Ensemble(self._coefficient, len(chunk))
            return np.asarray(self._ensemble.update(chunk), dtype=np.float64)
        if not self._plan:
            chunk = self._predictor(*self._inputs(observation))[0]
            self._plan.extend(np.asarray(chunk[: self._n_action_steps], dtype=np.float64))
        return self._plan.popleft()

    def _inputs(self, observation: Observation) -> tuple[Floats, Floats, Floats]:
        seen = [self._seen[0]] * ((self._seen.maxlen or 0) - len(self._seen)) + list(self._seen)
        last = observation.state if observation.last_action is None else observation.last_action
        window = np.stack([one.state for one in seen]), np.stack([np.asarray(one.environment_state) for one in seen])
        state, features = (part[None].astype(np.float32) for part in window)
        return state, features, last[None].astype(np.float32)


def load_policy(bundle: Bundle, features: tuple[str, ...]) -> ChunkedPolicy:
    """The bundle's policy, ready to act on a perception that yields the given features.

    Raises:
        RefusedError: the bundle was trained on other features, or its graph does not run.
    """
    manifest = bundle.manifest
    if manifest.environment_state != features:
        raise RefusedError(
            f"{bundle.path.name} expects the features {', '.join(manifest.environment_state)}; this robot's perception "
            f"gives {', '.join(features)}"
        )
    graph = manifest.graphs[0]
    try:
        predictor = OnnxPredictor(bundle.read(graph.file), graph.chunk_size)
        state, seen = (np.zeros((1, graph.history, size), np.float32) for size in (len(ACTION_NAMES), len(features)))
        plan = predictor(state, seen, state[:, 0])
    except Exception as error:  # onnxruntime raises its own, one for each way of being wrong
        raise RefusedError(f"{bundle.path.name}: {graph.file} does not run ({error}). Export it again") from error
    if plan.shape != (1, graph.chunk_size, len(ACTION_NAMES)):
        raise RefusedError(f"{bundle.path.name}: {graph.file} plans {plan.shape} instead of what its manifest says")
    return ChunkedPolicy(predictor, graph.history, graph.execute)


class OnnxPredictor:
    """A chunk graph in onnxruntime, on one thread; acts on the mean (its noise input is zero).

    Args:
        model: the serialised graph.
        chunk_size: actions it plans.
    """

    def __init__(self, model: bytes, chunk_size: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._chunk_size = chunk_size

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9) → (1, chunk, 9)."""
        noise = np.zeros((len(state), self._chunk_size, last_action.shape[-1]), dtype=np.float32)
        inputs = {"state": state, "environment_state": environment_state, "last_action": last_action, "noise": noise}
        return np.asarray(self._session.run(["action"], inputs)[0], dtype=np.float32)
