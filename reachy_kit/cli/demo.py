"""``reachy-kit demo``: every step from demonstrations to a policy on the robot's daemon, in one run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, path_option
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_kit.workflows.demo import DemoResult

DURATION = "under five minutes on two cores without a GPU"
"""Time that the demo takes with its defaults; the READMEs quote it."""


def demo(
    out: Annotated[
        Path | None, path_option("--out", help="Folder for everything it makes; runs/demo-DATE-TIME if not given.")
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", min=2, help="Demonstrations to record.")] = 50,
    sim_episodes: Annotated[
        int, typer.Option("--sim-episodes", min=1, help="Episodes to evaluate in the simulator.")
    ] = 40,
    daemon_episodes: Annotated[
        int, typer.Option("--daemon-episodes", min=1, help="Of those, episodes to repeat on the daemon, in real time.")
    ] = 12,
    iterations: Annotated[
        int, typer.Option("--iterations", min=1, help="Iterations of reinforcement learning, 256 episodes each.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of recording and training.")] = 0,
    json: JsonOption = False,
) -> None:
    """Record, imitate, improve by reinforcement learning, and run both bundles on a simulated robot's daemon.

    The task is to follow a ball that swings fast. Takes DURATION; ends with a table, a report to open in a browser and
    a film of the expert and both policies.

    Example: reachy-kit demo
    """
    from reachy_kit.workflows.demo import run_demo

    result = run_demo(
        out, episodes=episodes, sim_episodes=sim_episodes, daemon_episodes=daemon_episodes, iterations=iterations,
        seed=seed, reporter=show.TERMINAL,
    )  # fmt: skip
    if json:
        show.print_json(_summary(result))
    else:
        _show(result, episodes)


demo.__doc__ = str(demo.__doc__).replace("DURATION", DURATION)


def _summary(result: "DemoResult") -> dict[str, object]:
    expert, *learners = result.evaluations
    return {
        "task": result.task,
        "variant": result.variant,
        "seconds": round(result.seconds, 1),
        "stage_seconds": {name: round(seconds, 1) for name, seconds in result.stages.items()},
        "evaluations": [evaluation.summary() for evaluation in result.evaluations],
        "against_expert": {
            comparison.learner: {
                **show.paired_summary(expert, learned),
                "verdict": comparison.verdict,
                "sentence": comparison.sentence,
            }
            for comparison, learned in zip(result.against_expert, learners, strict=False)
        },
        "daemon_against_sim": {label: show.paired_summary(*pair) for label, pair in result.sim_and_daemon.items()},
        "report": str(result.report),
        "film": result.film_path and str(result.film_path),
        "bundle": str(result.learned[-1].bundle),
    }


def _show(result: "DemoResult", episodes: int) -> None:
    from reachy_policies.evaluation.report.tables import column_notes, difference_line, evaluation_table

    title = f"{result.instruction.rstrip('.')} ({result.task}, {result.variant}; {episodes} demonstrations)"
    show.print_table(evaluation_table(title, result.evaluations))
    show.result("")
    for note in [result.success, *column_notes(result.evaluations)]:
        show.result(note)
    show.result("")
    for comparison in result.against_expert:
        show.result(comparison.sentence)
    for pair in result.sim_and_daemon.values():
        show.result(difference_line(*pair))
    bundle = result.learned[-1].bundle
    show.result(f"report: {result.report}")
    show.result(f"bundle: {bundle}. On your robot: {compose_command('run', bundle, robot='HOST')}")
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.stages.items())
    show.result(f"{result.seconds:.0f} s in all: {stages}")
