"""Positions of all joints of the closed chain in a given pose, in closed form: for resets, and to draw a robot.

The six motor angles are the kit's inverse kinematics. The ball joints remain: each rod turns about its arm's tip, by
the shortest rotation, until it points at its branch point; the sixth rod carries the head.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.joints import JOINTS, joint_targets
from reachy_sim.dynamics.model import HEAD_HEIGHT

LEGS = range(6)


@dataclass(frozen=True)
class _Frame:
    """Place and orientation in a parent frame."""

    rotation: Array
    """(3, 3) parent ← frame."""
    position: Array
    """(3,) m, in the parent frame."""

    @classmethod
    def of(cls, position: Array, quaternion: Array) -> "_Frame":
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, np.asarray(quaternion, dtype=np.float64))
        return cls(rotation.reshape(3, 3), np.array(position, dtype=np.float64))


class ClosedChain:
    """Positions of all the model's joints for a pose of the head.

    Args:
        model: the robot, with its own joint and site names.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.size = int(model.nq)
        self.motors = np.array([model.joint(name).qposadr[0] for name in JOINTS])
        self.balls = np.array([model.joint(f"passive_{ball}").qposadr[0] for ball in range(1, 8)])
        self._foot = self._body(model, model.joint("yaw_body").bodyid[0])
        rods = [model.joint(f"passive_{leg + 1}").bodyid[0] for leg in LEGS]
        self._arms = [self._body(model, model.body(rod).parentid[0]) for rod in rods]
        self._rods = [self._body(model, rod) for rod in rods]
        head = model.joint("passive_7").bodyid[0]
        self._head_on_rod = self._body(model, head)
        self._ends = np.array([model.site(f"closing_{leg}_1").pos for leg in range(1, 6)] + [model.body(head).pos])
        points = [model.site(f"closing_{leg}_2").pos for leg in range(1, 6)]
        self._points = np.array([*points, np.zeros(3)])
        site = model.site("head")
        self._site = _Frame.of(site.pos, site.quat)

    @staticmethod
    def _body(model: mujoco.MjModel, body: int) -> _Frame:
        return _Frame.of(model.body(body).pos, model.body(body).quat)

    def positions(self, pose: Array) -> Array:
        """Compute the joint positions at which all rods close.

        Args:
            pose: (..., 9) in the order of ``ACTION_NAMES``.

        Returns:
            (..., nq) rad and quaternions; NaN where the legs cannot reach.
        """
        motors = joint_targets(pose)
        qpos = np.zeros((*pose.shape[:-1], self.size))
        qpos[..., self.motors] = motors
        body = _turned(self._foot.rotation, motors[..., 0])
        head = pose_from_vector(pose)
        # The platform's own frame follows from the site in it.
        platform = _product(head[..., :3, :3], self._site.rotation.T)
        centre = head[..., :3, 3] + (0.0, 0.0, HEAD_HEIGHT) - _apply(platform, self._site.position)
        for leg in LEGS:
            arm_frame = self._arms[leg]
            arm = _turned(_product(body, arm_frame.rotation), motors[..., 1 + leg])
            tip = _apply(body, arm_frame.position) + self._foot.position + _apply(arm, self._rods[leg].position)
            rest = _product(arm, self._rods[leg].rotation)
            rod = centre + _apply(platform, self._points[leg]) - tip
            ball = _shortest_turn(self._ends[leg], _apply(np.swapaxes(rest, -1, -2), rod))
            qpos[..., self.balls[leg] : self.balls[leg] + 4] = ball
        carrier = _product(_product(rest, _rotation(ball)), self._head_on_rod.rotation)
        hinge = _quaternion(_product(np.swapaxes(carrier, -1, -2), platform))
        qpos[..., self.balls[6] : self.balls[6] + 4] = hinge
        return qpos


def _product(a: Array, b: Array) -> Array:
    """Matrix product (..., 3, 3), summed in one order whatever the size of the batch (BLAS does not)."""
    return np.asarray(sum(a[..., :, k, None] * b[..., None, k, :] for k in range(3)))


def _apply(rotation: Array, vector: Array) -> Array:
    """Rotate vectors: (..., 3, 3) and (..., 3) → (..., 3)."""
    return np.asarray(sum(rotation[..., :, k] * vector[..., k, None] for k in range(3)))


def _turned(rotation: Array, angle: Array) -> Array:
    """Follow a rotation by one about its own z axis: (..., 3, 3) and (...,) rad → (..., 3, 3)."""
    cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    about = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1.0], axis=-1)
    return _product(rotation, about.reshape(*angle.shape, 3, 3))


def _shortest_turn(start: Array, end: Array) -> Array:
    """Quaternion (..., 4) of the shortest rotation from one direction to another; they are never opposite here."""
    start = start / np.sqrt(np.sum(start * start, axis=-1, keepdims=True))
    end = end / np.sqrt(np.sum(end * end, axis=-1, keepdims=True))
    axis = np.cross(start, end)
    cosine = sum(start[..., k] * end[..., k] for k in range(3))
    quaternion = np.concatenate([np.broadcast_to(1.0 + cosine, end.shape[:-1])[..., None], axis], axis=-1)
    return np.asarray(quaternion / np.sqrt(np.sum(quaternion * quaternion, axis=-1, keepdims=True)))


def _rotation(quaternion: Array) -> Array:
    """Quaternion (..., 4) to rotation matrix (..., 3, 3)."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(entries, axis=-1).reshape(*w.shape, 3, 3)


def _quaternion(rotation: Array) -> Array:
    """Rotation matrix (..., 3, 3) to quaternion (..., 4), w ≥ 0; the largest component selects the stable formula."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.moveaxis(rotation, (-2, -1), (0, 1))
    symmetric = np.array(
        [
            [1 + xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz],
        ]
    )
    candidates = np.moveaxis(symmetric, (0, 1), (-2, -1))
    best = np.argmax(np.diagonal(candidates, axis1=-2, axis2=-1), axis=-1)
    chosen = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    chosen = chosen * np.where(chosen[..., :1] < 0, -1.0, 1.0)
    return np.asarray(chosen / np.sqrt(np.sum(chosen * chosen, axis=-1, keepdims=True)))
