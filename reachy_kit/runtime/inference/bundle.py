"""The deployable policy: a zip of ONNX graphs and a manifest that says what goes in, what comes out, and where from.

Nothing in it is code. Only the manifest and the files that it lists are read, up to a fixed size in all.
"""

import contextlib
import hashlib
import json
import stat
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reachy_kit.runtime.durable_files import begins_with, replace_file
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.inference.manifest import SCHEMA, Graph, GraphInput, GraphOutput, Manifest
from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS, CONTROL_HZ, POLICY_RATES
from reachy_kit.runtime.json_record import finite_json, mistyped_fields
from reachy_kit.runtime.safety import PROFILES
from reachy_kit.runtime.shell_command import compose_command

MANIFEST = "manifest.json"
_MAX_BYTES = 512 * 2**20
"""Largest size of the manifest, and of all files that it lists, bytes; more is refused before it is unpacked."""

is_zip = begins_with(b"PK")
"""Whether a file may be a bundle, perhaps a damaged one: what an export overwrites."""


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
            archive.writestr(_member(MANIFEST), json.dumps(finite_json(asdict(manifest)), indent=2, allow_nan=False))
            for name, content in files.items():
                archive.writestr(_member(name), content)
        replace_file(path, partial)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise KitError(f"{path} cannot be written ({error}). Make room, or choose another --out") from error


def _member(name: str) -> zipfile.ZipInfo:
    """A file of the zip that everybody may read once it is unzipped; zipfile's own default is its owner alone."""
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, (stat.S_IFREG | 0o644) << 16
    return info


def read_bundle(path: Path) -> Bundle:
    """Open a bundle, a zip or its unpacked folder, and check what can be checked without running it.

    Raises:
        WrongUseError: there is no bundle at that path.
        RefusedError: it is damaged, of another schema, or made for another robot.
    """
    path = path if path.name else path.resolve()  # the name of `.`
    if not path.exists():
        raise WrongUseError(f"{path} does not exist. Make it: {compose_command('export', 'RUN', out=path)}")
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
    out = path if path.is_file() else path.with_name(f"{path.resolve().name}.bundle")
    out = out if out.is_file() and is_zip(out) else free_path(out)
    return f"Export it again: {compose_command('export', 'RUN', out=out)}"


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
        raise RefusedError(f"{path.name} is larger than any reachy-kit policy. Is it the right file?")


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
        stored["graphs"] = [_graph(graph) for graph in stored["graphs"]]
        for name in ("environment_state", "environment_state_units", "action", "action_units"):
            stored[name] = tuple(stored[name])
        manifest = Manifest(**stored)
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedError(f"{path.name}: {MANIFEST} lacks or adds a field ({error}). {_again(path)}") from error
    _check(path, manifest)
    return manifest


def _graph(stored: dict[str, Any]) -> Graph:
    inputs = {name: GraphInput(**value) for name, value in stored["inputs"].items()}
    outputs = {name: GraphOutput(**value) for name, value in stored["outputs"].items()}
    return Graph(**{**stored, "inputs": inputs, "outputs": outputs})


def _check(path: Path, manifest: Manifest) -> None:
    parts = [manifest, *manifest.graphs]
    for graph in manifest.graphs:
        parts += [*graph.inputs.values(), *graph.outputs.values()]
    misfits = [name for part in parts for name in mistyped_fields(part)]
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
            f"{path.name} wants the limits {manifest.limits_profile!r}, which this reachy-kit does not have. Use the "
            "version that exported it"
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
