"""Telemetry beside the control loop: a line per second in a file, and answers to requests.

Its threads have the loop's own priority: one that the system set aside while it holds Python's lock would hold up the
loop. A snapshot takes less than 1 ms of the processor.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from reachy_kit.runtime.telemetry.metrics_server import MetricsServer, parse_metrics_address
from reachy_kit.runtime.telemetry.run_meter import RunMeter
from reachy_kit.runtime.telemetry.telemetry_log import TelemetryLog

_PERIOD = 1.0
"""Time between two lines, s."""


@contextlib.contextmanager
def publishing(command: str, log: Path | None, metrics: str, note: Callable[[str], None]) -> Iterator[RunMeter]:
    """Publish a run for as long as the block lasts.

    Args:
        command: what runs, in words.
        log: file for a line per second; None for none.
        metrics: ``PORT`` or ``HOST:PORT`` where requests are answered; empty for nowhere.
        note: shows a line to people: once, when the file cannot be written any more.

    Yields:
        The meter to which the run gives its ticks.

    Raises:
        WrongUseError: the file or the address cannot be used.
        RefusedError: the file holds something else.
        KitError: the disk is full.
    """
    meter = RunMeter(command)
    with contextlib.ExitStack() as stack:
        if metrics:
            server = MetricsServer(parse_metrics_address(metrics), meter.snapshot)
            meter.published_at = stack.enter_context(contextlib.closing(server)).address
        if log is not None:
            lines = stack.enter_context(contextlib.closing(TelemetryLog(log)))
            stack.enter_context(_writing(meter, lines, note))
        yield meter


@contextlib.contextmanager
def _writing(meter: RunMeter, log: TelemetryLog, note: Callable[[str], None]) -> Iterator[None]:
    """Write a line per second and a last one at the end."""
    ended = threading.Event()

    def write() -> None:
        warned = False
        while True:
            last = ended.wait(_PERIOD)
            why = log.write(meter.snapshot().record())
            if why and not warned:
                note(f"warning: --telemetry {log.path} cannot be written ({why}): its next lines may be missing")
                warned = True
            if last:
                return

    thread = threading.Thread(target=write, name="telemetry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
