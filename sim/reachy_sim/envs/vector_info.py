"""Infos as Gymnasium's vector environments return them: arrays over the batch, each with a mask of valid entries."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_sim.tasks.task import Bools, TaskOutcome

type Info = dict[str, Any]


def reset_info(success: Bools, mask: Bools) -> Info:
    """Info of the environments in ``mask``.

    Args:
        success: (N,) whether the whole criterion has been met.
        mask: (N,) environments that the info is about.
    """
    return {"is_success": success & mask, "_is_success": mask.copy()}


def step_info(success: Bools, mask: Bools, stepped: Bools, outcome: TaskOutcome) -> Info:
    """Info of the environments in ``mask``, with error and reward terms of those that were stepped.

    Args:
        success: (N,) whether the whole criterion has been met.
        mask: (N,) environments that the info is about.
        stepped: (N,) environments that carried out an action.
        outcome: of the step.
    """
    info = reset_info(success, mask)
    if stepped.any():
        terms: Info = {}
        for name, value in outcome.terms.items():
            terms |= {name: np.where(stepped, value, 0.0), f"_{name}": stepped.copy()}
        info |= {"error": np.where(stepped, outcome.error, 0.0), "_error": stepped.copy()}
        info |= {"reward_terms": terms, "_reward_terms": stepped.copy()}
    return info


def final_info(observation: dict[str, npt.NDArray[Any]], ended: Bools, info: Info) -> Info:
    """Last observations and infos of the environments that ended, as Gymnasium's wrappers expect them.

    Args:
        observation: (N, ...) each, before the next episode begins.
        ended: (N,) environments whose episode ended.
        info: of those environments.
    """
    last = np.full(len(ended), None, dtype=object)
    for index in np.flatnonzero(ended).tolist():
        last[index] = {key: value[index].copy() for key, value in observation.items()}
    return {"final_obs": last, "_final_obs": ended.copy(), "final_info": info, "_final_info": ended.copy()}
