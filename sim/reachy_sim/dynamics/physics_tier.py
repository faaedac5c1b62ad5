"""The physics tier: a batch of robots in MuJoCo with the daemon's own actuators and settings, 2 ms × 10 steps per tick.

Frames and order are those of reachy_kit.runtime.interface. Source of the conventions (antenna signs, head height,
joints): reachy_mini.daemon.backend.mujoco (1.12).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import mujoco
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.geometry import euler_from_rotation
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, HEAD, Array
from reachy_sim.dynamics.actuators import IDENTIFIED, MAX_DELAY, Actuators, Motors, in_series
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.joints import JOINTS, Ids, refuse_unreachable
from reachy_sim.dynamics.model import HEAD_HEIGHT, TIMESTEP, robot_model
from reachy_sim.dynamics.mujoco_batch import Engine, open_batch
from reachy_sim.dynamics.outside_forces import OutsideForces


@dataclass(frozen=True)
class PhysicsSettings:
    """How finely MuJoCo integrates. Errors of the other settings against ``daemon``: sim/RESULTS.md."""

    timestep: float = TIMESTEP
    """Physics step, s."""
    integrator: Literal["euler", "implicitfast"] = "euler"

    @property
    def substeps(self) -> int:
        """Physics steps per control tick."""
        return round(1 / (CONTROL_HZ * self.timestep))


SETTINGS = {
    "daemon": PhysicsSettings(),
    "fast": PhysicsSettings(0.005, "implicitfast"),
    "coarse": PhysicsSettings(0.010, "implicitfast"),
}
"""Settings by name; the robot's own simulation runs with ``daemon``."""


class Physics:
    """N robots in separate simulations, stepped a control tick at a time.

    Args:
        num_envs: N.
        settings: name of the physics' settings.
        threads: 0 takes every core.
        engine: the library that steps MuJoCo.

    Raises:
        WrongUseError: the settings do not exist.
    """

    def __init__(
        self, num_envs: int = 1, settings: str = "daemon", *, threads: int = 0, engine: Engine = "auto"
    ) -> None:
        if settings not in SETTINGS:
            raise WrongUseError(f"no physics settings are called {settings!r}; there are {', '.join(SETTINGS)}")
        self.num_envs = num_envs
        self._arguments = (num_envs, settings, threads, engine)
        self.settings = SETTINGS[settings]
        self.model = _model(self.settings)
        self._chain = ClosedChain(self.model)
        self._batch = open_batch(self.model, num_envs, threads, engine)
        self._rows, self._ctrl = self._batch.bind("state"), self._batch.bind("ctrl")
        self._site_positions, self._site_rotations = self._batch.bind("site_xpos"), self._batch.bind("site_xmat")
        self._qpos = self._batch.bind("qpos")
        self._delay = self._batch.expand("actuator_delay")
        self._friction = self._batch.expand("dof_frictionloss")
        self._dofs = np.array([self.model.joint(name).dofadr[0] for name in JOINTS])
        self._head = self.model.site("head").id
        self._layout = _RowLayout(self.model)
        self._motors = Motors(num_envs)
        self._outside = OutsideForces(self.model, self._rows)
        self._servos: dict[str, Array] = {}
        self._limp: npt.NDArray[np.bool_] = np.zeros(num_envs, dtype=np.bool_)
        self._shaped: npt.NDArray[np.bool_] = np.zeros(num_envs, dtype=np.bool_)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle: the engine is opened again, and its arrays filled in."""
        arrays = {name: np.array(getattr(self, name)) for name in _LIVE}
        return _restore, (self._arguments, arrays, self._motors, self._shaped, np.flatnonzero(self._limp))

    def reset(self, ids: Ids, poses: Array, actuators: Actuators) -> None:
        """Place robots exactly at poses, at rest.

        Args:
            ids: (K,) indices of the robots.
            poses: (K, 9).
            actuators: (K, 9), (K, 1) or scalars.

        Raises:
            WrongUseError: the legs cannot reach a pose.
        """
        qpos = self._chain.positions(poses)
        refuse_unreachable(qpos, poses, ids, self.num_envs)
        joints = qpos[:, self._chain.motors]
        before = in_series(actuators, IDENTIFIED)
        table = before.table(len(ids))
        slow = np.isfinite(table["bandwidth"]) | np.isfinite(table["rate_limit"])
        self._shaped[ids] = (slow | (table["gain"] != 1.0) | (table["backlash"] > 0)).any(axis=-1)
        self._motors.reset(ids, replace(before, delay=0.0), joints)
        commands = self._motors.commands(ids)
        self._rows[ids] = self._layout.rows(qpos, np.where(self._shaped[ids, None], joints, commands))
        # Half a step early: exactly on the step, rounding would decide between two steps.
        steps = np.round(table["delay"] / self.settings.timestep)
        self._delay[ids] = np.maximum(steps - 0.5, 0.0) * self.settings.timestep
        self._friction[np.ix_(ids, self._dofs)] = self.model.dof_frictionloss[self._dofs] * table["friction"]
        if self._limp[ids].any():
            self.set_torque(ids, on=True)
        self._batch.forward(ids)

    def set_torque(self, ids: Ids, *, on: bool, weightless: bool = False) -> None:
        """Switch the motors of robots ``ids`` on or off; ``weightless`` ones carry the weight and nothing else."""
        if not self._servos:
            self._servos = {name: self._batch.expand(name) for name in _SERVO}
        for name, values in self._servos.items():
            values[ids] = getattr(self.model, name) if on else 0.0
        self._limp[ids] = not on
        self._outside.carry_weight(ids, carried=weightless and not on)

    def pull_head(self, ids: Ids, force: Array, torque: Array) -> None:
        """Pull at the heads of robots ``ids`` until the next call: (K, 3) N and (K, 3) N·m, base frame."""
        self._outside.pull_head(ids, force, torque, self.head_rotation[ids])

    def step(self, targets: Array, push: Callable[[float], None] | None = None) -> None:
        """Advance a tick.

        Args:
            targets: (N, 9) rad on the actuators, in the order of ``JOINTS``.
            push: called before each physics step with its length in s, to pull at heads; None where nothing changes.
        """
        if self._shaped.any():
            targets = np.where(self._shaped[:, None], self._motors.step(targets), targets)
        self._ctrl[:] = targets
        if push is None:
            self._batch.step(nstep=self.settings.substeps)
            return
        for _ in range(self.settings.substeps):
            push(self.settings.timestep)
            self._batch.step(nstep=1)

    @property
    def head_rotation(self) -> Array:
        """(N, 3, 3) base ← head."""
        return self._site_rotations[:, self._head].reshape(-1, 3, 3)

    @property
    def head_position(self) -> Array:
        """(N, 3) m, base frame."""
        return self._site_positions[:, self._head] - _LIFT

    @property
    def state(self) -> Array:
        """(N, 9) measured, in the order of ``ACTION_NAMES``."""
        state = np.empty((self.num_envs, 9))
        state[:, HEAD][:, :3] = self.head_position
        state[:, HEAD][:, 3:] = euler_from_rotation(self.head_rotation)
        joints = self._qpos[:, self._chain.motors]
        state[:, BODY_YAW] = joints[:, 0]
        state[:, ANTENNAS] = -joints[:, 7:]
        return state


_LIVE = ("_rows", "_ctrl", "_site_positions", "_site_rotations", "_qpos", "_delay", "_friction")
"""The engine's arrays. The derived ones are copied too: MuJoCo derives them from the state before the last step."""


def _restore(
    arguments: tuple[int, str, int, Engine],
    arrays: dict[str, Array],
    motors: Motors,
    shaped: npt.NDArray[np.bool_],
    limp: Ids,
) -> Physics:
    num_envs, settings, threads, engine = arguments
    physics = Physics(num_envs, settings, threads=threads, engine=engine)
    if limp.size:
        physics.set_torque(limp, on=False)
    for name, values in arrays.items():
        getattr(physics, name)[...] = values
    physics._motors, physics._shaped = motors, shaped
    return physics


_SERVO = ("actuator_gainprm", "actuator_biasprm")
"""The model's fields that make a motor follow its target; where they are 0 it does nothing."""
_LIFT: Array = np.array([0.0, 0.0, HEAD_HEIGHT])


class _RowLayout:
    """Integration states of robots at rest: a template, with the joints and the remembered commands filled in.

    An actuator's history is two administrative numbers, the times and the values of its commands (MuJoCo 3.14, mjData).
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
        """Integration states (K, nstate) from (K, nq) joint positions and (K, 9) rad of commands."""
        rows = np.tile(self._template, (len(qpos), 1))
        rows[:, self._qpos], rows[:, self._ctrl] = qpos, commands
        for joint, values in enumerate(self._values):
            rows[:, values] = commands[:, joint, None]
        return rows


@cache
def _model(settings: PhysicsSettings) -> mujoco.MjModel:
    """The robot without meshes with these settings; its actuators can delay their commands."""
    samples = int(np.ceil(MAX_DELAY / settings.timestep)) + 2
    model = robot_model(drawing=False, timestep=settings.timestep, delay_samples=samples)
    if settings.integrator == "implicitfast":
        model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return model
