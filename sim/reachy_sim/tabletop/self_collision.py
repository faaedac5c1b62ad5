"""Distances between parts of the robot that move against each other: head and body, antennas and all three.

Shapes: the daemon's own collision meshes of head and body (convex pieces, the head in one), and the drawn meshes of the
antennas as convex hulls. A hull is at least as large as its part, so that a positive distance excludes a touch.
Try it: .venv/bin/python -m reachy_sim.tabletop.self_collision
"""

from dataclasses import dataclass
from itertools import product

import mujoco
import numpy as np

from reachy_kit.runtime.interface import ACTION_NAMES, BODY_YAW, NEUTRAL, SLEEP, YAW, Array
from reachy_kit.runtime.kinematics.reach import in_reach
from reachy_kit.runtime.safety import CLASSROOM, RESTING, LimitsProfile
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.model import robot_spec

HEAD, BODY = "xl_330", "body_down_3dprint"
ANTENNA = {"right antenna": "dc15_a01_horn_dummy_7", "left antenna": "dc15_a01_horn_dummy_8"}
_ANTENNA_MESH = "antenna"
_FAR = 0.2
"""Distance beyond which MuJoCo stops looking, m."""
_POPULATION, _ELITE, _GENERATIONS = 200, 20, 25


@dataclass(frozen=True)
class Closest:
    """Where two parts come closest."""

    parts: str
    distance: float
    """m; negative where the shapes overlap."""
    pose: Array
    """(9,)."""

    def format(self) -> str:
        """Format a line of the report."""
        shown = [*np.round(1e3 * self.pose[:3]), *np.round(np.rad2deg(self.pose[3:]))]
        pose = ", ".join(
            f"{name.removesuffix('.pos')} {value:.0f}{unit}"
            for name, value, unit in zip(ACTION_NAMES, shown, [*3 * (" mm",), *6 * ("°",)], strict=True)
        )
        return f"{self.parts:>20}: {1e3 * self.distance:6.1f} mm at {pose}"


class PartDistances:
    """Distances between parts of one robot, in any pose."""

    def __init__(self) -> None:
        spec = robot_spec(drawing=False, keep=(_ANTENNA_MESH,))
        self._model = spec.compile()
        self._data, self._chain = mujoco.MjData(self._model), ClosedChain(self._model)
        shapes = {name: self._geoms(body) for name, body in {"head": HEAD, "body": BODY, **ANTENNA}.items()}
        self.pairs = {
            "head and body": list(product(shapes["head"], shapes["body"])),
            "antennas and body": [*product(shapes["right antenna"] + shapes["left antenna"], shapes["body"])],
            "antennas and head": [*product(shapes["right antenna"] + shapes["left antenna"], shapes["head"])],
            "antenna and antenna": [*product(shapes["right antenna"], shapes["left antenna"])],
        }

    def _geoms(self, body: str) -> list[int]:
        first, count = self._model.body(body).geomadr[0], self._model.body(body).geomnum[0]
        return [int(geom) for geom in range(first, first + count)]

    def distances(self, poses: Array, parts: str) -> Array:
        """Smallest distance of two parts in (N, 9) reachable poses, (N,) m; negative where their shapes overlap."""
        result = np.empty(len(poses))
        for index, qpos in enumerate(self._chain.positions(poses)):
            self._data.qpos[:] = qpos
            mujoco.mj_kinematics(self._model, self._data)
            result[index] = min(
                mujoco.mj_geomDistance(self._model, self._data, first, second, _FAR, None)
                for first, second in self.pairs[parts]
            )
        return result


def closest(distances: PartDistances, parts: str, profile: LimitsProfile, seed: int = 0) -> Closest:
    """Search a profile's box for the reachable pose in which two parts come closest.

    The body stays ahead: it turns with the head and changes nothing between them.

    Source: cross-entropy method (Rubinstein 1999) over eight numbers, after a first generation over the whole box.
    """
    rng = np.random.default_rng(seed)
    axes = [axis for axis in range(9) if axis != BODY_YAW]
    low, high = profile.low.copy(), profile.high.copy()
    low[YAW], high[YAW] = -profile.relative_yaw, profile.relative_yaw
    share, spread, best = np.full(9, 0.5), np.full(9, 0.5), Closest(parts, np.inf, NEUTRAL)
    for _ in range(_GENERATIONS):
        drawn = np.clip(share + spread * rng.normal(size=(4 * _POPULATION, 9)), 0.0, 1.0)
        poses = low + drawn * (high - low)
        poses[:, BODY_YAW] = 0.0
        inside = np.flatnonzero(in_reach(poses))[:_POPULATION]
        found = distances.distances(poses[inside], parts)
        order = np.argsort(found)
        if found[order[0]] < best.distance:
            best = Closest(parts, float(found[order[0]]), poses[inside[order[0]]].copy())
        elite = drawn[inside[order[:_ELITE]]]
        share[axes], spread[axes] = elite.mean(axis=0)[axes], elite.std(axis=0)[axes] + 0.02
    return best


def main() -> None:
    """Search both profiles for the poses in which parts come closest; print them, and the neutral and sleep poses."""
    distances = PartDistances()
    for name, pose in {"neutral": NEUTRAL, "sleep": SLEEP}.items():
        for parts in distances.pairs:
            print(f"{name:>9}  {Closest(parts, float(distances.distances(pose[None], parts)[0]), pose).format()}")
    for profile in (CLASSROOM, RESTING):
        for parts in distances.pairs:
            worst = min((closest(distances, parts, profile, seed) for seed in range(3)), key=lambda at: at.distance)
            print(f"{profile.name:>9}  {worst.format()}")


if __name__ == "__main__":
    main()
