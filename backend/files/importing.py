"""Import of forecasts and observations from files: checked whole, sorted, and stored in one transaction.

If one row of a file breaks a rule, or differs from a value of an earlier file, nothing is stored. From there
on imported values follow the same rules of precedence as collected ones, with the worst rank: they never
replace a collected value.

Memory is bounded for files of any size: the check handles PIECE rows at a time, sorting uses the disk (see
sorting), and batches are built one run, or BATCH readings, at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import polars as pl
import sqlalchemy as sa

from backend.core.clock import require_utc
from backend.core.records import IMPORTED, Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.files.faults import MOST_NAMED, Fault, Faults, FileRefusedError
from backend.files.rules import PARAMETER_NUMBERS, PARAMETERS, Piece
from backend.files.sorting import Staging
from backend.files.tables import Shape, Table
from backend.scoring.sample.sample import BASELINES
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, to_epoch
from backend.storage.forecasts import store_forecasts, stored_forecasts
from backend.storage.observations import store_observations, stored_readings
from backend.storage.origins import batch_fields
from backend.storage.precedence import Mode, Origin
from backend.storage.precedence import Row as StoredRow
from backend.storage.replaced import Measure, Replaced, note_replaced
from backend.storage.rows import Key, known_ids
from backend.storage.site_rows import present_ids

ROUTE = "file"
RANK = 1000
"""A worse rank than that of any route: every collected value replaces an imported one."""

BATCH = 50_000  # readings in memory at a time

FORECAST_SHAPE = Shape(
    ("model", "site", "parameter", "reference_time", "valid_time", "value"),
    ("available_at",),
    ("available_at_published", "collected_at", "source"),
    ("value",),
)
OBSERVATION_SHAPE = Shape(
    ("station", "parameter", "time", "value"),
    ("averaging_minutes", "direction_resolution"),
    ("collected_at", "source"),
    ("value", "averaging_minutes", "direction_resolution"),
)

FURTHEST = timedelta(days=20)
"""Longest lead time of a forecast. Lead times of score days are minutes in 16 bits: at most 22 days."""

_MODEL = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_NO_MODEL = (
    "is not the name of a model: letters, digits, _ . and -, at most 64,"
    f" and not {', '.join(BASELINES[:-1])} or {BASELINES[-1]}"
)
_NO_PARAMETER = f"is not one of {', '.join(PARAMETERS)}"
_NO_SITE = "is not a site on the list: see meteo-score sites list"
_NO_STATION = "is not a known station: see meteo-score sites near"

B = TypeVar("B", ForecastBatch, ObservationBatch)
R = TypeVar("R", Forecast, Observation)
Row = tuple[Any, ...]

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
    return _import(database, table, _Forecasts(sites, require_utc(now)), dry_run, replace, on_rows)


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
    kind = _Observations(stations, require_utc(now), merge_same=merge_same)
    return _import(database, table, kind, dry_run, replace, on_rows)


class _Stored(NamedTuple):
    """A stored value; `collected` is False for an imported one."""

    measure: Measure
    collected: bool


class _Part(NamedTuple, Generic[R]):
    """A record of a file with its row, the properties that the file states, and the stored value, if any.

    Properties that the file does not state are None in `stated`.
    """

    row: int
    record: R
    stated: Measure
    stored: _Stored | None

    @property
    def differs(self) -> list[str]:
        """Return the names of the properties that differ between file and store."""
        if self.stored is None:
            return []
        old, new = self.stored.measure, self.stated
        return [
            name
            for name in ("value", "available_at", "averaging_minutes", "direction_resolution")
            if getattr(new, name) is not None and getattr(new, name) != getattr(old, name)
        ]


class _Kind(Protocol[B, R]):
    """The differences between forecasts and observations in an import."""

    key: tuple[str, ...]
    rest: tuple[str, ...]
    merge_same: bool

    def check(self, piece: Piece) -> None: ...
    def batches(
        self, connection: sa.Connection, rows: Iterator[Row]
    ) -> Iterator[tuple[B, list[_Part[R]]]]: ...
    def store(self, connection: sa.Connection, batch: B, records: Sequence[R], mode: Mode) -> None: ...
    def replaced(self, part: _Part[R], old: Measure, file: str) -> Replaced: ...


def _import(
    database: Database,
    table: Table,
    kind: _Kind[B, R],
    dry_run: bool,
    replace: bool,
    on_rows: OnRows | None,
) -> Imported:
    report_rows = on_rows or (lambda _what, _rows: None)
    with Staging(kind.key, kind.rest) as staging:
        rows, missing = _checked(table, staging, kind, report_rows)
        with database.read() if dry_run else database.write() as connection:
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
        return Imported(rows, new, replaced, collected, missing)


def _refused(parts: Sequence[_Part[Any]]) -> tuple[list[Fault], int]:
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


def _thousandths(value: float) -> int:
    return round(value * 1000)  # as rows_by_key() stores it


def _checked(table: Table, staging: Staging, kind: _Kind[B, R], report_rows: OnRows) -> tuple[int, int]:
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


# --- Forecasts ---------------------------------------------------------------------------------------


class _Forecasts:
    key: tuple[str, ...] = ("model", "reference_time", "site", "valid_time", "parameter")
    rest: tuple[str, ...] = ("available_at", "stated", "value")
    merge_same = False

    def __init__(self, sites: Sequence[Site], now: datetime) -> None:
        self.now = now
        self.names = [site.id for site in sites]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.since = {site.id: to_epoch(site.valid_from) for site in sites if site.valid_from}

    def check(self, piece: Piece) -> None:
        """Check a piece by the rules for forecasts."""
        piece.word("model", _MODEL, BASELINES, _NO_MODEL)
        piece.one_of("site", self.numbers, _NO_SITE)
        piece.one_of("parameter", PARAMETER_NUMBERS, _NO_PARAMETER)
        piece.moment("reference_time")
        piece.moment("valid_time")
        piece.value()
        run, valid = piece["reference_time"], piece["valid_time"]
        piece.not_after("reference_time", self.now)
        for name, since in self.since.items():
            piece.refuse(
                "reference_time",
                (piece["site"] == self.numbers[name]) & (run < since),
                f"is before {name} moved to its present position ({from_epoch(since):%Y-%m-%d}):"
                " a forecast for the earlier position is not stored with it",
            )
        piece.refuse("valid_time", valid < run, "is before reference_time")
        piece.refuse(
            "valid_time", valid > run + int(FURTHEST.total_seconds()), f"is over {FURTHEST.days} days ahead"
        )
        if piece.has("available_at"):
            piece.moment("available_at", required=False)
            piece.not_after("available_at", self.now)
            piece.refuse("available_at", piece["available_at"] < run, "is before reference_time")
        piece.note_given("stated", "available_at")
        piece.fill("available_at", to_epoch(self.now))

    def batches(
        self, connection: sa.Connection, rows: Iterator[Row]
    ) -> Iterator[tuple[ForecastBatch, list[_Part[Forecast]]]]:
        """Yield the batches of each run: one per availability, because a run may arrive in parts."""
        for (model, reference_time), of_run in groupby(rows, key=itemgetter(0, 1)):
            parts: dict[int, list[Row]] = {}
            for row in of_run:
                parts.setdefault(row[5], []).append(row)
            for available_at, part in sorted(parts.items()):
                run = Run(model, from_epoch(reference_time), from_epoch(available_at), published=False)
                batch = ForecastBatch(source=IMPORTED, route=ROUTE, rank=RANK, collected_at=self.now, run=run)
                yield batch, self._compared(connection, run, part)

    def _compared(self, connection: sa.Connection, run: Run, rows: Sequence[Row]) -> list[_Part[Forecast]]:
        """Return the records of some rows of a run, each with the stored value, if any."""
        sites = present_ids(connection, self.now)
        models = known_ids(connection, t.model.c.name, [run.model])
        stored_rows: Mapping[Key, StoredRow] = {}
        origins: Mapping[int, Origin] = {}
        if run.model in models:
            keys = [(sites[self.names[row[2]]], row[3]) for row in rows if self.names[row[2]] in sites]
            reference_time = to_epoch(run.reference_time)
            stored_rows, origins = stored_forecasts(connection, models[run.model], reference_time, keys)
        parts = []
        for _, _, site, valid_time, parameter, available_at, stated, value, number in rows:
            name = self.names[site]
            record = Forecast(
                model=run.model,
                site=name,
                parameter=PARAMETERS[parameter],
                reference_time=run.reference_time,
                valid_time=from_epoch(valid_time),
                value=value,
            )
            new = Measure(value=_thousandths(value), available_at=available_at if stated else None)
            row = stored_rows.get((sites.get(name, 0), valid_time))
            stored = None
            if row is not None:
                stored = _in_place(
                    row, parameter, lambda batch: {"available_at": origins[batch].available_at}, origins
                )
            parts.append(_Part(number, record, new, stored))
        return parts

    def store(
        self, connection: sa.Connection, batch: ForecastBatch, records: Sequence[Forecast], mode: Mode
    ) -> None:
        """Store some records of a batch."""
        if batch.run is None:
            raise AssertionError("every forecast batch of a file has a run")
        if records:
            whole = dataclasses.replace(batch, records=records)
            store_forecasts(connection, whole, batch.run, None, mode=mode)

    def replaced(self, part: _Part[Forecast], old: Measure, file: str) -> Replaced:
        """Return the record of a replaced value. The time of import replaces an unstated availability."""
        record, new = part.record, part.stated
        if new.available_at is None:
            new = dataclasses.replace(new, available_at=to_epoch(self.now))
        return Replaced(
            replaced_at=self.now,
            file=file,
            name=record.model,
            site=record.site,
            parameter=record.parameter.value,
            reference_time=record.reference_time,
            time=record.valid_time,
            old=old,
            new=new,
        )


# --- Observations ------------------------------------------------------------------------------------


class _Observations:
    key: tuple[str, ...] = ("station", "time", "parameter")
    rest: tuple[str, ...] = ("averaging_minutes", "direction_resolution", "value")

    def __init__(self, stations: Collection[str], now: datetime, *, merge_same: bool) -> None:
        self.now = now
        self.merge_same = merge_same
        self.names = sorted(stations)
        self.numbers = {name: number for number, name in enumerate(self.names)}

    def check(self, piece: Piece) -> None:
        """Check a piece by the rules for readings."""
        piece.one_of("station", self.numbers, _NO_STATION)
        piece.one_of("parameter", PARAMETER_NUMBERS, _NO_PARAMETER)
        piece.moment("time")
        piece.not_after("time", self.now)
        piece.value()
        if piece.has("averaging_minutes"):
            piece.number("averaging_minutes", 1, 1440, "minutes", whole=True)
        if piece.has("direction_resolution"):
            piece.number("direction_resolution", 0.001, 180, "degrees")
        piece.fill("averaging_minutes")
        piece.fill("direction_resolution")

    def batches(
        self, connection: sa.Connection, rows: Iterator[Row]
    ) -> Iterator[tuple[ObservationBatch, list[_Part[Observation]]]]:
        """Yield batches of up to BATCH readings: one per averaging period and direction resolution."""
        while some := list(islice(rows, BATCH)):
            ways: dict[tuple[int | None, float | None], list[Row]] = {}
            for row in some:
                ways.setdefault((row[3], row[4]), []).append(row)
            for (averaging, resolution), part in ways.items():
                batch = ObservationBatch(
                    source=IMPORTED,
                    route=ROUTE,
                    rank=RANK,
                    collected_at=self.now,
                    averaging_minutes=averaging,
                    direction_resolution=resolution,
                )
                yield batch, self._compared(connection, part)

    def _compared(self, connection: sa.Connection, rows: Sequence[Row]) -> list[_Part[Observation]]:
        """Return the records of some rows, each with the stored value, if any."""
        ids = known_ids(connection, t.station.c.code, sorted({self.names[row[0]] for row in rows}))
        stored_rows, origins = stored_readings(
            connection, [(ids[self.names[row[0]]], row[1]) for row in rows if self.names[row[0]] in ids]
        )
        names = ("averaging_minutes", "direction_resolution")
        ways = batch_fields(connection, t.observation_batch, origins, names)
        parts = []
        for station, time, parameter, averaging, resolution, value, number in rows:
            name = self.names[station]
            record = Observation(name, PARAMETERS[parameter], from_epoch(time), value)
            new = Measure(
                value=_thousandths(value), averaging_minutes=averaging, direction_resolution=resolution
            )
            row = stored_rows.get((ids.get(name, 0), time))
            stored = None
            if row is not None and _is_collected(row.batches, origins):
                stored = _Stored(Measure(value=0), collected=True)  # all values of a reading have one route
            elif row is not None:
                stored = _in_place(
                    row, parameter, lambda batch: dict(zip(names, ways[batch], strict=True)), origins
                )
            parts.append(_Part(number, record, new, stored))
        return parts

    def store(
        self,
        connection: sa.Connection,
        batch: ObservationBatch,
        records: Sequence[Observation],
        mode: Mode,
    ) -> None:
        """Store some records of a batch."""
        if records:
            store_observations(connection, dataclasses.replace(batch, records=records), None, mode=mode)

    def replaced(self, part: _Part[Observation], old: Measure, file: str) -> Replaced:
        """Return the record of a replaced value."""
        record = part.record
        return Replaced(
            replaced_at=self.now,
            file=file,
            name=record.station,
            parameter=record.parameter.value,
            time=record.time,
            old=old,
            new=part.stated,
        )


def _in_place(
    row: StoredRow, parameter: int, stated: Callable[[int], dict[str, Any]], origins: Mapping[int, Origin]
) -> _Stored | None:
    """Return the stored value of a parameter in a row; None if there is none."""
    value, batch = row.values[parameter], row.batches[parameter]
    if value is None or batch is None:
        return None
    return _Stored(Measure(value=value, **stated(batch)), collected=_is_collected([batch], origins))


def _is_collected(batches: Sequence[int | None], origins: Mapping[int, Origin]) -> bool:
    """Return True if one of these batches was collected, not imported."""
    return any(batch is not None and origins[batch].rank < RANK for batch in batches)
