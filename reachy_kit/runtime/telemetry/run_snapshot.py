"""What a run publishes about itself, as JSON: one line of ``--telemetry``, one answer to ``reachy-kit top``.

Times are in s, temperatures in °C.
"""

from dataclasses import asdict, dataclass
from typing import Any

from reachy_kit.runtime.json_record import finite_json, mistyped_fields
from reachy_kit.runtime.telemetry.machine_health import MachineHealth
from reachy_kit.runtime.telemetry.recent_values import Distribution

SCHEMA = 1
QUANTITIES = {
    "period": "Time between the starts of successive control ticks",
    "work": "Time from the start of a control tick until the robot was commanded",
    "inference": "Time that the policy took to decide",
    "decision_age": "Age of the observation on which the action in force was decided",
    "camera_age": "Age of the newest camera frame",
    "audio_age": "Age of the newest sound",
    "state_age": "Age of the newest measurement of the robot",
}
"""Name → meaning of the quantities that a run measures; those that its robot or policy lacks are left out."""


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one instant."""

    time: float
    """Unix time, s."""
    started: float
    """Unix time at which the run began, s."""
    process: int
    """Number of its process."""
    command: str
    """What runs, such as ``run look_at.bundle``."""
    robot: str
    """Name of the robot, for a daemon its address."""
    driver: str
    """What decides now, in words: a policy, a behaviour, or the watchdogs and why."""
    driver_name: str
    """The same without the why, so that there are few of them over the days; of the watchdogs such as ``holding``."""
    episodes: int
    """Episodes that have begun."""
    ticks: int
    """Control ticks since the run began."""
    late_ticks: int | None
    """Those that took more than one and a half periods; None in simulated time, which is never late."""
    recent_late_ticks: int | None
    """Those among the last minute's."""
    since_tick: float | None
    """s since the last tick; None before the first one."""
    quantities: dict[str, Distribution]
    """s, by the names of ``QUANTITIES``."""
    limited: dict[str, int]
    """Kind of limit → ticks in which it changed what was requested."""
    memory: int | None
    """Resident memory of the process, bytes; None where it cannot be read."""
    machine: MachineHealth
    """The computer on which it runs."""

    def record(self) -> dict[str, Any]:
        """Return it as JSON, rounded to µs."""
        rounded: dict[str, Any] = _rounded(finite_json({"schema": SCHEMA, **asdict(self)}))
        return rounded


def read_snapshot(record: Any) -> RunSnapshot | None:
    """A snapshot from its JSON; None where that is something else, or of another version."""
    try:
        fields = {name: value for name, value in record.items() if name != "schema"}
        quantities = {name: Distribution(**values) for name, values in fields["quantities"].items()}
        machine = MachineHealth(**fields["machine"])
        snapshot = RunSnapshot(**fields | {"quantities": quantities, "machine": machine})
    except (AttributeError, KeyError, TypeError):
        return None
    parts = (snapshot, machine, *quantities.values())
    return snapshot if record.get("schema") == SCHEMA and not any(map(mistyped_fields, parts)) else None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return round(value, 6) if isinstance(value, float) else value
