"""A batch of MuJoCo simulations: mjbatch on all cores, or plain MuJoCo one after the other with the same numbers.

mjbatch does not have a wheel for Windows. Both engines are driven through the same few arrays, in mjbatch's shapes.
"""

import copy
import os
from typing import Any, Literal, Protocol

import mujoco
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Array

type Engine = Literal["auto", "mjbatch", "mujoco"]
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class Batch(Protocol):
    """N simulations of one model."""

    def bind(self, name: str) -> Array:
        """Live array (N, ...): ``state`` (integration states), ``ctrl``, or a derived field, valid after a call."""
        ...

    def expand(self, name: str) -> Array:
        """Live array (N, ...) of a model's field, from now on separate for each simulation."""
        ...

    def step(self, *, nstep: int) -> None:
        """Advance all simulations by ``nstep`` physics steps."""
        ...

    def forward(self, ids: npt.NDArray[np.int64]) -> None:
        """Derive the fields of the simulations ``ids`` from their states."""
        ...


def open_batch(model: mujoco.MjModel, count: int, threads: int = 0, engine: Engine = "auto") -> Batch:
    """Open a batch of simulations.

    Args:
        model: copied.
        count: N.
        threads: 0 takes every core.
        engine: auto takes mjbatch where it is installed.

    Raises:
        ImportError: mjbatch is asked for and not installed.
    """
    if engine != "mujoco":
        try:
            import mjbatch
        except ImportError:
            if engine == "mjbatch":
                raise
        else:
            batch: Batch = mjbatch.Batch(model, count, min(count, threads or os.cpu_count() or 1))
            return batch
    return PlainBatch(model, count)


class PlainBatch:
    """Mjbatch's calls that we need, on plain MuJoCo.

    Args:
        model: copied; once per simulation as soon as a field is expanded.
        count: N.
    """

    def __init__(self, model: mujoco.MjModel, count: int) -> None:
        self._models = [copy.copy(model)] * count
        self._data = mujoco.MjData(model)
        self._state = np.empty((count, mujoco.mj_stateSize(model, _STATE)))
        mujoco.mj_getState(model, self._data, self._state[0], _STATE)
        self._state[1:] = self._state[0]
        self._derived: dict[str, Array] = {}
        self._expanded: dict[str, Array] = {}

    def bind(self, name: str) -> Array:
        """Live array (N, ...); ``state`` and ``ctrl`` may be written."""
        if name == "state":
            return self._state
        if name == "ctrl":
            components_before = int(mujoco.mjtState.mjSTATE_CTRL) - 1
            first = mujoco.mj_stateSize(self._models[0], components_before)
            return self._state[:, first : first + self._models[0].nu]
        value = getattr(self._data, name)
        return self._derived.setdefault(name, np.zeros((len(self._state), *value.shape)))

    def expand(self, name: str) -> Array:
        """Live array (N, ...) of a model's field, from now on separate for each simulation."""
        if not self._expanded:
            self._models = [copy.copy(self._models[0]) for _ in self._models]
        value = getattr(self._models[0], name)
        return self._expanded.setdefault(name, np.repeat(np.asarray(value)[None], len(self._state), axis=0))

    def step(self, *, nstep: int) -> None:
        """Advance all simulations by ``nstep`` physics steps, one after the other."""
        for index in range(len(self._state)):
            model = self._loaded(index)
            mujoco.mj_step(model, self._data, nstep)
            mujoco.mj_getState(model, self._data, self._state[index], _STATE)
            self._derive(index)

    def forward(self, ids: npt.NDArray[np.int64]) -> None:
        """Derive the fields of the simulations ``ids`` from their states."""
        for index in ids.tolist():
            mujoco.mj_forward(self._loaded(index), self._data)
            self._derive(index)

    def _loaded(self, index: int) -> Any:
        model = self._models[index]
        for name, values in self._expanded.items():
            getattr(model, name)[...] = values[index]
        mujoco.mj_setState(model, self._data, self._state[index], _STATE)
        return model

    def _derive(self, index: int) -> None:
        for name, values in self._derived.items():
            values[index] = getattr(self._data, name)
