"""``--config FILE.toml`` and ``--set key=value`` for whatever has no flag of its own."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from reachy_kit.runtime.errors import WrongUseError

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings, as key = value.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be given repeatedly.")
]


def read_settings(config: Path | None, assignments: list[str]) -> dict[str, Any]:
    """Settings from the file, then from the command line, which wins.

    Raises:
        WrongUseError: the file or an assignment cannot be read.
    """
    settings: dict[str, Any] = {}
    if config:
        try:
            settings.update(tomllib.loads(config.read_text()))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise WrongUseError(f"--config {config} cannot be read: {error}") from error
    for assignment in assignments:
        try:
            settings.update(tomllib.loads(assignment))
        except tomllib.TOMLDecodeError as error:
            raise WrongUseError(f"--set {assignment} is no key=value ({error}). Strings need quotes") from error
    return settings


def take[C](settings: dict[str, Any], kind: type[C], **fixed: Any) -> C:
    """A configuration of the given dataclass; the settings it knows are taken out of the dictionary.

    Raises:
        WrongUseError: a value does not fit.
    """
    names = [field.name for field in dataclasses.fields(kind) if field.init]  # type: ignore[arg-type]
    chosen = {name: settings.pop(name) for name in names if name in settings}
    for name, value in chosen.items():
        default = next(field.default for field in dataclasses.fields(kind) if field.name == name)  # type: ignore[arg-type]
        number = default is None or isinstance(default, float)
        fits = isinstance(value, int | float) if number else isinstance(value, type(default))
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise WrongUseError(f"--set {name}={value!r} does not fit: the default is {default!r}")
    try:
        return kind(**{**fixed, **chosen})
    except ValueError as error:
        raise WrongUseError(str(error)) from error


def refuse_rest(settings: dict[str, Any], *kinds: type) -> None:
    """Complain about settings that nobody took.

    Raises:
        WrongUseError: naming them and what there is.
    """
    if settings:
        known = sorted({field.name for kind in kinds for field in dataclasses.fields(kind)})
        raise WrongUseError(f"no setting is called {', '.join(settings)}; there are {', '.join(known)}")
