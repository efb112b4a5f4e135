"""The FFVL's own feed, for holders of a key: all beacons in one answer, and 72 hours of history for one.

Format (the federation's data set page, and captures): JSON that starts with a byte order mark; an array
of flat objects whose values are all text or null, and any field may be absent. Numbers are accepted too,
since only the server's PHP version decides between "12" and 12. Times are Europe/Paris without a stated zone,
speeds whole km/h, directions the sixteen sectors cut to even degrees.

Errors come with HTTP 200 as well: a small HTML page "error#2" for a refused key, a sentence about requesting
a key, an empty body.
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
    validate,
    value_of,
)
from backend.collectors.beacons.times import local_stamp, newest_first, one_pass_of_two, paris_time
from backend.collectors.ffvl_routes.network import FFVL
from backend.core.clock import is_doubled
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Rejected, Station, number_of

LIST_EVERY = timedelta(hours=24)
HISTORY = timedelta(hours=72)
REPUBLISHED = frozenset({"PIOUPIOU", "OPENWINDMAP", "HOLFUY", "IWEATHAR"})
"""Networks of others that this feed repeats. Their readings are skipped: the credit is not the FFVL's."""

_NUMBER, _LISTED_NUMBER = "idbalise", "idBalise"
"""The number of a beacon in the readings, and in the list of beacons."""

_DATE = "%Y-%m-%d %H:%M:%S"
_EITHER_HOUR = "ambiguous_hour: it may be of either pass of the doubled hour"


class _Row(
    msgspec.Struct,
    rename={
        "beacon": _NUMBER,
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
        "number": _LISTED_NUMBER,
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


# Histories without some of these fields were seen, so a history must have the mean wind only.
_MEAN = {"mean": "vitesseVentMoy"}
_VALUES = {**_MEAN, "gust": "vitesseVentMax", "direction": "directVentMoy", "temperature": "temperature"}

_ROWS, _ROW = msgspec.json.Decoder(list[_Row]), msgspec.json.Decoder(_Row)
_BEACONS, _BEACON = msgspec.json.Decoder(list[_Beacon]), msgspec.json.Decoder(_Beacon)


@dataclass(frozen=True, slots=True)
class Listing:
    """The list of beacons. For an odd row with a number, `stations` has only the kind.

    `whole` is False if an odd row without a number may be of a network that the feed re-publishes: any beacon
    that is not in the list may then be that one. `placed` are the stations of rows that are not odd: only
    these state a position, or that there is none.
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
        """Yield one batch per answer. A failed list does not stop the readings.

        Until a due list is read whole, readings of a beacon whose kind is unknown are rejected: it may belong
        to a network that the feed re-publishes. If the list failed altogether, the mapped stations count as
        known.
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
                # A site names its stations on purpose: they are not of a re-published network.
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

        # An empty history of a station that nothing else names is an error: its number may be mistyped.
        known = kinds.keys() | readings.stations
        for gap in gaps.open:
            hours = str(history_hours(gap.after, payload.fetched_at))
            ask = self._request(r="histo", idbalise=number_of(gap.station), hours=hours)
            yield await fill_gap(
                FFVL, self, gap, needs, fetch, ask, parse_history, known=gap.station in known
            )

    def _listed(self, listing: Listing, payload: Payload) -> ObservationBatch:
        """Return the batch of a list. A list that was not read whole stays due."""
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
    """The histories of mapped beacons with missing days, up to 72 hours back."""

    url: str
    key: str = field(repr=False)

    name = "keyed"
    rank = 0

    def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per beacon with missing days."""

        def ask(station: str, first: datetime) -> Request:
            hours = str(history_hours(first, needs.now))
            return request(self.url, self.key, r="histo", idbalise=number_of(station), hours=hours)

        others = {station.id for station in needs.stations.values() if station.kind.upper() in REPUBLISHED}
        return missing_histories(
            FFVL, self, needs, fetch, reach=HISTORY, request=ask, parse=parse_history, skip=others
        )


def request(url: str, key: str, **params: str) -> Request:
    """Return a request for beacons of the FFVL's feed."""
    return Request(
        url=f"{url}/api/",
        kind="json",
        params={"base": "balises", **params, "mode": "json"},
        secret_params={"key": key},
    )


def list_is_due(needs: CollectionRequest) -> bool:
    """True if the list of beacons was never read, or a day or more ago."""
    listed = needs.listed.get(FFVL.name)
    return listed is None or needs.now - listed >= LIST_EVERY


def history_hours(after: datetime, now: datetime) -> int:
    """Return how many hours back from `now` or later a history must reach to cover all since `after`."""
    return math.ceil(min(now - after + MARGIN, HISTORY) / timedelta(hours=1))


def parse_list(payload: Payload) -> Listing:
    """Read the list of beacons, with remarks such as a sheltered position."""

    def why_odd(beacon: _Beacon) -> str | None:
        valid = FFVL.station_id(beacon.number) is not None
        return None if valid else f"{str(beacon.number)[:40]!r} is not the number of a beacon"

    _require_feed(payload)
    rows = not_empty(json_rows(payload, _BEACONS, _BEACON)).without(why_odd)
    described = tuple(
        Station(
            id=f"{FFVL.name}:{str(beacon.number).strip()}",
            name=(beacon.name or "").strip(),
            latitude=number(beacon.latitude),
            longitude=number(beacon.longitude),
            elevation=elevation(beacon.elevation),
            kind=(beacon.kind or "").strip().upper(),
            remarks="\n".join(text.strip() for text in (beacon.remarks, beacon.description) if text),
        )
        for beacon in rows.rows
    )
    good = {station.id for station in described}  # an odd row must not overwrite a good one
    kinds: list[Station] = []
    whole = True
    for row in rows.odd:
        station = FFVL.station_of_odd(row.content, _LISTED_NUMBER)
        kind: str | None = None  # None where it cannot be read, "" where it is absent
        if isinstance(row.content, dict):
            reported = row.content.get("station_type")
            if reported is None or isinstance(reported, str):
                kind = (reported or "").strip().upper()
        whole = whole and (kind is not None if station else kind not in (None, "", *REPUBLISHED))
        if station and station not in good and kind is not None:
            kinds.append(Station(id=station, kind=kind))
    return Listing(
        stations=(*described, *kinds),
        rejected=rows.rejected(
            lambda content: FFVL.station_of_odd(content, _LISTED_NUMBER), f"{FFVL.name}:?"
        ),
        whole=whole,
        placed=described,
    )


def parse_readings(
    payload: Payload,
    after: Mapping[str, datetime],
    skip: Collection[str] = frozenset(),
    taken: Collection[str] | None = None,
) -> Readings:
    """Read the newest readings of all beacons but those to `skip`, later than `after` per station.

    `taken`, if given, are the beacons of a known kind; readings of others are rejected. Raises ParseError if
    no row can be used, or if most rows are odd: the format has changed.
    """
    rows = not_empty(_documented_rows(payload, _VALUES))
    mine = ((row, station) for row in rows.rows if (station := _station(row)) not in skip)
    values: list[Reading | Rejected] = [
        *rows.rejected(lambda content: FFVL.station_of_odd(content, _NUMBER), f"{FFVL.name}:?")
    ]
    for value in _readings(mine, payload.fetched_at):
        if isinstance(value, Reading) and taken is not None and value.station not in taken:
            why = "unknown_kind: the list of beacons was not read whole; the beacon may be of another network"
            values.append(Rejected(value.station, None, value.time, str(dict(value.values)), why))
        else:
            values.append(value)
    readings = validate(values, payload.fetched_at, after)
    if not readings.latest:
        reasons = ", ".join(sorted({rejected.reason for rejected in readings.rejected})) or "all skipped"
        raise ParseError(f"no row has a usable beacon and time: {reasons}", url=payload.url)
    return readings


def parse_history(payload: Payload, station: str, after: datetime) -> Readings:
    """Read the history of one beacon, later than `after`; ParseError if most rows are of another beacon.

    An empty history is returned as such; the caller checks whether it is plausible. The rows may go back or
    forth in time; those that may be of either pass of the doubled hour are rejected.
    """

    def why_not_mine(row: _Row) -> str | None:
        reported = _station(row)
        return f"requested {station}, row is of {reported}" if reported not in (station, None) else None

    rows = _documented_rows(payload, _MEAN).without(why_not_mine)
    stamps = [local_stamp(row.date or "", _DATE) for row in rows.rows]
    order = newest_first(stamps)
    backwards = rows.rows[::-1] if order is False else rows.rows
    stamps = stamps[::-1] if order is False else stamps
    unclear = order is None or one_pass_of_two(stamps, payload.fetched_at)
    mine = ((row, station) for row in backwards)
    readings = (
        *rows.rejected(lambda _: station, station),
        *_readings(mine, payload.fetched_at, unclear=unclear),
    )
    return validate(readings, payload.fetched_at, {station: after})


def _documented_rows(payload: Payload, fields: Mapping[str, str]) -> Rows[_Row]:
    _require_feed(payload)
    rows = json_rows(payload, _ROWS, _ROW)
    require_fields(rows.rows, fields, payload)
    return rows


def _require_feed(payload: Payload) -> None:
    """Raise ParseError for refusals that come with HTTP 200; the decoder reports all other problems."""
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
    """Yield the reading of each row; if the order is `unclear`, reject rows of the doubled hour."""
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
