"""`train rl` from end to end: start, learner, iterations, and a run on disk.

Try it: reachy-kit train rl --init runs/track --task track --out runs/track_rl
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_policies.data.windows import Windows
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.reinforcement.bc.bc_learner import BCLearner
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.eval_point import EvalPoint, plot_eval_points
from reachy_policies.reinforcement.initialization import (
    collect_random,
    make_privileged,
    make_start,
)
from reachy_policies.reinforcement.learner import Learner
from reachy_policies.reinforcement.ppo.ppo_learner import PPOLearner
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig, explored_axes
from reachy_policies.reinforcement.reinforce_spec import ReinforceSpec, SimFactory, identity_of, open_start
from reachy_policies.reinforcement.residual.residual_config import ResidualConfig
from reachy_policies.reinforcement.residual.td3_learner import TD3Learner
from reachy_policies.reinforcement.training import OnIteration, ReinforceResult, train
from reachy_policies.rollouts.episode_batch import Envs
from reachy_policies.runs.curve_csv import encode_csv
from reachy_policies.runs.resumable import different_settings
from reachy_policies.runs.run_card import RunCard
from reachy_policies.runs.run_files import (
    CHECKPOINTS,
    CURVE_CSV,
    CURVE_PNG,
    START,
    TRAINING,
    is_run,
    is_unfinished,
)
from reachy_policies.runs.run_folder import check_run_folder, prepare_run_folder
from reachy_policies.runs.saved_run import Run, open_run, save_run, versions, weights_digest


def config_class(method: str) -> type[ReinforceConfig]:
    """Class of a method's configuration."""
    return ResidualConfig if method == "residual" else ReinforceConfig


def reinforce(
    out: Path,
    spec: ReinforceSpec,
    config: ReinforceConfig,
    sim: SimFactory,
    on_iteration: OnIteration = lambda iteration, point: None,
    *,
    fresh: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Run:
    """Learn, or resume learning, and save the run; a finished run of this very training is only opened.

    Args:
        out: folder of the run.
        spec: task, variant, method and start.
        config: settings of the method.
        sim: makes environments and experts.
        on_iteration: called after every iteration, with its evaluation where there was one.
        fresh: start over; discard an unfinished training, and replace a finished run once the new one is complete.
        note: receives a line where a run exists already, or is resumed.

    Raises:
        WrongUseError: the start is not a run, or would be replaced.
        RefusedError: the start is for something else, or the folder holds another training.
        KitError: training diverges, or the disk is full.
    """
    start_run = open_start(spec)
    if start_run and start_run.path.resolve().is_relative_to(out.resolve()):
        raise WrongUseError(f"{out} holds the start, which would be replaced. Choose another --out")
    check_run_folder(out)
    identity = identity_of(spec, config, start_run)
    if not fresh and _is_finished(out, identity):
        note(f"{out} holds this very run already; --fresh trains it again")
        return open_run(out)
    torch.set_num_threads(config.threads)
    curriculum, eval_envs = make_curriculum(spec, config, sim.envs), sim.eval_envs(config.eval_episodes)
    checkpoints = out / TRAINING / CHECKPOINTS
    try:
        start = make_start(start_run, eval_envs, spec, config)
        learner = _make_learner(spec, start, curriculum, eval_envs, sim, config)
        examples = _examples(start_run, eval_envs, learner)

        # Not earlier: only what has passed every check may discard an unfinished training.
        prepare_run_folder(out, fresh=fresh, note=note)

        def save_checkpoint(point: EvalPoint) -> None:
            if config.checkpoints:
                policy = learner.policy()
                card = _card(spec, config, start_run, point, policy.name)
                save_run(checkpoints / str(point.iteration), policy, card, examples, {})

        result = train(learner, eval_envs, config, out, identity, on_iteration, save_checkpoint)
    finally:
        curriculum.close()
        eval_envs.close()
    files = {
        CURVE_CSV: encode_csv([point.flat() for point in result.history]),
        CURVE_PNG: plot_eval_points(result.history, task_spec(spec.task).error),
    }
    folders = {START: start_run.model} if start_run else {}
    if checkpoints.is_dir():
        folders[CHECKPOINTS] = checkpoints
    return save_run(out, result.policy, _final_card(spec, config, start_run, result), examples, files, folders)


def _examples(start: Run | None, envs: Envs, learner: Learner) -> Windows:
    """Observations to keep with the run: those of its start where it has them."""
    policy = learner.policy()
    if isinstance(policy, ReachyChunkPolicy) and (start is None or start.is_model_alone):
        return collect_random(envs, policy.config, 0)
    assert start is not None
    return start.examples()


def _is_finished(out: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a folder holds the finished run of this training, and not an unfinished one to replace it.

    Raises:
        RefusedError: it holds another one.
    """
    if not is_run(out) or is_unfinished(out):
        return False
    settings = open_run(out).card.settings
    other = different_settings(identity, {name: settings.get(name) for name in identity})
    if other:
        raise RefusedError(
            f"{out} holds a finished run with another {', '.join(other)}. Choose another --out, or --fresh"
        )
    return True


def _make_learner(
    spec: ReinforceSpec,
    start: ReachyChunkPolicy | FrozenBase,
    curriculum: Curriculum,
    eval_envs: Envs,
    sim: SimFactory,
    config: ReinforceConfig,
) -> Learner:
    axes, expert = explored_axes(config, spec.task), partial(sim.expert, config.num_envs)
    if isinstance(start, FrozenBase):
        assert isinstance(config, ResidualConfig)
        return TD3Learner(start, curriculum, expert, axes, config)
    if spec.method in ("ppo", "scratch"):
        privileged = make_privileged(eval_envs, start.config, config.seed) if start.config.image_shape else None
        return PPOLearner(start, curriculum, axes, config, privileged)
    if start.config.image_shape:
        raise WrongUseError(
            f"--method {spec.method} needs a policy on features; this one takes images. Take ppo or scratch"
        )
    return BCLearner(start, curriculum, expert if spec.method == "bc-continue" else None, axes, config)


def make_curriculum(spec: ReinforceSpec, config: ReinforceConfig, make: Callable[[str, str, int], Envs]) -> Curriculum:
    """Divide the iterations equally among the variants; with the tier ``both`` the last ones are in physics."""
    tier = "kinematic" if spec.tier == "both" else spec.tier
    kinds = [make(tier, variant, config.num_envs) for variant in spec.variants]
    later = [(1 + index * config.iterations // len(kinds), envs) for index, envs in enumerate(kinds)][1:]
    if spec.tier == "both":
        later.append((config.iterations - config.finish + 1, make("physics", spec.variants[-1], config.num_envs)))
    return Curriculum(kinds[0], *later)


def _final_card(spec: ReinforceSpec, config: ReinforceConfig, start: Run | None, result: ReinforceResult) -> RunCard:
    """Card of the best weights, with the duration of the whole training."""
    card = _card(spec, config, start, result.best, result.policy.name)
    last = result.history[-1]
    numbers = {**card.result, "rollbacks": result.rollbacks}
    return replace(card, seconds=result.seconds, env_steps=last.env_steps, result=numbers)


def _card(spec: ReinforceSpec, config: ReinforceConfig, start: Run | None, point: EvalPoint, kind: str) -> RunCard:
    """Card of the weights that were evaluated."""
    base, error = start.card if start else None, task_spec(spec.task).error
    return RunCard(
        task=spec.task,
        policy=kind,
        policy_hz=spec.policy_hz,
        control_hz=spec.control_hz,
        environment_state=spec.environment_state,
        environment_state_units=units_of(spec.environment_state),
        method=spec.method,
        seed=config.seed,
        steps=point.iteration,
        seconds=point.seconds,
        versions=versions(),
        dataset=base.dataset if base else "",
        dataset_sha256=base.dataset_sha256 if base else "",
        episodes=base.episodes if base else 0,
        held_out=base.held_out if base else [],
        start=start.name if start else "",
        start_sha256=weights_digest(start.path) if start else "",
        start_seconds=base.total_seconds if base else 0.0,
        tier=spec.tier,
        variant=spec.variant,
        env_steps=point.env_steps,
        settings={**identity_of(spec, config, start), "instruction": task_spec(spec.task).instruction},
        result={
            "success": point.success,
            "error": error.scale * point.error,
            "reward": point.reward,
            "jerk": point.jerk,
        },
        error_heading=error.heading,
    )
