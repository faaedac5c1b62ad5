"""The robot's own MJCF, found in the installed reachy_mini without importing it, plus our scene.

The meshes stay in that package; with drawing=False everything that only draws is left out. The links' inertia is given
explicitly, so their mass does not change with it.
"""

import importlib.util
from pathlib import Path

import mujoco

from reachy_kit.runtime.errors import KitError

HEAD_HEIGHT = 0.177
"""m from the table to the origin of the base frame. Source: head_z_offset in reachy_mini's kinematics_data.json."""
TIMESTEP = 0.002
"""s, ten steps a tick. Source: reachy_mini.daemon.backend.mujoco (1.12)."""
BALL_RADIUS = 0.035
"""m, about a table-tennis ball to a tennis ball."""
BALL_RGBA = (0.10, 0.75, 0.15, 1.0)
_VISUAL_GROUP = 2


def mjcf_path() -> Path:
    """Where the installed reachy_mini keeps the scene its daemon simulates.

    Raises:
        KitError: the package or its model is missing.
    """
    spec = importlib.util.find_spec("reachy_mini")
    if spec is None or spec.origin is None:
        raise KitError("the robot's model files are missing: install the reachy-mini package (make setup SIM_ONLY=1)")
    path = Path(spec.origin).parent / "descriptions/reachy_mini/mjcf/scenes/empty.xml"
    if not path.is_file():
        raise KitError(
            f"{path} is missing: this reachy-mini has another layout; versions 1.12 and 1.13 are known to fit"
        )
    return path


def robot_model(*, drawing: bool, timestep: float = TIMESTEP, delay_samples: int = 0) -> mujoco.MjModel:
    """The daemon's robot; with ``drawing`` a coloured ball beside it (mocap body ``target``).

    Args:
        drawing: keep the meshes that only draw: slow to load and to render, wanted for pictures of the robot itself.
        timestep: s.
        delay_samples: physics steps for which the actuators remember their commands, so that they can be late.
    """
    spec = mujoco.MjSpec.from_file(str(mjcf_path()))
    if not drawing:
        for geom in list(spec.geoms):
            if geom.group == _VISUAL_GROUP or geom.classname.name == "visual":
                spec.delete(geom)
        needed = {geom.meshname for geom in spec.geoms}
        for mesh in list(spec.meshes):
            if Path(mesh.name or mesh.file).stem not in needed:  # a mesh without a name goes by its file's
                spec.delete(mesh)
    for actuator in spec.actuators:
        actuator.nsample = delay_samples
    spec.option.timestep = timestep
    if drawing:
        add_ball(spec)
    return spec.compile()


def add_ball(spec: mujoco.MjSpec) -> None:
    """Add the target: a ball that moves where it is told and touches nothing."""
    ball = spec.worldbody.add_body(name="target", mocap=True, pos=[0.8, 0.0, HEAD_HEIGHT])
    ball.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[BALL_RADIUS, 0, 0],
        rgba=BALL_RGBA,
        contype=0,
        conaffinity=0,
    )
