"""What commands show: progress while they work, tables for people, JSON for scripts.

Progress and notes go to stderr, results to stdout, so that ``--json`` can be piped.
"""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@contextlib.contextmanager
def progress(label: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """A bar with the time left; yields what to call after each unit of work."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=done)
        yield lambda: bar.advance(task)


@contextlib.contextmanager
def working(label: str) -> Iterator[None]:
    """A sign of life for work that cannot count itself."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(label):
            yield
    else:
        console.print(label)
        yield


def note(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def result(text: str) -> None:
    """A line of the result, on stdout."""
    typer.echo(text)


def print_json(value: Any) -> None:
    """The result for scripts: one JSON document on stdout; what is not a number becomes null."""
    typer.echo(json.dumps(_finite(value), indent=2))


def print_table(table: "Table") -> None:
    """A table on stdout."""
    from rich.console import Console

    Console().print(table)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
