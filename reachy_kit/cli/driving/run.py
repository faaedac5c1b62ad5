"""``reachy-kit run``: a bundle on a robot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import (
    JsonOption,
    MicrophoneOption,
    OperatorOption,
    PerceptionOption,
    RobotOption,
    TargetOption,
    TaskOption,
    expand_home,
    path_argument,
    path_option,
)
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.shell_command import compose_command

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
    teleop: Annotated[
        str,
        typer.Option(
            "--teleop",
            parser=expand_home,
            metavar="NAME[:ARGUMENT]",
            help="Device with which a person takes the robot over by the key c, and hands it back; with --out.",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        path_option("--out", help="For --teleop: dataset of the corrected episodes; an existing one is continued."),
    ] = None,
    operator: OperatorOption = "",
    telemetry: Annotated[
        Path | None,
        path_option(
            "--telemetry",
            metavar="FILE.jsonl",
            help="Append a line of JSON to this file each second: the loop's times, ages, the limiter's interventions.",
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics",
            metavar="[HOST:]PORT",
            help="Publish the same at this port, for Prometheus and for top; on this computer alone without HOST.",
        ),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Run a bundle on a robot; it goes to neutral first and lies down at the end.

    Example: reachy-kit run look_at.bundle --robot daemon --episodes 3

    Example: reachy-kit run look_at.bundle --telemetry run.jsonl --metrics 9100

    Example: reachy-kit run track.bundle --robot sim --teleop keyboard --out data/corrections --episodes 10
    """
    from reachy_kit.workflows.run import run_bundle

    if bool(teleop) != bool(out):
        raise WrongUseError("--teleop and --out belong together: what a person corrects is recorded")
    if out:
        if not camera or microphone or telemetry or metrics:
            unusable = "--no-camera, --microphone, --telemetry and --metrics"
            raise WrongUseError(f"{unusable} do not work with --teleop: leave them out")
        _correct(
            bundle, out, teleop=teleop, robot=robot, task=task, episodes=episodes, seconds=seconds,
            perception=perception, target=target, seed=seed, operator=operator, json=json,
        )  # fmt: skip
        return

    result = run_bundle(
        bundle, robot=robot, task=task, episodes=episodes, seconds=seconds, perception=perception, target=target,
        camera=camera, microphone=microphone, seed=seed, telemetry=telemetry, metrics=metrics, reporter=show.TERMINAL,
    )  # fmt: skip
    _show(result, json=json)


def _correct(bundle: Path, out: Path, *, json: bool, **arguments: Any) -> None:
    """Let a person correct the bundle, and show what was recorded."""
    from reachy_kit.cli.reporting.recording_screen import TerminalScreen
    from reachy_kit.workflows.recording.policy_correction import correct_bundle

    recorded = correct_bundle(bundle, out, **arguments, screen=TerminalScreen(), reporter=show.TERMINAL)
    if json:
        show.print_json(
            {
                "dataset": str(out),
                "episodes": recorded.episodes,
                "frames": recorded.frames,
            }
        )
        return
    show.result(
        f"{recorded.episodes} corrected episodes in {out}; the person drove in {recorded.frames} frames. "
        "Next, with the demonstrations that the policy has learned from: "
        + compose_command(
            "train imitation --dataset DEMONSTRATIONS", dataset=out, out=free_path(Path("runs", out.resolve().name))
        )
    )


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
                "calmness": run.calmness and run.calmness.summary(),
                "detection": run.detection and run.detection.summary(),
                "inference": run.inference and run.inference.summary(),
                "rate": rate and rate.summary(),
            }
        )
        return
    for episode in run.episodes:
        outcome = "" if episode.success is None else f": {'success' if episode.success else 'no success'}"
        if error and episode.task_error is not None:
            outcome += f", {error.name} {error.text(episode.task_error)}"
        show.result(f"episode {episode.seed}{outcome}")
    for line in (run.calmness, run.detection, run.inference):
        if line:
            show.result(line.text())
    if rate:
        show.result(rate.text())
