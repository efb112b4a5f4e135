"""What the subcommands share: the service behind them, and how runs look on a terminal."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import textwrap
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from typer.core import TyperGroup

from backend.collectors.areas import not_covered
from backend.core.config import Settings, check_setting_names, settings_file, slips_in_environment
from backend.core.errors import ConfigError, MeteoScoreError, NotFoundError
from backend.core.logs import configure_logging
from backend.core.records import Outside, Site
from backend.core.terminal import takes_unicode
from backend.core.text import printable
from backend.demo.store import FOLDER as DEMO_FOLDER
from backend.demo.store import store_file, store_settings
from backend.main import SETTING_NAMES, Service
from backend.scheduler.config import FORECASTS, SchedulerConfig
from backend.storage.run_records import JobRun, SourceRun
from backend.storage.store import Store

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

UNUSABLE = 2
"""The exit code for what can never work as it is configured or asked for."""

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


READING_COMMANDS = frozenset(
    {
        *("score", "runs", "config", "sites list", "sites near", "sites flags", "import replaced"),
        *(f"export {what}" for what in ("pairs", "scores", "forecasts", "observations", "verif")),
    }
)
"""The commands that only read the store, which `--demo` points at the demo's."""


class Command(TyperGroup):
    """The main command: whatever the project refuses ends it with one line, and without a traceback."""

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """Find the subcommand of a line. Raises ConfigError where --demo does not go with it."""
        found = name, command, rest = super().resolve_command(context, args)
        if context.params.get("demo") and name != "demo" and "--help" not in rest:
            if isinstance(command, TyperGroup) and rest:
                name = f"{name} {rest[0]}"
            if name not in READING_COMMANDS:
                raise ConfigError(f"--demo is for commands that only read, and {name} does more than that")
            if not store_file(DEMO_FOLDER).is_file():
                raise ConfigError(f"--demo: there is no store in {DEMO_FOLDER}: run make demo first")
        return found

    def invoke(self, context: Any) -> Any:
        """Run a subcommand. Exit code 2: this can never work; 1: it did not work just now."""
        try:
            return super().invoke(context)
        except MeteoScoreError as error:
            raise refused(error) from error


def refused(error: MeteoScoreError, prefix: str = "meteo-score: ") -> typer.Exit:
    """Print an error on stderr, and return the exit to raise: 2 for what can never work, otherwise 1."""
    say(printable(f"{prefix}{error}", keep="\n"), err=True)
    return typer.Exit(UNUSABLE if isinstance(error, ConfigError | NotFoundError) else 1)


class CliContext:
    """What a subcommand works with; each thing is opened when it is first asked for."""

    def __init__(self, env_file: Path | None = None, *, demo: bool = False) -> None:
        self._env_file = env_file
        self._demo = demo

    @cached_property
    def env_file(self) -> Path | None:
        """Return the settings file in use, if there is one. Raises ConfigError for a slip in its names."""
        file = settings_file(self._env_file)
        if file is not None:
            check_setting_names(file, SETTING_NAMES)
        return file

    @cached_property
    def settings(self) -> Settings:
        """Return the settings in force. Raises ConfigError."""
        for name, meant in self.slips_in_environment().items():
            say(f"Warning: {name} is not a setting: did you mean {meant}?", err=True)
        return Settings.load_from(self.env_file, **(store_settings(DEMO_FOLDER) if self._demo else {}))

    @cached_property
    def config(self) -> SchedulerConfig:
        """Return the settings of the schedule. Raises ConfigError."""
        return SchedulerConfig.load_from(self.env_file)

    def slips_in_environment(self) -> dict[str, str]:
        """Return the variables that are nearly settings, which other programs may well use."""
        return slips_in_environment(SETTING_NAMES)

    @cached_property
    def service(self) -> Service:
        """Return the service, its store not yet opened; a SQLite file is made. Raises ConfigError."""
        return Service.make(self.settings, self.config)

    @cached_property
    def reading_service(self) -> Service:
        """Return the service for a command that only reads: no store is made. Raises ConfigError."""
        return Service.make(self.settings, self.config, make_store=False)

    def migrated(self) -> Service:
        """Return the service with its store at this version. Raises ConfigError, StoreUnavailableError."""
        if self.service.database.migrate():
            say(f"New, empty store: {self.service.database.name}", err=True)
        return self.service

    def current(self) -> Service:
        """Return the service for a command that only reads, its store being of this version.

        Raises ConfigError, which names `db upgrade`, or StoreUnavailableError.
        """
        self.reading_service.database.require_current()
        return self.reading_service

    def store(self) -> Store:
        """Return the store at this version. Raises ConfigError, StoreUnavailableError."""
        return self.migrated().store

    def stored(self) -> Store:
        """Return the store for a command that only reads. Raises ConfigError, StoreUnavailableError."""
        return self.current().store

    def uncovered(self, sites: Sequence[Site]) -> tuple[Outside, ...]:
        """Return which of these sites lie outside the area of a model that is collected."""
        used = [source for source in self.service.sources.of(FORECASTS) if source.disabled is None]
        areas = {model: area for source in used for model, area in source.areas.items()}
        return not_covered(areas, sites)

    def beyond_every_model(self, sites: Sequence[Site]) -> tuple[Site, ...]:
        """Return which of these sites lie where no model that is collected has forecasts."""
        used = [source for source in self.service.sources.of(FORECASTS) if source.disabled is None]
        areas = [source.areas.get(model) for source in used for model in source.models]
        return tuple(site for site in sites if not any(area is None or area.holds(site) for area in areas))

    def close(self) -> None:
        """Let go of the databases that were opened."""
        for name in ("service", "reading_service"):
            if name in self.__dict__:
                self.__dict__[name].database.close()


def opened(context: typer.Context) -> CliContext:
    """Return what the main command handed down."""
    given = context.obj
    if not isinstance(given, CliContext):
        raise TypeError("the main command hands an Opened down")
    return given


def quiet_on_a_terminal(settings: Settings) -> None:
    """Log as the settings say; to a person who watches, only what needs attention."""
    if sys.stderr.isatty() and "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "WARNING"})
    configure_logging(settings)


def silent(settings: Settings) -> None:
    """Log nothing: for a command whose output says it all."""
    configure_logging(settings.model_copy(update={"log_level": "CRITICAL"}))


def run_to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; SIGTERM stops it as Ctrl-C does, so that a run under way is recorded."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        say("meteo-score: stopped", err=True)
        raise typer.Exit(1) from None


def say(text: str, *, err: bool = False) -> None:
    """Print lines of text: broken between words on a terminal, as they are in a file or a pipe.

    A word that is longer than a line, such as a path, stays whole.
    """
    if (sys.stderr if err else sys.stdout).isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
            for line in text.split("\n")
        )
    typer.echo(text, err=err)


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


# --- As JSON -----------------------------------------------------------------------------------------


def print_json(value: object) -> None:
    """Print a value as JSON, times in ISO 8601."""
    escaped = not takes_unicode(sys.stdout)
    print(json.dumps(value, ensure_ascii=escaped, indent=2, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


# --- On a terminal, 80 columns wide or more ----------------------------------------------------------


def print_runs(runs: Iterable[JobRun]) -> None:
    """Print runs as a table, times in UTC, and below it what was noted about them."""
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
    """Print what each source did in a run, and what was noted about it."""
    print_outcomes(f"Run {run.id}: {run.status}", run.sources)
    _print_lines(Console(), [run.note] if run.note else [])


def print_failures(run: JobRun) -> None:
    """Print every failure of a run that was kept, one a line."""
    lines = [
        f"{source.source}: {' '.join(filter(None, (failure.route, failure.url)))}: {failure.reason}"
        for source in run.sources
        for failure in source.failures
    ]
    _print_lines(Console(), ["Failed requests:", *lines] if lines else [])


def print_outcomes(title: str, outcomes: Iterable[SourceRun]) -> None:
    """Print the outcomes of sources as a table, and below it why they are what they are."""
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
    """Return a table that has room on 80 columns, so that no word is cut."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=True, justify="right" if header in _NUMBERS else "left")
    return table


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def _status(status: str) -> str:
    return f"[{_STYLES[status]}]{status}[/]"
