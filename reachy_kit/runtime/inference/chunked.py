"""Policies that plan a few actions at a time, and a residual that corrects each of them.

The same code runs a network in training and a bundle on the robot.
"""

from collections import deque
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.inference.history import Floats, ObservationHistory
from reachy_kit.runtime.interface import Action, Observation


class Predictor(Protocol):
    """Plans a chunk from a window of observations."""

    def __call__(self, state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K) features or (1, 2, C, H, W) pictures, (1, 9) → (1, chunk, 9) absolute actions."""
        ...


class ResidualNetwork(Protocol):
    """Corrects an action."""

    def __call__(self, state: Floats, environment_state: Floats, last_action: Floats, base_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K), (1, 9), (1, 9) → (1, 9) the action to be carried out."""
        ...


class TemporalEnsembler:
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
        temporal_ensemble_coeff: of an ``TemporalEnsembler``, with a plan at each step; None for none.
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
        self._ensemble: TemporalEnsembler | None = None
        self._n_action_steps = n_action_steps
        self._seen = ObservationHistory(n_obs_steps, picture)
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
            self._ensemble = self._ensemble or TemporalEnsembler(self._coefficient, len(chunk))
            return np.asarray(self._ensemble.update(chunk), dtype=np.float64)
        if not self._plan:
            chunk = self._predictor(*self._seen.inputs())[0]
            self._plan.extend(np.asarray(chunk[: self._n_action_steps], dtype=np.float64))
        return self._plan.popleft()


class ResidualPolicy:
    """A policy whose every action is corrected, as a residual does it.

    Args:
        base: acts.
        corrector: corrects.
        n_obs_steps: T, observations the corrector looks at.
    """

    def __init__(self, base: ChunkedPolicy, corrector: ResidualNetwork, n_obs_steps: int) -> None:
        self._base, self._corrector, self._seen = base, corrector, ObservationHistory(n_obs_steps)

    def reset(self) -> None:
        """Forget the episode before."""
        self._base.reset()
        self._seen.reset()

    def act(self, observation: Observation) -> Action:
        """The base's next action, corrected."""
        self._seen.note(observation)
        wanted = self._base.act(observation)[None].astype(np.float32)
        return np.asarray(self._corrector(*self._seen.inputs(), wanted)[0], dtype=np.float64)
