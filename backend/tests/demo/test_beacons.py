"""The stand-ins of what beacons measure: true formats with their quirks, and the clocks of Paris."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from backend.core.clock import PARIS
from backend.demo.weather import Weather
from backend.tests.support.demo_client import FFVL, NOON, Client, at

# --- FFVL --------------------------------------------------------------------------------------------


async def test_the_feed_starts_with_a_byte_order_mark_and_has_only_texts(client: Client) -> None:
    answer = await client.get("ffvl", f"{FFVL}&r=releves_meteo")
    assert answer.content.startswith(b"\xef\xbb\xbf[")
    rows = {row["idbalise"]: row for row in json.loads(answer.content.decode("utf-8-sig"))}
    assert rows.keys() == {*(f"900{n}" for n in range(1, 10)), "9090", "9091", "9777"}
    for row in rows.values():
        assert all(value is None or isinstance(value, str) for value in row.values())
        assert int(row["directVentMoy"]) in range(0, 360, 2)  # 22, 44, 66, 90...: cut to even numbers
        assert re.fullmatch(r"\d+", row["vitesseVentMoy"])
    fresh = datetime.fromisoformat(rows["9001"]["date"]).replace(tzinfo=PARIS)
    assert timedelta(minutes=2) <= NOON - fresh <= timedelta(minutes=23)
    assert NOON - datetime.fromisoformat(rows["9090"]["date"]).replace(tzinfo=PARIS) > timedelta(days=120)


async def test_the_list_spells_its_id_with_a_capital_and_names_the_maker(client: Client) -> None:
    beacons = {beacon["idBalise"]: beacon for beacon in await client.json("ffvl", f"{FFVL}&r=list")}
    assert beacons["9001"]["nom"] == "Planfait (démo 9001)"
    assert (beacons["9001"]["latitude"], beacons["9001"]["altitude"]) == ("45.8570", "930")
    assert beacons["9001"]["station_type"] == "FFVL"
    assert beacons["9777"]["station_type"] == "PIOUPIOU"


async def test_the_history_is_newest_first_and_reaches_back_72_hours(client: Client) -> None:
    async def history(hours: str) -> list[datetime]:
        rows = await client.json("ffvl", f"{FFVL}&r=histo&idbalise=9003&hours={hours}")
        assert all(set(row) >= {"idbalise", "date", "vitesseVentMoy", "temperature"} for row in rows)
        assert all("directVentInst" not in row for row in rows)
        return [datetime.fromisoformat(row["date"]) for row in rows]

    three_days = await history("72")
    assert three_days == sorted(three_days, reverse=True)
    assert 400 < len(three_days) < 432  # single slots are missing
    gaps = {round((a - b) / timedelta(minutes=1)) for a, b in pairwise(three_days)}
    assert gaps <= {10, 20, 30, 40}
    assert await history("200") == three_days
    assert len(await history("2")) <= 12
    assert await history("two") == []
    assert await client.json("ffvl", f"{FFVL}&r=histo&idbalise=1&hours=2") == []


async def test_wind_and_temperature_are_null_now_and_then(client: Client) -> None:
    rows = [
        row
        for number in range(9001, 9010)
        for row in await client.json("ffvl", f"{FFVL}&r=histo&idbalise={number}&hours=72")
    ]
    windless = [row for row in rows if row["vitesseVentMoy"] is None]
    assert 0 < len(windless) < 0.02 * len(rows)
    assert all(row["vitesseVentMax"] is None and row["directVentMoy"] is None for row in windless)
    assert 0 < sum(row["temperature"] is None for row in rows) < 0.06 * len(rows)


async def test_beacons_see_the_truth_within_their_noise_and_rounding(client: Client) -> None:
    rows = await client.json("ffvl", f"{FFVL}&r=histo&idbalise=9001&hours=72")
    said = [row for row in rows if row["vitesseVentMoy"] and row["temperature"]]
    times = np.array([datetime.fromisoformat(row["date"]).replace(tzinfo=PARIS).timestamp() for row in said])
    truth = Weather(1).truth(client.world.sites[0], times)
    speed = np.array([float(row["vitesseVentMoy"]) for row in said])
    direction = np.array([float(row["directVentMoy"]) for row in said])
    assert np.abs(speed - truth.speed).max() < 3.0
    assert (speed - truth.speed).mean() == pytest.approx(0.0, abs=0.1)
    assert np.abs((direction - truth.direction + 180) % 360 - 180).max() < 11.25 + 1.5 + 12.0


@pytest.mark.parametrize(
    "query", ["key=wrong&base=balises&r=list", "base=balises&r=list", "key=demo-ffvl&base=balises&r=x"]
)
async def test_a_refused_key_is_html_with_http_200(client: Client, query: str) -> None:
    answer = await client.get("ffvl", f"/api/?{query}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert re.search(r"error#\d", answer.text)


@pytest.mark.parametrize(
    ("now", "first", "last"),
    [
        ("2026-10-25T02:00", "2026-10-25T00:00", "2026-10-25T01:59"),
        ("2026-03-29T02:30", "2026-03-29T00:30", "2026-03-29T02:29"),
    ],
)
async def test_stamps_are_what_the_clocks_of_paris_show_across_both_changes(
    client: Client, now: str, first: str, last: str
) -> None:
    at(client.world, now)
    local = [row["date"] for row in await client.json("ffvl", f"{FFVL}&r=histo&idbalise=9002&hours=2")]
    epochs = [
        m["_id"]
        for m in await client.json("winds_mobi", "/api/2.3/stations/ffvl-9002/historic/?duration=9000")
    ]
    shown = {f"{datetime.fromtimestamp(epoch, PARIS):%Y-%m-%d %H:%M:%S}" for epoch in epochs}
    assert set(local[1:-1]) <= shown
    if now.startswith("2026-10"):
        # 00:00 to 02:00 UTC is 02:00 to 03:00 twice
        assert len(local) > 8
        assert all(stamp.startswith("2026-10-25 02:") for stamp in local)
    else:
        assert not any(stamp.startswith("2026-03-29 02:") for stamp in local)
        assert any(stamp.startswith("2026-03-29 01:") for stamp in local)
        assert any(stamp.startswith("2026-03-29 03:") for stamp in local)


# --- winds.mobi --------------------------------------------------------------------------------------


async def test_the_bulk_answer_has_every_beacon_of_the_ffvl_and_no_other_network(client: Client) -> None:
    stations = {
        s["_id"]: s for s in await client.json("winds_mobi", "/api/2.3/stations/?provider=ffvl&limit=0")
    }
    assert stations.keys() == {*(f"ffvl-900{n}" for n in range(1, 10)), "ffvl-9091"}
    planfait = stations["ffvl-9001"]
    assert planfait["loc"]["coordinates"] == [6.224, 45.857]  # longitude first
    assert planfait["alt"] == 930
    assert timedelta(minutes=6) <= NOON - datetime.fromtimestamp(planfait["last"]["_id"], UTC)
    assert isinstance(planfait["last"]["w-avg"], float)
    assert "last" not in stations["ffvl-9091"]  # silent for 12 to 19 days
    assert len(await client.json("winds_mobi", "/api/2.3/stations/?provider=ffvl&limit=4")) == 4
    assert len(await client.json("winds_mobi", "/api/2.3/stations/?ids=ffvl-9001&ids=ffvl-9002")) == 2
    of_slf = await client.json("winds_mobi", "/api/2.3/stations/?provider=slf&limit=0")
    assert {station["_id"] for station in of_slf} == {"slf-DEM1", "slf-DEM2", "slf-DEM9"}
    assert await client.json("winds_mobi", "/api/2.3/stations/?provider=holfuy&limit=0") == []


async def test_the_history_goes_back_from_the_stations_last_value_and_at_most_a_week(client: Client) -> None:
    readings = await client.json("winds_mobi", "/api/2.3/stations/ffvl-9004/historic/?duration=99999999")
    epochs = [reading["_id"] for reading in readings]
    assert epochs == sorted(epochs, reverse=True)
    assert 950 < len(epochs) <= 1008
    assert epochs[0] - epochs[-1] <= 7 * 86400
    assert (await client.get("winds_mobi", "/api/2.3/stations/ffvl-1/historic/")).status_code == 404


async def test_a_wind_that_was_null_at_the_ffvl_is_zero_here(client: Client) -> None:
    rows = await client.json("ffvl", f"{FFVL}&r=histo&idbalise=9005&hours=72")
    null = [row["date"] for row in rows if row["vitesseVentMoy"] is None]
    history = await client.json("winds_mobi", "/api/2.3/stations/ffvl-9005/historic/?duration=259200")
    zeros = [
        f"{datetime.fromtimestamp(m['_id'], PARIS):%Y-%m-%d %H:%M:%S}"
        for m in history
        if (m["w-dir"], m["w-avg"], m["w-max"]) == (0, 0.0, 0.0)
    ]
    assert zeros
    assert zeros == null


# --- balisemeteo -------------------------------------------------------------------------------------


async def test_a_page_shows_its_values_only_to_who_has_the_cookie(client: Client) -> None:
    masked = (await client.get("balisemeteo", "/balise.php?idBalise=9001")).text
    assert "!!! WARNING !!!" in masked
    await client.get("balisemeteo", "/index.php")
    page = LexborHTMLParser((await client.get("balisemeteo", "/balise.php?idBalise=9001")).text)
    assert "!!! WARNING !!!" not in page.text()
    assert re.fullmatch(r"Relevé du 15/07/2026 - 14:\d\d", page.css("div.Titre")[0].text())
    labels = [cell.text() for cell in page.css("td.label")]
    assert labels.count("Direction :") == labels.count("Vitesse :") == 2  # again for the gust
    values = [cell.text() for cell in page.css("td.valeur")]
    assert re.fullmatch(r"[NESO]{1,3} : \d+°", values[0])
    assert re.fullmatch(r"\d+ km/h", values[1])
    gust = int(values[6].removesuffix(" km/h"))
    assert gust >= int(values[1].removesuffix(" km/h"))


async def test_an_unknown_beacon_is_a_text_of_its_own(client: Client) -> None:
    assert (
        "ERROR2 : no data for idBalise:7" in (await client.get("balisemeteo", "/balise.php?idBalise=7")).text
    )


# --- ROMMA -------------------------------------------------------------------------------------------


async def test_the_xml_has_a_reading_per_station_and_marks_the_dead_one(client: Client) -> None:
    answer = await client.get("romma", "/releves_romma_xml.php?id=demo-romma")
    rows = {row.findtext("id"): row for row in etree.fromstring(answer.content)}
    assert rows.keys() == {*(f"90{n}" for n in range(1, 10)), "990"}
    passy = rows["907"]
    assert passy.findtext("valide") == "1"
    assert re.fullmatch(r"15-07-2026 14:\d\d", str(passy.findtext("date")))
    assert re.fullmatch(r"\d+", str(passy.findtext("vent_moyen_10")))
    assert re.fullmatch(r"[NESO]{1,3}", str(passy.findtext("direction")))
    assert rows["990"].findtext("valide") == "0"


async def test_a_wrong_key_gets_an_empty_document(client: Client) -> None:
    answer = await client.get("romma", "/releves_romma_xml.php?id=wrong")
    assert answer.status_code == 200
    assert len(etree.fromstring(answer.content)) == 0


async def test_an_hour_below_ten_has_one_digit(client: Client) -> None:
    at(client.world, "2026-01-18T07:30")
    answer = await client.get("romma", "/releves_romma_xml.php?id=demo-romma")
    assert re.search(r"<date>18-01-2026 8:\d\d</date>", answer.text)
    at(client.world, "2026-02-02T06:30")
    page = (await client.get("romma", "/station_24.php?id=901")).text
    assert re.search(r"le 2 F&eacute;vrier 2026   7:\d\d", page)


async def test_the_page_has_two_distinct_gusts(client: Client) -> None:
    page = LexborHTMLParser((await client.get("romma", "/station_24.php?id=907")).text)
    text = page.css("#affichage_simple")[0].text()
    ten_minutes = re.search(r"Rafale maxi sur 10 min : (\d+) km/h", text)
    today = re.search(r"Rafale maxi depuis 0h : (\d+) km/h à \d\d:\d\d", text)
    assert ten_minutes
    assert today
    assert int(today[1]) >= int(ten_minutes[1])
    assert page.css("span.bigTexte")[0].text() != "---"
    assert "Température" in page.css("td.grandeur")[0].text()
    assert "affichage_simple" not in (await client.get("romma", "/station_24.php?id=1")).text


async def test_what_a_station_did_not_measure_is_marked_missing(client: Client) -> None:
    missing = set()
    for hour in range(24):
        at(client.world, f"2026-07-{1 + hour:02}T{hour:02}:00")
        answer = await client.get("romma", "/releves_romma_xml.php?id=demo-romma")
        missing |= {
            cell.tag
            for row in etree.fromstring(answer.content)[:9]
            for cell in row
            if cell.text in {"--", "---", "--.-"}
        }
    assert {"temperature", "vent_moyen_10", "direction"} <= missing


# --- Pioupiou ----------------------------------------------------------------------------------------


async def test_pioupiou_reports_quarters_of_a_km_h_and_sixteen_directions_in_utc(client: Client) -> None:
    items = {item["id"]: item for item in (await client.json("pioupiou", "/v1/live/all"))["data"]}
    assert items.keys() == {None, *range(8001, 8010), 8090, 8091}
    said = items[8001]["measurements"]
    assert 4 * said["wind_speed_avg"] == round(4 * said["wind_speed_avg"])
    assert said["wind_heading"] % 22.5 == 0
    assert said["wind_speed_min"] <= said["wind_speed_avg"] <= said["wind_speed_max"]
    fresh = datetime.fromisoformat(said["date"])
    assert timedelta(minutes=1) <= NOON - fresh <= timedelta(minutes=32)


async def test_a_pioupiou_that_is_off_reports_zero_and_a_lost_one_a_dummy_position(client: Client) -> None:
    items = {item["id"]: item for item in (await client.json("pioupiou", "/v1/live/all"))["data"]}
    off, lost = items[8090], items[8091]
    assert (off["status"]["state"], off["measurements"]["wind_speed_avg"]) == ("off", 0)
    assert off["measurements"]["wind_speed_max"] is None
    assert (lost["location"]["success"], lost["location"]["latitude"]) == (False, 0.12345)


async def test_the_archive_of_a_pioupiou_is_oldest_first_with_the_lull_before_the_mean(
    client: Client,
) -> None:
    path = "/v1/archive/8003?start=2026-07-10T00:00:00Z&stop=2026-07-12T00:00:00Z"
    archive = await client.json("pioupiou", path)
    assert archive["legend"][3:6] == ["wind_speed_min", "wind_speed_avg", "wind_speed_max"]
    times = [row[0] for row in archive["data"]]
    assert times == sorted(times)
    assert 250 < len(times) < 288
    assert times[0].startswith("2026-07-10T00")
    assert times[-1].startswith("2026-07-11T23")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("9?start=2026-07-10T00:00:00Z&stop=2026-07-12T00:00:00Z", 404, "station_not_found"),
        ("8001?start=yesterday&stop=now", 400, "invalid_argument"),
        ("8001?start=2026-06-10T00:00:00Z&stop=2026-07-12T00:00:00Z", 413, "request_too_large"),
    ],
)
async def test_pioupiou_refuses_with_a_status_and_a_code(
    client: Client, path: str, status: int, code: str
) -> None:
    answer = await client.get("pioupiou", f"/v1/archive/{path}")
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
