"""Initial policy of reinforcement learning: the network of an imitation, or an untrained one."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.history import ObservationHistory
from reachy_policies.data.image_tensors import CHUNK_IMAGE_SHAPE
from reachy_policies.data.windows import Windows
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.vision_network import VisionChunkNetwork
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.reinforcement.reinforce_spec import ReinforceSpec
from reachy_policies.rollouts.episode_batch import Envs, transitions
from reachy_policies.rollouts.network_inputs import Observations, batch_inputs
from reachy_policies.runs.policy_loader import load_chunk_policy, load_policy
from reachy_policies.runs.saved_run import Run

REACH = 0.1
"""Change of an action per unit of an untrained network's output, rad and m."""
_RENDERED_DECISIONS = 25
_WANDER = 0.05
"""Standard deviation of the random steps from which an untrained policy's normalisation is computed, rad."""


def make_start(
    run: Run | None, envs: Envs, spec: ReinforceSpec, config: ReinforceConfig
) -> ReachyChunkPolicy | FrozenBase:
    """Make the policy that a training starts from.

    Args:
        run: the run to start from; None for an untrained policy.
        envs: environments whose observations define an untrained policy's normalisation.
        spec: of the training.
        config: settings of the method.

    Raises:
        RefusedError: the run plans fewer decisions than the method needs, or its policy cannot be read.
    """
    if run is None:
        sizes = config.chunk, config.n_obs_steps, config.hidden
        return make_untrained(envs, *sizes, config.seed, images=spec.obs_type == "pixels")
    if spec.method == "residual":
        return FrozenBase(*load_policy(run))
    return shorten_chunk(load_chunk_policy(run), config.chunk)


def shorten_chunk(policy: ReachyChunkPolicy, chunk: int) -> ReachyChunkPolicy:
    """Copy a policy into one that plans ``chunk`` decisions and carries all of them out.

    Raises:
        RefusedError: the policy plans fewer.
    """
    if policy.config.chunk_size < chunk:
        raise RefusedError(
            f"the run plans {policy.config.chunk_size} decisions, fewer than chunk={chunk}. "
            f"Take --set chunk={policy.config.chunk_size}, or train it again with --set chunk_size={chunk}"
        )
    config = copy.deepcopy(policy.config)
    config.chunk_size = config.n_action_steps = chunk
    short = ReachyChunkPolicy(config)
    numbers = chunk * short.network.action_dim
    weights = policy.network.state_dict()
    for name, value in short.network.state_dict().items():
        rows = numbers if name.startswith(_last_layer(policy.network)) else len(value)
        value.copy_(weights[name][:rows])
    short.eval()
    return short


def make_untrained(
    envs: Envs, chunk: int, n_obs_steps: int, hidden: int, seed: int, *, images: bool = False
) -> ReachyChunkPolicy:
    """Make a policy that keeps the robot where it is; its normalisation comes from random movements.

    Args:
        envs: environments whose observations define the normalisation.
        chunk: decisions it plans and carries out.
        n_obs_steps: observations it takes.
        hidden: width of its layers.
        seed: of weights and movements.
        images: take images instead of features.
    """
    spaces: Any = envs.single_observation_space
    config = ReachyChunkConfig(n_obs_steps=n_obs_steps, chunk_size=chunk, n_action_steps=chunk, hidden=hidden)
    shape = CHUNK_IMAGE_SHAPE if images else None
    config.declare_features(spaces["agent_pos"].shape[0], spaces["environment_state"].shape[0], shape)
    torch.manual_seed(seed)
    policy = ReachyChunkPolicy(config)
    network, windows = policy.network, collect_random(envs, config, seed)
    network.fit_normalisation(windows.state, windows.environment_state, windows.last_action, windows.action)
    if isinstance(network, VisionChunkNetwork):
        network.fit_auxiliary_features(windows.environment_state[:, -1])
    network.offset_mean.zero_()
    network.offset_std.fill_(REACH)
    last = network.body[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight *= 0.01
        last.bias.zero_()
    policy.eval()
    return policy


def make_privileged(envs: Envs, config: ReachyChunkConfig, seed: int) -> ChunkNetwork:
    """Make the fixed normalisation of the features for the privileged critic of an actor that takes images."""
    spaces: Any = envs.single_observation_space
    privileged = ReachyChunkConfig(n_obs_steps=config.n_obs_steps, chunk_size=1, n_action_steps=1, hidden=1)
    privileged.declare_features(spaces["agent_pos"].shape[0], spaces["environment_state"].shape[0], None)
    network = ReachyChunkPolicy(privileged).network
    windows = collect_random(envs, privileged, seed)
    network.fit_normalisation(windows.state, windows.environment_state, windows.last_action, windows.action)
    return network


def collect_random(envs: Envs, config: ReachyChunkConfig, seed: int) -> Windows:
    """Collect observations while the head moves at random.

    Args:
        envs: with rendered images for no longer than ``_RENDERED_DECISIONS`` decisions, for rendering takes time.
        config: what to observe.
        seed: of the movements.

    Returns:
        (N·S, …) windows, of a whole episode in each environment where nothing is rendered.
    """
    features, images = ObservationHistory(config.n_obs_steps), ObservationHistory(config.n_obs_steps, images=True)
    windows: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]] = []

    def append(observation: Observations) -> None:
        features.append(*batch_inputs(observation, None))
        if config.image_shape is None:
            windows.append((*features.inputs(), None))
        else:
            images.append(*batch_inputs(observation, config.image_shape))
            windows.append((*features.inputs(), images.inputs()[1]))

    rendered = "pixels" in envs.single_observation_space
    for transition in transitions(envs, _RandomWalk(seed), seed):
        append(transition.observation)
        if rendered and len(windows) == _RENDERED_DECISIONS:
            break
    append(transition.next_observation)
    states, environment_states, last_actions, pixels = zip(*windows, strict=True)
    state, environment_state, last = (_joined(parts) for parts in (states, environment_states, last_actions))
    return Windows(
        state=state,
        environment_state=environment_state,
        last_action=last,
        action=last[:, None].expand(-1, config.chunk_size, -1),
        is_pad=torch.zeros(len(last), config.chunk_size, dtype=torch.bool),
        images=None if config.image_shape is None else _joined(pixels).unflatten(-1, config.image_shape),
    )


class _RandomWalk:
    """A ``BatchPolicy`` that moves by small random steps."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def reset(self) -> None:
        """Do nothing: the policy has no memory."""

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """The action in force plus a random step, (N, 9)."""
        step = self._rng.normal(0.0, _WANDER, observation["last_action"].shape)
        step[:, :4] *= 0.1  # the head hardly shifts or rolls in any task
        return np.asarray(observation["last_action"] + step)


def _joined(parts: Sequence[Any]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts))


def _last_layer(network: ChunkNetwork) -> str:
    return f"body.{len(network.body) - 1}."
