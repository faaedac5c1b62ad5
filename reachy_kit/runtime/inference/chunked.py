"""Policies that plan a few actions at a time, and a residual that corrects each of them.

The same code runs a trained network on the desktop and a bundle on the robot.
"""

from collections import deque
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.inference.history import Floats, ObservationHistory, robot_inputs
from reachy_kit.runtime.interface import Action, Observation


class Predictor(Protocol):
    """Plans a chunk from a window of observations."""

    def __call__(self, state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K) features or (1, 2, C, H, W) images, (1, 9) → (1, chunk, 9) absolute actions."""
        ...


class ActionCorrection(Protocol):
    """Corrects an action."""

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats, base_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9), (1, 9) → (1, 9) the action to be carried out."""
        ...


class TemporalEnsembler:
    """Averages the actions of all overlapping plans for the current step.

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
        wanted = [plan[..., age, :] for age, plan in zip(range(len(self._plans) - 1, -1, -1), self._plans, strict=True)]
        weights = np.exp(-self._coefficient * np.arange(len(wanted)))
        return np.asarray(np.average(wanted, axis=0, weights=weights), dtype=plan.dtype)


class ChunkedPolicy:
    """A policy that plans a few actions at a time.

    Args:
        predictor: plans chunks.
        n_obs_steps: T, observations it takes.
        n_action_steps: actions to carry out before it plans again.
        temporal_ensemble_coeff: of a ``TemporalEnsembler``, with a plan at each step; None for none.
        image_size: rows and columns, for a policy that takes images.
    """

    def __init__(
        self,
        predictor: Predictor,
        n_obs_steps: int,
        n_action_steps: int,
        temporal_ensemble_coeff: float | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        self._predictor = predictor
        self._coefficient = temporal_ensemble_coeff
        self._ensembler: TemporalEnsembler | None = None
        self._n_action_steps = n_action_steps
        self._history = ObservationHistory(n_obs_steps, images=image_size is not None)
        self._image_size = image_size
        self._plan: deque[Action] = deque()

    def reset(self) -> None:
        """Forget the episode before."""
        self._history.reset()
        self._plan.clear()
        self._ensembler = None

    def act(self, observation: Observation) -> Action:
        """The next planned action; a new plan is made once ``n_action_steps`` of the last one are carried out."""
        self._history.append(*robot_inputs(observation, self._image_size))
        if self._coefficient is not None:
            chunk = self._predictor(*self._history.inputs())[0]
            self._ensembler = self._ensembler or TemporalEnsembler(self._coefficient, len(chunk))
            return np.asarray(self._ensembler.update(chunk), dtype=np.float64)
        if not self._plan:
            chunk = self._predictor(*self._history.inputs())[0]
            self._plan.extend(np.asarray(chunk[: self._n_action_steps], dtype=np.float64))
        return self._plan.popleft()


class ResidualPolicy:
    """A policy whose every action is corrected by a residual network.

    Args:
        base: the policy that is corrected.
        network: the residual network.
        n_obs_steps: T, observations the network takes.
    """

    def __init__(self, base: ChunkedPolicy, network: ActionCorrection, n_obs_steps: int) -> None:
        self._base, self._network, self._history = base, network, ObservationHistory(n_obs_steps)

    def reset(self) -> None:
        """Forget the episode before."""
        self._base.reset()
        self._history.reset()

    def act(self, observation: Observation) -> Action:
        """The base's next action, corrected."""
        self._history.append(*robot_inputs(observation, None))
        base_action = self._base.act(observation)[None].astype(np.float32)
        return np.asarray(self._network(*self._history.inputs(), base_action)[0], dtype=np.float64)
