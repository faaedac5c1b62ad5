"""``reachy-kit run``: a bundle on a robot. Loads onnxruntime; never torch or LeRobot, and MuJoCo only to simulate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import PerceptionOption, RobotOption, TaskOption, open_session
from reachy_kit.runtime.errors import WrongUseError

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Episode, TaskError
    from reachy_sim.tasks.variants import Variant


def run(
    bundle: Annotated[Path, typer.Argument(metavar="FILE.bundle", help="The bundle, or its unpacked folder.")],
    robot: RobotOption = "daemon",
    task: TaskOption = "",
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="How often.")] = 1,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", min=0.1, help="How long each lasts; the task's own length if not given, 10 on hardware."
        ),
    ] = None,
    perception: PerceptionOption = "auto",
    camera: Annotated[
        bool,
        typer.Option("--camera/--no-camera", help="Without the camera the robot runs blind: a dry run of the motors."),
    ] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="First initial state in a simulation.")] = 0,
    json: show.JsonOption = False,
) -> None:
    """Run a bundle on a robot; it goes to neutral first and lies down at the end.

    Example: reachy-kit run look_at.bundle --robot daemon --episodes 3
    """
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_kit.runtime.inference.onnx_policy import image_size, load_policy
    from reachy_kit.runtime.rollout import rollout

    opened = read_bundle(bundle)
    graph = opened.manifest.graphs[0]
    looks = image_size(opened) is not None
    if looks and not camera:
        raise WrongUseError(f"{bundle.name} looks at pictures: leave out --no-camera")
    variant = _variant(robot, task, opened.manifest.task)
    length = seconds or (variant.task.seconds if variant else 10.0)
    done: list[Episode] = []
    features, limits = opened.manifest.environment_state or None, opened.manifest.limits_profile
    streams = camera and (looks or robot != "sim")
    with open_session(robot, variant, perception, features=features, camera=streams, limits=limits) as stage:
        policy = load_policy(opened, stage.perception.names)
        with show.progress(f"{bundle.name} on {stage.robot.name}", total=episodes) as advance:
            for index in range(seed, seed + episodes):
                done.append(
                    rollout(
                        stage.robot,
                        policy,
                        seconds=length,
                        policy_hz=graph.hz,
                        seed=index,
                        perception=stage.perception,
                        world=stage.world,
                    )
                )
                advance()
    _report(done, str(bundle), robot, variant.task.spec.error if variant else None, json)


def _variant(robot: str, task: str, name: str) -> "Variant | None":
    """Simulations need the world of the bundle's task; hardware has its own.

    Raises:
        WrongUseError: the task does not exist, or is not the bundle's.
    """
    if robot not in ("sim", "daemon"):
        return None
    from reachy_sim.tasks import variant_by_name

    variant = variant_by_name(task or name)
    if variant.task.name != name:
        raise WrongUseError(f"the bundle was made for {name}, not for {variant.task.name}")
    return variant


def _report(done: "list[Episode]", bundle: str, robot: str, error: "TaskError | None", json: bool) -> None:
    import numpy as np

    periods = np.concatenate([episode.periods for episode in done]) * 1e3
    p50, p99 = np.percentile(periods, [50, 99])
    if json:
        show.print_json(
            {
                "bundle": bundle,
                "robot": robot,
                "successes": [one.success for one in done],
                "error": error
                and {
                    "name": error.name,
                    "unit": error.unit,
                    "episodes": [
                        None if episode.task_error is None else round(error.scale * episode.task_error, 3)
                        for episode in done
                    ],
                },
                "period_ms": {"p50": round(p50, 3), "p99": round(p99, 3)},
            }
        )
        return
    for episode in done:
        outcome = "" if episode.success is None else f": {'success' if episode.success else 'no success'}"
        if error and episode.task_error is not None:
            outcome += f", {error.name} {error.text(episode.task_error)}"
        show.result(f"episode {episode.seed}{outcome}")
    show.result(f"loop period p50 {p50:.1f} ms, p99 {p99:.1f} ms")
