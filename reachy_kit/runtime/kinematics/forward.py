"""From six motor angles to the head's pose, which has no closed form: a search that ends where the rods fit."""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.kinematics.linkage import (
    HEAD_Z_OFFSET,
    ROD_LENGTH,
    Array,
    arm_tips,
    batch_last,
    branch_arms,
    cross,
    dot,
    in_body_frame,
    turned,
)

_FLOOR = 1e-12
_MAX_ITERATIONS = 50  # 42,000 random reachable poses took 7 in the median, 24 at most
_TOLERANCE = 1e-10  # of the last step, rad and platform radii; the error it leaves is about its square
PLATFORM_RADIUS = 0.03  # m to the branch points: makes metres and radians comparable in a step
_DAMPING = 0.3  # times the largest squared error: 0.01 to 1 lose none of 42,000 reachable poses, 0 loses 237


@np.errstate(invalid="ignore", divide="ignore", over="ignore")
def forward(stewart: npt.ArrayLike, body_yaw: npt.ArrayLike, guess: npt.ArrayLike | None = None) -> Array:
    """Head pose at given motor angles.

    Six angles can fit several poses. Without a guess this is the one on the neutral pose's side of the platform's
    singularity. Of random reachable poses none of 460,000 within 2 cm and 20° of roll and pitch lay beyond it, but a
    tenth of those within 6 cm and 50°. Such a pose needs a guess near it, the last pose for instance.

    Args:
        stewart: (..., 6) rad, stewart_1..6.
        body_yaw: (...,) rad.
        guess: (..., 4, 4) base ← head, where to start looking. Default, and second try where the guess fails:
            neutral, turned with the body.

    Returns:
        (..., 4, 4) base ← head, translation in m from the neutral head; NaN if none upright, facing forward, is found.

    Source: Levenberg-Marquardt with damping in proportion to the squared error (Fan and Yuan, Computing 74, 2005).
    """
    angles, yaw = np.asarray(stewart, np.float64), np.asarray(body_yaw, np.float64)
    shape = np.broadcast_shapes(angles.shape[:-1], yaw.shape, () if guess is None else np.asarray(guess).shape[:-2])
    tips, yaw = arm_tips(batch_last(angles, shape, (6,))), batch_last(yaw, shape, ())
    pose = np.full((3, 4, yaw.size), np.nan)
    for start, turn in ((guess, yaw), (np.eye(4), np.zeros_like(yaw))):
        if start is not None:
            missing = np.flatnonzero(np.isnan(pose[0, 0]))
            first = in_body_frame(batch_last(np.asarray(start, np.float64), shape, (4, 4)), turn)
            pose[..., missing] = assemble(tips[..., missing], orthonormal(first[..., missing]))
    return _in_base_frame(pose, yaw).reshape(*shape, 4, 4)


def _in_base_frame(pose: Array, yaw: Array) -> Array:
    """(3, 4, N) body ← head → (N, 4, 4) base ← head, from neutral; an element of NaN stays all NaN."""
    result = np.full((yaw.size, 4, 4), [0.0, 0.0, 0.0, 1.0])
    result[:, :3] = np.moveaxis(turned(pose, yaw), -1, 0)
    result[:, 2, 3] -= HEAD_Z_OFFSET
    result[np.isnan(result).any(axis=(1, 2))] = np.nan
    return result


def orthonormal(pose: Array) -> Array:
    """(3, 4, N) with the rotation made exact (Gram-Schmidt): printed poses are rounded."""
    x = pose[:, 0] / np.sqrt(dot(pose[:, 0], pose[:, 0]))
    z = cross(x, pose[:, 1])
    z /= np.sqrt(dot(z, z))
    return np.stack([x, cross(z, x), z, pose[:, 3]], axis=1)


def assemble(tips: Array, pose: Array) -> Array:
    """Pose at which every rod fits from tip to branch point, or NaN.

    Args:
        tips: (3, 6, N) m, tips of the motor arms, body frame.
        pose: (3, 4, N) body ← head, where the search starts.

    Returns:
        (3, 4, N) body ← head.
    """
    result = np.full_like(pose, np.nan)
    moving = np.arange(pose.shape[-1])
    for _ in range(_MAX_ITERATIONS):
        errors, slopes = rod_errors(tips, pose)
        step = _damped_step(errors, slopes)
        pose = _moved(pose, step)
        unfinished = (
            np.abs(step).max(axis=0) >= _TOLERANCE
        )  # not for NaN, nor where the rods fit as well as they ever will
        fits = ~unfinished & (np.abs(errors).max(axis=0) < 10 * _TOLERANCE)
        result[..., moving[fits]] = pose[..., fits]
        moving, pose, tips = moving[unfinished], pose[..., unfinished], tips[..., unfinished]
        if not moving.size:
            break
    result[:, :, (result[2, 2] <= 0) | (result[0, 0] <= 0)] = np.nan  # upside down or backwards
    return result


def rod_errors(tips: Array, pose: Array) -> tuple[Array, Array]:
    """Excess length of each rod, (6 legs, N) platform radii, and its derivatives by `_moved`'s step, (6, 6 legs, N)."""
    arms = branch_arms(pose)
    rods = arms + pose[:, 3, None] - tips
    errors = (dot(rods, rods) - ROD_LENGTH**2) * (0.5 / ROD_LENGTH / PLATFORM_RADIUS)
    slopes = np.empty((6, *errors.shape))
    slopes[:3] = rods
    slopes[3:] = cross(arms / PLATFORM_RADIUS, rods)
    slopes /= ROD_LENGTH
    return errors, slopes


def _damped_step(errors: Array, slopes: Array) -> Array:
    """(6, N) translation in platform radii and rotation vector that reduce the errors: (SᵀS + λ) step = -Sᵀ e."""
    right = np.concatenate([slopes, -errors[None]])
    system = np.zeros((6, 7, errors.shape[-1]))
    for leg in range(6):
        system += slopes[:, None, leg] * right[:, leg]
    system[range(6), range(6)] += _DAMPING * (errors * errors).max(axis=0) + _FLOOR  # solvable even at a singularity
    eliminate(system)
    return system[:, 6]


def eliminate[Real: np.floating](system: npt.NDArray[Real]) -> None:
    """Solve (6, 6 + K, N) in place, for K right-hand sides: Gauss-Jordan. Positive definite, so no pivoting."""
    for row in range(6):
        reduced = system[row, row + 1 :] / system[row, row]
        system[:, row + 1 :] -= system[:, row, None] * reduced
        system[row, row + 1 :] = reduced


def _moved(pose: Array, step: Array) -> Array:
    """(3, 4, N) pose after a step. Cayley's rotation, the exponential's to second order without its trigonometry."""
    x, y, z = half = step[3:] / 2
    xx, yy, zz = half * half
    xy, yz, zx = x * y, y * z, z * x
    turn = np.empty((3, 3, step.shape[-1]))
    turn[0, 0], turn[0, 1], turn[0, 2] = 1 + xx - yy - zz, 2 * (xy - z), 2 * (zx + y)
    turn[1, 0], turn[1, 1], turn[1, 2] = 2 * (xy + z), 1 - xx + yy - zz, 2 * (yz - x)
    turn[2, 0], turn[2, 1], turn[2, 2] = 2 * (zx - y), 2 * (yz + x), 1 - xx - yy + zz
    turn /= 1 + xx + yy + zz
    moved = np.empty_like(pose)
    moved[:, :3] = dot(np.swapaxes(turn, 0, 1)[:, :, None], pose[:, None, :3])
    moved[:, 3] = pose[:, 3] + PLATFORM_RADIUS * step[:3]
    return moved
