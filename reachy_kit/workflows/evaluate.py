"""Evaluation of policies through the robot's own control loop, one episode after another.

Try it: reachy-kit eval expert random --task look_at --episodes 20
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import infer_beside
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.robots.loop_rate import late_warning
from reachy_kit.runtime.seeds import evaluation_seeds
from reachy_kit.workflows.inputs.guarded_session import guard, stoppable_session
from reachy_kit.workflows.inputs.policy_arguments import load_policy, takes_images
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import SIMULATED, Session

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Episode
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_sim.tasks.variants import Variant


@dataclass(frozen=True)
class PolicyEvaluations:
    """Policies on the same episodes, on one robot or on two."""

    task: str
    variant: str
    robot: str
    against: str | None
    """Name of the other robot."""
    results: "list[Evaluation]"
    """Evaluations, one for each policy."""
    elsewhere: "list[Evaluation]"
    """Evaluations on the other robot; empty without one."""


def evaluate_policies(
    policies: Sequence[str],
    *,
    task: str = "look_at",
    variant: str = "training",
    robot: str = "sim",
    against: str | None = None,
    perception: str = "auto",
    target: str = BALL,
    episodes: int = 100,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> PolicyEvaluations:
    """Evaluate policies on the same initial states.

    Args:
        policies: expert, oracle, random, a run or a bundle each; the first is what the others are compared with.
        task: its name, or the file of one.
        variant: name of its variant.
        robot: ``sim`` or ``daemon``.
        against: the other one of these, to evaluate on it too; None for no other.
        perception: ``auto``, ``geometry`` or ``detector``.
        target: what is looked at, as ``--target`` gives it.
        episodes: initial states.
        seed: of the first one.
        reporter: shows the progress.

    Returns:
        The evaluations.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        RefusedError: a policy was trained on other features.
    """
    from reachy_sim.tasks import variant_by_name

    chosen, seeds = variant_by_name(task, variant), evaluation_seeds(seed, episodes)
    require_simulated(robot, against)
    results = _evaluate_on(robot, policies, chosen, perception, target, seeds, reporter)
    elsewhere = _evaluate_on(against, policies, chosen, perception, target, seeds, reporter) if against else []
    return PolicyEvaluations(
        task=chosen.task.name,
        variant=variant,
        robot=robot,
        against=against,
        results=results,
        elsewhere=elsewhere,
    )


def require_simulated(robot: str, against: str | None) -> None:
    """Refuse robots whose world has no ground truth, and a comparison of a robot with itself.

    Args:
        robot: to evaluate on.
        against: the other one, or None.

    Raises:
        WrongUseError: they do not fit.
    """
    if robot not in SIMULATED:
        raise WrongUseError("a real robot has no ground truth to evaluate by; evaluate on --robot sim or daemon")
    if against not in (None, *SIMULATED) or against == robot:
        raise WrongUseError(f"--against {against} with --robot {robot}: one of them is sim, the other daemon")


def evaluate_policy(
    argument: str,
    session: Session,
    variant: "Variant",
    seeds: Sequence[int],
    label: str | None = None,
    reporter: Reporter = SILENT,
) -> "Evaluation":
    """Evaluate one policy in an open session that has a world.

    Args:
        argument: names the policy.
        session: where to run it.
        variant: of the task.
        seeds: of the episodes.
        label: of the policy in tables; its own name if None.
        reporter: shows the progress.

    Returns:
        The evaluation.

    Raises:
        WrongUseError: there is no such policy, or it was trained for another task.
        RefusedError: it was trained on other features.
        KitError: a watchdog has ended an episode.
    """
    from reachy_policies.evaluation import policy_evaluation

    task = variant.task
    loaded = load_policy(argument, session.perception.names, task.name)
    if loaded.task not in (None, task.name):
        raise WrongUseError(f"{argument} was trained for {loaded.task}, not for {task.name}: give --task {loaded.task}")
    assert session.world is not None, "a policy is evaluated where there is ground truth"
    with (
        contextlib.ExitStack() as at_end,
        reporter.progress(f"{label or loaded.label} on {session.robot.name}", total=len(seeds)) as advance,
    ):
        policy = infer_beside(loaded.policy, loaded.policy_hz, at_end) if session.wall_clock else loaded.policy
        guarded = guard(policy, session, reporter.note)

        def end_episode(episode: "Episode") -> None:
            guarded.raise_trouble()
            advance()

        evaluation = policy_evaluation.evaluate_policy(
            label or loaded.label,
            session.robot,
            guarded,
            seeds=seeds,
            seconds=task.seconds,
            policy_hz=loaded.policy_hz,
            perception=session.perception,
            world=session.world,
            wall_clock=session.wall_clock,
            error=task.spec.error,
            on_episode=end_episode,
            on_tick=guarded.on_tick,
            stop=guarded.stop,
        )
    if warning := late_warning(evaluation.episodes):
        reporter.note(f"warning: {evaluation.policy}: {warning}")
    return evaluation


def _evaluate_on(
    robot: str,
    policies: Sequence[str],
    variant: "Variant",
    perception: str,
    target: str,
    seeds: range,
    reporter: Reporter,
) -> "list[Evaluation]":
    """Evaluate all policies on one robot; its camera is on where a policy takes images."""
    camera = any(takes_images(argument) for argument in policies)
    with stoppable_session(robot, variant, perception, camera=camera, target=target, reporter=reporter) as session:
        return [evaluate_policy(argument, session, variant, seeds, reporter=reporter) for argument in policies]
