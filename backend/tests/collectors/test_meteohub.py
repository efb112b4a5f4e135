"""ICON-2I in the folders of MeteoHub: one file for each field, with all hours of a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.collectors import forecast_sources, meteohub
from backend.collectors.base import Source, collect
from backend.collectors.grib.folders import parse_folder
from backend.collectors.grib.worker import Worker
from backend.collectors.meteohub import FOLDERS, ICON_2I
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Site
from backend.tests.support import fuzz_targets as fuzz
from backend.tests.support import grib_factory
from backend.tests.support.arome_files import ELSEWHERE, PLANPRAZ, SAINT_HILAIRE
from backend.tests.support.fakes import ScriptedFetch, lead_time
from backend.tests.support.grib_factory import Cut, Message

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "http://meteohub.test/nwp/ICON-2I"
RUN = datetime(2026, 7, 15, 0, tzinfo=UTC)
BEFORE = RUN - timedelta(hours=12)
NOW = datetime(2026, 7, 15, 6, 0, tzinfo=UTC)
HOURS = range(13)
"""Of most tests: fewer than the 73 of a run, because each costs four messages."""

CUT = Cut(north=46.30, west=6.40, rows=26, columns=33, degrees=0.02, across=0.025, from_south=True)
LIKE = Message("wind_east", 0, run=RUN, cut=CUT, headers={"centre": 80, "generatingProcessIdentifier": 62})
NAMES = {"U_10M": "wind_east", "V_10M": "wind_north", "T_2M": "temperature", "VMAX_10M": "gust_speed"}
LEVELS = {"T_2M": "heightAboveGround-2", "HSURF": "surface-0"}

WIND = {Parameter.WIND_SPEED: 18.0, Parameter.WIND_DIRECTION: 323.13}
GUST, WARMTH = {Parameter.WIND_GUST: 36.0}, {Parameter.TEMPERATURE: 15.0}


def fuzz_targets() -> tuple[fuzz.Target, ...]:
    """Return the parser of the pages, with pages in its format."""
    seeds = (page(("U_10M/", ""), ("V_10M/", "")), NGINX)
    return (fuzz.Target("meteohub folder", "markup", parse_folder, seeds),)


def page(*rows: tuple[str, str]) -> bytes:
    """Return a page of Apache that lists these names, each with its time and size."""
    lines = "".join(
        f'<tr><td><img alt="[   ]"></td><td><a href="{name}">{name[:20]}..&gt;</a></td>'
        f'<td align="right">{stamp}  </td><td>&nbsp;</td></tr>'
        for name, stamp in rows
    )
    return (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><head><title>Index of /nwp</title>'
        '</head><body><table><tr><th><a href="?C=N;O=D">Name</a></th></tr>'
        f'<tr><td></td><td><a href="/nwp/">Parent Directory</a></td></tr>{lines}</table></body></html>'
    ).encode()


NGINX = (
    b"<html><head><title>Index of /nwp/</title></head><body><h1>Index of /nwp/</h1><pre>"
    b'<a href="../">../</a>\n<a href="U_10M/">U_10M/</a>   17-Aug-2026 13:45     -\n'
    b'<a href="a_2026071500.grib">a_2026071500.grib</a>   17-Aug-2026 13:46   85123456\n</pre></body></html>'
)


def file_name(folder: str, run: datetime = RUN) -> str:
    level = LEVELS.get(folder, "heightAboveGround-10")
    return f"ICON_2I_SURFACE_PRESSURE_LEVELS_{run:%Y%m%d%H}_{level}.grib"


def folder_url(folder: str = "", run: datetime = RUN) -> str:
    return f"{URL}/{run:%Y%m%d%H}/{folder}/" if folder else f"{URL}/{run:%Y%m%d%H}/"


def file_url(folder: str, run: datetime = RUN) -> str:
    return f"{folder_url(folder, run)}{file_name(folder, run)}"


def body_of(folder: str, like: Message = LIKE, hours: Any = HOURS) -> bytes:
    name = NAMES[folder]
    return grib_factory.encode(
        replace(like, name=name, step=hour) for hour in hours if hour or name != "gust_speed"
    )


BODIES = {folder: body_of(folder) for folder in FOLDERS}


def published(
    run: datetime = RUN, *, without: str = "", stamp: str = "2026-07-15 02:31", **bodies: bytes
) -> dict[str, Any]:
    """Return the pages and the files of a run, all listed with the same stamp."""
    folders = [folder for folder in FOLDERS if folder != without]
    script: dict[str, Any] = {
        f"{URL}/": page((f"{BEFORE:%Y%m%d%H}/", ""), (f"{RUN:%Y%m%d%H}/", "")),
        folder_url(run=run): page(*((f"{folder}/", stamp) for folder in (*folders, "TOT_PREC"))),
    }
    for folder in folders:
        script[folder_url(folder, run)] = page((file_name(folder, run), f"{stamp} 85M"))
        script[file_url(folder, run)] = bodies.get(folder, BODIES[folder])
    return script


def source(worker: Worker) -> Source[ForecastBatch]:
    built = meteohub.build(Settings.load(meteohub_url=URL), worker)
    route: Any = built.routes[0]
    part = replace(route.catalogue.part, last=HOURS[-1])
    return replace(built, routes=(replace(route, catalogue=replace(route.catalogue, part=part)),))


def needs(*sites: Site, **known: Any) -> CollectionRequest:
    found = sites or (SAINT_HILAIRE, PLANPRAZ)
    cells = {(ICON_2I.model, SAINT_HILAIRE.id): "10,8", (ICON_2I.model, PLANPRAZ.id): "15,20"}
    defaults = {"now": NOW, "since": RUN - timedelta(hours=1), "cells": cells}
    return CollectionRequest(sites=found, **{"model_elevations": frozenset(cells), **defaults, **known})


async def collected(
    worker: Worker, folder: Path, script: dict[str, Any], wanted: CollectionRequest | None = None
) -> tuple[list[ForecastBatch], list[str]]:
    fetch = ScriptedFetch(script, now=NOW, folder=folder)
    return [batch async for batch in collect(source(worker), wanted or needs(), fetch)], fetch.urls


def values(batch: ForecastBatch, lead: int) -> dict[Parameter, float]:
    return {
        record.parameter: round(record.value, 2)
        for record in batch.records
        if record.site == SAINT_HILAIRE.id and lead_time(record) == timedelta(hours=lead)
    }


def reasons(batch: ForecastBatch) -> str:
    return "; ".join(failure.reason for failure in batch.failures)


async def test_the_files_of_a_run_are_one_part_with_the_values_of_all_sites(
    worker: Worker, tmp_path: Path
) -> None:
    whole = {file_url(folder): body_of(folder, hours=range(73)) for folder in FOLDERS}
    fetch = ScriptedFetch(published() | whole, now=NOW, folder=tmp_path)
    built = meteohub.build(Settings.load(meteohub_url=URL), worker)

    (batch,) = [batch async for batch in collect(built, needs(), fetch)]

    pages = [f"{URL}/", folder_url(), *map(folder_url, FOLDERS)]
    assert fetch.urls == [*pages, *map(file_url, FOLDERS)]
    assert (batch.failures, batch.incomplete) == ((), ())
    assert values(batch, 72) == WIND | GUST | WARMTH
    assert values(batch, 0) == WIND | WARMTH  # no gust at the start: absent, and not 0
    assert batch.run is not None
    assert (batch.source, batch.run.model, batch.run.reference_time) == ("meteohub", "meteohub_icon_2i", RUN)
    # The pages state no zone: the usual delay, and not the time of the first sight.
    assert (batch.run.available_at, batch.run.published) == (RUN + timedelta(hours=3), False)
    assert batch.parts == ("00H72H",)
    assert batch.grid_points == (
        GridPoint("meteohub_icon_2i", SAINT_HILAIRE.id, "10,8"),
        GridPoint("meteohub_icon_2i", PLANPRAZ.id, "15,20"),
    )


async def test_a_run_seen_early_is_available_from_then(worker: Worker, tmp_path: Path) -> None:
    early = RUN + timedelta(hours=2, minutes=40)
    fetch = ScriptedFetch(published(), now=early, folder=tmp_path)
    (batch,) = [batch async for batch in collect(source(worker), needs(now=early), fetch)]
    assert batch.run is not None
    assert batch.run.available_at == early


async def test_a_file_of_another_name_is_found_by_its_page(worker: Worker, tmp_path: Path) -> None:
    script = published()
    script[folder_url("VMAX_10M")] = page(("icon_2I_2026071500_surface-0.grib", ""))
    script[f"{folder_url('VMAX_10M')}icon_2I_2026071500_surface-0.grib"] = BODIES["VMAX_10M"]

    (batch,), _ = await collected(worker, tmp_path, script)

    assert (values(batch, 5), batch.failures) == (WIND | GUST | WARMTH, ())


async def test_a_run_with_a_file_that_is_not_listed_yet_is_left_for_later(
    worker: Worker, tmp_path: Path
) -> None:
    listed = published()
    listed[folder_url("VMAX_10M")] = page()  # the folder is there before its file

    for script in (listed, published(without="VMAX_10M")):
        found, urls = await collected(worker, tmp_path, script)
        assert found == []
        assert not any(url.endswith(".grib") for url in urls)


async def test_without_gusts_a_run_is_read_after_half_a_day_and_its_folders_are_named(
    worker: Worker, tmp_path: Path
) -> None:
    late = needs(now=RUN + timedelta(hours=12, minutes=30), since=RUN - timedelta(hours=1))
    script = published(without="VMAX_10M") | {
        folder_url(run=RUN + timedelta(hours=12)): FetchError("HTTP 404")
    }

    (batch, *_), urls = await collected(worker, tmp_path, script, late)

    assert values(batch, 5) == WIND | WARMTH
    assert "gust_speed at 1 h" in reasons(batch)
    assert batch.failures[0].url == folder_url().rstrip("/")
    assert "the listing has U_10M, V_10M, T_2M, TOT_PREC" in reasons(batch)
    assert {(one.part, one.site) for one in batch.incomplete} == {
        ("00H12H", SAINT_HILAIRE.id),
        ("00H12H", PLANPRAZ.id),
    }
    assert len([url for url in urls if url.endswith(".grib")]) == 3

    again = replace(
        late, incomplete={(ICON_2I.model, RUN, one.part, one.site): one.version for one in batch.incomplete}
    )
    found, urls = await collected(worker, tmp_path, script, again)
    assert not any(url.endswith(".grib") for url in urls)  # the same files have no more
    assert [note for batch in found for note in batch.notes] == [
        "meteohub_icon_2i is incomplete in 2026-07-15 00:00 UTC"
    ]
    _, urls = await collected(worker, tmp_path, published(stamp="2026-07-15 09:10"), again)
    assert len([url for url in urls if url.endswith(".grib")]) == 4  # the gusts have appeared


@pytest.mark.parametrize(
    ("answer", "again"),
    [(FetchError("HTTP 500", status=500), True), (BODIES["T_2M"][:-300], False)],
    ids=["not received", "damaged"],
)
async def test_a_file_that_fails_costs_its_own_values(
    answer: Any, again: bool, worker: Worker, tmp_path: Path
) -> None:
    script = published(T_2M=answer)

    (batch,), _ = await collected(worker, tmp_path, script)

    assert values(batch, 12) == WIND | GUST
    assert "HTTP 500" in reasons(batch) if again else batch.failures[0].url == file_url("T_2M")
    assert "without temperature at 0 h" in batch.incomplete[0].reason
    known = {(ICON_2I.model, RUN, one.part, one.site): one.version for one in batch.incomplete}
    _, urls = await collected(worker, tmp_path, script, needs(incomplete=known))
    assert (file_url("T_2M") in urls) == again


async def test_only_the_field_of_its_folder_is_read_from_a_file(worker: Worker, tmp_path: Path) -> None:
    both = BODIES["U_10M"] + body_of("T_2M", replace(LIKE, values=400.0))

    (batch,), _ = await collected(worker, tmp_path, published(U_10M=both))

    assert values(batch, 3) == WIND | GUST | WARMTH


@pytest.mark.parametrize(
    ("gusts", "reason"),
    [
        (body_of("VMAX_10M", replace(LIKE, hours=12), range(12, 13)), "gust_speed at 12 h (it covers 12 h)"),
        (body_of("T_2M"), "without gust_speed at 1 h"),
    ],
    ids=["of twelve hours", "another field"],
)
async def test_other_gusts_are_missing_and_named(
    gusts: bytes, reason: str, worker: Worker, tmp_path: Path
) -> None:
    script = published(VMAX_10M=gusts)
    (batch,), _ = await collected(worker, tmp_path, script)

    assert values(batch, 12) == WIND | WARMTH
    assert reason.partition(" at")[0] in reasons(batch)
    assert Parameter.WIND_GUST not in {record.parameter for record in batch.records}


@pytest.mark.parametrize(
    ("like", "reason"),
    [
        (replace(LIKE, cut=replace(CUT, degrees=0.04)), "a grid of 0.04 degrees, not 0.02"),
        (replace(LIKE, run=BEFORE), "holds the run of 2026-07-14 12:00 UTC"),
        (replace(LIKE, cut=replace(CUT, west=6.375)), "its fields are on different grids"),
    ],
    ids=["spacing", "run", "corner"],
)
async def test_a_file_of_another_grid_or_run_is_refused(
    like: Message, reason: str, worker: Worker, tmp_path: Path
) -> None:
    (batch,), _ = await collected(worker, tmp_path, published(V_10M=body_of("V_10M", like)))

    assert reason in reasons(batch)
    assert batch.records == ()


async def test_the_ground_is_the_field_of_a_folder_of_its_own(worker: Worker, tmp_path: Path) -> None:
    ground = grib_factory.encode(grib_factory.ground(like=LIKE))
    script = published() | {
        folder_url("HSURF"): page((file_name("HSURF"), "")),
        file_url("HSURF"): ground,
    }
    wanted = needs(model_elevations=frozenset())

    (_, found), urls = await collected(worker, tmp_path, script, wanted)
    assert urls[-2:] == [folder_url("HSURF"), file_url("HSURF")]
    assert found.grid_points[0].model_elevation == pytest.approx(1234.0, abs=0.1)

    (_, found), _ = await collected(worker, tmp_path, script | {folder_url("HSURF"): page()}, wanted)
    assert reasons(found) == "the height of the model's ground: no file of the run is listed"


async def test_a_site_off_the_grid_is_outside(worker: Worker, tmp_path: Path) -> None:
    found, _ = await collected(worker, tmp_path, published(), needs(ELSEWHERE))
    assert [one.site for batch in found for one in batch.outside] == [ELSEWHERE.id]
    assert not any(batch.records for batch in found)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (page(), "the page lists no run"),
        (b"<html><head><title>Login</title></head><body></body></html>", "no listing of a folder"),
        (b"<html><head><title>Index of /nwp</title></head><body></body></html>", "has no links"),
        (page(("2026073300/", "")), "a run that is no time"),
    ],
)
async def test_a_page_without_runs_is_a_failure(
    body: bytes, reason: str, worker: Worker, tmp_path: Path
) -> None:
    (batch,), _ = await collected(worker, tmp_path, {f"{URL}/": body})
    assert reason in reasons(batch)


async def test_two_files_of_one_field_are_refused(worker: Worker, tmp_path: Path) -> None:
    script = published()
    script[folder_url("U_10M")] = page((file_name("U_10M"), ""), ("icon_2I_2026071500_surface-0.grib", ""))

    (batch,), _ = await collected(worker, tmp_path, script)

    assert "several files of one field: ICON_2I_SURFACE" in reasons(batch)


async def test_pages_of_apache_and_of_nginx_are_read() -> None:
    assert parse_folder(page(("U_10M/", "2026-08-17 13:45"))) == {"U_10M/": "U_10M/..> 2026-08-17 13:45"}
    assert parse_folder(NGINX) == {
        "U_10M/": "17-Aug-2026 13:45 -",
        "a_2026071500.grib": "17-Aug-2026 13:46 85123456",
    }
    with pytest.raises(ParseError, match="cut"):
        parse_folder(NGINX[:-20])


async def test_it_is_off_unless_it_is_named(worker: Worker) -> None:
    def built(**settings: Any) -> Source[ForecastBatch]:
        return next(
            one for one in forecast_sources(Settings.load(**settings), worker) if one.name == "meteohub"
        )

    assert not built().opted_in
    on = built(sources="arome,meteohub")
    assert (on.opted_in, on.disabled, on.models, on.public) == (True, None, ("meteohub_icon_2i",), True)
    assert on.max_age == timedelta(hours=30)
