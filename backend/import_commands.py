"""`meteo-score import`: forecasts and observations from files.

The room behind this command stands on Polars, which a service that only collects has no need of: it is
imported when the command is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from backend.console import AsJson, opened, print_json, silent
from backend.main import Service
from backend.scoring.upkeep import update

app = typer.Typer(name="import", help="Forecasts and observations from a file: all of it, or nothing.")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the file, and store nothing.")]
File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A .csv or .parquet file, or a .txt file in the format of verif."),
]


# --- Import ------------------------------------------------------------------------------------------


@app.command("forecasts")
def import_forecasts(
    context: typer.Context,
    file: File,
    model: Annotated[
        str | None, typer.Option(help="The model that a verif file is of, where it does not say.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Store the forecasts of FILE: model,site,parameter,reference_time,valid_time,value[,available_at].

    Times carry a zone. What was collected is never replaced. Without available_at, a run counts as to be had
    from now on: it then enters the views by lead time, and none of those of a pilot's decision. Exit 2 if a
    line breaks a rule; nothing is stored then.
    """
    from backend.files import importing as files
    from backend.files.opening import forecast_table

    service = service_of(context)
    table = forecast_table(file, model)
    sites = service.sites() if dry_run else service.runner.sites()
    with row_progress() as on_rows:
        done = files.import_forecasts(
            service.database, table, sites, service.clock(), dry_run=dry_run, on_rows=on_rows
        )
    _finish(service, "forecasts", file, done.rows, done.new, dry_run=dry_run, as_json=as_json)


@app.command("observations")
def import_observations(
    context: typer.Context, file: File, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Store the readings of FILE: station,parameter,time,value[,averaging_minutes,direction_resolution].

    Times carry a zone. What was collected is never replaced. Exit 2 if a line breaks a rule; nothing is
    stored then.
    """
    from backend.files import importing as files
    from backend.files.opening import is_verif, observation_table

    service = service_of(context)
    table = observation_table(file)
    sites = service.sites() if dry_run else service.runner.sites()
    known = {station.id for station in service.store.stations()}
    known |= {station for site in sites for station in site.stations}
    with row_progress() as on_rows:
        done = files.import_observations(
            service.database,
            table,
            known,
            service.clock(),
            merge_same=is_verif(file),
            dry_run=dry_run,
            on_rows=on_rows,
        )
    _finish(service, "observations", file, done.rows, done.new, dry_run=dry_run, as_json=as_json)


def _finish(
    service: Service, what: str, file: Path, rows: int, new: int, *, dry_run: bool, as_json: bool
) -> None:
    """Make the days of scores that an import changed, and say what was done."""
    if not dry_run:
        keep_up(service)
    if as_json:
        told = {"file": str(file), "what": what, "rows": rows, "dryRun": dry_run}
        print_json(told if dry_run else told | {"new": new, "known": rows - new})
    elif dry_run:
        typer.echo(f"{file}: {rows} {what} keep every rule. Dry run: nothing was stored.")
    else:
        typer.echo(f"{file}: {rows} {what}, {new} of them new, {rows - new} known already.")


# --- What export needs as well ------------------------------------------------------------------------


def service_of(context: typer.Context) -> Service:
    """Return the service with its store, and let nothing but the command itself speak."""
    silent(opened(context).settings)
    return opened(context).migrated()


def keep_up(service: Service) -> None:
    """Make every day that is due, so that pairs and scores are those of what is stored now."""
    update(service.database, service.clock())


@contextmanager
def row_progress() -> Iterator[Callable[[str, int], None]]:
    """Show a line per step on a terminal, with its rows; elsewhere nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        tasks = {}

        def advance(what: str, rows: int) -> None:
            if what not in tasks:
                # What was checked is what there is to be stored.
                before = [task.completed for task in bar.tasks]
                tasks[what] = bar.add_task(what, total=before[-1] if before else None)
            bar.update(tasks[what], advance=rows)

        yield advance
