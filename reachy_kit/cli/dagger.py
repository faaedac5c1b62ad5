"""``reachy-kit train imitation --dagger``: rounds of driving, being corrected and fitting anew."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.cli import show
from reachy_kit.cli.record import play_episode
from reachy_kit.cli.robots import Session, open_session
from reachy_kit.cli.train import prepare, train_imitation
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.recording.layout import DatasetLayout, read_layout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.seeds import VALIDATION_SEEDS, dagger_seeds

if TYPE_CHECKING:
    from reachy_policies.imitation.dagger import Corrected
    from reachy_policies.runs.run import Run
    from reachy_sim.tasks.variants import Variant

JUDGED_EPISODES = 100


def train_dagger(
    dataset: Path,
    out: Path,
    *,
    rounds: int,
    episodes: int,
    task: str = "",
    policy: str = "chunk",
    seed: int = 0,
    fresh: bool = False,
    settings: dict[str, Any],
) -> "Run":
    """Imitate, then let the teacher correct what the policy does, fit anew, and keep the best round.

    All rounds lie in the folder ``OUT.dagger``, with the growing dataset; what is there is not done again.

    Raises:
        WrongUseError: the dataset is of no task that can be simulated, or holds pictures.
        RefusedError: the folder holds rounds of something else.
    """
    from reachy_sim.tasks import variant_by_name

    layout = read_layout(dataset)
    if layout.image_shape is not None:
        raise WrongUseError(
            f"{dataset} holds pictures; --dagger works on features alone. Record without --camera for it"
        )
    if "variant" not in layout.provenance:
        raise WrongUseError(f"{dataset} does not say in which variant it was recorded. Record it again with this kit")
    variant = variant_by_name(task or layout.task, layout.provenance["variant"])
    if variant.task.name != layout.task:
        raise WrongUseError(f"{dataset} was recorded for {layout.task}, not for {variant.task.name}")
    with show.working("loading torch and LeRobot"):
        from reachy_policies.imitation.dagger import save_rounds
        from reachy_policies.runs.run import dataset_digest, open_run
    prepare(out, fresh=fresh)
    rest = out.with_name(f"{out.name}.dagger")
    asked = {
        "dataset_sha256": dataset_digest(dataset),
        "policy": policy,
        "seed": seed,
        "episodes": episodes,
        **settings,
    }
    grown = _begin(rest, dataset, asked, fresh=fresh)
    start = json.loads((dataset / "meta" / "info.json").read_text())["total_episodes"]
    error = variant.task.spec.error
    runs: list[Run] = []
    told: list[Corrected] = []
    for index in range(rounds + 1):
        folder = rest / f"round-{index}"
        if index:
            _drive(runs[-1], grown, layout, variant, start + index * episodes, start, seed)
        if (folder / "card.json").is_file():
            runs.append(open_run(folder))
        else:
            runs.append(train_imitation(grown, folder, policy=policy, seed=seed, settings=dict(settings)))
        told.append(_judged(index, runs[-1], variant))
        one = told[-1]
        score = f"success {100 * one.success:.0f} %, {error.name} {error.text(one.error)}"
        show.note(f"round {index}: {one.episodes} episodes, {score}")
    return save_rounds(out, runs, told, error)


def _begin(rest: Path, dataset: Path, asked: dict[str, Any], *, fresh: bool) -> Path:
    """The dataset that grows: a copy, because what a pupil recorded is never altered unasked.

    Raises:
        RefusedError: the folder holds other rounds, or something that is none.
    """
    grown, note, copying = rest / "dataset", rest / "dagger.json", rest / "dataset.copying"
    if note.is_file() and fresh:
        shutil.rmtree(rest)
    if note.is_file():
        before = json.loads(note.read_text())
        other = sorted(name for name in before | asked if before.get(name) != asked.get(name))
        if other:
            raise RefusedError(f"{rest} holds rounds with another {', '.join(other)}. Choose another --out, or --fresh")
    elif rest.is_file() or (rest.is_dir() and {path.name for path in rest.iterdir()} - {copying.name}):
        raise RefusedError(f"{rest} holds something that is no rounds of --dagger. Choose another --out")
    else:
        shutil.rmtree(copying, ignore_errors=True)  # one that was cut short
        rest.mkdir(parents=True, exist_ok=True)
        shutil.copytree(dataset, copying / "dataset")
        (copying / note.name).write_text(json.dumps(asked))
        (copying / note.name).rename(note)
    if not grown.exists():
        (copying / "dataset").rename(grown)
    shutil.rmtree(copying, ignore_errors=True)
    return grown


def _drive(
    run: "Run", grown: Path, layout: DatasetLayout, variant: "Variant", wanted: int, start: int, seed: int
) -> None:
    """Let the policy drive until the dataset holds ``wanted`` episodes, with the teacher's answers."""
    from reachy_policies.imitation.dagger import Corrections
    from reachy_sim.tasks import single_expert_policy

    with show.working("opening the dataset"):
        recorder = EpisodeRecorder(LeRobotWriter(grown, layout))
    first = recorder.episodes
    if first >= wanted:
        return
    task, hz = variant.task.name, layout.policy_hz
    perception = layout.provenance.get("perception", "geometry")
    with open_session("sim", variant, perception, camera=False) as stage:
        _require_features(stage, layout)
        corrections = Corrections(
            recorder, lambda seed: single_expert_policy(task, hz, seed), hz, stage.robot.control_hz
        )
        with show.progress("being corrected", total=wanted, done=first) as advance:
            for episode_seed in dagger_seeds(seed)[first - start : wanted - start]:
                play_episode(stage, variant, run.policy(), episode_seed, hz, corrections)
                advance()


def _require_features(stage: Session, layout: DatasetLayout) -> None:
    here, there = ", ".join(stage.perception.names), ", ".join(layout.environment_state)
    if here != there:
        raise RefusedError(f"the dataset holds {there}; here there is {here}. Record it again with this kit")


def _judged(index: int, run: "Run", variant: "Variant") -> "Corrected":
    from reachy_kit.cli.simulated import make_envs
    from reachy_policies.evaluation.groups import batch_policy
    from reachy_policies.imitation.dagger import Corrected
    from reachy_policies.rollouts.episode_batch import play

    task, hz = variant.task.name, run.card.policy_hz
    envs = make_envs(task, JUDGED_EPISODES, tier="kinematic", variant=variant.name, policy_hz=hz)
    try:
        played = play(envs, batch_policy(run), VALIDATION_SEEDS.start)
    finally:
        envs.close()
    error = float(played.mean_error.mean())
    return Corrected(index, run.card.episodes, float(played.success.mean()), error, run.card.seconds)
