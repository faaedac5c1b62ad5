"""The simulator in Gymnasium's own shape: a vector environment, and the single one as the batch of one.

::

    import gymnasium, reachy_sim
    envs = gymnasium.make_vec("ReachyMini/Track-v0", num_envs=64, tier="kinematic")

Try it: python -c "import gymnasium, reachy_sim; print(gymnasium.make('ReachyMini/LookAt-v0').reset(seed=0))"
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, POLICY_RATES, Array
from reachy_kit.runtime.safety import PROFILES
from reachy_sim.envs.sharded import ShardedSimulation
from reachy_sim.envs.simulation import Simulation
from reachy_sim.envs.spaces import OBS_TYPES, action_space, observation_space
from reachy_sim.tasks import variant_by_name
from reachy_sim.tasks.task import TaskOutcome

type Observations = dict[str, npt.NDArray[Any]]
type Info = dict[str, Any]
REWARDS = ("dense", "sparse")
RENDER_MODES = ("rgb_array", "robot")


class ReachyMiniVectorEnv(VectorEnv[Observations, Array, npt.NDArray[Any]]):
    """N Reachy Minis with a task each.

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

    Observation, a ``Dict``; which keys there are follows from ``obs_type``:

    ====================  ============  =======================================================================
    key                   shape         meaning
    ====================  ============  =======================================================================
    agent_pos             (9,)          measured, as the action; m and rad, float32
    last_action           (9,)          the action in force, after the limiter, float32
    environment_state     (K,)          the task's features (``reachy_kit.runtime.tasks``), float32; not with ``pixels``
    pixels                (96, 96, 3)   what the robot's eye sees, uint8 RGB; with ``pixels`` and ``pixels_state``
    ====================  ============  =======================================================================

    Reward: ``dense`` is the sum of the task's named terms, 1 at best, which ``info["reward_terms"]`` lists; ``sparse``
    is 1 at the step at which the whole criterion is met, else 0. Episodes are truncated after the task's seconds and
    never terminate: to hold on after the success is part of the task. ``info["is_success"]`` is true once the criterion
    is met, ``info["error"]`` is the task's error in rad.

    Seeds: environment i of seed s is the single environment of seed s + i, bit for bit.

    Args:
        num_envs: N.
        task: its name, or the path of the file that holds it.
        tier: physics or kinematic.
        obs_type: state, pixels or pixels_state.
        reward: dense or sparse.
        variant: the task's, ``training`` or a held-out one.
        randomization: off, mild, wide, or the path of a sysid JSON; spreads the conditions of a variant
            that has none of its own.
        policy_hz: decisions a second; between them targets are interpolated at 50 Hz.
        render_mode: ``rgb_array`` renders what the eye sees; ``robot`` the robot from the side, 0.3 s a frame.
        autoreset_mode: Gymnasium's.
        physics: settings of the physics tier: daemon, fast or coarse.
        threads: of the physics tier; 0 takes every core.
        processes: workers that share the environments, one a core is best; 1 works here.
        limits: profile of the limiter.
        image_size: px, width and height of ``pixels``.

    Raises:
        WrongUseError: a name that does not exist, or an action that is not nine numbers for each environment.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 25}  # type: ignore[misc]

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
        physics: str = "daemon",
        threads: int = 0,
        processes: int = 1,
        limits: str = "classroom",
        image_size: int = 96,
    ) -> None:
        _one_of("obs_type", obs_type, OBS_TYPES)
        _one_of("reward", reward, REWARDS)
        _one_of("limits", limits, tuple(PROFILES))
        _one_of("policy_hz", policy_hz, POLICY_RATES)
        _one_of("render_mode", render_mode, (None, *RENDER_MODES))
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
        self._max_episode_steps = round(self._task.seconds * policy_hz)
        self._seeds = np.zeros(num_envs, dtype=np.uint64)
        self._episodes = np.zeros(num_envs, dtype=np.uint64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._done = np.zeros(num_envs, dtype=np.bool_)
        self._begun = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Info]:
        """Begin new episodes.

        Args:
            seed: of environment 0, the others count on from it; or one for each; None goes on to the next episodes.
            options: ``pose``, (9,) or (N, 9), starts exactly there; ``reset_mask``, (N,) bool, resets only some.
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
        return self._simulation.observe(self.obs_type), self._info(mask)

    def step(
        self, actions: npt.ArrayLike
    ) -> tuple[Observations, Array, npt.NDArray[np.bool_], npt.NDArray[np.bool_], Info]:
        """Carry out (N, 9) targets for one decision."""
        if not self._begun:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        checked = self._checked(actions)
        renewed = np.flatnonzero(self._done) if self.autoreset_mode is AutoresetMode.NEXT_STEP else _NOBODY
        if self.autoreset_mode is AutoresetMode.DISABLED and self._done.any():
            raise gymnasium.error.ResetNeeded(
                f"environment {int(np.argmax(self._done))} is over: reset(options={{'reset_mask': …}}) first"
            )
        judged = self._simulation.step(checked)
        self._steps += 1
        rewards = (
            judged.just_succeeded.astype(np.float64)
            if self._sparse
            else sum(judged.terms.values(), np.zeros(self.num_envs))
        )
        truncated = self._steps >= self._max_episode_steps
        stepped: npt.NDArray[np.bool_] = np.ones(self.num_envs, dtype=np.bool_)
        if renewed.size:
            self._next_episode(renewed)
            rewards[renewed], truncated[renewed], stepped[renewed] = 0.0, False, False
        self._done = truncated.copy()
        observation, final = self._simulation.observe(self.obs_type), {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and truncated.any():
            final = self._final(observation, truncated, judged)
            self._next_episode(np.flatnonzero(truncated))
            observation, stepped = self._simulation.observe(self.obs_type), ~truncated
        info = self._info(np.ones(self.num_envs, dtype=np.bool_), stepped, judged) | final
        return observation, rewards, np.zeros(self.num_envs, dtype=np.bool_), truncated, info

    def render(self) -> tuple[npt.NDArray[np.uint8], ...] | None:  # type: ignore[override]
        """One (H, W, 3) picture an environment, or None without a ``render_mode``."""
        if self.render_mode is None:
            return None
        return tuple(self._simulation.pictures(robot=self.render_mode == "robot"))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderers, or end the workers."""
        self._simulation.close()

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """A method's result or an attribute, once for each environment."""
        value = getattr(self, name)
        if name == "render":
            return tuple(value() or (None,) * self.num_envs)
        result = value(*args, **kwargs) if callable(value) else value
        return (result,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute, once for each environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Environments of one batch share their attributes; they are chosen in ``make_vec``."""
        raise WrongUseError(f"{name} cannot be set in a running batch: pass it to gymnasium.make_vec")

    @property
    def simulation(self) -> Simulation:
        """What happens inside: for oracles, viewers and tests. Not with ``processes``, where it is elsewhere."""
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
            one = seed[index]
            self._episodes[index] = self._episodes[index] + np.uint64(1) if one is None else np.uint64(0)
            self._seeds[index] = self._seeds[index] if one is None else np.uint64(one)

    def _next_episode(self, ids: npt.NDArray[np.int64]) -> None:
        self._episodes[ids] += np.uint64(1)
        self._begin(ids)

    def _begin(self, ids: npt.NDArray[np.int64], pose: npt.ArrayLike | None = None) -> None:
        self._simulation.reset(ids, self._seeds, self._episodes, _poses(pose, ids, self.num_envs))
        self._steps[ids], self._done[ids] = 0, False
        self._begun = True

    def _checked(self, actions: npt.ArrayLike) -> Array:
        """Nothing moves unless every environment's action is nine numbers."""
        values = np.asarray(actions, dtype=np.float64)
        if values.shape != (self.num_envs, len(ACTION_NAMES)):
            raise WrongUseError(
                f"actions have the shape {values.shape}; {(self.num_envs, len(ACTION_NAMES))} is wanted: nine targets "
                "for each environment"
            )
        if not np.isfinite(values).all():
            index, axis = np.argwhere(~np.isfinite(values))[0]
            raise WrongUseError(
                f"the action of environment {index} is {values[index, axis]} for {ACTION_NAMES[axis]}; no environment "
                "was stepped"
            )
        return values

    def _info(
        self,
        told: npt.NDArray[np.bool_],
        stepped: npt.NDArray[np.bool_] | None = None,
        judged: TaskOutcome | None = None,
    ) -> Info:
        """What there is to tell of (N,) some; of those that were stepped, how they were judged, too."""
        info: Info = {"is_success": self._simulation.success & told, "_is_success": told.copy()}
        if stepped is not None and judged is not None and stepped.any():
            listed: Info = {}
            for name, value in judged.terms.items():
                listed |= {name: np.where(stepped, value, 0.0), f"_{name}": stepped.copy()}
            info |= {"error": np.where(stepped, judged.error, 0.0), "_error": stepped.copy()}
            info |= {"reward_terms": listed, "_reward_terms": stepped.copy()}
        return info

    def _final(self, observation: Observations, over: npt.NDArray[np.bool_], judged: TaskOutcome) -> Info:
        """The last observations of those that are over, a dictionary each, as Gymnasium's wrappers want them."""
        last = np.full(self.num_envs, None, dtype=object)
        for index in np.flatnonzero(over).tolist():
            last[index] = {key: value[index].copy() for key, value in observation.items()}
        final_info = self._info(over, over, judged)
        return {"final_obs": last, "_final_obs": over.copy(), "final_info": final_info, "_final_info": over.copy()}


class ReachyMiniEnv(gymnasium.Env[dict[str, npt.NDArray[Any]], Array]):
    """One Reachy Mini with a task: the batch of one. Its docstring is ``ReachyMiniVectorEnv``'s."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 25}  # type: ignore[misc]

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
        wanted = {key: value for key, value in (options or {}).items() if key == "pose"}
        observation, info = self._batch.reset(seed=seed, options=wanted)
        return _first(observation), _first_info(info)

    def step(self, action: npt.ArrayLike) -> tuple[dict[str, npt.NDArray[Any]], float, bool, bool, Info]:
        """Carry out nine targets for one decision."""
        observation, reward, _, truncated, info = self._batch.step(np.asarray(action)[None])
        return _first(observation), float(reward[0]), False, bool(truncated[0]), _first_info(info)

    def render(self) -> npt.NDArray[np.uint8] | None:  # type: ignore[override]
        """(H, W, 3), or None without a ``render_mode``."""
        pictures = self._batch.render()
        return None if pictures is None else pictures[0]

    def close(self) -> None:
        """Free the renderers."""
        self._batch.close()

    @property
    def simulation(self) -> Simulation:
        """What happens inside: for oracles, viewers and tests."""
        return self._batch.simulation


_NOBODY = np.zeros(0, dtype=np.int64)


def _one_of(what: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise WrongUseError(f"{what}={value!r} does not exist; there are {', '.join(map(str, choices))}")


def _poses(pose: npt.ArrayLike | None, ids: npt.NDArray[np.int64], count: int) -> Array | None:
    if pose is None:
        return None
    values = np.asarray(pose, dtype=np.float64)
    if values.shape not in ((len(ACTION_NAMES),), (count, len(ACTION_NAMES))):
        raise WrongUseError(f"the pose has the shape {values.shape}; (9,) or {(count, 9)} is wanted")
    return np.broadcast_to(values, (count, len(ACTION_NAMES)))[ids].copy()


def _first(observation: Observations) -> dict[str, npt.NDArray[Any]]:
    return {key: value[0] for key, value in observation.items()}


def _first_info(info: Info) -> Info:
    return {
        key: _first_info(value) if isinstance(value, dict) else value[0].item()
        for key, value in info.items()
        if not key.startswith("_")
    }
