"""Open the robot that ``--robot`` names, with the world and the perception that belong to it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.tasks.task_registry import own_task_names

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Perception, Robot, World
    from reachy_kit.runtime.perception.selection import PerceptionName
    from reachy_sim.tasks.variants import Variant
    from reachy_sim.world import SimWorld

RobotOption = Annotated[
    str,
    typer.Option(
        "--robot",
        metavar="sim|daemon|HOST[:PORT]",
        help="sim: physics on this computer. daemon: a simulated robot behind its own daemon, started when "
        "none answers. HOST: a real robot.",
    ),
]
PerceptionOption = Annotated[
    str,
    typer.Option(
        "--perception",
        metavar="auto|geometry|detector",
        help="How the target is seen: from the simulator's geometry, or in the camera image by OpenCV. auto: geometry "
        "on sim and for what the detector cannot yield, detector elsewhere.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="NAME|FILE.py",
        help=f"{', '.join(own_task_names())}, a task of an installed package, or the file of a task of your own.",
    ),
]


@dataclass(frozen=True)
class Session:
    """A connected robot and what surrounds it."""

    robot: "Robot"
    perception: "Perception"
    perception_name: "PerceptionName"
    world: "World | None"
    """None on hardware."""
    image_shape: tuple[int, int, int] | None
    """(height, width, 3) of the camera, or None without one."""
    wall_clock: bool
    """Whether ticks last 20 ms of real time."""


@contextlib.contextmanager
def open_session(
    robot: str,
    variant: "Variant | None",
    perception: str = "auto",
    *,
    features: tuple[str, ...] | None = None,
    camera: bool = True,
    limits: str = "classroom",
    realtime: bool = False,
) -> Iterator[Session]:
    """Connect, and bring the robot to rest at the end.

    Args:
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        variant: what the world is about, and its conditions; hardware needs none.
        perception: ``auto``, ``geometry`` or ``detector``.
        features: what perception must yield where there is no variant; None if anything will do.
        camera: on the simulator whether to draw what the eye sees, on hardware whether to stream.
        limits: name of the limiter's profile.
        realtime: whether the simulator keeps the wall clock's pace; the others always do.

    Raises:
        WrongUseError: the perception does not exist on that robot.
        NoRobotError: there is no robot.
    """
    from reachy_kit.runtime.perception.selection import select_perception

    needed = variant.task.features if variant else features
    if robot == "sim":
        assert variant is not None, "the simulator needs a task"
        named = select_perception(perception, "sim", needed)
        with _sim_stage(variant, named, camera, limits, realtime) as stage:
            yield stage
    elif robot == "daemon":
        assert variant is not None, "the simulated daemon needs a task"
        with _daemon_stage(variant, select_perception(perception, "daemon", needed), limits) as stage:
            yield stage
    else:
        select_perception(perception, "hardware", needed)
        with _hardware_stage(robot, camera, limits) as stage:
            yield stage


@contextlib.contextmanager
def _sim_stage(
    variant: "Variant", perception: "PerceptionName", camera: bool, limits: str, realtime: bool
) -> Iterator[Session]:
    from reachy_kit.runtime.robots.lifecycle import connected
    from reachy_kit.runtime.safety import PROFILES
    from reachy_sim.robot import SimRobot, SimRobotConfig
    from reachy_sim.world import SimWorld

    with contextlib.closing(SimWorld(variant)) as twin:
        drawn = camera or perception == "detector"
        shape = twin.image_shape if drawn else None
        config = SimRobotConfig(profile=PROFILES[limits])
        eye = twin.camera if drawn else None
        sim = SimRobot(config, eye, shape, twin.actuators, twin.note, realtime=realtime)
        with connected(sim) as robot:
            yield Session(robot, _perception(perception, twin), perception, twin, shape, wall_clock=realtime)


@contextlib.contextmanager
def _daemon_stage(variant: "Variant", perception: "PerceptionName", limits: str) -> Iterator[Session]:
    from reachy_kit.runtime.interface import NEUTRAL
    from reachy_kit.runtime.robots.daemon import simulated_daemon
    from reachy_kit.runtime.robots.lifecycle import connected
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
    from reachy_kit.runtime.safety import PROFILES
    from reachy_sim.world import SimWorld

    with contextlib.closing(SimWorld(variant)) as twin, simulated_daemon() as address:
        drawn = perception == "detector"
        shape = twin.image_shape if drawn else None
        config = SdkRobotConfig(address.host, address.port, profile=PROFILES[limits])
        if drawn:
            twin.camera(NEUTRAL, 0.0)  # the first picture takes half a second: not in the first episode
        with connected(SdkRobot(config, camera=twin.camera if drawn else None, image_shape=shape)) as robot:
            yield Session(robot, _perception(perception, twin), perception, twin, shape, wall_clock=True)


@contextlib.contextmanager
def _hardware_stage(robot: str, camera: bool, limits: str) -> Iterator[Session]:
    from reachy_kit.runtime.interface import CAMERA
    from reachy_kit.runtime.perception.ball import BallDetector
    from reachy_kit.runtime.robots.daemon import DEFAULT_PORT
    from reachy_kit.runtime.robots.lifecycle import connected
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
    from reachy_kit.runtime.safety import PROFILES

    host, colon, port = robot.partition(":")
    if colon and not (port.isdecimal() and int(port) < 2**16):
        raise WrongUseError(f"--robot {robot}: the port must be a number, as in reachy-mini.local:{DEFAULT_PORT}")
    config = SdkRobotConfig(host, int(port) if colon else DEFAULT_PORT, camera=camera, profile=PROFILES[limits])
    with connected(SdkRobot(config)) as connected_robot:
        shape = connected_robot.observation_features.get(CAMERA)
        image_shape = shape if isinstance(shape, tuple) and len(shape) == 3 else None
        yield Session(connected_robot, BallDetector(), "detector", None, image_shape, wall_clock=True)


def _perception(name: "PerceptionName", twin: "SimWorld") -> "Perception":
    if name == "detector":
        from reachy_kit.runtime.perception.ball import BallDetector

        return BallDetector()
    from reachy_sim.world import GeometricPerception

    return GeometricPerception(twin)
