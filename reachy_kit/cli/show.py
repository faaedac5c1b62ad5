"""What commands show: progress while they work, tables for people, JSON for scripts.

Progress and notes go to stderr, results to stdout, so that ``--json`` can be piped.
"""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.evaluation.report.tables import Table


class Terminal:
    """A reporter that shows bars and notes on stderr."""

    @contextlib.contextmanager
    def progress(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
        """Show a bar with the time left; yields the function to call after each unit of work."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, completed=done)
            yield lambda: bar.advance(task)

    @contextlib.contextmanager
    def working(self, label: str) -> Iterator[None]:
        """Show a spinner while work of unknown length runs."""
        from rich.console import Console

        console = Console(stderr=True)
        if console.is_terminal:
            with console.status(label):
                yield
        else:
            console.print(label)
            yield

    def note(self, text: str) -> None:
        """Print a line on stderr."""
        typer.echo(text, err=True)


TERMINAL = Terminal()


def result(text: str) -> None:
    """Print a line of the result."""
    typer.echo(text)


def print_json(value: Any) -> None:
    """Print one JSON document; NaN and infinities become null."""
    typer.echo(json.dumps(_finite(value), indent=2))


def print_table(table: "Table") -> None:
    """Print a table; a first cell that repeats the one above stays empty."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in table.columns:
        text = column in table.text_columns
        shown.add_column(_heading(column), justify="left" if text else "right", no_wrap=not text)
    for first, rows in table.row_groups():
        for index, cells in enumerate(rows):
            shown.add_row("" if index else first, *cells)
    Console().print(shown)


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


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
