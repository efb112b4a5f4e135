"""The beacons of Pioupiou, now OpenWindMap: all newest readings in one answer, and an archive of each.

Publisher: the contributors of the OpenWindMap network. Licence: the Community License allows use of the data
with a visible credit, but not beside data of sensors that are not open themselves, such as those of ROMMA and
probably of the FFVL. Whether they may be mixed is a question between operator and network, so the source is
off unless `SOURCES` names it, and withheld unless `PUBLIC_RAW_SOURCES` does too.
About 690 beacons report (2026), every 4 to 5 minutes; wind only, over the 4 minutes before the stamp.
Units: km/h, degrees. Times: ISO 8601 in UTC. The network states no height of its masts, nor of its places.

Quirks, with the date of their description:
- the feed repeats a beacon's last reading for months; a state `on` does not mean a new one (October 2026);
- a beacon that is switched off may report 0 for the mean and null for the rest: not a calm (October 2026);
- an item may have no number (2015), a position may be a dummy near 0, 0 with `success` false (2026);
- rows of the archive are lists; its `legend` names the columns, and the lull comes first;
- Pioupious report directions in steps of 22.5 degrees, Windbirds of 1: the network has no single resolution.
Limits: newest readings at most once a minute; an archive of one beacon and 31 days at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar

import msgspec

from backend.collectors.base import Archive, Fetch, LiveFacts, Payload, Request, Source
from backend.collectors.beacons.gaps import fill_gap, find_gaps, missing_spans, unknown_station
from backend.collectors.beacons.readings import (
    Network,
    Reading,
    Readings,
    ReportedField,
    Value,
    is_new_or_changed,
    json_rows,
    not_empty,
    number,
    positions_of,
    require_fields,
    stored_until,
    validate,
    value_of,
)
from backend.collectors.beacons.times import iso_time
from backend.collectors.set_aside import DUMMY_DEGREES
from backend.collectors.transport.decoding import decode_json_leniently
from backend.core import registry
from backend.core.config import Settings
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Position, Rejected, Station, number_of
from backend.core.terms import terms_of

PIOUPIOU = Network(
    name=registry.PIOUPIOU.name,
    cadence=timedelta(minutes=7),  # they report every four or five
    averaging_minutes=4,
)

MAX_AGE = timedelta(minutes=20)
"""Hundreds of beacons report every five minutes: three missed readings in a row of all, and a margin."""

ARCHIVE = "archive"
"""Route of the positions in an archive: they may differ from those beside the newest readings."""

LONGEST_ARCHIVE = timedelta(days=31)

_WIND = {
    Parameter.WIND_SPEED: "wind_speed_avg",
    Parameter.WIND_GUST: "wind_speed_max",
    Parameter.WIND_DIRECTION: "wind_heading",
}
_UNITS = {"time": "utc", "wind_speed_avg": "km/h", "wind_speed_max": "km/h", "wind_heading": "degrees"}

_T = TypeVar("_T")


class _Meta(msgspec.Struct):
    name: str | None = None


class _Location(msgspec.Struct):
    latitude: float | None = None
    longitude: float | None = None


class _Measurements(msgspec.Struct):
    date: str | None = None
    wind_speed_avg: ReportedField = msgspec.UNSET
    wind_speed_max: ReportedField = msgspec.UNSET
    wind_heading: ReportedField = msgspec.UNSET


class _Status(msgspec.Struct):
    state: str | None = None


class _Beacon(msgspec.Struct):
    measurements: _Measurements | None
    id: int | None = None
    meta: _Meta | None = None
    location: _Location | None = None
    status: _Status | None = None


class _Live(msgspec.Struct):
    data: msgspec.Raw


class _Archive(msgspec.Struct):
    legend: list[str]
    units: list[str]
    data: msgspec.Raw


_LIVE = msgspec.json.Decoder(_Live)
_ARCHIVE = msgspec.json.Decoder(_Archive)
_BEACONS, _BEACON = msgspec.json.Decoder(list[_Beacon]), msgspec.json.Decoder(_Beacon)
_VALUE_ROWS, _VALUE_ROW = msgspec.json.Decoder(list[list[Value]]), msgspec.json.Decoder(list[Value])


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source; the registry turns it off unless `SOURCES` names it."""
    return Source.of(
        terms_of(registry.PIOUPIOU, settings),
        batch=ObservationBatch,
        routes=(Live(settings.pioupiou_url),),
        max_age=MAX_AGE,
        past=Archive(routes=(ArchiveRoute(settings.pioupiou_url),)),
        live=LiveFacts(
            if_gone=(
                "Pioupiou became OpenWindMap, and api.openwindmap.org has the same paths below /v1: set"
                " PIOUPIOU_URL=https://api.openwindmap.org"
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class Live:
    """All newest readings, then the archive of each mapped beacon with a gap."""

    url: str

    name = "live"
    rank = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per answer, and a failure for each mapped beacon that is unknown."""
        payload = await fetch(Request(url=f"{self.url}/v1/live/all", kind="json"))
        after = stored_until(needs.newest, payload.fetched_at)
        readings, stations = await asyncio.to_thread(parse_live, payload, after)
        news = [station for station in stations if is_new_or_changed(station, needs.stations.get(station.id))]
        gaps = find_gaps(PIOUPIOU, needs, readings.latest, payload.fetched_at - LONGEST_ARCHIVE)
        positions = positions_of(stations, payload.fetched_at, readings.latest)
        yield PIOUPIOU.batch(self, payload, readings, gaps.complete_until, news, positions)

        known = needs.stations.keys() | {station.id for station in stations}
        for gap in gaps.open:
            if gap.until is not None:
                request = archive_request(self.url, gap.station, gap.after, payload.fetched_at)
                yield await fill_gap(
                    PIOUPIOU,
                    self,
                    gap,
                    needs,
                    fetch,
                    request,
                    parse_archive,
                    positions=parse_archive_positions,
                )
            elif gap.station not in known:
                yield PIOUPIOU.failed(self, unknown_station(gap.station, payload.url), needs)


@dataclass(frozen=True, slots=True)
class ArchiveRoute:
    """The archive of each mapped beacon, up to 31 days at a time."""

    url: str

    name = ARCHIVE
    rank = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per beacon and span of missing days."""
        for station in needs.mapped_stations(PIOUPIOU.name):
            for first, last in missing_spans(needs, station, LONGEST_ARCHIVE):
                start = datetime.combine(first, time(), UTC)
                stop = datetime.combine(last, time(23, 59, 59), UTC)
                try:
                    payload = await fetch(archive_request(self.url, station, start, stop))
                    before = start - timedelta(seconds=1)
                    readings = await asyncio.to_thread(parse_archive, payload, station, before)
                    positions = await asyncio.to_thread(parse_archive_positions, payload, station)
                except CollectorError as error:
                    yield PIOUPIOU.failed(self, error, needs)
                else:
                    yield PIOUPIOU.batch(self, payload, readings, {}, positions=positions)


def archive_request(url: str, station: str, start: datetime, stop: datetime) -> Request:
    """Return the request for the readings of one beacon between two times, at most 31 days apart."""
    return Request(
        url=f"{url}/v1/archive/{number_of(station)}",
        kind="json",
        params={"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "stop": f"{stop:%Y-%m-%dT%H:%M:%SZ}"},
    )


def parse_live(payload: Payload, after: Mapping[str, datetime]) -> tuple[Readings, tuple[Station, ...]]:
    """Read the newest readings of all beacons, later than `after` per station, and the beacons.

    Raises ParseError for another shape, if most rows are odd, or if no beacon has a usable reading.
    """
    data = bytes(_decoded(_LIVE, payload, "list of beacons").data)
    rows = not_empty(json_rows(payload, _BEACONS, _BEACON, data))
    require_fields(
        (beacon.measurements for beacon in rows.rows if beacon.measurements is not None),
        {name: name for name in _WIND.values()},
        payload,
    )
    stations: list[Station] = []
    values: list[Reading | Rejected] = [
        *rows.rejected(lambda content: PIOUPIOU.station_of_odd(content, "id"), f"{PIOUPIOU.name}:?")
    ]
    for beacon in rows.rows:
        station = None if beacon.id is None else PIOUPIOU.station_id(beacon.id)
        if station is None:
            values.append(Rejected(f"{PIOUPIOU.name}:?", None, None, repr(beacon.id), "no_station"))
            continue
        measured = beacon.measurements
        if measured is not None and measured.date is not None:  # null: it has never reported
            wind = {parameter: value_of(getattr(measured, name)) for parameter, name in _WIND.items()}
            off = (beacon.status or _Status()).state == "off"
            values.append(_reading(station, measured.date, wind, payload.fetched_at, off=off))
        place, meta = beacon.location or _Location(), beacon.meta or _Meta()
        latitude, longitude = number(place.latitude), number(place.longitude)
        if latitude is None or longitude is None or max(abs(latitude), abs(longitude)) < DUMMY_DEGREES:
            latitude = longitude = None  # the store keeps the last good position
        stations.append(Station(station, (meta.name or "").strip(), latitude, longitude))
    readings = validate(values, payload.fetched_at, after)
    if not readings.latest:
        raise ParseError(f"none of {rows.total} beacons has a reading with a usable time", url=payload.url)
    return readings, tuple(stations)


def parse_archive(payload: Payload, station: str, after: datetime) -> Readings:
    """Read the archive of `station` (the answer does not name it), later than `after`; it may be empty.

    Raises ParseError for another shape, and where most rows are odd.
    """
    archive = _decoded(_ARCHIVE, payload, "archive")
    units = dict(zip(archive.legend, archive.units, strict=False))
    for name, unit in _UNITS.items():
        if name not in archive.legend:
            raise ParseError(f"an archive without {name}", url=payload.url)
        if units.get(name) != unit:
            raise ParseError(f"{name} in {units.get(name)!r} instead of {unit!r}", url=payload.url)
    columns = {name: archive.legend.index(name) for name in _UNITS}
    longest = max(columns.values())

    def why_short(row: Sequence[Value]) -> str | None:
        return f"a row of {len(row)} values, fewer than in its legend" if len(row) <= longest else None

    rows = json_rows(payload, _VALUE_ROWS, _VALUE_ROW, bytes(archive.data)).without(why_short)
    readings: list[Reading | Rejected] = [*rows.rejected(lambda _: station, station)]
    for row in rows.rows:
        wind = {parameter: row[columns[name]] for parameter, name in _WIND.items()}
        readings.append(_reading(station, str(row[columns["time"]]), wind, payload.fetched_at))
    return validate(readings, payload.fetched_at, {station: after})


def parse_archive_positions(payload: Payload, station: str) -> tuple[Position, ...]:
    """Read the position of a beacon in each row of its archive; none if the archive has no positions.

    Rows of an unknown shape or time are skipped: `parse_archive` rejects them.
    """
    archive = _decoded(_ARCHIVE, payload, "archive")
    units = dict(zip(archive.legend, archive.units, strict=False))
    if any(units.get(name) != "degrees" for name in ("latitude", "longitude")):
        return ()
    moment, north, east = (archive.legend.index(name) for name in ("time", "latitude", "longitude"))
    positions = []
    for row in json_rows(payload, _VALUE_ROWS, _VALUE_ROW, bytes(archive.data)).rows:
        if len(row) > max(moment, north, east):
            time = iso_time(station, str(row[moment]), payload.fetched_at)
            if not isinstance(time, Rejected):
                latitude, longitude = number(row[north]), number(row[east])
                positions.append(Position(station, time, latitude, longitude, route=ARCHIVE))
    return tuple(positions)


def _decoded(decoder: msgspec.json.Decoder[_T], payload: Payload, what: str) -> _T:
    try:
        return decode_json_leniently(decoder, payload.body)
    except ParseError as error:
        raise ParseError(f"not the documented {what}: {error.reason}", url=payload.url) from error


def _reading(
    station: str, stamp: str, values: Mapping[Parameter, Value], fetched_at: datetime, *, off: bool = False
) -> Reading | Rejected:
    """Return the reading of a beacon; without mean and gust, or switched off, its values are rejected."""
    time = iso_time(station, stamp, fetched_at)
    if isinstance(time, Rejected):
        return time
    present = [parameter for parameter, value in values.items() if value is not None]
    marked: dict[Parameter, str] = {}
    if off:
        marked = dict.fromkeys(present, "switched_off: its values are not measurements")
    elif None in (values[Parameter.WIND_SPEED], values[Parameter.WIND_GUST]):
        marked = dict.fromkeys(present, "incomplete: mean and gust must both be present")
    return Reading(station=station, time=time, values=values, marked=marked)
