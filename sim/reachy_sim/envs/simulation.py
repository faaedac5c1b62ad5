"""A batch of robots at their tasks: motion, senses and judgement together, without Gymnasium around it.

One decision is a few control ticks: the target is approached tick by tick, limited as on the robot, carried out by the
tier's dynamics. No loop over environments anywhere.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Array, Image
from reachy_kit.runtime.interpolation import interpolate
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.safety import LimitsProfile, Motion, limit
from reachy_sim import counter_rng
from reachy_sim.domain import DRAWS, DomainParameters, randomization
from reachy_sim.dynamics.joints import commanded_joints
from reachy_sim.dynamics.tiers import open_dynamics
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.visuals import DRAWS as VISUAL_DRAWS
from reachy_sim.rendering.visuals import VISUAL_RANGES, Visuals
from reachy_sim.sensing.senses import PoseHistory, Senses
from reachy_sim.tasks.task import TaskOutcome, View
from reachy_sim.tasks.variants import Variant

if TYPE_CHECKING:
    from reachy_sim.rendering.robot_renderer import RobotRenderer

type Ids = npt.NDArray[np.int64]

_ROBOT_IMAGE = (800, 500)
"""(width, height) px of ``render_mode="robot"``."""


class Simulation:
    """N robots.

    Args:
        variant: task and conditions.
        num_envs: N.
        tier: physics or kinematic.
        randomization: name or sysid JSON; spreads the conditions of a variant that has none of its own.
        policy_hz: decisions a second.
        physics: settings of the physics tier.
        threads: of the physics tier; 0 takes every core.
        profile: the limiter's.
        image_size: px of the eye's square picture; None draws none.

    Raises:
        WrongUseError: something is not called so, or a held-out variant was to be randomised.
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
        self.task, self.conditions = variant.task, _conditions(variant, randomization)
        self.num_envs, self._profile = num_envs, profile
        self._ticks_each = CONTROL_HZ // policy_hz
        self._dynamics = open_dynamics(tier, num_envs, settings=physics, threads=threads)
        everyone, zeros = np.arange(num_envs), np.zeros(num_envs, dtype=np.uint64)
        start = np.tile(NEUTRAL, (num_envs, 1))
        self._keys = zeros.copy()
        self._poses, self._senses = PoseHistory(num_envs), Senses(self.task, num_envs)
        self._motion, self._progress = Motion.at_rest(start), self.task.begin(start)
        self.ticks, self._latency = np.zeros(num_envs, dtype=np.int64), np.zeros(num_envs, dtype=np.int64)
        self.scenario = self.task.scenario(np.zeros((num_envs, len(self.task.spans))))
        self._visuals = VISUAL_RANGES.get(self.conditions.visuals)
        self._looks: Visuals | None = None
        self._camera = PinholeCamera(image_size, image_size) if image_size else None
        self._eyes: dict[PinholeCamera, HeadCameraRenderer] = {}
        self._robot_renderer: RobotRenderer | None = None
        self.reset(everyone, zeros, zeros)

    def reset(
        self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters, poses: Array | None = None
    ) -> None:
        """Begin episodes.

        Args:
            ids: (K,) which.
            seeds: (N,) of all environments.
            episodes: (N,) of all environments.
            poses: (K, 9) where to start instead of what the task draws.

        Raises:
            WrongUseError: the legs cannot reach a pose.
        """
        mine = (seeds[ids], episodes[ids])
        scenario = self.task.scenario(counter_rng.uniform(*mine, counter_rng.SCENARIO, len(self.task.spans)))
        if poses is not None:
            scenario.start = poses
        drawn = self.conditions.draw(counter_rng.uniform(*mine, counter_rng.CONDITIONS, DRAWS))
        self._dynamics.reset(ids, scenario.start, drawn.actuators)  # refuses before it changes anything
        self._keys[ids] = counter_rng.episode_keys(*mine)
        self.scenario.put(ids, scenario)
        position, velocity = self._motion.position.copy(), self._motion.velocity.copy()
        position[ids], velocity[ids] = scenario.start, 0.0
        self._motion = Motion(position, velocity)
        self.ticks[ids] = 0
        self.view = View(self._dynamics.state, self._dynamics.head_rotation, self._dynamics.head_position)
        self._progress.put(ids, self.task.begin(self.view.state[ids]))
        self._poses.reset(ids, self.view)
        self._senses.reset(ids, drawn, self._draw_looks(ids, mine))
        self._latency[ids] = drawn.latency
        self._features: Array | None = None

    def step(self, actions: Array) -> TaskOutcome:
        """Carry out (N, 9) targets for one decision, and judge where that led."""
        previous = self._motion.position
        for tick in range(1, self._ticks_each + 1):
            request = interpolate(previous, actions, tick, self._ticks_each)
            self._motion, _ = limit(self.view.state, self._motion, request, self._profile)
            self._dynamics.step(commanded_joints(self._motion))
            self.view = View(self._dynamics.state, self._dynamics.head_rotation, self._dynamics.head_position)
            self._poses.append(self.view)
        self.ticks += self._ticks_each
        elapsed = np.full(self.num_envs, self._ticks_each / CONTROL_HZ)
        self._features = None
        return self.task.evaluate(self._progress, self.scenario, self.time, self.view, elapsed)

    def observe(self, obs_type: str = "state") -> dict[str, npt.NDArray[np.generic]]:
        """What policies see, float32 and uint8."""
        seen: dict[str, npt.NDArray[np.generic]] = {"agent_pos": self.view.state.astype(np.float32)}
        if obs_type != "state":
            seen["pixels"] = self.image()
        if obs_type != "pixels":
            seen["environment_state"] = self.features.astype(np.float32)
        seen["last_action"] = self.applied.astype(np.float32)
        return seen

    @property
    def features(self) -> Array:
        """(N, K) what perception yields now."""
        if self._features is None:
            self._features = self._senses.sense(self.scenario, self.ticks, self._poses, self._keys)
        return self._features

    @property
    def applied(self) -> Array:
        """(N, 9) the actions in force."""
        return self._motion.position

    @property
    def time(self) -> Array:
        """(N,) s since the episodes began."""
        return self.ticks / CONTROL_HZ

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the whole criterion has been met."""
        return self._progress.succeeded.copy()

    @property
    def target(self) -> Array:
        """(N, 3) m, base frame."""
        return self.task.target(self.scenario, self.time)

    def image(self) -> npt.NDArray[np.uint8]:
        """(N, H, W, 3) the latest frame of each eye, as late as its other senses."""
        assert self._camera is not None, "made without pictures"
        captured = self.ticks - self._latency
        return self._draw(self._camera, self._poses.at(self._latency), captured / CONTROL_HZ)

    def pictures(self, *, robot: bool) -> list[Image]:
        """What each eye sees now at the stream's size, or each robot from the side."""
        if robot:
            return [self._draw_robot(*pair) for pair in zip(self.view.state, self.target, strict=True)]
        return list(self._draw(SIM_CAMERA, self.view, self.time))

    def close(self) -> None:
        """Free the renderers."""
        for eye in self._eyes.values():
            eye.close()
        self._eyes = {}
        if self._robot_renderer:
            self._robot_renderer.close()
            self._robot_renderer = None

    def _draw_robot(self, state: Array, target: Array) -> Image:
        from reachy_sim.rendering.robot_renderer import RobotRenderer

        renderer = self._robot_renderer = self._robot_renderer or RobotRenderer(*_ROBOT_IMAGE, shadows=True, gaze=True)
        renderer.frame([target])
        return renderer.render(state, target)

    def _draw(self, camera: PinholeCamera, view: View, time: Array) -> npt.NDArray[np.uint8]:
        if camera not in self._eyes:
            self._eyes[camera] = HeadCameraRenderer(camera)
        poses = np.zeros((self.num_envs, 4, 4))
        poses[:, :3, :3], poses[:, :3, 3], poses[:, 3, 3] = view.rotation, view.position, 1.0
        shown = self.task.shown(self.scenario, time)
        return self._eyes[camera].render_batch(poses, self.task.target(self.scenario, time), shown, self._looks)

    def _draw_looks(self, ids: Ids, mine: tuple[counter_rng.Counters, counter_rng.Counters]) -> Array | None:
        """New visuals for some; returns how their cameras are turned."""
        if self._visuals is None:
            return None
        drawn = self._visuals.draw(counter_rng.uniform(*mine, counter_rng.VISUALS, VISUAL_DRAWS)).rows(len(ids))
        if self._looks is None:
            self._looks = Visuals(**{name: np.array(rows) for name, rows in Visuals().rows(self.num_envs).items()})
        for name, rows in drawn.items():
            np.asarray(getattr(self._looks, name))[ids] = rows
        return drawn["camera_turn"]


def _conditions(variant: Variant, spread: str) -> DomainParameters:
    if spread == "off":
        return variant.conditions
    if variant.has_own_conditions:
        raise WrongUseError(
            f"the variant {variant.name} has conditions of its own, which randomization={spread} would replace; "
            "randomise training, or one that differs in what happens"
        )
    return randomization(spread)
