"""`meteo-score import`: forecasts and observations from files.

The room `files/` is imported inside the commands, so that `--help` and `import replaced` need no Polars.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.cli.progress import row_progress
from backend.core.parameters import RULES, Parameter
from backend.core.text import printable
from backend.scoring.days.update import update
from backend.storage.database import from_epoch
from backend.storage.replaced import Measure, replaced_values

if TYPE_CHECKING:
    from backend.files.importing import Imported
    from backend.main import Service

app = typer.Typer(
    name="import",
    add_completion=False,
    help="Import forecasts and observations from a file: all rows, or none.",
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the file, and store nothing.")]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Replace values of an earlier file that differ; the old values are recorded."
    ),
]
File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A .csv or .parquet file, or a .txt file in the format of verif."),
]


# --- Import ------------------------------------------------------------------------------------------


@app.command("forecasts")
def forecasts(
    context: typer.Context,
    file: File,
    model: Annotated[
        str | None, typer.Option(help="The model of a verif file that does not name it.")
    ] = None,
    dry_run: DryRun = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Store the forecasts of FILE: model,site,parameter,reference_time,valid_time,value[,available_at].

    Times carry a zone. Collected values are never replaced. Without available_at, a run counts as available
    from now on: it then enters the views by lead time, and none of the views of a pilot's decision. Exit 2
    if a line breaks a rule or differs from a value of an earlier file; nothing is stored then.
    """
    from backend.files import importing as files
    from backend.files.formats import forecast_table

    service = opened(context).migrated()
    table = forecast_table(file, model)
    sites = service.sites() if dry_run else service.runner.sites()
    with row_progress() as on_rows:
        done = files.import_forecasts(
            service.database,
            table,
            sites,
            service.clock(),
            dry_run=dry_run,
            replace=replace,
            on_rows=on_rows,
        )
    _finish(service, "forecasts", file, done, dry_run=dry_run, as_json=as_json)


@app.command("observations")
def observations(
    context: typer.Context,
    file: File,
    dry_run: DryRun = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Store the readings of FILE: station,parameter,time,value[,averaging_minutes,direction_resolution].

    Times carry a zone. Collected values are never replaced. Exit 2 if a line breaks a rule or differs from a
    value of an earlier file; nothing is stored then.
    """
    from backend.files import importing as files
    from backend.files.formats import is_verif, observation_table

    service = opened(context).migrated()
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
            replace=replace,
            on_rows=on_rows,
        )
    _finish(service, "observations", file, done, dry_run=dry_run, as_json=as_json)


@app.command("replaced")
def replaced(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Number of values, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the values that `import --replace` replaced: the old value, the file and the time."""
    values, count = replaced_values(opened(context).current().database, limit)
    if as_json:
        entries = [
            {
                "replacedAt": value.replaced_at,
                "file": value.file,
                "modelOrStation": value.name,
                "site": value.site,
                "parameter": value.parameter,
                "referenceTime": value.reference_time,
                "time": value.time,
                "old": _measure_entry(value.old),
                "new": _measure_entry(value.new),
            }
            for value in values
        ]
        print_json({"count": count, "values": entries})
        return
    if not values:
        print_text("No import has replaced a value.")
    for value in values:
        run = f", run of {value.reference_time:%Y-%m-%d %H:%M} UTC" if value.reference_time else ""
        at = f" at {value.site}" if value.site else ""
        print_text(f"{value.replaced_at:%Y-%m-%d %H:%M} UTC, by {printable(value.file)}")
        print_text(f"  {value.name}{at}: {value.parameter} of {value.time:%Y-%m-%d %H:%M} UTC{run}")
        print_text(f"  was {_described(value.old, value.parameter)}")
        print_text(f"  is  {_described(value.new, value.parameter)}")
    if count > len(values):
        print_text(f"and {count - len(values)} more: see --limit")


def _described(measure: Measure, parameter: str) -> str:
    rule = RULES[Parameter(parameter)]
    words = [f"{measure.value / 1000:g}{'°' if rule.circular else f' {rule.unit}'}"]
    if measure.available_at is not None:
        words.append(f"available {from_epoch(measure.available_at):%Y-%m-%d %H:%M} UTC")
    if measure.averaging_minutes is not None:
        words.append(f"averaged over {measure.averaging_minutes} min")
    if measure.direction_resolution is not None:
        words.append(f"directions in steps of {measure.direction_resolution:g}°")
    return ", ".join(words)


def _measure_entry(measure: Measure) -> dict[str, object]:
    return {
        "value": measure.value / 1000,  # stored in thousandths of the unit
        "availableAt": None if measure.available_at is None else from_epoch(measure.available_at),
        "averagingMinutes": measure.averaging_minutes,
        "directionResolution": measure.direction_resolution,
    }


def _finish(service: Service, what: str, file: Path, done: Imported, *, dry_run: bool, as_json: bool) -> None:
    """Update the score days that an import changed, and print the counts."""
    if not dry_run:
        update(service.database, service.clock())
    if as_json:
        counts = {
            "new": done.new,
            "known": done.known,
            "replaced": done.replaced,
            "collected": done.collected,
            "missing": done.missing,
        }
        print_json({"file": str(file), "what": what, "rows": done.rows, "dryRun": dry_run} | counts)
        return
    checked = " follow every rule. Dry run: nothing was stored." if dry_run else ""
    print_text(f"{file}: {done.rows} {what}{checked}")
    lines = (
        (done.new, "new"),
        (done.known, "already stored"),
        (done.replaced, "replace another value: see meteo-score import replaced"),
        (done.collected, "left out: a file never replaces a collected value"),
        (done.missing, "rows without a value, ignored"),
    )
    for count, meaning in lines:
        if count or meaning == "new":
            print_text(f"  {count} {meaning}")
