"""What commands show: progress while they work, tables for people, JSON for scripts.

Progress and notes go to stderr, results to stdout, so that ``--json`` can be piped.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from reachy_kit.runtime.json_record import finite_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.evaluation.report.tables import Table

_WIDEST, _NARROWEST = 1000, 9
"""Characters of a table where nothing limits it, and of a column of words where little room is left."""


class Terminal:
    """A reporter that shows bars and notes on stderr."""

    @contextlib.contextmanager
    def progress(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
        """Show a bar with the time left; yields the function to call after each unit of work."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=_console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, completed=done)
            yield lambda: bar.advance(task)

    @contextlib.contextmanager
    def working(self, label: str) -> Iterator[None]:
        """Show a spinner while work of unknown length runs."""
        from rich.text import Text

        console = _console(stderr=True)
        if console.is_terminal:
            with console.status(Text(label), spinner="dots" if console.encoding.startswith("utf") else "line"):
                yield
        else:
            console.print(label)
            yield

    def note(self, text: str) -> None:
        """Print a line on stderr."""
        print(text, file=sys.stderr)


TERMINAL = Terminal()


def result(text: str) -> None:
    """Print a line of the result."""
    print(text)


def print_json(value: Any) -> None:
    """Print one JSON document; NaN and infinities become null."""
    print(json.dumps(finite_json(value), indent=2))


def print_table(table: "Table") -> None:
    """Print a table; a first cell that repeats the one above stays empty.

    Where the terminal is too narrow for it, each row becomes a list of headings and values.
    """
    from rich.measure import Measurement

    console, columns = _console(highlight=False), _as_columns(table)
    widest = Measurement.get(console, console.options.update(max_width=_WIDEST), columns).maximum
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, widest)  # a file or a pipe is as wide as it takes
    foldable = sum(max(0, _width(table, column) - _NARROWEST) for column in table.text_columns)
    if widest - foldable <= console.width:
        console.print(columns)
        return
    console.print(_printable(table.title))
    for row in table.rows:
        console.print()
        console.print(_as_list(table, row))


def _console(*, stderr: bool = False, highlight: bool = True) -> "Console":
    """A console that shows names as they are: in ``track[v2]`` and ``:x:`` it would read signs of its own."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=highlight)


def _width(table: "Table", name: str) -> int:
    """Width of a column of words in characters; 0 if the table has none of that name."""
    if name not in table.columns:
        return 0
    index = table.columns.index(name)
    lines = [*_heading(name).split("\n"), *(row[index] for row in table.rows)]
    return max(map(len, lines))


def _as_columns(table: "Table") -> "RichTable":
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(title=_printable(table.title), box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    for column in table.columns:
        text = column in table.text_columns
        heading = _printable(_heading(column))
        shown.add_column(heading, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for first, rows in table.row_groups():
        for index, cells in enumerate(rows):
            shown.add_row("" if index else _printable(first), *map(_printable, cells))
    return shown


def _as_list(table: "Table", row: tuple[str, ...]) -> "RichTable":
    from rich.table import Table as RichTable

    shown = RichTable.grid(padding=(0, 2, 0, 0))
    for column, cell in zip(table.columns, row, strict=True):
        shown.add_row(_printable(" ".join(column.split())), _printable(cell))
    return shown


def _printable(text: str) -> str:
    """A text as standard output will show it: where the encoding lacks a sign, its replacement needs a place too."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, sys.stdout.errors or "replace").decode(encoding, "replace")


def _heading(column: str) -> str:
    """Split a heading into two lines: content of the column, and its unit or last word."""
    if "\n" in column:
        return column
    return "\n".join(column.split(", ") if ", " in column else column.rsplit(" ", 1))


def paired_summary(first: "Evaluation", other: "Evaluation") -> dict[str, Any]:
    """Paired difference of two evaluations on the same episodes for scripts, the discordant pairs by their seeds."""
    from reachy_policies.evaluation.statistics.intervals import compare_pairs

    comparison = compare_pairs(first.successes, other.successes)
    seeds = [episode.seed for episode in first.episodes]
    return {
        "pairs": comparison.pairs,
        "only_first": [seeds[i] for i in comparison.only_a],
        "only_other": [seeds[i] for i in comparison.only_b],
        "difference": vars(comparison.difference),
        "p_value": comparison.p_value,
    }
