"""A progress bar on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lakeward.console import errors


class Show(Protocol):
    """Shows how far the work is."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Show the number done so far, and of how many when that is known by now."""


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Show]:
    """Show a bar while the block runs; call what is yielded with the number done so far.

    ``total`` None shows a count without an end until a total is told. The bar goes away when the
    block ends, and where standard error is no terminal there is none.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as bar:
        task = bar.add_task(label, total=total)

        def show(done: int, total: int | None = None, /) -> None:
            bar.update(task, completed=done, total=total)

        yield show
