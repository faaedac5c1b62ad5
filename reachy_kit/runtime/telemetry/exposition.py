"""A snapshot in Prometheus' text format, version 0.0.4.

Forty lines in place of the package prometheus_client: that keeps values of its own under locks, which the control loop
would have to take, and would be one more wheel on the robot. Its parser reads the result in the tests.
Source: prometheus.io/docs/instrumenting/exposition_formats and prometheus.io/docs/practices/naming
"""

from collections.abc import Iterator, Mapping, Sequence

from reachy_kit.runtime.telemetry.machine_health import MachineHealth
from reachy_kit.runtime.telemetry.run_snapshot import QUANTITIES, RunSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "reachy_kit_"


def write_exposition(run: RunSnapshot) -> str:
    """The metrics of a run. Quantiles are those of the last minute; the quantile 1 is the largest value."""
    families = (*_run_families(run), *_quantity_families(run), *_machine_families(run.machine))
    return "".join(f"{line}\n" for family in families for line in family)


def _run_families(run: RunSnapshot) -> Iterator[list[str]]:
    about = {"command": run.command, "robot": run.robot, "driver": run.driver_name}
    yield _family("run_info", "gauge", "What runs, on which robot, and what decides now", [(about, 1)])
    yield _family("start_time_seconds", "gauge", "Unix time at which the run began", [({}, run.started)])
    yield _family("episodes_total", "counter", "Episodes that have begun", [({}, run.episodes)])
    yield _family("ticks_total", "counter", "Control ticks", [({}, run.ticks)])
    if run.late_ticks is not None:
        yield _family("late_ticks_total", "counter", "Control ticks that were late", [({}, run.late_ticks)])
    if run.since_tick is not None:
        yield _family("last_tick_age_seconds", "gauge", "Time since the last control tick", [({}, run.since_tick)])
    what = "Control ticks in which the limiter changed what was requested"
    kinds = [({"kind": kind}, count) for kind, count in run.limited.items()]
    yield _family("limiter_interventions_total", "counter", what, kinds)
    if run.memory is not None:
        yield _family("resident_memory_bytes", "gauge", "Resident memory of the run", [({}, run.memory)])


def _quantity_families(run: RunSnapshot) -> Iterator[list[str]]:
    for name, distribution in run.quantities.items():
        quantiles = {"0.5": distribution.p50, "0.99": distribution.p99, "1": distribution.max}
        samples = [({"quantile": quantile}, value) for quantile, value in quantiles.items()]
        metric = f"{name}_seconds"
        yield [
            *_family(metric, "summary", QUANTITIES.get(name, name), samples),
            f"{_PREFIX}{metric}_sum {distribution.sum!r}",
            f"{_PREFIX}{metric}_count {distribution.count}",
        ]


def _machine_families(machine: MachineHealth) -> Iterator[list[str]]:
    sensors = [({"sensor": sensor}, celsius) for sensor, celsius in machine.temperatures.items()]
    yield _family("temperature_celsius", "gauge", "Temperature of the computer", sensors)
    for name, what, reasons in (
        ("throttled", "Whether the processor is held back now", machine.throttled),
        ("was_throttled", "Whether the processor was held back since the computer was started", machine.was_throttled),
    ):
        samples = [({"reason": reason}, int(is_so)) for reason, is_so in (reasons or {}).items()]
        yield _family(name, "gauge", what, samples)


def _family(name: str, kind: str, what: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> list[str]:
    """A metric's lines; none without a sample."""
    if not samples:
        return []
    full = _PREFIX + name
    return [
        f"# HELP {full} {what}.",
        f"# TYPE {full} {kind}",
        *(f"{full}{_labels(labels)} {value!r}" for labels, value in samples),
    ]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
