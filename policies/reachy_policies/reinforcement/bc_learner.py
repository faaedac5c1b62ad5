"""Getting better by imitation alone, from the same start: of more of the teacher, or of one's own successes.

They are what exploration is compared with: ``bc-continue`` learns from states that the teacher brings about
(off-policy), ``filtered-bc`` from its own episodes that succeeded (on-policy).
"""

import copy
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_kit.runtime.seeds import round_seeds
from reachy_policies.data.demonstrations import Windows
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.episode_batch import BatchPolicy, ChunkBatch, Observations
from reachy_policies.runs.checkpoint import optimizer_tensors, restore_optimizer

_ROUNDS_KEPT = 8
_STILL = 0.01
"""rad or m; what precedes a teacher's first command beyond it is reaction time, no part of the skill."""


class BCLearner:
    """More imitation from a chunk policy.

    Args:
        start: where it begins.
        stages: environments to act in.
        teacher: whom to imitate, by a seed; None for one's own successes, found by exploring along ``axes``.
        axes: places of the axes that explore.
        config: how much.
    """

    def __init__(
        self,
        start: ReachyChunkPolicy,
        stages: Curriculum,
        teacher: Callable[[int], BatchPolicy] | None,
        axes: list[int],
        config: ReinforceConfig,
    ) -> None:
        torch.manual_seed(config.seed)
        self._stages, self._teacher, self._config = stages, teacher, config
        self._learned = copy.deepcopy(start)
        self._directions = ChunkNoiseBasis(start.config.chunk_size, axes, start.network.action_dim)
        self._optimizer = torch.optim.Adam(self._learned.parameters(), lr=config.lr, foreach=True)
        self._kept: deque[Windows] = deque(maxlen=_ROUNDS_KEPT)
        self._steps = 0

    @property
    def env_steps(self) -> int:
        """Decisions so far."""
        return self._steps

    def round(self, iteration: int) -> dict[str, float]:
        """Whole episodes in all environments; then as many updates as PPO would have made of them."""
        config, envs = self._config, self._stages.at(iteration)
        seeds = round_seeds(config.seed, iteration, envs.num_envs).start
        own = _Varied(self._learned, self._directions, config.sigma)
        actor = self._teacher(seeds) if self._teacher else own
        found, success, decisions = collect(envs, actor, seeds, self._learned, skip_still=self._teacher is not None)
        self._steps += decisions * envs.num_envs
        kept = found if self._teacher else _of_episodes(found, np.flatnonzero(success), decisions)
        if len(kept.state):
            self._kept.append(kept)
        if not self._kept:
            return {"collected_success": 0.0, "imitation_loss": 0.0}
        updates = config.epochs * envs.num_envs * (decisions // self._learned.config.chunk_size)
        loss = self._rehearse(max(updates // config.batch_size, 1))
        return {"collected_success": float(success.mean()), "imitation_loss": loss}

    def _rehearse(self, updates: int) -> float:
        learned, losses = self._learned.train(), []
        counts = np.array([len(one.state) for one in self._kept])
        for _ in range(updates):
            which = int(torch.multinomial(torch.from_numpy(counts).double(), 1))
            rows = torch.randint(int(counts[which]), (self._config.batch_size,))
            loss, _ = learned.forward(_batch(self._kept[which], rows))
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
            self._optimizer.step()
            losses.append(loss.item())
        learned.eval()
        return float(np.mean(losses))

    def acting(self) -> BatchPolicy:
        """The mean plan."""
        return ChunkBatch(self._learned.network, self._learned.config)

    def policy(self) -> ReachyChunkPolicy:
        """A LeRobot policy with these weights."""
        return copy.deepcopy(self._learned).eval()

    def tensors(self) -> dict[str, Tensor]:
        """Weights, Adam's moments and the episodes kept."""
        kept = {
            f"kept.{place}.{name}": value
            for place, one in enumerate(self._kept)
            for name, value in one.tensors().items()
        }
        return {**self._learned.state_dict(), **optimizer_tensors(self._optimizer), **kept}

    def numbers(self) -> dict[str, Any]:
        """Steps and rate."""
        return {"env_steps": self._steps, "rate": self._optimizer.param_groups[0]["lr"], "kept": len(self._kept)}

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        own = {k: v for k, v in tensors.items() if not k.startswith(("optimizer.", "kept."))}
        self._learned.load_state_dict(own)
        restore_optimizer(self._optimizer, tensors)
        self._kept.clear()
        for place in range(numbers["kept"]):
            prefix = f"kept.{place}."
            self._kept.append(
                Windows(**{k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
            )
        self._steps = numbers["env_steps"]
        self._optimizer.param_groups[0]["lr"] = numbers["rate"]

    def halve_learning_rates(self) -> None:
        """Halve the rate."""
        self._optimizer.param_groups[0]["lr"] /= 2


class _Varied:
    """A chunk policy whose plans are varied smoothly."""

    def __init__(self, learned: ReachyChunkPolicy, directions: ChunkNoiseBasis, sigma: float) -> None:
        config = learned.config
        self._inner = ChunkBatch(learned.network, learned.config)
        self._directions, self._sigma, self._chunk = directions, sigma, config.n_action_steps

    def begin(self, observation: Observations) -> None:
        """Forget the episodes before."""
        self._inner.begin(observation)
        self._decided = 0

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """The planned action, varied."""
        place = self._decided % self._chunk
        if place == 0:
            noise = torch.randn(len(observation["agent_pos"]), self._directions.size)
            self._variation = self._directions.varied(self._sigma * noise).numpy()
        self._decided += 1
        return np.asarray(self._inner.act(observation) + self._variation[:, place])


def collect(
    envs: VectorEnv[Any, Any, Any], actor: BatchPolicy, seeds: int, learned: ReachyChunkPolicy, *, skip_still: bool
) -> tuple[Windows, npt.NDArray[np.bool_], int]:
    """One episode in each environment, as training examples.

    Args:
        envs: N, without autoreset.
        actor: acts in them.
        seeds: of the first; the others count on.
        learned: whose window and chunk the examples have.
        skip_still: leave out what comes before the first movement, while something is to be seen.

    Returns:
        (S·N, …) windows, decision by decision; (N,) whether the episode succeeded; S.
    """
    observation, _ = envs.reset(seed=seeds)
    actor.begin(observation)
    observed, commands = [observation], []
    over = False
    info: dict[str, Any] = {}
    while not over:
        observation, _, _, truncated, info = envs.step(actor.act(observation))
        commands.append(observation["last_action"])
        observed.append(observation)
        over = bool(truncated.any())
    steps, chunk, seen = len(commands), learned.config.chunk_size, learned.config.n_obs_steps
    states, features, last = (
        torch.from_numpy(np.stack([one[key] for one in observed[:-1]]))
        for key in ("agent_pos", "environment_state", "last_action")
    )
    done = torch.from_numpy(np.stack(commands))
    now = torch.arange(steps)
    before = (now[:, None] + torch.arange(1 - seen, 1)).clamp_min(0)
    after = now[:, None] + torch.arange(chunk)
    moved = (done - last[0]).abs().amax(-1).gt(_STILL).int().cummax(0).values.bool()
    wanted = (moved | (features[..., -2] == 0)).flatten() if skip_still else slice(None)
    whole = Windows(
        state=states[before].transpose(1, 2).flatten(0, 1),
        environment_state=features[before].transpose(1, 2).flatten(0, 1),
        last_action=last.flatten(0, 1),
        action=done[after.clamp_max(steps - 1)].transpose(1, 2).flatten(0, 1),
        is_pad=(after >= steps)[:, None].expand(-1, envs.num_envs, -1).flatten(0, 1),
    )
    return whole.at(wanted), np.asarray(info["is_success"]), steps


def _of_episodes(found: Windows, ids: npt.NDArray[np.int64], steps: int) -> Windows:
    """The windows, unskipped, of some environments."""
    count = len(found.state) // steps
    rows = (torch.arange(steps)[:, None] * count + torch.from_numpy(ids)).flatten()
    return found.at(rows)


def _batch(examples: Windows, rows: Tensor) -> dict[str, Tensor]:
    return {
        OBS_STATE: examples.state[rows],
        OBS_ENV_STATE: examples.environment_state[rows],
        OBS_LAST_ACTION: examples.last_action[rows],
        ACTION: examples.action[rows],
        "action_is_pad": examples.is_pad[rows],
    }
