"""Installs a version of the runtime. This file is sent to the robot and run there by its Python; it prints JSON.

Its arguments are the base folder and a JSON object: ``wheels`` (SHA-256 → file name) and ``version`` (a name). A wheel
is unpacked once, under its SHA-256. A version is a launcher of Python that sees its wheels. ``current``, a link, is
replaced last, in one step: whatever cuts this off before leaves the version of before, and it can be given again.

::

    incoming/SHA.whl           wheels that arrived
    wheels/SHA/                wheels unpacked
    versions/VERSION/python    the launcher
    current                    link to a version
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from shlex import quote

_LEFT_OUT = "pyarrow/tests/", "pyarrow/include/"
"""Folders that nothing loads."""
_KEPT = 2
"""Versions that stay: the current one, and the one before to go back to."""


def unpack(base: Path, digest: str) -> None:
    """Unpack a wheel that arrived, completely or not at all."""
    place, wheel = base / "wheels" / digest, base / "incoming" / f"{digest}.whl"
    if place.is_dir():
        return
    with wheel.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            wheel.unlink()
            raise OSError("a wheel arrived damaged. Give the same command again")
    partial = place.with_name(f"{digest}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.startswith(_LEFT_OUT)]
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
            raise OSError("a wheel holds files outside its folder")
        archive.extractall(partial, names)
    os.sync()
    partial.rename(place)
    wheel.unlink()


def install(base: Path, version: str, wheels: dict[str, str]) -> None:
    """Make a version, and make it the current one."""
    place = base / "versions" / version
    if not (place / "python").exists():
        place.mkdir(parents=True, exist_ok=True)
        path = ":".join(str(base / "wheels" / digest) for digest in wheels)
        (place / "wheels.json").write_text(json.dumps(wheels))
        partial = place / "python.partial"
        partial.write_text(f'#!/bin/sh\nPYTHONPATH={quote(path)} exec {quote(sys.executable)} -P -s -B "$@"\n')
        partial.chmod(0o755)
        os.sync()
        partial.rename(place / "python")
    link = base / "current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("versions") / version)
    link.replace(base / "current")
    os.sync()


def remove_old(base: Path) -> None:
    """Remove versions but the latest ones, and wheels that none of those needs."""
    current = (base / "current").resolve()
    versions = sorted((base / "versions").iterdir(), key=lambda place: (place != current, -place.stat().st_mtime))
    for place in versions[_KEPT:]:
        shutil.rmtree(place)
    needed = {
        digest
        for place in versions[:_KEPT]
        if (place / "wheels.json").exists()
        for digest in json.loads((place / "wheels.json").read_text())
    }
    for place in (base / "wheels").iterdir():
        if place.name not in needed:
            shutil.rmtree(place)


def main() -> None:
    """Install what the arguments say."""
    base, order = Path(sys.argv[1]), json.loads(sys.argv[2])
    base.mkdir(parents=True, exist_ok=True)
    with (base / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            (base / "wheels").mkdir(exist_ok=True)
            for digest in order["wheels"]:
                unpack(base, digest)
            install(base, order["version"], order["wheels"])
            remove_old(base)
        except (OSError, zipfile.BadZipFile) as error:
            print(json.dumps({"error": str(error)}))
        else:
            print(json.dumps({"error": None}))


if __name__ == "__main__":
    main()
