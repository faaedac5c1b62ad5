"""The deployable policy: a zip of ONNX graphs and a manifest that says what goes in, what comes out, and where from.

Nothing in it is code. Only the manifest and the files that it lists are read, up to a fixed size in all.
"""

import contextlib
import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from reachy_kit.runtime.durable_files import replace_file
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS, CONTROL_HZ, POLICY_RATES
from reachy_kit.runtime.json_record import mistyped_fields
from reachy_kit.runtime.safety import PROFILES

SCHEMA = 2
"""Version of the manifest; raised when older bundles can no longer be run."""
MANIFEST = "manifest.json"
_MAX_BYTES = 512 * 2**20
"""Largest size of the manifest, and of all files that it lists, bytes; more is refused before it is unpacked."""


@dataclass(frozen=True)
class Graph:
    """One ONNX graph of a policy."""

    file: str
    role: Literal["chunk", "step"]
    """``chunk`` plans a few actions at a time; ``step`` corrects each of them."""
    inputs: dict[str, list[int]]
    """Inputs: name → shape, batch first."""
    outputs: dict[str, list[int]]
    """Name → shape, batch first."""
    hz: int
    """Decisions per second."""
    n_obs_steps: int
    """Number of observations that it takes."""
    chunk_size: int
    """Number of actions that it plans."""
    n_action_steps: int
    """Number of actions of a plan that are carried out before the next plan."""
    temporal_ensemble_coeff: float | None = None
    """Averages overlapping plans (``chunked.TemporalEnsembler``); None carries plans out one after the other."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds, what it was trained on, and the robot that it is for."""

    task: str
    graphs: list[Graph]
    environment_state: tuple[str, ...]
    """Names of its input features, in order."""
    environment_state_units: tuple[str, ...]
    parity_error: float
    """Largest difference between ONNX and the trained network over ``parity_observations``, m and rad."""
    parity_observations: int
    """Recorded observations on which ONNX and the trained network were compared."""
    sha256: dict[str, str]
    """File → SHA-256 digest."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Provenance: dataset and its hash, seeds, versions, training result."""
    limits_profile: str = "classroom"
    control_hz: int = CONTROL_HZ
    action: tuple[str, ...] = ACTION_NAMES
    action_units: tuple[str, ...] = ACTION_UNITS
    schema: int = SCHEMA


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files match their digests."""

    path: Path
    manifest: Manifest
    files: dict[str, bytes]

    def read(self, name: str) -> bytes:
        """Content of a file, by its name."""
        return self.files[name]


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256 digest of a file's content."""
    return hashlib.sha256(content).hexdigest()


def write_bundle(path: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    """Write a bundle completely or not at all.

    Raises:
        KitError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))
            for name, content in files.items():
                archive.writestr(name, content)
        replace_file(path, partial)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise KitError(f"{path} cannot be written: {error}") from error


def read_bundle(path: Path) -> Bundle:
    """Open a bundle, a zip or its unpacked folder, and check what can be checked without running it.

    Raises:
        WrongUseError: there is no bundle at that path.
        RefusedError: it is damaged, of another schema, or made for another robot.
    """
    if not path.exists():
        raise WrongUseError(f"{path} does not exist. Make it: reachy-kit export RUN --out {path}")
    files = _read_files(path, [MANIFEST])
    manifest = _parse(path, files.get(MANIFEST))
    files |= _read_files(path, list(manifest.sha256))
    for name, digest in manifest.sha256.items():
        if name not in files:
            raise RefusedError(f"{path.name}: {name} is missing. {_again(path)}")
        if sha256(files[name]) != digest:
            raise RefusedError(f"{path.name}: {name} does not match its manifest (sha256 differs). {_again(path)}")
    unlisted = sorted({graph.file for graph in manifest.graphs} - set(manifest.sha256))
    if unlisted:
        raise RefusedError(f"{path.name}: {', '.join(unlisted)} has no digest in the manifest. {_again(path)}")
    return Bundle(path, manifest, files)


def _again(path: Path) -> str:
    return f"Export it again: reachy-kit export RUN --out {path}"


def _read_files(path: Path, names: list[str]) -> dict[str, bytes]:
    """Those of the named files that a bundle holds; nothing else in it is read."""
    if path.is_dir():
        present = [file for file in path.iterdir() if file.name in names and file.is_file()]
        _require_size(path, sum(file.stat().st_size for file in present))
        return {file.name: file.read_bytes() for file in present}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename in names and not info.is_dir()]
            _require_size(path, sum(info.file_size for info in members))
            return {info.filename: archive.read(info) for info in members}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise RefusedError(f"{path.name} is not a readable bundle ({error}). {_again(path)}") from error
    except Exception as error:
        if type(error).__module__ != "zlib":
            raise
        raise RefusedError(f"{path.name} is damaged ({error}). {_again(path)}") from error


def _require_size(path: Path, size: int) -> None:
    if size > _MAX_BYTES:
        raise RefusedError(f"{path.name} is larger than any reachy-kit policy")


def _parse(path: Path, content: bytes | None) -> Manifest:
    if content is None:
        raise RefusedError(f"{path.name} has no {MANIFEST}: it is not a reachy-kit bundle. {_again(path)}")
    try:
        stored = json.loads(content)
        schema = stored["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError(f"{path.name}: {MANIFEST} is unreadable ({error}). {_again(path)}") from error
    if schema != SCHEMA:
        raise RefusedError(f"{path.name} has schema {schema}; this reachy-kit reads schema {SCHEMA}. {_again(path)}")
    try:
        stored["graphs"] = [Graph(**graph) for graph in stored["graphs"]]
        for name in ("environment_state", "environment_state_units", "action", "action_units"):
            stored[name] = tuple(stored[name])
        manifest = Manifest(**stored)
    except (KeyError, TypeError) as error:
        raise RefusedError(f"{path.name}: {MANIFEST} lacks or adds a field ({error}). {_again(path)}") from error
    _check(path, manifest)
    return manifest


def _check(path: Path, manifest: Manifest) -> None:
    misfits = [*mistyped_fields(manifest), *(name for graph in manifest.graphs for name in mistyped_fields(graph))]
    if misfits:
        raise RefusedError(
            f"{path.name}: {MANIFEST} has fields of the wrong type: {', '.join(misfits)}. {_again(path)}"
        )
    if manifest.action != ACTION_NAMES:
        raise RefusedError(
            f"{path.name} commands {', '.join(manifest.action)}; this robot takes {', '.join(ACTION_NAMES)}"
        )
    if manifest.action_units != ACTION_UNITS:
        raise RefusedError(
            f"{path.name} commands in {', '.join(manifest.action_units)}; this robot takes {', '.join(ACTION_UNITS)}"
        )
    if manifest.limits_profile not in PROFILES:
        raise RefusedError(
            f"{path.name} wants the limits {manifest.limits_profile!r}, which this reachy-kit does not have"
        )
    roles = [graph.role for graph in manifest.graphs]
    if roles not in (["chunk"], ["chunk", "step"]):
        raise RefusedError(
            f"{path.name} needs {len(roles)} graphs ({', '.join(roles)}); this reachy-kit runs bundles of one chunk "
            "graph, and of a chunk graph with a step graph that corrects it"
        )
    rates = {graph.hz for graph in manifest.graphs}
    if len(rates) > 1 or not rates <= set(POLICY_RATES) or manifest.control_hz != CONTROL_HZ:
        raise RefusedError(
            f"{path.name} decides at {', '.join(map(str, rates))} Hz of {manifest.control_hz} Hz; policies run at "
            f"{', '.join(map(str, POLICY_RATES))} Hz, robots at {CONTROL_HZ} Hz"
        )
    for graph in manifest.graphs:
        if graph.n_obs_steps < 1 or not 1 <= graph.n_action_steps <= graph.chunk_size:
            raise RefusedError(
                f"{path.name} takes {graph.n_obs_steps} observations and carries out {graph.n_action_steps} of "
                f"{graph.chunk_size} planned actions, which is impossible. {_again(path)}"
            )
