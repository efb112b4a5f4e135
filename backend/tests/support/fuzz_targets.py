"""Every parser with payloads in its true format, and the rules that must hold for any damage to them.

A parser returns plausible records, or raises a ParseError. Everything that it returns can be stored: in UTC,
finite, in characters that either database takes, of a station or a site that was requested.
"""

from __future__ import annotations

import asyncio
import math
import re
import sqlite3  # noqa: F401 - with psycopg, before eccodes
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2
import psycopg  # noqa: F401 - with sqlite3, before eccodes

from backend.collectors import (
    geosphere_answer,
    meteo_parapente_answer,
    meteofrance,
    open_meteo,
    open_meteo_answer,
    romma,
)
from backend.collectors.base import Fetch, Payload, Request
from backend.collectors.beacons import winds_mobi
from backend.collectors.ffvl_routes import keyed, pages
from backend.collectors.ffvl_routes.network import FFVL
from backend.collectors.grib.object_storage import ObjectStorage
from backend.collectors.grib.portal import Portal
from backend.collectors.grib.route import GribRoute
from backend.collectors.grib.runs import GRIDS, PublishedFile, PublishedPart, PublishedRun
from backend.collectors.grib.worker import Worker
from backend.collectors.meteo_parapente_answer import Entry
from backend.collectors.runs import Part
from backend.collectors.set_aside import set_aside_implausible
from backend.collectors.transport import bodies, headers
from backend.core.errors import ParseError
from backend.core.parameters import RULES
from backend.core.records import (
    CollectionRequest,
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Rejected,
    Site,
    Station,
)
from backend.demo.server import upstream_apps
from backend.demo.world import World
from backend.tests.support import grib_factory
from backend.tests.support.demo_client import ASK
from backend.tests.support.fakes import PAYLOADS, ScriptedFetch, lead_time
from backend.tests.support.grib_factory import RUN, messages

NOW = datetime(2026, 7, 15, 12, 30, tzinfo=UTC)
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_RUN = timedelta(days=7)
AHEAD = timedelta(minutes=10)

HERE = Site("here", "Here", 45.86231, 6.22719, 1250)
NORTH, SOUTH = Site("north", "North", 45.93, 6.71, 1360), Site("south", "South", 45.8123, 6.2, 950)
GRIB_SITE = Site("saint-hilaire", "Saint-Hilaire du Touvet", 46.0, 6.6, 1000)


T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A parser, the `kind` of payload it reads, and a pattern for the stations or sites of its records."""

    name: str
    kind: str
    parse: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    subjects: str = ""


# --- The rules ----------------------------------------------------------------------------------------


def check(target: Target, body: bytes) -> bool:
    """Fail unless the parser returns plausible records that can be stored, or raises a ParseError.

    Return whether it returned records.
    """
    try:
        found = target.parse(body)
    except ParseError as error:
        check_text(str(error))
        return False
    check_found(target, found)
    return True


def check_soon(target: Target, body: bytes, cpu_seconds: float) -> None:
    """As `check`, and fail if the parser used more than `cpu_seconds` of this thread's CPU time."""
    began = time.thread_time()
    check(target, body)
    used = time.thread_time() - began
    assert used <= cpu_seconds, f"{used:.1f} s of CPU time for {len(body)} bytes"


def check_found(target: Target, found: object) -> None:
    """Fail unless each record is in range, in time and of a requested subject, and all else can be stored."""
    things = list(walk(found))
    for batch in as_collected(things):
        for record in batch.records:
            check_record(record, target.subjects)
        for rejected in batch.rejected:
            check_text(rejected.raw + rejected.reason + rejected.subject)
            assert rejected.time is None or rejected.time.utcoffset() == timedelta(0), rejected
        for station in batch.stations if isinstance(batch, ObservationBatch) else ():
            assert re.fullmatch(target.subjects, station.id), station
            check_text(station.name + station.kind + station.remarks)
            check_place(station)
    for thing in things:
        check_value(thing)


def as_collected(things: Sequence[object]) -> tuple[ForecastBatch, ObservationBatch]:
    """Return records as they leave a collection, with the implausible ones set aside."""
    forecasts = tuple(thing for thing in things if isinstance(thing, Forecast))
    observations = tuple(thing for thing in things if isinstance(thing, Observation))
    stations = tuple(thing for thing in things if isinstance(thing, Station))
    rejected = tuple(thing for thing in things if isinstance(thing, Rejected))
    common: dict[str, Any] = {"source": "", "route": "", "rank": 0, "collected_at": NOW, "rejected": rejected}
    return (
        set_aside_implausible(ForecastBatch(**common, records=forecasts)),
        set_aside_implausible(ObservationBatch(**common, records=observations, stations=stations)),
    )


def walk(value: object) -> Iterator[object]:
    """Yield every record within `value`, and every plain value that is in none of them."""
    if isinstance(value, Forecast | Observation | Rejected | Station):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from walk(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield from walk(list(value.items()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from walk(item)
    else:
        yield value


def check_record(record: Forecast | Observation, subjects: str) -> None:
    """Fail unless a record that will be stored is plausible."""
    rule = RULES[record.parameter]
    assert rule.low <= record.value <= rule.high, record
    if isinstance(record, Forecast):
        assert re.fullmatch(subjects, record.site), record
        assert EARLIEST <= record.reference_time <= NOW, record
        assert record.reference_time <= record.valid_time <= NOW + LONGEST_RUN, record
    else:
        assert re.fullmatch(subjects, record.station), record
        assert EARLIEST <= record.time <= NOW + AHEAD, record


def check_place(station: Station) -> None:
    """Fail unless the position of a station is on Earth or unknown."""
    for value, low, high in (
        (station.latitude, -90, 90),
        (station.longitude, -180, 180),
        (station.elevation, -500, 9000),
    ):
        assert value is None or low <= value <= high, station


def check_text(text: str) -> None:
    """Fail unless either database can store a text: PostgreSQL takes no NUL."""
    assert "\0" not in text, text[:80]
    text.encode()


def check_value(value: object) -> None:
    """Fail unless a plain value is plausible for this century, and either database can store it."""
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0), value
        assert EARLIEST <= value < LATEST, value
    elif isinstance(value, str):
        check_text(value)
    elif isinstance(value, float):
        assert math.isfinite(value), value


# --- The parsers --------------------------------------------------------------------------------------


def payload(body: bytes) -> Payload:
    return Payload(url="https://somewhere.example/data", body=body, fetched_at=NOW)


def stored(folder: str, *names: str) -> tuple[bytes, ...]:
    """Return payloads of the tests."""
    return tuple((PAYLOADS / folder / name).read_bytes() for name in names)


def with_odd_row(folder: str, name: str) -> bytes:
    """Return a payload of the tests with a row too many, so that its rows are read one by one."""
    body = (PAYLOADS / folder / name).read_bytes()
    start = body.index(b"[", max(body.find(b'"data"'), 0)) + 1
    return body[:start] + b'{"odd": [false]},' + body[start:]


@cache
def composed() -> dict[str, bytes]:
    """Return an answer of each of the demo's stand-ins but those for GRIB."""
    world = World(1, now=NOW)

    async def ask() -> dict[str, bytes]:
        answers = {}
        for name, app in upstream_apps(world).items():
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://upstream") as client:
                headers = {"apikey": "demo-meteofrance"}
                answers[name] = (await client.get(ASK[name], headers=headers)).content
        return answers

    return asyncio.run(ask())


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that never waits, as none does with a scripted fetch."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("it waits for something")


STORAGE = ObjectStorage("https://storage.example", GRIDS["0025"], max_lead=51)
PORTAL = Portal("https://portal.example", "key", GRIDS["0025"], max_lead=51)
TODAY = Entry(RUN, date(2026, 7, 15), complete=True, private=False, update=RUN + timedelta(hours=6))


def _open_meteo(body: bytes) -> object:
    return open_meteo_answer.parse(
        body, model="arome_0025", reference_time=RUN, parts=(Part(0, 6),), sites=(NORTH, SOUTH)
    )


_GEOSPHERE = b"""{"type":"FeatureCollection","reference_time":"RUN+00:00","timestamps":["RUN+00:00"],
"features":[
{"type":"Feature","geometry":{"type":"Point","coordinates":[6.7057,45.929]},"properties":{"parameters":{
"2t":{"unit":"degree Celsius","data":[4.1]},"10u":{"unit":"m s-1","data":[3.0]},
"10v":{"unit":"m s-1","data":[-4.0]},"10fg":{"unit":"m s-1","data":[null]}}}},
{"type":"Feature","geometry":{"type":"Point","coordinates":[6.2062,45.812]},"properties":{"parameters":{
"2t":{"unit":"degree Celsius","data":[1]},"10u":{"unit":"m s-1","data":[null]},
"10v":{"unit":"m s-1","data":[2.5]},"10fg":{"unit":"m s-1","data":[7.5]}}}}]}""".replace(
    b"RUN", f"{RUN:%Y-%m-%dT%H:%M}".encode()
)


def _kind_of_body(body: bytes) -> object:
    glimpse = bodies.BodySummary()
    glimpse.add(body)
    return bodies.find_problem(Request(url="", kind="html"), glimpse, None, str)


def _tests_with_targets() -> Iterator[Any]:
    """Give each test module of a collector that states its targets itself; the others are not imported."""
    for path in sorted((Path(__file__).parents[1] / "collectors").glob("test_*.py")):
        if "\ndef fuzz_targets(" in path.read_text():
            yield import_module(f"backend.tests.collectors.{path.stem}")


def targets() -> tuple[Target, ...]:
    """Return every parser of text. The one of GRIB, which needs a process of its own, is `grib_target`."""
    made, station = composed(), r"ffvl:[0-9]{1,9}"
    since = NOW - timedelta(days=90)
    return (
        Target(
            "meteo_parapente status",
            "json",
            lambda body: meteo_parapente_answer.parse_status(payload(body), NOW),
            (*stored("meteo_parapente", "status.json"), made["meteo_parapente"]),
        ),
        Target(
            "meteo_parapente sounding",
            "json",
            lambda body: meteo_parapente_answer.parse(payload(body), HERE, TODAY),
            stored("meteo_parapente", "sounding.json", "refused.json"),
            "here",
        ),
        Target(
            "romma feed",
            "markup",
            lambda body: romma.parse_feed(payload(body)),
            (*stored("romma", "releves.xml", "releves-empty.xml"), made["romma"]),
            r"romma:[0-9]{1,9}",
        ),
        Target(
            "romma page",
            "markup",
            lambda body: romma.parse_page(payload(body), "romma:301"),
            stored("romma", "station.html", "station-no-thermometer.html", "maintenance.html"),
            "romma:301",
        ),
        Target(
            "ffvl list",
            "json",
            lambda body: keyed.parse_list(payload(body)),
            (*stored("ffvl", "list.json"), with_odd_row("ffvl", "list.json")),
            station,
        ),
        Target(
            "ffvl readings",
            "json",
            lambda body: keyed.parse_readings(payload(body), {}),
            (*stored("ffvl", "releves_meteo.json"), with_odd_row("ffvl", "releves_meteo.json"), made["ffvl"]),
            station,
        ),
        Target(
            "ffvl history",
            "json",
            lambda body: keyed.parse_history(payload(body), "ffvl:511", since),
            (*stored("ffvl", "histo-511.json"), with_odd_row("ffvl", "histo-511.json")),
            "ffvl:511",
        ),
        Target(
            "winds.mobi stations",
            "json",
            lambda body: winds_mobi.parse_stations(FFVL, payload(body), {}),
            (
                *stored("ffvl", "winds_mobi-stations.json"),
                with_odd_row("ffvl", "winds_mobi-stations.json"),
                made["winds_mobi"],
            ),
            station,
        ),
        Target(
            "winds.mobi history",
            "json",
            lambda body: winds_mobi.parse_history(payload(body), "ffvl:511", since),
            (
                *stored("ffvl", "winds_mobi-historic-511.json"),
                with_odd_row("ffvl", "winds_mobi-historic-511.json"),
            ),
            "ffvl:511",
        ),
        Target(
            "meteofrance slot",
            "json",
            lambda body: meteofrance.parse_slot(payload(body), {}),
            (*stored("meteofrance", "slot.json"), with_odd_row("meteofrance", "slot.json")),
            r"meteofrance:[0-9]{8}",
        ),
        Target(
            "meteofrance history",
            "json",
            lambda body: meteofrance.parse_history(payload(body), "meteofrance:01014002", since),
            (
                *stored("meteofrance", "history-01014002.json"),
                with_odd_row("meteofrance", "history-01014002.json"),
            ),
            "meteofrance:01014002",
        ),
        Target(
            "balisemeteo page",
            "markup",
            lambda body: pages.parse_page(payload(body), "ffvl:511", {}),
            (
                *stored("ffvl", "page.html", "page-masked.html", "page-missing-latin1.html"),
                *stored("ffvl", "page-unknown-beacon.html"),
                made["balisemeteo"],
            ),
            "ffvl:511",
        ),
        Target(
            "arome listing",
            "markup",
            lambda body: at_once(STORAGE.find(RUN, ScriptedFetch({"": body}, now=NOW))),
            (*stored("arome", "listing.xml", "listing-page-1.xml", "listing-error.xml"), made["arome"]),
        ),
        Target(
            "arome portal runs",
            "json",
            lambda body: at_once(PORTAL.candidates([RUN], ScriptedFetch({"": body}, now=NOW))),
            (*stored("arome", "portal-runs.json"), made["meteofrance_api"]),
        ),
        Target(
            "arome portal files",
            "json",
            lambda body: at_once(PORTAL.find(RUN, ScriptedFetch({"": body}, now=NOW))),
            stored("arome", "portal-run.json", "portal-run-partial.json"),
        ),
        Target(
            "open_meteo newest run",
            "json",
            lambda body: open_meteo.parse_meta(body),
            (*stored("arome", "open-meteo-meta.json"), made["open_meteo"]),
        ),
        Target(
            "open_meteo forecast",
            "json",
            _open_meteo,
            stored("arome", "open-meteo-two-sites.json"),
            "north|south",
        ),
        Target(
            "geosphere metadata",
            "json",
            lambda body: geosphere_answer.parse_metadata(payload(body), NOW),
            (made["geosphere"],),
        ),
        Target(
            "geosphere time series",
            "json",
            lambda body: geosphere_answer.parse(payload(body), RUN, (NORTH, SOUTH)),
            (_GEOSPHERE,),
            "north|south",
        ),
        Target(
            "kind of a body",
            "markup",
            _kind_of_body,
            (*stored("romma", "station.html"), b"\xef\xbb\xbf<!-- a --><!-- b --><html>", b"<?xml?><Error/>"),
        ),
        Target(
            "date in a header",
            "markup",
            lambda body: headers.http_date(body.decode("latin-1")) is None,
            (b"Wed, 15 Jul 2026 11:10:56 GMT", b"Fri, 31 Dec 9999 23:59:59 -0100"),
        ),
        *(target for module in _tests_with_targets() for target in module.fuzz_targets()),
    )


# --- GRIB ---------------------------------------------------------------------------------------------

GRIB = "arome grib"
GOOD, BAD = Part(0, 0), Part(1, 2)


@dataclass(frozen=True)
class _OneRun:
    """A catalogue of one run with two files: a good one, and one that is tampered with."""

    async def candidates(self, cycles: Sequence[datetime], fetch: Fetch) -> Sequence[datetime]:
        return [RUN]

    async def find(self, reference_time: datetime, fetch: Fetch) -> PublishedRun:
        parts = (
            PublishedPart(part, (PublishedFile(Request(url=f"http://files/{part.name}", kind="grib")),))
            for part in (GOOD, BAD)
        )
        return PublishedRun(reference_time=RUN, parts=tuple(parts), seen_at=NOW)

    async def elevation_request(self, reference_time: datetime, fetch: Fetch) -> Request:
        return Request(url="http://files/ground", kind="grib")  # a 404, reported in a batch of its own


@asynccontextmanager
async def grib_service(folder: Path, seconds_per_call: float) -> AsyncIterator[Callable[[bytes], Any]]:
    """Give a coroutine that collects a run whose second file is the bytes it is given."""
    worker = Worker(seconds_per_call=seconds_per_call, niceness=0)
    route = GribRoute("object_storage", _OneRun(), GRIDS["0025"], (6,), worker)
    needs = CollectionRequest(now=NOW, since=RUN - timedelta(hours=1), sites=(GRIB_SITE,))
    good = grib_factory.encode(messages(GOOD.leads))

    async def collect(bad: bytes) -> ForecastBatch:
        script = {"http://files/00H": good, "http://files/01H02H": bad}
        fetch = ScriptedFetch(script, now=NOW, folder=folder)
        values, *_ground = [batch async for batch in route.collect(needs, fetch)]
        return values

    try:
        yield collect
    finally:
        worker.close()


def grib_target(collect: Callable[[bytes], ForecastBatch]) -> Target:
    """Return the target of GRIB: the whole route, which must keep the good file beside any bad one."""

    def parse(body: bytes) -> ForecastBatch:
        batch = collect(body)
        good = [record for record in batch.records if lead_time(record) == timedelta(0)]
        assert len(good) == 3, "the good file gave no wind, direction and temperature"
        assert (BAD.name in dict(batch.complete())) != bool(batch.failures), batch.failures
        return batch

    seeds = (
        grib_factory.encode(messages(BAD.leads)),
        grib_factory.encode(messages(BAD.leads, gusts=grib_factory.GUST_SPEED)),
    )
    return Target(GRIB, "grib", parse, seeds, GRIB_SITE.id)
