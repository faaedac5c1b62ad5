"""The robot's own daemon, with motors that can be switched off as a real robot's and with a hand on the head.

Its simulation answers every motor mode and changes nothing. Here MuJoCo's motors lose their gain in the mode, and keep
it otherwise; like daemon 1.12, this one remembers old targets. The hand is a spring: it turns the head towards the
angle that stands in the file named by ``HAND``, in radians; without the file it is away. While a file of that name
with ``.mute`` behind it exists, the daemon fails to say its motors' mode; ``.stubborn`` makes it refuse once to switch
them on. Motors whose names stand in the file with ``.limp`` are limp though switched on, as after an error of a servo.
A file with ``.again`` takes the simulation back to where it started, and is removed by that.
"""

import os
from pathlib import Path

import mujoco
import numpy as np
from reachy_mini.daemon.app.main import main
from reachy_mini.daemon.backend.mujoco.backend import MujocoBackend
from reachy_mini.io.protocol import MotorControlMode

HAND = Path(os.environ["HAND"])
MUTE, STUBBORN, LIMP, AGAIN = (HAND.with_suffix(suffix) for suffix in (".mute", ".stubborn", ".limp", ".again"))
NAMES = ("body_rotation", *(f"stewart_{leg}" for leg in range(1, 7)), "right_antenna", "left_antenna")
STIFFNESS, DAMPING, STRENGTH = 12.0, 0.4, 1.5
STATE = mujoco.mjtState.mjSTATE_INTEGRATION
update = MujocoBackend.update_head_kinematics_model


def motors(backend):
    if not hasattr(backend, "servos"):
        backend.mode = MotorControlMode.Enabled
        backend.servos = backend.model.actuator_gainprm.copy(), backend.model.actuator_biasprm.copy()
        backend.limp = []
    return backend.servos


def switch(backend, rows, on):
    gain, bias = motors(backend)
    backend.model.actuator_gainprm[rows] = gain[rows] if on else 0.0
    backend.model.actuator_biasprm[rows] = bias[rows] if on else 0.0


def set_mode(backend, mode):
    motors(backend)
    if mode == MotorControlMode.GravityCompensation:
        raise ValueError("Gravity compensation requires the Placo kinematics engine.")
    if mode == MotorControlMode.Enabled and STUBBORN.exists():
        STUBBORN.unlink()
        raise ValueError("The motors do not answer.")
    backend.mode = mode
    switch(backend, slice(None), mode == MotorControlMode.Enabled)
    backend.limp = []


def fail(backend):
    motors(backend)
    limp = LIMP.read_text().split() if LIMP.exists() else []
    if limp != backend.limp:
        switch(backend, slice(None), backend.mode == MotorControlMode.Enabled)
        switch(backend, [NAMES.index(name) for name in limp], False)
        backend.limp = limp


def set_torque(backend, ids, on):
    switch(backend, [NAMES.index(name) for name in ids], on)


def get_mode(backend):
    motors(backend)
    if MUTE.exists():
        raise RuntimeError("mute")
    return backend.mode


def start(backend):
    """Keep the physics as they are at the first tick; take the daemon back to them where that is wanted."""
    if not hasattr(backend, "first"):
        backend.first = np.empty(mujoco.mj_stateSize(backend.model, STATE))
        mujoco.mj_getState(backend.model, backend.data, backend.first, STATE)
    elif AGAIN.exists():
        mujoco.mj_setState(backend.model, backend.data, backend.first, STATE)
        mujoco.mj_forward(backend.model, backend.data)
        backend.target_head_pose = backend.target_body_yaw = None
        backend.target_head_joint_positions = backend.target_antenna_joint_positions = None
        backend.ik_required = False
        backend.head_kinematics = type(backend.head_kinematics)()  # its forward kinematics start from the last pose
        set_mode(backend, MotorControlMode.Enabled)
        AGAIN.unlink()


def pull(backend):
    """Let the hand turn the head."""
    body = backend.model.site_bodyid[backend.head_site_id]
    backend.data.xfrc_applied[body] = 0.0
    try:
        wanted = float(HAND.read_text())
    except (OSError, ValueError):
        return
    rotation = backend.data.site_xmat[backend.head_site_id].reshape(3, 3)
    yaw, speed = np.arctan2(rotation[1, 0], rotation[0, 0]), np.empty(6)
    mujoco.mj_objectVelocity(backend.model, backend.data, mujoco.mjtObj.mjOBJ_SITE, backend.head_site_id, speed, 0)
    torque = STIFFNESS * (wanted - yaw) - DAMPING * speed[2]
    backend.data.xfrc_applied[body, 5] = np.clip(torque, -STRENGTH, STRENGTH)


def tick(backend, *measured):
    """Called by the daemon's loop alone, between two steps of the physics. What it measured may be of before."""
    start(backend)
    fail(backend)
    pull(backend)
    update(backend)


MujocoBackend.set_motor_control_mode = set_mode
MujocoBackend.get_motor_control_mode = get_mode
MujocoBackend.set_motor_torque_ids = set_torque
MujocoBackend.update_head_kinematics_model = tick

if __name__ == "__main__":
    main()
