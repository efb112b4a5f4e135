"""Read the list of runs and the time series of GeoSphere's data hub. Pure.

An error in an answer invalidates only the value, column or site that has it. See geosphere.py for the quirks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from backend.collectors.base import Payload
from backend.collectors.runs import Part, without_wind
from backend.collectors.transport.decoding import decode_json, decode_json_with_nan
from backend.core import registry
from backend.core.errors import ParseError
from backend.core.parameters import MISSING_BESIDE_WIND, Parameter, why_implausible
from backend.core.records import Forecast, GridPoint, Rejected, Site
from backend.core.units import ZERO_CELSIUS_K, ms_to_kmh, wind_from_components

NAME = registry.GEOSPHERE.name
(_MODEL,) = registry.GEOSPHERE.models
MODEL = _MODEL.name

PART = Part(0, 60)
"""A run is one part: one answer has all of its hours."""

HORIZON = timedelta(hours=PART.last)

EAST, NORTH, GUST, TEMPERATURE = "10u", "10v", "10fg", "2t"
PARAMETERS = (TEMPERATURE, EAST, NORTH, GUST)

CELL = (0.009, 0.0135)
"""The size of a cell (degrees of latitude and longitude)."""

FARTHEST = 0.6
"""Cells between a site and the centre of its own cell: half a cell, and a margin for rounded coordinates."""

_HOUR = timedelta(hours=1)

_METRES_PER_SECOND = dict.fromkeys(("m s-1", "m/s", "ms-1", "m s**-1"), 0.0)
_DEGREES = {
    **dict.fromkeys(("degree celsius", "degree_celsius", "degc", "°c", "celsius"), 0.0),
    **dict.fromkeys(("k", "kelvin"), -ZERO_CELSIUS_K),
}
_UNITS = {
    EAST: _METRES_PER_SECOND,
    NORTH: _METRES_PER_SECOND,
    GUST: _METRES_PER_SECOND,
    TEMPERATURE: _DEGREES,
}
"""The accepted units of each parameter, in small letters, and what to add for m/s or °C."""

Value = float | str | bool | None
"""A value of a column. Only a float is valid; bare NaN, which is no JSON, is read as text."""


class _Metadata(msgspec.Struct):
    last_forecast_reftime: str
    available_forecast_reftimes: list[str] = []


class _Series(msgspec.Struct):
    reference_time: str
    timestamps: list[Value]
    features: list[msgspec.Raw]


class _Point(msgspec.Struct):
    coordinates: tuple[float, float]  # longitude, latitude of the cell


class _Properties(msgspec.Struct):
    parameters: dict[str, msgspec.Raw]


class _Feature(msgspec.Struct):
    geometry: _Point
    properties: _Properties


class _Column(msgspec.Struct):
    data: list[Value]
    unit: str = ""


_METADATA = msgspec.json.Decoder(_Metadata)
_SERIES = msgspec.json.Decoder(_Series)
_FEATURE = msgspec.json.Decoder(_Feature)
_COLUMN = msgspec.json.Decoder(_Column)


@dataclass(frozen=True, slots=True)
class Answer:
    """The values of one run; `absent` states per site what is missing."""

    records: tuple[Forecast, ...]
    rejected: tuple[Rejected, ...]
    grid_points: tuple[GridPoint, ...]
    absent: Mapping[str, str]


def parse_metadata(payload: Payload, now: datetime) -> list[datetime]:
    """Return the starts of the listed runs, newest first. Raises ParseError for another shape."""
    try:
        return _runs_of(decode_json(_METADATA, payload.body), now)
    except ParseError as error:
        reason = f"not the metadata of a forecast: {error.reason}"
        raise ParseError(reason, source=NAME, url=payload.url) from error


def _runs_of(metadata: _Metadata, now: datetime) -> list[datetime]:
    newest = _time(metadata.last_forecast_reftime)
    runs = sorted({_time(text) for text in metadata.available_forecast_reftimes} | {newest}, reverse=True)
    if newest != runs[0]:
        raise ParseError(f"the newest run is {newest:%Y-%m-%d %H:%M}, the list has a newer one")
    if newest > now:
        raise ParseError(f"the newest run starts in the future, at {newest:%Y-%m-%d %H:%M}")
    return runs


def parse(payload: Payload, start: datetime, sites: Sequence[Site]) -> Answer:
    """Return the forecasts of the run of `start` at `sites`. Null is absent, and a calm has no direction.

    Raises ParseError for another shape or run, for an hour before the start of the run, and if no site has a
    value.
    """
    try:
        series = decode_json_with_nan(_SERIES, payload.body)
        reading = _reading_of(series, start, sites)
    except ParseError as error:
        reason = f"not an hourly forecast: {error.reason}"
        raise ParseError(reason, source=NAME, url=payload.url) from error
    return Answer(
        records=tuple(reading.records),
        rejected=tuple(reading.rejected),
        grid_points=tuple(reading.points),
        absent=reading.absent,
    )


def _reading_of(series: _Series, start: datetime, sites: Sequence[Site]) -> _Reading:
    if (stated := _time(series.reference_time)) != start:
        raise ParseError(f"the run of {stated:%Y-%m-%d %H:%M} instead of {start:%Y-%m-%d %H:%M}")
    reading = _Reading(start)
    reading.read_times(series.timestamps)
    cells = reading.read_cells(series.features)
    for site in sites:
        reading.read_site(site, _cell_of(site, cells))
    if not reading.records and not reading.rejected:
        raise ParseError(next(iter(reading.absent.values()), "no site has a value"))
    return reading


@dataclass(frozen=True, slots=True)
class _Cell:
    """A feature of the answer: the centre of its cell, and its columns."""

    latitude: float
    longitude: float
    columns: Mapping[str, msgspec.Raw]


@dataclass(slots=True)
class _Reading:
    """What was read of an answer so far; `times` has the valid time of each row, None for an odd one."""

    start: datetime
    times: list[datetime | None] = field(default_factory=list)
    records: list[Forecast] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    points: list[GridPoint] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def read_times(self, texts: Sequence[Value]) -> None:
        """Read the times of the rows; an odd one costs its row."""
        for text in texts:
            try:
                at = _time(text)
            except ParseError:
                at = None
            if at is not None and at < self.start:
                raise ParseError(f"an hour before the start of the run: {text}")
            if at is None or (at - self.start) % _HOUR or at > self.start + HORIZON or at in self.times:
                reason = "odd_time: not a whole hour of the run, or repeated"
                self.rejected.append(Rejected(MODEL, None, None, str(text), reason))
                at = None
            self.times.append(at)
        if not any(self.times):
            raise ParseError("no time is an hour of the run")

    def read_cells(self, features: Sequence[msgspec.Raw]) -> list[_Cell]:
        """Return the features that have a cell; an odd one is set aside."""
        cells = []
        for raw in features:
            try:
                feature = decode_json(_FEATURE, bytes(raw))
            except ParseError as error:
                text = bytes(raw)[:800].decode(errors="replace")[:200]
                self.rejected.append(Rejected(MODEL, None, None, text, f"odd_row: {error.reason}"))
                continue
            longitude, latitude = feature.geometry.coordinates
            cells.append(_Cell(latitude, longitude, feature.properties.parameters))
        return cells

    def read_site(self, site: Site, cell: _Cell | None) -> None:
        """Read the values of the cell of a site."""
        if cell is None:
            self.absent[site.id] = "the answer has no cell of the model at the site"
            return
        problems: list[str] = []
        columns = {name: self._column(name, cell, problems) for name in PARAMETERS}
        hours = {at: index for index, at in enumerate(self.times) if at is not None}
        with_wind = set()
        found: set[Parameter] = set()  # after hour 0, which has no gust
        before = len(self.records)
        for at, index in hours.items():
            values = {name: column[index] for name, column in columns.items() if column is not None}
            for parameter, value in self._parameters(site, at, values):
                self.records.append(Forecast(MODEL, site.id, parameter, self.start, at, value))
                if at > self.start:
                    found.add(parameter)
                if parameter is Parameter.WIND_SPEED:
                    with_wind.add((at - self.start) // _HOUR)
        without = [lead for lead in PART.leads if lead not in with_wind]
        if without and columns[EAST] is not None and columns[NORTH] is not None:
            problems.append(without_wind(without))
        # A run that counts as complete is not read again: gusts that are published later would be lost.
        problems += [
            f"{name} has no value"
            for name in (TEMPERATURE, GUST)
            if columns[name] is not None and _PARAMETER[name] not in found
        ]
        if problems:
            self.absent[site.id] = "; ".join(problems)
        if len(self.records) > before:
            # The API does not state the height of the model's ground.
            self.points.append(GridPoint(MODEL, site.id, f"{cell.latitude:g},{cell.longitude:g}"))

    def _column(self, name: str, cell: _Cell, problems: list[str]) -> list[Value] | None:
        """Return a column in m/s or °C; None, and a problem, if it cannot be used."""
        if name not in cell.columns:
            problems.append(f"without {name}")
            return None
        try:
            column = decode_json(_COLUMN, bytes(cell.columns[name]))
        except ParseError as error:
            problems.append(f"{name} is not a column: {error.reason}")
            return None
        offset = _UNITS[name].get(column.unit.strip().lower())
        if offset is None:
            problems.append(f"{name} in {column.unit[:40]!r}")
            return None
        if len(column.data) != len(self.times):
            problems.append(f"{len(column.data)} values of {name} for {len(self.times)} hours")
            return None
        return [value + offset if isinstance(value, float) else value for value in column.data]

    def _parameters(
        self, site: Site, at: datetime, values: Mapping[str, Value]
    ) -> list[tuple[Parameter, float]]:
        """Return the values of one hour in our units; set the others aside. A null is absent."""

        def set_aside(parameter: Parameter, raw: Value, reason: str) -> None:
            subject = f"{MODEL} {site.id}"
            self.rejected.append(Rejected(subject, parameter, at, repr(raw)[:200], reason))

        numbers: dict[str, float] = {}
        for name, value in values.items():
            if isinstance(value, float):
                numbers[name] = value
            elif value is not None:
                set_aside(_PARAMETER[name], value, "not_a_number")
        good: list[tuple[Parameter, float]] = []
        speed = None
        if EAST in numbers and NORTH in numbers:
            speed, direction = wind_from_components(numbers[EAST], numbers[NORTH])
            good.append((Parameter.WIND_SPEED, speed))
            # An impossible speed is rejected later; its direction must not stay.
            if direction is not None and why_implausible(Parameter.WIND_SPEED, speed) is None:
                good.append((Parameter.WIND_DIRECTION, direction))
        if GUST in numbers and at > self.start:  # there is no hour before step 0
            gust = ms_to_kmh(numbers[GUST])
            if gust == 0 and speed is not None and speed >= MISSING_BESIDE_WIND:
                set_aside(
                    Parameter.WIND_GUST, gust, f"zero_gust: 0 beside {speed:.1f} km/h is a missing value"
                )
            else:
                good.append((Parameter.WIND_GUST, gust + 0.0))  # -0.0 becomes 0.0
        if TEMPERATURE in numbers:
            good.append((Parameter.TEMPERATURE, numbers[TEMPERATURE] + 0.0))
        return good


_PARAMETER = {
    EAST: Parameter.WIND_SPEED,
    NORTH: Parameter.WIND_SPEED,
    GUST: Parameter.WIND_GUST,
    TEMPERATURE: Parameter.TEMPERATURE,
}


def _cell_of(site: Site, cells: Sequence[_Cell]) -> _Cell | None:
    """Return the nearest cell, if the site lies in it: the one beside it has the wind of another slope."""
    shrink = math.cos(math.radians(site.latitude))

    def distance(cell: _Cell) -> float:
        return math.hypot(cell.latitude - site.latitude, (cell.longitude - site.longitude) * shrink)

    nearest = min(cells, key=distance, default=None)
    if (
        nearest is None
        or abs(nearest.latitude - site.latitude) > FARTHEST * CELL[0]
        or abs(nearest.longitude - site.longitude) > FARTHEST * CELL[1]
    ):
        return None
    return nearest


def _time(text: Value) -> datetime:
    """Return a time such as "2026-11-28T12:00+00:00" in UTC; raise ParseError for any other text."""
    try:
        at = datetime.fromisoformat(str(text))
        utc = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParseError(f"{str(text)[:40]!r} is not a time: {error}") from error
    if at.tzinfo is None:
        raise ParseError(f"{str(text)[:40]!r} is a time without its zone")
    if utc.year < 2000:
        raise ParseError(f"{str(text)[:40]!r} is long before the model")
    return utc
