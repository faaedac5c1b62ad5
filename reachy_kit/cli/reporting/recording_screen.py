"""The screen of a person's session in the terminal: what is recorded, how well, and what each key does.

It draws beside the control loop, ten times per second, on stderr. Where stderr is not a terminal, it writes a line for
each change. A narrow or low terminal gets the lines that matter most.
"""

import contextlib
import threading
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reachy_kit.cli.reporting.live_figures import draw_figures, target_text
from reachy_kit.runtime.recording.takes.live_view import LiveView, Phase
from reachy_kit.runtime.robots.speaking.tones import Cue

_SIGNS = {
    Phase.PREPARING: ("  PREPARING ", "black on white"),
    Phase.READY: ("■ READY ", "black on green"),
    Phase.RECORDING: ("● RECORDING ", "bold white on red"),
    Phase.PAUSED: ("‖ PAUSED ", "bold black on yellow"),
    Phase.SAVING: ("  SAVING ", "black on cyan"),
    Phase.DRIVING: ("▶ DRIVING, nothing is recorded ", "black on green"),
}
_PER_SECOND = 10
"""Drawings per second: more of them would take time from the control loop."""
_LINE_PERIOD = 0.1
"""Time between two looks for a change where there is not a terminal, s."""
_WIDE, _HIGH = 62, 24
"""Columns and rows from which on the figures are shown."""


class TerminalScreen:
    """Shows sessions on stderr.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, markup=False, emoji=False, highlight=False)

    @contextlib.contextmanager
    def open(self, view: LiveView) -> Iterator[None]:
        """Draw a view until the context ends; then leave its last lines."""
        if not self._console.is_terminal:
            with _lines(self._console, view):
                yield
            return
        live = Live(
            get_renderable=lambda: draw(view, self._console.width, self._console.height),
            console=self._console,
            refresh_per_second=_PER_SECOND,
            transient=True,
        )
        try:
            with live:
                yield
        finally:
            for message in view.messages:
                self._console.print(message)

    def signal(self, cue: Cue) -> None:
        """Ring the terminal's bell."""
        if self._console.is_terminal:
            self._console.bell()


def draw(view: LiveView, width: int, height: int) -> RenderableType:
    """The screen at this moment.

    Args:
        view: what to show.
        width: columns of the terminal.
        height: its rows.

    Returns:
        Lines that fit.
    """
    lines: list[RenderableType] = [_sign(view)]
    if view.reason:
        lines.append(Text(view.reason, "bold"))
    lines.extend(_line(text) for text in _facts(view) if text)
    if view.last:
        lines.append(Text(view.last, "cyan", overflow="ellipsis", no_wrap=height < _HIGH))
    keys = _keys(view, width)
    if width >= _WIDE and height >= _HIGH:
        lines.append(draw_figures(view))
        lines.extend(keys)
    else:
        lines.extend(keys[: max(height - len(lines) - 1, 1)])
    return Group(*lines)


def _sign(view: LiveView) -> Text:
    sign, style = _SIGNS[view.phase]
    line = Text(overflow="ellipsis", no_wrap=True)
    line.append(f" {sign}", style)
    if view.wanted is not None:
        line.append(f"  {view.episodes} of {view.wanted} episodes", "bold")
    if view.phase in (Phase.RECORDING, Phase.PAUSED, Phase.DRIVING):
        line.append(f"  {view.seconds:.1f} s")
    line.append(f"  {view.device} on {view.robot}", "dim")
    return line


def _facts(view: LiveView) -> Iterator[str]:
    if view.instruction:
        choice = f" (one of {view.instructions})" if view.instructions > 1 else ""
        operator = f", by {view.operator}" if view.operator else ""
        yield f"task: {view.instruction}{choice}{operator}"
    error = view.error
    known = error and view.task_error is not None
    yield "   ".join(
        text
        for text in (f"{error.name} {error.text(view.task_error or 0.0)}" if error and known else "", target_text(view))
        if text
    )
    measured = "–" if view.measured_hz is None else f"{view.measured_hz:.1f}"
    yield f"rate: {measured} of {view.hz} Hz, {view.dropped} dropped"


def _line(text: str) -> Text:
    return Text(text, overflow="ellipsis", no_wrap=True)


def _keys(view: LiveView, width: int) -> list[RenderableType]:
    """The keys' help: a line for each in a narrow terminal, two tables in a wide one."""
    groups = [group for group in (view.session_controls, view.controls) if group]
    if width < _WIDE:
        return [Text.assemble((f"{key} ", "bold"), what) for group in groups for key, what in group]
    return [_key_table(group, columns=3 if width < 100 else 5) for group in groups]


def _key_table(controls: tuple[tuple[str, str], ...], columns: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    cells = [Text.assemble((f"{key} ", "bold"), (what, "dim")) for key, what in controls]
    for first in range(0, len(cells), columns):
        table.add_row(*cells[first : first + columns])
    return table


@contextlib.contextmanager
def _lines(console: Console, view: LiveView) -> Iterator[None]:
    """Write a line for each change."""
    ended = threading.Event()
    thread = threading.Thread(target=_write_lines, args=(console, view, ended), name="session lines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _write_lines(console: Console, view: LiveView, ended: threading.Event) -> None:
    shown, said = "", 0
    while True:
        last_time = ended.wait(_LINE_PERIOD)
        for message in view.messages[said:]:
            console.print(message, soft_wrap=True)
            said += 1
        line = _SIGNS[view.phase][0].strip(" ■●‖▶").lower() + (f": {view.reason}" if view.reason else "")
        if line != shown and not last_time:
            console.print(line, soft_wrap=True)
            shown = line
        if last_time:
            return
