"""Gymnasium's spaces of one environment, and checks of the arguments that it receives."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, HEAD, Array
from reachy_kit.runtime.perception.features import features_by_name
from reachy_kit.runtime.safety import LimitsProfile
from reachy_sim.dynamics.joints import Ids
from reachy_sim.tasks.task import Task

OBS_TYPES = ("state", "pixels", "pixels_state")
_FARTHEST, _WIDEST = 0.2, 2 * np.pi
"""Bounds of observed poses, m and rad: beyond any pose that the legs and the body can take."""


def action_space(profile: LimitsProfile) -> spaces.Box:
    """Absolute targets (9,) inside the limiter's box."""
    return spaces.Box(profile.low.astype(np.float32), profile.high.astype(np.float32))


def observation_space(task: Task, obs_type: str, image_size: int) -> spaces.Dict:
    """Keys of one environment's observation, as ``obs_type`` selects them."""
    reach = np.full(len(ACTION_NAMES), _WIDEST, dtype=np.float32)
    reach[HEAD][:3] = _FARTHEST
    parts: dict[str, spaces.Space[npt.NDArray[Any]]] = {"agent_pos": spaces.Box(-reach, reach)}
    if obs_type != "state":
        parts["pixels"] = spaces.Box(0, 255, (image_size, image_size, 3), dtype=np.uint8)
    if obs_type != "pixels":
        features = features_by_name(task.features)
        low, high = ([getattr(feature, edge) for feature in features] for edge in ("low", "high"))
        parts["environment_state"] = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
    parts["last_action"] = spaces.Box(-reach, reach)
    return spaces.Dict(parts)


def check_choice(argument: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a value that is not among the choices.

    Raises:
        WrongUseError: naming the choices.
    """
    if value not in choices:
        raise WrongUseError(f"{argument}={value!r} does not exist; there are {', '.join(map(str, choices))}")


def check_actions(actions: npt.ArrayLike, count: int) -> Array:
    """Actions as (count, 9) float64.

    Raises:
        WrongUseError: an environment's action is not nine finite numbers.
    """
    values = np.asarray(actions, dtype=np.float64)
    if values.shape != (count, len(ACTION_NAMES)):
        raise WrongUseError(
            f"actions have the shape {values.shape}; {(count, len(ACTION_NAMES))} is wanted: nine targets for each "
            "environment"
        )
    if not np.isfinite(values).all():
        index, axis = np.argwhere(~np.isfinite(values))[0]
        raise WrongUseError(
            f"the action of environment {index} is {values[index, axis]} for {ACTION_NAMES[axis]}; no environment "
            "was stepped"
        )
    return values


def start_poses(pose: npt.ArrayLike | None, ids: Ids, count: int) -> Array | None:
    """Start poses (K, 9) of the environments ``ids`` from one pose for all, (9,), or one for each, (count, 9).

    Raises:
        WrongUseError: the pose has another shape.
    """
    if pose is None:
        return None
    values = np.asarray(pose, dtype=np.float64)
    if values.shape not in ((len(ACTION_NAMES),), (count, len(ACTION_NAMES))):
        raise WrongUseError(f"the pose has the shape {values.shape}; (9,) or {(count, 9)} is wanted")
    return np.broadcast_to(values, (count, len(ACTION_NAMES)))[ids].copy()
