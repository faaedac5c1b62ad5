"""Where learning by exploration starts: the network of an imitation run, or one that has seen nobody do the task."""

import copy
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import nn

from reachy_kit.errors import RefusedError
from reachy_policies.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.chunk.configuration_chunk import OBS_LAST_ACTION
from reachy_policies.chunk.modeling_chunk import ChunkNetwork
from reachy_policies.chunk.window import Window
from reachy_policies.demonstrations import Windows

REACH = 0.1
"""rad and m of an action for one unit of an untrained network's output."""
_WANDER = 0.05
"""rad, standard deviation of the steps by which an untrained policy's normalisation looks about."""


def shortened(policy: ReachyChunkPolicy, chunk: int) -> ReachyChunkPolicy:
    """A copy that plans ``chunk`` decisions and carries all of them out.

    Raises:
        RefusedError: it plans fewer.
    """
    if policy.config.chunk_size < chunk:
        raise RefusedError(
            f"the run plans {policy.config.chunk_size} decisions, fewer than chunk={chunk}. "
            f"Take --set chunk={policy.config.chunk_size}, or train it again with --set chunk_size={chunk}"
        )
    config = copy.deepcopy(policy.config)
    config.chunk_size = config.n_action_steps = chunk
    short = ReachyChunkPolicy(config)
    theirs, ours = policy.network, short.network
    numbers = chunk * ours.action_dim
    weights = theirs.state_dict()
    for name, value in ours.state_dict().items():
        first = numbers if name.startswith(_last_layer(theirs)) else len(value)
        value.copy_(weights[name][:first])
    return short.eval()


def untrained(
    envs: VectorEnv[Any, Any, Any], chunk: int, n_obs_steps: int, hidden: int, seed: int
) -> ReachyChunkPolicy:
    """A network that keeps the robot where it is; its normalisation comes from looking about at random.

    Args:
        envs: whose observations it gets used to, one episode of each.
        chunk: decisions it plans and carries out.
        n_obs_steps: observations it looks at.
        hidden: width of its layers.
        seed: of weights and looking about.
    """
    spaces = envs.single_observation_space
    nine, features = spaces["agent_pos"].shape, spaces["environment_state"].shape  # type: ignore[index]
    config = ReachyChunkConfig(n_obs_steps=n_obs_steps, chunk_size=chunk, n_action_steps=chunk, hidden=hidden)
    config.input_features = {
        OBS_STATE: PolicyFeature(FeatureType.STATE, nine),
        OBS_ENV_STATE: PolicyFeature(FeatureType.ENV, features),
        OBS_LAST_ACTION: PolicyFeature(FeatureType.STATE, nine),
    }
    config.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, nine)}
    torch.manual_seed(seed)
    policy = ReachyChunkPolicy(config)
    seen = looking_about(envs, n_obs_steps, chunk, seed)
    policy.network.fit_normalisation(seen.state, seen.environment_state, seen.last_action, seen.action)
    policy.network.offset_mean.zero_()
    policy.network.offset_std.fill_(REACH)
    last = policy.network.body[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight *= 0.01
        last.bias.zero_()
    return policy.eval()


def looking_about(envs: VectorEnv[Any, Any, Any], n_obs_steps: int, chunk: int, seed: int) -> Windows:
    """What there is to observe while the head wanders; (N·S, …) windows of one episode in each environment."""
    window, rng = Window(n_obs_steps), np.random.default_rng(seed)
    observation, _ = envs.reset(seed=seed)
    window.begin(observation)
    seen = [window.parts()]
    over = False
    while not over:
        step = rng.normal(0.0, _WANDER, observation["last_action"].shape)
        step[:, :4] *= 0.1  # the head hardly shifts or rolls in any task
        observation, _, _, truncated, _ = envs.step(observation["last_action"] + step)
        window.note(observation)
        seen.append(window.parts())
        over = bool(truncated.any())
    state, features, last = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return Windows(
        state, features, last, last[:, None].expand(-1, chunk, -1), torch.zeros(len(last), chunk, dtype=torch.bool)
    )


def _last_layer(network: ChunkNetwork) -> str:
    return f"body.{len(network.body) - 1}."
