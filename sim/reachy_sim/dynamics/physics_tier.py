"""The physics tier: a batch of robots in MuJoCo with the daemon's own settings, 2 ms × 10 steps a tick, its actuators.

Frames and order are those of reachy_kit.runtime.interface. Source of the conventions (antenna signs, head height,
joints): reachy_mini.daemon.backend.mujoco (1.12).
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import mujoco
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.geometry import euler_from_rotation
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, HEAD, Array
from reachy_sim.dynamics.actuators import IDENTIFIED, MAX_DELAY, Actuators, Motors, in_series
from reachy_sim.dynamics.joints import JOINTS, Linkage, refuse_unreachable
from reachy_sim.dynamics.model import HEAD_HEIGHT, TIMESTEP, robot_model
from reachy_sim.dynamics.mujoco_batch import Engine, open_batch

type Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PhysicsSettings:
    """How finely MuJoCo integrates. Their errors against ``daemon``: sim/README.md."""

    timestep: float = TIMESTEP
    """s."""
    integrator: Literal["euler", "implicitfast"] = "euler"

    @property
    def substeps(self) -> int:
        """Steps a control tick."""
        return round(1 / (CONTROL_HZ * self.timestep))


SETTINGS = {
    "daemon": PhysicsSettings(),
    "fast": PhysicsSettings(0.005, "implicitfast"),
    "coarse": PhysicsSettings(0.010, "implicitfast"),
}
"""By name; ``daemon`` is what the robot's own simulation runs with."""


class Physics:
    """N robots on tables of their own, stepped a control tick at a time.

    Args:
        num_envs: N.
        settings: name of the physics' settings.
        threads: 0 takes every core.
        engine: what steps MuJoCo.

    Raises:
        WrongUseError: there are no such settings.
    """

    def __init__(
        self, num_envs: int = 1, settings: str = "daemon", *, threads: int = 0, engine: Engine = "auto"
    ) -> None:
        if settings not in SETTINGS:
            raise WrongUseError(f"no physics settings are called {settings!r}; there are {', '.join(SETTINGS)}")
        self.num_envs = num_envs
        self.settings = SETTINGS[settings]
        self.model = _model(self.settings)
        self._linkage = Linkage(self.model)
        self._batch = open_batch(self.model, num_envs, threads, engine)
        self._rows, self._ctrl = self._batch.bind("state"), self._batch.bind("ctrl")
        self._places, self._turns = self._batch.bind("site_xpos"), self._batch.bind("site_xmat")
        self._qpos = self._batch.bind("qpos")
        self._delay = self._batch.expand("actuator_delay")
        self._friction = self._batch.expand("dof_frictionloss")
        self._dofs = np.array([self.model.joint(name).dofadr[0] for name in JOINTS])
        self._head = self.model.site("head").id
        self._layout = _RowLayout(self.model)
        self._motors = Motors(num_envs)
        self._shaped = np.zeros(num_envs, dtype=np.bool_)

    def reset(self, ids: Ids, poses: Array, actuators: Actuators) -> None:
        """Stand still, exactly at a pose.

        Args:
            ids: (K,) which robots.
            poses: (K, 9).
            actuators: (K, 9), (K, 1) or scalars.

        Raises:
            WrongUseError: the legs cannot reach a pose.
        """
        qpos = self._linkage.positions(poses)
        refuse_unreachable(qpos, poses, ids, self.num_envs)
        joints = qpos[:, self._linkage.motors]
        before = in_series(actuators, IDENTIFIED)
        table = before.table(len(ids))
        slow = np.isfinite(table["bandwidth"]) | np.isfinite(table["rate_limit"])
        self._shaped[ids] = (slow | (table["gain"] != 1.0) | (table["backlash"] > 0)).any(axis=-1)
        self._motors.reset(ids, Actuators(**{**table, "delay": 0.0}), joints)
        told = self._motors.told(ids)
        self._rows[ids] = self._layout.rows(qpos, np.where(self._shaped[ids, None], joints, told))
        # Half a step early: on the very instant, rounding would decide which of two steps it is.
        steps = np.round(table["delay"] / self.settings.timestep)
        self._delay[ids] = np.maximum(steps - 0.5, 0.0) * self.settings.timestep
        self._friction[np.ix_(ids, self._dofs)] = self.model.dof_frictionloss[self._dofs] * table["friction"]
        self._batch.forward(ids)

    def step(self, targets: Array) -> None:
        """Advance a tick with (N, 9) rad on the actuators, in the order of ``JOINTS``.

        Raises:
            KitError: a simulation blew up.
        """
        if self._shaped.any():
            targets = np.where(self._shaped[:, None], self._motors.step(targets), targets)
        self._ctrl[:] = targets
        self._batch.step(nstep=self.settings.substeps)

    @property
    def head_rotation(self) -> Array:
        """(N, 3, 3) base ← head."""
        return self._turns[:, self._head].reshape(-1, 3, 3)

    @property
    def head_position(self) -> Array:
        """(N, 3) m, base frame."""
        return self._places[:, self._head] - _LIFT

    @property
    def state(self) -> Array:
        """(N, 9) measured, in the order of ``ACTION_NAMES``."""
        state = np.empty((self.num_envs, 9))
        state[:, HEAD][:, :3] = self.head_position
        state[:, HEAD][:, 3:] = euler_from_rotation(self.head_rotation)
        joints = self._qpos[:, self._linkage.motors]
        state[:, BODY_YAW] = joints[:, 0]
        state[:, ANTENNAS] = -joints[:, 7:]
        return state


_LIFT: Array = np.array([0.0, 0.0, HEAD_HEIGHT])


class _RowLayout:
    """Integration states of robots that stand still: a template with the joints and the remembered commands filled in.

    An actuator remembers its commands as two administrative numbers, the times and the values (MuJoCo 3.14, mjData's
    history).
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        data = mujoco.MjData(model)
        kinds = mujoco.mjtState
        self._template = np.empty(mujoco.mj_stateSize(model, kinds.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, data, self._template, kinds.mjSTATE_INTEGRATION)

        def first(kind: mujoco.mjtState) -> int:
            return int(mujoco.mj_stateSize(model, int(kind) - 1))  # the components before it

        self._qpos = slice(first(kinds.mjSTATE_QPOS), first(kinds.mjSTATE_QPOS) + model.nq)
        self._ctrl = slice(first(kinds.mjSTATE_CTRL), first(kinds.mjSTATE_CTRL) + model.nu)
        samples, history = int(model.actuator_history[0, 0]), first(kinds.mjSTATE_HISTORY)
        self._values = [
            slice(history + address + 2 + samples, history + address + 2 + 2 * samples)
            for address in model.actuator_historyadr.tolist()
        ]

    def rows(self, qpos: Array, commands: Array) -> Array:
        """(K, nstate) from (K, nq) joint positions and (K, 9) commands."""
        rows = np.tile(self._template, (len(qpos), 1))
        rows[:, self._qpos], rows[:, self._ctrl] = qpos, commands
        for joint, values in enumerate(self._values):
            rows[:, values] = commands[:, joint, None]
        return rows


@cache
def _model(settings: PhysicsSettings) -> mujoco.MjModel:
    """The stripped robot with these settings, its actuators able to be late."""
    samples = int(np.ceil(MAX_DELAY / settings.timestep)) + 2
    model = robot_model(drawing=False, timestep=settings.timestep, delay_samples=samples)
    if settings.integrator == "implicitfast":
        model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return model
