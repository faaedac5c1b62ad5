"""Improvement by imitation alone: of further episodes of the expert, or of the policy's own successes.

Reinforcement learning is compared with them: ``bc-continue`` learns from states that the expert gets into (off-policy),
``filtered-bc`` from the policy's own episodes that succeeded (on-policy).
"""

import copy
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from reachy_kit.runtime.seeds import iteration_seeds
from reachy_policies.data.windows import Windows, has_moved, past, steps_around
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.batch_chunk_policy import BatchChunkPolicy
from reachy_policies.rollouts.episode_batch import BatchPolicy, Envs, transitions
from reachy_policies.rollouts.network_inputs import Observations
from reachy_policies.runs.checkpoint import State, load_optimizer_state, optimizer_state

_ITERATIONS_KEPT = 8
_IDLE = 0.01
"""rad or m; an expert's decisions before its first command beyond it are reaction time, which is not to be learned."""


class BCLearner:
    """Further imitation, starting from a chunk policy.

    Args:
        start: the policy to start from.
        curriculum: environments to act in.
        expert: makes the expert to imitate, from the first seed of its episodes; None imitates the policy's own
            successes, found with noise on its plans along ``axes``.
        axes: indices of the axes that explore.
        config: settings.
    """

    def __init__(
        self,
        start: ReachyChunkPolicy,
        curriculum: Curriculum,
        expert: Callable[[int], BatchPolicy] | None,
        axes: list[int],
        config: ReinforceConfig,
    ) -> None:
        torch.manual_seed(config.seed)
        self._curriculum, self._expert, self._config = curriculum, expert, config
        self._policy = copy.deepcopy(start)
        self._basis = ChunkNoiseBasis(start.config.chunk_size, axes, start.network.action_dim)
        self._optimizer = torch.optim.Adam(self._policy.parameters(), lr=config.lr, foreach=True)
        self._kept: deque[Windows] = deque(maxlen=_ITERATIONS_KEPT)
        self._steps = 0

    @property
    def env_steps(self) -> int:
        """Decisions of all environments so far."""
        return self._steps

    def train_iteration(self, iteration: int) -> dict[str, float]:
        """Collect whole episodes in all environments, then make as many updates as PPO would."""
        config, envs = self._config, self._curriculum.at(iteration)
        seeds = iteration_seeds(config.seed, iteration, envs.num_envs).start
        actor = self._expert(seeds) if self._expert else _NoisyPolicy(self._policy, self._basis, config.sigma)
        windows, success, decisions = collect(
            envs, actor, seeds, self._policy.config, skip_idle=self._expert is not None
        )
        self._steps += decisions * envs.num_envs
        kept = windows if self._expert else _of_episodes(windows, np.flatnonzero(success), decisions)
        if len(kept.state):
            self._kept.append(kept)
        if not self._kept:
            return {"collected_success": 0.0, "imitation_loss": 0.0}
        updates = config.epochs * envs.num_envs * (decisions // self._policy.config.chunk_size)
        loss = self._imitate(max(updates // config.batch_size, 1))
        return {"collected_success": float(success.mean()), "imitation_loss": loss}

    def _imitate(self, updates: int) -> float:
        policy, losses = self._policy.train(), []
        counts = np.array([len(windows.state) for windows in self._kept])
        for _ in range(updates):
            which = int(torch.multinomial(torch.from_numpy(counts).double(), 1))
            rows = torch.randint(int(counts[which]), (self._config.batch_size,))
            loss, _ = policy.forward(self._kept[which].batch(rows))
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            self._optimizer.step()
            losses.append(loss.item())
        policy.eval()
        return float(np.mean(losses))

    def eval_policy(self) -> BatchPolicy:
        """The policy without noise, which carries out the mean plan."""
        return BatchChunkPolicy(self._policy.network, self._policy.config)

    def policy(self) -> ReachyChunkPolicy:
        """A LeRobot policy with these weights."""
        policy = copy.deepcopy(self._policy)
        policy.eval()
        return policy

    def state_dict(self) -> dict[str, Any]:
        """Weights, Adam's moments and learning rate, stored episodes, and the number of decisions."""
        return {
            "policy": self._policy.state_dict(),
            "optimizer": optimizer_state(self._optimizer),
            "kept": {str(index): windows.tensors() for index, windows in enumerate(self._kept)},
            "env_steps": self._steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a checkpoint."""
        self._policy.load_state_dict(state["policy"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        kept = (state["kept"][str(index)] for index in range(len(state["kept"])))
        self._kept = deque((Windows(**tensors) for tensors in kept), maxlen=_ITERATIONS_KEPT)
        self._steps = state["env_steps"]

    def halve_learning_rates(self) -> None:
        """Halve the learning rate."""
        self._optimizer.param_groups[0]["lr"] /= 2


class _NoisyPolicy:
    """A ``BatchPolicy``: a chunk policy with smooth noise on its plans."""

    def __init__(self, policy: ReachyChunkPolicy, basis: ChunkNoiseBasis, sigma: float) -> None:
        self._inner = BatchChunkPolicy(policy.network, policy.config)
        self._basis, self._sigma, self._n_action_steps = basis, sigma, policy.config.n_action_steps

    def reset(self) -> None:
        """Forget the episodes before."""
        self._inner.reset()
        self._decisions = 0

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """The planned action with noise, (N, 9)."""
        step = self._decisions % self._n_action_steps
        if step == 0:
            noise = torch.randn(len(observation["agent_pos"]), self._basis.size)
            self._variation = self._basis.variation(self._sigma * noise).numpy()
        self._decisions += 1
        return np.asarray(self._inner.act(observation) + self._variation[:, step])


def collect(
    envs: Envs, actor: BatchPolicy, seeds: int | Sequence[int], config: ReachyChunkConfig, *, skip_idle: bool
) -> tuple[Windows, npt.NDArray[np.bool_], int]:
    """Collect one episode in each environment, as training examples.

    Args:
        envs: N, without autoreset.
        actor: the policy that acts.
        seeds: as in ``transitions``.
        config: configuration of the learning policy, which defines the examples' history and chunk.
        skip_idle: leave out decisions before the first movement while the target is visible.

    Returns:
        (S·N, …) windows, decision by decision; (N,) whether the episode succeeded; S.
    """
    observations, commands = [], []
    for transition in transitions(envs, actor, seeds):
        observations.append(transition.observation)
        commands.append(transition.next_observation["last_action"])
    states, features, last = (
        torch.from_numpy(np.stack([observation[key] for observation in observations]))
        for key in ("agent_pos", "environment_state", "last_action")
    )
    actions, decisions = torch.from_numpy(np.stack(commands)), len(commands)
    steps, end = torch.arange(decisions), decisions - 1
    observed, _ = steps_around(steps, past(config.n_obs_steps), 0, end)
    planned, is_pad = steps_around(steps, range(config.chunk_size), 0, end)
    windows = Windows(
        state=states[observed].transpose(1, 2).flatten(0, 1),
        environment_state=features[observed].transpose(1, 2).flatten(0, 1),
        last_action=last.flatten(0, 1),
        action=actions[planned].transpose(1, 2).flatten(0, 1),
        is_pad=is_pad[:, None].expand(-1, envs.num_envs, -1).flatten(0, 1),
    )
    moved = has_moved(actions, last[0], _IDLE)
    wanted = (moved | (features[..., -2] == 0)).flatten() if skip_idle else slice(None)
    return windows.select(wanted), np.asarray(transition.info["is_success"]), decisions


def _of_episodes(windows: Windows, environments: npt.NDArray[np.int64], decisions: int) -> Windows:
    """Windows of the given environments, from a collection without skipped decisions."""
    count = len(windows.state) // decisions
    rows = (torch.arange(decisions)[:, None] * count + torch.from_numpy(environments)).flatten()
    return windows.select(rows)
