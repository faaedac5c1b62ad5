"""Least squares of the motor model: a coarse grid of starts, and the refinement of all joints at once."""

import numpy as np
from scipy.optimize import least_squares

from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.joints import JOINTS
from reachy_sim.sysid.fit_uncertainty import KNOWN_DAMPING
from reachy_sim.sysid.motor_model import DAMPING, NAMES, RATE, MotorModel

_STARTS = {
    "delay": np.linspace(0.0, 0.1, 6),
    "bandwidth": np.geomspace(1.0, 20.0, 8),
    "damping": np.array([0.5, 0.9, 1.5]),
}


def grid_starts(model: MotorModel, fastest: Array) -> tuple[Array, Array]:
    """Best parameters of a coarse grid: without a rate limit, and with one just below the fastest measured motion.

    Args:
        model: the motors on the recording.
        fastest: (9,) rad/s.

    Returns:
        (9, 6) each.
    """
    grid = np.stack([values.ravel() for values in np.meshgrid(*_STARTS.values(), indexing="ij")], axis=-1)
    starts = []
    for rate in (np.full(len(JOINTS), np.inf), np.log(fastest)):
        candidates = np.empty((len(grid), len(JOINTS), len(NAMES)))
        candidates[..., [0, 3, 4]] = np.column_stack([grid[:, 0], np.log(grid[:, 1:])])[:, None]
        candidates[..., 1], candidates[..., 2], candidates[..., RATE] = 1.0, 0.005, rate
        costs = [np.mean(model.errors(part) ** 2, axis=1) for part in np.array_split(candidates, len(grid) // 24)]
        best = np.argmin(np.concatenate(costs), axis=0)
        starts.append(candidates[best, range(len(JOINTS))])
    return starts[0], starts[1]


def refine(model: MotorModel, start: Array, parts: int, doubt: Array | None = None, tries: int = 40) -> Array:
    """Fit parameters by least squares, all joints in one call: a run of the model costs the same for nine as for one.

    Args:
        model: the motors on the recording.
        start: (9, 6) first parameters.
        parts: leading columns that are fitted.
        doubt: (9,) rad² of doubt in the data; with it, prior knowledge of damping counts too.
        tries: evaluations of the model.

    Returns:
        (9, 6).
    """
    joints = len(JOINTS)
    weight = 1 / np.std(model.recording.measured, axis=0)
    known = np.zeros(joints) if doubt is None else weight * np.sqrt(doubt) / KNOWN_DAMPING
    last: dict[bytes, tuple[Array, Array]] = {}

    def errors_and_slopes(x: Array) -> tuple[Array, Array]:
        if x.tobytes() not in last:
            full = start.copy()
            full[:, :parts] = x.reshape(joints, parts)
            errors, slopes = model.slopes(full)
            off, table = np.zeros((joints, parts + 2)), np.zeros((joints, parts + 2, joints, parts))
            for joint in range(joints):
                # QR turns thousands of errors into one per parameter and one that no parameter changes. Lengths and
                # angles, all that least squares depend on, stay the same.
                basis, triangle = np.linalg.qr(slopes[:, joint, :parts] * weight[joint])
                error = errors[:, joint] * weight[joint]
                off[joint, :parts] = basis.T @ error
                off[joint, parts] = np.sqrt(max(error @ error - off[joint, :parts] @ off[joint, :parts], 0.0))
                table[joint, :parts, joint] = triangle
            off[:, -1] = known * full[:, DAMPING]
            table[range(joints), -1, range(joints), DAMPING] = known
            last.clear()
            last[x.tobytes()] = off.ravel(), table.reshape(off.size, -1)
        return last[x.tobytes()]

    low, high = np.tile(model.low[:parts], joints), np.tile(model.high[:parts], joints)
    inside = np.minimum((high - low) / 4, 1e-3)
    first = np.clip(start[:, :parts].ravel(), low + inside, high - inside)
    # Typical change of each parameter: 10 ms, a tenth, 10 mrad, and shares of a third.
    scale = np.tile([0.01, 0.1, 0.01, 0.3, 0.3, 0.3][:parts], joints)
    fit = least_squares(
        lambda x: errors_and_slopes(x)[0],
        first,
        lambda x: errors_and_slopes(x)[1],
        bounds=(low, high),
        x_scale=scale,
        max_nfev=tries,
        ftol=1e-7,
    )
    full = start.copy()
    full[:, :parts] = fit.x.reshape(joints, parts)
    return full
