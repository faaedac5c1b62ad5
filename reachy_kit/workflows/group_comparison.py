"""Comparison of groups of trainings in the batched simulator, on a task and on its held-out variants.

Try it: reachy-kit eval A=runs/a B=runs/b --task track --variants held-out --episodes 200 --html compared.html
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.seeds import evaluation_seeds
from reachy_kit.workflows.inputs.policy_arguments import image_width, open_groups, scripted_group
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.sim_envs import make_envs

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Array, Image
    from reachy_policies.evaluation.comparison import Comparison
    from reachy_policies.evaluation.groups import TrainingGroup
    from reachy_policies.evaluation.report.page import Media
    from reachy_policies.evaluation.report.worst_episodes import WorstEpisode

_FILM_SIZE = 400, 300
"""Width and height of the films, px."""


@dataclass(frozen=True)
class GroupComparison:
    """Groups of trainings on the same episodes."""

    task: str
    instruction: str
    """The task in words."""
    tier: str
    comparison: "Comparison"
    versions: dict[str, str]
    """Versions of the packages that it depends on."""


def compare_policies(
    policies: Sequence[str],
    *,
    task: str = "look_at",
    variant: str = "training",
    variants: str | None = None,
    tier: str = "physics",
    episodes: int = 100,
    seed: int = 0,
    margin: float = 0.05,
    match: float = 0.02,
    reporter: Reporter = SILENT,
) -> GroupComparison:
    """Evaluate groups of trainings on the same episodes, all episodes of a training at once.

    Args:
        policies: expert, oracle, random, a run, a folder of runs, or NAME=DIR of either; the first is what the others
            are compared with.
        task: its name, or the file of one.
        variant: that they were trained on.
        variants: further ones: ``held-out`` or ``all`` for every other one, or names separated by commas.
        tier: ``physics`` or ``kinematic``.
        episodes: initial states.
        seed: of the first one.
        margin: share of episodes in [0, 1] whose loss counts as kept.
        match: difference of in-task returns, mean reward per decision, up to which they count as equal.
        reporter: shows the progress.

    Returns:
        The comparison.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        RefusedError: a policy was trained on other features, or the runs of a group do not belong together.
    """
    from reachy_sim.tasks import variant_by_name

    chosen = variant_by_name(task, variant)
    task = chosen.task.name
    seeds = evaluation_seeds(seed, episodes)
    if tier not in ("physics", "kinematic"):
        raise WrongUseError(f"--tier {tier} does not exist; there are physics and kinematic")
    held_out = _held_out(task, variant, variants)
    with reporter.working("loading torch and LeRobot"):
        from reachy_policies.evaluation.comparison import ComparisonConfig, compare_groups, count_evaluations
        from reachy_policies.runs.saved_run import versions
    config = ComparisonConfig(chosen.task.spec.error, variant, held_out, seeds, margin, match)
    groups = open_groups(policies, task, chosen.task.features)
    observed = _observed(groups)

    def envs(variant: str, hz: int, count: int) -> Any:
        return make_envs(task, count, tier=tier, variant=variant, policy_hz=hz, **observed)

    references = scripted_group("expert", task, groups[0].hz), scripted_group("oracle", task, groups[0].hz)
    with reporter.progress(f"{task}, {episodes} episodes each", total=count_evaluations(groups, config)) as advance:
        comparison = compare_groups(groups, references, config, envs, advance)
    return GroupComparison(task, chosen.task.instruction, tier, comparison, versions())


def write_comparison(
    html: Path, result: GroupComparison, *, films: int = 2, command: str = "", reporter: Reporter = SILENT
) -> None:
    """Write a comparison as one HTML page, with films of the worst episodes.

    Args:
        html: the file to write.
        result: what it shows.
        films: of the first group and of the last, each; none where they cannot be made.
        command: that makes the page, in words.
        reporter: shows the progress.

    Raises:
        KitError: the page cannot be written.
    """
    from reachy_policies.evaluation.report.comparison_page import ComparisonReport, comparison_page
    from reachy_policies.evaluation.report.page import write_page

    media, missing = _films(result, films, reporter)
    report = ComparisonReport(
        result.comparison, result.task, result.instruction, result.tier, media, missing, result.versions, command
    )
    write_page(html, comparison_page(report))


def _held_out(task: str, in_task: str, wanted: str | None) -> tuple[str, ...]:
    """Names of the variants besides the one that the groups were trained on."""
    from reachy_sim.tasks import simulated_task, variant_by_name

    if wanted is None:
        return ()
    variants = simulated_task(task).variants
    if wanted in ("held-out", "all"):
        return tuple(name for name in variants if name != in_task)
    names = dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip())
    if not names:
        raise WrongUseError(f"--variants is empty; there are held-out, all, {', '.join(variants)}")
    for name in names:
        variant_by_name(task, name)
    return tuple(name for name in names if name != in_task)


def _observed(groups: "Sequence[TrainingGroup]") -> dict[str, Any]:
    """Options for environments that yield every policy's observations; images are as wide as the widest of them, px."""
    widest = max((image_width(str(run.path)) for group in groups for run in group.runs), default=0)
    return {"obs_type": "pixels_state", "image_size": widest} if widest else {}


def _films(result: GroupComparison, count: int, reporter: Reporter) -> "tuple[list[Media], str]":
    """Films of the worst episodes; or an empty list, and the reason in words."""
    from reachy_policies.evaluation.report.worst_episodes import encode_film, worst_episodes

    if not count:
        return [], "No films were asked for (--films)."
    films: list[Media] = []
    worst = worst_episodes(result.comparison, count)
    with reporter.progress("films of the worst episodes", total=len(worst)) as advance:
        for episode in worst:
            states, targets = _replay(episode, result.task, result.tier)
            try:
                images = _draw(states, targets, episode.group.hz)
            except KitError as error:  # the graphics driver failed; the page's numbers are kept
                return [], f"No films: {error}"
            films.append(encode_film(episode, images))
            advance()
    return films, ""


def _draw(states: "list[Array]", targets: "list[Array]", hz: int) -> "list[Image]":
    """Draw the robot from the side, in an episode of ``hz`` decisions per second."""
    from reachy_policies.evaluation.report.worst_episodes import FPS
    from reachy_sim.rendering.robot_renderer import RobotRenderer

    shown = (np.arange(0, len(states) / hz, 1 / FPS) * hz).astype(int)
    with contextlib.closing(RobotRenderer(*_FILM_SIZE, targets)) as renderer:
        return [renderer.render(states[step], targets[step]) for step in shown]


def _replay(episode: "WorstEpisode", task: str, tier: str) -> "tuple[list[Array], list[Array]]":
    """The (9,) state and the (3,) target, m, base frame, after each decision of an episode that is run again."""
    from reachy_policies.rollouts.episode_batch import transitions

    group, states, targets = episode.group, [], []
    policy = group.policies[episode.training]([episode.seed])
    options = {"tier": tier, "variant": episode.variant, "policy_hz": group.hz, **_observed([group])}
    with contextlib.closing(make_envs(task, 1, **options)) as envs:
        simulation = envs.unwrapped.simulation
        for _ in transitions(envs, policy, episode.seed):
            states.append(simulation.view.state[0].copy())
            targets.append(simulation.target[0].copy())
    return states, targets
