"""Where learning by exploration starts: the network of an imitation run, or one that has seen nobody do the task."""

import copy
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import nn

from reachy_kit.runtime.errors import RefusedError
from reachy_policies.data.demonstrations import Windows
from reachy_policies.data.image_tensors import SMALL
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.image_encoder import VisionChunkNetwork
from reachy_policies.rollouts.batch_history import Window

REACH = 0.1
"""rad and m of an action for one unit of an untrained network's output."""
_GLANCE = 25
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
    envs: VectorEnv[Any, Any, Any], chunk: int, n_obs_steps: int, hidden: int, seed: int, *, picture: bool = False
) -> ReachyChunkPolicy:
    """A network that keeps the robot where it is; its normalisation comes from looking about at random.

    Args:
        envs: whose observations it gets used to.
        chunk: decisions it plans and carries out.
        n_obs_steps: observations it looks at.
        hidden: width of its layers.
        seed: of weights and looking about.
        picture: look at pictures, and not at features.
    """
    spaces: Any = envs.single_observation_space
    config = ReachyChunkConfig(n_obs_steps=n_obs_steps, chunk_size=chunk, n_action_steps=chunk, hidden=hidden)
    config.look_at(*spaces["agent_pos"].shape, *spaces["environment_state"].shape, SMALL if picture else None)
    torch.manual_seed(seed)
    policy = ReachyChunkPolicy(config)
    seen = collect_random(envs, config, seed)
    policy.network.fit_normalisation(seen.state, seen.environment_state, seen.last_action, seen.action)
    if isinstance(policy.network, VisionChunkNetwork):
        assert seen.named is not None
        policy.network.fit_auxiliary_features(seen.named)
    policy.network.offset_mean.zero_()
    policy.network.offset_std.fill_(REACH)
    last = policy.network.body[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight *= 0.01
        last.bias.zero_()
    return policy.eval()


def informed(envs: VectorEnv[Any, Any, Any], config: ReachyChunkConfig, seed: int) -> ChunkNetwork:
    """What scales the features that a critic is told, where its actor looks at pictures; nothing in it learns."""
    spaces: Any = envs.single_observation_space
    told = ReachyChunkConfig(n_obs_steps=config.n_obs_steps, chunk_size=1, n_action_steps=1, hidden=1)
    told.look_at(*spaces["agent_pos"].shape, *spaces["environment_state"].shape, None)
    network = ReachyChunkPolicy(told).network
    seen = collect_random(envs, told, seed)
    network.fit_normalisation(seen.state, seen.environment_state, seen.last_action, seen.action)
    return network


def collect_random(envs: VectorEnv[Any, Any, Any], config: ReachyChunkConfig, seed: int) -> Windows:
    """What there is to observe while the head wanders.

    Args:
        envs: drawn by any of them; with pictures for no longer than ``_GLANCE`` decisions, for they take their time.
        config: what to look at.
        seed: of the wandering.

    Returns:
        (N·S, …) windows, of a whole episode in each environment where nothing is drawn.
    """
    window, rng = Window(config.n_obs_steps, config.picture), np.random.default_rng(seed)
    drawn = "pixels" in envs.single_observation_space  # type: ignore[operator]
    observation, _ = envs.reset(seed=seed)
    window.begin(observation)
    seen, named = [window.parts()], [observation["environment_state"]]
    over = False
    while not over:
        step = rng.normal(0.0, _WANDER, observation["last_action"].shape)
        step[:, :4] *= 0.1  # the head hardly shifts or rolls in any task
        observation, _, _, truncated, _ = envs.step(observation["last_action"] + step)
        window.note(observation)
        seen.append(window.parts())
        named.append(observation["environment_state"])
        over = bool(truncated.any()) or (drawn and len(seen) > _GLANCE)
    state, features, last = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return Windows(
        state,
        features,
        last,
        last[:, None].expand(-1, config.chunk_size, -1),
        torch.zeros(len(last), config.chunk_size, dtype=torch.bool),
        None if config.picture is None else torch.from_numpy(np.concatenate(named)),
    )


def _last_layer(network: ChunkNetwork) -> str:
    return f"body.{len(network.body) - 1}."
