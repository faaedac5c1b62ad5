"""Policies that plan a few actions at a time, and a residual that corrects each of them.

The same code runs a trained network on the desktop and a bundle on the robot.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.inference.history import Floats, ObservationHistory, robot_inputs
from reachy_kit.runtime.interface import Action, Array, Observation


class Predictor(Protocol):
    """Plans a chunk from a window of observations."""

    def __call__(self, state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        """(1, T, 9), (1, T, K) features or (1, 2, C, H, W) images, (1, 9) → (1, chunk, 9) absolute actions."""
        ...


class Planner(Protocol):
    """A policy that says at a decision what it wants then and in the decisions after."""

    n_obs_steps: int
    """Observations that a plan is made from."""
    replan_after: int
    """Decisions of a plan that are carried out before the next one."""

    def reset(self) -> None:
        """Forget the episode before."""
        ...

    def plan(self, observations: Sequence[Observation], step: int) -> Array:
        """Observations since the last plan, and the number of the decision on the last → (K, 9) from it on."""
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
        self._plans: deque[tuple[int, npt.NDArray[np.floating]]] = deque(maxlen=chunk_size)

    def reset(self) -> None:
        """Forget the episode before."""
        self._plans.clear()

    def update(self, plan: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """(…, chunk, A) the plan made now, one step after the last → (…, A) the action now."""
        step = self._plans[-1][0] + 1 if self._plans else 0
        self.add(plan, step)
        return self.average(step)

    def add(self, plan: npt.NDArray[np.floating], step: int) -> None:
        """Add the (…, chunk, A) plan that was made at a step."""
        self._plans.append((step, plan))

    def average(self, step: int) -> npt.NDArray[np.floating]:
        """(…, A) the action of a step, which the last plan covers."""
        covering = [(start, plan) for start, plan in self._plans if step - start < plan.shape[-2]]
        wanted = [plan[..., step - start, :] for start, plan in covering]
        weights = np.exp(-self._coefficient * np.arange(len(wanted)))
        return np.asarray(np.average(wanted, axis=0, weights=weights), dtype=covering[-1][1].dtype)


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
        self.n_obs_steps = n_obs_steps
        self.replan_after = n_action_steps if temporal_ensemble_coeff is None else 1

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

    def plan(self, observations: Sequence[Observation], step: int) -> Array:
        """The whole plan from the last of some observations; the ensemble of plans where plans are averaged.

        Args:
            observations: those since the last plan, oldest first; more than ``n_obs_steps`` are not needed.
            step: number of the decision on the last of them.

        Returns:
            (chunk, 9) actions from that decision on.
        """
        self.observe(observations)
        chunk = self._predictor(*self._history.inputs())[0]
        if self._coefficient is not None:
            self._ensembler = self._ensembler or TemporalEnsembler(self._coefficient, len(chunk))
            self._ensembler.add(chunk, step)
            chunk = np.stack([self._ensembler.average(step + ahead) for ahead in range(len(chunk))])
        return np.asarray(chunk, dtype=np.float64)

    def observe(self, observations: Sequence[Observation]) -> None:
        """Add observations, oldest first, without a plan from them."""
        for observation in observations:
            self._history.append(*robot_inputs(observation, self._image_size))


class ResidualPolicy:
    """A policy whose every action is corrected by a residual network.

    Args:
        base: the policy that is corrected.
        network: the residual network.
        n_obs_steps: T, observations the network takes.
    """

    def __init__(self, base: ChunkedPolicy, network: ActionCorrection, n_obs_steps: int) -> None:
        self._base, self._network, self._history = base, network, ObservationHistory(n_obs_steps)
        self._base_plan: tuple[int, Array] | None = None
        self.n_obs_steps, self.replan_after = max(n_obs_steps, base.n_obs_steps), 1

    def reset(self) -> None:
        """Forget the episode before."""
        self._base.reset()
        self._history.reset()
        self._base_plan = None

    def act(self, observation: Observation) -> Action:
        """The base's next action, corrected."""
        self._history.append(*robot_inputs(observation, None))
        base_action = self._base.act(observation)[None].astype(np.float32)
        return np.asarray(self._network(*self._history.inputs(), base_action)[0], dtype=np.float64)

    def plan(self, observations: Sequence[Observation], step: int) -> Array:
        """The rest of the base's plan, corrected: the network's correction of this decision holds for those after.

        Args:
            observations: those since the last plan, oldest first; more than ``n_obs_steps`` are not needed.
            step: number of the decision on the last of them.

        Returns:
            (K, 9) actions from that decision on.
        """
        for observation in observations:
            self._history.append(*robot_inputs(observation, None))
        if self._base_plan is None or step - self._base_plan[0] >= self._base.replan_after:
            self._base_plan = step, self._base.plan(observations, step)
        else:
            self._base.observe(observations)
        start, chunk = self._base_plan
        rest = chunk[step - start :]
        corrected = self._network(*self._history.inputs(), rest[:1].astype(np.float32)).astype(np.float64)
        return np.concatenate([corrected, rest[1:] + (corrected - rest[:1])])
