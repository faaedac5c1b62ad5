"""The demo, every step in one run: demonstrations, imitation, reinforcement learning, and the robot's daemon.

Try it: reachy-kit demo
"""

import datetime
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.seeds import evaluation_seeds
from reachy_kit.workflows.evaluate import evaluate_policy
from reachy_kit.workflows.export import export_run
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import open_session
from reachy_kit.workflows.record import record_episodes
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_kit.workflows.training.train_rl import train_rl

if TYPE_CHECKING:
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.runs.saved_run import Run
    from reachy_sim.tasks.variants import Variant

IMITATION, REINFORCEMENT = "imitation", "rl"
_TASK, _HZ = "look_at", 25


@dataclass(frozen=True)
class LearnedPolicy:
    """A run and its bundle."""

    label: str
    run: "Run"
    bundle: Path


@dataclass(frozen=True)
class DemoResult:
    """Results of the demo."""

    task: str
    learned: tuple[LearnedPolicy, ...]
    """Learned policies; each was improved from the one before."""
    evaluations: "tuple[Evaluation, ...]"
    """The expert and each policy in the simulator, then each policy on the daemon, where that is installed."""
    sim_and_daemon: "dict[str, tuple[Evaluation, Evaluation]]"
    """Evaluations in the simulator and on the daemon, by the policy's label, of the episodes that ran on both."""
    report: Path
    seconds: float
    """Wall time, s."""


def run_demo(
    out: Path | None = None,
    *,
    episodes: int = 20,
    sim_episodes: int = 40,
    daemon_episodes: int = 20,
    iterations: int = 15,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> DemoResult:
    """Record, imitate, improve by reinforcement learning, and run both bundles on a simulated daemon.

    Args:
        out: new folder for everything; None for runs/demo-DATE-TIME.
        episodes: demonstrations to record.
        sim_episodes: to evaluate in the simulator.
        daemon_episodes: of those, to repeat on the daemon.
        iterations: of reinforcement learning, 256 episodes each.
        seed: of recording and training.
        reporter: shows the progress.

    Returns:
        The results; a report lies in the folder too.

    Raises:
        RefusedError: the folder is not empty.
        KitError: a training diverges, or a file cannot be written.
    """
    from reachy_sim.tasks import variant_by_name

    began, variant = time.perf_counter(), variant_by_name(_TASK)
    folder = _fresh_folder(out)
    imitation = _imitate(folder, variant, episodes, seed, reporter)
    learned = (imitation, _reinforce(folder, imitation, iterations, seed, reporter))
    in_sim = _evaluate_in_sim(variant, learned, max(sim_episodes, daemon_episodes), reporter)
    on_daemon = _evaluate_on_daemon(variant, learned, daemon_episodes, reporter)
    pairs = {
        policy.label: (replace(simulated, episodes=simulated.episodes[:daemon_episodes]), daemon)
        for policy, simulated, daemon in zip(learned, in_sim[1:], on_daemon, strict=False)
    }
    report, results = folder / "report.html", (*in_sim, *on_daemon)
    _write_report(report, variant, learned, results, pairs, time.perf_counter() - began, reporter)
    return DemoResult(_TASK, learned, results, pairs, report, time.perf_counter() - began)


def _fresh_folder(out: Path | None) -> Path:
    folder = out or Path("runs") / f"demo-{datetime.datetime.now():%Y-%m-%d-%H%M%S}"
    if folder.is_file() or (folder.exists() and contents(folder)):
        raise RefusedError(f"{folder} is not empty; the demo writes into a new folder. Choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _imitate(folder: Path, variant: "Variant", episodes: int, seed: int, reporter: Reporter) -> LearnedPolicy:
    dataset = folder / "dataset"
    with open_session("sim", variant, camera=False) as session:
        record_episodes(
            session, variant, dataset, episodes=episodes, hz=_HZ, seed=seed, camera=False, reporter=reporter
        )
    return _exported(IMITATION, train_imitation(dataset, folder / "run", seed=seed, reporter=reporter), reporter)


def _reinforce(folder: Path, start: LearnedPolicy, iterations: int, seed: int, reporter: Reporter) -> LearnedPolicy:
    settings = {"iterations": iterations, "eval_every": min(5, iterations)}
    run = train_rl(folder / "run_rl", task=_TASK, init=start.run.path, seed=seed, settings=settings, reporter=reporter)
    return _exported(REINFORCEMENT, run, reporter)


def _exported(label: str, run: "Run", reporter: Reporter) -> LearnedPolicy:
    bundle = run.path.parent / f"{run.card.task}_{run.card.method}.bundle"
    exported = export_run(run.path, bundle, reporter=reporter)
    reporter.note(f"exported: ONNX agrees with torch to {exported.manifest.parity_error:.1g}")
    return LearnedPolicy(label, run, bundle)


def _evaluate_in_sim(
    variant: "Variant", learned: tuple[LearnedPolicy, ...], episodes: int, reporter: Reporter
) -> "list[Evaluation]":
    """Evaluate the expert, then each policy."""
    policies = [("expert", "expert"), *((str(policy.bundle), policy.label) for policy in learned)]
    with open_session("sim", variant, camera=False) as session:
        return [
            evaluate_policy(argument, session, variant, evaluation_seeds(0, episodes), f"{label}, sim", reporter)
            for argument, label in policies
        ]


def _evaluate_on_daemon(
    variant: "Variant", learned: tuple[LearnedPolicy, ...], episodes: int, reporter: Reporter
) -> "list[Evaluation]":
    """Evaluate each policy on the daemon; empty where the robot's SDK is not installed."""
    from reachy_kit.runtime.messages.installation import install_command
    from reachy_kit.runtime.robots.daemon import daemon_installed

    if not daemon_installed():
        reporter.note(
            f"the robot's SDK is not installed, so nothing runs on its daemon. Install it: {install_command(['robot'])}"
        )
        return []
    reporter.note("starting the robot's daemon with a simulated robot")
    seeds = evaluation_seeds(0, episodes)
    with open_session("daemon", variant) as session:
        return [
            evaluate_policy(str(policy.bundle), session, variant, seeds, f"{policy.label}, daemon", reporter)
            for policy in learned
        ]


def _write_report(
    path: Path,
    variant: "Variant",
    learned: tuple[LearnedPolicy, ...],
    results: "tuple[Evaluation, ...]",
    pairs: "dict[str, tuple[Evaluation, Evaluation]]",
    seconds: float,
    reporter: Reporter,
) -> None:
    from reachy_policies.evaluation.report.demo_report import DemoReport, write_demo_report
    from reachy_policies.evaluation.report.tables import difference_line
    from reachy_sim.rendering.robot_renderer import robot_images

    steps = results[-1].first_episode
    ends = [steps[0], steps[-1]]
    try:
        images = robot_images(
            [step.observation.state for step in ends], [step.truth.target for step in ends if step.truth is not None]
        )
    except KitError as error:
        reporter.note(f"the report has no images of the robot: {error}")
        images = []
    report = DemoReport(
        instruction=variant.task.instruction,
        runs=[policy.run for policy in learned],
        evaluations=list(results),
        differences=[difference_line(*pair) for pair in pairs.values()],
        portraits=images,
        tolerance=variant.task.tolerance,
        portrait_path=path.parent / f"{variant.task.name}.png",
        seconds=seconds,
    )
    write_demo_report(path, report)
