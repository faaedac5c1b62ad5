"""The single environment: the vector environment's batch of one.

Try it: python -c "import gymnasium, reachy_sim; print(gymnasium.make('ReachyMini/LookAt-v0').reset(seed=0))"
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from reachy_kit.runtime.interface import Array
from reachy_sim.envs.episode_length import EpisodeLength, asked_of_make
from reachy_sim.envs.robot_window import RobotWindow
from reachy_sim.envs.simulation import Simulation
from reachy_sim.envs.spaces import check_choice
from reachy_sim.envs.vector_env import RENDER_MODES, Observations, ReachyMiniVectorEnv
from reachy_sim.envs.vector_info import Info

HUMAN = "human"


class ReachyMiniEnv(EpisodeLength, gymnasium.Env[dict[str, npt.NDArray[Any]], Array]):
    """One Reachy Mini at a task. ``ReachyMiniVectorEnv`` documents actions, observations and options.

    Args:
        render_mode: the batch's, or ``human``: a window that shows the robot at each reset and step.
        max_episode_steps: as of the batch; ``gymnasium.make`` gives it too.
        options: of the batch.

    Raises:
        WrongUseError: as of the batch.
        MissingPackageError: the packages for a window are not installed.
    """

    # Gymnasium reads it from the class and from the instance.
    metadata: dict[str, Any] = {"render_modes": [HUMAN, *RENDER_MODES], "render_fps": 25}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, max_episode_steps: int | None = None, **options: Any) -> None:
        check_choice("render_mode", render_mode, (None, HUMAN, *RENDER_MODES))
        self._batch = ReachyMiniVectorEnv(
            1,
            render_mode=None if render_mode == HUMAN else render_mode,
            autoreset_mode=AutoresetMode.DISABLED,
            threads=1,
            max_episode_steps=asked_of_make(self) if max_episode_steps is None else max_episode_steps,
            **options,
        )
        self.render_mode = render_mode
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space
        self.metadata = {**type(self).metadata, "render_fps": self._batch.metadata["render_fps"]}
        self.task, self.task_description = self._batch.task, self._batch.task_description
        self._max_episode_steps = self._batch._max_episode_steps
        self._window = RobotWindow(self.metadata["render_fps"]) if render_mode == HUMAN else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, npt.NDArray[Any]], Info]:
        """Begin an episode; ``options={"pose": …}`` starts exactly there."""
        super().reset(seed=seed)
        chosen = {key: value for key, value in (options or {}).items() if key == "pose"}
        observation, info = self._batch.reset(seed=seed, options=chosen)
        self._show()
        return _first(observation), _first_info(info)

    def step(self, action: npt.ArrayLike) -> tuple[dict[str, npt.NDArray[Any]], float, bool, bool, Info]:
        """Carry out nine targets for one decision."""
        observation, reward, _, truncated, info = self._batch.step(np.asarray(action)[None])
        self._show()
        return _first(observation), float(reward[0]), False, bool(truncated[0]), _first_info(info)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Render the (H, W, 3) image, or None without a ``render_mode`` and with a window."""
        images = self._batch.render()
        return None if images is None else images[0]

    def close(self) -> None:
        """Free the renderers, and close the window."""
        self._batch.close()
        if self._window:
            self._window.close()

    def _show(self) -> None:
        if self._window:
            self._window.show(self.simulation.view.state[0], self.simulation.target[0])

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
