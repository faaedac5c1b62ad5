"""reachy_kit's environments as LeRobot configures them."""

from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_IMAGES, OBS_STATE

from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_sim.tasks import variant_by_name


@EnvConfig.register_subclass("reachy_mini")
@dataclass
class ReachyMiniEnvConfig(EnvConfig):
    """A batch of simulated Reachy Minis."""

    task: str | None = "look_at"
    fps: int = 25
    """Decisions per second: those of the policy."""
    variant: str = "training"
    tier: str = "physics"
    obs_type: str = "state"
    image_size: int = 96
    """Width and height of the head camera's image, px."""
    render_mode: str = "rgb_array"
    features: dict[str, PolicyFeature] = field(default_factory=dict)
    features_map: dict[str, str] = field(
        default_factory=lambda: {
            ACTION: ACTION,
            "agent_pos": OBS_STATE,
            "environment_state": OBS_ENV_STATE,
            "last_action": "observation.last_action",
            f"pixels/{CAMERA}": f"{OBS_IMAGES}.{CAMERA}",
        }
    )

    def __post_init__(self) -> None:
        nine = (len(ACTION_NAMES),)
        task = variant_by_name(self.task or "", self.variant).task
        self.features[ACTION] = PolicyFeature(FeatureType.ACTION, nine)
        self.features["agent_pos"] = PolicyFeature(FeatureType.STATE, nine)
        self.features["last_action"] = PolicyFeature(FeatureType.STATE, nine)
        if self.obs_type != "pixels":
            self.features["environment_state"] = PolicyFeature(FeatureType.ENV, (len(task.features),))
        if self.obs_type != "state":
            shape = (self.image_size, self.image_size, 3)
            self.features[f"pixels/{CAMERA}"] = PolicyFeature(FeatureType.VISUAL, shape)

    @property
    def package_name(self) -> str:
        """The package that registers the environments."""
        return "reachy_sim"

    @property
    def gym_id(self) -> str:
        """Gymnasium's name of the task."""
        return task_spec(self.task or "").gym_id

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Options of the environments."""
        return {
            "policy_hz": self.fps,
            "variant": self.variant,
            "tier": self.tier,
            "obs_type": self.obs_type,
            "image_size": self.image_size,
            "render_mode": self.render_mode,
        }

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> dict[str, dict[int, VectorEnv]]:
        """Make one batch, which steps on all cores by itself: no processes are started."""
        batch = gymnasium.make_vec(
            self.gym_id, num_envs=n_envs, autoreset_mode=AutoresetMode.SAME_STEP, **self.gym_kwargs
        )
        return {self.type: {0: NamedCamera(batch) if self.obs_type != "state" else batch}}


class NamedCamera(VectorWrapper):
    """Puts the image under the camera's name, as the datasets have it: ``pixels`` becomes ``pixels/head``."""

    def reset(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reset the batch."""
        observation, info = self.env.reset(**options)
        return _named(observation), info

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Step the batch."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        return _named(observation), reward, terminated, truncated, info

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of the batch."""
        return tuple(self.env.call(name, *args, **kwargs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Read an attribute of the batch."""
        return self.call(name)


def _named(observation: dict[str, Any]) -> dict[str, Any]:
    return {**observation, "pixels": {CAMERA: observation["pixels"]}}
