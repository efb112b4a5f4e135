"""Each fault of the stand-ins has its effect on the chosen answers, and on no others."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from datetime import datetime

import httpx2
import numpy as np
import pytest
import pytest_asyncio

from backend.demo.faults import Fault
from backend.demo.process import Upstreams
from backend.demo.server import serving
from backend.demo.world import UPSTREAMS, World
from backend.tests.support.demo_client import (
    APIKEY,
    ASK,
    FFVL,
    NOON,
    Client,
    at,
    grib,
    messages,
    number,
    sounding,
)
from backend.tests.support.waiting import HANG_SECONDS

SOUNDING = sounding("2026071500", "20260715")
SAYS_MORE = {**ASK, "meteo_parapente": SOUNDING}  # the answer that holds the values
PAGE = "/station_24.php?id=901"
FILE = "/pnt/2026-07-15T06:00:00Z/arome/001/SP1/arome__001__SP1__06H__2026-07-15T06:00:00Z.grib2"  # one step


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=HANG_SECONDS) as http:
        yield http


# --- Which answer ------------------------------------------------------------------------------------


async def test_a_fault_strikes_everything_or_the_addresses_that_hold_a_text(client: Client) -> None:
    client.world.set_faults({"romma": "500@id=901"})
    assert client.world.faults() == {"romma": "500@id=901"}
    assert (await client.get("romma", PAGE)).status_code == 500
    assert (await client.get("romma", PAGE.replace("901", "902"))).status_code == 200
    client.world.set_faults({"romma": "500"})
    assert (await client.get("romma", PAGE.replace("901", "902"))).status_code == 500


async def test_one_absurd_page_leaves_the_others_true(client: Client) -> None:
    client.world.set_faults({"romma": "absurd@id=901"})
    assert ">9999</span> km/h" in (await client.get("romma", PAGE)).text
    assert ">9999</span> km/h" not in (await client.get("romma", PAGE.replace("901", "902"))).text


# --- How it arrives ----------------------------------------------------------------------------------


async def test_an_upstream_that_refuses_is_closed_until_the_fault_is_off(
    http: httpx2.AsyncClient,
) -> None:
    async with Upstreams(now=NOON) as upstreams:
        romma, ffvl = (upstreams.environment[f"{name}_url"] + ASK[name] for name in ("romma", "ffvl"))
        assert (await http.get(romma)).status_code == 200
        await upstreams.set_faults({"romma": "refuse"})
        with pytest.raises(httpx2.ConnectError):
            await http.get(romma)
        assert (await http.get(ffvl)).status_code == 200
        await upstreams.set_faults({"romma": None})
        assert (await http.get(romma)).status_code == 200


async def test_a_part_that_refuses_resets_the_connection(world: World, http: httpx2.AsyncClient) -> None:
    async with serving(world) as addresses:
        world.set_faults({"romma": "refuse@id=901"})
        with pytest.raises(httpx2.TransportError):
            await http.get(addresses["ROMMA_URL"] + PAGE)
        assert (await http.get(addresses["ROMMA_URL"] + PAGE.replace("901", "902"))).status_code == 200


async def test_a_reset_comes_after_the_answer_began(world: World, http: httpx2.AsyncClient) -> None:
    async with serving(world) as addresses:
        world.set_faults({"romma": "reset"})
        with pytest.raises(httpx2.ReadError):
            async with http.stream("GET", addresses["ROMMA_URL"] + PAGE) as answer:
                assert int(answer.headers["Content-Length"]) > 600
                await answer.aread()


async def test_a_dripping_answer_begins_at_once_and_takes_its_time(
    world: World, http: httpx2.AsyncClient
) -> None:
    async with serving(world) as addresses:
        world.set_faults({"romma": "drip"})
        async with http.stream("GET", addresses["ROMMA_URL"] + PAGE) as answer:
            pieces = answer.aiter_raw()
            assert [await anext(pieces) for _ in range(2)] == [b"<", b"!"]


@pytest.mark.parametrize("status", ["401", "403", "404", "429", "500", "503"])
async def test_a_status_is_answered(client: Client, status: str) -> None:
    client.world.set_faults({"arome": status})
    answer = await client.get("arome", ASK["arome"])
    assert answer.status_code == int(status)
    assert ("Retry-After" in answer.headers) is (status == "429")


async def test_a_login_is_on_another_host_and_maintenance_is_a_page(client: Client) -> None:
    client.world.set_faults({"ffvl": "login", "romma": "maintenance"})
    login, maintenance = await client.get("ffvl", ASK["ffvl"]), await client.get("romma", ASK["romma"])
    assert (login.status_code, login.headers["Location"][:27]) == (302, "https://login.example.org/?")
    assert (maintenance.status_code, maintenance.headers["Content-Type"][:9]) == (200, "text/html")
    assert "en maintenance" in maintenance.text


# --- What it holds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UPSTREAMS)
async def test_a_cut_document_is_half_of_it_and_well_framed(client: Client, name: str) -> None:
    whole = (await client.get(name, ASK[name], headers=APIKEY)).content
    client.world.set_faults({name: "cut"})
    answer = await client.get(name, ASK[name], headers=APIKEY)
    assert answer.content == whole[: len(whole) // 2]
    assert answer.headers["Content-Length"] == str(len(answer.content))


@pytest.mark.parametrize("name", UPSTREAMS)
async def test_a_document_in_latin_1_is_no_utf_8(client: Client, name: str) -> None:
    client.world.set_faults({name: "latin_1"})
    answer = await client.get(name, ASK[name], headers=APIKEY)
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()
    assert "é" in answer.content.decode("latin-1") or "°" in answer.content.decode("latin-1")


async def test_a_grib_file_is_no_text(client: Client) -> None:
    before = (await client.get("arome", FILE)).content
    client.world.set_faults({"arome": "latin_1"})
    assert (await client.get("arome", FILE)).content == before


@pytest.mark.parametrize(
    ("name", "fault", "gone"),
    [
        ("meteo_parapente", Fault.MISSING_FIELDS, '"umet"'),
        ("arome", Fault.MISSING_FIELDS, "<Size>"),
        ("meteofrance_api", Fault.MISSING_FIELDS, '{"href":"'),
        ("open_meteo", Fault.MISSING_FIELDS, '"last_run_initialisation_time"'),
        ("open_meteo_single_runs", Fault.MISSING_FIELDS, '"wind_speed_10m":['),
        ("ffvl", Fault.MISSING_FIELDS, '"vitesseVentMoy"'),
        ("winds_mobi", Fault.MISSING_FIELDS, '"w-avg"'),
        ("balisemeteo", Fault.MISSING_FIELDS, ">Vitesse :<"),
        ("romma", Fault.MISSING_FIELDS, "<vent_moyen_10>"),
        ("meteo_parapente", Fault.NO_TEMPERATURE, '"tc"'),
        ("open_meteo_single_runs", Fault.NO_TEMPERATURE, '"temperature_2m":['),
        ("open_meteo_single_runs", Fault.NO_GUSTS, '"wind_gusts_10m":['),
        ("ffvl", Fault.NO_TEMPERATURE, '"temperature"'),
        ("winds_mobi", Fault.NO_TEMPERATURE, '"temp"'),
        ("balisemeteo", Fault.NO_TEMPERATURE, "Température"),
        ("romma", Fault.NO_TEMPERATURE, "<temperature>"),
    ],
)
async def test_a_field_is_left_out_and_the_document_stays_whole(
    client: Client, name: str, fault: Fault, gone: str
) -> None:
    before = (await client.get(name, SAYS_MORE[name], headers=APIKEY)).text
    client.world.set_faults({name: fault})
    after = (await client.get(name, SAYS_MORE[name], headers=APIKEY)).text
    assert gone in before
    assert gone not in after
    assert len(after) > 0.1 * len(before)
    if before.lstrip("\ufeff").startswith(("{", "[")):
        json.loads(after.lstrip("\ufeff"))


@pytest.mark.parametrize(
    ("name", "path", "shown"),
    [
        ("meteo_parapente", SOUNDING, '"umet":["NaN"'),
        ("open_meteo_single_runs", ASK["open_meteo_single_runs"], '"wind_speed_10m":[NaN'),
        ("ffvl", ASK["ffvl"], '"vitesseVentMoy":"NaN"'),
        ("winds_mobi", ASK["winds_mobi"], '"w-avg":NaN'),
        ("balisemeteo", ASK["balisemeteo"], "NaN km/h"),
        ("romma", ASK["romma"], "<vent_moyen_10>NaN<"),
        ("romma", PAGE, '<span class="bigTexte">NaN</span>'),
    ],
)
async def test_a_mean_wind_is_no_number(client: Client, name: str, path: str, shown: str) -> None:
    assert shown not in (await client.get(name, path)).text
    client.world.set_faults({name: "nan"})
    assert shown in (await client.get(name, path)).text


@pytest.mark.parametrize(
    ("name", "path", "odd"),
    [
        ("ffvl", ASK["ffvl"], '[{"idBalise":false,"idbalise":false},{'),
        ("winds_mobi", ASK["winds_mobi"], '[{"_id":false},{'),
        ("pioupiou", ASK["pioupiou"], '"data":[null,{'),
        ("romma", ASK["romma"], "<releve><id>--</id></releve><releve>"),
    ],
)
async def test_one_row_is_in_another_shape(client: Client, name: str, path: str, odd: str) -> None:
    before = (await client.get(name, path)).text
    client.world.set_faults({name: "odd_row"})
    after = (await client.get(name, path)).text
    assert odd not in before
    assert odd in after


async def test_a_mean_beside_a_gust_is_zero(client: Client) -> None:
    client.world.set_faults({"winds_mobi": "zero_mean"})
    stations = await client.json("winds_mobi", ASK["winds_mobi"])
    said = [row["last"] for row in stations if "last" in row]
    gusty = [reading for reading in said if reading["w-max"] >= 12]
    assert gusty and all(reading["w-avg"] == 0 for reading in gusty)


async def test_a_page_of_romma_can_miss_a_field_too(client: Client) -> None:
    for fault, gone in ((Fault.MISSING_FIELDS, "Moyen sur 10min"), (Fault.NO_TEMPERATURE, "&deg;C")):
        client.world.set_faults({"romma": fault})
        text = (await client.get("romma", PAGE)).text
        assert gone not in text
        assert "Direction :" in text


async def test_a_file_misses_a_field_or_has_a_nan_for_the_wind(client: Client) -> None:
    whole = await grib(client, "001", "06H")
    assert {(0, 2, 2), (0, 0, 0)} < {number(message) for message in whole}
    for fault, gone in ((Fault.MISSING_FIELDS, (0, 2, 2)), (Fault.NO_TEMPERATURE, (0, 0, 0))):
        client.world.set_faults({"arome": fault})
        left = {number(message) for message in await grib(client, "001", "06H")}
        assert left == {number(message) for message in whole} - {gone}
    client.world.set_faults({"arome": "nan"})
    east, north = (await grib(client, "001", "06H"))[:2]
    masked = whole[0]["values"] == 9999.0
    assert np.isnan(east["values"][~masked]).all()
    assert (east["values"][masked] == 9999.0).all()
    assert (north["values"] == whole[1]["values"]).all()
    assert math.isfinite(north["values"].sum())


async def test_the_listing_announces_the_size_of_the_file_that_is_served(client: Client) -> None:
    listing = f"/?list-type=2&prefix={FILE[1:]}"
    for fault in (Fault.NAN, Fault.ABSURD, Fault.FUTURE):
        client.world.set_faults({"arome": fault})
        size = len((await client.get("arome", FILE)).content)
        assert f"<Size>{size}</Size>" in (await client.get("arome", listing)).text


# --- When it is from ---------------------------------------------------------------------------------


async def test_the_future_is_a_day_ahead(client: Client) -> None:
    client.world.set_faults(dict.fromkeys(UPSTREAMS, "future"))
    assert "16-07-2026 14:" in (await client.get("romma", ASK["romma"])).text
    rows = await client.json("ffvl", ASK["ffvl"])
    assert max(row["date"] for row in rows)[:13] == "2026-07-16 14"
    pairs = (await client.json("meteo_parapente", "/status.php"))["france"]
    assert max(pair["run"] for pair in pairs) >= "2026071600"
    listing = (await client.get("arome", ASK["arome"])).text
    assert "<LastModified>2026-07-16T" in listing
    content = (await client.get("arome", FILE)).content
    assert {message["dataDate"] for message in messages(content)} == {20260716}
    answer = await client.json("open_meteo_single_runs", ASK["open_meteo_single_runs"])
    assert answer["hourly"]["time"][0] == "2026-07-16T06:00"


@pytest.mark.parametrize(
    ("now", "stamp"),
    [
        ("2026-03-29T00:50", "2026-03-29 01:"),  # before the change
        ("2026-03-29T01:50", "2026-03-29 02:"),  # 03:4x in Paris, where there was no 02:4x
        ("2026-03-29T02:50", "2026-03-29 04:"),  # an hour late, and right again
    ],
)
async def test_clocks_go_forward_an_hour_late_in_march(client: Client, now: str, stamp: str) -> None:
    at(client.world, now)
    client.world.set_faults({"ffvl": "missing_hour"})
    rows = await client.json("ffvl", f"{FFVL}&r=releves_meteo")
    assert {row["date"][:14] for row in rows if row["idbalise"] in {"9001", "9002"}} == {stamp}
    assert datetime.fromisoformat(rows[0]["date"])
