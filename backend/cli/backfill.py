"""`meteo-score backfill`: values of past days from the archives of sources, resumed where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backend.cli.console import AsJson, print_json, print_text, quiet_on_a_terminal, run_to_the_end
from backend.cli.context import opened
from backend.cli.progress import progress
from backend.collectors.base import Source
from backend.core.errors import ConfigError, JobBusyError
from backend.core.records import WELL
from backend.main import Service
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, JobId
from backend.scheduler.orders import Selection
from backend.scheduler.runner import heed_stop
from backend.storage.database import to_epoch
from backend.storage.retention import described, retention
from backend.storage.run_records import JobRun, run_as_dict

app = typer.Typer(add_completion=False)

SPAN = {FORECASTS: timedelta(days=1), OBSERVATIONS: timedelta(days=31)}
"""Period of one run of a backfill: short, so that scheduled runs can start between two of them."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """One run of a backfill: a source, and what to collect of it.

    Without a period it is a plain collection, which looks back as far as its job does.
    """

    job: JobId
    source: str
    selection: Selection

    @property
    def label(self) -> str:
        """Return the line beside the progress bar."""
        since = self.selection.since
        return self.source if since is None else f"{self.source} {since:%Y-%m-%d}"


@app.command()
def backfill(
    context: typer.Context,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC), yesterday at most.")
    ],
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the values of past days from the archives of sources, and label them as backfilled.

    Stored values are not requested again: repeat the command to continue. Exit 1 if something failed.
    """
    quiet_on_a_terminal(opened(context).settings)
    service = opened(context).service
    since, until = first.replace(tzinfo=UTC), datetime.combine(last.date(), time(23, 59, 59), UTC)
    now = service.clock()
    if until >= datetime.combine(now.date(), time(), UTC):
        raise ConfigError(f"--to {last:%Y-%m-%d}: must be yesterday (UTC) at most")
    if since > until:
        raise ConfigError(f"--from {first:%Y-%m-%d}: must not be later than --to {last:%Y-%m-%d}")
    known = {one.name: (job, one) for job in JOBS for one in service.sources.of(job)}
    excluded = {}
    for name, (_, one) in known.items():
        if one.disabled is not None:
            excluded[name] = f"disabled: {one.disabled}"
        elif one.past is None:
            excluded[name] = f"cannot serve past days: {one.no_archive_reason}"
    for name in source or ():
        if name not in known:
            raise ConfigError(f"--source {name}: must be one of {', '.join(known)}")
        if name in excluded:
            raise ConfigError(f"--source {name}: {excluded[name]}")
    chosen = [
        entry for name, entry in known.items() if name not in excluded and (source is None or name in source)
    ]

    with opened(context).migrated().database.read() as connection:
        kept_from = retention(connection).scored_from
    if kept_from is not None and to_epoch(since) < kept_from:
        raise ConfigError(
            f"--from {first:%Y-%m-%d}: must be {described(kept_from)} at least: earlier values were exported"
            " and removed, and their score days are final"
        )
    pieces = [piece for job, one in chosen for piece in _pieces(job, one, since, until, now)]
    for name, reason in excluded.items() if source is None else ():
        print_text(f"{name}: left out: {reason}", err=True)
    for _, one in chosen:
        start = one.past.start(now) if one.past else None
        if start is not None and start > since:
            print_text(f"{one.name}: its archive starts at {start:%Y-%m-%d %H:%M} UTC", err=True)
    done, stopped = run_to_the_end(run_pieces(service, pieces, shown=not as_json))
    report(done, stopped, as_json=as_json)
    raise typer.Exit(0 if all_well(done, stopped) else 1)


def _pieces(
    job: JobId, source: Source[Any], since: datetime, until: datetime, now: datetime
) -> Iterator[Piece]:
    """Yield the periods of a source to collect, oldest first, within the reach of its archive."""
    oldest = source.past.start(now) if source.past else None
    start = since if oldest is None else max(since, oldest)
    while start <= until:
        end = min(datetime.combine(start.date(), time(), UTC) + SPAN[job] - _SECOND, until)
        yield Piece(job, source.name, Selection(sources=(source.name,), since=start, until=end))
        start = end + _SECOND


Done = Sequence[tuple[Piece, JobRun]]
"""The pieces that were run, each with its run."""


async def run_pieces(service: Service, pieces: Sequence[Piece], *, shown: bool) -> tuple[Done, str]:
    """Run every piece; return the runs, and why it ended early ("" if it did not), then close the service.

    It ends when a job is busy. A source whose quota is spent is passed over from then on.
    """
    done: list[tuple[Piece, JobRun]] = []
    stopped = ""
    spent: set[str] = set()
    try:
        with progress(shown=shown) as bar:
            task = bar.add_task(" " * 28, total=len(pieces))
            for piece in pieces:
                bar.update(task, description=piece.label.ljust(28))
                if piece.source not in spent:
                    # Before the claim, so that an unusable list of sites is an error and no failed run.
                    await asyncio.to_thread(service.runner.sites)
                    trigger = "cli" if piece.selection.until is None else "backfill"
                    run = await service.runner.run(piece.job, trigger, selection=piece.selection)
                    if run is None:
                        raise AssertionError("a run without a slot always gets its claim")
                    heed_stop()
                    done.append((piece, run))
                    reasons = [failure.reason for source in run.sources for failure in source.failures]
                    quota = next((reason for reason in reasons if reason.startswith("quota:")), None)
                    if quota is not None:
                        spent.add(piece.source)
                        stopped = f"{piece.source}: {quota}: repeat the command later to continue"
                bar.update(task, advance=1)
    except JobBusyError as busy:
        stopped = f"{busy}: repeat the command when it has ended to continue"
    finally:
        await service.close()
    return done, stopped


def all_well(done: Done, stopped: str) -> bool:
    """Return True if every piece was run, and no run failed."""
    return not stopped and all(run.status in WELL for _, run in done)


def report(done: Done, stopped: str, *, as_json: bool, title: str = "Backfilled") -> None:
    """Print the sums of the runs of each source, and why it ended early."""
    if as_json:
        print_json([run_as_dict(run) for _, run in done])
    else:
        _print_sums(done, title)
    if stopped:
        print_text(f"meteo-score: {stopped}", err=True)


def _print_sums(done: Done, title: str) -> None:
    table = Table("Source", "Runs", "Values", "Stored", "Requests", "Failed", title=title, box=None)
    sums: dict[str, list[int]] = {}
    why: dict[str, None] = {}
    for piece, run in done:
        row = sums.setdefault(piece.source, [0, 0, 0, 0, 0])
        for source in run.sources:
            counts = (1, source.collected, source.stored, source.requests, source.failed)
            row[:] = [total + count for total, count in zip(row, counts, strict=True)]
            if source.reason:
                why[f"{piece.source}: {source.reason}"] = None
    for name, row in sums.items():
        table.add_row(name, *map(str, row))
    console = Console()
    console.print(table)
    for line in why:
        console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)
