"""How a workflow reports its progress: to a terminal, a notebook or a web page, or not at all.

Try it: reachy-kit record --episodes 2 --out data/try, whose bar is ``reachy_kit.cli.show.TERMINAL``
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol


class Reporter(Protocol):
    """Shows the progress and the notes of a workflow."""

    def progress(self, label: str, total: int, done: int = 0) -> AbstractContextManager[Callable[[], None]]:
        """Open a display of counted work.

        Args:
            label: what is being done.
            total: number of units of work.
            done: number of units that were done before.

        Returns:
            A context; it yields the function to call after each unit.
        """
        ...

    def working(self, label: str) -> AbstractContextManager[None]:
        """Show that work of unknown length runs while the context is open."""
        ...

    def note(self, text: str) -> None:
        """Show a line for people."""
        ...


class SilentReporter:
    """A reporter that shows nothing."""

    @contextlib.contextmanager
    def progress(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
        """Show nothing."""
        yield lambda: None

    def working(self, label: str) -> AbstractContextManager[None]:
        """Show nothing."""
        return contextlib.nullcontext()

    def note(self, text: str) -> None:
        """Show nothing."""


SILENT: Reporter = SilentReporter()
