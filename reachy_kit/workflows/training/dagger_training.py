"""DAgger: iterations in which the policy acts, the scripted expert corrects it, and it is fitted again.

Try it: reachy-kit train imitation --dataset data/track --dagger 3 --out runs/track_dagger
"""

import contextlib
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_training
from reachy_kit.dataset.recording_folder import not_recorded
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.redo_log import STAGING
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, SessionScreen
from reachy_kit.runtime.seeds import VALIDATION_SEEDS, dagger_seeds, unused_seeds
from reachy_kit.workflows.inputs.guarded_session import guard, run_episode
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import Session, open_session
from reachy_kit.workflows.inputs.sim_envs import make_envs
from reachy_kit.workflows.recording.person_recording import record_by_hand
from reachy_kit.workflows.recording.recording_plan import RecordingPlan
from reachy_kit.workflows.training.train_imitation import train_imitation

if TYPE_CHECKING:
    from reachy_policies.imitation.dagger import DaggerIteration
    from reachy_policies.runs.saved_run import Run
    from reachy_sim.tasks.variants import Variant

EVAL_EPISODES = 100
"""Episodes that each iteration is evaluated on."""


@dataclass(frozen=True)
class CorrectingPerson:
    """A person who takes over where the policy goes wrong, in place of the expert."""

    teleop: str
    """The person's device, ``NAME`` or ``NAME:ARGUMENT``."""
    operator: str = ""
    """The person's pseudonym."""
    screen: SessionScreen = NO_SCREEN
    """Shows the session."""


def train_dagger(
    dataset: Path,
    out: Path,
    *,
    iterations: int,
    episodes: int,
    task: str = "",
    person: CorrectingPerson | None = None,
    policy: str = "chunk",
    seed: int = 0,
    fresh: bool = False,
    settings: dict[str, Any] | None = None,
    reporter: Reporter = SILENT,
) -> "Run":
    """Imitate, then let the expert or a person correct what the policy does, fit again, and keep the best iteration.

    The folder ``OUT.dagger`` holds all iterations and the growing copy of the dataset; finished ones are not repeated.

    Args:
        dataset: folder of the demonstrations; it is not changed.
        out: folder of the run.
        iterations: of correction; the imitation before them is not counted.
        episodes: corrected episodes that each iteration adds.
        task: file of the dataset's task, if it is in one.
        person: who corrects the policy; None for the expert.
        policy: ``chunk``, or the name of a policy of LeRobot's.
        seed: of the episodes and of the fits.
        fresh: discard the iterations that exist.
        settings: of the fits, by name.
        reporter: shows the progress, and a note for each iteration.

    Returns:
        The run of the best iteration.

    Raises:
        WrongUseError: the dataset's task cannot be simulated, or it holds images.
        RefusedError: the folder holds iterations of another training.
        KitError: training diverges, or the run cannot be written.
    """
    demonstrations, variant = _correctable(dataset, task)
    with reporter.working("loading torch and LeRobot"):
        from reachy_policies.imitation.dagger import save_dagger
        from reachy_policies.runs.run_folder import prepare_run_folder
        from reachy_policies.runs.saved_run import dataset_digest
    prepare_run_folder(out, fresh=fresh, note=reporter.note)
    given = dict(settings or {})
    identity = {
        "dataset_sha256": dataset_digest(dataset), "policy": policy, "seed": seed, "episodes": episodes,
        **({"teleop": person.teleop} if person else {}), **given,
    }  # fmt: skip
    folder = out.with_name(f"{out.name}.dagger")
    grown = _copy_once(folder, dataset, identity, fresh=fresh)
    layout, start = demonstrations.layout, len(demonstrations.episodes)
    growth: _Growth = _ExpertGrowth(grown, layout, variant, seed, reporter)
    if person:
        growth = _PersonGrowth(grown, layout, variant, seed, reporter, person)
    error = variant.task.spec.error
    runs: list[Run] = []
    table: list[DaggerIteration] = []
    for index in range(iterations + 1):
        if index:
            growth.correct(runs[-1], start + index * episodes)
        runs.append(_fit_once(folder / f"iteration-{index}", grown, policy, seed, given, reporter))
        table.append(_evaluate(index, runs[-1], variant))
        score = f"success {100 * table[-1].success:.0f} %, {error.name} {error.text(table[-1].error)}"
        reporter.note(f"iteration {index}: {table[-1].episodes} episodes, {score}")
    return save_dagger(out, runs, table, error)


def _correctable(dataset: Path, task: str) -> "tuple[StoredDataset, Variant]":
    """A dataset whose task can be simulated, and its variant."""
    from reachy_sim.tasks import variant_by_name

    demonstrations = open_for_training(dataset)
    layout = demonstrations.layout
    if layout.image_shape is not None:
        raise WrongUseError(f"{dataset} holds images; --dagger works on features alone. Record without --camera for it")
    if "variant" not in layout.provenance:
        raise WrongUseError(f"{dataset} does not say in which variant it was recorded. Record it again with this kit")
    variant = variant_by_name(task or layout.task, layout.provenance["variant"])
    if variant.task.name != layout.task:
        raise WrongUseError(f"{dataset} was recorded for {layout.task}, not for {variant.task.name}: leave out --task")
    return demonstrations, variant


def _copy_once(folder: Path, dataset: Path, identity: Mapping[str, Any], *, fresh: bool) -> Path:
    """The dataset to extend: a copy, because recorded demonstrations are never changed unasked.

    Raises:
        RefusedError: the folder holds iterations of another training, or something else.
    """
    grown, settings, copying = folder / "dataset", folder / "dagger.json", folder / "dataset.copying"
    if settings.is_file() and fresh:
        shutil.rmtree(folder)
    if settings.is_file():
        before = json.loads(settings.read_text())
        other = sorted(name for name in before | dict(identity) if before.get(name) != identity.get(name))
        if other:
            raise RefusedError(
                f"{folder} holds iterations with another {', '.join(other)}. Choose another --out, or --fresh"
            )
    elif folder.is_file() or (folder.is_dir() and {path.name for path in contents(folder)} - {copying.name}):
        raise RefusedError(f"{folder} holds something other than iterations of --dagger. Choose another --out")
    else:
        shutil.rmtree(copying, ignore_errors=True)  # a copy that was cut short
        folder.mkdir(parents=True, exist_ok=True)
        with not_recorded(dataset):  # an episode saved meanwhile would be copied by half
            shutil.copytree(dataset, copying / "dataset", ignore=shutil.ignore_patterns(STAGING.name))
        (copying / settings.name).write_text(json.dumps(identity))
        (copying / settings.name).rename(settings)
    if not grown.exists():
        (copying / "dataset").rename(grown)
    shutil.rmtree(copying, ignore_errors=True)
    return grown


def _fit_once(
    folder: Path, dataset: Path, policy: str, seed: int, settings: dict[str, Any], reporter: Reporter
) -> "Run":
    """The run of an iteration, trained unless it exists already."""
    from reachy_policies.runs.run_files import is_run
    from reachy_policies.runs.saved_run import open_run

    if is_run(folder):
        return open_run(folder)
    return train_imitation(dataset, folder, policy=policy, seed=seed, settings=settings, reporter=reporter)


@dataclass(frozen=True)
class _Growth(ABC):
    """The dataset that grows by corrected episodes."""

    dataset: Path
    layout: DatasetLayout
    variant: "Variant"
    seed: int
    reporter: Reporter

    @abstractmethod
    def correct(self, run: "Run", wanted: int) -> None:
        """Let the policy act, and have it corrected, until the dataset holds ``wanted`` episodes."""


@dataclass(frozen=True)
class _PersonGrowth(_Growth):
    """Corrections of a person."""

    person: CorrectingPerson

    def correct(self, run: "Run", wanted: int) -> None:
        """Record takes that the policy drives and the person corrects.

        Raises:
            RefusedError: the person ended the session before.
        """
        from reachy_policies.runs.policy_loader import single_policy

        plan = RecordingPlan(
            self.dataset, self.variant, teleop=self.person.teleop, episodes=wanted,
            perception=self.layout.provenance.get("perception", "geometry"), hz=self.layout.policy_hz, seed=self.seed,
            operator=self.person.operator, instructions=[self.layout.instruction],
        )  # fmt: skip
        stored = record_by_hand(
            plan, policy=lambda names: single_policy(run), screen=self.person.screen, reporter=self.reporter
        )
        if stored < wanted:
            raise RefusedError(
                f"{wanted - stored} corrected episodes are missing in {self.dataset}. Give the same command again to "
                "continue"
            )


@dataclass(frozen=True)
class _ExpertGrowth(_Growth):
    """Corrections of the task's expert, who answers every step."""

    def correct(self, run: "Run", wanted: int) -> None:
        """Let the policy act, with the expert's answers as actions."""
        from reachy_policies.imitation.dagger import ExpertRelabeler
        from reachy_policies.runs.policy_loader import single_policy
        from reachy_sim.tasks import single_expert_policy

        with self.reporter.working("opening the dataset"):
            writer = LeRobotWriter(self.dataset, self.layout)
        task, hz = self.variant.task.name, self.layout.policy_hz
        perception = self.layout.provenance.get("perception", "geometry")
        with contextlib.ExitStack() as stack:
            stack.enter_context(writer)
            first = writer.episodes
            if first >= wanted:
                return
            session = stack.enter_context(open_session("sim", self.variant, perception, camera=False))
            self._require_features(session)
            corrections = ExpertRelabeler(
                EpisodeRecorder(writer), lambda seed: single_expert_policy(task, hz, seed), hz, session.robot.control_hz
            )
            with self.reporter.progress("correcting", total=wanted, done=first) as advance:
                for episode_seed in unused_seeds(dagger_seeds(self.seed), writer.seeds)[: wanted - first]:
                    guarded = guard(single_policy(run), session)
                    run_episode(session, self.variant, guarded, episode_seed, hz, corrections)
                    advance()

    def _require_features(self, session: Session) -> None:
        sensed, recorded = ", ".join(session.perception.names), ", ".join(self.layout.environment_state)
        if sensed != recorded:
            raise RefusedError(
                f"the dataset holds {recorded}; perception yields {sensed}. Record it again with this kit"
            )


def _evaluate(index: int, run: "Run", variant: "Variant") -> "DaggerIteration":
    """Evaluate an iteration; the episodes are the same for each."""
    from reachy_policies.imitation.dagger import DaggerIteration
    from reachy_policies.rollouts.episode_batch import run_episodes
    from reachy_policies.runs.policy_loader import batch_policy

    envs = make_envs(
        variant.task.name, EVAL_EPISODES, tier="kinematic", variant=variant.name, policy_hz=run.card.policy_hz
    )
    try:
        batch = run_episodes(envs, batch_policy(run), VALIDATION_SEEDS.start)
    finally:
        envs.close()
    success, error = float(batch.success.mean()), float(batch.mean_error.mean())
    return DaggerIteration(index, run.card.episodes, success, error, run.card.seconds)
