"""``reachy-kit demo``: the whole story in one run: demonstrations, imitation, exploration, and the robot's daemon."""

import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.evaluate import evaluate_one, paired_summary, table
from reachy_kit.cli.record import record_episodes
from reachy_kit.cli.reinforce import train_rl
from reachy_kit.cli.robots import open_session
from reachy_kit.cli.train import train_imitation
from reachy_kit.runtime.errors import KitError, RefusedError

if TYPE_CHECKING:
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.evaluation.statistics.intervals import PairedDifference
    from reachy_policies.runs.run import Run
    from reachy_sim.tasks.task import Task
    from reachy_sim.tasks.variants import Variant


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
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of exploration, 256 episodes each.")] = 15,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of recording and training.")] = 0,
    json: show.JsonOption = False,
) -> None:
    """Record, imitate, let it explore, and run both bundles through the robot's SDK on a simulated daemon.

    Takes under six minutes on two cores and ends with a table and a report to open in a browser.

    Example: reachy-kit demo
    """
    from reachy_policies.evaluation.report.tables import difference_line
    from reachy_policies.evaluation.statistics.intervals import compare_pairs
    from reachy_sim.tasks import variant_by_name

    began, variant = time.perf_counter(), variant_by_name("look_at")
    folder = _fresh_folder(out)
    learned = [_imitate(folder, variant, episodes, seed)]
    learned.append(_explore(folder, variant, learned[0], rounds, seed))
    results = _judge_in_sim(variant, learned, max(sim_episodes, daemon_episodes))
    on_daemon = _judge_on_daemon(variant, learned, daemon_episodes)
    comparisons: dict[str, PairedDifference] = {}
    for one, in_sim, there in zip(learned, results[1:], on_daemon, strict=False):
        comparisons[one.label] = compare_pairs(in_sim.successes[:daemon_episodes], there.successes)
    results += on_daemon
    lines = [difference_line(f"{label}, sim", f"{label}, daemon", pairs) for label, pairs in comparisons.items()]
    report = _report(folder, variant.task, learned, results, lines, time.perf_counter() - began)
    bundle = learned[-1].bundle

    summary: dict[str, Any] = {
        "task": variant.task.name,
        "seconds": round(time.perf_counter() - began, 1),
        "evaluations": [one.summary() for one in results],
        "daemon_against_sim": {label: paired_summary(pairs, results[1]) for label, pairs in comparisons.items()},
        "report": str(report),
        "bundle": str(bundle),
    }
    if json:
        show.print_json(summary)
        return
    show.print_table(table(f"{variant.task.name} after {episodes} demonstrations", results))
    for line in lines:
        show.result(line)
    show.result(f"report: {report}")
    show.result(f"bundle: {bundle}. On your robot: reachy-kit run {bundle} --robot HOST")
    show.result(f"{summary['seconds']:.0f} s in all")


def _fresh_folder(out: Path | None) -> Path:
    folder = out or Path("runs") / f"demo-{datetime.datetime.now():%Y-%m-%d-%H%M%S}"
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise RefusedError(f"{folder} is not empty; the demo writes into a new folder. Choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class _Learned:
    """A run and its bundle."""

    label: str
    run: "Run"
    bundle: Path


def _imitate(folder: Path, variant: "Variant", episodes: int, seed: int) -> _Learned:
    dataset = folder / "dataset"
    with open_session("sim", variant, camera=False) as stage:
        record_episodes(stage, variant, dataset, episodes=episodes, hz=25, seed=seed, camera=False)
    return _exported("imitation", train_imitation(dataset, folder / "run", seed=seed, settings={}), folder)


def _explore(folder: Path, variant: "Variant", imitation: _Learned, rounds: int, seed: int) -> _Learned:
    settings = {"iterations": rounds, "eval_every": min(5, rounds)}
    run = train_rl(folder / "run_rl", task=variant.task.name, init=imitation.run.path, seed=seed, settings=settings)
    return _exported("reinforcement learning", run, folder)


def _exported(label: str, run: "Run", folder: Path) -> _Learned:
    from reachy_policies.export import export

    bundle = folder / f"{run.card.task}_{run.card.method}.bundle"
    manifest = export(run, bundle)
    show.note(f"exported: ONNX agrees with torch to {manifest.parity_error:.1g}")
    return _Learned(label, run, bundle)


def _judge_in_sim(variant: "Variant", learned: list[_Learned], episodes: int) -> "list[Evaluation]":
    with open_session("sim", variant, camera=False) as stage:
        expert = evaluate_one("expert", stage, variant, range(episodes), "expert, sim")
        ours = [evaluate_one(str(one.bundle), stage, variant, range(episodes), f"{one.label}, sim") for one in learned]
    return [expert, *ours]


def _judge_on_daemon(variant: "Variant", learned: list[_Learned], episodes: int) -> "list[Evaluation]":
    from reachy_kit.runtime.robots.daemon import daemon_installed

    if not daemon_installed():
        show.note(
            "the robot's SDK is not installed (SIM_ONLY set-up), so nothing runs on its daemon; make setup installs it"
        )
        return []
    show.note("starting the robot's daemon with a simulated robot")
    with open_session("daemon", variant) as stage:
        return [
            evaluate_one(str(one.bundle), stage, variant, range(episodes), f"{one.label}, daemon") for one in learned
        ]


def _report(
    folder: Path, task: "Task", learned: list[_Learned], results: "list[Evaluation]", lines: list[str], seconds: float
) -> Path:
    from reachy_policies.evaluation.report.demo_report import DemoReport, write_demo_report
    from reachy_sim.rendering.robot_renderer import robot_images

    steps = results[-1].first_episode
    ends = [steps[0], steps[-1]]
    try:
        pictures = robot_images(
            [step.observation.state for step in ends], [step.truth.target for step in ends if step.truth is not None]
        )
    except KitError as error:
        show.note(f"the report goes without pictures of the robot: {error}")
        pictures = []
    path = folder / "report.html"
    report = DemoReport(
        instruction=task.instruction,
        runs=[one.run for one in learned],
        evaluations=results,
        differences=lines,
        portraits=pictures,
        tolerance=task.tolerance,
        portrait_path=folder / f"{task.name}.png",
        seconds=seconds,
    )
    write_demo_report(path, report)
    return path
