"""`meteo-score import`: forecasts and observations from files.

The room behind this command stands on Polars, which a service that only collects has no need of: it is
imported when the command is typed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.console import AsJson, print_json, say
from backend.cli.context import opened
from backend.cli.progress import row_progress
from backend.core.text import printable
from backend.scoring.days.update import update
from backend.storage.database import from_epoch
from backend.storage.replaced import Measure, Replaced, replaced_values

if TYPE_CHECKING:
    from backend.files.importing import Imported
    from backend.main import Service

app = typer.Typer(
    name="import", add_completion=False, help="Forecasts and observations from a file: all of it, or nothing."
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the file, and store nothing.")]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Take values that differ from those of an earlier file; the old ones are recorded."
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
        str | None, typer.Option(help="The model that a verif file is of, where it does not say.")
    ] = None,
    dry_run: DryRun = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Store the forecasts of FILE: model,site,parameter,reference_time,valid_time,value[,available_at].

    Times carry a zone. What was collected is never replaced. Without available_at, a run counts as to be had
    from now on: it then enters the views by lead time, and none of those of a pilot's decision. Exit 2 if a
    line breaks a rule, or differs from what an earlier file stored; nothing is stored then.
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

    Times carry a zone. What was collected is never replaced. Exit 2 if a line breaks a rule, or differs from
    what an earlier file stored; nothing is stored then.
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
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the last first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the values that `import --replace` replaced: the old value, the file and the time."""
    found, count = replaced_values(opened(context).current().database, limit)
    if as_json:
        print_json({"count": count, "values": [_as_dict(each) for each in found]})
        return
    if not found:
        say("No import has replaced anything.")
    for each in found:
        run = f", run of {each.reference_time:%Y-%m-%d %H:%M}" if each.reference_time else ""
        at = f" at {each.site}" if each.site else ""
        say(f"{each.replaced_at:%Y-%m-%d %H:%M} UTC, by {printable(each.file)}")
        say(f"  {each.name}{at}: {each.parameter} of {each.time:%Y-%m-%d %H:%M}{run}")
        say(f"  was {_described(each.old)}")
        say(f"  is  {_described(each.new)}")
    if count > len(found):
        say(f"and {count - len(found)} more: see --limit")


def _described(measure: Measure) -> str:
    words = [f"{measure.value / 1000:g}"]
    if measure.available_at is not None:
        words.append(f"available {from_epoch(measure.available_at):%Y-%m-%d %H:%M}")
    if measure.averaging_minutes is not None:
        words.append(f"averaged over {measure.averaging_minutes} min")
    if measure.direction_resolution is not None:
        words.append(f"directions in steps of {measure.direction_resolution:g}°")
    return ", ".join(words)


def _as_dict(each: Replaced) -> dict[str, Any]:
    def measure(found: Measure) -> dict[str, Any]:
        return {
            "value": found.value / 1000,
            "availableAt": None if found.available_at is None else from_epoch(found.available_at),
            "averagingMinutes": found.averaging_minutes,
            "directionResolution": found.direction_resolution,
        }

    return {
        "replacedAt": each.replaced_at,
        "file": each.file,
        "modelOrStation": each.name,
        "site": each.site,
        "parameter": each.parameter,
        "referenceTime": each.reference_time,
        "time": each.time,
        "old": measure(each.old),
        "new": measure(each.new),
    }


def _finish(service: Service, what: str, file: Path, done: Imported, *, dry_run: bool, as_json: bool) -> None:
    """Make the days of scores that an import changed, and say what was done."""
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
    checked = " keep every rule. Dry run: nothing was stored." if dry_run else ""
    say(f"{file}: {done.rows} {what}{checked}")
    lines = (
        (done.new, "new"),
        (done.known, "already stored"),
        (done.replaced, "replace another value: see meteo-score import replaced"),
        (done.collected, "left out: a collected value is never replaced by a file"),
        (done.missing, "rows without a value, passed over"),
    )
    for count, meaning in lines:
        if count or meaning == "new":
            say(f"  {count} {meaning}")
