"""The robot's model with lighter meshes: 127,000 triangles instead of 940,000, for a browser or a CPU that draws."""

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import fast_simplification
import mujoco
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.model import add_ball, mjcf_path

type Colour = tuple[int, int, int]
type Mesh = tuple[Array, npt.NDArray[np.int32]]
"""Vertices (V, 3) m and faces (F, 3)."""

_INSIDE = ("dc15_a01_case", "dc15_a01_led", "phs_", "bts2", "b3b", "5w_speaker", "bearing_")
"""Parts inside the shell, with two fifths of all triangles: servos, screws, plugs, the speaker and the bearing."""
_SHARE = 0.2
"""Share of a mesh's triangles that stay. The shell looks the same at 1 m; below a tenth its curves turn into facets."""
_SMALL = 800
"""Number of triangles up to which a mesh is left as it is."""
_AGGRESSIVENESS = 5
"""Aggressiveness of the simplification, 0 to 10. At 3 it stopped at three quarters of the
triangles, at 7 it tore the shell."""
_COLLIDES = 3
"""Geom group of the collision meshes, which are not drawn."""


def light_model() -> mujoco.MjModel:
    """The daemon's robot and the ball, to be drawn and not simulated; the first call takes two seconds."""
    return copy.copy(_light())


def body_meshes(model: mujoco.MjModel, body: int) -> dict[Colour, Mesh]:
    """A body's surface in its frame, joined by colour.

    Args:
        model: of ``light_model``.
        body: its index.
    """
    pieces: dict[Colour, list[Mesh]] = {}
    for geom in np.flatnonzero((model.geom_bodyid == body) & (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)):
        mesh = model.mesh(model.geom_dataid[geom])
        vertices = model.mesh_vert[mesh.vertadr[0] :][: mesh.vertnum[0]]
        faces = model.mesh_face[mesh.faceadr[0] :][: mesh.facenum[0]]
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        placed = vertices @ rotation.reshape(3, 3).T + model.geom_pos[geom]
        rgba = model.mat_rgba[model.geom_matid[geom]]
        colour = (round(255 * rgba[0]), round(255 * rgba[1]), round(255 * rgba[2]))
        pieces.setdefault(colour, []).append((placed, faces))
    return {colour: joined(meshes) for colour, meshes in pieces.items()}


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Meshes as one."""
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    faces = [faces + offset for (_, faces), offset in zip(meshes, offsets, strict=False)]
    return np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(faces)


@cache
def _light() -> mujoco.MjModel:
    full, spec = _visible().compile(), _visible()
    for mesh in spec.meshes:
        vertices, faces = _in_file_frame(full, mesh.name or Path(mesh.file).stem)
        if len(faces) > _SMALL:
            # In millimetres: the library drops very short edges.
            vertices, faces = fast_simplification.simplify(
                1e3 * vertices, faces, target_count=max(_SMALL, round(_SHARE * len(faces))), agg=_AGGRESSIVENESS
            )
            vertices = vertices / 1e3
        mesh.name, mesh.file = mesh.name or Path(mesh.file).stem, ""
        mesh.uservert, mesh.userface = vertices.astype(np.float32).ravel(), faces.astype(np.int32).ravel()
        mesh.scale, mesh.refpos, mesh.refquat = [1, 1, 1], [0, 0, 0], [1, 0, 0, 0]
    add_ball(spec)
    return spec.compile()


def _visible() -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_file(str(mjcf_path()))
    for geom in list(spec.geoms):
        if geom.group == _COLLIDES or geom.meshname.startswith(_INSIDE):
            spec.delete(geom)
    drawn = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if Path(mesh.name or mesh.file).stem not in drawn:
            spec.delete(mesh)
    return spec


def _in_file_frame(model: mujoco.MjModel, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Vertices (V, 3) m and faces (F, 3) in the file's frame; the compiler moves vertices to the centre of mass."""
    mesh = model.mesh(name)
    vertices = model.mesh_vert[mesh.vertadr[0] :][: mesh.vertnum[0]]
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.mesh_quat[mesh.id])
    faces = model.mesh_face[mesh.faceadr[0] :][: mesh.facenum[0]]
    moved = vertices @ rotation.reshape(3, 3).T + model.mesh_pos[mesh.id]
    return moved.astype(np.float32), faces.astype(np.int32)
