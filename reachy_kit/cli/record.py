"""``reachy-kit record``: demonstrations into a LeRobot dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import PerceptionOption, RobotOption, Session, TaskOption, open_session
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.seeds import recording_seeds

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Policy, Subscriber
    from reachy_sim.tasks.variants import Variant


def record(
    out: Annotated[Path, typer.Option("--out", help="Folder of the dataset; an existing one is continued.")],
    task: TaskOption = "look_at",
    variant: Annotated[
        str, typer.Option("--variant", help="The task's variant: training, or one of those that eval lists.")
    ] = "training",
    robot: RobotOption = "sim",
    teleop: Annotated[str, typer.Option("--teleop", help="Who demonstrates: scripted.")] = "scripted",
    episodes: Annotated[
        int,
        typer.Option(
            "--episodes", min=1, max=len(recording_seeds(0)), help="Episodes that the dataset shall hold in the end."
        ),
    ] = 20,
    perception: PerceptionOption = "auto",
    camera: Annotated[bool, typer.Option("--camera", help="Keep the camera's frames in the dataset.")] = False,
    hz: Annotated[int, typer.Option("--hz", help="Decisions per second: 50, 25 or 10.")] = 25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other episodes.")] = 0,
    json: show.JsonOption = False,
) -> None:
    """Record demonstrations into a LeRobot dataset.

    Each episode is safe on disk before the next begins: after Ctrl-C or a crash the same command goes on.

    Example: reachy-kit record --robot sim --task look_at --episodes 20 --out data/look_at
    """
    from reachy_kit.runtime.interface import POLICY_RATES
    from reachy_sim.tasks import variant_by_name

    if teleop != "scripted":
        raise WrongUseError(f"--teleop {teleop} does not exist; there is scripted")
    if hz not in POLICY_RATES:
        raise WrongUseError(f"--hz {hz} does not fit; there are {', '.join(map(str, POLICY_RATES))}")
    chosen = variant_by_name(task, variant)
    with open_session(robot, chosen, perception, camera=camera or robot not in ("sim", "daemon")) as stage:
        total = record_episodes(stage, chosen, out, episodes=episodes, hz=hz, seed=seed, camera=camera)
    if json:
        show.print_json({"dataset": str(out), "episodes": total, "task": chosen.task.name, "robot": robot, "hz": hz})
    else:
        show.result(
            f"{total} episodes in {out}. Next: reachy-kit train imitation --dataset {out} --out runs/{out.name}"
        )


def record_episodes(
    stage: Session, variant: "Variant", out: Path, *, episodes: int, hz: int, seed: int, camera: bool
) -> int:
    """Record until the dataset holds that many episodes; returns how many it holds."""
    from importlib.metadata import version

    from reachy_kit.dataset.lerobot_writer import LeRobotWriter
    from reachy_kit.runtime.perception.features import units_of
    from reachy_kit.runtime.recording.layout import DatasetLayout
    from reachy_kit.runtime.recording.recorder import EpisodeRecorder
    from reachy_sim.tasks import single_expert_policy

    task = variant.task
    layout = DatasetLayout(
        task=task.name,
        instruction=task.instruction,
        environment_state=stage.perception.names,
        environment_state_units=units_of(stage.perception.names),
        policy_hz=hz,
        image_shape=stage.image_shape if camera else None,
        provenance={
            "robot": stage.robot.name,
            "teleop": "scripted",
            "variant": variant.name,
            "perception": stage.perception_name,
            "reachy-kit": version("reachy-kit"),
        },
    )
    with show.working("opening the dataset (LeRobot takes a while to load)"):
        recorder = EpisodeRecorder(LeRobotWriter(out, layout))
    if recorder.episodes >= episodes:
        show.note(f"{out} already holds {recorder.episodes} episodes")
    first = recorder.episodes
    with show.progress("recording", total=max(episodes, first), done=first) as advance:
        for episode_seed in recording_seeds(seed)[first:episodes]:
            # Each episode's teacher has a seed of its own: a continued recording equals one made in a single go.
            play_episode(stage, variant, single_expert_policy(task.name, hz, episode_seed), episode_seed, hz, recorder)
            advance()
    return recorder.episodes


def play_episode(
    stage: Session, variant: "Variant", policy: "Policy", seed: int, hz: int, subscriber: "Subscriber"
) -> None:
    """One whole episode of a task, with somebody listening."""
    from reachy_kit.runtime.rollout import rollout

    rollout(
        stage.robot,
        policy,
        seconds=variant.task.seconds,
        policy_hz=hz,
        seed=seed,
        perception=stage.perception,
        world=stage.world,
        subscribers=[subscriber],
    )
