"""``reachy-kit demo``: every step from demonstrations to a policy on the robot's daemon, in one run."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for everything it makes; runs/demo-DATE-TIME if not given.")
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", min=2, help="Demonstrations to record.")] = 20,
    sim_episodes: Annotated[
        int, typer.Option("--sim-episodes", min=1, help="Episodes to evaluate in the simulator.")
    ] = 40,
    daemon_episodes: Annotated[
        int, typer.Option("--daemon-episodes", min=1, help="Of those, episodes to repeat on the daemon.")
    ] = 20,
    iterations: Annotated[
        int, typer.Option("--iterations", min=1, help="Iterations of reinforcement learning, 256 episodes each.")
    ] = 15,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of recording and training.")] = 0,
    json: JsonOption = False,
) -> None:
    """Record, imitate, improve by reinforcement learning, and run both bundles on a simulated robot's daemon.

    Takes about four minutes on two cores and ends with a table and a report to open in a browser.

    Example: reachy-kit demo
    """
    from reachy_kit.workflows.demo import run_demo

    result = run_demo(
        out, episodes=episodes, sim_episodes=sim_episodes, daemon_episodes=daemon_episodes, iterations=iterations,
        seed=seed, reporter=show.TERMINAL,
    )  # fmt: skip
    bundle, evaluations = result.learned[-1].bundle, result.evaluations
    if json:
        pairs = result.sim_and_daemon.items()
        show.print_json(
            {
                "task": result.task,
                "seconds": round(result.seconds, 1),
                "evaluations": [evaluation.summary() for evaluation in evaluations],
                "daemon_against_sim": {label: show.paired_summary(*pair) for label, pair in pairs},
                "report": str(result.report),
                "bundle": str(bundle),
            }
        )
        return
    from reachy_policies.evaluation.report.tables import difference_line, evaluation_table

    show.print_table(evaluation_table(f"{result.task} after {episodes} demonstrations", evaluations))
    for pair in result.sim_and_daemon.values():
        show.result(difference_line(*pair))
    show.result(f"report: {result.report}")
    show.result(f"bundle: {bundle}. On your robot: reachy-kit run {bundle} --robot HOST")
    show.result(f"{result.seconds:.0f} s in all")
