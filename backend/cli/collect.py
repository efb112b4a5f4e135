"""`meteo-score collect`: one collection by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from backend.cli.console import (
    AsJson,
    print_json,
    print_outcomes,
    print_run,
    print_text,
    quiet_on_a_terminal,
    run_to_the_end,
)
from backend.cli.context import opened
from backend.cli.progress import progress
from backend.collectors.base import MeteredFetch
from backend.core.errors import ConfigError, JobBusyError
from backend.core.records import WELL, Batch
from backend.core.sites import active, load_sites
from backend.core.text import did_you_mean
from backend.main import Service
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scheduler.jobs import collect_all_forecasts, collect_all_observations
from backend.scheduler.orders import Selection
from backend.storage.run_records import run_as_dict, source_as_dict


class Target(StrEnum):
    """The kinds of values to collect."""

    FORECASTS = "forecasts"
    OBSERVATIONS = "observations"


app = typer.Typer(add_completion=False)


@app.command()
def collect(
    context: typer.Context,
    what: Target,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Collect without storing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Collect missing values now. Exit 0: success or nothing new; 1: partial, failed or already running."""
    settings = opened(context).settings
    quiet_on_a_terminal(settings)
    used = opened(context)
    # The options are checked first, so that a command with wrong options creates no tables.
    if settings.sites_from == "file":
        service = used.service
        sites = active(load_sites(settings.sites_file), service.clock())
    else:
        service = used.migrated()
        sites = service.sites()
    job = FORECASTS if what is Target.FORECASTS else OBSERVATIONS
    known = [one.name for one in service.sources.of(job)]
    for name in source or ():
        if name not in known:
            raise ConfigError(f"--source {name}: must be one of {', '.join(known)} for {job}")
    listed = {one.id for one in sites}
    for name in site or ():
        if name not in listed:
            meant = did_you_mean(name, listed)
            raise ConfigError(f"--site {name}: is not on the list{meant}; see meteo-score sites list")
    selection = Selection(sources=source, sites=site)
    used.migrated()
    if not dry_run:
        service.runner.sites()  # stores the list: an unusable list is an error before the run starts
    run = _rehearse if dry_run else _collect
    status = run_to_the_end(run(service, job, selection, as_json))
    raise typer.Exit(0 if status in WELL else 1)


async def _collect(service: Service, job: JobId, selection: Selection, as_json: bool) -> str:
    try:
        with _progress(service, job, selection, shown=not as_json) as on_batch:
            run = await service.runner.run(job, "cli", selection=selection, on_batch=on_batch)
    except JobBusyError as busy:
        if as_json:
            print_json({"status": "already_running", "runId": busy.run_id})
        else:
            print_text(f"meteo-score: {busy}: see meteo-score runs {busy.run_id}", err=True)
        return "already_running"
    finally:
        await service.close()
    if run is None:
        raise AssertionError("a run without a slot always gets its claim")
    if as_json:
        print_json(run_as_dict(run))
    else:
        print_run(run)
    return run.status


async def _rehearse(service: Service, job: JobId, selection: Selection, as_json: bool) -> str:
    sites = await asyncio.to_thread(service.sites)
    needs = await asyncio.to_thread(service.runner.request_for, job, sites, selection)
    collect_all: Callable[..., Awaitable[Any]] = (
        collect_all_forecasts if job == FORECASTS else collect_all_observations
    )

    def channel_for(_source: str) -> MeteredFetch:
        counted = service.client.counted()
        return MeteredFetch(counted, counted)

    try:
        with _progress(service, job, selection, shown=not as_json) as on_batch:

            async def discard(batch: Batch) -> None:
                on_batch(batch)

            collection = await collect_all(
                needs=needs,
                deliver=discard,
                sources=service.runner.selected(job, selection),
                channel_for=channel_for,
                settings=service.settings,
                clock=service.clock,
            )
    finally:
        await service.close()
    if as_json:
        sources = [source_as_dict(outcome) for outcome in collection.outcomes]
        print_json({"status": collection.status, "dryRun": True, "sources": sources})
    else:
        print_outcomes(f"Dry run: {collection.status}; nothing was stored", collection.outcomes)
    return str(collection.status)


@contextmanager
def _progress(
    service: Service, job: JobId, selection: Selection, *, shown: bool
) -> Iterator[Callable[[Batch], None]]:
    """Show a line per source with its count of values, on a terminal only."""
    columns = (
        TextColumn("{task.description:>16}"),
        BarColumn(),
        TextColumn("{task.fields[records]} values"),
        TimeElapsedColumn(),
    )
    with progress(*columns, shown=shown) as bar:
        sources = service.runner.selected(job, selection)
        names = [source.name for source in sources if source.disabled is None]
        tasks = {name: bar.add_task(name, total=None, records=0) for name in names}
        records: Counter[str] = Counter()

        def count(batch: Any) -> None:
            records[batch.source] += len(batch.records)
            bar.update(tasks[batch.source], records=records[batch.source])

        yield count
