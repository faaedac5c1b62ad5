"""The screen of ``reachy-kit top``: one page that fits the terminal, also a narrow or a low one."""

import signal
import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reachy_kit.runtime.interrupts import received_signal
from reachy_kit.runtime.shell_command import PROGRAM
from reachy_kit.runtime.telemetry.machine_health import MachineHealth
from reachy_kit.runtime.telemetry.recent_values import Distribution
from reachy_kit.runtime.telemetry.run_snapshot import RunSnapshot
from reachy_kit.workflows.top import DaemonSnapshot, RobotView, RobotWatch

_NARROW = 56
"""Columns below which the table of times shows only the latest value and the 99th percentile."""
_NAMES = {
    "answered": "daemon answers",
    "period": "tick period",
    "work": "tick work",
    "inference": "inference",
    "decision_age": "decision age",
    "camera_age": "camera age",
    "audio_age": "sound age",
    "state_age": "state age",
}
_LATE, _SILENT, _HOT = 0.01, 0.5, 80.0
"""Share of late ticks, s since the last tick, and °C from which a line is red. A Raspberry Pi slows down at 80 °C."""
_GOOD, _BAD = "", "bold red"


def show_live(watch: RobotWatch, interval: float) -> bool:
    """Draw again and again until Ctrl-C; returns False at once where stdout is not a terminal.

    Args:
        watch: looks at the robot.
        interval: between two looks, s.
    """
    console = _console()
    if not console.is_terminal or console.is_dumb_terminal:
        return False
    try:
        with Live(Text("asking …"), console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(draw(watch.look(), console.width), refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt:
        if received_signal() not in (None, signal.SIGINT):
            raise
    return True


def show_once(view: RobotView) -> None:
    """Print one page."""
    console = _console()
    console.print(draw(view, console.width))


def draw(view: RobotView, width: int) -> RenderableType:
    """The page at this moment.

    Args:
        view: what to show.
        width: columns of the terminal.

    Returns:
        Lines that fit into that width.
    """
    title = Text.assemble((f"{PROGRAM} top ", "bold"), str(view.address), (f"  {time.strftime('%H:%M:%S')}", "dim"))
    lines = [title, *_daemon_lines(view), *_run_lines(view)]
    times = ({"answered": view.answered} if view.answered else {}) | (view.run.quantities if view.run else {})
    shown: list[RenderableType] = [*lines, Text()]
    if times:
        shown += [_table(times, width), Text()]
    shown += [*_limiter_lines(view.run), *_machine_lines(view.machine)]
    for line in shown:
        if isinstance(line, Text):
            line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*shown)


def _console() -> Console:
    return Console(markup=False, emoji=False, highlight=False)


def _line(label: str, *parts: str | tuple[str, str]) -> Text:
    """A label, and parts that are not empty, each with its style or without one."""
    line = Text.assemble((f"{label:9}", "dim"))
    texts = [(part, _GOOD) if isinstance(part, str) else part for part in parts]
    for index, (text, style) in enumerate((text, style) for text, style in texts if text):
        line.append(" · " if index else "", "dim")
        line.append(text, style)
    return line


def _daemon_lines(view: RobotView) -> Iterator[Text]:
    daemon = view.daemon
    if daemon is None:
        since = "" if view.silent_for is None else f"its last answer was {_duration(view.silent_for)} ago"
        yield _line("daemon", ("does not answer", _BAD), since)
    else:
        yield _line(
            "daemon",
            (daemon.state, _GOOD if daemon.state == "running" else _BAD),
            daemon.name,
            f"version {daemon.version}" if daemon.version else "",
            "simulated" if daemon.simulated else "",
            f"motors {daemon.motors.replace('_', ' ')}" if daemon.motors else "",
        )
        if daemon.error:
            yield _line("", (daemon.error, _BAD))
        yield from _daemon_loop_lines(daemon)
    yield _line("driver", view.driver or ("none that the daemon knows of" if daemon else "not known"))


def _daemon_loop_lines(daemon: DaemonSnapshot) -> Iterator[Text]:
    if daemon.hertz is not None:
        longest = daemon.longest_interval
        yield _line(
            "its loop", f"{daemon.hertz:.1f} Hz", "" if longest is None else f"longest interval {1e3 * longest:.0f} ms"
        )


def _run_lines(view: RobotView) -> Iterator[Text]:
    run = view.run
    if run is None:
        yield _line("run", f"none publishes at {view.metrics}")
        return
    memory = "" if run.memory is None else f"{run.memory / 1e6:.0f} MB"
    episodes = f"{run.episodes} episode{'' if run.episodes == 1 else 's'}"
    other = "" if view.is_driven_by_run else f"on {run.robot or 'no robot yet'}"
    yield _line("run", run.command, other, episodes, _duration(run.time - run.started), memory)
    if run.since_tick is None:
        yield _line("loop", "has not begun")
    elif run.since_tick > _SILENT:
        yield _line("loop", (f"stands still since {_duration(run.since_tick)}", _BAD), f"{run.ticks} ticks")
    else:
        yield _line("loop", f"{run.ticks} ticks", *_lateness(run))


def _lateness(run: RunSnapshot) -> Iterator[tuple[str, str]]:
    period = run.quantities.get("period")
    if run.late_ticks is None or run.recent_late_ticks is None:
        yield "simulated time, never late", _GOOD
    elif period:
        recent = min(period.count, 3000)
        bad = run.recent_late_ticks > _LATE * recent
        yield f"late: {run.recent_late_ticks} of the last {recent}", _BAD if bad else _GOOD
        yield f"{run.late_ticks} in all", _GOOD


def _table(times: dict[str, Distribution], width: int) -> Table:
    columns = ("now", "p99") if width < _NARROW else ("now", "p50", "p99", "max")
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("ms", style="dim", header_style="dim", no_wrap=True, min_width=14)
    for heading in columns:
        table.add_column(heading, justify="right", header_style="dim", no_wrap=True, min_width=7)
    for name, label in _NAMES.items():
        if quantity := times.get(name):
            values = {"now": quantity.latest, "p50": quantity.p50, "p99": quantity.p99, "max": quantity.max}
            table.add_row(label, *(f"{1e3 * values[column]:.1f}" for column in columns))
    return table


def _limiter_lines(run: RunSnapshot | None) -> Iterator[Text]:
    if run is None or not run.limited:  # its robot does not say
        return
    kinds = sorted(((count, kind) for kind, count in run.limited.items() if count), reverse=True)
    text = ", ".join(f"{kind.replace('_', ' ')} {count}" for count, kind in kinds)
    yield _line("limiter", f"changed in ticks: {text}" if text else "changed nothing")


def _machine_lines(machine: MachineHealth | None) -> Iterator[Text]:
    if machine is None:
        yield _line("computer", "not readable from here")
        return
    parts: list[str | tuple[str, str]] = []
    if machine.temperatures:
        sensor, celsius = max(machine.temperatures.items(), key=lambda item: item[1])
        parts.append((f"{celsius:.0f} °C ({sensor})", _BAD if celsius >= _HOT else _GOOD))
    if machine.throttled is not None:
        now = [reason for reason, is_so in machine.throttled.items() if is_so]
        before = [reason for reason, was_so in (machine.was_throttled or {}).items() if was_so]
        parts.append((f"held back: {', '.join(now)}", _BAD) if now else "not held back")
        if before and not now:
            parts.append(f"was held back: {', '.join(before)}")
    if parts:
        yield _line("computer", *parts)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
