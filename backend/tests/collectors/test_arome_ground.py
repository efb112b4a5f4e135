"""The height of AROME's ground: read once for a site, stored, and reported where it is missing.

Files are composed (grib_factory.py). Ground that rises to the east, by 1000 m a degree from 6.0, separates
cells: 600 m in the cell of Saint-Hilaire (6.6 E), 900 m in that of Planpraz (6.9 E).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.collectors.base import collect
from backend.collectors.grib.decode import read_fields
from backend.collectors.grib.fields import MODEL_ELEVATION, FileValues, parse_model_elevations
from backend.collectors.grib.runs import GRIDS
from backend.collectors.grib.worker import Worker
from backend.core.errors import FetchError, ParseError
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Rejected, Site
from backend.storage.store import Store
from backend.tests.support import grib_factory
from backend.tests.support.arome_files import (
    EARLIER,
    ELSEWHERE,
    NOW,
    PLANPRAZ,
    SAINT_HILAIRE,
    SITES,
    beside,
    file_url,
    grib,
    ground,
    ground_url,
    ifs_source,
    listing,
    listing_url,
    source,
)
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.grib_factory import RUN, Cut, Message, messages
from backend.tests.support.stores import open_store, sqlite_url

pytestmark = pytest.mark.asyncio(loop_scope="module")

GONE = FetchError("HTTP 404", url="", status=404)
NO_HEIGHT = "the height of the model's ground: "


def about(value: float) -> Any:
    return pytest.approx(value, abs=0.1)


# Content of a file


def read(tmp_path: Path, body: bytes, sites: Sequence[Site] = SITES) -> FileValues:
    """Read a file in this process."""
    path = tmp_path / "ground.grib2"
    path.write_bytes(body)
    fields = read_fields(path, [(site.latitude, site.longitude) for site in sites], MODEL_ELEVATION)
    return parse_model_elevations(fields, grid=GRIDS["0025"], reference_time=RUN, sites=sites)


async def test_each_site_gets_the_model_elevation_of_its_cell(tmp_path: Path) -> None:
    reading = read(tmp_path, ground())

    assert reading.grid_points == (
        GridPoint("arome_0025", "saint-hilaire", "8,8", model_elevation=about(600.0)),
        GridPoint("arome_0025", "planpraz", "4,20", model_elevation=about(900.0)),
    )
    assert (reading.records, reading.rejected) == ((), ())


async def test_sites_outside_or_under_the_mask_have_no_ground(tmp_path: Path) -> None:
    reading = read(tmp_path, ground(masked=[(4, 20)]), (*SITES, ELSEWHERE))

    assert [point.site for point in reading.grid_points] == ["saint-hilaire"]
    assert reading.rejected == (
        Rejected("arome_0025 planpraz", None, None, "9999", "masked: the model has no value in cell 4,20"),
        Rejected(
            "arome_0025 ager", None, None, "42,0.7", "outside_grid: the position is outside the model's grid"
        ),
    )


@pytest.mark.parametrize("height", [-501.0, 9001.0])
async def test_a_ground_that_is_nowhere_on_earth_is_set_aside(tmp_path: Path, height: float) -> None:
    reading = read(tmp_path, grib_factory.encode(grib_factory.ground(height)), [PLANPRAZ])

    assert reading.grid_points == ()
    assert [(value.raw, value.reason.split(":")[0]) for value in reading.rejected] == [
        (repr(height), "out_of_range")
    ]


@pytest.mark.parametrize("height", [-400.0, 0.0, 4808.0])
async def test_low_lands_and_the_sea_have_a_ground_as_mountains_have(tmp_path: Path, height: float) -> None:
    reading = read(tmp_path, grib_factory.encode(grib_factory.ground(height)), [PLANPRAZ])
    assert [point.model_elevation for point in reading.grid_points] == [about(height)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (grib(0, 1), "without the height of the ground"),
        (ground(run=EARLIER), "holds the run of 2026-07-15 00:00 UTC"),
        (ground(headers={"generatingProcessIdentifier": 254}), "not AROME as we know it"),
        (ground(cut=Cut(degrees=0.05)), "a grid of 0.05 degrees, not 0.025"),
    ],
    ids=["no_ground", "another_run", "another_model", "another_grid"],
)
async def test_a_file_that_is_not_what_was_asked_for_is_refused(
    tmp_path: Path, body: bytes, reason: str
) -> None:
    with pytest.raises(ParseError, match=reason):
        read(tmp_path, body)


# When it is asked for


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., ScriptedFetch]:
    """Make a fetch for a storage that lists the run of 06:00 UTC and has its first file and its ground."""

    def make(script: dict[str, Any] | None = None) -> ScriptedFetch:
        usual: dict[str, Any] = {
            listing_url(EARLIER): listing((), EARLIER),
            listing_url(): listing(),
            file_url("00H06H"): grib(),
            ground_url(): ground(),
        }
        return ScriptedFetch({**usual, **(script or {})}, now=NOW, folder=tmp_path)

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / "store"
    folder.mkdir()
    return open_store(sqlite_url(folder), *SITES)


async def collected(worker: Worker, store: Store, fetch: ScriptedFetch) -> list[ForecastBatch]:
    """Collect what is missing in the store for its sites and store it; return the batches."""
    needs = store.forecast_request(store.sites(), NOW, EARLIER)
    batches = [batch async for batch in collect(source(worker), needs, fetch)]
    for batch in batches:
        store.add_forecasts(batch)
    return batches


def grounds(store: Store) -> set[tuple[str, str]]:
    return set(store.forecast_request(store.sites(), NOW, EARLIER).model_elevations)


async def test_the_ground_comes_with_the_first_run_and_is_not_asked_for_again(
    worker: Worker, store: Store, scripted: Callable[..., ScriptedFetch]
) -> None:
    first = scripted()
    values, heights = await collected(worker, store, first)

    assert first.urls == [listing_url(), file_url("00H06H"), ground_url()]
    assert values.parts == ("00H06H",)
    assert values.failures == heights.failures == ()
    assert (heights.records, heights.parts, heights.sites, heights.run) == ((), (), (), values.run)
    assert {point.site: point.model_elevation for point in heights.grid_points} == {
        "saint-hilaire": about(600.0),
        "planpraz": about(900.0),
    }

    again = scripted()
    await collected(worker, store, again)
    assert again.urls == [listing_url()]
    assert grounds(store) == {("arome_0025", site.id) for site in SITES}


async def test_the_next_run_keeps_the_ground_of_the_one_before(
    worker: Worker, store: Store, scripted: Callable[..., ScriptedFetch]
) -> None:
    await collected(worker, store, scripted())
    next_run = {
        listing_url(): listing(()),
        listing_url(EARLIER): listing(run=EARLIER),
        file_url("00H06H", EARLIER): grib(like=Message("wind_east", 0, run=EARLIER)),
    }
    fetch = scripted(next_run)
    needs = store.forecast_request(store.sites(), NOW, EARLIER - timedelta(hours=1))
    for batch in [batch async for batch in collect(source(worker), needs, fetch)]:
        store.add_forecasts(batch)

    assert fetch.urls == [listing_url(), listing_url(EARLIER), file_url("00H06H", EARLIER)]
    assert grounds(store) == {("arome_0025", site.id) for site in SITES}


async def test_only_the_model_elevation_of_a_new_site_is_fetched(
    worker: Worker, store: Store, scripted: Callable[..., ScriptedFetch]
) -> None:
    await collected(worker, store, scripted())
    new = Site("varan", "Varan", 46.1, 6.7, 1700)
    store.save_sites((*SITES, new))
    fetch = scripted()

    _, heights = await collected(worker, store, fetch)

    assert fetch.urls == [listing_url(), file_url("00H06H"), ground_url()]
    assert heights.grid_points == (GridPoint("arome_0025", "varan", "4,12", model_elevation=about(700.0)),)
    assert len(grounds(store)) == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (GONE, f"{NO_HEIGHT}HTTP 404"),
        (grib(0, 1), f"{NO_HEIGHT}without the height of the ground"),
        (b"<html>maintenance</html>", f"{NO_HEIGHT}no GRIB message starts at byte 0"),
    ],
    ids=["not_there", "not_in_it", "no_grib"],
)
async def test_a_missing_model_elevation_is_reported_alone_and_requested_again(
    worker: Worker,
    store: Store,
    scripted: Callable[..., ScriptedFetch],
    answer: Any,
    reason: str,
) -> None:
    values, heights = await collected(worker, store, scripted({ground_url(): answer}))

    assert (values.parts, values.failures) == (("00H06H",), ())
    assert len(values.records) == 2 * (7 * 4 - 1)
    (failure,) = heights.failures
    assert failure.reason.startswith(reason)
    assert (failure.route, heights.grid_points, heights.newest) == ("object_storage", (), RUN)
    assert grounds(store) == set()

    again = scripted()
    (heights,) = [batch for batch in await collected(worker, store, again) if batch.run]
    assert again.urls == [listing_url(), ground_url()]
    assert len(heights.grid_points) == 2
    assert grounds(store) == {("arome_0025", site.id) for site in SITES}


async def test_several_runs_at_once_ask_for_one_ground(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted(
        {
            listing_url(EARLIER): listing(run=EARLIER),
            file_url("00H06H", EARLIER): grib(like=Message("wind_east", 0, run=EARLIER)),
            ground_url(): GONE,
        }
    )
    needs = CollectionRequest(now=NOW, since=EARLIER - timedelta(hours=1), sites=SITES)

    found = [batch async for batch in collect(source(worker), needs, fetch)]

    assert [len(batch.failures) for batch in found] == [0, 1, 0]
    assert [url for url in fetch.urls if "SP2" in url] == [ground_url()]


async def test_no_model_elevation_is_requested_without_a_value_of_the_model(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    masked = [replace(message, masked=[(4, 20)]) for message in messages(range(7))]
    fetch = scripted({file_url("00H06H"): grib_factory.encode(masked)})
    needs = CollectionRequest(now=NOW, since=EARLIER, sites=(PLANPRAZ, ELSEWHERE))

    (batch,) = [batch async for batch in collect(source(worker), needs, fetch)]

    assert fetch.urls == [listing_url(), file_url("00H06H")]
    assert (batch.grid_points, batch.failures) == ((), ())


async def test_the_ground_of_another_cell_than_before_is_another_ground(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    known = ("arome_0025", SAINT_HILAIRE.id)
    needs = CollectionRequest(
        now=NOW,
        since=EARLIER,
        sites=(SAINT_HILAIRE,),
        cells={known: "7,7"},
        model_elevations=frozenset({known}),
    )

    _, heights = [batch async for batch in collect(source(worker), needs, scripted())]

    assert [point.cell for point in heights.grid_points] == ["8,8"]


# Which file it is in


async def test_the_fine_grid_has_it_in_the_first_file_of_another_package(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fine = Cut(degrees=0.01, rows=41, columns=61)
    url = ground_url(grid="001", package="SP3", part="00H")
    fetch = scripted(
        {
            listing_url(grid="001"): listing(("00H",), grid="001"),
            file_url("00H", grid="001"): grib(0, 0, like=Message("wind_east", 0, cut=fine)),
            url: ground(cut=fine),
        }
    )
    needs = CollectionRequest(now=NOW, since=EARLIER, sites=(SAINT_HILAIRE,))
    fine_source = source(worker, arome_grid="001", arome_max_lead=0)

    _, heights = [batch async for batch in collect(fine_source, needs, fetch)]

    assert fetch.urls[-1] == url
    assert heights.grid_points == (
        GridPoint("arome_001", "saint-hilaire", "20,20", model_elevation=about(600.0)),
    )


async def test_arome_ifs_has_its_own_ground_among_its_own_files(worker: Worker, tmp_path: Path) -> None:
    its = {"generatingProcessIdentifier": 254}
    values = [replace(message, headers=its) for message in messages(range(7))]
    script: dict[str, Any] = {
        beside(listing_url()): beside(listing().decode()).encode(),
        beside(file_url("00H06H")): grib_factory.encode(values),
        beside(ground_url()): ground(headers=its),
    }
    fetch = ScriptedFetch(script, now=NOW, folder=tmp_path)
    needs = CollectionRequest(now=NOW, since=datetime(2026, 7, 15, 5, tzinfo=UTC), sites=(SAINT_HILAIRE,))

    _, heights = [batch async for batch in collect(ifs_source(worker), needs, fetch)]

    assert heights.failures == ()
    assert heights.grid_points == (
        GridPoint("arome_ifs_0025", "saint-hilaire", "8,8", model_elevation=about(600.0)),
    )
