"""The single environment: the vector environment's batch of one.

Try it: python -c "import gymnasium, reachy_sim; print(gymnasium.make('ReachyMini/LookAt-v0').reset(seed=0))"
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from reachy_kit.runtime.interface import Array
from reachy_sim.envs.simulation import Simulation
from reachy_sim.envs.vector_env import RENDER_MODES, Observations, ReachyMiniVectorEnv
from reachy_sim.envs.vector_info import Info


class ReachyMiniEnv(gymnasium.Env[dict[str, npt.NDArray[Any]], Array]):
    """One Reachy Mini at a task. ``ReachyMiniVectorEnv`` documents actions, observations and options."""

    # Gymnasium reads it from the class and from the instance.
    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 25}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        self._batch = ReachyMiniVectorEnv(
            1, render_mode=render_mode, autoreset_mode=AutoresetMode.DISABLED, threads=1, **options
        )
        self.render_mode = render_mode
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space
        self.metadata = {**type(self).metadata, "render_fps": self._batch.metadata["render_fps"]}
        self.task, self.task_description = self._batch.task, self._batch.task_description
        self._max_episode_steps = self._batch._max_episode_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, npt.NDArray[Any]], Info]:
        """Begin an episode; ``options={"pose": …}`` starts exactly there."""
        super().reset(seed=seed)
        chosen = {key: value for key, value in (options or {}).items() if key == "pose"}
        observation, info = self._batch.reset(seed=seed, options=chosen)
        return _first(observation), _first_info(info)

    def step(self, action: npt.ArrayLike) -> tuple[dict[str, npt.NDArray[Any]], float, bool, bool, Info]:
        """Carry out nine targets for one decision."""
        observation, reward, _, truncated, info = self._batch.step(np.asarray(action)[None])
        return _first(observation), float(reward[0]), False, bool(truncated[0]), _first_info(info)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Render the (H, W, 3) image, or None without a ``render_mode``."""
        images = self._batch.render()
        return None if images is None else images[0]

    def close(self) -> None:
        """Free the renderers."""
        self._batch.close()

    @property
    def simulation(self) -> Simulation:
        """The simulation inside: for oracles, viewers and tests."""
        return self._batch.simulation


def _first(observation: Observations) -> dict[str, npt.NDArray[Any]]:
    return {key: value[0] for key, value in observation.items()}


def _first_info(info: Info) -> Info:
    return {
        key: _first_info(value) if isinstance(value, dict) else value[0].item()
        for key, value in info.items()
        if not key.startswith("_")
    }
