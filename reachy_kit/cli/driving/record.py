"""``reachy-kit record``: demonstrations into a LeRobot dataset."""

from pathlib import Path
from typing import Annotated

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
    TeleopOption,
    path_option,
)
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.seeds import recording_seeds
from reachy_kit.runtime.shell_command import compose_command


def record(
    out: Annotated[Path, path_option("--out", help="Folder of the dataset; an existing one is continued.")],
    task: TaskOption = "look_at",
    variant: Annotated[
        str, typer.Option("--variant", help="The task's variant: training, or a held-out one.")
    ] = "training",
    robot: RobotOption = "sim",
    teleop: TeleopOption = "scripted",
    episodes: Annotated[
        int,
        typer.Option(
            "--episodes",
            min=1,
            max=len(recording_seeds(0)),
            help="Number of episodes that the dataset holds in the end.",
        ),
    ] = 20,
    perception: PerceptionOption = "auto",
    target: TargetOption = BALL,
    camera: Annotated[bool, typer.Option("--camera", help="Store the camera's images in the dataset.")] = False,
    hz: Annotated[int, typer.Option("--hz", help="Decisions per second: 50, 25 or 10.")] = 25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the episodes.")] = 0,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.5, help="Length of a person's take; without it a key ends it.")
    ] = None,
    operator: OperatorOption = "",
    instruction: Annotated[
        list[str] | None,
        typer.Option("--instruction", help="The task in words. Given repeatedly, a key takes the next one."),
    ] = None,
    audio: Annotated[
        str,
        typer.Option(
            "--audio",
            metavar="off|features|raw",
            help="What is kept of the sound: nothing, and the microphone stays closed; features such as direction and "
            "beat; or also the sound itself.",
        ),
    ] = "off",
    microphone: MicrophoneOption = "",
    on_robot: Annotated[
        str | None,
        typer.Option(
            "--on-robot",
            metavar="[USER@]HOST[:PORT]",
            help="Record on the robot's own computer, over SSH: the Wi-Fi may drop out. The daemon's port there, if "
            "it is another one: --robot localhost:PORT.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Record demonstrations into a LeRobot dataset: a script's, or a person's with a device.

    Each episode is safe on disk before the next begins: after Ctrl-C or a crash the same command continues.

    Example: reachy-kit record --robot sim --task look_at --episodes 20 --out data/look_at
    """
    from reachy_kit.cli.reporting.login_prompts import TerminalPrompts
    from reachy_kit.cli.reporting.recording_screen import TerminalScreen
    from reachy_kit.workflows import record as workflow

    recorded = workflow.record(
        out, task=task, variant=variant, robot=robot, teleop=teleop, episodes=episodes, perception=perception,
        target=target, camera=camera, hz=hz, seed=seed, seconds=seconds, operator=operator,
        instructions=instruction or [], audio=audio, microphone=microphone, on_robot=on_robot,
        prompts=TerminalPrompts(), screen=TerminalScreen(), reporter=show.TERMINAL,
    )  # fmt: skip
    if json:
        show.print_json(
            {
                "dataset": str(out),
                "episodes": recorded.episodes,
                "task": recorded.task,
                "robot": recorded.robot,
                "hz": recorded.hz,
            }
        )
    else:
        show.result(f"{recorded.episodes} episodes in {out}. Check them: {compose_command('dataset check', out)}")
        show.result(
            "Next: " + compose_command("train imitation", dataset=out, out=free_path(Path("runs", out.resolve().name)))
        )
