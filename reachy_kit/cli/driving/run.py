"""``reachy-kit run``: a bundle on a robot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import (
    JsonOption,
    MicrophoneOption,
    PerceptionOption,
    RobotOption,
    TargetOption,
    TaskOption,
    path_argument,
)
from reachy_kit.runtime.perception.targets.target_registry import BALL

if TYPE_CHECKING:
    from reachy_kit.workflows.run import BundleRun


def run(
    bundle: Annotated[Path, path_argument(metavar="FILE.bundle", help="The bundle, or its unpacked folder.")],
    robot: RobotOption = "daemon",
    task: TaskOption = "",
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="Number of episodes, one after another.")] = 1,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0.1, help="Length of an episode; the task's own if not given, 10 on hardware."),
    ] = None,
    perception: PerceptionOption = "auto",
    camera: Annotated[
        bool,
        typer.Option(
            "--camera/--no-camera",
            help="Without the camera the policy receives no target: that tests the motors alone.",
        ),
    ] = True,
    target: TargetOption = BALL,
    microphone: MicrophoneOption = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first initial state in a simulation.")] = 0,
    json: JsonOption = False,
) -> None:
    """Run a bundle on a robot; it goes to neutral first and lies down at the end.

    Example: reachy-kit run look_at.bundle --robot daemon --episodes 3
    """
    from reachy_kit.workflows.run import run_bundle

    result = run_bundle(
        bundle, robot=robot, task=task, episodes=episodes, seconds=seconds, perception=perception, target=target,
        camera=camera, microphone=microphone, seed=seed, reporter=show.TERMINAL,
    )  # fmt: skip
    _show(result, json=json)


def _show(run: "BundleRun", *, json: bool) -> None:
    error, rate = run.error, run.rate
    if json:
        show.print_json(
            {
                "bundle": str(run.bundle),
                "robot": run.robot,
                "successes": [episode.success for episode in run.episodes],
                "error": error
                and {
                    "name": error.name,
                    "unit": error.unit,
                    "episodes": [
                        None if episode.task_error is None else round(error.scale * episode.task_error, 3)
                        for episode in run.episodes
                    ],
                },
                "rate": rate and rate.summary(),
            }
        )
        return
    for episode in run.episodes:
        outcome = "" if episode.success is None else f": {'success' if episode.success else 'no success'}"
        if error and episode.task_error is not None:
            outcome += f", {error.name} {error.text(episode.task_error)}"
        show.result(f"episode {episode.seed}{outcome}")
    if rate:
        show.result(rate.text())
