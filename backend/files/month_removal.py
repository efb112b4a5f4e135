"""Removal of raw values that are old enough, of whole months that are in verified files, and of nothing else.

In this order for each month: its score days are settled, it is exported, its files are compared with their
checksums, the floor is raised (from then on its score days are final, and no value of it is stored), and each
row is compared with the files in the transaction that deletes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import polars as pl
import structlog

from backend.core.clock import DAY_SECONDS
from backend.core.config import Settings
from backend.core.errors import MeteoScoreError
from backend.core.utc_month import UtcMonth
from backend.files.dictionary import Origin
from backend.files.month_export import (
    TABLES,
    Terms,
    by_newest_value,
    closed_after,
    closed_months,
    export_month,
    export_months,
    month_folder,
    month_frames,
    not_in,
    written_of,
)
from backend.files.month_files import KINDS, Kind, MonthFileError, drafts
from backend.scoring.days.update import update
from backend.storage.database import Database
from backend.storage.export_queries import owner_names
from backend.storage.retention import (
    count_rows,
    first_day_from,
    note_problem,
    raise_floor,
    remove_batches,
    remove_rows,
    retention,
    take_turn,
    unsettled_before,
)

log = structlog.get_logger()

AT_A_TIME = 5 * DAY_SECONDS
"""Seconds of one site or station whose rows are deleted in one transaction: collections wait for no more."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A month whose raw values were removed, or would be, with the number of its rows in the store."""

    kind: Kind
    month: str
    rows: int


@dataclass(frozen=True, slots=True)
class Rules:
    """Where months go, and for how long raw values stay after it; a kind that is absent stays for good."""

    folder: Path
    terms: Terms
    closed: timedelta
    keep: Mapping[Kind, timedelta]

    @classmethod
    def of(cls, settings: Settings, folder: Path, origins: Sequence[Origin], *lookbacks: timedelta) -> Self:
        """Return the rules of the settings; `lookbacks` are those of the collections."""
        days: dict[Kind, int | None] = {
            "forecast": settings.retention_forecast_days,
            "observation": settings.retention_observation_days,
        }
        return cls(
            folder,
            Terms(origins, settings.public_imports),
            closed_after(*lookbacks),
            {kind: timedelta(days=count) for kind, count in days.items() if count is not None},
        )


def removable(database: Database, rules: Rules, now: datetime) -> Iterator[tuple[Kind, UtcMonth, list[int]]]:
    """Yield the months that are old enough, oldest first, with the ids of their sites or stations.

    Age counts from the newest value of its kind: for a clock that is ahead everything is old, and new values
    from before the floor would not be stored.
    """
    for kind in KINDS:
        keep = rules.keep.get(kind)
        if keep is not None:
            until = by_newest_value(database, kind, now)
            for month, owners in closed_months(database, kind, until, max(rules.closed, keep)).items():
                yield kind, month, owners


def remove_old(database: Database, rules: Rules, now: datetime) -> Iterator[Removed]:
    """Remove the raw values of months that are old enough; yield each month when it is done.

    Blocks. Raises MonthFileError, ConfigError, StoreUnavailableError: what is not in a file is not removed.
    """
    months = list(removable(database, rules, now))
    if not months:
        return
    update(database, now)
    folder = month_folder(database, rules.folder)
    with drafts(rules.folder) as work:
        for kind, month, owners in months:
            export_month(database, folder, kind, month, owners, rules.terms, now, work)
            files = folder.verified(kind, month)
            with database.write() as connection:
                if unsettled_before(connection, first_day_from(month.end)):
                    raise MonthFileError(
                        f"{kind} {month.name}: not removed: score days of that time are still to be computed"
                        " (meteo-score scores rebuild)"
                    )
                raise_floor(connection, TABLES[kind], month.end)
            # From here on no value of the month is stored. Until here one of a further site may have come.
            owners = closed_months(database, kind, now, rules.closed).get(month, owners)
            rows = sum(_remove(database, kind, month, owner, files) for owner in owners)
            with database.write() as connection:
                remove_batches(connection, TABLES[kind], month.end)
            log.info("raw values removed", kind=kind, month=month.name, rows=rows)
            yield Removed(kind, month.name, rows)


def _remove(database: Database, kind: Kind, month: UtcMonth, owner: int, files: Sequence[Path]) -> int:
    """Remove the rows of one site or station in a month, after a comparison with the files."""
    removed, table = 0, TABLES[kind]
    with database.read() as connection:
        name = owner_names(connection, table)[owner]
    written = written_of(files, kind, name)
    for first in range(month.first, month.end, AT_A_TIME):
        span = first, min(first + AT_A_TIME, month.end)
        with database.write() as connection:
            for frame in month_frames(connection, kind, span, [owner]):
                if len(not_in(written, frame)):
                    raise MonthFileError(
                        f"{kind} {month.name}: not all removed: values of {name} came after the export;"
                        " the next look exports them too"
                    )
            removed += remove_rows(connection, table, owner, *span)
    return removed


def look(database: Database, rules: Rules, now: datetime) -> None:
    """Do the work of a day, if no process on this store did it; what went wrong is in the log."""
    with database.write() as connection:
        if not take_turn(connection, now):
            return
    try:
        work_of_a_day(database, rules, now)
    except MeteoScoreError as error:
        log.warning("old raw values stay in the store", reason=str(error))


def work_of_a_day(database: Database, rules: Rules, now: datetime) -> list[Removed]:
    """Export closed months and remove old values; return what was removed.

    Why that failed, or that it did not, is recorded in the store for the operator. Raises as `remove_old`.
    """
    try:
        folder = month_folder(database, rules.folder)
        with database.read() as connection:
            floors = {kind: retention(connection).of(TABLES[kind]) for kind in KINDS}
        for kind, floor in floors.items():
            if floor is not None:
                folder.require_removed(kind, floor)
        made = export_months(database, rules.folder, rules.terms, now, rules.closed, later_values=False)
        for manifest in made:
            log.info("month exported", kind=manifest.kind, month=manifest.month, rows=manifest.rows)
        removed = list(remove_old(database, rules, now))
    except (MeteoScoreError, OSError, pl.exceptions.PolarsError) as error:
        with database.write() as connection:
            note_problem(connection, str(error), now)
        if isinstance(error, MeteoScoreError):
            raise
        raise MonthFileError(f"{rules.folder}: {error}") from error
    with database.write() as connection:
        note_problem(connection, None, now)
    return removed


def due_rows(database: Database, rules: Rules, now: datetime) -> Iterator[Removed]:
    """Yield what `remove_old` would remove, with the number of rows of each month."""
    for kind, month, owners in removable(database, rules, now):
        with database.read() as connection:
            rows = count_rows(connection, TABLES[kind], owners, month.first, month.end)
        yield Removed(kind, month.name, rows)
