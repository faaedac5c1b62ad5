"""A bundle on a robot. Loads onnxruntime; never torch or LeRobot, and MuJoCo only to simulate.

Try it: reachy-kit run look_at.bundle --robot sim
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import BackgroundPolicy, InferenceSummary
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import image_size, load_policy
from reachy_kit.runtime.interface import Episode, TaskError
from reachy_kit.runtime.perception.targets.camera_perception import FROZEN, DetectionSummary, summarize_detection
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.robots.calmness import Calmness, CalmnessMeter
from reachy_kit.runtime.robots.loop_rate import LoopRate, late_warning, measure_rate
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.telemetry.publishing import publishing
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import HARDWARE_SECONDS, needs_camera, open_session, simulated_variant
from reachy_kit.workflows.inputs.session_hearing import Listening
from reachy_kit.workflows.top import watching_command


@dataclass(frozen=True)
class BundleRun:
    """Episodes of a bundle on a robot."""

    bundle: Path
    robot: str
    episodes: tuple[Episode, ...]
    error: TaskError | None
    """Name and unit of the task's error; None without ground truth."""
    rate: LoopRate | None
    """Rate of the control loop; None in simulated time, which is never late."""
    calmness: Calmness | None = None
    """Speed of the head while the target stands still; None where it never does."""
    detection: DetectionSummary | None = None
    """How the detector kept up with the loop; None where no detector runs beside it."""
    inference: InferenceSummary | None = None
    """How inference kept up with the loop; None in simulated time, which waits for it."""


def run_bundle(
    bundle: Path,
    *,
    robot: str = "daemon",
    task: str = "",
    episodes: int = 1,
    seconds: float | None = None,
    perception: str = "auto",
    target: str = BALL,
    camera: bool = True,
    microphone: str = "",
    seed: int = 0,
    telemetry: Path | None = None,
    metrics: str = "",
    reporter: Reporter = SILENT,
) -> BundleRun:
    """Run a bundle on a robot; it goes to neutral first and lies down at the end.

    Args:
        bundle: file or unpacked folder.
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        task: file of the bundle's task, if it is in one.
        episodes: number of episodes, one after another.
        seconds: length of each; None for the task's own, on hardware ``HARDWARE_SECONDS``.
        perception: ``auto``, ``geometry``, ``detector`` or ``microphone``.
        target: what is looked at, as ``--target`` gives it.
        camera: whether to open the camera; without it the policy receives no target.
        microphone: of this computer, by name or index; empty for the robot's own.
        seed: of the first initial state in a simulation.
        telemetry: file to which a line of telemetry is appended each second.
        metrics: ``PORT`` or ``HOST:PORT`` at which the run answers Prometheus and ``reachy-kit top``.
        reporter: shows the progress.

    Returns:
        The episodes.

    Raises:
        WrongUseError: the bundle does not exist, or takes images and the camera is off.
        RefusedError: the bundle is damaged, or was made for something else.
        NoRobotError: no robot answers.
    """
    opened = read_bundle(bundle)
    manifest = opened.manifest
    takes_images = image_size(opened) is not None
    if takes_images and not camera:
        raise WrongUseError(f"{bundle.name} takes images: leave out --no-camera")
    variant = simulated_variant(robot, task or manifest.task)
    if variant and variant.task.name != manifest.task:
        raise WrongUseError(f"the bundle was made for {manifest.task}, not for {variant.task.name}")
    length = seconds or (variant.task.seconds if variant else HARDWARE_SECONDS)
    features, limits = manifest.environment_state or None, manifest.limits_profile
    wanted = camera and (takes_images or needs_camera(robot, features))
    listening = Listening(microphone)
    done, calmness = list[Episode](), CalmnessMeter()
    with (
        publishing(f"run {bundle.name}", telemetry, metrics, reporter.note) as meter,
        contextlib.ExitStack() as when_at_rest,
        open_session(
            robot, variant, perception, camera=wanted, features=features, limits=limits, target=target,
            listening=listening, reporter=reporter,
        ) as session,
    ):  # fmt: skip
        planner, beside = load_policy(opened, session.perception.names), None
        if session.wall_clock:
            beside = BackgroundPolicy(planner, manifest.graphs[0].hz)
            when_at_rest.callback(beside.close)
        meter.follow(session.robot, beside or planner, session.hearing, wall_clock=session.wall_clock)
        if meter.published_at:
            reporter.note(f"to watch it: {watching_command(session.robot.name, meter.published_at)}")
        with reporter.progress(f"{bundle.name} on {session.robot.name}", total=episodes) as advance:
            for episode_seed in range(seed, seed + episodes):
                done.append(
                    rollout(
                        session.robot,
                        beside or planner,
                        seconds=length,
                        policy_hz=manifest.graphs[0].hz,
                        seed=episode_seed,
                        perception=session.perception,
                        world=session.world,
                        subscribers=[calmness, meter],
                        on_timing=meter.tick,
                    )
                )
                advance()
        detection = summarize_detection(session.perception)
    inference = beside.summary() if beside else None
    if inference and inference.is_slow:
        reporter.note(f"warning: {inference.warning()}")
    if detection and detection.frozen:
        reporter.note(f"warning: {FROZEN}")
    if warning := late_warning(done):
        reporter.note(f"warning: {warning}")
    error = variant.task.spec.error if variant else None
    rate = measure_rate(done) if session.wall_clock else None
    return BundleRun(bundle, robot, tuple(done), error, rate, calmness.calmness, detection, inference)
