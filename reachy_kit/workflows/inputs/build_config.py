"""Configurations built from settings by name, such as those of ``--set`` and of a TOML file.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/small --set hidden=32 --set max_steps=500
"""

import dataclasses
from typing import Any

from reachy_kit.runtime.errors import WrongUseError


def build_config[C](settings: dict[str, Any], kind: type[C], **fixed: Any) -> C:
    """Build a configuration; the settings that it knows are taken out of the dictionary.

    Args:
        settings: values by name; what remains is for another configuration.
        kind: a dataclass.
        fixed: values of the caller; a setting of the same name overrules them.

    Returns:
        The configuration.

    Raises:
        WrongUseError: a value does not fit.
    """
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    chosen = {name: settings.pop(name) for name in fields if name in settings}
    for name, value in chosen.items():
        default = fields[name].default
        number = default is None or isinstance(default, float)
        fits = isinstance(value, int | float) if number else isinstance(value, type(default))
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise WrongUseError(f"--set {name}={value!r} does not fit: the default is {default!r}")
    try:
        return kind(**{**fixed, **chosen})
    except ValueError as error:
        raise WrongUseError(str(error)) from error


def refuse_rest(settings: dict[str, Any], *kinds: type) -> None:
    """Refuse settings that no configuration has taken.

    Args:
        settings: what remains.
        kinds: dataclasses that took theirs.

    Raises:
        WrongUseError: naming the settings that remain, and those that exist.
    """
    if settings:
        known = sorted({field.name for kind in kinds for field in dataclasses.fields(kind)})
        raise WrongUseError(f"no setting is called {', '.join(settings)}; there are {', '.join(known)}")
