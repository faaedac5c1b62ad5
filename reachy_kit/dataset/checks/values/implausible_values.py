"""RK105. Values that a Reachy Mini cannot have: degrees taken for radians, millimetres for metres."""

from collections.abc import Iterator
from math import pi
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes, Mask
from reachy_kit.dataset.checks.finding import Aspect, Finding, register_check
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS
from reachy_kit.runtime.kinematics.linkage import BODY_YAW_LIMIT, MOTOR_ARM_LENGTH, ROD_LENGTH
from reachy_kit.runtime.perception.features import feature_by_name
from reachy_kit.runtime.safety import PROFILES

_LEG = MOTOR_ARM_LENGTH + ROD_LENGTH
"""Length of a stretched leg, m: a head that is farther from its place has come off."""
_TILT = pi / 2
"""Largest roll and pitch, rad: the legs hold no head that lies on its side."""
_RELATIVE_YAW = max(profile.relative_yaw for profile in PROFILES.values())
_TURN = 2 * pi
"""Largest angle of an antenna, rad: nothing stops it, and past a whole turn its angles repeat."""
_POSE = (*(_LEG,) * 3, _TILT, _TILT, BODY_YAW_LIMIT + _RELATIVE_YAW, BODY_YAW_LIMIT, _TURN, _TURN)
_MARGIN = 0.1
"""Share of a range that a value may lie outside: motors overshoot and sensors are noisy, by far less. Degrees lie
outside by a factor of 57, millimetres by one of 1000."""
_OTHER_UNITS = {"rad": (("degrees", 180 / pi),), "m": (("millimetres", 1000.0), ("centimetres", 100.0))}
"""Unit → names and factors of those that it is confused with."""


@register_check("RK105", "values that this robot cannot have", Aspect.VALUES, refuses=True)
def check_implausible_values(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find columns whose values lie outside what the robot and its perception can yield."""
    for key, names in episodes.vectors.items():
        values = episodes.column(key)
        for number, name in enumerate(names if values is not None else ()):
            assert values is not None
            limits, finite = _limits(name), np.isfinite(values[:, number])
            if limits is None or not finite.any():
                continue
            least, most = float(values[finite, number].min()), float(values[finite, number].max())
            if limits.hold(least, most):
                continue
            wrong = np.unique(episodes.places[finite & ~limits.inside(values[:, number])])
            where = f"{episodes.root}: " if episodes.root else ""
            yield Finding(
                f"{where}{key} has {name} from {least:.4g} to {most:.4g}, outside {limits.low:.4g} to "
                f"{limits.high:.4g} {limits.unit}",
                remedy=_advise(limits, least, most),
                episodes=episodes.named(wrong),
            )


class _Limits(NamedTuple):
    """Range of a number."""

    low: float
    high: float
    unit: str

    def hold(self, least: float, most: float) -> bool:
        """Whether values from ``least`` to ``most`` lie in the range or hardly outside."""
        return bool(self.inside(np.array([least, most])).all())

    def inside(self, values: npt.NDArray[Any]) -> Mask:
        """Which of some values lie in the range or hardly outside."""
        slack = _MARGIN * (self.high - self.low)
        return np.asarray((self.low - slack <= values) & (values <= self.high + slack))


def _limits(name: str) -> _Limits | None:
    """Range of a named number; None for a feature that is not known here."""
    if name in ACTION_NAMES:
        axis = ACTION_NAMES.index(name)
        return _Limits(-_POSE[axis], _POSE[axis], ACTION_UNITS[axis])
    try:
        feature = feature_by_name(name)
    except WrongUseError:
        return None
    return _Limits(feature.low, feature.high, feature.unit)


def _advise(limits: _Limits, least: float, most: float) -> str:
    """What values out of range may be, and the remedy."""
    for name, factor in _OTHER_UNITS.get(limits.unit, ()):
        if limits.hold(least / factor, most / factor):
            return f"That looks like {name}: divide by {factor:.5g} whatever is in {name}, or record it again"
    return "This robot cannot yield such values: look at the program that wrote them, or record it again"
