"""ARPEGE on its European grid, read by the reader of AROME."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.collectors import arome, forecast_sources
from backend.collectors.base import Source, collect
from backend.collectors.grib.runs import ARPEGE, parts_of
from backend.collectors.grib.worker import Worker
from backend.core.config import Settings
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Site
from backend.tests.support import grib_factory
from backend.tests.support.arome_files import EARLIER, NOW, PLANPRAZ, SAINT_HILAIRE, STORAGE, run_name
from backend.tests.support.fakes import ScriptedFetch, lead_time
from backend.tests.support.grib_factory import RUN, Cut, Message, messages

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUPS = (
    *("000H012H", "013H024H", "025H036H", "037H048H", "049H060H"),
    *("061H072H", "073H084H", "085H096H", "097H102H"),
)
HEADERS = {"generatingProcessIdentifier": 211, "bitmapPresent": 0}
CUT = Cut(north=46.5, west=6.0, rows=9, columns=13, degrees=0.1)
LIKE = Message("wind_east", 0, cut=CUT, headers=HEADERS)
OFF_THE_GRID = Site("lakselv", "Lakselv", 72.4, 24.9, 100)


def source(worker: Worker, max_lead: int = 12) -> Source[ForecastBatch]:
    return arome.build_arpege(Settings.load(arome_url=STORAGE, arpege_max_lead=max_lead), worker)


def key(group: str, package: str = "SP1") -> str:
    run = run_name(RUN)
    return f"pnt/{run}/arpege/01/{package}/arpege__01__{package}__{group}__{run}.grib2"


def url(group: str, package: str = "SP1") -> str:
    return f"{STORAGE}/{key(group, package)}"


def listing_url() -> str:
    prefix = f"pnt/{run_name(RUN)}/arpege/01/SP1/".replace("/", "%2F").replace(":", "%3A")
    return f"{STORAGE}/?list-type=2&prefix={prefix}&max-keys=1000"


def listing(groups: tuple[str, ...] = GROUPS) -> bytes:
    contents = "".join(
        f"<Contents><Key>{key(group)}</Key><LastModified>2026-07-15T10:{minute:02}:00.000Z</LastModified>"
        "<Size>70000000</Size></Contents>"
        for minute, group in enumerate(groups)
    )
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    ).encode()


def needs(*sites: Site) -> CollectionRequest:
    found = sites or (SAINT_HILAIRE, PLANPRAZ)
    cells = {(ARPEGE.model, SAINT_HILAIRE.id): "5,6", (ARPEGE.model, PLANPRAZ.id): "4,9"}
    return CollectionRequest(
        now=NOW, since=EARLIER, sites=found, cells=cells, model_elevations=frozenset(cells)
    )


async def collected(
    built: Source[ForecastBatch], wanted: CollectionRequest, folder: Path, script: dict[str, Any]
) -> tuple[list[ForecastBatch], list[str]]:
    fetch = ScriptedFetch(script, now=NOW, folder=folder)
    return [batch async for batch in collect(built, wanted, fetch)], fetch.urls


def values(batch: ForecastBatch, lead: int) -> dict[Parameter, float]:
    return {
        record.parameter: round(record.value, 2)
        for record in batch.records
        if record.site == SAINT_HILAIRE.id and lead_time(record) == timedelta(hours=lead)
    }


async def test_a_file_of_thirteen_hours_has_the_values_of_all_sites(worker: Worker, tmp_path: Path) -> None:
    body = grib_factory.encode(messages(range(13), like=LIKE))
    script = {listing_url(): listing(), url("000H012H"): body}

    (batch,), urls = await collected(source(worker), needs(), tmp_path, script)

    assert urls == [listing_url(), url("000H012H")]
    assert batch.failures == ()
    assert values(batch, 12) == {
        Parameter.WIND_SPEED: 18.0,
        Parameter.WIND_DIRECTION: 323.13,
        Parameter.WIND_GUST: 36.0,
        Parameter.TEMPERATURE: 15.0,
    }
    assert Parameter.WIND_GUST not in values(batch, 0)  # absent, and not 0
    assert batch.run is not None
    assert (batch.source, batch.run.model, batch.run.reference_time) == ("arpege", "arpege_01", RUN)
    assert batch.run.published
    assert batch.parts == ("00H12H",)
    assert batch.grid_points == (
        GridPoint("arpege_01", SAINT_HILAIRE.id, "5,6"),
        GridPoint("arpege_01", PLANPRAZ.id, "4,9"),
    )


async def test_the_nine_parts_cover_each_hour_to_102_once() -> None:
    parts = parts_of(ARPEGE, 102)
    assert [f"{part.first:03}H{part.last:03}H" for part in parts] == list(GROUPS)
    assert [lead for part in parts for lead in part.leads] == list(range(103))


async def test_a_run_whose_last_file_is_not_listed_is_left_for_later(worker: Worker, tmp_path: Path) -> None:
    found, urls = await collected(
        source(worker, 102), needs(), tmp_path, {listing_url(): listing(GROUPS[:-1])}
    )
    assert (found, urls) == ([], [listing_url()])


async def test_a_gust_of_three_hours_is_missing_and_named(worker: Worker, tmp_path: Path) -> None:
    sent = [
        replace(message, hours=3) if message.name.startswith("gust") and message.step == 12 else message
        for message in messages(range(13), like=LIKE)
    ]
    script = {listing_url(): listing(), url("000H012H"): grib_factory.encode(sent)}

    (batch,), _ = await collected(source(worker), needs(), tmp_path, script)

    assert set(values(batch, 12)) == {Parameter.WIND_SPEED, Parameter.WIND_DIRECTION, Parameter.TEMPERATURE}
    assert "gust_east at 12 h (it covers 3 h)" in batch.failures[0].reason


@pytest.mark.parametrize(
    ("like", "reason"),
    [
        (replace(LIKE, headers={}), "process 204: not ARPEGE as we know it"),
        (replace(LIKE, cut=replace(CUT, degrees=0.25)), "a grid of 0.25 degrees, not 0.1"),
    ],
)
async def test_another_model_or_grid_is_not_taken_for_it(
    like: Message, reason: str, worker: Worker, tmp_path: Path
) -> None:
    script = {listing_url(): listing(), url("000H012H"): grib_factory.encode(messages(range(13), like=like))}

    (batch,), _ = await collected(source(worker), needs(), tmp_path, script)

    assert reason in batch.failures[0].reason
    assert batch.records == ()


async def test_the_ground_is_in_the_first_file_of_another_package(worker: Worker, tmp_path: Path) -> None:
    script = {
        listing_url(): listing(),
        url("000H012H"): grib_factory.encode(messages(range(13), like=LIKE)),
        url("000H012H", "SP2"): grib_factory.encode(grib_factory.ground(like=LIKE)),
    }

    (_, ground), urls = await collected(
        source(worker), replace(needs(), model_elevations=frozenset()), tmp_path, script
    )

    assert urls[-1] == url("000H012H", "SP2")
    assert ground.grid_points[0].model_elevation == pytest.approx(1234.0, abs=0.1)


async def test_a_site_off_the_grid_is_outside(worker: Worker, tmp_path: Path) -> None:
    found, _ = await collected(source(worker), needs(OFF_THE_GRID), tmp_path, {listing_url(): listing()})
    assert [one.site for batch in found for one in batch.outside] == [OFF_THE_GRID.id]
    assert not any(batch.records for batch in found)


async def test_it_is_off_unless_it_is_named(worker: Worker) -> None:
    def built(**settings: Any) -> Source[ForecastBatch]:
        return next(
            one for one in forecast_sources(Settings.load(**settings), worker) if one.name == "arpege"
        )

    assert not built().opted_in
    on = built(sources="arome,arpege", arome_runs="0")
    assert (on.opted_in, on.disabled, on.models) == (True, None, ("arpege_01",))
    assert on.max_age == timedelta(hours=18)
