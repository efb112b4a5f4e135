"""Import of forecasts and observations from files: checked whole, sorted, and stored in one transaction.

If one row of a file breaks a rule, or differs from a value of an earlier file, nothing is stored. From there
on imported values follow the same rules of precedence as collected ones, with the worst rank: they never
replace a collected value.

Memory is bounded for files of any size: the check handles PIECE rows at a time, sorting uses the disk (see
sorting), and batches are built one run, or BATCH readings, at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from backend.core.clock import require_utc
from backend.core.records import Forecast, Site
from backend.files.faults import MOST_NAMED, Fault, Faults, FileRefusedError
from backend.files.import_kinds import B, ForecastImport, ImportKind, ObservationImport, Part, R
from backend.files.rules import Piece
from backend.files.sorting import Staging
from backend.files.tables import Table
from backend.storage.database import Database, from_epoch, to_epoch
from backend.storage.imported_files import newest_batch, note_import
from backend.storage.removals import Held, held, refused_file
from backend.storage.replaced import Measure, note_replaced
from backend.storage.retention import retention

OnRows = Callable[[str, int], None]
"""Called with "checked" or "stored" and the number of rows just checked or stored."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Result of an import.

    `rows` is the number of values in the file, `new` of those that were not stored before, `replaced` of
    those that replaced another value of an earlier file, `collected` of those not stored because a collected
    value exists. The others are stored already. `missing` counts the rows without a value; these are not
    among `rows`.
    """

    rows: int
    new: int
    replaced: int = 0
    collected: int = 0
    missing: int = 0

    @property
    def known(self) -> int:
        """Return the number of values that were stored already, equal to those in the file."""
        return self.rows - self.new - self.replaced - self.collected


def import_forecasts(
    database: Database,
    table: Table,
    sites: Sequence[Site],
    now: datetime,
    *,
    dry_run: bool = False,
    replace: bool = False,
    on_rows: OnRows | None = None,
) -> Imported:
    """Store the forecasts of a file, or only check them. `sites` are those on the list, and in the store.

    If the file does not state when a run was available, `now` is used: an earlier availability cannot be
    proved, so that imported past runs enter lead views and no decision view. A value or an `available_at`
    that differs from that of an earlier file is refused, unless `replace` is set: it stores the new value and
    records the old one. Blocks. Raises FileRefusedError and StoreUnavailableError, with nothing stored.
    """
    kind = ForecastImport(sites, require_utc(now), _kept_from(database))
    return _import(database, table, kind, dry_run, replace, on_rows)


def import_observations(
    database: Database,
    table: Table,
    stations: Collection[str],
    now: datetime,
    *,
    merge_same: bool = False,
    dry_run: bool = False,
    replace: bool = False,
    on_rows: OnRows | None = None,
) -> Imported:
    """Store the readings of a file, or only check them; `stations` are the known ones.

    `merge_same` is for a format that repeats a reading beside each forecast of it. A different value,
    averaging period or resolution is handled as in import_forecasts. Blocks. Raises FileRefusedError and
    StoreUnavailableError, with nothing stored.
    """
    kind = ObservationImport(stations, require_utc(now), _kept_from(database), merge_same=merge_same)
    return _import(database, table, kind, dry_run, replace, on_rows)


def _kept_from(database: Database) -> int | None:
    """Return the moment from which values can be scored, or None for all (storage/retention.py)."""
    with database.read() as connection:
        return retention(connection).scored_from


def _import(
    database: Database,
    table: Table,
    kind: ImportKind[B, R],
    dry_run: bool,
    replace: bool,
    on_rows: OnRows | None,
) -> Imported:
    report_rows = on_rows or (lambda _what, _rows: None)
    with Staging(kind.key, kind.rest) as staging:
        rows, missing = _checked(table, staging, kind, report_rows)
        with table.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        with database.read() if dry_run else database.write() as connection:
            _require_not_removed(connection, table, digest)
            periods = held(connection)
            newest = newest_batch(connection, kind.what)
            faults, new, replaced, collected = Faults(), 0, 0, 0
            for batch, parts in kind.batches(connection, staging.rows()):
                new_parts = [part for part in parts if part.stored is None]
                collected_parts = [
                    part for part in parts if part.stored is not None and part.stored.collected
                ]
                changed = [
                    part
                    for part in parts
                    if part.stored is not None and not part.stored.collected and part.differs
                ]
                new, replaced = new + len(new_parts), replaced + len(changed)
                collected += len(collected_parts)
                if not replace:
                    faults.add(*_refused(changed))
                faults.add(*_held(periods, parts))
                # After the first fault the rest is only checked: the transaction will not be committed.
                if not dry_run and not faults.count:
                    kind.store(connection, batch, [part.record for part in new_parts], "collect")
                    kind.store(connection, batch, [part.record for part in changed], "correct")
                    note_replaced(
                        connection,
                        [
                            kind.replaced(part, part.stored.measure, str(table.path))
                            for part in changed
                            if part.stored is not None
                        ],
                    )
                    report_rows("stored", len(parts))
            advice = ": --replace stores the values of the file, and keeps a record of the old ones"
            faults.raise_any(table.path, table.lines, advice)  # the error rolls the transaction back
            if not dry_run:
                note_import(
                    connection,
                    kind=kind.what,
                    file=str(table.path),
                    digest=digest,
                    now=kind.now,
                    after=newest,
                )
        return Imported(rows, new, replaced, collected, missing)


def _require_not_removed(connection: sa.Connection, table: Table, digest: bytes) -> None:
    """Raise FileRefusedError for a file whose import was removed."""
    removal = refused_file(connection, digest)
    if removal is not None:
        reason = f": {removal.reason}" if removal.reason else ""
        raise FileRefusedError(
            f"{table.path}: was imported, and removed at {removal.removed_at:%Y-%m-%d %H:%M} UTC"
            f" (removal {removal.id}{reason}): meteo-score data restore {removal.id} puts it back, and"
            f" data allow {removal.id} lets the file in again"
        )


def _held(periods: Held, parts: Sequence[Part[Any]]) -> tuple[list[Fault], int]:
    """Return the faults of values of a period that a removal holds, as _refused() does."""
    if not periods.models and not periods.stations:
        return [], 0
    numbers = [
        periods.of_model(part.record.model, to_epoch(part.record.reference_time))
        if isinstance(part.record, Forecast)
        else periods.of_station(part.record.station, to_epoch(part.record.time))
        for part in parts
    ]
    found = sorted((part.row, number) for part, number in zip(parts, numbers, strict=True) if number)
    return [
        (row, f"is of a period whose values were removed (removal {number}): see meteo-score data allow")
        for row, number in found[:MOST_NAMED]
    ], len(found)


def _refused(parts: Sequence[Part[Any]]) -> tuple[list[Fault], int]:
    """Return the faults of values that differ from stored ones: the first of the file, and their number."""
    first = sorted(parts, key=lambda part: part.row)[:MOST_NAMED]
    faults = []
    for part in first:
        if part.stored is None:
            raise AssertionError("only a stored value can differ")
        differences = [
            f"{name} = {_shown(name, part.stated)}: {_shown(name, part.stored.measure)} is stored"
            for name in part.differs
        ]
        faults.append((part.row, ", ".join(differences)))
    return faults, len(parts)


def _shown(name: str, measure: Measure) -> str:
    value = getattr(measure, name)
    if value is None:
        return "none"
    if name == "available_at":
        return f"{from_epoch(value):%Y-%m-%dT%H:%M:%SZ}"
    return f"{value / 1000:g}" if name == "value" else f"{value:g}"


def _checked(table: Table, staging: Staging, kind: ImportKind[B, R], report_rows: OnRows) -> tuple[int, int]:
    """Check and sort the rows of a file; return how many have a value, and how many have none.

    Raises FileRefusedError.
    """
    faults, with_value, missing = Faults(), 0, 0
    for frame in table.pieces():
        present = frame.filter(pl.col("value").is_not_null())
        piece = Piece(present)
        kind.check(piece)
        faults.add(*piece.faults())
        staging.add(piece.good(staging.columns))
        with_value += len(present)
        missing += len(frame) - len(present)
        report_rows("checked", len(frame))
    if not with_value:
        hint = f": its {missing} rows have no value" if missing else ""
        raise FileRefusedError(f"{table.path}: contains no {'values' if missing else 'rows'}{hint}")
    rows = staging.sort(merge_same=kind.merge_same)
    duplicates, count = staging.duplicates()
    before = sorted({earlier for _, earlier in duplicates})
    named = dict(zip(before, table.lines(before), strict=True))
    key = ", ".join(kind.key)
    faults.add([(row, f"has the same {key} as {named[earlier]}") for row, earlier in duplicates], count)
    faults.raise_any(table.path, table.lines)
    return rows, missing
