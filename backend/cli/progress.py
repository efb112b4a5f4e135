"""Progress bars, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


@contextmanager
def progress(
    *columns: ProgressColumn, console: Console | None = None, shown: bool = True, transient: bool = False
) -> Iterator[Progress]:
    """Show progress while the block runs, on a terminal only; on stderr unless given another `console`.

    Without `columns` a line has the task's name, a bar, the counts and the time. A `transient` one is erased
    at the end.
    """
    console = console or Console(stderr=True)
    columns = columns or (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    disable = not (shown and console.is_terminal)
    with Progress(*columns, console=console, disable=disable, transient=transient) as bar:
        yield bar


@contextmanager
def row_progress() -> Iterator[Callable[[str, int], None]]:
    """Show a line per step on a terminal, with its rows; elsewhere nothing."""
    with progress(transient=True) as bar:
        tasks = {}

        def advance(what: str, rows: int) -> None:
            if what not in tasks:
                # What was checked is what there is to be stored.
                before = [task.completed for task in bar.tasks]
                tasks[what] = bar.add_task(what, total=before[-1] if before else None)
            bar.update(tasks[what], advance=rows)

        yield advance
