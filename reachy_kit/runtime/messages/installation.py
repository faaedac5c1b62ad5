"""What is installed of this package's extras, and the command that installs the rest.

Read from the metadata of installed distributions: nothing is imported for it.
"""

import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from reachy_kit.runtime.shell_command import PROGRAM, quote_argument

_DISTRIBUTIONS = PROGRAM, "reachy-kit-runtime"
"""The whole package, and the runtime alone: one of the two is installed."""
_CHECKOUT = Path(__file__).parents[3]
_REQUIREMENT = re.compile(r"([\w.-]+)[^;]*(?:;\s*extra\s*==\s*['\"]([\w-]+)['\"])?\s*")
"""A distribution and its extra; what only some platforms require does not match as a whole."""


def is_complete(distribution: str) -> bool:
    """Whether a distribution is installed, and with it what it requires on every platform."""
    return _is_installed(distribution) and all(map(_is_installed, _requirements(distribution).get("", ())))


def extras_with(module: str) -> list[str]:
    """Names of the extras that bring a module."""
    name = _normalised(module.partition(".")[0])
    return [extra for extra, packages in _own_requirements().items() if extra and name in map(_normalised, packages)]


def missing_extras(extras: Iterable[str]) -> list[str]:
    """Those of the extras of which something is not installed."""
    own = _own_requirements()
    return [extra for extra in extras if not all(map(is_complete, own.get(extra, ())))]


def install_command(extras: Iterable[str], arguments: Iterable[str] = ()) -> str:
    """Compose the command that installs what is missing of some extras, into the environment that this program runs in.

    With ``sim`` it also installs the robot's model files, where they are missing. Where ``uvx`` runs this program, the
    command runs it again, with the extras.

    Args:
        extras: their names.
        arguments: of this program.

    Returns:
        One line of text.
    """
    extras = list(extras)
    missing = missing_extras(extras)
    needs_model = "sim" in extras and "robot" not in missing and importlib.util.find_spec("reachy_mini") is None
    prefix = Path(sys.prefix)
    if prefix == _CHECKOUT / ".venv":
        return "make setup" if Path.cwd() == _CHECKOUT else f"make -C {quote_argument(_CHECKOUT)} setup"
    if any((parent / "CACHEDIR.TAG").exists() for parent in prefix.parents):  # uvx makes environments in its cache
        source = quote_argument(_requirement([*extras, "robot"] if needs_model else extras))
        program = " ".join([PROGRAM, *map(quote_argument, arguments)])
        return f"uvx --python {_base_python()} --from {source} {program}"
    if (prefix / "uv-receipt.toml").exists():
        present = [extra for extra in _own_requirements() if extra and not missing_extras([extra])]
        wanted = [*present, *missing, *(["robot"] if needs_model else [])]
        return f"uv tool install --python {_base_python()} {_editable()}{quote_argument(_requirement(wanted))}"
    python = quote_argument(sys.executable)
    pip = f"{python} -m pip install" if importlib.util.find_spec("pip") else f"uv pip install --python {python}"
    commands = [f"{pip} {_editable()}{quote_argument(_requirement(missing))}"] if missing else []
    if needs_model:  # alone: its dependencies need a compiler, and the simulator needs none of them
        commands.append(f"{pip} --no-deps {quote_argument(_robot_requirement())}")
    return " && ".join(commands)


def pip_command(python: str, package: str) -> str:
    """Compose the command that installs a package into another Python, such as a robot's.

    Args:
        python: its interpreter, as the other computer knows it.
        package: name of a distribution.
    """
    return f"{quote_argument(python)} -m pip install {quote_argument(package)}"


def _base_python() -> str:
    """The interpreter that this environment was made with: the default of uv may be too old for this package."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix, "bin", f"python{version}")
    return quote_argument(base) if base.exists() else version


def _requirement(extras: Iterable[str]) -> str:
    """This package with extras, as an installer takes it, from where it was installed: a file, folder or address."""
    own = _own_distribution()
    names = f"[{','.join(dict.fromkeys(extras))}]"
    source = _source(own)
    address = urlsplit(source.get("url", ""))
    if not address.scheme:
        return f"{own.name}{names}"
    if address.scheme == "file":
        return f"{unquote(address.path)}{names}"
    version_control = source.get("vcs_info", {}).get("vcs")
    return f"{own.name}{names} @ {version_control + '+' if version_control else ''}{source['url']}"


def _editable() -> str:
    """The option that keeps a package reading its sources where it was installed to do so; otherwise nothing."""
    return "-e " if _source(_own_distribution()).get("dir_info", {}).get("editable") else ""


def _source(own: importlib.metadata.Distribution) -> dict[str, Any]:
    """Where a distribution was installed from, as its installer wrote it down; empty for an index."""
    source: dict[str, Any] = json.loads(own.read_text("direct_url.json") or "{}")
    return source


def _robot_requirement() -> str:
    return next(text for text in _own_distribution().requires or () if text.startswith("reachy-mini")).partition(";")[0]


def _own_distribution() -> importlib.metadata.Distribution:
    for name in _DISTRIBUTIONS:
        if _is_installed(name):
            return importlib.metadata.distribution(name)
    raise importlib.metadata.PackageNotFoundError(_DISTRIBUTIONS[0])


def _own_requirements() -> dict[str, list[str]]:
    return _requirements(_own_distribution().name)


def _requirements(distribution: str) -> dict[str, list[str]]:
    """Names of the distributions that each extra brings; those that are always required under an empty name."""
    requirements: dict[str, list[str]] = {}
    for text in importlib.metadata.requires(distribution) or ():
        if match := _REQUIREMENT.fullmatch(text):
            requirements.setdefault(match[2] or "", []).append(match[1])
    return requirements


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
