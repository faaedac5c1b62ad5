"""The robot's own MJCF, found in the installed reachy_mini without importing it, and a ball as the target.

The meshes stay in that package; ``drawing=False`` leaves out everything that is only drawn. The links' inertia is given
explicitly, so that their mass does not change with it.
"""

import importlib.util
from pathlib import Path

import mujoco

from reachy_kit.runtime.errors import KitError, MissingPackageError

HEAD_HEIGHT = 0.177
"""Height of the base frame's origin above the table, m. Source: head_z_offset in reachy_mini's kinematics_data.json."""
TIMESTEP = 0.002
"""Physics step, s; ten steps per tick. Source: reachy_mini.daemon.backend.mujoco (1.12)."""
BALL_RADIUS = 0.035
"""Radius of the target, m: between a table-tennis ball and a tennis ball."""
BALL_RGBA = (0.10, 0.75, 0.15, 1.0)
_VISUAL_GROUP = 2


def mjcf_path() -> Path:
    """Path of the scene that the installed reachy_mini's daemon simulates.

    Raises:
        MissingPackageError: the package is not installed.
        KitError: it has no model where one is expected.
    """
    spec = importlib.util.find_spec("reachy_mini")
    if spec is None or spec.origin is None:
        raise MissingPackageError("the robot's model files are not installed here", "sim")
    path = Path(spec.origin).parent / "descriptions/reachy_mini/mjcf/scenes/empty.xml"
    if not path.is_file():
        raise KitError(
            f"{path} is missing: this reachy-mini has another layout; versions 1.12 and 1.13 are known to fit"
        )
    return path


def robot_model(*, drawing: bool, timestep: float = TIMESTEP, delay_samples: int = 0) -> mujoco.MjModel:
    """Compile the daemon's robot; with ``drawing``, a coloured ball beside it (mocap body ``target``).

    Args:
        drawing: keep the meshes that are only drawn: slow to load and to render, needed for images of the robot itself.
        timestep: physics step, s.
        delay_samples: physics steps for which the actuators remember their commands, for delays.
    """
    spec = robot_spec(drawing=drawing)
    for actuator in spec.actuators:
        actuator.nsample = delay_samples
    spec.option.timestep = timestep
    if drawing:
        add_ball(spec)
    return spec.compile()


def robot_spec(*, drawing: bool, keep: tuple[str, ...] = ()) -> mujoco.MjSpec:
    """The daemon's robot before it is compiled, to be changed.

    Args:
        drawing: as in ``robot_model``.
        keep: names of meshes that are kept although they are only drawn.
    """
    spec = mujoco.MjSpec.from_file(str(mjcf_path()))
    if not drawing:
        for geom in list(spec.geoms):
            drawn = geom.group == _VISUAL_GROUP or geom.classname.name == "visual"
            if drawn and geom.meshname not in keep:
                spec.delete(geom)
        needed = {geom.meshname for geom in spec.geoms}
        for mesh in list(spec.meshes):
            if Path(mesh.name or mesh.file).stem not in needed:  # a mesh without a name is named after its file
                spec.delete(mesh)
    return spec


def add_ball(spec: mujoco.MjSpec) -> None:
    """Add the target: a ball on a mocap body that collides with nothing."""
    ball = spec.worldbody.add_body(name="target", mocap=True, pos=[0.8, 0.0, HEAD_HEIGHT])
    ball.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[BALL_RADIUS, 0, 0],
        rgba=BALL_RGBA,
        contype=0,
        conaffinity=0,
    )
