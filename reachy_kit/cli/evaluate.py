"""``reachy-kit eval``: how well policies do, on the same initial states."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import PerceptionOption, RobotOption, Stage, open_stage
from reachy_kit.errors import WrongUseError

if TYPE_CHECKING:
    from rich.table import Table

    from reachy_policies.evaluate.episodes import Evaluation
    from reachy_policies.evaluate.statistics import PairedDifference
    from reachy_sim.conditions import Variant


def evaluate(
    policies: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|BUNDLE|expert|oracle|random…",
            help="What to judge; the first is what the others are compared with.",
        ),
    ],
    task: Annotated[str, typer.Option("--task", help="look_at, track, sound_orient or dance.")] = "look_at",
    variant: Annotated[
        str, typer.Option("--variant", help="The task's variant: training, or a held-out one.")
    ] = "training",
    episodes: Annotated[
        int, typer.Option("--episodes", min=1, help="Initial states, the same for every policy.")
    ] = 100,
    robot: RobotOption = "sim",
    perception: PerceptionOption = "auto",
    seed: Annotated[int, typer.Option("--seed", min=0, help="First initial state.")] = 0,
    json: show.JsonOption = False,
) -> None:
    """Judge policies on the same seeded initial states: success with a 95 % interval, gaze error, loop times.

    Example: reachy-kit eval runs/look_at expert --task look_at --episodes 100 --json
    """
    from reachy_policies.evaluate.statistics import compare_pairs
    from reachy_sim.tasks import variant_by_name

    chosen = variant_by_name(task, variant)
    if robot not in ("sim", "daemon"):
        raise WrongUseError("a real robot knows no ground truth to judge by; evaluate on --robot sim or daemon")
    with open_stage(robot, chosen, perception, camera=False) as stage:
        results = [evaluate_one(name, stage, chosen, range(seed, seed + episodes)) for name in policies]
    comparisons = [compare_pairs(results[0].successes, other.successes) for other in results[1:]]
    if json:
        show.print_json(
            {
                "task": task,
                "variant": variant,
                "evaluations": [one.summary() for one in results],
                "compared_with_first": [paired_summary(one, results[0]) for one in comparisons],
            }
        )
        return
    of = task if variant == "training" else f"{task}, {variant},"
    show.print_table(table(f"{of} on {robot}, {episodes} episodes", results))
    for other, comparison in zip(results[1:], comparisons, strict=True):
        show.result(difference_line(results[0].policy, other.policy, comparison))


def evaluate_one(name: str, stage: Stage, variant: "Variant", seeds: range, label: str | None = None) -> "Evaluation":
    """Judge one policy on a stage that has a world."""
    from reachy_kit.cli.policies import load
    from reachy_policies.evaluate.episodes import evaluate as run_episodes

    task = variant.task
    loaded = load(name, stage.perception.names, task.name)
    if loaded.task not in (None, task.name):
        raise WrongUseError(f"{name} was trained for {loaded.task}, not for {task.name}")
    assert stage.world is not None, "judged stages have a world"
    with show.progress(f"{label or loaded.label} on {stage.robot.name}", total=len(seeds)) as advance:
        return run_episodes(
            label or loaded.label,
            stage.robot,
            loaded.policy,
            seeds=seeds,
            seconds=task.seconds,
            policy_hz=loaded.policy_hz,
            perception=stage.perception,
            world=stage.world,
            wall_clock=stage.wall_clock,
            on_episode=lambda episode: advance(),
        )


def table(title: str, results: "list[Evaluation]") -> "Table":
    """What people read: a row a policy."""
    from rich import box
    from rich.table import Table

    from reachy_policies.evaluate.show import row

    made = Table(title=title, box=box.SIMPLE)
    for column in ("policy", "success", "95 % CI", "gaze error", "loop p50/p99 ms"):
        made.add_column(column, justify="left" if column == "policy" else "right")
    for one in results:
        made.add_row(*row(one))
    return made


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


def difference_line(first: str, other: str, comparison: "PairedDifference") -> str:
    """A comparison in one line."""
    from reachy_policies.evaluate.show import points

    difference = comparison.difference
    return (
        f"{other} − {first}: {points(difference.value)} points, 95 % interval {points(difference.low)} to "
        f"{points(difference.high)}, on {comparison.pairs} pairs; only {first}: {len(comparison.only_a)}, "
        f"only {other}: {len(comparison.only_b)}"
    )
