"""What subcommands print, and how: lines, JSON, progress, errors, and tables of runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import textwrap
from collections.abc import Coroutine, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from backend.core.errors import ConfigError, MeteoScoreError, NotFoundError, UnknownNameError
from backend.core.terminal import takes_unicode
from backend.core.text import printable

if TYPE_CHECKING:
    from backend.core.config import Settings
    from backend.storage.run_records import JobRun, SourceRun

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

UNUSABLE = 2
"""Exit code of an error that the same settings and options cannot avoid."""

_STYLES = {
    "success": "green",
    "nothing_new": "dim",
    "running": "cyan",
    "partial": "yellow",
    "stale": "yellow",
    "missed": "yellow",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "failed": "bold red",
    "disabled": "dim",
}


_NUMBERS = ("Values", "Stored", "Rejected", "Requests", "Failed", "MB", "Secs")


def refused(error: MeteoScoreError) -> typer.Exit:
    """Print an error on stderr and return the exit to raise: 2 for wrong settings or options, otherwise 1."""
    no_site = isinstance(error, UnknownNameError) and error.kind == "site"
    hint = ": see meteo-score sites list" if no_site else ""
    print_text(printable(f"meteo-score: {error}{hint}", keep="\n"), err=True)
    return typer.Exit(UNUSABLE if isinstance(error, ConfigError | NotFoundError) else 1)


def quiet_on_a_terminal(settings: Settings) -> None:
    """Log at LOG_LEVEL; on a terminal the default is WARNING, so that no log line breaks a bar or a table."""
    from backend.core.logs import configure_logging

    quiet = sys.stderr.isatty() and "log_level" not in settings.model_fields_set
    configure_logging(settings, level="WARNING" if quiet else None)


def run_to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine. SIGTERM cancels it as Ctrl-C does, so that the end of the run is recorded."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        print_text("meteo-score: stopped", err=True)
        raise typer.Exit(1) from None


def print_text(text: str, *, err: bool = False) -> None:
    """Print lines of text: wrapped between words on a terminal, unchanged in a file or a pipe.

    A word that is longer than a line, such as a path, stays whole.
    """
    if (sys.stderr if err else sys.stdout).isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
            for line in text.split("\n")
        )
    typer.echo(text, err=err)


# --- As JSON -----------------------------------------------------------------------------------------


def print_json(value: object) -> None:
    """Print a value as JSON, times in ISO 8601."""
    escaped = not takes_unicode(sys.stdout)
    print(
        json.dumps(
            value,
            ensure_ascii=escaped,
            indent=2,
            default=lambda item: (
                item.isoformat().replace("+00:00", "Z") if isinstance(item, datetime) else str(item)
            ),
        )
    )


# --- On a terminal, 80 columns wide or more ----------------------------------------------------------


def print_runs(runs: Iterable[JobRun]) -> None:
    """Print runs as a table, times in UTC, and their notes below it."""
    console = Console()
    table = _table("Run", "Job", "Slot (UTC)", "Trigger", "Status", "Secs", "Values", "Stored")
    notes = []
    for run in runs:
        table.add_row(
            str(run.id),
            run.job.removeprefix("collect_"),
            "–" if run.slot is None else f"{run.slot:%Y-%m-%d %H:%M}",
            run.trigger,
            _status(run.status),
            "–" if run.duration is None else f"{run.duration:.1f}",
            str(run.collected),
            str(run.stored),
        )
        if run.note:
            notes.append(f"run {run.id}: {run.note}")
    console.print(table)
    _print_lines(console, notes)


def print_run(run: JobRun) -> None:
    """Print the outcome of each source of a run, and the note of the run."""
    print_outcomes(f"Run {run.id}: {run.status}", run.sources)
    _print_lines(Console(), [run.note] if run.note else [])


def print_failures(run: JobRun) -> None:
    """Print every stored failure of a run, one per line."""
    lines = [
        f"{source.source}: {' '.join(filter(None, (failure.route, failure.url)))}: {failure.reason}"
        for source in run.sources
        for failure in source.failures
    ]
    _print_lines(Console(), ["Failed requests:", *lines] if lines else [])


def print_outcomes(title: str, outcomes: Iterable[SourceRun]) -> None:
    """Print the outcomes of sources as a table, and their reasons below it."""
    console = Console()
    table = _table(
        *("Source", "Status", *_NUMBERS),
        title=title,
    )
    why = []
    for source in outcomes:
        table.add_row(
            source.source,
            _status(source.status),
            str(source.collected),
            str(source.stored),
            str(source.rejected),
            str(source.requests),
            str(source.failed),
            f"{source.bytes / 1e6:.1f}",
            f"{source.duration:.1f}",
        )
        if source.reason:
            why.append(f"{source.source}: {source.reason}")
        if source.rejected_reasons:
            counted = ", ".join(f"{count} {reason}" for reason, count in source.rejected_reasons.items())
            why.append(f"{source.source}: rejected {counted}")
    console.print(table)
    _print_lines(console, why)


def _table(*headers: str, title: str | None = None) -> Table:
    """Return a table that fits into 80 columns without cutting a word."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=True, justify="right" if header in _NUMBERS else "left")
    return table


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def _status(status: str) -> str:
    return f"[{_STYLES[status]}]{status}[/]"
