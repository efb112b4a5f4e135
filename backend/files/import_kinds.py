"""The two kinds of records in an import: their columns, rules, batches, and comparison with stored values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa

from backend.core.parameters import PARAMETERS
from backend.core.records import IMPORTED, Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.core.registry import OWN_MODEL
from backend.files.rules import PARAMETER_NUMBERS, Piece
from backend.files.tables import Shape
from backend.scoring.sample.sample import BASELINES
from backend.storage import schema as t
from backend.storage.database import from_epoch, to_epoch
from backend.storage.forecasts import store_forecasts, stored_forecasts
from backend.storage.observations import store_observations, stored_readings
from backend.storage.origins import batch_fields
from backend.storage.precedence import Mode, Origin
from backend.storage.precedence import Row as StoredRow
from backend.storage.replaced import Measure, Replaced
from backend.storage.rows import Key, known_ids
from backend.storage.site_rows import present_ids

ROUTE = "file"
RANK = 1000
"""A worse rank than that of any route: every collected value replaces an imported one."""

BATCH = 50_000  # readings in memory at a time

FORECAST_SHAPE = Shape(
    ("model", "site", "parameter", "reference_time", "valid_time", "value"),
    ("available_at",),
    ("available_at_published", "collected_at", "source", "site_series", "route", "rank", "part"),
    ("value",),
)
OBSERVATION_SHAPE = Shape(
    ("station", "parameter", "time", "value"),
    ("averaging_minutes", "direction_resolution"),
    ("collected_at", "source", "route", "rank", "part"),
    ("value", "averaging_minutes", "direction_resolution"),
)

FURTHEST = timedelta(days=20)
"""Longest lead time of a forecast. Lead times of score days are minutes in 16 bits: at most 22 days."""

_MODEL = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_NO_MODEL = (
    "is not the name of a model: letters, digits, _ . and -, at most 64,"
    f" and not {', '.join(BASELINES)} or {OWN_MODEL.name}"
)
_NO_PARAMETER = f"is not one of {', '.join(PARAMETERS)}"
_NO_SITE = "is not a site on the list: see meteo-score sites list"
_NO_STATION = "is not a known station: see meteo-score sites near"

B = TypeVar("B", ForecastBatch, ObservationBatch)
R = TypeVar("R", Forecast, Observation)
Row = tuple[Any, ...]


class StoredValue(NamedTuple):
    """A stored value; `collected` is False for an imported one."""

    measure: Measure
    collected: bool


class Part(NamedTuple, Generic[R]):
    """A record of a file with its row, the properties that the file states, and the stored value, if any.

    Properties that the file does not state are None in `stated`.
    """

    row: int
    record: R
    stated: Measure
    stored: StoredValue | None

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


class ImportKind(Protocol[B, R]):
    """The differences between forecasts and observations in an import."""

    what: str
    now: datetime
    key: tuple[str, ...]
    rest: tuple[str, ...]
    merge_same: bool

    def check(self, piece: Piece) -> None:
        """Check a piece of rows by the rules of this kind."""
        ...

    def batches(self, connection: sa.Connection, rows: Iterator[Row]) -> Iterator[tuple[B, list[Part[R]]]]:
        """Yield batches without records, each with the records that belong to it."""
        ...

    def store(self, connection: sa.Connection, batch: B, records: Sequence[R], mode: Mode) -> None:
        """Store some records of a batch."""
        ...

    def replaced(self, part: Part[R], old: Measure, file: str) -> Replaced:
        """Return the record of a replaced value."""
        ...


def _thousandths(value: float) -> int:
    return round(value * 1000)  # as rows_by_key() stores it


def _refuse_removed(piece: Piece, name: str, kept_from: int | None) -> None:
    if kept_from is not None:
        piece.refuse(
            name,
            piece[name] < kept_from,
            f"is before {from_epoch(kept_from):%Y-%m-%d}: values of that time were exported and removed, and"
            " their score days are final",
        )


class ForecastImport:
    """Import of forecasts for `sites`."""

    what: str = "forecasts"
    key: tuple[str, ...] = ("model", "reference_time", "site", "valid_time", "parameter")
    rest: tuple[str, ...] = ("available_at", "stated", "value")
    merge_same = False

    def __init__(self, sites: Sequence[Site], now: datetime, kept_from: int | None = None) -> None:
        self.now = now
        self.kept_from = kept_from
        self.names = [site.id for site in sites]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.since = {site.id: to_epoch(site.valid_from) for site in sites if site.valid_from}

    def check(self, piece: Piece) -> None:
        """Check a piece by the rules for forecasts."""
        piece.word("model", _MODEL, (*BASELINES, OWN_MODEL.name), _NO_MODEL)
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
        _refuse_removed(piece, "valid_time", self.kept_from)
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
    ) -> Iterator[tuple[ForecastBatch, list[Part[Forecast]]]]:
        """Yield the batches of each run: one per availability, because a run may arrive in parts."""
        for (model, reference_time), of_run in groupby(rows, key=itemgetter(0, 1)):
            parts: dict[int, list[Row]] = {}
            for row in of_run:
                parts.setdefault(row[5], []).append(row)
            for available_at, part in sorted(parts.items()):
                run = Run(model, from_epoch(reference_time), from_epoch(available_at), published=False)
                batch = ForecastBatch(source=IMPORTED, route=ROUTE, rank=RANK, collected_at=self.now, run=run)
                yield batch, self._compared(connection, run, part)

    def _compared(self, connection: sa.Connection, run: Run, rows: Sequence[Row]) -> list[Part[Forecast]]:
        """Return the records of some rows of a run, each with the stored value, if any."""
        sites = present_ids(connection, self.now)
        # Not ids_of(): a dry run must not insert the name of a model.
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
            # No site has the id 0: a site that is not stored yet has no stored values.
            row = stored_rows.get((sites.get(name, 0), valid_time))
            stored = None
            if row is not None:
                stored = _in_place(
                    row, parameter, lambda batch: {"available_at": origins[batch].available_at}, origins
                )
            parts.append(Part(number, record, new, stored))
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

    def replaced(self, part: Part[Forecast], old: Measure, file: str) -> Replaced:
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


class ObservationImport:
    """Import of readings of `stations`."""

    what: str = "observations"
    key: tuple[str, ...] = ("station", "time", "parameter")
    rest: tuple[str, ...] = ("averaging_minutes", "direction_resolution", "value")

    def __init__(
        self, stations: Collection[str], now: datetime, kept_from: int | None = None, *, merge_same: bool
    ) -> None:
        self.now = now
        self.kept_from = kept_from
        self.merge_same = merge_same
        self.names = sorted(stations)
        self.numbers = {name: number for number, name in enumerate(self.names)}

    def check(self, piece: Piece) -> None:
        """Check a piece by the rules for readings."""
        piece.one_of("station", self.numbers, _NO_STATION)
        piece.one_of("parameter", PARAMETER_NUMBERS, _NO_PARAMETER)
        piece.moment("time")
        piece.not_after("time", self.now)
        _refuse_removed(piece, "time", self.kept_from)
        piece.value()
        if piece.has("averaging_minutes"):
            piece.number("averaging_minutes", 1, 1440, "minutes", whole=True)
        if piece.has("direction_resolution"):
            piece.number("direction_resolution", 0.001, 180, "degrees")
        piece.fill("averaging_minutes")
        piece.fill("direction_resolution")

    def batches(
        self, connection: sa.Connection, rows: Iterator[Row]
    ) -> Iterator[tuple[ObservationBatch, list[Part[Observation]]]]:
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

    def _compared(self, connection: sa.Connection, rows: Sequence[Row]) -> list[Part[Observation]]:
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
            # No station has the id 0: one that is not stored yet has no stored values.
            row = stored_rows.get((ids.get(name, 0), time))
            stored = None
            if row is not None and _is_collected(row.batches, origins):
                # All values of a reading have one route: one collected value makes the others collected.
                stored = StoredValue(Measure(value=0), collected=True)
            elif row is not None:
                stored = _in_place(
                    row, parameter, lambda batch: dict(zip(names, ways[batch], strict=True)), origins
                )
            parts.append(Part(number, record, new, stored))
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

    def replaced(self, part: Part[Observation], old: Measure, file: str) -> Replaced:
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
) -> StoredValue | None:
    """Return the stored value of a parameter in a row; None if there is none."""
    value, batch = row.values[parameter], row.batches[parameter]
    if value is None or batch is None:
        return None
    return StoredValue(Measure(value=value, **stated(batch)), collected=_is_collected([batch], origins))


def _is_collected(batches: Sequence[int | None], origins: Mapping[int, Origin]) -> bool:
    """Return True if one of these batches was collected, not imported."""
    return any(batch is not None and origins[batch].rank < RANK for batch in batches)
