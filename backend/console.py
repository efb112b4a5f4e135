"""What the subcommands share: the service behind them, and how runs look on a terminal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Iterable
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from backend.core.config import Settings
from backend.core.logs import configure_logging
from backend.main import Service
from backend.storage.runs import JobRun, SourceRun
from backend.storage.store import Store

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

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


class Opened:
    """What a subcommand works with; each thing is opened when it is first asked for."""

    @cached_property
    def settings(self) -> Settings:
        """Return the settings in force. Raises ConfigError."""
        return Settings.load()

    @cached_property
    def _service(self) -> Service:
        return Service.make(self.settings)

    def service(self) -> Service:
        """Return the service, its store not yet opened. Raises ConfigError."""
        return self._service

    def migrated(self) -> Service:
        """Return the service with its store at this version. Raises ConfigError, StoreUnavailable."""
        self._service.database.migrate()
        return self._service

    def store(self) -> Store:
        """Return the store at this version. Raises ConfigError, StoreUnavailable."""
        return self.migrated().store


def opened(context: typer.Context) -> Opened:
    """Return what the main command handed down."""
    given = context.obj
    if not isinstance(given, Opened):
        raise TypeError("the main command hands an Opened down")
    return given


def quiet_on_a_terminal(settings: Settings) -> None:
    """Log as the settings say; to a person who watches, only what needs attention."""
    if sys.stderr.isatty() and "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "WARNING"})
    configure_logging(settings)


def run_to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; SIGTERM stops it as Ctrl-C does, so that a run under way is recorded."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    return asyncio.run(watched())


def print_json(value: object) -> None:
    """Print a value as JSON, times in ISO 8601."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def run_as_dict(run: JobRun) -> dict[str, Any]:
    """Return a run under the names that the API uses."""
    return {
        "runId": run.id,
        "job": run.job,
        "trigger": run.trigger,
        "status": run.status,
        "scheduledTime": run.slot,
        "startTime": run.start_time,
        "endTime": run.end_time,
        "durationSeconds": run.duration,
        "attempt": run.attempt,
        "recordsCollected": run.collected,
        "recordsStored": run.stored,
        "recordsRejected": run.rejected,
        "note": run.note,
        "sources": [source_as_dict(source) for source in run.sources],
    }


def source_as_dict(source: SourceRun) -> dict[str, Any]:
    """Return what a source did under the names that the API uses."""
    return {
        "source": source.source,
        "status": source.status,
        "reason": source.reason,
        "recordsCollected": source.collected,
        "recordsStored": source.stored,
        "recordsRejected": source.rejected,
        "rejectedReasons": source.rejected_reasons,
        "failedRequests": source.failed,
        "failures": [
            {"route": f.route, "url": f.url, "reason": f.reason, "error": f.error} for f in source.failures
        ],
        "requests": source.requests,
        "bytes": source.bytes,
        "durationSeconds": source.duration,
        "newestData": source.newest,
    }


def runs_table(runs: Iterable[JobRun]) -> Table:
    """Return runs as a table, times in UTC."""
    table = Table("Run", "Job", "Slot (UTC)", "Trigger", "Status", "Seconds", "Collected", "Stored", "Note")
    for run in runs:
        table.add_row(
            str(run.id),
            run.job,
            _time(run.slot),
            run.trigger,
            _status(run.status),
            "–" if run.duration is None else f"{run.duration:.1f}",
            str(run.collected),
            str(run.stored),
            run.note,
        )
    return table


def sources_table(run: JobRun) -> Table:
    """Return what each source did in a run as a table."""
    return outcomes_table(f"Run {run.id}: {run.status}", run.sources)


def outcomes_table(title: str, outcomes: Iterable[SourceRun]) -> Table:
    """Return the outcomes of sources as a table."""
    table = Table(
        *(
            "Source",
            "Status",
            "Collected",
            "Stored",
            "Rejected",
            "Failed",
            "Requests",
            "kB",
            "Seconds",
            "Why",
        ),
        title=title,
    )
    for source in outcomes:
        rejected = ", ".join(f"{count} {reason}" for reason, count in source.rejected_reasons.items())
        table.add_row(
            source.source,
            _status(source.status),
            str(source.collected),
            str(source.stored),
            rejected or "0",
            str(source.failed),
            str(source.requests),
            f"{source.bytes / 1000:.0f}",
            f"{source.duration:.1f}",
            source.reason,
        )
    return table


def _status(status: str) -> str:
    return f"[{_STYLES[status]}]{status}[/]"


def _time(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
