"""The stations of Météo-France, every six minutes: masts of 10 m, the best reference near a site.

Publisher: Météo-France. Licence: Licence Ouverte 2.0 (Etalab), to be credited. It needs a free key of the
portal, whose application must be subscribed to "DPPaquetObs". It is off unless `SOURCES` names it, because a
key for AROME may be without that subscription. About 680 of some 1 850 stations report wind (2026).
Units: m/s, degrees, K; means and gusts over the ten minutes before the stamp. Times: ISO 8601 in UTC.
A station's id is its eight digits, leading zero included: "meteofrance:01014002".

Quirks, with the date of their observation:
- a slot of six minutes fills up for about twenty (August 2026): slots aged 12 to 30 minutes are read;
- the gust is `raf10` in version 2 and `fxi10` before it (June 2026): both are read;
- a station without an anemometer has null for its wind: it is skipped unless a site names it;
- an empty list is a slot in the future, or an unknown station.
Limits: 50 requests a minute; the portal serves the last 24 hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from backend.collectors.base import Fetch, LiveFacts, Payload, Request, Source
from backend.collectors.beacons.gaps import fill_gap, find_gaps
from backend.collectors.beacons.readings import (
    Network,
    Reading,
    Readings,
    is_new_or_changed,
    json_rows,
    not_empty,
    positions_of,
    require_fields,
    stored_until,
    validate,
)
from backend.collectors.beacons.times import iso_time
from backend.collectors.transport.pacing import PacedRoute
from backend.core import registry
from backend.core.config import Settings
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Rejected, Station, number_of
from backend.core.terms import terms_of
from backend.core.units import kelvin_to_celsius, ms_to_kmh

SLOT = timedelta(minutes=6)
METEOFRANCE = Network(
    name=registry.METEOFRANCE.name, cadence=SLOT + timedelta(minutes=2), averaging_minutes=10
)
AGES = tuple(timedelta(minutes=minutes) for minutes in (12, 18, 24, 30))
"""Ages of the slots that one collection reads, newest first."""

HISTORY = timedelta(hours=24)
MAX_AGE = timedelta(minutes=60)
"""The newest requested slot is 12 to 18 minutes old, and slots may be late."""

_DIGITS = 8
_WIND = {"ff": "ff", "dd": "dd"}


class _Row(msgspec.Struct):
    geo_id_insee: str
    validity_time: str
    lat: float | None = None
    lon: float | None = None
    ff: float | msgspec.UnsetType | None = msgspec.UNSET
    dd: float | msgspec.UnsetType | None = msgspec.UNSET
    raf10: float | msgspec.UnsetType | None = msgspec.UNSET
    fxi10: float | msgspec.UnsetType | None = msgspec.UNSET
    t: float | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def gust(self) -> float | msgspec.UnsetType | None:
        """Return the gust, under its new or old name."""
        return self.fxi10 if self.raf10 is msgspec.UNSET else self.raf10


_ROWS, _ROW = msgspec.json.Decoder(list[_Row]), msgspec.json.Decoder(_Row)


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source; disabled without a key, and turned off by the registry unless `SOURCES` names it."""
    key = settings.meteofrance_api_key.get_secret_value() if settings.meteofrance_api_key else ""
    return Source.of(
        terms_of(registry.METEOFRANCE, settings),
        batch=ObservationBatch,
        routes=(PacedRoute(Portal(settings.meteofrance_api_url, key)),) if key else (),
        max_age=MAX_AGE,
        disabled=None if key else "set METEOFRANCE_API_KEY, and subscribe its application to DPPaquetObs",
        no_archive_reason="the portal keeps 24 hours, which every collection makes up for by itself",
        live=LiveFacts(
            if_gone=(
                "a key is valid for up to three years, and its application is subscribed to each API by"
                " itself: look at both on portail-api.meteofrance.fr. Version 1 of DPPaquetObs has other"
                " field names than version 2, which is read here"
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class Portal:
    """Four slots of all stations, then the last day of each mapped station with a gap."""

    url: str
    key: str = field(repr=False)

    name = "portal"
    rank = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per slot and per history; a failed slot does not stop the others.

        From the older slots only mapped stations are read: they prevent gaps in these.
        """
        mapped = frozenset(needs.mapped_stations(METEOFRANCE.name))
        latest: dict[str, datetime] = {}
        whole, only = True, None
        for age in AGES:
            slot = needs.now - age
            slot = slot.replace(minute=slot.minute // 6 * 6, second=0, microsecond=0)
            request = self._request("stations/infrahoraire-6m", date=f"{slot:%Y-%m-%dT%H:%M:%SZ}")
            try:
                payload = await fetch(request)
                after = stored_until(needs.newest, payload.fetched_at)
                readings, stations = await asyncio.to_thread(parse_slot, payload, after, only, mapped)
            except CollectorError as error:
                whole = False
                yield METEOFRANCE.failed(self, error, needs)
                continue
            for station, time in readings.latest.items():
                latest[station] = max(time, latest.get(station, time))
            news = [one for one in stations if is_new_or_changed(one, needs.stations.get(one.id))]
            positions = positions_of(stations, payload.fetched_at, readings.latest)
            yield METEOFRANCE.batch(self, payload, readings, {}, news, positions)
            only = mapped
        if not latest:
            return
        # Four slots in a row leave no gap to a `complete_until` six minutes before the oldest slot.
        reach = AGES[-1] - AGES[0] + SLOT if whole else METEOFRANCE.cadence
        gaps = find_gaps(replace(METEOFRANCE, cadence=reach), needs, latest, needs.now - HISTORY)
        if gaps.complete_until:
            yield ObservationBatch(
                source=METEOFRANCE.name,
                route=self.name,
                rank=self.rank,
                collected_at=needs.now,
                complete_until=gaps.complete_until,
            )
        for gap in gaps.open:
            # A known station without a reading in these slots is silent, and its history would be empty.
            if gap.until is not None or gap.station not in needs.stations:
                ask = self._request("infrahoraire-6m", id_station=number_of(gap.station))
                known = gap.until is not None
                yield await fill_gap(METEOFRANCE, self, gap, needs, fetch, ask, parse_history, known=known)

    def _request(self, path: str, **params: str) -> Request:
        return Request(
            url=f"{self.url}/public/DPPaquetObs/v2/paquet/{path}",
            kind="json",
            params={**params, "format": "json"},
            secret_headers={"apikey": self.key},
        )


def parse_slot(
    payload: Payload,
    after: Mapping[str, datetime],
    only: Collection[str] | None = None,
    mapped: Collection[str] = (),
) -> tuple[Readings, tuple[Station, ...]]:
    """Read a slot of all stations, later than `after` per station, and the stations that are in it.

    Reads `only` these stations, if given; else those that report wind or are `mapped` to a site. Raises
    ParseError for another shape, if most rows are odd, or if no station has a usable reading.
    """

    def station_of_odd(content: object) -> str | None:
        station = METEOFRANCE.station_of_odd(content, "geo_id_insee")
        return station if station is not None and len(number_of(station)) == _DIGITS else None

    rows = not_empty(json_rows(payload, _ROWS, _ROW))
    # A field that no row has is a change of the format, and not a missing value.
    require_fields(rows.rows, {**_WIND, "gust": "raf10", "t": "t"}, payload)
    chosen = [
        (row, station)
        for row in rows.rows
        for station in [METEOFRANCE.station_id(row.geo_id_insee)]
        if (station in mapped or row.ff is not None if only is None else station in only)
    ]
    odd = rows.rejected(station_of_odd, f"{METEOFRANCE.name}:?")
    rejected = odd if only is None else [value for value in odd if value.subject in only]
    readings = validate((*rejected, *_readings(chosen, payload.fetched_at)), payload.fetched_at, after)
    if not readings.latest and only is None:
        raise ParseError(f"none of {rows.total} stations has a usable reading", url=payload.url)
    return readings, tuple(
        Station(id=station, latitude=row.lat, longitude=row.lon)
        for row, station in chosen
        if station is not None and len(number_of(station)) == _DIGITS
    )


def parse_history(payload: Payload, station: str, after: datetime) -> Readings:
    """Read the last day of one station, later than `after`; ParseError if most rows are of another one.

    An empty history is returned as such; the caller checks whether it is plausible.
    """

    def why_not_mine(row: _Row) -> str | None:
        reported = METEOFRANCE.station_id(row.geo_id_insee)
        return None if reported == station else f"requested {station}, row is of {reported}"

    rows = json_rows(payload, _ROWS, _ROW).without(why_not_mine)
    require_fields(rows.rows, {**_WIND, "gust": "raf10", "t": "t"}, payload)
    mine = [(row, station) for row in rows.rows]
    readings = (*rows.rejected(lambda _: station, station), *_readings(mine, payload.fetched_at))
    return validate(readings, payload.fetched_at, {station: after})


def _readings(rows: Sequence[tuple[_Row, str | None]], fetched_at: datetime) -> Iterator[Reading | Rejected]:
    for row, station in rows:
        if station is None or len(number_of(station)) != _DIGITS:
            yield Rejected(f"{METEOFRANCE.name}:?", None, None, row.geo_id_insee, "no_station")
            continue
        time = iso_time(station, row.validity_time, fetched_at)
        if isinstance(time, Rejected):
            yield time
            continue
        speed, gust, kelvin, direction = (
            None if value is msgspec.UNSET else value for value in (row.ff, row.gust, row.t, row.dd)
        )
        yield Reading(
            station=station,
            time=time,
            values={
                Parameter.WIND_SPEED: None if speed is None else ms_to_kmh(speed),
                Parameter.WIND_GUST: None if gust is None else ms_to_kmh(gust),
                Parameter.WIND_DIRECTION: None if speed is None else direction,
                Parameter.TEMPERATURE: None if kelvin is None else kelvin_to_celsius(kelvin),
            },
        )
