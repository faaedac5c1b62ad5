"""What runs a bundle on a robot: a history of observations, a queue of planned actions, and onnxruntime. Nothing else.

Try it: reachy-kit run look_at.bundle --robot daemon --task look_at
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.inference.bundle import Bundle, Graph
from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA, Action, Observation, Policy

type Floats = npt.NDArray[np.float32]
PICTURES = "pictures"
"""Input of a graph that looks at pictures, (1, 2, 3, H, W) float32 from 0 to 255: the earliest and the latest."""


class Predictor(Protocol):
    """Plans a chunk from a window of observations."""

    def __call__(self, state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K) features or (1, 2, C, H, W) pictures, (1, 9) → (1, chunk, 9) absolute actions."""
        ...


class Corrector(Protocol):
    """Corrects an action."""

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats, base_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9), (1, 9) → (1, 9) the action to be carried out."""
        ...


class Lately:
    """The last few observations of an episode.

    Args:
        n_obs_steps: T, how many; the first one counts as all before it.
        picture: rows and columns, for a policy that looks at pictures; None for one that looks at features.
    """

    def __init__(self, n_obs_steps: int, picture: tuple[int, int] | None = None) -> None:
        self._seen: deque[tuple[Observation, npt.NDArray[Any]]] = deque(maxlen=n_obs_steps)
        self._picture = picture

    def reset(self) -> None:
        """Forget the episode before."""
        self._seen.clear()

    def note(self, observation: Observation) -> None:
        """Another observation.

        Raises:
            WrongUseError: it comes without perception, or without a picture where one is looked at.
        """
        self._seen.append((observation, self._sensed(observation)))

    def inputs(self) -> tuple[Floats, Floats, Floats]:
        """States, what was sensed, and the action in force.

        Returns:
            (1, T, 9); (1, T, K) features, or (1, 2, 3, H, W) the first and the last picture; (1, 9).
        """
        seen = [self._seen[0]] * ((self._seen.maxlen or 0) - len(self._seen)) + list(self._seen)
        latest, _ = seen[-1]
        last = latest.state if latest.last_action is None else latest.last_action
        looked_at = seen if self._picture is None else [seen[0], seen[-1]]
        window = np.stack([one.state for one, _ in seen]), np.stack([sensed for _, sensed in looked_at])
        state, sensed = (part[None].astype(np.float32) for part in window)
        return state, sensed, last[None].astype(np.float32)

    def _sensed(self, observation: Observation) -> npt.NDArray[Any]:
        if self._picture is not None:
            if CAMERA not in observation.images:
                raise WrongUseError("this policy looks at pictures, and there are none: open the robot with its camera")
            from reachy_kit.runtime.perception.images import small_picture

            return np.moveaxis(small_picture(observation.images[CAMERA], *self._picture), -1, 0)
        if observation.environment_state is None:
            raise WrongUseError("this policy needs perception; the robot gives none")
        return np.asarray(observation.environment_state)


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
        picture: rows and columns, for a policy that looks at pictures.
    """

    def __init__(
        self,
        predictor: Predictor,
        n_obs_steps: int,
        n_action_steps: int,
        temporal_ensemble_coeff: float | None = None,
        picture: tuple[int, int] | None = None,
    ) -> None:
        self._predictor = predictor
        self._coefficient = temporal_ensemble_coeff
        self._ensemble: Ensemble | None = None
        self._n_action_steps = n_action_steps
        self._seen = Lately(n_obs_steps, picture)
        self._plan: deque[Action] = deque()

    def reset(self) -> None:
        """Forget the episode before."""
        self._seen.reset()
        self._plan.clear()
        self._ensemble = None

    def act(self, observation: Observation) -> Action:
        """The next planned action; plans anew when the plan is used up."""
        self._seen.note(observation)
        if self._coefficient is not None:
            chunk = self._predictor(*self._seen.inputs())[0]
            self._ensemble = self._ensemble or Ensemble(self._coefficient, len(chunk))
            return np.asarray(self._ensemble.update(chunk), dtype=np.float64)
        if not self._plan:
            chunk = self._predictor(*self._seen.inputs())[0]
            self._plan.extend(np.asarray(chunk[: self._n_action_steps], dtype=np.float64))
        return self._plan.popleft()


class CorrectedPolicy:
    """A policy whose every action is corrected, as a residual does it.

    Args:
        base: acts.
        corrector: corrects.
        n_obs_steps: T, observations the corrector looks at.
    """

    def __init__(self, base: ChunkedPolicy, corrector: Corrector, n_obs_steps: int) -> None:
        self._base, self._corrector, self._seen = base, corrector, Lately(n_obs_steps)

    def reset(self) -> None:
        """Forget the episode before."""
        self._base.reset()
        self._seen.reset()

    def act(self, observation: Observation) -> Action:
        """The base's next action, corrected."""
        self._seen.note(observation)
        wanted = self._base.act(observation)[None].astype(np.float32)
        return np.asarray(self._corrector(*self._seen.inputs(), wanted)[0], dtype=np.float64)


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
    return CorrectedPolicy(policy, _running(bundle, steps[0], OnnxCorrector), steps[0].history)


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


def _running[Model: (OnnxPredictor, OnnxCorrector)](
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


class OnnxCorrector:
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
