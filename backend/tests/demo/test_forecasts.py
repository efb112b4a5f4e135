"""The stand-ins of forecasts: true formats, and runs with their usual times of publication."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from lxml import etree

from backend.core.units import KMH_PER_MS, wind_from_components
from backend.demo import arome
from backend.demo.grib import FIELDS, MESHES, Writer, cut_around, parts
from backend.demo.upstreams import meteo_parapente, open_meteo
from backend.demo.upstreams.meteo_parapente import grid_cell
from backend.demo.weather import Weather
from backend.demo.world import World
from backend.tests.support.demo_client import (
    APIKEY,
    NOON,
    PORTAL,
    SINGLE_RUN,
    Client,
    at,
    grib,
    listed,
    messages,
    number,
    sounding,
    texts,
)

# --- MeteoParapente ----------------------------------------------------------------------------------


async def test_status_lists_run_and_day_pairs_newest_day_first(client: Client) -> None:
    answer = await client.json("meteo_parapente", "/status.php")
    pairs = answer["france"]
    assert list(answer) == ["france", "app", "js", "tos", "news"]
    assert pairs == sorted(pairs, key=lambda pair: (pair["day"], pair["run"]), reverse=True)
    for pair in pairs:
        assert re.fullmatch(r"\d{10}", pair["run"])
        assert re.fullmatch(r"\d{8}", pair["day"])
        assert ("update" in pair) == (pair["status"] == "complete")
        assert pair["private"] == (pair["day"] == pairs[0]["day"])
    assert {pair["day"] for pair in pairs} >= {"20260713", "20260714", "20260715", "20260716", "20260717"}
    assert min(pair["run"] for pair in pairs) >= "2026071200"  # about three days and a half


@pytest.mark.parametrize(
    ("cycle", "ahead", "earliest", "latest"),
    [(0, 0, 6.3, 8.0), (6, 0, 6.1, 6.4), (12, 1, 7.6, 7.8), (18, 1, 6.1, 6.2), (18, 5, 10.8, 12.5)],
)
def test_a_run_comes_out_within_the_delays_of_its_cycle(
    cycle: int, ahead: int, earliest: float, latest: float
) -> None:
    delays = []
    for date in range(1, 31):
        run = datetime(2026, 9, date, cycle, tzinfo=UTC)
        day = run.replace(hour=0) + timedelta(days=ahead)
        if published := meteo_parapente.published_at(1, run, day):
            delays.append((published - run) / timedelta(hours=1))
    assert 25 <= len(delays) <= 30
    assert earliest - 0.001 <= min(delays) < max(delays) <= latest


def test_the_midday_and_evening_runs_have_no_hours_of_their_own_day() -> None:
    for cycle in (12, 18):
        run = datetime(2026, 9, 1, cycle, tzinfo=UTC)
        assert meteo_parapente.published_at(1, run, run.replace(hour=0)) is None


async def test_a_run_and_day_is_complete_from_the_second_of_its_update_on(client: Client) -> None:
    run, day = datetime(2026, 7, 15, 6, tzinfo=UTC), datetime(2026, 7, 16, tzinfo=UTC)
    update = meteo_parapente.published_at(1, run, day)
    assert update is not None
    assert timedelta(hours=7.6) <= update - run <= timedelta(hours=7.9)

    async def status() -> dict[str, Any] | None:
        pairs = (await client.json("meteo_parapente", "/status.php"))["france"]
        asked = ("2026071506", "20260716")
        return next((pair for pair in pairs if (pair["run"], pair["day"]) == asked), None)

    client.world.set_clock(update - timedelta(hours=2))
    assert await status() is None
    client.world.set_clock(update - timedelta(seconds=1))
    assert await status() == {"run": "2026071506", "day": "20260716", "private": False, "status": "99%"}
    client.world.set_clock(update)
    shown = await status()
    assert shown is not None
    assert (shown["status"], shown["update"]) == ("complete", f"{update:%Y-%m-%dT%H:%M:%SZ}")


async def test_some_pairs_never_come_and_some_never_end(client: Client) -> None:
    seen, stuck = set(), set()
    for day in range(1, 29):
        client.world.set_clock(datetime(2026, 9, day, 23, tzinfo=UTC))
        for pair in (await client.json("meteo_parapente", "/status.php"))["france"]:
            seen.add((pair["run"], pair["day"]))
            if pair["status"] != "complete" and pair["run"] < f"202609{day - 1:02}00":
                assert re.fullmatch(r"\d\d%", pair["status"])
                stuck.add((pair["run"], pair["day"]))
    assert stuck
    assert ("2026090106", "20260901") in seen
    runs = {run for run, _ in seen if "2026090200" <= run <= "2026092600"}
    pairs = [pair for pair in seen if pair[0] in runs]
    assert len(pairs) < sum(len(meteo_parapente.DELAYS[int(run[-2:])]) for run in runs)


async def test_a_sounding_has_half_hours_levels_and_the_models_wind_at_the_lowest(client: Client) -> None:
    site = client.world.sites[0]
    answer = await client.json("meteo_parapente", sounding("2026071500", "20260715"))
    assert answer["status"] == "ok"
    assert answer["time"] == int(NOON.timestamp())
    assert answer["gridCoords"]["lat"] == 45.857
    assert len(answer["data"]) == 35
    assert list(answer["data"])[:2] == ["04:00", "04:30"]
    assert list(answer["data"])[-1] == "21:00"
    ten = answer["data"]["10:00"]
    assert ten["z"][0] - ten["ter"] == pytest.approx(8.2)
    assert {len(ten[name]) for name in ("z", "umet", "vmet", "tc", "td", "p", "ths", "thr")} == {12}

    run = datetime(2026, 7, 15, tzinfo=UTC).timestamp()
    said = Weather(1).forecast("meteo_parapente", site, run, np.array([run + 36000]))
    speed, direction = wind_from_components(ten["umet"][0], ten["vmet"][0])
    assert speed == pytest.approx(said.speed[0], abs=0.05)
    assert direction == pytest.approx(said.direction[0], abs=1)
    assert ten["tc"][0] == pytest.approx(said.temperature[0], abs=0.001)


async def test_a_windgram_has_hours_and_no_temperature(client: Client) -> None:
    path = sounding("2026071500", "20260715").replace("sounding", "windgram")
    answer = await client.json("meteo_parapente", path)
    assert list(answer["data"]) == [f"{hour:02}:00" for hour in range(4, 22)]
    assert "tc" not in answer["data"]["04:00"]
    assert {"raintot", "cfracl", "cldfra"} <= answer["data"]["04:00"].keys()


async def test_a_run_has_no_hours_before_its_start(client: Client) -> None:
    answer = await client.json("meteo_parapente", sounding("2026071506", "20260715"))
    assert next(iter(answer["data"])) == "06:00"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/data.php?run=2026071500&date=20260715&plot=sounding&location=here", "bad_format"),
        ("/data.php?run=2026071500&date=20260715&plot=sounding", "bad_format"),
        ("/data.php?run=2026071500&date=20260715&plot=meteogram&location=45.857,6.224", "bad_format"),
        ("/data.php?run=2026071512&date=20260716&plot=sounding&location=45.857,6.224", "not_found"),
        ("/data.php?run=2026071418&date=20260719&plot=sounding&location=45.857,6.224", "forbidden"),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_http_200(
    client: Client, path: str, status: str
) -> None:
    answer = await client.json("meteo_parapente", path)
    assert answer["status"] == status
    assert "data" not in answer


# --- AROME, object storage ---------------------------------------------------------------------------


async def test_the_listing_gives_keys_stamps_and_the_true_sizes(client: Client) -> None:
    bucket = await listed(client, "2026-07-15T06:00:00Z")
    assert bucket.tag == "{http://s3.amazonaws.com/doc/2006-03-01/}ListBucketResult"
    keys = texts(bucket, "s3:Contents/s3:Key")
    base = "pnt/2026-07-15T06:00:00Z/arome/0025/SP1/arome__0025__SP1__"
    assert keys[0] == f"{base}00H06H__2026-07-15T06:00:00Z.grib2"
    assert keys[-1] == f"{base}49H51H__2026-07-15T06:00:00Z.grib2"
    assert len(keys) == 9
    assert texts(bucket, "s3:IsTruncated") == ["false"]
    assert texts(bucket, "s3:Contents/s3:LastModified")[0] == "2026-07-15T10:20:00.000Z"  # +4h20
    assert texts(bucket, "s3:Contents/s3:LastModified")[-1] == "2026-07-15T11:12:00.000Z"  # +5h12

    answer = await client.get("arome", "/" + keys[0])
    assert answer.headers["Content-Length"] == texts(bucket, "s3:Contents/s3:Size")[0]
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Last-Modified"] == "Wed, 15 Jul 2026 10:20:00 GMT"
    assert answer.content.startswith(b"GRIB")
    assert answer.content.endswith(b"7777")

    head = await client.head("arome", "/" + keys[0])
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]
    assert head.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    ("grid", "run", "first", "last"),
    [
        ("0025", "2026-07-15T00:00:00Z", "2026-07-15T01:58", "2026-07-15T02:55"),
        ("0025", "2026-07-15T12:00:00Z", "2026-07-15T15:09", "2026-07-15T16:14"),
        ("0025", "2026-07-15T18:00:00Z", "2026-07-15T22:17", "2026-07-15T23:06"),
        ("001", "2026-07-15T03:00:00Z", "2026-07-15T04:47", "2026-07-15T05:38"),
        ("001", "2026-07-15T21:00:00Z", "2026-07-16T00:17", "2026-07-16T01:08"),
    ],
)
async def test_the_files_of_a_run_come_one_by_one_between_two_known_minutes(
    client: Client, grid: str, run: str, first: str, last: str
) -> None:
    async def count(moment: datetime) -> int:
        client.world.set_clock(moment)
        return len(texts(await listed(client, run, grid), "s3:Contents"))

    begin, end = (datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp in (first, last))
    files = len(parts(grid))
    assert await count(begin - timedelta(seconds=1)) == 0
    assert await count(begin) == 1
    assert 1 < await count(begin + (end - begin) / 2) < files
    assert await count(end - timedelta(seconds=1)) == files - 1
    assert await count(end) == files


async def test_a_run_is_served_for_fifteen_days(client: Client) -> None:
    run = "2026-07-15T06:00:00Z"
    at(client.world, "2026-07-30T05:59:59")
    assert len(texts(await listed(client, run), "s3:Contents")) == 9
    at(client.world, "2026-07-30T06:00:00")
    assert len(texts(await listed(client, run), "s3:Contents")) == 0


async def test_a_listing_comes_in_pages(client: Client) -> None:
    pages, token = [], ""
    while True:
        path = f"/?list-type=2&prefix=pnt/2026-07-15T06:00:00Z/arome/001/SP1/&max-keys=20{token}"
        bucket = etree.fromstring((await client.get("arome", path)).content)
        pages.append(texts(bucket, "s3:Contents/s3:Key"))
        if texts(bucket, "s3:IsTruncated") == ["false"]:
            break
        token = f"&continuation-token={texts(bucket, 's3:NextContinuationToken')[0]}"
    assert [len(page) for page in pages] == [20, 20, 12]
    keys = [key for page in pages for key in page]
    assert keys == sorted(set(keys))
    assert "/arome__001__SP1__51H__2026-07-15T06:00:00Z.grib2" in keys[-1]


async def test_a_listing_by_folders_shows_the_runs(client: Client) -> None:
    answer = await client.get("arome", "/?list-type=2&prefix=pnt/&delimiter=/")
    names = texts(etree.fromstring(answer.content), "s3:CommonPrefixes/s3:Prefix")
    assert names[-1] == "pnt/2026-07-15T09:00:00Z/"  # its first file came at 12:23
    assert len(names) == 15 * 8 - 1  # the oldest is about to go, the newest has not come


async def test_a_missing_object_is_a_404_in_xml(client: Client) -> None:
    answer = await client.get("arome", "/pnt/2026-07-15T12:00:00Z/arome/0025/SP1/arome__0025__SP1__x.grib2")
    assert answer.status_code == 404
    assert etree.fromstring(answer.content).findtext("Code") == "NoSuchKey"
    assert (await client.get("arome", "/")).status_code == 403


async def test_a_file_has_the_headers_and_the_layout_of_the_real_ones(client: Client) -> None:
    found = await grib(client, "0025", "00H06H")
    assert len(found) == 97
    for message in found:
        assert (message["edition"], message["centre"], message["tablesVersion"]) == (2, "lfpw", 15)
        assert (message["generatingProcessIdentifier"], message["typeOfGeneratingProcess"]) == (204, 2)
        assert (message["packingType"], message["gridType"]) == ("grid_ccsds", "regular_ll")
        assert (message["dataDate"], message["dataTime"]) == (20260715, 600)
        assert (message["iScansNegatively"], message["jScansPositively"]) == (0, 0)
        assert message["bitmapPresent"] == 1
        assert message["numberOfMissing"] == (message["values"] == 9999).sum() > 0
        assert message["Ni"] <= 100
        assert message["Nj"] <= 100
    assert {message["endStep"] for message in found} == set(range(7))
    at_start = {number(message) for message in found if message["endStep"] == 0}
    assert at_start == {(0, 3, 1), (0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 2, 3), (0, 2, 1), (0, 2, 0)}

    gust = next(message for message in found if number(message) == (0, 2, 22) and message["endStep"] == 3)
    assert gust["productDefinitionTemplateNumber"] == 8
    assert (gust["stepRange"], gust["typeOfFirstFixedSurface"], gust["level"]) == ("2-3", 103, 10)
    assert (gust["validityDate"], gust["validityTime"]) == (20260715, 900)
    rain = next(message for message in found if number(message) == (0, 1, 52) and message["endStep"] == 3)
    assert rain["stepRange"] == "0-3"


@pytest.mark.parametrize(("grid", "part", "step"), [("0025", "19H24H", 20), ("001", "20H", 20)])
async def test_the_cell_nearest_to_a_site_has_the_forecast_of_the_site(
    client: Client, grid: str, part: str, step: int
) -> None:
    found = {number(m): m for m in await grib(client, grid, part) if m["endStep"] == step}
    east = found[0, 2, 2]
    increment = {"0025": 0.025, "001": 0.01}[grid]
    run = datetime(2026, 7, 15, 6, tzinfo=UTC).timestamp()
    for site in client.world.sites:
        row = round((east["latitudeOfFirstGridPointInDegrees"] - site.latitude) / increment)
        column = round((site.longitude - east["longitudeOfFirstGridPointInDegrees"]) / increment)
        said = Weather(1).forecast(f"arome_{grid}", site, run, np.array([run + 3600 * step]))

        speed, direction = wind_from_components(
            float(east["values"][row, column]), float(found[0, 2, 3]["values"][row, column])
        )
        assert speed == pytest.approx(said.speed[0], abs=0.1)
        assert direction == pytest.approx(said.direction[0], abs=1.0)
        gust = np.hypot(*(found[0, 2, n]["values"][row, column] for n in (23, 24))) * KMH_PER_MS
        assert gust == pytest.approx(said.gust[0], abs=0.1)
        assert found[0, 0, 0]["values"][row, column] - 273.15 == pytest.approx(said.temperature[0], abs=0.01)
        if grid == "0025":
            assert found[0, 2, 22]["values"][row, column] * KMH_PER_MS == pytest.approx(gust, abs=0.1)


async def test_the_fine_grid_has_one_file_per_hour_and_no_gust_at_the_start(client: Client) -> None:
    assert [number(m) for m in await grib(client, "001", "00H")] == [
        (0, 2, 2),
        (0, 2, 3),
        (0, 0, 0),
        (0, 1, 1),
    ]
    assert len(await grib(client, "001", "06H")) == 6


@pytest.mark.parametrize(
    ("grid", "package", "part", "steps"), [("0025", "SP2", "00H06H", 7), ("001", "SP3", "00H", 1)]
)
async def test_one_file_of_another_package_holds_the_height_of_the_ground_once(
    client: Client, grid: str, package: str, part: str, steps: int
) -> None:
    found = await grib(client, grid, part, package)
    assert [number(message) for message in found] == [(0, 3, 6), *[(0, 3, 0)] * steps]
    ground = found[0]
    assert (ground["typeOfFirstFixedSurface"], ground["level"], ground["endStep"]) == (1, 0, 0)
    assert (ground["dataDate"], ground["generatingProcessIdentifier"]) == (20260715, 204)
    increment = {"0025": 0.025, "001": 0.01}[grid]
    for site in client.world.sites:
        row = round((ground["latitudeOfFirstGridPointInDegrees"] - site.latitude) / increment)
        column = round((site.longitude - ground["longitudeOfFirstGridPointInDegrees"]) / increment)
        assert ground["values"][row, column] == pytest.approx(site.elevation, abs=0.1)
    on_land = ground["values"][ground["values"] != 9999]
    assert 0 < on_land.min() < on_land.max() < 4000


async def test_the_portal_has_the_ground_that_the_storage_has(client: Client) -> None:
    run = "2026-07-15T06:00:00Z"
    product = f"{PORTAL}/0.01/packages/SP3/productARO?referencetime={run}&time=00H&format=grib2"
    body = (await client.get("meteofrance_api", product, headers=APIKEY)).content
    key = f"/pnt/{run}/arome/001/SP3/arome__001__SP3__00H__{run}.grib2"
    assert body == (await client.get("arome", key)).content


def test_the_groups_of_the_coarse_grid_do_not_overlap() -> None:
    assert list(parts("0025"))[:2] == ["00H06H", "07H12H"]
    assert list(parts("0025"))[-1] == "49H51H"
    assert sorted(step for steps in parts("0025").values() for step in steps) == list(range(52))
    assert list(parts("arpege_01"))[:2] == ["000H012H", "013H024H"]
    assert list(parts("arpege_01"))[-1] == "097H102H"
    assert sorted(step for steps in parts("arpege_01").values() for step in steps) == list(range(103))


def test_the_whole_grid_is_the_true_one() -> None:
    world = World(1, now=NOON)
    writer = Writer("0025", world.sites, full_grid=True)
    run = datetime(2026, 7, 15, 6, tzinfo=UTC)
    found = messages(writer.compose(world.view("arome").weather, run, (0,)))
    east = next(message for message in found if number(message) == (0, 2, 2))
    assert (east["Ni"], east["Nj"]) == (1121, 717)
    assert east["latitudeOfFirstGridPointInDegrees"] == 55.4
    assert (east["longitudeOfFirstGridPointInDegrees"], east["longitudeOfLast"]) == (348.0, 16.0)
    assert 0.165 < east["numberOfMissing"] / (1121 * 717) < 0.175
    site = world.sites[0]
    said = Weather(1).forecast("arome_0025", site, run.timestamp(), np.array([run.timestamp()]))
    assert east["values"][round((55.4 - 45.857) / 0.025), round((6.224 + 12) / 0.025)] == pytest.approx(
        said.u[0], abs=0.02
    )


def test_no_two_sites_share_a_cell_and_no_site_is_masked() -> None:
    sites = World(1).sites
    for name in FIELDS:
        grid = cut_around(name, sites)
        assert len({grid.cell(site) for site in sites}) == len(sites)
        assert not any(grid.masked()[grid.cell(site)] for site in sites)
        assert grid.masked().any() == MESHES[name].masked
    assert len({(grid_cell(site)["sn"], grid_cell(site)["we"]) for site in sites}) == len(sites)


def test_files_that_no_longer_fit_in_memory_are_composed_again(world: World) -> None:
    archive = arome.Archive(world, cache_bytes=300_000)
    view = world.view("arome")
    files = [file for file in archive.published(view.now, 1) if file.grid == "0025"][:9]
    bodies = [archive.body(view, file) for file in files]
    assert [archive.body(view, file) for file in files] == bodies


# --- AROME, portal -----------------------------------------------------------------------------------


async def test_the_portal_leads_from_grids_to_a_file_that_is_the_storages(client: Client) -> None:
    async def links(path: str) -> dict[str, str]:
        answer = await client.json("meteofrance_api", path, headers=APIKEY)
        assert answer["links"][0]["rel"] == "self"
        return {link["title"]: link["href"] for link in answer["links"][1:]}

    assert list(await links(PORTAL)) == ["0.01", "0.025"]
    assert list(await links(f"{PORTAL}/0.025/packages")) == ["SP1", "SP2"]
    assert list(await links(f"{PORTAL}/0.01/packages")) == ["SP1", "SP3"]
    runs = await links(f"{PORTAL}/0.025/packages/SP1")
    assert list(runs)[-1] == "2026-07-15T09:00:00Z"
    assert next(iter(runs)) == "2026-07-11T15:00:00Z"  # four days
    steps = await links(runs["2026-07-15T06:00:00Z"])
    assert list(steps) == list(parts("0025"))

    body = (await client.get("meteofrance_api", steps["07H12H"], headers=APIKEY)).content
    run = "2026-07-15T06:00:00Z"
    key = f"/pnt/{run}/arome/0025/SP1/arome__0025__SP1__07H12H__{run}.grib2"
    assert body == (await client.get("arome", key)).content


async def test_the_portal_serves_the_steps_that_are_out_and_no_more(client: Client) -> None:
    path = f"{PORTAL}/0.01/packages/SP1?referencetime=2026-07-15T12:00:00Z"
    at(client.world, "2026-07-15T15:05:00")
    early = (await client.json("meteofrance_api", path, headers=APIKEY))["links"]
    at(client.world, "2026-07-15T15:55:00")
    late = (await client.json("meteofrance_api", path, headers=APIKEY))["links"]
    assert len(early) == 1 + 4
    assert len(late) == 1 + 52
    assert late[1]["time"] == "00H"


async def test_the_portal_refuses_with_the_right_status(client: Client) -> None:
    product = f"{PORTAL}/0.025/packages/SP1/productARO"
    good = f"{product}?referencetime=2026-07-15T06:00:00Z&time=00H06H&format=grib2"

    async def status(path: str, **headers: str) -> int:
        return (await client.get("meteofrance_api", path, headers=headers)).status_code

    assert await status(good, **APIKEY) == 200
    assert await status(good) == 401
    assert await status(good, apikey="another") == 401
    assert await status(good.replace("T06", "T12"), **APIKEY) == 404
    assert await status(good.replace("06:00:00Z", "6h"), **APIKEY) == 400
    assert await status(good.replace("0.025", "0.5"), **APIKEY) == 404
    assert await status(f"{PORTAL}/0.025/packages/HP1", **APIKEY) == 404
    assert await status(f"{PORTAL}/0.025/packages/SP3", **APIKEY) == 404
    assert await status(f"{PORTAL}/0.5/packages", **APIKEY) == 404
    assert await status(PORTAL) == 401
    assert (await client.head("meteofrance_api", good, headers=APIKEY)).status_code == 405


# --- Open-Meteo --------------------------------------------------------------------------------------


async def test_meta_names_the_newest_run_that_was_taken_in(client: Client) -> None:
    path = "/data/meteofrance_arome_france0025/static/meta.json"
    available = open_meteo.SERVED[0].available_at(datetime(2026, 7, 15, 6, tzinfo=UTC))
    assert available == datetime(2026, 7, 15, 11, 24, tzinfo=UTC)
    client.world.set_clock(available)
    meta = await client.json("open_meteo", path)
    assert meta["last_run_initialisation_time"] == datetime(2026, 7, 15, 6, tzinfo=UTC).timestamp()
    assert meta["last_run_availability_time"] == available.timestamp()
    client.world.set_clock(available - timedelta(seconds=1))
    meta = await client.json("open_meteo", path)
    assert meta["last_run_initialisation_time"] == datetime(2026, 7, 15, 3, tzinfo=UTC).timestamp()
    assert (await client.get("open_meteo", "/data/arome_seamless/static/meta.json")).status_code == 404


async def test_a_single_run_has_the_values_of_the_grib(client: Client) -> None:
    answer = await client.json("open_meteo_single_runs", f"{SINGLE_RUN}&run=2026-07-15T06:00")
    hourly = answer["hourly"]
    assert answer["hourly_units"] == {
        "time": "iso8601",
        "wind_speed_10m": "km/h",
        "wind_direction_10m": "°",
        "wind_gusts_10m": "km/h",
        "temperature_2m": "°C",
    }
    assert hourly["time"][0] == "2026-07-15T06:00"
    assert len(hourly["time"]) == 72
    assert hourly["wind_gusts_10m"][0] is None
    assert hourly["wind_speed_10m"][51] is not None
    assert hourly["wind_speed_10m"][52] is None
    run = datetime(2026, 7, 15, 6, tzinfo=UTC).timestamp()
    said = Weather(1).forecast("arome_001", client.world.sites[0], run, np.array([run + 36000]))
    assert hourly["wind_speed_10m"][10] == pytest.approx(said.speed[0], abs=0.25)  # steps of 0.1 m/s
    assert hourly["temperature_2m"][10] == pytest.approx(said.temperature[0], abs=0.05)


async def test_several_places_are_an_array_and_several_models_are_suffixes(client: Client) -> None:
    path = (
        "/v1/forecast?run=2026-07-15T06:00&hourly=temperature_2m&forecast_days=1"
        "&latitude=45.857,45.814&longitude=6.224,6.247"
        "&models=meteofrance_arome_france_hd,meteofrance_arome_france"
    )
    answers = await client.json("open_meteo_single_runs", path)
    assert [answer["longitude"] for answer in answers] == [6.22, 6.25]
    assert list(answers[0]["hourly"]) == [
        "time",
        "temperature_2m_meteofrance_arome_france_hd",
        "temperature_2m_meteofrance_arome_france",
    ]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (f"{SINGLE_RUN}&run=2026-07-15T09:00", "modelRunUnavailable"),
        (f"{SINGLE_RUN}&run=2026-07-15T07:00", "modelRunUnavailable"),
        (SINGLE_RUN, "'run' is missing"),
        (f"{SINGLE_RUN}&run=2026-07-15T06:00".replace("_hd", "_seamless"), "invalid String value"),
        (f"{SINGLE_RUN}&run=2026-07-15T06:00&wind_speed_unit=kn", "km/h"),
    ],
)
async def test_a_run_that_is_not_there_is_a_400_with_its_reason(
    client: Client, query: str, reason: str
) -> None:
    answer = await client.get("open_meteo_single_runs", query)
    assert answer.status_code == 400
    assert answer.json()["error"] is True
    assert reason in answer.json()["reason"]
