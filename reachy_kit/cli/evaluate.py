"""``reachy-kit eval``: how well policies do, on the same initial states.

One after another through the robot's own control loop, or, for variants and for arms of several trainings, all episodes
at once in the batched simulator.
"""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import PerceptionOption, RobotOption, Session, TaskOption, open_session
from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.seeds import evaluation_seeds

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from reachy_kit.runtime.interface import Image
    from reachy_policies.evaluation.comparison import Comparison, ComparisonConfig
    from reachy_policies.evaluation.groups import TrainingGroup
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.evaluation.report.page import Media
    from reachy_policies.evaluation.report.tables import Table
    from reachy_policies.evaluation.statistics.intervals import PairedDifference
    from reachy_sim.tasks.variants import Variant


def evaluate(
    policies: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|BUNDLE|NAME=DIR|expert|oracle|random…",
            help="What to judge; the first is what the others are compared with. NAME=DIR is an arm: a folder with "
            "seed-0, seed-1 …, a run for each training seed.",
        ),
    ],
    task: TaskOption = "look_at",
    variant: Annotated[
        str, typer.Option("--variant", help="The task's variant; with --variants the one that was trained on.")
    ] = "training",
    variants: Annotated[
        str | None,
        typer.Option(
            "--variants",
            metavar="held-out|all|NAME,NAME",
            help="Judge on these, too, in the batched simulator; held-out and all are every other variant.",
        ),
    ] = None,
    episodes: Annotated[
        int, typer.Option("--episodes", min=1, help="Initial states, the same for every policy.")
    ] = 100,
    robot: RobotOption = "sim",
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="sim|daemon",
            help="Judge on this robot, too, and compare the two on the same episodes: what the simulator is worth.",
        ),
    ] = None,
    perception: PerceptionOption = "auto",
    tier: Annotated[
        str | None, typer.Option("--tier", metavar="physics|kinematic", help="Of the batched simulator.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="First initial state.")] = 0,
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, max=100.0, help="Points of success that do not matter: kept.")
    ] = 5.0,
    match: Annotated[
        float, typer.Option("--match", min=0.0, help="In-task returns that differ by no more count as equal.")
    ] = 0.02,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one page with everything.")] = None,
    films: Annotated[
        int, typer.Option("--films", min=0, help="Worst episodes to film for the page, of the first and the last.")
    ] = 2,
    json: show.JsonOption = False,
) -> None:
    """Judge policies on the same seeded initial states: success with a 95 % interval, error, and what may be claimed.

    Example: reachy-kit eval runs/look_at expert --task look_at --episodes 100 --json

    Example: reachy-kit eval look_at.bundle --robot daemon --against sim --episodes 200

    Example: reachy-kit eval BC=runs/bc RL=runs/rl --task track --variants held-out --episodes 200 --html compared.html
    """
    from reachy_kit.cli.policies import is_group
    from reachy_sim.tasks import variant_by_name

    chosen, seeds = variant_by_name(task, variant), evaluation_seeds(seed, episodes)
    if robot not in ("sim", "daemon"):
        raise WrongUseError("a real robot knows no ground truth to judge by; evaluate on --robot sim or daemon")
    if against not in (None, "sim", "daemon") or against == robot:
        raise WrongUseError(f"--against {against} with --robot {robot}: one of them is sim, the other daemon")
    if variants is not None or tier is not None or html is not None or any(is_group(name) for name in policies):
        if robot != "sim" or against or perception not in ("auto", "geometry"):
            raise WrongUseError(
                "--variants, --tier, --html and arms need --robot sim alone and its --perception geometry"
            )
        if tier not in (None, "physics", "kinematic"):
            raise WrongUseError(f"--tier {tier} does not exist; there are physics and kinematic")
        held_out = _held_out(task, variant, variants)
        if html is not None:
            check_writable(html)
        with show.working("loading torch and LeRobot"):
            from reachy_policies.evaluation.comparison import ComparisonConfig
        config = ComparisonConfig(chosen.task.spec.error, variant, held_out, episodes, seed, margin / 100, match)
        _evaluate_arms(policies, chosen, config, tier or "physics", html, films, json)
        return
    _evaluate_one_by_one(policies, chosen, robot, against, perception, seeds, json)


def _evaluate_one_by_one(
    policies: list[str],
    chosen: "Variant",
    robot: str,
    against: str | None,
    perception: str,
    seeds: range,
    json: bool,
) -> None:
    from reachy_policies.evaluation.report.tables import difference_line
    from reachy_policies.evaluation.statistics.intervals import compare_pairs

    task, variant = chosen.task.name, chosen.name
    results = _on(robot, policies, chosen, perception, seeds)
    elsewhere = _on(against, policies, chosen, perception, seeds) if against else []
    comparisons = [compare_pairs(results[0].successes, other.successes) for other in results[1:]]
    transfers = [
        compare_pairs(there.successes, here.successes) for here, there in zip(results, elsewhere, strict=False)
    ]
    if json:
        told: dict[str, Any] = {
            "task": task,
            "variant": variant,
            "evaluations": [one.summary() for one in results + elsewhere],
            "compared_with_first": [paired_summary(one, results[0]) for one in comparisons],
        }
        if against:
            told["compared_with_robot"] = [paired_summary(one, results[0]) for one in transfers]
        show.print_json(told)
        return
    of = task if variant == "training" else f"{task}, {variant},"
    show.print_table(table(f"{of} on {robot}, {len(seeds)} episodes", results))
    for other, comparison in zip(results[1:], comparisons, strict=True):
        show.result(difference_line(results[0].policy, other.policy, comparison))
    if against:
        show.print_table(table(f"{of} on {against}, {len(seeds)} episodes", elsewhere))
    for one, transfer in zip(results, transfers, strict=False):
        show.result(difference_line(f"{one.policy}, {against}", f"{one.policy}, {robot}", transfer))


def _on(robot: str, policies: list[str], chosen: "Variant", perception: str, seeds: range) -> "list[Evaluation]":
    """Judge all policies on one robot; its camera is on where one of them looks through it."""
    from reachy_kit.cli.policies import looks_at_pictures

    camera = any(looks_at_pictures(name) for name in policies)
    with open_session(robot, chosen, perception, camera=camera) as stage:
        return [evaluate_one(name, stage, chosen, seeds) for name in policies]


def evaluate_one(name: str, stage: Session, variant: "Variant", seeds: range, label: str | None = None) -> "Evaluation":
    """Judge one policy on a stage that has a world."""
    from reachy_kit.cli.policies import load
    from reachy_policies.evaluation.policy_evaluation import evaluate_policy

    task = variant.task
    loaded = load(name, stage.perception.names, task.name)
    if loaded.task not in (None, task.name):
        raise WrongUseError(f"{name} was trained for {loaded.task}, not for {task.name}")
    assert stage.world is not None, "judged stages have a world"
    with show.progress(f"{label or loaded.label} on {stage.robot.name}", total=len(seeds)) as advance:
        return evaluate_policy(
            label or loaded.label,
            stage.robot,
            loaded.policy,
            seeds=seeds,
            seconds=task.seconds,
            policy_hz=loaded.policy_hz,
            perception=stage.perception,
            world=stage.world,
            wall_clock=stage.wall_clock,
            error=task.spec.error,
            on_episode=lambda episode: advance(),
        )


def table(title: str, results: "list[Evaluation]") -> "RichTable":
    """Show evaluations, a row each."""
    from reachy_policies.evaluation.report.tables import evaluation_table

    return rich_table(evaluation_table(title, results))


def rich_table(table: "Table") -> "RichTable":
    """Lay out a table for the terminal; a first cell that repeats the one above stays empty."""
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in table.columns:
        text = column in table.text_columns
        heading = "\n".join(column.split(", ") if ", " in column else column.rsplit(" ", 1))
        shown.add_column(heading, justify="left" if text else "right", no_wrap=not text)
    for first, rows in table.row_groups():
        for index, cells in enumerate(rows):
            shown.add_row("" if index else first, *cells)
    return shown


def paired_summary(comparison: "PairedDifference", first: "Evaluation") -> dict[str, Any]:
    """A comparison for scripts, the discordant pairs by their seeds."""
    seeds = [episode.seed for episode in first.episodes]
    return {
        "pairs": comparison.pairs,
        "only_first": [seeds[i] for i in comparison.only_a],
        "only_other": [seeds[i] for i in comparison.only_b],
        "difference": vars(comparison.difference),
        "p_value": comparison.p_value,
    }


def _held_out(task: str, in_task: str, wanted: str | None) -> tuple[str, ...]:
    """Names of the variants beside the one that was trained on."""
    from reachy_sim.tasks import simulated_task, variant_by_name

    if wanted is None:
        return ()
    variants = simulated_task(task).variants
    if wanted in ("held-out", "all"):
        return tuple(name for name in variants if name != in_task)
    names = dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip())
    if not names:
        raise WrongUseError(f"--variants names none; there are held-out, all, {', '.join(variants)}")
    for name in names:
        variant_by_name(task, name)
    return tuple(name for name in names if name != in_task)


def _evaluate_arms(
    policies: list[str],
    chosen: "Variant",
    config: "ComparisonConfig",
    tier: str,
    html: Path | None,
    films: int,
    json: bool,
) -> None:
    """All episodes at once, for arms of several trainings and for many variants."""
    from reachy_kit.cli.policies import load_groups, scripted_group
    from reachy_kit.cli.simulated import make_envs
    from reachy_policies.evaluation.comparison import compare_groups, count_evaluations
    from reachy_policies.evaluation.report.comparison_summary import summarise_comparison
    from reachy_policies.evaluation.report.comparison_tables import comparison_tables, remarks
    from reachy_policies.runs.run import versions

    task = chosen.task.name
    groups = load_groups(policies, task, chosen.task.features)
    observed = _observed(groups)

    def envs(variant: str, hz: int, count: int) -> Any:
        return make_envs(task, count, tier=tier, variant=variant, policy_hz=hz, **observed)

    references = scripted_group("expert", task, groups[0].hz), scripted_group("oracle", task, groups[0].hz)
    with show.progress(f"{task}, {config.episodes} episodes each", total=count_evaluations(groups, config)) as advance:
        comparison = compare_groups(groups, references, config, envs, advance)
    if html is not None:
        _write_page(html, comparison, chosen, tier, films)
    if json:
        show.print_json({"task": task, "tier": tier, "versions": versions(), **summarise_comparison(comparison)})
        return
    for part in comparison_tables(f"{task}, {tier} tier, {config.episodes} episodes", comparison):
        show.print_table(rich_table(part))
    for remark in remarks(comparison):
        show.result(remark)
    if html is not None:
        show.result(f"page: {html}")


def _observed(groups: "Sequence[TrainingGroup]") -> dict[str, Any]:
    """What the environments must show: pictures too, where somebody looks at them, as wide as the widest of these."""
    from reachy_kit.cli.policies import picture_width

    widest = max((picture_width(str(run.path)) for group in groups for run in group.runs), default=0)
    return {"obs_type": "pixels_state", "image_size": widest} if widest else {}


def check_writable(html: Path) -> None:
    """Before any work is done for nothing.

    Raises:
        WrongUseError: there is no such folder, or it is one itself.
    """
    if html.is_dir() or not html.resolve().parent.is_dir():
        what = "is a folder" if html.is_dir() else f"there is no folder {html.resolve().parent}"
        raise WrongUseError(f"--html {html}: {what}")


def _write_page(html: Path, comparison: "Comparison", chosen: "Variant", tier: str, films: int) -> None:
    from reachy_policies.evaluation.report.comparison_page import ComparisonReport, comparison_page
    from reachy_policies.evaluation.report.page import write_page
    from reachy_policies.runs.run import versions

    task = chosen.task
    media, missing = _films(comparison, task.name, tier, films)
    command = " ".join(["reachy-kit", *sys.argv[1:]])
    report = ComparisonReport(comparison, task.name, task.instruction, tier, media, missing, versions(), command)
    write_page(html, comparison_page(report))


def _films(comparison: "Comparison", task: str, tier: str, count: int) -> "tuple[list[Media], str]":
    """Films of the worst episodes; or an empty list, and why."""
    from reachy_policies.evaluation.report.worst_episodes import encode_film, worst_episodes

    if not count:
        return [], "No films were asked for (--films)."
    films: list[Media] = []
    worst = worst_episodes(comparison, count)
    try:
        with show.progress("films of the worst episodes", total=len(worst)) as advance:
            for episode in worst:
                images = _pictures(episode.group, episode.training, task, episode.variant, episode.seed, tier)
                films.append(encode_film(episode, images))
                advance()
    except ImportError as error:
        return [], f"No films: {error.name} is missing. Install the extra view: pip install 'reachy-kit[view]'"
    except KitError as error:  # rendering is not possible here
        return [], f"No films: {error}"
    return films, ""


def _pictures(
    group: "TrainingGroup", training: int, task: str, variant: str, seed: int, tier: str
) -> "Sequence[Image]":
    """An episode once more, and the robot in it from the side."""
    import numpy as np

    from reachy_kit.cli.simulated import make_envs
    from reachy_policies.evaluation.report.worst_episodes import FPS
    from reachy_sim.rendering.robot_renderer import RobotRenderer

    poses, targets = [], []
    policy = group.policies[training]([seed])
    options = {"tier": tier, "variant": variant, "policy_hz": group.hz, **_observed([group])}
    with contextlib.closing(make_envs(task, 1, **options)) as envs:
        simulation = envs.unwrapped.simulation
        observation, _ = envs.reset(seed=seed)
        policy.begin(observation)
        over = False
        while not over:
            poses.append(simulation.view.state[0].copy())
            targets.append(simulation.target[0].copy())
            observation, _, _, truncated, _ = envs.step(policy.act(observation))
            over = bool(np.asarray(truncated).any())
    moments = np.arange(0, len(poses) / group.hz, 1 / FPS) * group.hz
    with contextlib.closing(RobotRenderer(400, 300, targets)) as renderer:
        return [renderer.render(poses[int(at)], targets[int(at)]) for at in moments]
