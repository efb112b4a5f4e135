"""Forecasts and observations from files: checked whole, put in order, and stored in one transaction.

Nothing is stored of a file in which one row breaks a rule. The store's own road is taken from there on, so an
imported value meets what was collected as any lesser route's would: it never takes its place.

Memory is bounded whatever the size of the file: the check holds PIECE rows at a time, the order is made on
disk (see staging), and what is stored is built one run, or BATCH readings, at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from backend.core.clock import require_utc
from backend.core.records import IMPORTED, Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.files.checking import PARAMETER_NUMBERS, PARAMETERS, Piece
from backend.files.reading import Shape, Table
from backend.files.refusing import Faults, FileRefused
from backend.files.staging import Staging
from backend.scoring.sample import REFERENCES
from backend.storage.database import Database, from_epoch, to_epoch
from backend.storage.forecasts import keep_forecasts
from backend.storage.observations import keep_observations

ROUTE = "file"
RANK = 1000
"""Behind every route of every source: whatever is collected takes the place of what was imported."""

BATCH = 50_000  # readings that are in memory at a time

FORECAST_SHAPE = Shape(
    ("model", "site", "parameter", "reference_time", "valid_time", "value"),
    ("available_at",),
    ("available_at_published", "collected_at", "source"),
)
OBSERVATION_SHAPE = Shape(
    ("station", "parameter", "time", "value"),
    ("averaging_minutes", "direction_resolution"),
    ("collected_at", "source"),
)

FURTHEST = timedelta(days=20)
"""How far ahead a forecast may look. Lead times of days for scores are minutes in 16 bits: 22 days."""

_MODEL = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_NO_MODEL = (
    "is not the name of a model: letters, digits, _ . and -, at most 64,"
    f" and not {', '.join(REFERENCES[:-1])} or {REFERENCES[-1]}"
)
_NO_PARAMETER = f"is not one of {', '.join(PARAMETERS)}"
_NO_SITE = "is not a site on the list: see meteo-score sites list"
_NO_STATION = "is not a station that we know: see meteo-score sites near"

B = TypeVar("B", ForecastBatch, ObservationBatch)
Row = tuple[Any, ...]

OnRows = Callable[[str, int], None]
"""Called with "checked" or "stored" and how many more rows that is true of."""


@dataclass(frozen=True, slots=True)
class Imported:
    """How many values a file had, and how many of them were new; the others were known, or came better."""

    rows: int
    new: int

    @property
    def known(self) -> int:
        """Return how many values changed nothing."""
        return self.rows - self.new


def import_forecasts(
    database: Database,
    table: Table,
    sites: Sequence[Site],
    now: datetime,
    *,
    dry_run: bool = False,
    on_rows: OnRows | None = None,
) -> Imported:
    """Store the forecasts of a file, or only check them. `sites` are those on the list, and in the store.

    Where the file does not say when a run could be had, it is `now`: nobody can show that it was to be had
    before, so that what is imported of the past enters views by lead time, and no decision. Blocks. Raises
    FileRefused and StoreUnavailable, with nothing stored.
    """
    return _import(database, table, _Forecasts(sites, require_utc(now)), dry_run, on_rows)


def import_observations(
    database: Database,
    table: Table,
    stations: Collection[str],
    now: datetime,
    *,
    merge_same: bool = False,
    dry_run: bool = False,
    on_rows: OnRows | None = None,
) -> Imported:
    """Store the readings of a file, or only check them; `stations` are those that we know.

    `merge_same` is for a format that repeats a reading beside each forecast of it. Blocks. Raises FileRefused
    and StoreUnavailable, with nothing stored.
    """
    kind = _Observations(stations, require_utc(now), merge_same=merge_same)
    return _import(database, table, kind, dry_run, on_rows)


class _Kind(Protocol[B]):
    """What differs between forecasts and observations."""

    key: tuple[str, ...]
    rest: tuple[str, ...]
    merge_same: bool

    def check(self, piece: Piece) -> None: ...
    def batches(self, rows: Iterator[Row]) -> Iterator[B]: ...
    def keep(self, connection: sa.Connection, batch: B) -> int: ...


def _import(
    database: Database, table: Table, kind: _Kind[B], dry_run: bool, on_rows: OnRows | None
) -> Imported:
    told = on_rows or (lambda _what, _rows: None)
    with Staging(kind.key, kind.rest) as staging:
        rows = _checked(table, staging, kind, told)
        if dry_run:
            return Imported(rows, 0)
        new = 0
        with database.write() as connection:
            for batch in kind.batches(staging.rows()):
                new += kind.keep(connection, batch)
                told("stored", len(batch.records))
        return Imported(rows, new)


def _checked(table: Table, staging: Staging, kind: _Kind[B], told: OnRows) -> int:
    """Put the rows of a file in order and return how many there are; raise FileRefused."""
    faults, seen = Faults(), 0
    for frame in table.pieces():
        piece = Piece(frame)
        kind.check(piece)
        faults.add(*piece.faults())
        staging.add(piece.good(staging.columns))
        seen += len(frame)
        told("checked", len(frame))
    if not seen:
        raise FileRefused(f"{table.path}: holds no rows")
    rows = staging.sort(merge_same=kind.merge_same)
    twice, count = staging.duplicates()
    before = sorted({earlier for _, earlier in twice})
    named = dict(zip(before, table.lines(before), strict=True))
    key = ", ".join(kind.key)
    faults.add([(row, f"has the same {key} as {named[earlier]}") for row, earlier in twice], count)
    faults.raise_any(table.path, table.lines)
    return rows


# --- Forecasts ---------------------------------------------------------------------------------------


class _Forecasts:
    key: tuple[str, ...] = ("model", "reference_time", "site", "valid_time", "parameter")
    rest: tuple[str, ...] = ("available_at", "value")
    merge_same = False

    def __init__(self, sites: Sequence[Site], now: datetime) -> None:
        self.now = now
        self.names = [site.id for site in sites]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.since = {site.id: to_epoch(site.valid_from) for site in sites if site.valid_from}

    def check(self, piece: Piece) -> None:
        """Read a piece by the rules for forecasts."""
        piece.word("model", _MODEL, REFERENCES, _NO_MODEL)
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
                f"is before {name} moved to where it is now ({from_epoch(since):%Y-%m-%d}):"
                " a forecast for the place before is not kept with it",
            )
        piece.refuse("valid_time", valid < run, "is before reference_time")
        piece.refuse(
            "valid_time", valid > run + int(FURTHEST.total_seconds()), f"is over {FURTHEST.days} days ahead"
        )
        if piece.has("available_at"):
            piece.moment("available_at", required=False)
            piece.not_after("available_at", self.now)
            piece.refuse("available_at", piece["available_at"] < run, "is before reference_time")
        piece.fill("available_at", to_epoch(self.now))

    def batches(self, rows: Iterator[Row]) -> Iterator[ForecastBatch]:
        """Yield the batches of each run: one for each time at which a part of it could be had."""
        for (model, reference_time), of_run in groupby(rows, key=itemgetter(0, 1)):
            parts: dict[int, list[Row]] = {}
            for row in of_run:
                parts.setdefault(row[5], []).append(row)
            for available_at, part in sorted(parts.items()):
                run = Run(model, from_epoch(reference_time), from_epoch(available_at), published=False)
                yield ForecastBatch(
                    source=IMPORTED,
                    route=ROUTE,
                    rank=RANK,
                    collected_at=self.now,
                    run=run,
                    records=[
                        Forecast(
                            model,
                            self.names[site],
                            PARAMETERS[parameter],
                            run.reference_time,
                            from_epoch(valid_time),
                            value,
                        )
                        for _, _, site, valid_time, parameter, _, value, _ in part
                    ],
                )

    def keep(self, connection: sa.Connection, batch: ForecastBatch) -> int:
        """Write a batch; return how many of its values are new."""
        if batch.run is None:
            raise AssertionError("every batch of a file is about a run")
        return keep_forecasts(connection, batch, batch.run, None)


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
        """Read a piece by the rules for readings."""
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

    def batches(self, rows: Iterator[Row]) -> Iterator[ObservationBatch]:
        """Yield batches of up to BATCH readings: one for each way in which a station measures."""
        while some := list(islice(rows, BATCH)):
            ways: dict[tuple[int | None, float | None], list[Row]] = {}
            for row in some:
                ways.setdefault((row[3], row[4]), []).append(row)
            for (averaging, resolution), part in ways.items():
                yield ObservationBatch(
                    source=IMPORTED,
                    route=ROUTE,
                    rank=RANK,
                    collected_at=self.now,
                    averaging_minutes=averaging,
                    direction_resolution=resolution,
                    records=[
                        Observation(self.names[station], PARAMETERS[parameter], from_epoch(time), value)
                        for station, time, parameter, _, _, value, _ in part
                    ],
                )

    def keep(self, connection: sa.Connection, batch: ObservationBatch) -> int:
        """Write a batch; return how many of its values are new."""
        return keep_observations(connection, batch, None)
