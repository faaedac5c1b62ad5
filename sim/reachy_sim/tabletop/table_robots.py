"""A batch of robots that stand on a table: with a free base, which may tip and slide, or with one that is held.

The model is the daemon's own, with its actuators; the base gets a free joint and a ring of contacts where the foot
touches the table. A held base measures the reaction instead: what the table would have to take. The model's mass is
1.18 kg; the maker gives 1.5 kg (huggingface.co/blog/reachy-mini), and a heavier foot stands better.
"""

from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.joints import joint_targets
from reachy_sim.dynamics.model import robot_spec
from reachy_sim.dynamics.mujoco_batch import Engine, open_batch

FOOT = "body_foot_3dprint"
FOOT_RADIUS = 0.056
"""Radius of the ring on which the foot stands, m. Source: mesh of the foot in reachy_mini 1.13, its lowest 0.5 mm. The
ring is cut straight at the back, at x = −51 mm."""
FOOT_BACK = -0.051
"""Back edge of that ring, m."""
TABLE_FRICTION = (0.2, 0.4, 0.6)
"""Friction between foot and table: low, middle, high. Chosen, not measured: a printed plastic foot on a polished table,
on a dry one, on one that grips."""
TIPPING_ANGLE = float(np.arctan2(0.051, 0.098))
"""Tilt at which the robot falls, rad: its mass is 98 mm above the table in the model, the nearest edge 51 mm away."""
POINTS = 12
"""Contacts on the ring."""
_PAD = 0.001
"""Radius of a contact's sphere, m."""
STALL_TORQUE = (0.93, *6 * (0.52,), 0.215, 0.215)
"""N·m at 5 V: XC330-M288-T, six XL330-M288-T, two XL330-M077-T (Robotis e-Manual)."""


@dataclass(frozen=True)
class TableConfig:
    """What the robots stand on, and how strong their motors are."""

    friction: float = 0.4
    """Of the contact between foot and table."""
    held: bool = False
    """Hold the base and measure what it takes, in place of letting it move."""
    real_torque: bool = False
    """Limit the motors to their data sheets' stall torque. The daemon's simulated ones have up to 20 N·m."""
    timestep: float = 0.002
    """Physics step, s."""


class Reaction(NamedTuple):
    """What the table has to take at one physics step."""

    force: Array
    """(N, 3) N on the robot, base frame."""
    torque: Array
    """(N, 3) N·m on the robot, about the middle of the foot on the table."""

    @property
    def tipping(self) -> Array:
        """(N,) distance of the pressure's centre from the middle of the foot, as a share of the foot: 1 tips."""
        x = -self.torque[:, 1] / self.force[:, 2]
        y = self.torque[:, 0] / self.force[:, 2]
        return np.asarray(np.maximum(np.hypot(x, y) / FOOT_RADIUS, x / FOOT_BACK))

    @property
    def friction(self) -> Array:
        """(N,) friction that keeps the foot from slipping: force and turning together, on an elliptic limit surface."""
        x = -self.torque[:, 1] / self.force[:, 2]
        y = self.torque[:, 0] / self.force[:, 2]
        turning = self.torque[:, 2] - (x * self.force[:, 1] - y * self.force[:, 0])
        sliding = np.hypot(self.force[:, 0], self.force[:, 1])
        return np.asarray(np.hypot(sliding, turning / FOOT_RADIUS) / self.force[:, 2])


class TableRobots:
    """N robots on tables of their own.

    Args:
        num_envs: N.
        config: the tables and the motors.
        threads: 0 takes every core.
        engine: the library that steps MuJoCo.
    """

    def __init__(
        self, num_envs: int, config: TableConfig | None = None, *, threads: int = 0, engine: Engine = "auto"
    ) -> None:
        self.config = config or TableConfig()
        self.num_envs = num_envs
        self.model = _table_model(self.config)
        self._chain = ClosedChain(self.model)
        self._batch = open_batch(self.model, num_envs, threads, engine)
        self._rows, self._ctrl = self._batch.bind("state"), self._batch.bind("ctrl")
        self._qpos, self._sensors = self._batch.bind("qpos"), self._batch.bind("sensordata")
        self._substeps = round(1 / (CONTROL_HZ * self.config.timestep))
        self.reactions: list[Reaction] = []
        """Of a held base, at each physics step of the last tick."""

    def reset(self, pose: Array) -> None:
        """Place all robots in the (9,) pose, at rest in the middle of their tables."""
        data = mujoco.MjData(self.model)
        data.qpos[:] = self._chain.positions(pose)
        if not self.config.held:
            data.qpos[3] = 1.0  # upright
        data.ctrl[:] = joint_targets(pose)
        state = np.empty(self._rows.shape[1])
        mujoco.mj_getState(self.model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._rows[:] = state
        self._batch.forward(np.arange(self.num_envs))

    def step(self, targets: Array) -> None:
        """Advance a tick; (N, 9) rad on the actuators."""
        self._ctrl[:] = targets
        if not self.config.held:
            self._batch.step(nstep=self._substeps)
            return
        self.reactions = []
        for _ in range(self._substeps):
            self._batch.step(nstep=1)
            self.reactions.append(Reaction(self._sensors[:, :3].copy(), self._sensors[:, 3:6].copy()))

    @property
    def base(self) -> Array:
        """(N, 3) m and rad: how far each foot has moved in x and y, and turned."""
        w, x, y, z = self._qpos[:, 3:7].T
        heading = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        return np.stack([self._qpos[:, 0], self._qpos[:, 1], heading], axis=-1)

    @property
    def tilt(self) -> Array:
        """(N,) rad between each base's axis and the vertical."""
        _, x, y, _ = self._qpos[:, 3:7].T
        return np.asarray(np.arccos(np.clip(1 - 2 * (x * x + y * y), -1.0, 1.0)))


def _table_model(config: TableConfig) -> mujoco.MjModel:
    spec = robot_spec(drawing=False)
    foot = spec.body(FOOT)
    if config.held:
        site = foot.add_site(name="foot", pos=[0.0, 0.0, 0.0])
        for kind in (mujoco.mjtSensor.mjSENS_FORCE, mujoco.mjtSensor.mjSENS_TORQUE):
            spec.add_sensor(type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site.name)
    else:
        foot.add_freejoint(name="base")
        _add_pads(spec, foot, config.friction)
    if config.real_torque:
        for actuator, torque in zip(spec.actuators, STALL_TORQUE, strict=True):
            actuator.forcerange = [-torque, torque]
    spec.option.timestep = config.timestep
    # Friction as hard as the solver allows: the default's creeps under a steady load.
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    return spec.compile()


def _add_pads(spec: mujoco.MjSpec, foot: mujoco.MjsBody, friction: float) -> None:
    """A ring of contacts on the foot's edge; the floor takes their friction."""
    for angle in (np.arange(POINTS) + 0.5) * 2 * np.pi / POINTS:
        x, y = FOOT_RADIUS * np.cos(angle), FOOT_RADIUS * np.sin(angle)
        foot.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[_PAD, 0, 0],
            pos=[max(x, FOOT_BACK), y, _PAD],
            friction=[friction, 0, 0],
            priority=1,
            contype=2,
            conaffinity=2,
            mass=0.0,
        )
    floor = next(geom for geom in spec.worldbody.geoms if geom.name == "floor")
    floor.contype = floor.conaffinity = 2
