"""``reachy-kit record``: demonstrations into a LeRobot dataset."""

from pathlib import Path

from reachy_kit.cli import show
from reachy_kit.cli.driving.record_options import (
    AudioOption,
    CameraOption,
    EpisodesOption,
    InstructionsOption,
    OnRobotOption,
    OutOption,
    RateOption,
    SecondsOption,
    SeedOption,
    VariantOption,
)
from reachy_kit.cli.options import (
    JsonOption,
    MicrophoneOption,
    OperatorOption,
    PerceptionOption,
    RobotOption,
    TargetOption,
    TaskOption,
    TeleopOption,
)
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.shell_command import compose_command


def record(
    out: OutOption,
    task: TaskOption = "look_at",
    variant: VariantOption = "training",
    robot: RobotOption = "sim",
    teleop: TeleopOption = "scripted",
    episodes: EpisodesOption = 20,
    perception: PerceptionOption = "auto",
    target: TargetOption = BALL,
    camera: CameraOption = False,
    hz: RateOption = 25,
    seed: SeedOption = 0,
    seconds: SecondsOption = None,
    operator: OperatorOption = "",
    instruction: InstructionsOption = None,
    audio: AudioOption = "off",
    microphone: MicrophoneOption = "",
    on_robot: OnRobotOption = None,
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
