"""The demo, every step in one run: demonstrations, imitation, reinforcement learning, and the robot's daemon.

The ball of hard `track` swings so fast that the expert, as late as a person, often loses it. An imitation copies that
delay; reinforcement learning does not.

Try it: reachy-kit demo
"""

import contextlib
import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.durable_files import check_folder
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.seeds import evaluation_seeds
from reachy_kit.workflows.demo_film import render_film
from reachy_kit.workflows.evaluate import evaluate_policy
from reachy_kit.workflows.export import export_run
from reachy_kit.workflows.inputs.guarded_session import stoppable_session
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import open_session
from reachy_kit.workflows.record import record_episodes
from reachy_kit.workflows.training.train_imitation import train_imitation
from reachy_kit.workflows.training.train_rl import train_rl

if TYPE_CHECKING:
    from reachy_policies.evaluation.expert_comparison import ExpertComparison
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.evaluation.report.demo_report import DemoFilm
    from reachy_policies.runs.saved_run import Run
    from reachy_sim.tasks.task import Task
    from reachy_sim.tasks.variants import Variant

IMITATION, REINFORCEMENT = "imitation", "rl"
_TASK, _VARIANT, _HZ = "track", "hard", 25


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
    variant: str
    instruction: str
    """The task in words."""
    learned: tuple[LearnedPolicy, ...]
    """Learned policies; each was improved from the one before."""
    evaluations: "tuple[Evaluation, ...]"
    """The expert and each policy in the simulator, then each policy on the daemon, where that is installed."""
    success: str
    """What counts as success, as a sentence."""
    against_expert: "tuple[ExpertComparison, ...]"
    """Each learned policy against the expert in the simulator."""
    sim_and_daemon: "dict[str, tuple[Evaluation, Evaluation]]"
    """Evaluations in the simulator and on the daemon, by the policy's label, of the episodes that ran on both."""
    folder: Path
    """Folder of everything, the report among it."""
    film: "DemoFilm | None"
    """Expert and policies side by side; None where nothing can be drawn."""
    stages: dict[str, float]
    """Wall time of each stage, s."""
    seconds: float = 0.0
    """Wall time of everything, s."""

    @property
    def report(self) -> Path:
        """HTML page."""
        return self.folder / "report.html"

    @property
    def film_path(self) -> Path | None:
        """MP4, if there is a film."""
        return self.folder / "demo.mp4" if self.film else None


@dataclass
class _Clock:
    """Wall times of the stages."""

    began: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.perf_counter()
        yield
        self.stages[name] = time.perf_counter() - began


def run_demo(
    out: Path | None = None,
    *,
    episodes: int = 50,
    sim_episodes: int = 40,
    daemon_episodes: int = 12,
    iterations: int = 20,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> DemoResult:
    """Record, imitate, improve by reinforcement learning, and run both bundles on a simulated daemon.

    Args:
        out: new folder for everything; None for runs/demo-DATE-TIME.
        episodes: demonstrations to record.
        sim_episodes: to evaluate in the simulator.
        daemon_episodes: of those, to repeat on the daemon, in real time.
        iterations: of reinforcement learning, 256 episodes each. With 20, three training seeds of three succeeded in
            all of the 128 validation episodes.
        seed: of recording and training.
        reporter: shows the progress.

    Returns:
        The results; a report and a film lie in the folder too.

    Raises:
        RefusedError: the folder is not empty.
        WrongUseError: the folder cannot be written.
        KitError: a training diverges, or a file cannot be written.
        KeyboardInterrupt: the robot was stopped; the report is written without it.
    """
    folder, clock = _fresh_folder(out), _Clock()
    with clock.stage("recording"):
        from reachy_sim.tasks import variant_by_name

        variant = variant_by_name(_TASK, _VARIANT)
        dataset = _record(folder, variant, episodes, seed, reporter)
    with clock.stage("imitation"):
        imitation = _exported(
            IMITATION, train_imitation(dataset, folder / "run", seed=seed, reporter=reporter), reporter
        )
    with clock.stage("reinforcement learning"):
        learned = (imitation, _reinforce(folder, imitation, iterations, seed, reporter))
    with clock.stage("simulator"):
        in_sim = _evaluate_in_sim(variant, learned, max(sim_episodes, daemon_episodes), reporter)
    against_expert = _compare_with_expert(learned, in_sim)
    with clock.stage("film"):
        film, no_film = _film(against_expert[-1].heading, in_sim, variant.task, reporter)
    result = DemoResult(
        task=_TASK,
        variant=_VARIANT,
        instruction=variant.task.instruction,
        learned=learned,
        evaluations=tuple(in_sim),
        success=_success_words(variant.task),
        against_expert=against_expert,
        sim_and_daemon={},
        folder=folder,
        film=film,
        stages=clock.stages,
    )
    try:
        with clock.stage("daemon"):
            on_daemon = _evaluate_on_daemon(variant, learned, daemon_episodes, reporter, camera=film is not None)
        result = replace(result, evaluations=(*in_sim, *on_daemon), sim_and_daemon=_pair(learned, in_sim, on_daemon))
    except KeyboardInterrupt:  # of the robot; what was learned is worth its report without this
        reporter.note(f"stopped on the daemon; the report has what ran before: {result.report}")
        raise
    finally:
        _write_report(result, variant.task.tolerance, no_film)
    return replace(result, seconds=time.perf_counter() - clock.began)


def _fresh_folder(out: Path | None) -> Path:
    folder = out or Path("runs") / f"demo-{datetime.datetime.now():%Y-%m-%d-%H%M%S}"
    if folder.is_file() or (folder.exists() and contents(folder)):
        raise RefusedError(f"{folder} is not empty; the demo writes into a new folder. Choose another --out")
    check_folder(folder)
    return folder  # the recording makes it: where an extra is missing, nothing is left behind


def _record(folder: Path, variant: "Variant", episodes: int, seed: int, reporter: Reporter) -> Path:
    dataset = folder / "dataset"
    with open_session("sim", variant, camera=False) as session:
        record_episodes(
            session, variant, dataset, episodes=episodes, hz=_HZ, seed=seed, camera=False, reporter=reporter
        )
    return dataset


def _reinforce(folder: Path, start: LearnedPolicy, iterations: int, seed: int, reporter: Reporter) -> LearnedPolicy:
    settings = {"iterations": iterations, "eval_every": min(5, iterations)}
    run = train_rl(
        folder / "run_rl",
        task=_TASK,
        variant=_VARIANT,
        init=start.run.path,
        seed=seed,
        settings=settings,
        reporter=reporter,
    )
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
        seeds = evaluation_seeds(0, episodes)
        results = [evaluate_policy(argument, session, variant, seeds, label, reporter) for argument, label in policies]
    return [replace(result, policy=f"{result.policy}, sim") for result in results]


def _evaluate_on_daemon(
    variant: "Variant", learned: tuple[LearnedPolicy, ...], episodes: int, reporter: Reporter, *, camera: bool
) -> "list[Evaluation]":
    """Evaluate each policy on the daemon; empty where the robot's SDK is not installed.

    Without a camera the features come from the simulator's geometry instead of from the ball detector.
    """
    from reachy_kit.runtime.messages.installation import install_command
    from reachy_kit.runtime.robots.daemon import daemon_installed

    if not daemon_installed():
        reporter.note(
            f"the robot's SDK is not installed, so nothing runs on its daemon. Install it: {install_command(['robot'])}"
        )
        return []
    reporter.note("starting the robot's daemon with a simulated robot")
    seeds = evaluation_seeds(0, episodes)
    perception = "auto" if camera else "geometry"
    try:
        with stoppable_session("daemon", variant, perception, camera=camera, reporter=reporter) as session:
            results = [
                evaluate_policy(str(policy.bundle), session, variant, seeds, policy.label, reporter)
                for policy in learned
            ]
    except KitError as error:  # what was learned is worth its report without this
        reporter.note(f"nothing ran on the daemon: {error}")
        return []
    return [replace(result, policy=f"{result.policy}, daemon") for result in results]


def _compare_with_expert(
    learned: tuple[LearnedPolicy, ...], in_sim: "list[Evaluation]"
) -> "tuple[ExpertComparison, ...]":
    from reachy_policies.evaluation.expert_comparison import compare_with_expert

    expert, *learners = in_sim
    return tuple(
        compare_with_expert(policy.label, expert, learner) for policy, learner in zip(learned, learners, strict=True)
    )


def _pair(
    learned: tuple[LearnedPolicy, ...], in_sim: "list[Evaluation]", on_daemon: "list[Evaluation]"
) -> "dict[str, tuple[Evaluation, Evaluation]]":
    """The episodes that ran both in the simulator and on the daemon, by the policy's label."""
    return {
        policy.label: (replace(simulated, episodes=simulated.episodes[: len(daemon.episodes)]), daemon)
        for policy, simulated, daemon in zip(learned, in_sim[1:], on_daemon, strict=False)
    }


def _film(heading: str, in_sim: "list[Evaluation]", task: "Task", reporter: Reporter) -> "tuple[DemoFilm | None, str]":
    """Film; or None, and the reason in words."""
    try:
        return render_film(heading, in_sim, task, reporter), ""
    except KitError as error:  # nothing can be drawn on this computer
        reporter.note(f"the report has no film: {error}")
        return None, str(error)


def _success_words(task: "Task") -> str:
    """What counts as success, as a sentence."""
    error = task.spec.error
    total = task.hold_mode == "total"
    duration = f"{task.hold:g} of the {task.seconds:g} s" if total else f"{task.hold:g} s without a break"
    return (
        f"Success: the {error.name}, between the camera's axis and the ball, stays within "
        f"{error.text(task.tolerance, 0)} for {duration} of an episode."
    )


def _write_report(result: DemoResult, tolerance: float, no_film: str) -> None:
    from reachy_policies.evaluation.report.demo_report import DemoReport, write_demo_report
    from reachy_policies.evaluation.report.tables import difference_line

    report = DemoReport(
        instruction=result.instruction,
        runs=[policy.run for policy in result.learned],
        evaluations=list(result.evaluations),
        success=result.success,
        against_expert=list(result.against_expert),
        differences=[difference_line(*pair) for pair in result.sim_and_daemon.values()],
        film=result.film,
        no_film=no_film,
        tolerance=tolerance,
        stages=result.stages,
    )
    write_demo_report(result.report, report)
