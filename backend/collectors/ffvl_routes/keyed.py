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
from backend.collectors.beacons.gaps import MARGIN, fill_gap, find_gaps, missing_histories
from backend.collectors.beacons.readings import (
    Reading,
    Readings,
    ReportedField,
    Rows,
    Value,
    elevation,
    json_rows,
    not_empty,
    number,
    positions_of,
    require_fields,
    stored_until,
    text_of,
    validate,
    value_of,
)
from backend.collectors.beacons.times import local_stamp, newest_first, one_pass_of_two, paris_time
from backend.collectors.ffvl_routes.network import FFVL
from backend.collectors.transport.decoding import OddRow
from backend.core.clock import is_doubled
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Rejected, Station, number_of

LIST_EVERY = timedelta(hours=24)
HISTORY = timedelta(hours=72)
REPUBLISHED = frozenset({"PIOUPIOU", "OPENWINDMAP", "HOLFUY", "IWEATHAR"})
"""Networks of others, repeated in this feed: their readings are not the FFVL's to be credited with."""

_DATE = "%Y-%m-%d %H:%M:%S"
_EITHER_HOUR = "ambiguous_hour: it may be of either pass of the doubled hour"


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
    mean: ReportedField = msgspec.UNSET
    gust: ReportedField = msgspec.UNSET
    direction: ReportedField = msgspec.UNSET
    temperature: ReportedField = msgspec.UNSET


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

_ROWS, _ROW = msgspec.json.Decoder(list[_Row]), msgspec.json.Decoder(_Row)
_BEACONS, _BEACON = msgspec.json.Decoder(list[_Beacon]), msgspec.json.Decoder(_Beacon)


@dataclass(frozen=True, slots=True)
class Listing:
    """The list of beacons. Of an odd row with a number only the kind is in `stations`.

    `whole` is False where an odd row may be of a network that the feed re-publishes, and does not say of
    which beacon: then a beacon that is not in the list may be that one. `placed` are the stations of rows
    that are not odd: only these state a position, or that there is none.
    """

    stations: tuple[Station, ...]
    rejected: tuple[Rejected, ...] = ()
    whole: bool = True
    placed: tuple[Station, ...] = ()


@dataclass(frozen=True, slots=True)
class Keyed:
    """Once a day the list of beacons, then all newest readings, then the history of stations with a gap."""

    url: str
    key: str = field(repr=False)

    name = "keyed"
    rank = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per answer. A list that fails costs the list; the readings are the point.

        As long as a list that is due was not read whole, nothing is taken of a beacon whose kind neither
        the list nor the store states: it may be one that the feed re-publishes. Where no list came at all,
        the stations of the sites are taken.
        """
        kinds = {station.id: station.kind for station in needs.stations.values()}
        mapped = needs.mapped_stations(FFVL.name)
        taken: Collection[str] | None = None
        if list_is_due(needs):
            try:
                payload = await fetch(self._request(r="list"))
                listing = await asyncio.to_thread(parse_list, payload)
            except CollectorError as error:
                yield FFVL.failed(self, error, needs)
                taken = kinds.keys() | set(mapped)
            else:
                yield self._listed(listing, payload)
                kinds |= {station.id: station.kind for station in listing.stations}
                taken = None if listing.whole else kinds.keys()

        skip = {station for station, kind in kinds.items() if kind.upper() in REPUBLISHED}
        payload = await fetch(self._request(r="releves_meteo"))
        after = stored_until(needs.newest, payload.fetched_at)
        readings = await asyncio.to_thread(parse_readings, payload, after, skip, taken)
        unknown = () if taken is None else [station for station in mapped if station not in taken]
        left_out = skip.union(unknown)
        gaps = find_gaps(FFVL, needs, readings.latest, payload.fetched_at - HISTORY, left_out)
        yield FFVL.batch(self, payload, readings, gaps.complete_until)

        known = kinds.keys() | readings.stations
        for gap in gaps.open:
            hours = str(history_hours(gap.after, payload.fetched_at))
            ask = self._request(r="histo", idbalise=number_of(gap.station), hours=hours)
            yield await fill_gap(
                FFVL, self, gap, needs, fetch, ask, parse_history, known=gap.station in known
            )

    def _listed(self, listing: Listing, payload: Payload) -> ObservationBatch:
        """Return the batch of a list. One that was not read whole stays due."""
        return ObservationBatch(
            source=FFVL.name,
            route=self.name,
            rank=self.rank,
            collected_at=payload.fetched_at,
            rejected=listing.rejected,
            stations=listing.stations,
            positions=positions_of(listing.placed, payload.fetched_at),
            listed=FFVL.name if listing.whole else None,
        )

    def _request(self, **params: str) -> Request:
        return request(self.url, self.key, **params)


@dataclass(frozen=True, slots=True)
class KeyedHistory:
    """What mapped beacons said in the last days: the history of each of which days are lacking."""

    url: str
    key: str = field(repr=False)

    name = "keyed"
    rank = 0

    def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per beacon of which days are lacking."""

        def ask(station: str, first: datetime) -> Request:
            hours = str(history_hours(first, needs.now))
            return request(self.url, self.key, r="histo", idbalise=number_of(station), hours=hours)

        others = {each.id for each in needs.stations.values() if each.kind.upper() in REPUBLISHED}
        return missing_histories(
            FFVL, self, needs, fetch, reach=HISTORY, request=ask, parse=parse_history, skip=others
        )


def request(url: str, key: str, **params: str) -> Request:
    """Ask the FFVL's feed for something of its beacons."""
    return Request(
        url=f"{url}/api/",
        kind="json",
        params={"base": "balises", **params, "mode": "json"},
        secret_params={"key": key},
    )


def list_is_due(needs: CollectionRequest) -> bool:
    """Say whether the list of beacons was never read, or a day ago."""
    listed = needs.listed.get(FFVL.name)
    return listed is None or needs.now - listed >= LIST_EVERY


def history_hours(after: datetime, now: datetime) -> int:
    """Return how many whole hours to ask for to see all since `after`, counted back from `now` or later."""
    return math.ceil(min(now - after + MARGIN, HISTORY) / timedelta(hours=1))


def parse_list(payload: Payload) -> Listing:
    """Read the list of beacons. Its remarks tell which beacon is sheltered or shows the breeze only."""
    _require_feed(payload)
    rows = not_empty(json_rows(payload, _BEACONS, _BEACON)).without(_why_odd)
    odd = [_kind_of_odd(row) for row in rows.odd]
    described = tuple(_described(beacon) for beacon in rows.rows)
    good = {station.id for station in described}  # what a good row states of a beacon stays
    kinds = (
        Station(id=station, kind=kind)
        for station, kind in odd
        if station and station not in good and kind is not None
    )
    return Listing(
        stations=(*described, *kinds),
        rejected=rows.rejected(_listed_station, f"{FFVL.name}:?"),
        whole=all(
            kind is not None if station else kind not in (None, "", *REPUBLISHED) for station, kind in odd
        ),
        placed=described,
    )


def _why_odd(beacon: _Beacon) -> str | None:
    if FFVL.station_id(beacon.number) is None:
        return f"{str(beacon.number)[:40]!r} is not the number of a beacon"
    return None


def _listed_station(content: object) -> str | None:
    number = text_of(content, "idBalise")
    return None if number is None else FFVL.station_id(number)


def _kind_of_odd(row: OddRow) -> tuple[str | None, str | None]:
    """Return station and kind as far as an odd row of the list states them; "" for a kind left out."""
    if not isinstance(row.content, dict):
        return None, None
    kind = row.content.get("station_type")
    told = "" if kind is None else kind
    return _listed_station(row.content), told.strip().upper() if isinstance(told, str) else None


def _described(beacon: _Beacon) -> Station:
    return Station(
        id=f"{FFVL.name}:{str(beacon.number).strip()}",
        name=(beacon.name or "").strip(),
        latitude=number(beacon.latitude),
        longitude=number(beacon.longitude),
        elevation=elevation(beacon.elevation),
        kind=(beacon.kind or "").strip().upper(),
        remarks="\n".join(text.strip() for text in (beacon.remarks, beacon.description) if text),
    )


def parse_readings(
    payload: Payload,
    after: Mapping[str, datetime],
    skip: Collection[str] = frozenset(),
    taken: Collection[str] | None = None,
) -> Readings:
    """Read the newest readings of all beacons but those to `skip`, later than `after` per station.

    Of beacons that are not in `taken`, where given, the kind is not known and the reading is rejected.
    Raises ParseError where no row at all can be used, or most rows are odd: then the format has changed.
    """
    rows = not_empty(_documented_rows(payload, _VALUES))
    mine = ((row, station) for row in rows.rows if (station := _station(row)) not in skip)
    found = (
        *rows.rejected(_station_of_odd, f"{FFVL.name}:?"),
        *_readings(mine, payload.fetched_at),
    )
    readings = validate((_reject_unknown_kind(each, taken) for each in found), payload.fetched_at, after)
    if not readings.latest:
        reasons = ", ".join(sorted({rejected.reason for rejected in readings.rejected})) or "all skipped"
        raise ParseError(f"no row is of a beacon and of a time that can be used: {reasons}", url=payload.url)
    return readings


def _reject_unknown_kind(value: Reading | Rejected, taken: Collection[str] | None) -> Reading | Rejected:
    if isinstance(value, Rejected) or taken is None or value.station in taken:
        return value
    reason = "unknown_kind: the list of beacons could not be read whole, and may call it another network's"
    return Rejected(value.station, None, value.time, str(dict(value.values)), reason)


def parse_history(payload: Payload, station: str, after: datetime) -> Readings:
    """Read the history of one beacon, later than `after`; ParseError if most rows are of another beacon.

    An empty one is read as such: whether it can be true, the caller knows. It may go back or forth in time;
    what may be of either pass of the doubled hour is rejected.
    """

    def why_not_mine(row: _Row) -> str | None:
        told = _station(row)
        return f"requested {station}, row is of {told}" if told not in (station, None) else None

    rows = _documented_rows(payload, _MEAN).without(why_not_mine)
    stamps = [local_stamp(row.date or "", _DATE) for row in rows.rows]
    order = newest_first(stamps)
    backwards = rows.rows[::-1] if order is False else rows.rows
    stamps = stamps[::-1] if order is False else stamps
    unclear = order is None or one_pass_of_two(stamps, payload.fetched_at)
    mine = ((row, station) for row in backwards)
    found = (
        *rows.rejected(lambda _: station, station),
        *_readings(mine, payload.fetched_at, unclear=unclear),
    )
    return validate(found, payload.fetched_at, {station: after})


def _station_of_odd(content: object) -> str | None:
    number = text_of(content, "idbalise")
    return None if number is None else FFVL.station_id(number)


def _documented_rows(payload: Payload, fields: Mapping[str, str]) -> Rows[_Row]:
    _require_feed(payload)
    rows = json_rows(payload, _ROWS, _ROW)
    require_fields(rows.rows, fields, payload)
    return rows


def _require_feed(payload: Payload) -> None:
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


def _readings(
    rows: Iterable[tuple[_Row, str | None]], fetched_at: datetime, *, unclear: bool = False
) -> Iterable[Reading | Rejected]:
    """Yield the reading of each row; where it is `unclear`, none of the doubled hour."""
    newer: dict[str, datetime] = {}
    for row, station in rows:
        if station is None:
            yield Rejected(f"{FFVL.name}:?", None, None, str(row), "no_station")
            continue
        local = local_stamp(row.date or "", _DATE) if unclear else None
        if local is not None and is_doubled(local):
            yield Rejected(station, None, None, row.date or "", _EITHER_HOUR)
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
