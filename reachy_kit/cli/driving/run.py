"""``reachy-kit run``: a bundle or behaviours on a robot."""

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
    SpeakerOption,
    TargetOption,
    TaskOption,
    expand_home,
    path_option,
)
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_kit.workflows.run import RobotRun


def run(
    drivers: Annotated[
        list[str] | None,
        typer.Argument(
            parser=expand_home,
            metavar="FILE.bundle|BEHAVIOUR...",
            show_default=False,
            help="A bundle or its unpacked folder, or behaviours, the highest priority first: --list shows them.",
        ),
    ] = None,
    robot: RobotOption = "daemon",
    task: TaskOption = "",
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="Number of episodes, one after another.")] = 1,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            min=0.1,
            help="Length of an episode. If not given: of a bundle the task's own, 10 on hardware; behaviours run until "
            "Ctrl-C, on sim for 20.",
        ),
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
    speaker: SpeakerOption = "",
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
            help="Publish the same at this port, for Prometheus and for top; POST /stop there stops the run. Without "
            "HOST on this computer alone.",
        ),
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the behaviours, one line each, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Run a bundle or behaviours on a robot; it goes to neutral first and lies down at the end.

    Of several behaviours the first that has something to do drives; a bundle may be among them.

    Example: reachy-kit run look_at.bundle --robot daemon --episodes 3

    Example: reachy-kit run track idle --robot daemon

    Example: reachy-kit run look_at.bundle --telemetry run.jsonl --metrics 9100

    Example: reachy-kit run track.bundle --robot sim --teleop keyboard --out data/corrections --episodes 10
    """
    if listed:
        _list(json=json)
        return
    from reachy_kit.runtime.behaviours.behaviour_registry import is_behaviour

    given = drivers or []
    if bool(teleop) != bool(out):
        raise WrongUseError("--teleop and --out belong together: what a person corrects is recorded")
    if out:
        if not camera or microphone or speaker or telemetry or metrics:
            unusable = "--no-camera, --microphone, --speaker, --telemetry and --metrics"
            raise WrongUseError(f"{unusable} do not work with --teleop: leave them out")
        if len(given) != 1 or is_behaviour(given[0]):
            raise WrongUseError("--teleop corrects one bundle: name it, and nothing else")
        _correct(
            Path(given[0]), out, teleop=teleop, robot=robot, task=task, episodes=episodes, seconds=seconds,
            perception=perception, target=target, seed=seed, operator=operator, json=json,
        )  # fmt: skip
        return

    from reachy_kit.workflows import run as workflow

    result = workflow.run(
        given, robot=robot, task=task, episodes=episodes, seconds=seconds, perception=perception, target=target,
        camera=camera, microphone=microphone, speaker=speaker, seed=seed, telemetry=telemetry, metrics=metrics,
        reporter=show.TERMINAL,
    )  # fmt: skip
    _show(result, json=json)
    if result.stopped_by is not None:
        raise typer.Exit(128 + result.stopped_by)


def _list(*, json: bool) -> None:
    """Show every behaviour that can be loaded, one line each."""
    from reachy_kit.runtime.behaviours.behaviour_registry import known_behaviours

    known = list(known_behaviours())
    if json:
        show.print_json(
            {named.name: {"argument": named.kind.argument, "summary": named.kind.summary} for named in known}
        )
        return
    usages = [f"{named.name}[:{named.kind.argument}]" if named.kind.argument else named.name for named in known]
    for usage, named in zip(usages, known, strict=True):
        show.result(f"{usage:{max(map(len, usages))}}  {named.kind.summary}")


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


def _show(run: "RobotRun", *, json: bool) -> None:
    error, rate = run.error, run.rate
    if json:
        show.print_json(
            {
                "drivers": list(run.given),
                "robot": run.robot,
                "successes": [None if run.shares else episode.success for episode in run.episodes],
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
                "shares": {name: round(share, 4) for name, share in run.shares.items()},
                "hand_overs": run.hand_overs,
                "rate": rate and rate.summary(),
            }
        )
        return
    for episode in run.episodes if not run.shares else ():  # behaviours have no task to succeed in
        outcome = "" if episode.success is None else f": {'success' if episode.success else 'no success'}"
        if error and episode.task_error is not None:
            outcome += f", {error.name} {error.text(episode.task_error)}"
        show.result(f"episode {episode.seed}{outcome}")
    if run.shares:
        drove = ", ".join(f"{name} {100 * share:.0f} %" for name, share in run.shares.items())
        show.result(f"who drove: {drove}; hand-overs: {run.hand_overs}")
    for line in (run.calmness, run.detection, run.inference):
        if line:
            show.result(line.text())
    if rate:
        show.result(rate.text())
