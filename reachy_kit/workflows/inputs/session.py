"""A session: the robot that an argument names, connected, with the world and the perception that belong to it.

Try it: reachy-kit eval expert --robot daemon --episodes 1
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from reachy_kit.runtime.interface import CAMERA, NEUTRAL
from reachy_kit.runtime.perception.hearing.heard_features import HeardFeatures
from reachy_kit.runtime.perception.selection import PerceptionName, RobotKind, select_perception
from reachy_kit.runtime.perception.sound import are_heard
from reachy_kit.runtime.perception.targets.target_kind import TargetContext
from reachy_kit.runtime.perception.targets.target_registry import BALL, NamedTarget, target_by_name
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.safety import PROFILES
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session_hearing import Listening, find_microphone, open_hearing

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import Array, Observation, Perception, Robot, World
    from reachy_kit.runtime.perception.hearing.listening import Hearing
    from reachy_sim.robot import Camera
    from reachy_sim.tasks.variants import Variant
    from reachy_sim.world import SimWorld

SIMULATED = ("sim", "daemon")
"""Robots that have a simulated world; any other name is the address of a real robot."""
HARDWARE_SECONDS = 10.0
"""Length of an episode on a real robot, s: it has no task with a length of its own."""


@dataclass(frozen=True)
class Session:
    """A connected robot with its world and its perception."""

    robot: "Robot"
    perception: "Perception"
    perception_name: PerceptionName
    world: "World | None"
    """Ground truth; None on hardware, and where a task is about sounds that are not simulated."""
    image_shape: tuple[int, int, int] | None
    """(height, width, 3) of the camera's images, px; None without a camera."""
    wall_clock: bool
    """Whether a tick lasts 20 ms of real time."""
    hearing: "Hearing | None" = None
    """The open microphone; None while none is."""
    target: str = BALL
    """What is looked at, as ``--target`` gives it."""
    kind: RobotKind = "sim"
    """Whether it is simulated in this process, behind a daemon, or named by its address."""

    @property
    def target_provenance(self) -> dict[str, str]:
        """What a dataset says of the target: nothing, if it is the ball."""
        return {} if self.target == BALL else {"target": self.target}


class NoPerception:
    """A perception where nothing is sensed."""

    names: tuple[str, ...] = ()

    def reset(self, seed: int) -> None:
        """Do nothing."""

    def perceive(self, observation: "Observation") -> "Array":
        """(0,) features."""
        return np.zeros(0)


@contextlib.contextmanager
def open_session(
    robot: str,
    variant: "Variant | None",
    perception: str = "auto",
    *,
    camera: bool = True,
    features: tuple[str, ...] | None = None,
    limits: str = "classroom",
    realtime: bool = False,
    camera_beside: bool = False,
    target: str = BALL,
    listening: Listening | None = None,
    reporter: Reporter = SILENT,
) -> Iterator[Session]:
    """Connect a robot, and bring it to rest at the end.

    Args:
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        variant: the task and the conditions of the simulated world; hardware needs none.
        perception: ``auto``, ``geometry``, ``detector`` or ``microphone``.
        camera: whether observations hold the head camera's images; a simulation renders them for the detector too.
        features: what perception must yield where there is no variant; None where any will do, empty for nothing.
        limits: name of the limiter's profile.
        realtime: whether the simulator keeps the wall clock's pace; the others always do.
        camera_beside: whether a simulated camera runs beside the loop at its own rate, as a real one does; otherwise a
            frame is rendered for each observation.
        target: what is looked at, as ``--target`` gives it; a simulated world shows it in place of the ball.
        listening: which microphone is used, and what for; None for the robot's own, where perception needs one.
        reporter: receives a note when a microphone is opened, and what was wrong with it.

    Yields:
        The session.

    Raises:
        WrongUseError: the perception or the target does not exist on that robot.
        NoRobotError: no robot answers.
    """
    looked_at = target_by_name(target)
    needed = variant.task.features if variant else features or None
    listening = listening or Listening()
    kind: RobotKind = "sim" if robot == "sim" else "daemon" if robot == "daemon" else "hardware"
    chosen = select_perception(perception, kind, needed, target, microphone=bool(listening.microphone))
    hears = listening.is_needed(chosen, simulated=kind != "hardware", realtime=kind != "sim" or realtime)
    local = find_microphone(listening.microphone, chosen, needed) if hears and listening.microphone else None
    if kind == "hardware":
        opened = _hardware_session(
            robot, chosen, looked_at, camera, limits, reporter, microphone=hears and not listening.microphone,
            senses=features != (),
        )  # fmt: skip
    else:
        assert variant is not None, "a simulated robot needs a task"
        opened = (
            _sim_session(variant, chosen, looked_at, camera, limits, realtime, camera_beside)
            if kind == "sim"
            else _daemon_session(variant, chosen, looked_at, camera, limits, camera_beside, reporter)
        )
    with opened as session:
        if not hears:
            yield session
            return
        with open_hearing(session.robot, listening, local, reporter) as hearing:
            if chosen == "microphone" and needed is not None:
                yield replace(session, perception=HeardFeatures(hearing, needed), world=None, hearing=hearing)
            else:
                yield replace(session, hearing=hearing)


def needs_camera(robot: str, features: tuple[str, ...] | None) -> bool:
    """Whether perception on this robot looks through its camera: a real one does, unless it listens.

    Args:
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        features: that perception must yield; None where any will do.
    """
    return robot not in SIMULATED and not are_heard(features)


def simulated_variant(robot: str, task: str, variant: str = "training") -> "Variant | None":
    """The variant of a task that a simulated robot needs.

    Args:
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        task: name of the task.
        variant: name of the variant.

    Returns:
        The variant; None for hardware, which has a world of its own.

    Raises:
        WrongUseError: a simulated robot's task or variant does not exist.
    """
    if robot not in SIMULATED:
        return None
    from reachy_sim.tasks import variant_by_name

    return variant_by_name(task, variant)


@contextlib.contextmanager
def _sim_session(
    variant: "Variant",
    perception: PerceptionName,
    target: NamedTarget,
    camera: bool,
    limits: str,
    realtime: bool,
    camera_beside: bool,
) -> Iterator[Session]:
    from reachy_sim.camera_stream import CameraStream
    from reachy_sim.robot import SimRobot, SimRobotConfig

    with (
        contextlib.closing(_world(variant, target)) as world,
        _camera(world, camera or perception == "detector", camera_beside and realtime) as frames,
    ):
        sim = SimRobot(
            SimRobotConfig(profile=PROFILES[limits]),
            camera=frames,
            image_shape=world.image_shape if frames else None,
            actuators=world.actuators,
            watch=frames.watch if isinstance(frames, CameraStream) else world.append_pose,
            realtime=realtime,
        )
        with connected(sim) as robot, _perception(perception, target, robot, world, realtime) as perceived:
            shape = world.image_shape if frames else None
            yield Session(robot, perceived, perception, world, shape, wall_clock=realtime, target=target.text)


@contextlib.contextmanager
def _daemon_session(
    variant: "Variant",
    perception: PerceptionName,
    target: NamedTarget,
    camera: bool,
    limits: str,
    camera_beside: bool,
    reporter: Reporter,
) -> Iterator[Session]:
    from reachy_kit.runtime.robots.daemon import simulated_daemon
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

    with (
        contextlib.closing(_world(variant, target)) as world,
        _camera(world, camera or perception == "detector", camera_beside) as frames,
        simulated_daemon() as address,
    ):
        shape = world.image_shape if frames else None
        config = SdkRobotConfig(address.host, address.port, profile=PROFILES[limits])
        if frames:
            frames(NEUTRAL, 0.0)  # the first image takes half a second: not in the first episode
        sdk = SdkRobot(config, camera=frames, image_shape=shape, note=reporter.note)
        with connected(sdk) as robot, _perception(perception, target, robot, world, True) as perceived:
            yield Session(
                robot, perceived, perception, world, shape, wall_clock=True, target=target.text, kind="daemon"
            )


@contextlib.contextmanager
def _hardware_session(
    robot: str,
    perception: PerceptionName,
    target: NamedTarget,
    camera: bool,
    limits: str,
    reporter: Reporter,
    *,
    microphone: bool,
    senses: bool,
) -> Iterator[Session]:
    from reachy_kit.runtime.robots.daemon import parse_address
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

    address = parse_address(robot)
    config = SdkRobotConfig(address.host, address.port, camera=camera, microphone=microphone, profile=PROFILES[limits])
    with connected(SdkRobot(config, note=reporter.note)) as hardware:
        shape = hardware.observation_features.get(CAMERA)
        image_shape = shape if isinstance(shape, tuple) and len(shape) == 3 else None
        context = TargetContext(target.argument, hardware, beside_loop=True)
        with target.kind.open_perception(context) if senses else contextlib.nullcontext(NoPerception()) as perceived:
            yield Session(
                hardware, perceived, perception, None, image_shape, wall_clock=True, target=target.text, kind="hardware"
            )


def _world(variant: "Variant", target: NamedTarget) -> "SimWorld":
    from reachy_sim.world import SimWorld

    kind = target.kind
    return SimWorld(variant, kind.camera, kind.picture(target.argument) if kind.picture else None)


@contextlib.contextmanager
def _camera(world: "SimWorld", rendered: bool, beside: bool) -> "Iterator[Camera | None]":
    """The world's head camera, beside the loop or in it; None where nothing is rendered."""
    if not rendered:
        yield None
    elif beside:
        from reachy_sim.camera_stream import CameraStream

        with contextlib.closing(CameraStream(world)) as frames:
            yield frames
    else:
        yield world.camera


def _perception(
    name: PerceptionName, target: NamedTarget, robot: "Robot", world: "SimWorld", beside_loop: bool
) -> "contextlib.AbstractContextManager[Perception]":
    if name == "detector":
        return target.kind.open_perception(TargetContext(target.argument, robot, beside_loop))
    from reachy_sim.world import GeometricPerception

    return contextlib.nullcontext(GeometricPerception(world))
