"""AROME by Météo-France's portal: the same files for a key, found by links."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.collectors import arome
from backend.collectors.base import Source, collect
from backend.collectors.grib.portal import parse_runs, parse_times
from backend.collectors.grib.worker import Worker
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.records import CollectionRequest, ForecastBatch, Run, Site
from backend.tests.support import grib_factory
from backend.tests.support.fakes import PAYLOADS, ScriptedFetch, address
from backend.tests.support.grib_factory import RUN, messages

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 7, 15, 11, 50, tzinfo=UTC)
SITE = Site("saint-hilaire", "Saint-Hilaire du Touvet", 46.0, 6.6, 1000)
KEPT = ("arome_0025", SITE.id)
WANTED = CollectionRequest(
    now=NOW,
    since=datetime(2026, 7, 15, 0, tzinfo=UTC),
    sites=(SITE,),
    cells={KEPT: "8,8"},
    model_elevations=frozenset({KEPT}),
)

KEY = "eyJ4NXQiOiJOelU0"
PACKAGE = "http://portal.test/previnum/DPPaquetAROME/v1/models/AROME/grids/0.025/packages/SP1"
RUN_LINKS = f"{PACKAGE}?referencetime=2026-07-15T06%3A00%3A00Z"
PRODUCT = f"{PACKAGE}/productARO?referencetime=2026-07-15T06%3A00%3A00Z&time="
STORAGE_IS_DOWN = FetchError("connection refused", url="http://storage.test/", retryable=True)


def payload(name: str) -> bytes:
    return (PAYLOADS / "arome" / name).read_bytes()


def file(first: int = 0, last: int = 6) -> bytes:
    return grib_factory.encode(messages(range(first, last + 1)))


def source(worker: Worker, max_lead: int = 6) -> Source[ForecastBatch]:
    settings = Settings.load(
        arome_url="http://storage.test",
        meteofrance_api_url="http://portal.test",
        meteofrance_api_key=KEY,
        arome_max_lead=max_lead,
    )
    return arome.build(settings, worker)


def scripted(tmp_path: Path, script: dict[str, Any] | None = None) -> ScriptedFetch:
    """Make a fetch for a storage that is down and a portal that serves the run of 06:00 UTC."""
    usual: dict[str, Any] = {
        "http://storage.test/": STORAGE_IS_DOWN,
        PACKAGE: payload("portal-runs.json"),
        RUN_LINKS: payload("portal-run.json"),
        f"{PRODUCT}00H06H": file(),
    }
    return ScriptedFetch({**usual, **(script or {})}, now=NOW, folder=tmp_path)


async def batches(source: Source[ForecastBatch], fetch: ScriptedFetch) -> list[ForecastBatch]:
    return [batch async for batch in collect(source, WANTED, fetch)]


def asked_of_portal(fetch: ScriptedFetch) -> list[str]:
    return [url for url in fetch.urls if url.startswith("http://portal.test")]


async def test_the_portal_is_asked_when_the_storage_as_a_whole_fails(worker: Worker, tmp_path: Path) -> None:
    fetch = scripted(tmp_path)

    failed, good = await batches(source(worker), fetch)

    assert [(failure.route, failure.reason) for failure in failed.failures] == [
        ("object_storage", "connection refused")
    ]
    assert asked_of_portal(fetch) == [PACKAGE, RUN_LINKS, f"{PRODUCT}00H06H&format=grib2"]
    assert (good.route, good.rank, good.parts, good.newest) == ("portal", 0, ("00H06H",), RUN)
    assert len(good.records) == 7 * 4 - 1
    # The portal has no stamps: the run is available since we saw it.
    assert good.run == Run("arome_0025", RUN, available_at=NOW, published=False)


async def test_the_portal_is_asked_when_every_file_of_the_storage_is_bad(
    worker: Worker, tmp_path: Path
) -> None:
    storage = {
        "http://storage.test/?": payload("listing.xml"),
        "http://storage.test/pnt/": b"<html>maintenance</html>",
    }

    bad, good = await batches(source(worker), scripted(tmp_path, storage))

    assert (bad.records, bad.parts, len(bad.failures)) == ((), (), 1)
    assert (good.route, good.parts) == ("portal", ("00H06H",))


async def test_the_portal_is_left_alone_when_the_storage_answers(worker: Worker, tmp_path: Path) -> None:
    fetch = scripted(
        tmp_path, {"http://storage.test/?": payload("listing.xml"), "http://storage.test/pnt/": file()}
    )

    (batch,) = await batches(source(worker), fetch)

    assert batch.route == "object_storage"
    assert asked_of_portal(fetch) == []


async def test_a_run_not_published_yet_by_the_storage_is_no_reason_to_ask_the_portal(
    worker: Worker, tmp_path: Path
) -> None:
    fetch = scripted(tmp_path, {"http://storage.test/?": payload("listing-partial.xml")})

    assert await batches(source(worker, max_lead=51), fetch) == []
    assert asked_of_portal(fetch) == []


async def test_the_key_travels_in_a_header_that_nothing_shows(worker: Worker, tmp_path: Path) -> None:
    fetch = scripted(tmp_path)

    await batches(source(worker), fetch)

    requests = [request for request in fetch.requests if "portal.test" in request.url]
    assert [dict(request.secret_headers) for request in requests] == [{"apikey": KEY}] * 3
    assert KEY not in "".join(map(repr, requests)) + "".join(map(address, requests))
    assert KEY not in repr(source(worker))


async def test_the_ground_of_the_model_is_a_file_of_another_package(worker: Worker, tmp_path: Path) -> None:
    url = f"{PRODUCT}00H06H".replace("/SP1/", "/SP2/")
    fetch = scripted(tmp_path, {url: grib_factory.encode(grib_factory.ground())})
    nothing_kept = replace(WANTED, cells={}, model_elevations=frozenset())

    *_, heights = [batch async for batch in collect(source(worker), nothing_kept, fetch)]

    assert asked_of_portal(fetch)[-2:] == [f"{PRODUCT}00H06H&format=grib2", f"{url}&format=grib2"]
    assert dict(fetch.requests[-1].secret_headers) == {"apikey": KEY}
    assert [(point.cell, round(point.model_elevation or 0)) for point in heights.grid_points] == [
        ("8,8", 1234)
    ]
    assert heights.run == Run("arome_0025", RUN, available_at=NOW, published=False)


async def test_a_ground_alone_that_the_storage_fails_to_give_is_asked_of_the_portal(
    worker: Worker, tmp_path: Path
) -> None:
    url = f"{PRODUCT}00H06H".replace("/SP1/", "/SP2/")
    script = {
        "http://storage.test/?": payload("listing.xml"),
        url: grib_factory.encode(grib_factory.ground()),
    }
    lacks_it = replace(
        WANTED,
        collected={("arome_0025", RUN, "00H06H", SITE.id): 0},
        cells={KEPT: "8,8"},
        model_elevations=frozenset(),
    )

    found = [batch async for batch in collect(source(worker), lacks_it, scripted(tmp_path, script))]

    failures = [failure for batch in found for failure in batch.failures]
    assert [(failure.route, failure.reason) for failure in failures] == [
        ("object_storage", "the height of the model's ground: connection refused")
    ]
    points = [
        (batch.route, round(point.model_elevation or 0)) for batch in found for point in batch.grid_points
    ]
    assert points == [("portal", 1234)]


async def test_a_run_that_the_portal_does_not_serve_yet_is_nothing(worker: Worker, tmp_path: Path) -> None:
    not_yet = FetchError("HTTP 404: donnee indisponible", url=RUN_LINKS, status=404)
    found = await batches(source(worker), scripted(tmp_path, {RUN_LINKS: not_yet}))
    assert [batch.route for batch in found] == ["object_storage"]


async def test_a_run_newer_than_those_that_the_portal_links_to_is_not_asked_for(
    worker: Worker, tmp_path: Path
) -> None:
    fetch = scripted(tmp_path, {PACKAGE: payload("portal-runs.json").replace(b"-15T06", b"-14T15")})

    await batches(source(worker), fetch)

    assert asked_of_portal(fetch) == [PACKAGE]


async def test_a_run_with_missing_files_is_not_read_yet(worker: Worker, tmp_path: Path) -> None:
    fetch = scripted(tmp_path, {RUN_LINKS: payload("portal-run-partial.json")})

    found = await batches(source(worker, max_lead=51), fetch)

    assert [batch.route for batch in found] == ["object_storage"]
    assert asked_of_portal(fetch) == [PACKAGE, RUN_LINKS]


async def test_a_file_without_gusts_is_not_read_again_while_its_headers_are_the_same(
    worker: Worker, tmp_path: Path
) -> None:
    script = {f"{PRODUCT}00H06H": grib_factory.encode(messages(range(7), gusts={}))}
    first = scripted(tmp_path, script)
    first.version = "5000000 etag-1"

    _, batch = await batches(source(worker), first)

    (open_,) = batch.incomplete
    assert (open_.part, open_.site, open_.version) == ("00H06H", SITE.id, "5000000 etag-1")

    known = {("arome_0025", RUN, "00H06H", SITE.id): open_.version}
    for version, read in (("5000000 etag-1", 0), ("6000000 etag-2", 27)):
        again = scripted(tmp_path)
        again.version = version
        route = source(worker).routes[1]
        found = [batch async for batch in route.collect(replace(WANTED, incomplete=known), again)]
        assert sum(len(batch.records) for batch in found) == read
        assert not any(batch.failures for batch in found)
        notes = [note for batch in found for note in batch.notes]
        assert notes == ([] if read else ["arome_0025 is incomplete in 2026-07-15 06:00 UTC"])


@pytest.mark.parametrize(
    ("reason", "status"),
    [("HTTP 404: No matching resource", 404), ("HTTP 401", 401), ("HTTP 403: 900908", 403)],
    ids=["wrong_path", "bad_key", "not_subscribed"],
)
async def test_a_portal_that_refuses_its_list_of_runs_has_failed(
    worker: Worker, tmp_path: Path, reason: str, status: int
) -> None:
    refused = FetchError(reason, url=PACKAGE, status=status)

    _, last = await batches(source(worker), scripted(tmp_path, {PACKAGE: refused}))

    assert [(failure.route, failure.reason) for failure in last.failures] == [("portal", reason)]


async def test_a_list_of_files_that_cannot_be_read_costs_its_run(worker: Worker, tmp_path: Path) -> None:
    broken = FetchError("HTTP 503", url=RUN_LINKS, status=503, retryable=True)

    _, last = await batches(source(worker), scripted(tmp_path, {RUN_LINKS: broken}))

    assert [(failure.url, failure.reason) for failure in last.failures] == [(RUN_LINKS, "HTTP 503")]


async def test_links_name_runs_and_files() -> None:
    assert parse_runs(payload("portal-runs.json")) == {
        datetime(2026, 7, 14, 18, tzinfo=UTC),
        datetime(2026, 7, 14, 21, tzinfo=UTC),
        datetime(2026, 7, 15, 0, tzinfo=UTC),
        datetime(2026, 7, 15, 3, tzinfo=UTC),
        datetime(2026, 7, 15, 6, tzinfo=UTC),
    }
    assert parse_times(payload("portal-run-partial.json")) == ["00H06H", "07H12H", "13H18H"]
    assert parse_times(b'{"links":[{"rel":"self","href":"https://example.org/SP1"}]}') == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code":"900901","message":"Invalid Credentials"}', "not a list of links"),
        (b"[]", "not a list of links"),
        (b'{"more":' + b"[" * 5000, "not a list of links"),
        (b'{"links":[{"href":"http://["}]}', "a link is not a valid URL"),
        (b'{"links":[{"href":"https://example.org/SP1?time=06H"}]}', "a link without referencetime"),
        (b'{"links":[{"href":"https://example.org/?referencetime=noon"}]}', "a run at 'noon'"),
        (
            b'{"links":[{"href":"https://example.org/?referencetime=2026-07-15T06:00:00"}]}',
            "not a time in UTC",
        ),
    ],
)
async def test_what_is_no_list_of_runs_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_runs(body)
