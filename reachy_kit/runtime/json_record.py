"""Records in JSON: numbers that every reader takes, and fields that hold what their dataclass declares."""

import math
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints


def finite_json(value: Any) -> Any:
    """A value of dictionaries and lists in which numbers that are not finite are null: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {name: finite_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def mistyped_fields(record: Any) -> list[str]:
    """Names of a dataclass's fields whose values are not of the declared type: JSON holds whatever was written."""
    return [name for name, kind in get_type_hints(type(record)).items() if not _is_a(kind, getattr(record, name))]


def _is_a(kind: Any, value: Any) -> bool:
    outer, inside = get_origin(kind) or kind, get_args(kind)
    if outer is Any:
        return True
    if outer is UnionType:
        return any(_is_a(option, value) for option in inside)
    if outer is Literal:
        return value in inside
    if outer is float:
        return isinstance(value, int | float)
    if not isinstance(value, outer):
        return False
    if outer is dict:
        return all(_is_a(inside[0], key) and _is_a(inside[1], item) for key, item in value.items())
    return outer not in (list, tuple) or all(_is_a(inside[0], item) for item in value)
