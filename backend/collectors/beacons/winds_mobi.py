"""Networks of stations by way of winds.mobi, which collects them: no key, one answer for each network.

Format (its public source and captures): JSON numbers, times as epoch seconds in UTC, km/h, positions as
[longitude, latitude]. A station's id is the code of its network and the network's own id: "ffvl-2820". `last`
is absent for a station without a reading for days. Its collectors write 0 for each mandatory value that they
did not get: 0/0/0 may not be a calm, and one 0 beside wind is a missing value. Stations that the FFVL
re-publishes of other networks are already removed. Its terms ask for few calls, for a User-Agent with a
contact, and for a use without advertising or payment.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from backend.collectors.base import Archive, Fetch, LiveFacts, Payload, Request, Source
from backend.collectors.beacons.gaps import MARGIN, fill_gap, find_gaps, missing_histories, unknown_station
from backend.collectors.beacons.readings import (
    Network,
    Reading,
    Readings,
    ReportedField,
    elevation,
    is_new_or_changed,
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
from backend.collectors.beacons.times import epoch_time
from backend.core.config import Settings
from backend.core.errors import ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Rejected, Station, network_of, number_of
from backend.core.registry import NETWORKS
from backend.core.source_info import SourceInfo
from backend.core.terms import terms_of

HISTORY = timedelta(days=7)
ROUTE = "winds_mobi"

_WIND = (Parameter.WIND_SPEED, Parameter.WIND_GUST, Parameter.WIND_DIRECTION)
_WIND_FIELDS = {"mean": "w-avg", "gust": "w-max", "direction": "w-dir"}


class _ReadingRow(
    msgspec.Struct, rename={"seconds": "_id", "direction": "w-dir", "mean": "w-avg", "gust": "w-max"}
):
    seconds: int
    direction: ReportedField = msgspec.UNSET
    mean: ReportedField = msgspec.UNSET
    gust: ReportedField = msgspec.UNSET
    temp: ReportedField = msgspec.UNSET


class _Point(msgspec.Struct):
    coordinates: Annotated[list[float], msgspec.Meta(min_length=2)]


class _Station(msgspec.Struct, rename={"id": "_id"}):
    id: str
    name: str = ""
    alt: float | None = None
    loc: _Point | None = None
    last: _ReadingRow | None = None


_STATIONS, _STATION = msgspec.json.Decoder(list[_Station]), msgspec.json.Decoder(_Station)
_HISTORY, _READING_ROW = msgspec.json.Decoder(list[_ReadingRow]), msgspec.json.Decoder(_ReadingRow)


@dataclass(frozen=True, slots=True)
class WindsMobi:
    """All newest readings of a network, then the history of each mapped station with a gap."""

    url: str
    network: Network
    rank: int = 0

    name = ROUTE

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per answer, and a failure for each mapped station that is unknown.

        A station without a reading in the bulk answer gets no request: winds.mobi counts a history back from
        the last reading, and there is none.
        """
        network = self.network
        payload = await fetch(request(self.url, "", provider=network.name, limit="0"))
        after = stored_until(needs.newest, payload.fetched_at)
        readings, stations = await asyncio.to_thread(parse_stations, network, payload, after)
        # A list of the network's own describes stations better, so it is not overwritten.
        listed = network.name in needs.listed
        introduced = tuple(
            station
            for station in stations
            if is_new_or_changed(station, needs.stations.get(station.id))
            and not (listed and station.id in needs.stations)
        )
        positions = positions_of(stations, payload.fetched_at, readings.latest)
        gaps = find_gaps(network, needs, readings.latest, needs.since)
        yield network.batch(self, payload, readings, gaps.complete_until, introduced, positions)

        known = needs.stations.keys() | {station.id for station in stations}
        for gap in gaps.open:
            if gap.until is not None:
                ask = history_request(self.url, gap.station, history_seconds(gap.after, gap.until))
                yield await fill_gap(network, self, gap, needs, fetch, ask, parse_history)
            elif gap.station not in known:
                yield network.failed(self, unknown_station(gap.station, payload.url), needs)


@dataclass(frozen=True, slots=True)
class WindsMobiHistory:
    """The histories of mapped beacons with missing days, up to seven days back."""

    url: str
    network: Network
    rank: int = 0

    name = ROUTE

    def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per beacon with missing days.

        The source counts back from a beacon's last reading. That is never newer than now, so counting from
        now covers the period.
        """

        def ask(station: str, first: datetime) -> Request:
            return history_request(self.url, station, history_seconds(first, needs.now))

        return missing_histories(
            self.network, self, needs, fetch, reach=HISTORY, request=ask, parse=parse_history
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A network that is collected by winds.mobi alone, where the name of its entry is the provider's code.

    `cadence` and `averaging_minutes` are those of its readings. The source is stale after `max_age`.
    """

    info: SourceInfo
    cadence: timedelta
    averaging_minutes: int
    max_age: timedelta
    live: LiveFacts

    @property
    def network(self) -> Network:
        """Return the network, with the pattern of its station numbers."""
        return Network(
            name=self.info.name,
            cadence=self.cadence,
            averaging_minutes=self.averaging_minutes,
            number=re.compile(NETWORKS[self.info.name].station_number),
        )

    def build(self, settings: Settings) -> Source[ObservationBatch]:
        """Return the source; disabled unless `WINDS_MOBI_PROVIDERS` names it and a contact is set."""
        url, network, terms = settings.winds_mobi_url, self.network, terms_of(self.info, settings)
        disabled = None
        if not terms.opted_in:
            disabled = f"turned off: WINDS_MOBI_PROVIDERS does not name {network.name}"
        elif not settings.contact:
            disabled = "winds.mobi asks for an address in the User-Agent: set CONTACT"
        return Source.of(
            terms,
            batch=ObservationBatch,
            routes=() if disabled else (WindsMobi(url, network),),
            max_age=self.max_age,
            disabled=disabled,
            past=None if disabled else Archive(routes=(WindsMobiHistory(url, network),), reach=HISTORY),
            live=self.live,
        )


def request(url: str, path: str, **params: str) -> Request:
    """Return a request for stations of winds.mobi."""
    return Request(url=f"{url}/api/2.3/stations/{path}", kind="json", params=params)


def history_request(url: str, station: str, seconds: int) -> Request:
    """Return the request for a beacon's readings in the `seconds` before its last one."""
    name = f"{network_of(station)}-{number_of(station)}"
    return request(url, f"{name}/historic/", duration=str(seconds))


def history_seconds(after: datetime, until: datetime) -> int:
    """Return how far back from its last reading `until` a history must reach to cover all since `after`."""
    return math.ceil(min(until - after + MARGIN, HISTORY).total_seconds())


def parse_stations(
    network: Network, payload: Payload, after: Mapping[str, datetime]
) -> tuple[Readings, tuple[Station, ...]]:
    """Read the newest readings of all stations, later than `after` per station, and the stations.

    Raises ParseError if most rows are odd (a station of another network is odd too), or if no station has a
    usable reading.
    """

    prefix = f"{network.name}-"

    def our_id(name: str) -> str | None:
        return network.station_id(name.removeprefix(prefix)) if name.startswith(prefix) else None

    def why_not_ours(row: _Station) -> str | None:
        if our_id(row.id):
            return None
        return f"requested stations of {network.name}, row is of {row.id[:40]!r}"

    rows = not_empty(json_rows(payload, _STATIONS, _STATION)).without(why_not_ours)
    ours = [(station, row) for row in rows.rows if (station := our_id(row.id))]
    last = [(station, row.last) for station, row in ours if row.last is not None]
    require_fields((reading for _, reading in last), _WIND_FIELDS, payload)
    odd = rows.rejected(lambda content: our_id(text_of(content, "_id") or ""), f"{network.name}:?")
    readings = validate((*odd, *_readings(last, payload.fetched_at)), payload.fetched_at, after)
    if not readings.latest:
        raise ParseError(f"none of {rows.total} stations has a reading with a usable time", url=payload.url)
    stations = []
    for station, row in ours:
        longitude, latitude = row.loc.coordinates[:2] if row.loc else (None, None)
        stations.append(Station(station, row.name.strip(), latitude, longitude, elevation(row.alt)))
    return readings, tuple(stations)


def parse_history(payload: Payload, station: str, after: datetime) -> Readings:
    """Read the history of `station` (the answer does not name it), later than `after`; it may be empty."""
    rows = json_rows(payload, _HISTORY, _READING_ROW)
    require_fields(rows.rows, _WIND_FIELDS, payload)
    mine = ((station, row) for row in rows.rows)
    readings = (*rows.rejected(lambda _: station, station), *_readings(mine, payload.fetched_at))
    return validate(readings, payload.fetched_at, {station: after})


def _readings(rows: Iterable[tuple[str, _ReadingRow]], fetched_at: datetime) -> Iterable[Reading | Rejected]:
    for station, row in rows:
        time = epoch_time(station, row.seconds, fetched_at)
        if isinstance(time, Rejected):
            yield time
            continue
        values = (value_of(field) for field in (row.mean, row.gust, row.direction))
        wind = dict(zip(_WIND, values, strict=True))
        # Its collectors write 0 for a value that they did not get: three zeros are no calm from the north.
        zeros = all(number(value) == 0 for value in wind.values())
        yield Reading(
            station=station,
            time=time,
            values={**wind, Parameter.TEMPERATURE: value_of(row.temp)},
            marked=dict.fromkeys(_WIND, "zero_triplet") if zeros else {},
        )
