"""What the tests of the FFVL's three routes share: the payloads, the moment they are read, short forms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from backend.collectors.base import Payload, SourceRoute
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, Observation, ObservationBatch, Rejected, Site, Station
from backend.tests.support.fakes import PAYLOADS, ScriptedFetch

NOW = datetime(2026, 5, 9, 13, 10, tzinfo=UTC)
"""When the payloads are read: 15:10 in Paris."""

SINCE = NOW - timedelta(hours=72)
TODAY = NOW - timedelta(hours=3)
SPEED, GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST
DIRECTION, TEMPERATURE = Parameter.WIND_DIRECTION, Parameter.TEMPERATURE

KEYED = "https://data.ffvl.fr/api/?base=balises&r="
MOBI = "https://winds.mobi/api/2.3/stations/"
PAGES = "https://www.balisemeteo.com/"


def at(hour: int, minute: int, day: int = 9, month: int = 5) -> datetime:
    """Return a time of 2026 in UTC, by default of 9 May."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def read(name: str) -> bytes:
    """Return a stored payload as it would arrive."""
    return (PAYLOADS / "ffvl" / name).read_bytes()


def payload(body: bytes, fetched_at: datetime = NOW) -> Payload:
    """Return bytes as received at `fetched_at`."""
    return Payload(url="https://somewhere.example/feed", body=body, fetched_at=fetched_at)


def feed_row(station: str, date: str | None, **fields: object) -> dict[str, object]:
    """Return a row of the FFVL's feed, by default with a light westerly."""
    usual = {"vitesseVentMoy": "10", "vitesseVentMax": "16", "directVentMoy": "270", "temperature": "7"}
    return {"idbalise": station, "date": date, **usual, **fields}


def feed(*rows: object) -> bytes:
    """Return rows as the feed sends them, byte order mark first."""
    return b"\xef\xbb\xbf" + json.dumps(rows).encode()


def needs(
    *mapped: str,
    since: datetime = SINCE,
    newest: Mapping[str, datetime] | None = None,
    complete_until: Mapping[str, datetime] | None = None,
    known: Mapping[str, Station] | None = None,
    listed: datetime | None = None,
) -> CollectionRequest:
    """Return a request at NOW for one site with the `mapped` stations."""
    site = Site("loup", "Crête du Loup", 45.8, 6.22, 1745.0, stations=mapped)
    return CollectionRequest(
        now=NOW,
        since=since,
        sites=(site,),
        newest=newest or {},
        complete_until=complete_until or {},
        stations=known or {},
        listed={"ffvl": listed} if listed else {},
    )


async def collected(
    route: SourceRoute[ObservationBatch], want: CollectionRequest, fetch: ScriptedFetch
) -> list[ObservationBatch]:
    """Return all batches of a route."""
    return [batch async for batch in route.collect(want, fetch)]


def values(records: Iterable[Observation], station: str) -> dict[datetime, dict[Parameter, float]]:
    """Return what a station measured, by time and parameter."""
    table: dict[datetime, dict[Parameter, float]] = {}
    for record in records:
        if record.station == station:
            assert record.parameter not in table.setdefault(record.time, {}), "one value twice"
            table[record.time][record.parameter] = record.value
    return table


def reasons(rejected: Iterable[Rejected]) -> Mapping[tuple[str, str], str]:
    """Return the first word of each reason, by station and raw text."""
    return {(value.subject, value.raw): value.reason.partition(":")[0] for value in rejected}
