"""What an environment's observations and actions look like to Gymnasium."""

import numpy as np
from gymnasium import spaces

from reachy_kit.runtime.interface import ACTION_NAMES, HEAD
from reachy_kit.runtime.perception.features import features_by_name
from reachy_kit.runtime.safety import LimitsProfile
from reachy_sim.tasks.task import Task

OBS_TYPES = ("state", "pixels", "pixels_state")
_PLACE, _TURN = 0.2, 2 * np.pi
"""m and rad: farther than any pose the legs and the body can take."""


def action_space(profile: LimitsProfile) -> spaces.Box:
    """(9,) absolute targets inside the limiter's box."""
    return spaces.Box(profile.low.astype(np.float32), profile.high.astype(np.float32))


def observation_space(task: Task, obs_type: str, image_size: int) -> spaces.Dict:
    """The keys of one environment's observation."""
    reach = np.full(len(ACTION_NAMES), _TURN, dtype=np.float32)
    reach[HEAD][:3] = _PLACE
    parts: dict[str, spaces.Space[np.ndarray]] = {"agent_pos": spaces.Box(-reach, reach)}
    if obs_type != "state":
        parts["pixels"] = spaces.Box(0, 255, (image_size, image_size, 3), dtype=np.uint8)
    if obs_type != "pixels":
        features = features_by_name(task.features)
        low, high = ([getattr(feature, edge) for feature in features] for edge in ("low", "high"))
        parts["environment_state"] = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
    parts["last_action"] = spaces.Box(-reach, reach)
    return spaces.Dict(parts)
