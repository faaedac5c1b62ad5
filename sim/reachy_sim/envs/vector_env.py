"""Gymnasium's vector environment over a batch of simulated robots.

::

    import gymnasium, reachy_sim
    envs = gymnasium.make_vec("ReachyMini/Track-v0", num_envs=64, tier="kinematic")

"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import POLICY_RATES, Array
from reachy_kit.runtime.safety import PROFILES
from reachy_kit.runtime.tasks.task_registry import load_task_file, task_files
from reachy_sim.envs.episode_length import EpisodeLength, episode_steps
from reachy_sim.envs.sharded import ShardedSimulation
from reachy_sim.envs.simulation import Simulation
from reachy_sim.envs.spaces import (
    OBS_TYPES,
    action_space,
    check_actions,
    check_choice,
    observation_space,
    start_poses,
)
from reachy_sim.envs.vector_info import Info, final_info, reset_info, step_info
from reachy_sim.tasks import variant_by_name
from reachy_sim.tasks.task import Bools

type Observations = dict[str, npt.NDArray[Any]]
REWARDS = ("dense", "sparse")
RENDER_MODES = ("rgb_array", "robot")
_NONE = np.zeros(0, dtype=np.int64)


class ReachyMiniVectorEnv(EpisodeLength, VectorEnv[Observations, Array, npt.NDArray[Any]]):
    """N Reachy Minis at a task.

    Action, ``Box(9,)`` float32: absolute targets, limited as on the robot (``reachy_kit.runtime.safety``).

    ===  ===================  ====  =====  =====  =======================================
     #   meaning              unit  min    max    name
    ===  ===================  ====  =====  =====  =======================================
     0   head forward         m     −0.015 0.015  head_x.pos
     1   head left            m     −0.015 0.015  head_y.pos
     2   head up              m     −0.03  0.03   head_z.pos
     3   head roll            rad   −0.35  0.35   head_roll.pos
     4   head pitch, down     rad   −0.52  0.52   head_pitch.pos
     5   head yaw, left       rad   −3.5   3.5    head_yaw.pos
     6   body yaw, left       rad   −2.7   2.7    body_yaw.pos
     7   right antenna        rad   −3.1   3.1    right_antenna.pos
     8   left antenna         rad   −3.1   3.1    left_antenna.pos
    ===  ===================  ====  =====  =====  =======================================

    Observation, a ``Dict`` whose keys follow from ``obs_type``:

    ====================  ============  =======================================================================
    key                   shape         meaning
    ====================  ============  =======================================================================
    agent_pos             (9,)          measured, as the action; m and rad, float32
    last_action           (9,)          the action in force, after the limiter, float32
    environment_state     (K,)          the task's features (``reachy_kit.runtime.tasks``), float32; not with ``pixels``
    pixels                (96, 96, 3)   the head camera's image, uint8 RGB; with ``pixels``, ``pixels_state``
    ====================  ============  =======================================================================

    Reward: ``dense`` is the sum of the task's named terms, 1 at best, which ``info["reward_terms"]`` lists; ``sparse``
    is 1 at the step at which the whole criterion is met, else 0. Episodes are truncated after the task's seconds, or
    ``max_episode_steps``, and never terminate: holding on after the success is part of the task.
    ``info["is_success"]`` is true once the criterion is met, ``info["error"]`` is the task's error in rad.

    Seeds: environment i of seed s is the single environment of seed s + i, bit for bit.

    Args:
        num_envs: N.
        task: its name, or the path of the file that holds it.
        tier: physics or kinematic.
        obs_type: state, pixels or pixels_state.
        reward: dense or sparse.
        variant: the task's, ``training`` or a held-out one.
        randomization: off, mild, wide, or the path of a sysid JSON; spreads the domain parameters of
            a variant without its own.
        policy_hz: decisions per second; between them targets are interpolated at 50 Hz.
        render_mode: ``rgb_array`` renders the head camera's image; ``robot`` the robot from the side, 0.3 s a frame.
        autoreset_mode: Gymnasium's.
        max_episode_steps: decisions after which an episode is truncated; None for the task's seconds, −1 for never.
        physics: settings of the physics tier: daemon, fast or coarse.
        threads: of the physics tier; 0 takes every core.
        processes: workers that share the environments, best one per core; 1 works in this process.
        limits: profile of the limiter.
        image_size: px, width and height of ``pixels``.

    Raises:
        WrongUseError: a name does not exist, or an action is not nine finite numbers for each environment.
    """

    # Gymnasium reads it from the class and from the instance.
    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 25}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str = "look_at",
        tier: str = "physics",
        obs_type: str = "state",
        reward: str = "dense",
        variant: str = "training",
        randomization: str = "off",
        policy_hz: int = 25,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        physics: str = "daemon",
        threads: int = 0,
        processes: int = 1,
        limits: str = "classroom",
        image_size: int = 96,
    ) -> None:
        check_choice("obs_type", obs_type, OBS_TYPES)
        check_choice("reward", reward, REWARDS)
        check_choice("limits", limits, tuple(PROFILES))
        check_choice("policy_hz", policy_hz, POLICY_RATES)
        check_choice("render_mode", render_mode, (None, *RENDER_MODES))
        self.num_envs, self.render_mode = num_envs, render_mode
        self.variant = variant_by_name(task, variant)
        self._task = self.variant.task
        self._sparse = reward == "sparse"
        options: dict[str, Any] = {
            "tier": tier,
            "randomization": randomization,
            "policy_hz": policy_hz,
            "physics": physics,
            "threads": threads,
            "profile": PROFILES[limits],
            "image_size": image_size if obs_type != "state" else None,
        }
        self._simulation: Simulation | ShardedSimulation
        if processes == 1:
            self._simulation = Simulation(self.variant, num_envs, **options)
        else:
            self._simulation = ShardedSimulation(
                self.variant, num_envs, processes=processes, obs_type=obs_type, **options
            )
        self.obs_type = obs_type
        self.single_observation_space = observation_space(self._task, obs_type, image_size)
        self.single_action_space = action_space(PROFILES[limits])
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "render_fps": policy_hz, "autoreset_mode": self.autoreset_mode}
        self.task, self.task_description = self._task.name, self._task.instruction
        self._max_episode_steps = episode_steps(max_episode_steps, round(self._task.seconds * policy_hz))
        self._seeds = np.zeros(num_envs, dtype=np.uint64)
        self._episodes = np.zeros(num_envs, dtype=np.uint64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._done: Bools = np.zeros(num_envs, dtype=np.bool_)
        self._begun = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle; the files of tasks are loaded before what is defined there."""
        return _blank, (type(self), task_files()), self.__dict__.copy()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Info]:
        """Begin new episodes.

        Args:
            seed: of environment 0, from which the others count up; or one per environment; None begins the next
                episodes.
            options: ``pose``, (9,) or (N, 9), starts exactly there; ``reset_mask``, (N,) bool, selects environments.
        """
        options = options or {}
        mask = np.asarray(options.get("reset_mask", np.ones(self.num_envs, dtype=np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise WrongUseError(f"reset_mask must be {self.num_envs} booleans with a True among them")
        ids = np.flatnonzero(mask)
        before = self._seeds.copy(), self._episodes.copy()
        self._seed(seed, ids)
        try:
            self._begin(ids, options.get("pose"))
        except WrongUseError:
            self._seeds, self._episodes = before  # a refused reset changes nothing
            raise
        return self._simulation.observe(self.obs_type), reset_info(self._simulation.success, mask)

    def step(
        self, actions: npt.ArrayLike
    ) -> tuple[Observations, Array, npt.NDArray[np.bool_], npt.NDArray[np.bool_], Info]:
        """Carry out (N, 9) targets for one decision."""
        if not self._begun:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        checked = check_actions(actions, self.num_envs)
        renewed = np.flatnonzero(self._done) if self.autoreset_mode is AutoresetMode.NEXT_STEP else _NONE
        if self.autoreset_mode is AutoresetMode.DISABLED and self._done.any():
            raise gymnasium.error.ResetNeeded(
                f"environment {int(np.argmax(self._done))} is over: reset(options={{'reset_mask': …}}) first"
            )
        outcome = self._simulation.step(checked)
        self._steps += 1
        rewards = (
            outcome.just_succeeded.astype(np.float64)
            if self._sparse
            else sum(outcome.terms.values(), np.zeros(self.num_envs))
        )
        truncated: Bools = self._steps >= self._max_episode_steps
        all_envs: Bools = np.ones(self.num_envs, dtype=np.bool_)
        stepped: Bools = all_envs.copy()
        if renewed.size:
            self._next_episode(renewed)
            rewards[renewed], truncated[renewed], stepped[renewed] = 0.0, False, False
        self._done = truncated.copy()
        observation, final = self._simulation.observe(self.obs_type), {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and truncated.any():
            last_info = step_info(self._simulation.success, truncated, truncated, outcome)
            final = final_info(observation, truncated, last_info)
            self._next_episode(np.flatnonzero(truncated))
            observation, stepped = self._simulation.observe(self.obs_type), ~truncated
        info = step_info(self._simulation.success, all_envs, stepped, outcome) | final
        return observation, rewards, np.zeros(self.num_envs, dtype=np.bool_), truncated, info

    def render(self) -> tuple[npt.NDArray[np.uint8], ...] | None:
        """Render one (H, W, 3) image per environment, or None without a ``render_mode``."""
        if self.render_mode is None:
            return None
        return tuple(self._simulation.images(robot=self.render_mode == "robot"))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderers, or end the workers."""
        self._simulation.close()

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return a method's result or an attribute, once per environment."""
        value = getattr(self, name)
        if name == "render":
            return tuple(value() or (None,) * self.num_envs)
        result = value(*args, **kwargs) if callable(value) else value
        return (result,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute, once per environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Refuse: environments of one batch share their attributes, which ``make_vec`` chooses."""
        raise WrongUseError(f"{name} cannot be set in a running batch: pass it to gymnasium.make_vec")

    @property
    def simulation(self) -> Simulation:
        """The simulation inside, for oracles, viewers and tests; not with ``processes``, which keep it elsewhere."""
        if isinstance(self._simulation, ShardedSimulation):
            raise WrongUseError("the simulation is in other processes: make the environments with processes=1")
        return self._simulation

    def _seed(self, seed: int | Sequence[int | None] | None, ids: npt.NDArray[np.int64]) -> None:
        if seed is None and not self._begun:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if seed is None:
            self._episodes[ids] += np.uint64(1)
            return
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            seed = [int(seed) + index for index in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise WrongUseError(f"{len(seed)} seeds for {self.num_envs} environments")
        for index in ids.tolist():
            chosen = seed[index]
            if chosen is None:
                self._episodes[index] += np.uint64(1)
            else:
                self._seeds[index], self._episodes[index] = np.uint64(chosen), np.uint64(0)

    def _next_episode(self, ids: npt.NDArray[np.int64]) -> None:
        self._episodes[ids] += np.uint64(1)
        self._begin(ids)

    def _begin(self, ids: npt.NDArray[np.int64], pose: npt.ArrayLike | None = None) -> None:
        self._simulation.reset(ids, self._seeds, self._episodes, start_poses(pose, ids, self.num_envs))
        self._steps[ids], self._done[ids] = 0, False
        self._begun = True


def _blank(kind: type[ReachyMiniVectorEnv], files: Sequence[Path]) -> ReachyMiniVectorEnv:
    for file in files:
        load_task_file(file)
    return kind.__new__(kind)
