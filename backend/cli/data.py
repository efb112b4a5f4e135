"""`meteo-score data`: removal of wrong values and of imports, with a record, and the way back.

The removal of old values that are in files is in cli/retain.py.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.cli.retain import retain
from backend.core.errors import ConfigError
from backend.core.text import printable
from backend.main import Service
from backend.scoring.days.update import update
from backend.storage.imported_files import imported_files
from backend.storage.removals import (
    Removal,
    Target,
    allow,
    described,
    final_days,
    removals,
    remove,
    restore,
    stored,
    vacuum,
)

app = typer.Typer(
    name="data",
    add_completion=False,
    help="Remove wrong values and imports, put them back, and remove old values that are in files.",
)
app.command("retain")(retain)

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the removal: see data removed.")]
Day = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")]


@app.command("remove")
def remove_(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="The runs of this model that started on the days.")
    ] = None,
    station: Annotated[
        str | None, typer.Option(help="The readings of this station, such as ffvl:87.")
    ] = None,
    imported: Annotated[
        int | None, typer.Option("--import", metavar="ID", help="What this import stored: see data imports.")
    ] = None,
    first: Day = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC), included.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Let the next collection or import store these values again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take values out of scores, pages, exports and the API, until data restore puts them back.

    Without --again or data allow they are not stored again. The record of issued forecasts and the
    payload archive stay.
    """
    target = _target(model, station, imported, first, last)
    today = opened(context).service.clock().date()
    if last is not None and last.date() > today:
        raise ConfigError(
            f"--to {last:%Y-%m-%d}: must be today (UTC) at most: what is to come is not wrong yet"
        )
    service = opened(context).migrated()
    with service.database.read() as connection:
        count = stored(connection, target)
    if not yes:
        question = f"Remove {described(target)}: {count.values} values in {count.rows} rows?"
        if not sys.stdin.isatty():
            raise ConfigError(f"{question} Add --yes: nothing was removed")
        if not typer.confirm(question):
            raise typer.Exit(1)
    with service.database.write() as connection:
        removal = remove(
            connection, target, now=service.clock(), by=_user(), reason=printable(reason), again=again
        )
        final = final_days(connection, removal)
    days = _update(service)
    if as_json:
        print_json(_as_dict(removal) | {"daysComputed": days, "daysFinal": final})
        return
    print_text(f"Removal {removal.id}: {described(target)}: {_counted(removal)} removed.")
    print_text(f"Days of scores computed again: {days}. The way back: meteo-score data restore {removal.id}")
    if final:
        print_text(f"{final} days are final, because RETENTION_* removed raw values: their scores stay.")
    if removal.holds:
        print_text(f"They are kept out: meteo-score data allow {removal.id} lets better values in.")


@app.command("restore")
def restore_(context: typer.Context, number: Number, as_json: AsJson = False) -> None:
    """Put the values of a removal back. A value that is stored in the place of one by now stays."""
    service = opened(context).migrated()
    with service.database.write() as connection:
        removal = restore(connection, number, now=service.clock(), by=_user())
    days = _update(service)
    if as_json:
        print_json(_as_dict(removal) | {"daysComputed": days})
        return
    back = removal.count.values - removal.waiting.values
    print_text(f"Removal {number}: {back} values are back. Days of scores computed again: {days}.")
    if removal.waiting.values:
        print_text(
            f"{removal.waiting.values} stay removed: others are stored in their place by now, or their time"
            " is no longer kept (RETENTION_*)."
        )


@app.command("allow")
def allow_(context: typer.Context, number: Number) -> None:
    """Let values of the period of a removal in again, from collections and imports; ask for them again."""
    service = opened(context).migrated()
    with service.database.write() as connection:
        removal = allow(connection, number)
    old = "; the old values stay out" if removal.waiting.rows else ""
    print_text(f"Removal {number}: {described(removal.target)} may be stored again{old}.")


@app.command("removed")
def removed(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the removals: what, when, by whom, why, and what became of it."""
    with opened(context).current().database.read() as connection:
        listed = removals(connection)
    if as_json:
        print_json([_as_dict(removal) for removal in listed])
        return
    if not listed:
        print_text("Nothing was removed.")
    for removal in listed:
        print_text(f"{removal.id}: {described(removal.target)}: {_counted(removal)}")
        print_text(f"  removed {removal.removed_at:%Y-%m-%d %H:%M} UTC by {printable(removal.removed_by)}")
        print_text(f"  {printable(removal.reason) or 'no reason given'}")
        print_text(f"  {_state(removal)}")


@app.command("imports")
def imports(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the imports that stored something, with their numbers."""
    with opened(context).current().database.read() as connection:
        listed = imported_files(connection)
    if as_json:
        print_json(
            [
                {"id": one.id, "kind": one.kind, "file": one.file, "importedAt": one.imported_at}
                for one in listed
            ]
        )
        return
    if not listed:
        print_text("Nothing was imported.")
        return
    table = Table("Import", "Kind", "When (UTC)", "File", box=None, pad_edge=False)
    for one in listed:
        file = printable(one.file) or "(not recorded)"
        table.add_row(str(one.id), one.kind, f"{one.imported_at:%Y-%m-%d %H:%M}", file)
    Console().print(table)


@app.command("vacuum")
def vacuum_(
    context: typer.Context,
    older_than: Annotated[
        str, typer.Option(metavar="DAYS", help="Only removals of this age, such as 30d; 0d: all.")
    ] = "30d",
    as_json: AsJson = False,
) -> None:
    """Delete removed values for good. Their record stays, and so does what it keeps out."""
    days = re.fullmatch(r"([0-9]{1,5})d", older_than)
    if days is None:
        raise ConfigError(f"--older-than {older_than}: must be a number of days, such as 30d")
    service = opened(context).migrated()
    with service.database.write() as connection:
        vacuumed = vacuum(connection, now=service.clock(), older_than=timedelta(days=int(days[1])))
    if as_json:
        print_json([_as_dict(removal) for removal in vacuumed])
        return
    if not vacuumed:
        print_text(f"No removal is older than {days[1]} days: nothing was deleted.")
    for removal in vacuumed:
        print_text(f"Removal {removal.id}: {removal.waiting.values} values deleted.")


def _target(
    model: str | None,
    station: str | None,
    imported: int | None,
    first: datetime | None,
    last: datetime | None,
) -> Target:
    if sum(one is not None for one in (model, station, imported)) != 1:
        raise ConfigError("give one of --model, --station and --import")
    if imported is not None:
        if first or last:
            raise ConfigError("--import is removed as a whole: leave --from and --to out")
        return Target(kind="import", name="", imported=imported)
    if first is None or last is None:
        raise ConfigError("--from and --to: both are needed")
    if last < first:
        raise ConfigError(f"--from {first:%Y-%m-%d}: must not be later than --to {last:%Y-%m-%d}")
    return Target(
        kind="model" if model is not None else "station",
        name=model or station or "",
        first=first.replace(tzinfo=UTC),
        last=datetime.combine(last.date(), time(23, 59, 59), UTC),
    )


def _user() -> str:
    """Return the name of the user of this process; its number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def _update(service: Service) -> int:
    """Compute the score days that changed; return how many."""
    return sum(update(service.database, service.clock()).days.values())


def _counted(removal: Removal) -> str:
    return f"{removal.count.values} values in {removal.count.rows} rows"


def _state(removal: Removal) -> str:
    if removal.restored_at is not None:
        state = f"restored {removal.restored_at:%Y-%m-%d %H:%M} UTC by {printable(removal.restored_by or '')}"
        if removal.waiting.values:
            state = f"{state}, {removal.waiting.values} values still removed"
    elif removal.vacuumed_at is not None:
        state = f"deleted for good {removal.vacuumed_at:%Y-%m-%d %H:%M} UTC"
    else:
        state = "can be restored"
    return f"{state}; kept out" if removal.holds else state


def _as_dict(removal: Removal) -> dict[str, Any]:
    return {
        "id": removal.id,
        "kind": removal.target.kind,
        "name": removal.target.name,
        "import": removal.target.imported,
        "from": removal.target.first,
        "to": removal.target.last,
        "removedAt": removal.removed_at,
        "removedBy": removal.removed_by,
        "reason": removal.reason,
        "rows": removal.count.rows,
        "values": removal.count.values,
        "valuesWaiting": removal.waiting.values,
        "keptOut": removal.holds,
        "restoredAt": removal.restored_at,
        "restoredBy": removal.restored_by,
        "vacuumedAt": removal.vacuumed_at,
    }
