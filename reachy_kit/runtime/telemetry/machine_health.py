"""Health of the computer that runs this program: temperatures, and whether a Raspberry Pi is throttled.

Where something cannot be read, it is left out.
"""

import contextlib
import functools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PLAUSIBLE = -40.0, 150.0
"""Temperatures of a sensor that works, °C; one that does not reports such as -273 or 0xffff."""
_REASONS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of the firmware's answer, and 16 to 19 for what has occurred since the start.

Source: raspberrypi.com/documentation/computers/os.html#get_throttled"""
_SINCE_START = 16
_PATTERN = "sys/devices/platform/soc*/*firmware*/get_throttled"
_PATIENCE = 2.0
"""Longest wait for vcgencmd, s."""


@dataclass(frozen=True)
class MachineHealth:
    """What the computer says of itself."""

    temperatures: dict[str, float]
    """Sensor → °C; empty where none can be read."""
    throttled: dict[str, bool] | None
    """Reason → whether the processor is held back for it now; None where that is not known."""
    was_throttled: dict[str, bool] | None
    """Reason → whether that has occurred since the computer was started."""


def read_machine_health(root: Path = Path("/")) -> MachineHealth:
    """Read the sensors of this computer.

    Args:
        root: of the file system.
    """
    bits = _throttled_bits(root)
    if bits is None:
        return MachineHealth(_temperatures(root), None, None)
    now, before = (
        {reason: bool(bits >> shift + bit & 1) for bit, reason in enumerate(_REASONS)} for shift in (0, _SINCE_START)
    )
    return MachineHealth(_temperatures(root), now, before)


def _temperatures(root: Path) -> dict[str, float]:
    temperatures: dict[str, float] = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        with contextlib.suppress(OSError, ValueError):  # a sensor that is switched off answers with an error
            celsius = int((zone / "temp").read_text()) / 1000
            if _PLAUSIBLE[0] < celsius < _PLAUSIBLE[1]:
                name = (zone / "type").read_text().strip()
                temperatures[zone.name if name in temperatures else name] = celsius
    return temperatures


def _throttled_bits(root: Path) -> int | None:
    """The firmware's answer, from its file, or by its command where there is not one."""
    for file in root.glob(_PATTERN):
        with contextlib.suppress(OSError, ValueError):
            return int(file.read_text(), 16)
    command = _vcgencmd()
    if command is None:
        return None
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        answer = subprocess.run(
            [command, "get_throttled"], capture_output=True, text=True, check=True, timeout=_PATIENCE
        )
        return int(answer.stdout.partition("=")[2], 16)
    return None


@functools.cache
def _vcgencmd() -> str | None:
    return shutil.which("vcgencmd")
