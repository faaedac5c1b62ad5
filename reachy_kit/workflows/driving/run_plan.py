"""What a run needs before a robot is connected: its settings, and what follows from them and from what drives."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.workflows.inputs.drivers import Drivers
from reachy_kit.workflows.inputs.reporter import Reporter
from reachy_kit.workflows.inputs.session import HARDWARE_SECONDS, Session, needs_camera, open_session, simulated_variant
from reachy_kit.workflows.inputs.session_hearing import Listening

if TYPE_CHECKING:
    from reachy_sim.tasks.variants import Variant

SIMULATED_SECONDS = 20.0
"""Length of a run of behaviours on ``sim``, whose time is not the wall clock's, s; elsewhere they run until stopped."""
HIDDEN, BETWEEN = (2.0, 2.5), (5.0, 6.0)
"""How long a simulated target is hidden from several behaviours, and the time from one hiding to the next, s."""


@dataclass(frozen=True)
class RunSettings:
    """The robot of a run, its episodes, its senses, and where its telemetry goes."""

    robot: str = "daemon"
    """``sim``, ``daemon`` or HOST[:PORT]."""
    task: str = ""
    """File of the bundle's task, if it is in one."""
    episodes: int = 1
    """Number of episodes, one after another."""
    seconds: float | None = None
    """Length of each, s; None for the task's own, on hardware ``HARDWARE_SECONDS``. Behaviours run until they are
    stopped, on ``sim`` for ``SIMULATED_SECONDS``."""
    perception: str = "auto"
    """``auto``, ``geometry``, ``detector`` or ``microphone``."""
    target: str = BALL
    """What is looked at, as ``--target`` gives it."""
    camera: bool = True
    """Whether to open the camera; without it a policy receives no target."""
    microphone: str = ""
    """Microphone of this computer, by name or index; empty for the robot's own."""
    speaker: str = ""
    """Speaker of this computer, by name or index, ``robot`` or ``off``; empty for a real robot's own."""
    seed: int = 0
    """Seed of the first initial state in a simulation."""
    telemetry: Path | None = None
    """File to which a line of telemetry is appended each second."""
    metrics: str = ""
    """``PORT`` or ``HOST:PORT`` at which the run answers Prometheus and ``reachy-kit top``; empty for nowhere."""


@dataclass(frozen=True)
class RunPlan:
    """What follows from a run's settings and from what drives."""

    drivers: Drivers
    settings: RunSettings
    variant: "Variant | None"
    """World of a simulated robot; None on hardware."""
    length: float | None
    """Length of an episode, s; None = until it is stopped."""
    senses: bool
    """Whether anything that drives senses features."""
    camera: bool
    """Whether the camera's images are looked at."""

    def open_session(self, reporter: Reporter) -> contextlib.AbstractContextManager[Session]:
        """Connect the robot with the world and the perception that the run needs.

        Args:
            reporter: receives notes.

        Raises:
            WrongUseError: the perception or the target does not exist on that robot.
            NoRobotError: no robot answers.
        """
        settings, drivers = self.settings, self.drivers
        return open_session(
            settings.robot, self.variant, self._perception, camera=self.camera,
            features=drivers.features if self.senses else (), limits=drivers.limits, target=settings.target,
            listening=Listening(settings.microphone, hears=drivers.hears), reporter=reporter,
        )  # fmt: skip

    @property
    def _perception(self) -> str:
        """The perception to open: the cheapest where nothing senses and none was asked for."""
        asked = self.settings.perception
        if self.senses or self.variant is None or asked != "auto" or self.settings.target != BALL:
            return asked
        return "geometry"


def plan_run(drivers: Drivers, settings: RunSettings) -> RunPlan:
    """Find out what a run needs.

    Args:
        drivers: what drives.
        settings: of the run.

    Raises:
        WrongUseError: they do not go together.
    """
    if drivers.takes_images and not settings.camera:
        raise WrongUseError(f"{drivers.label} takes images: leave out --no-camera")
    variant = _surroundings(drivers, settings)
    length = _length(drivers, settings, variant)
    if length is None and settings.episodes > 1:
        raise WrongUseError("behaviours run until they are stopped: give --seconds for several episodes")
    senses = drivers.features is not None
    looks = drivers.takes_images or (senses and needs_camera(settings.robot, drivers.features))
    return RunPlan(drivers, settings, variant, length, senses, camera=settings.camera and looks)


def _surroundings(drivers: Drivers, settings: RunSettings) -> "Variant | None":
    """The world of a simulated robot, in which a target that several behaviours share comes and goes."""
    variant = simulated_variant(settings.robot, settings.task or drivers.task)
    bundle = drivers.lone_bundle
    if variant and bundle and variant.task.name != bundle.manifest.task:
        raise WrongUseError(
            f"the bundle was made for {bundle.manifest.task}, not for {variant.task.name}: leave out --task"
        )
    if variant is None or len(drivers.drivers) == 1:
        return variant
    from reachy_sim.tasks.gaze import GazeTask

    if not isinstance(variant.task, GazeTask):
        return variant
    return replace(variant, task=replace(variant.task, hidden=HIDDEN, between=BETWEEN))


def _length(drivers: Drivers, settings: RunSettings, variant: "Variant | None") -> float | None:
    """Length of an episode, s; None = until it is stopped."""
    if settings.seconds is not None or drivers.lone_bundle:
        return settings.seconds or (variant.task.seconds if variant else HARDWARE_SECONDS)
    return SIMULATED_SECONDS if settings.robot == "sim" else None
