"""`train rl` from end to end: start, learner, rounds, and a run on disk.

Try it: reachy-kit train rl --init runs/track --task track --out runs/track_rl
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import VectorEnv

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.plots import rounds_curve
from reachy_policies.reinforcement.bc_learner import BCLearner
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.initialization import collect_random, informed, shortened, untrained
from reachy_policies.reinforcement.ppo.ppo_learner import PPOLearner
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig, explored_axes
from reachy_policies.reinforcement.residual.residual_config import ResidualConfig
from reachy_policies.reinforcement.residual.td3_learner import TD3Learner
from reachy_policies.reinforcement.training import EvalPoint, Learner, rounds_table, train
from reachy_policies.rollouts.episode_batch import BatchPolicy
from reachy_policies.runs.run import CHECKPOINTS, MODEL, Run, open_run, save_run, versions, weights_digest
from reachy_policies.runs.run_card import RunCard

METHODS = ("ppo", "scratch", "bc-continue", "filtered-bc", "residual")
TRAINING = "training"
"""Folder of an unfinished run's checkpoints."""
type Envs = VectorEnv[Any, Any, Any]


@dataclass(frozen=True)
class ReinforceSpec:
    """What is to be learned, where, and from what."""

    task: str
    variant: str
    """Or several, separated by commas: a curriculum."""
    tier: str
    reward: str
    randomization: str
    method: str
    start: Path | None
    """The imitation run; None for ``scratch``."""
    policy_hz: int
    control_hz: int
    environment_state: tuple[str, ...]
    obs_type: str = "state"
    """What is looked at: ``state`` for perception's features, ``pixels`` for the camera's pictures."""

    @property
    def variants(self) -> tuple[str, ...]:
        """One after another; it is judged in the last."""
        return tuple(self.variant.split(","))


@dataclass(frozen=True)
class SimFactory:
    """What the simulator lends: injected, because learning does not know it."""

    envs: Callable[[str, str, int], Envs]
    """Environments of a tier and a variant to learn in, without autoreset."""
    eval_envs: Callable[[int], Envs]
    """Environments to be judged in."""
    teacher: Callable[[int, int], BatchPolicy]
    """The scripted expert for N environments, with a seed."""


def reinforce(
    out: Path,
    assignment: ReinforceSpec,
    config: ReinforceConfig,
    simulated: SimFactory,
    on_round: Callable[[int, EvalPoint | None], None] = lambda iteration, round: None,
) -> Run:
    """Learn, or go on learning, and save the run.

    Raises:
        WrongUseError: the start is no run.
        RefusedError: the start is for something else, or the folder holds another training.
        KitError: training diverges, or the disk is full.
    """
    start_run = _start_run(assignment)
    identity = _identity(assignment, config, start_run)
    torch.set_num_threads(config.threads)
    stages, eval_envs = stages_of(assignment, config, simulated.envs), simulated.eval_envs(config.eval_episodes)
    try:
        start = _start(start_run, eval_envs, assignment, config)
        learner = _learner(assignment, start, stages, eval_envs, simulated, config)
        examples = start_run.examples() if start_run else collect_random(eval_envs, learner.policy().config, 0)
        looks = out / TRAINING / CHECKPOINTS

        def on_look(look: EvalPoint) -> None:
            if config.checkpoints:
                policy = learner.policy()
                card = _card(assignment, config, start_run, look, policy.name)
                save_run(looks / str(look.iteration), policy, card, examples, {})

        done = train(learner, eval_envs, config, out / TRAINING, identity, on_round, on_look)
    finally:
        stages.close()
        eval_envs.close()
    best = _card(assignment, config, start_run, done.best, done.policy.name)
    result = {**best.result, "rollbacks": done.rollbacks}
    card = replace(best, seconds=done.seconds, env_steps=done.history[-1].env_steps, result=result)
    files = {
        "curve.csv": rounds_table(done.history),
        "curve.png": rounds_curve(done.history, task_spec(assignment.task).error),
    }
    kept = {"start": start_run.path / "pretrained_model"} if start_run else {}
    if looks.is_dir():
        kept[CHECKPOINTS] = looks
    return save_run(out, done.policy, card, examples, files, kept)


def finished(out: Path, assignment: ReinforceSpec, config: ReinforceConfig) -> bool:
    """Whether this very training is there already, whole.

    Raises:
        RefusedError: another one is.
    """
    if not (out / "card.json").is_file():
        if out.is_file() or (out.exists() and {path.name for path in out.iterdir()} - {TRAINING}):
            raise RefusedError(f"{out} holds something that is no run. Choose another --out")
        return False
    card = open_run(out).card
    identity = _identity(assignment, config, _start_run(assignment))
    other = sorted(name for name in identity if card.settings.get(name) != identity[name])
    if other:
        raise RefusedError(
            f"{out} holds a finished run with another {', '.join(other)}. Choose another --out, or --fresh"
        )
    return True


def discard(out: Path) -> None:
    """Delete a run, finished or not."""
    if (out / "card.json").is_file() or (out / TRAINING).is_dir():
        shutil.rmtree(out)


def _start_run(assignment: ReinforceSpec) -> Run | None:
    if assignment.start is None:
        return None
    run = open_run(assignment.start)
    card = run.card
    if card.task != assignment.task:
        raise RefusedError(f"{assignment.start} was trained for {card.task}, not for {assignment.task}")
    if card.environment_state != assignment.environment_state:
        raise RefusedError(
            f"{assignment.start} was trained on {', '.join(card.environment_state)}; {assignment.task} gives "
            f"{', '.join(assignment.environment_state)}"
        )
    return run


def settings_of(method: str) -> type[ReinforceConfig]:
    """The kind of configuration that a method has."""
    return ResidualConfig if method == "residual" else ReinforceConfig


def _start(
    run: Run | None, envs: Envs, assignment: ReinforceSpec, config: ReinforceConfig
) -> ReachyChunkPolicy | FrozenBase:
    if run is not None and assignment.method == "residual":
        return FrozenBase.load(run.path / MODEL)
    if run is None:
        sizes = config.chunk, config.n_obs_steps, config.hidden
        return untrained(envs, *sizes, config.seed, picture=assignment.obs_type == "pixels")
    policy = run.load()
    if not isinstance(policy, ReachyChunkPolicy):
        raise WrongUseError(
            f"{run.path} is a policy of the kind {run.card.policy}; this method improves the chunk policy. "
            "Any other kind: --method residual"
        )
    return shortened(policy, config.chunk)


def _learner(
    assignment: ReinforceSpec,
    start: ReachyChunkPolicy | FrozenBase,
    stages: Curriculum,
    eval_envs: Envs,
    simulated: SimFactory,
    config: ReinforceConfig,
) -> Learner:
    axes = explored_axes(config, assignment.task)
    if isinstance(start, FrozenBase):
        assert isinstance(config, ResidualConfig)
        return TD3Learner(start, stages, partial(simulated.teacher, config.num_envs), axes, config)
    if assignment.method in ("ppo", "scratch"):
        told = informed(eval_envs, start.config, config.seed) if start.config.picture else None
        return PPOLearner(start, stages, axes, config, told)
    if start.config.picture:
        raise WrongUseError(
            f"--method {assignment.method} needs a policy that looks at features; this one looks at pictures. For "
            "it there are ppo and scratch"
        )
    teacher = partial(simulated.teacher, config.num_envs) if assignment.method == "bc-continue" else None
    return BCLearner(start, stages, teacher, axes, config)


def stages_of(assignment: ReinforceSpec, config: ReinforceConfig, make: Callable[[str, str, int], Envs]) -> Curriculum:
    """A variant after another for as many rounds each, and with the tier ``both`` the last rounds in physics."""
    tier = "kinematic" if assignment.tier == "both" else assignment.tier
    variants = assignment.variants
    made = [make(tier, variant, config.num_envs) for variant in variants]
    later = [(1 + index * config.iterations // len(made), envs) for index, envs in enumerate(made)][1:]
    if assignment.tier == "both":
        later.append((config.iterations - config.finish + 1, make("physics", variants[-1], config.num_envs)))
    return Curriculum(made[0], *later)


def _identity(assignment: ReinforceSpec, config: ReinforceConfig, start: Run | None) -> dict[str, Any]:
    """What makes it this training and no other; how long it goes on does not."""
    settings = {
        name: value for name, value in asdict(config).items() if name not in ("max_seconds", "threads", "checkpoints")
    }
    names = ("task", "variant", "tier", "reward", "randomization", "method", "policy_hz")
    own = {name: getattr(assignment, name) for name in names}
    if assignment.obs_type != "state":
        own["obs_type"] = assignment.obs_type
    return {**own, "start": weights_digest(start.path) if start else "", **settings}


def _card(assignment: ReinforceSpec, config: ReinforceConfig, start: Run | None, look: EvalPoint, kind: str) -> RunCard:
    """Of the weights that a look was at."""
    base, error = start.card if start else None, task_spec(assignment.task).error
    return RunCard(
        task=assignment.task,
        policy=kind,
        policy_hz=assignment.policy_hz,
        control_hz=assignment.control_hz,
        environment_state=assignment.environment_state,
        environment_state_units=units_of(assignment.environment_state),
        method=assignment.method,
        seed=config.seed,
        steps=look.iteration,
        seconds=look.seconds,
        versions=versions(),
        dataset=base.dataset if base else "",
        dataset_sha256=base.dataset_sha256 if base else "",
        episodes=base.episodes if base else 0,
        held_out=base.held_out if base else [],
        start=str(start.path.resolve()) if start else "",
        start_sha256=weights_digest(start.path) if start else "",
        start_seconds=base.total_seconds if base else 0.0,
        tier=assignment.tier,
        variant=assignment.variant,
        env_steps=look.env_steps,
        settings=_identity(assignment, config, start),
        result={
            "success": look.success,
            "error": error.scale * look.error,
            "reward": look.reward,
            "jerk": look.jerk,
        },
        error_heading=error.heading,
    )
