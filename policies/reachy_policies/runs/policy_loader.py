"""The one loader of a run's policy: LeRobot's object, a policy for the control loop, or one for many environments.

Try it: reachy-kit eval runs/look_at --task look_at
"""

from lerobot.policies.pretrained import PreTrainedPolicy

import reachy_policies.models.residual  # noqa: F401  (registers the kind)
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import Policy
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.chunk.single_chunk_policy import single_chunk_policy
from reachy_policies.models.lerobot.inference import LeRobotBatchPolicy, LeRobotPolicy
from reachy_policies.models.pretrained import Processors, load_pretrained
from reachy_policies.rollouts.batch_chunk_policy import BatchChunkPolicy
from reachy_policies.rollouts.episode_batch import BatchPolicy
from reachy_policies.runs.saved_run import Run


def load_policy(run: Run) -> tuple[PreTrainedPolicy, Processors]:
    """Load a run's policy of any kind, and its processors.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    return load_pretrained(run.model)


def load_chunk_policy(run: Run) -> ReachyChunkPolicy:
    """Load a run's chunk policy.

    Raises:
        RefusedError: it is a policy of another kind, or its files are missing or damaged.
    """
    if run.card.policy != ReachyChunkPolicy.name:
        raise RefusedError(
            f"{run.path} is a policy of LeRobot's kind {run.card.policy}, which can be evaluated from torch. "
            f"Only the chunk policy ({ReachyChunkPolicy.name}) can be exported, or improved by reinforcement"
        )
    policy, _ = load_policy(run)
    assert isinstance(policy, ReachyChunkPolicy)
    return policy


def single_policy(run: Run) -> Policy:
    """Load a run's policy for the control loop; a chunk policy gets the history and queue of a bundle.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    if run.card.policy != ReachyChunkPolicy.name:
        return LeRobotPolicy(lerobot_batch_policy(run))
    return single_chunk_policy(load_chunk_policy(run))


def batch_policy(run: Run) -> BatchPolicy:
    """Load a run's policy for many environments at once.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    if run.card.policy == ReachyChunkPolicy.name:
        policy = load_chunk_policy(run)
        if policy.config.temporal_ensemble_coeff is None:
            return BatchChunkPolicy(policy.network, policy.config)
    return lerobot_batch_policy(run)


def lerobot_batch_policy(run: Run) -> LeRobotBatchPolicy:
    """Load a run's policy of any kind for many environments at once, acting as LeRobot runs it.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    return LeRobotBatchPolicy(*load_policy(run), run.card.instruction)
