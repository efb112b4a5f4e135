"""The FFVL's own feed, for holders of a key: all beacons in one answer, and 72 hours of history for one.

Format (the federation's data set page, and captures): JSON that starts with a byte order mark; an array
of flat objects whose every value is text or null, and any field may be left out. Numbers are accepted
too, since nothing but the server's PHP version decides between "12" and 12. Times are Europe/Paris
without saying so, speeds whole km/h, directions the sixteen sectors cut to even degrees.

Trouble comes with HTTP 200 as well: a small HTML page "error#2" for a refused key, a sentence about
asking for a key, an empty body.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from backend.collectors.base import Fetch, Payload, Request
from backend.collectors.ffvl_network import FFVL
from backend.collectors.gaps import MARGIN, Gap, closed, lacking_histories, take_stock, unknown_station
from backend.collectors.readings import (
    Reading,
    Readings,
    Told,
    Value,
    already_kept,
    elevation,
    json_rows,
    not_empty,
    number,
    number_of,
    paris_time,
    require_fields,
    sift,
    value_of,
)
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import ObservationBatch, Rejected, Station, Wanted

LIST_EVERY = timedelta(hours=24)
HISTORY = timedelta(hours=72)
REPUBLISHED = frozenset({"PIOUPIOU", "OPENWINDMAP", "HOLFUY", "IWEATHAR"})
"""Networks of others, repeated in this feed: their readings are not the FFVL's to be credited with."""

_DATE = "%Y-%m-%d %H:%M:%S"


class _Row(
    msgspec.Struct,
    rename={
        "beacon": "idbalise",
        "mean": "vitesseVentMoy",
        "gust": "vitesseVentMax",
        "direction": "directVentMoy",
    },
):
    beacon: str | int | None = None
    date: str | None = None
    mean: Told = msgspec.UNSET
    gust: Told = msgspec.UNSET
    direction: Told = msgspec.UNSET
    temperature: Told = msgspec.UNSET


class _Beacon(
    msgspec.Struct,
    rename={
        "number": "idBalise",  # spelt with a capital here, and without one in the readings
        "name": "nom",
        "elevation": "altitude",
        "remarks": "remarques",
        "kind": "station_type",
    },
):
    number: str | int
    name: str | None = None
    latitude: Value = None
    longitude: Value = None
    elevation: Value = None
    remarks: str | None = None
    description: str | None = None
    kind: str | None = None


# A history was seen without some of them: of one beacon only the mean wind can be insisted on.
_MEAN = {"mean": "vitesseVentMoy"}
_VALUES = {**_MEAN, "gust": "vitesseVentMax", "direction": "directVentMoy", "temperature": "temperature"}

_ROWS = msgspec.json.Decoder(list[_Row])
_BEACONS = msgspec.json.Decoder(list[_Beacon])


@dataclass(frozen=True, slots=True)
class Keyed:
    """Once a day the list of beacons, then all newest readings, then the history of stations with a gap."""

    url: str
    key: str = field(repr=False)

    name = "keyed"
    rank = 0

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per answer. A list that fails costs the list; the readings are the point."""
        kinds = {station.id: station.kind for station in wanted.stations.values()}
        if list_is_due(wanted):
            listing = await self._list(wanted, fetch)
            kinds |= {station.id: station.kind for station in listing.stations}
            yield listing

        skip = {station for station, kind in kinds.items() if kind.upper() in REPUBLISHED}
        payload = await fetch(self._request(r="releves_meteo"))
        after = already_kept(wanted.newest, payload.fetched_at)
        readings = await asyncio.to_thread(parse_readings, payload, after, skip)
        stock = take_stock(FFVL, wanted, readings.latest, payload.fetched_at - HISTORY, skip)
        yield FFVL.batch(self, payload, readings, stock.caught_up)

        known = kinds.keys() | readings.stations
        for gap in stock.gaps:
            hours = history_hours(gap.after, payload.fetched_at)
            yield await self._history(gap, hours, known, wanted, fetch)

    async def _list(self, wanted: Wanted, fetch: Fetch) -> ObservationBatch:
        try:
            payload = await fetch(self._request(r="list"))
            stations = await asyncio.to_thread(parse_list, payload)
        except CollectorError as error:
            return FFVL.failed(self, error, wanted)
        return ObservationBatch(
            source=FFVL.name,
            route=self.name,
            rank=self.rank,
            collected_at=payload.fetched_at,
            stations=stations,
            listed=FFVL.name,
        )

    async def _history(
        self, gap: Gap, hours: int, known: Collection[str], wanted: Wanted, fetch: Fetch
    ) -> ObservationBatch:
        try:
            payload = await fetch(self._request(r="histo", idbalise=number_of(gap.station), hours=str(hours)))
            readings = await asyncio.to_thread(parse_history, payload, gap.station, gap.after)
            if gap.station not in known and not readings.stations:
                raise unknown_station(gap.station, payload.url)
            caught_up = closed(FFVL, gap, readings, payload)
        except CollectorError as error:
            return FFVL.failed(self, error, wanted)
        return FFVL.batch(self, payload, readings, caught_up)

    def _request(self, **params: str) -> Request:
        return request(self.url, self.key, **params)


@dataclass(frozen=True, slots=True)
class PastOfKeyed:
    """What mapped beacons said in the last days: the history of each of which days are lacking."""

    url: str
    key: str = field(repr=False)

    name = "keyed"
    rank = 0

    def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per beacon of which days are lacking."""

        def ask(station: str, first: datetime) -> Request:
            hours = str(history_hours(first, wanted.now))
            return request(self.url, self.key, r="histo", idbalise=number_of(station), hours=hours)

        others = {each.id for each in wanted.stations.values() if each.kind.upper() in REPUBLISHED}
        return lacking_histories(
            FFVL, self, wanted, fetch, reach=HISTORY, request=ask, parse=parse_history, skip=others
        )


def request(url: str, key: str, **params: str) -> Request:
    """Ask the FFVL's feed for something of its beacons."""
    return Request(
        url=f"{url}/api/",
        kind="json",
        params={"base": "balises", **params, "mode": "json"},
        secret_params={"key": key},
    )


def list_is_due(wanted: Wanted) -> bool:
    """Say whether the list of beacons was never read, or a day ago."""
    listed = wanted.listed.get(FFVL.name)
    return listed is None or wanted.now - listed >= LIST_EVERY


def history_hours(after: datetime, now: datetime) -> int:
    """Return how many whole hours to ask for to see all since `after`, counted back from `now` or later."""
    return math.ceil(min(now - after + MARGIN, HISTORY) / timedelta(hours=1))


def parse_list(payload: Payload) -> tuple[Station, ...]:
    """Read the list of beacons. Its remarks tell which beacon is sheltered or shows the breeze only."""
    _refuse_what_is_no_feed(payload)
    return tuple(
        _described(beacon, payload.url) for beacon in not_empty(json_rows(payload, _BEACONS), payload)
    )


def _described(beacon: _Beacon, url: str) -> Station:
    station = FFVL.station_id(beacon.number)
    if station is None:
        raise ParseError(f"{str(beacon.number)[:40]!r} is not the number of a beacon", url=url)
    return Station(
        id=station,
        name=(beacon.name or "").strip(),
        latitude=number(beacon.latitude),
        longitude=number(beacon.longitude),
        elevation=elevation(beacon.elevation),
        kind=(beacon.kind or "").strip().upper(),
        remarks="\n".join(text.strip() for text in (beacon.remarks, beacon.description) if text),
    )


def parse_readings(
    payload: Payload, after: Mapping[str, datetime], skip: Collection[str] = frozenset()
) -> Readings:
    """Read the newest readings of all beacons but those to `skip`, later than `after` per station.

    Raises ParseError where no row at all can be used: then the format has changed.
    """
    rows = ((row, _station(row)) for row in not_empty(_documented_rows(payload, _VALUES), payload))
    mine = ((row, station) for row, station in rows if station not in skip)
    readings = sift(_readings(mine, payload.fetched_at), payload.fetched_at, after)
    if not readings.latest:
        reasons = ", ".join(sorted({rejected.reason for rejected in readings.rejected})) or "all skipped"
        raise ParseError(f"no row is of a beacon and of a time that can be used: {reasons}", url=payload.url)
    return readings


def parse_history(payload: Payload, station: str, after: datetime) -> Readings:
    """Read the history of one beacon, later than `after`; ParseError if it speaks of another beacon.

    An empty one is read as such: whether it can be true, the caller knows.
    """
    rows = _documented_rows(payload, _MEAN)
    others = {name for row in rows if (name := _station(row)) not in (station, None)}
    if others:
        raise ParseError(f"asked for {station}, was told of {', '.join(sorted(others))}", url=payload.url)
    mine = ((row, station) for row in rows)
    return sift(_readings(mine, payload.fetched_at), payload.fetched_at, {station: after})


def _documented_rows(payload: Payload, fields: Mapping[str, str]) -> list[_Row]:
    _refuse_what_is_no_feed(payload)
    rows = json_rows(payload, _ROWS)
    require_fields(rows, fields, payload)
    return rows


def _refuse_what_is_no_feed(payload: Payload) -> None:
    """Name the answers that come with HTTP 200 and are none. Whatever else is odd, the decoder says."""
    text = payload.body[:2000].decode("utf-8-sig", "replace").strip()
    if text.startswith("<") and "error#" in text:
        raise ParseError("the key was refused: check FFVL_API_KEY", url=payload.url)
    if text and text[0] not in "[{" and "API key" in text:
        raise ParseError("the answer asks for an API key: check FFVL_URL and FFVL_API_KEY", url=payload.url)
    if not text:
        raise ParseError("the answer is empty", url=payload.url)


def _station(row: _Row) -> str | None:
    return None if row.beacon is None else FFVL.station_id(row.beacon)


def _readings(rows: Iterable[tuple[_Row, str | None]], fetched_at: datetime) -> Iterable[Reading | Rejected]:
    newer: dict[str, datetime] = {}
    for row, station in rows:
        if station is None:
            yield Rejected(f"{FFVL.name}:?", None, None, str(row), "no_station")
            continue
        time = paris_time(station, row.date or "", _DATE, fetched_at, newer.get(station))
        if isinstance(time, Rejected):
            yield time
            continue
        newer[station] = time
        values: dict[Parameter, Value] = {
            Parameter.WIND_SPEED: value_of(row.mean),
            Parameter.WIND_GUST: value_of(row.gust),
            Parameter.WIND_DIRECTION: value_of(row.direction),
            Parameter.TEMPERATURE: value_of(row.temperature),
        }
        yield Reading(station=station, time=time, values=values)
