"""A batch of robots at their tasks: motion, senses and rewards together, without Gymnasium around them.

A decision takes a few control ticks: each tick interpolates towards the target, limits it as on the robot, and steps
the tier's dynamics. Nothing loops over environments.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Array, Image
from reachy_kit.runtime.interpolation import interpolate
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.safety import LimitsProfile, Motion, limit
from reachy_sim import counter_rng
from reachy_sim.domain import DRAWS, DomainParameters, randomization
from reachy_sim.dynamics.joints import Ids, commanded_joints
from reachy_sim.dynamics.tiers import open_dynamics
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.visuals import DRAWS as VISUAL_DRAWS
from reachy_sim.rendering.visuals import VISUAL_RANGES, Visuals
from reachy_sim.sensing.senses import PoseHistory, Senses
from reachy_sim.tasks.task import TaskOutcome, View
from reachy_sim.tasks.variants import Variant

if TYPE_CHECKING:
    from reachy_sim.rendering.robot_renderer import RobotRenderer

_ROBOT_IMAGE = (800, 500)
"""Width and height of ``render_mode="robot"``, px."""


class Simulation:
    """N robots at a task.

    Args:
        variant: task and domain parameters.
        num_envs: N.
        tier: physics or kinematic.
        randomization: name or sysid JSON; spreads the domain parameters of a variant without its own.
        policy_hz: decisions per second.
        physics: settings of the physics tier.
        threads: of the physics tier; 0 takes every core.
        profile: limits of the limiter.
        image_size: width and height of the head camera's image, px; None renders none.

    Raises:
        WrongUseError: a name does not exist, or a held-out variant was to be randomised.
    """

    def __init__(
        self,
        variant: Variant,
        num_envs: int,
        *,
        tier: str = "physics",
        randomization: str = "off",
        policy_hz: int = 25,
        physics: str = "daemon",
        threads: int = 0,
        profile: LimitsProfile,
        image_size: int | None = None,
    ) -> None:
        if num_envs < 1:
            raise WrongUseError(f"num_envs={num_envs}: at least one environment is needed")
        self.task, self.domain = variant.task, _domain_parameters(variant, randomization)
        self.num_envs, self._profile = num_envs, profile
        self._ticks_per_decision = CONTROL_HZ // policy_hz
        self._dynamics = open_dynamics(tier, num_envs, settings=physics, threads=threads)
        all_ids, zeros = np.arange(num_envs), np.zeros(num_envs, dtype=np.uint64)
        start = np.tile(NEUTRAL, (num_envs, 1))
        self._keys = zeros.copy()
        self._poses, self._senses = PoseHistory(num_envs), Senses(self.task, num_envs)
        self._motion, self._progress = Motion.at_rest(start), self.task.begin(start)
        self.ticks, self._latency = np.zeros(num_envs, dtype=np.int64), np.zeros(num_envs, dtype=np.int64)
        self.scenario = self.task.scenario(np.zeros((num_envs, len(self.task.spans))))
        self._visual_range = VISUAL_RANGES.get(self.domain.visuals)
        self._visuals: Visuals | None = None
        self._camera = PinholeCamera(image_size, image_size) if image_size else None
        self._cameras: dict[PinholeCamera, HeadCameraRenderer] = {}
        self._robot_renderer: RobotRenderer | None = None
        self.reset(all_ids, zeros, zeros)

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle everything but the renderers, which the copy opens when it draws."""
        return self.__dict__ | {"_cameras": {}, "_robot_renderer": None}

    def reset(
        self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters, poses: Array | None = None
    ) -> None:
        """Begin episodes.

        Args:
            ids: (K,) indices of the environments.
            seeds: (N,) of all environments.
            episodes: (N,) of all environments.
            poses: (K, 9) start poses, instead of those that the task draws.

        Raises:
            WrongUseError: the legs cannot reach a pose.
        """
        keys = seeds[ids], episodes[ids]
        scenario = self.task.scenario(counter_rng.uniform(*keys, counter_rng.SCENARIO, len(self.task.spans)))
        if poses is not None:
            scenario.start = poses
        sample = self.domain.draw(counter_rng.uniform(*keys, counter_rng.DOMAIN, DRAWS))
        self._dynamics.reset(ids, scenario.start, sample.actuators)  # refuses before it changes anything
        self._keys[ids] = counter_rng.episode_keys(*keys)
        self.scenario.set_rows(ids, scenario)
        position, velocity = self._motion.position.copy(), self._motion.velocity.copy()
        position[ids], velocity[ids] = scenario.start, 0.0
        self._motion = Motion(position, velocity)
        self.ticks[ids] = 0
        self.view = View(self._dynamics.state, self._dynamics.head_rotation, self._dynamics.head_position)
        self._progress.set_rows(ids, self.task.begin(self.view.state[ids]))
        self._poses.reset(ids, self.view)
        self._senses.reset(ids, sample, self._draw_visuals(ids, *keys))
        self._latency[ids] = sample.latency
        self._features: Array | None = None

    def step(self, actions: Array) -> TaskOutcome:
        """Carry out (N, 9) targets for one decision, and evaluate the result."""
        previous = self._motion.position
        for tick in range(1, self._ticks_per_decision + 1):
            request = interpolate(previous, actions, tick, self._ticks_per_decision)
            self._motion, _ = limit(self.view.state, self._motion, request, self._profile)
            self._dynamics.step(commanded_joints(self._motion))
            self.view = View(self._dynamics.state, self._dynamics.head_rotation, self._dynamics.head_position)
            self._poses.append(self.view)
        self.ticks += self._ticks_per_decision
        elapsed = np.full(self.num_envs, self._ticks_per_decision / CONTROL_HZ)
        self._features = None
        return self.task.evaluate(self._progress, self.scenario, self.time, self.view, elapsed)

    def observe(self, obs_type: str = "state") -> dict[str, npt.NDArray[np.generic]]:
        """Observations of policies, float32 and uint8, with the keys of ``obs_type``."""
        observation: dict[str, npt.NDArray[np.generic]] = {"agent_pos": self.view.state.astype(np.float32)}
        if obs_type != "state":
            observation["pixels"] = self.pixels()
        if obs_type != "pixels":
            observation["environment_state"] = self.features.astype(np.float32)
        observation["last_action"] = self.applied.astype(np.float32)
        return observation

    @property
    def features(self) -> Array:
        """Perception's features now, (N, K)."""
        if self._features is None:
            self._features = self._senses.sense(self.scenario, self.ticks, self._poses, self._keys)
        return self._features

    @property
    def applied(self) -> Array:
        """Actions in force, (N, 9)."""
        return self._motion.position

    @property
    def time(self) -> Array:
        """Time since the episodes began, (N,) s."""
        return self.ticks / CONTROL_HZ

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """Whether the whole criterion has been met, (N,)."""
        return self._progress.succeeded.copy()

    @property
    def target(self) -> Array:
        """Target, (N, 3) m, base frame."""
        return self.task.target(self.scenario, self.time)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Render each head camera's latest frame, (N, H, W, 3), as late as the other senses."""
        assert self._camera is not None, "image_size was None"
        captured = self.ticks - self._latency
        return self._render_camera(self._camera, self._poses.at(self._latency), captured / CONTROL_HZ)

    def images(self, *, robot: bool) -> list[Image]:
        """Render each head camera's view now at the stream's size, or each robot from the side."""
        if robot:
            return [self._render_robot(*pair) for pair in zip(self.view.state, self.target, strict=True)]
        return list(self._render_camera(SIM_CAMERA, self.view, self.time))

    def close(self) -> None:
        """Free the renderers."""
        for renderer in self._cameras.values():
            renderer.close()
        self._cameras = {}
        if self._robot_renderer:
            self._robot_renderer.close()
            self._robot_renderer = None

    def _render_robot(self, state: Array, target: Array) -> Image:
        from reachy_sim.rendering.robot_renderer import RobotRenderer

        renderer = self._robot_renderer = self._robot_renderer or RobotRenderer(*_ROBOT_IMAGE, shadows=True, gaze=True)
        renderer.frame([target])
        return renderer.render(state, target)

    def _render_camera(self, camera: PinholeCamera, view: View, time: Array) -> npt.NDArray[np.uint8]:
        if camera not in self._cameras:
            self._cameras[camera] = HeadCameraRenderer(camera)
        poses = np.zeros((self.num_envs, 4, 4))
        poses[:, :3, :3], poses[:, :3, 3], poses[:, 3, 3] = view.rotation, view.position, 1.0
        shown = self.task.shown(self.scenario, time)
        return self._cameras[camera].render_batch(poses, self.task.target(self.scenario, time), shown, self._visuals)

    def _draw_visuals(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> Array | None:
        """Draw visuals of new episodes; returns the (K, 3) rad by which their cameras are turned."""
        if self._visual_range is None:
            return None
        uniforms = counter_rng.uniform(seeds, episodes, counter_rng.VISUALS, VISUAL_DRAWS)
        drawn = self._visual_range.draw(uniforms).rows(len(ids))
        if self._visuals is None:
            self._visuals = Visuals(**{name: np.array(rows) for name, rows in Visuals().rows(self.num_envs).items()})
        for name, rows in drawn.items():
            np.asarray(getattr(self._visuals, name))[ids] = rows
        return drawn["camera_turn"]


def _domain_parameters(variant: Variant, spread: str) -> DomainParameters:
    if spread == "off":
        return variant.domain
    if variant.has_own_domain:
        raise WrongUseError(
            f"the variant {variant.name} has a domain of its own, which randomization={spread} would replace; "
            "randomise training, or a variant that differs only in the task's motion"
        )
    return randomization(spread)
