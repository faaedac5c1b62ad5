"""``reachy-kit demo``: the whole story in one run, from demonstrations to a learned behaviour on the robot's daemon."""

import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.evaluate import difference_line, evaluate_one, paired_summary, table
from reachy_kit.cli.record import record_episodes
from reachy_kit.cli.robots import open_stage
from reachy_kit.cli.train import train_imitation
from reachy_kit.errors import KitError, RefusedError

if TYPE_CHECKING:
    from reachy_policies.evaluate.episodes import Evaluation
    from reachy_policies.evaluate.statistics import PairedDifference
    from reachy_policies.run import Run
    from reachy_sim.conditions import Variant
    from reachy_sim.tasks.task import Task


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for everything it makes; runs/demo-DATE-TIME if not given.")
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", min=2, help="Demonstrations to record.")] = 20,
    sim_episodes: Annotated[
        int, typer.Option("--sim-episodes", min=1, help="Episodes to judge in the simulator.")
    ] = 40,
    daemon_episodes: Annotated[
        int, typer.Option("--daemon-episodes", min=1, help="Of those, episodes to repeat on the daemon.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of recording and training.")] = 0,
    json: show.JsonOption = False,
) -> None:
    """Record, imitate, evaluate, export, and run the bundle through the robot's SDK on a simulated daemon.

    Takes under four minutes on two cores and ends with a table and a report to open in a browser.

    Example: reachy-kit demo
    """
    from reachy_policies.evaluate.statistics import compare_pairs
    from reachy_sim.tasks import variant_by_name

    began, variant = time.perf_counter(), variant_by_name("look_at")
    folder = _fresh_folder(out)
    run, bundle = _learn(folder, variant, episodes, seed)
    results = _judge_in_sim(variant, bundle, max(sim_episodes, daemon_episodes))
    on_daemon = _judge_on_daemon(variant, bundle, daemon_episodes)
    comparison: PairedDifference | None = None
    if on_daemon:
        comparison = compare_pairs(results[1].successes[:daemon_episodes], on_daemon.successes)
        results.append(on_daemon)
    report = _report(folder, variant.task, run, results, comparison, time.perf_counter() - began)

    summary: dict[str, Any] = {
        "task": variant.task.name,
        "seconds": round(time.perf_counter() - began, 1),
        "evaluations": [one.summary() for one in results],
        "daemon_against_sim": paired_summary(comparison, results[1]) if comparison else None,
        "report": str(report),
        "bundle": str(bundle),
    }
    if json:
        show.print_json(summary)
        return
    show.print_table(table(f"{variant.task.name} after {episodes} demonstrations", results))
    if comparison:
        show.result(difference_line("sim", "daemon", comparison))
    show.result(f"report: {report}")
    show.result(f"bundle: {bundle}. On your robot: reachy-kit run {bundle} --robot HOST")
    show.result(f"{summary['seconds']:.0f} s in all")


def _fresh_folder(out: Path | None) -> Path:
    folder = out or Path("runs") / f"demo-{datetime.datetime.now():%Y-%m-%d-%H%M%S}"
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise RefusedError(f"{folder} is not empty; the demo writes into a new folder. Choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _learn(folder: Path, variant: "Variant", episodes: int, seed: int) -> "tuple[Run, Path]":
    dataset, bundle = folder / "dataset", folder / f"{variant.task.name}.bundle"
    with open_stage("sim", variant, camera=False) as stage:
        record_episodes(stage, variant, dataset, episodes=episodes, hz=25, seed=seed, camera=False)
    run = train_imitation(dataset, folder / "run", seed=seed, settings={})
    from reachy_policies.export import export

    manifest = export(run, bundle)
    show.note(f"exported: ONNX agrees with torch to {manifest.parity_error:.1g}")
    return run, bundle


def _judge_in_sim(variant: "Variant", bundle: Path, episodes: int) -> "list[Evaluation]":
    with open_stage("sim", variant, camera=False) as stage:
        return [
            evaluate_one("expert", stage, variant, range(episodes), "expert, sim"),
            evaluate_one(str(bundle), stage, variant, range(episodes), "imitation, sim"),
        ]


def _judge_on_daemon(variant: "Variant", bundle: Path, episodes: int) -> "Evaluation | None":
    from reachy_kit.robots.daemon import daemon_installed

    if not daemon_installed():
        show.note(
            "the robot's SDK is not installed (SIM_ONLY set-up), so nothing runs on its daemon; make setup installs it"
        )
        return None
    show.note("starting the robot's daemon with a simulated robot")
    with open_stage("daemon", variant) as stage:
        return evaluate_one(str(bundle), stage, variant, range(episodes), "imitation, daemon")


def _report(
    folder: Path,
    task: "Task",
    run: "Run",
    results: "list[Evaluation]",
    comparison: "PairedDifference | None",
    seconds: float,
) -> Path:
    from reachy_policies.evaluate.report import Report, write_report
    from reachy_sim.portrait import portraits

    steps = results[-1].first_episode
    ends = [steps[0], steps[-1]]
    try:
        pictures = portraits(
            [step.observation.state for step in ends], [step.truth.target for step in ends if step.truth is not None]
        )
    except KitError as error:
        show.note(f"the report goes without pictures of the robot: {error}")
        pictures = []
    path = folder / "report.html"
    report = Report(
        instruction=task.instruction,
        card=run.card,
        curve=run.path / "curve.png",
        results=results,
        difference=difference_line("sim", "daemon", comparison) if comparison else None,
        portraits=pictures,
        tolerance=task.tolerance,
        picture=folder / f"{task.name}.png",
        seconds=seconds,
    )
    write_report(path, report)
    return path
