"""``reachy-kit run``: a bundle or behaviours on a robot."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reachy_kit.cli import show
from reachy_kit.cli.driving.run_options import (
    CameraOption,
    CorrectionDeviceOption,
    CorrectionsOption,
    DriversArgument,
    EpisodesOption,
    ListOption,
    MetricsOption,
    SecondsOption,
    TelemetryOption,
)
from reachy_kit.cli.options import (
    FirstStateSeedOption,
    JsonOption,
    MicrophoneOption,
    OperatorOption,
    PerceptionOption,
    RobotOption,
    SpeakerOption,
    TargetOption,
    TaskOption,
)
from reachy_kit.cli.reporting.run_output import show_behaviours, show_corrections, show_run
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import BALL

if TYPE_CHECKING:
    from reachy_kit.workflows.driving.run_plan import RunSettings
    from reachy_kit.workflows.recording.policy_correction import Corrections


def run(
    drivers: DriversArgument = None,
    robot: RobotOption = "daemon",
    task: TaskOption = "",
    episodes: EpisodesOption = 1,
    seconds: SecondsOption = None,
    perception: PerceptionOption = "auto",
    camera: CameraOption = True,
    target: TargetOption = BALL,
    microphone: MicrophoneOption = "",
    speaker: SpeakerOption = "",
    seed: FirstStateSeedOption = 0,
    teleop: CorrectionDeviceOption = "",
    out: CorrectionsOption = None,
    operator: OperatorOption = "",
    telemetry: TelemetryOption = None,
    metrics: MetricsOption = "",
    listed: ListOption = False,
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
        show_behaviours(json=json)
        return
    from reachy_kit.workflows import run as workflow
    from reachy_kit.workflows.driving.run_plan import RunSettings

    given = drivers or []
    settings = RunSettings(
        robot=robot, task=task, episodes=episodes, seconds=seconds, perception=perception, target=target,
        camera=camera, microphone=microphone, speaker=speaker, seed=seed, telemetry=telemetry, metrics=metrics,
    )  # fmt: skip
    if bool(teleop) != bool(out):
        raise WrongUseError("--teleop and --out belong together: what a person corrects is recorded")
    if out:
        show_corrections(_correct(given, out, settings, teleop, operator), json=json)
        return
    result = workflow.run(given, settings, reporter=show.TERMINAL)
    show_run(result, json=json)
    if result.stopped_by is not None:
        raise typer.Exit(128 + result.stopped_by)


def _correct(given: list[str], out: Path, settings: "RunSettings", teleop: str, operator: str) -> "Corrections":
    """Let a person correct a bundle."""
    from reachy_kit.cli.reporting.recording_screen import TerminalScreen
    from reachy_kit.runtime.behaviours.behaviour_registry import is_behaviour
    from reachy_kit.workflows.recording.policy_correction import correct_bundle

    unusable = (settings.microphone, settings.speaker, settings.telemetry, settings.metrics)
    if not settings.camera or any(unusable):
        names = "--no-camera, --microphone, --speaker, --telemetry and --metrics"
        raise WrongUseError(f"{names} do not work with --teleop: leave them out")
    if len(given) != 1 or is_behaviour(given[0]):
        raise WrongUseError("--teleop corrects one bundle: name it, and nothing else")
    return correct_bundle(
        Path(given[0]), out, teleop=teleop, robot=settings.robot, task=settings.task, episodes=settings.episodes,
        seconds=settings.seconds, perception=settings.perception, target=settings.target, seed=settings.seed,
        operator=operator, screen=TerminalScreen(), reporter=show.TERMINAL,
    )  # fmt: skip
