"""The FFVL beacons by way of winds.mobi."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from backend.collectors.beacons.winds_mobi import (
    WindsMobi,
    history_seconds,
    parse_history,
    parse_stations,
)
from backend.collectors.ffvl_routes.network import FFVL
from backend.core.errors import FetchError, ParseError
from backend.core.records import Station
from backend.tests.support.fakes import Answer, ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    GUST,
    MOBI,
    NOW,
    SPEED,
    TEMPERATURE,
    TODAY,
    at,
    collected,
    needs,
    payload,
    read,
    values,
)

ROUTE = WindsMobi("https://winds.mobi", FFVL, rank=1)
BULK = f"{MOBI}?provider=ffvl&limit=0"
WIND = {"w-dir": 90, "w-avg": 5.5, "w-max": 9}


def answer(*rows: object) -> bytes:
    return json.dumps(rows).encode()


def station(number: int | str, seconds: float | None = None, **last: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"_id": f"ffvl-{number}", "name": "B", "alt": 10}
    return row if seconds is None else {**row, "last": {"_id": seconds, **WIND, **last}}


def test_a_reading_has_speed_gust_direction_and_temperature_at_its_time() -> None:
    readings, _ = parse_stations(FFVL, payload(read("winds_mobi-stations.json")), {})

    assert values(readings.records, "ffvl:511") == {
        at(13, 4): {SPEED: 14.0, GUST: 23.0, DIRECTION: 292.0, TEMPERATURE: 11.0}
    }
    assert readings.newest == at(13, 4)


@pytest.mark.parametrize("field", ["w-avg", "w-max", "w-dir"])
def test_a_wind_field_that_no_reading_has_is_a_new_format(field: str) -> None:
    lacking = station(5, int(at(13, 0).timestamp()))
    del lacking["last"][field]
    parse_stations(FFVL, payload(answer(lacking, station(6, int(at(13, 0).timestamp())))), {})
    with pytest.raises(ParseError, match=f"no row has the documented field {field}"):
        parse_stations(FFVL, payload(answer(lacking)), {})
    with pytest.raises(ParseError, match=f"no row has the documented field {field}"):
        parse_history(payload(answer(lacking["last"])), "ffvl:5", at(12, 0))


def test_three_zeros_are_no_calm_but_a_mark_for_no_wind_measured_and_the_temperature_stays() -> None:
    readings, _ = parse_stations(FFVL, payload(read("winds_mobi-stations.json")), {})

    assert values(readings.records, "ffvl:512") == {at(12, 58): {TEMPERATURE: 9.0}}
    assert {(r.subject, r.parameter, r.time, r.raw, r.reason) for r in readings.rejected} == {
        ("ffvl:512", parameter, at(12, 58), "0.0", "zero_triplet") for parameter in (SPEED, GUST, DIRECTION)
    }


def test_a_zero_for_one_missing_value_is_rejected_alone() -> None:
    """winds.mobi writes 0 for any mandatory value that a station has not measured."""
    seconds = int(at(13, 0).timestamp())
    body = answer(
        station(37, seconds, **{"w-avg": 0, "w-max": 31.0, "w-dir": 202, "temp": 0}),
        station(38, seconds, **{"w-avg": 22.0, "w-max": 0, "w-dir": 180}),
        station(41, seconds, **{"w-avg": 0, "w-max": 10}),
        station(42, seconds, **{"w-avg": 0, "w-max": 9.9}),
        station(43, seconds, **{"w-avg": 9.9, "w-max": 0}),
    )

    readings, _ = parse_stations(FFVL, payload(body), {})

    assert values(readings.records, "ffvl:37") == {
        at(13, 0): {GUST: 31.0, DIRECTION: 202.0, TEMPERATURE: 0.0}
    }
    assert values(readings.records, "ffvl:38") == {at(13, 0): {SPEED: 22.0, DIRECTION: 180.0}}
    assert values(readings.records, "ffvl:41") == {at(13, 0): {GUST: 10.0, DIRECTION: 90.0}}
    assert values(readings.records, "ffvl:42") == {at(13, 0): {SPEED: 0.0, GUST: 9.9}}
    assert values(readings.records, "ffvl:43") == {at(13, 0): {SPEED: 9.9, GUST: 0.0, DIRECTION: 90.0}}
    assert {(each.subject, each.parameter, each.raw, each.reason) for each in readings.rejected} == {
        ("ffvl:37", SPEED, "0.0", "zero_mean: 0 beside a gust of 31 km/h is a missing value"),
        ("ffvl:38", GUST, "0.0", "zero_gust: 0 beside a mean of 22 km/h is a missing value"),
        ("ffvl:41", SPEED, "0.0", "zero_mean: 0 beside a gust of 10 km/h is a missing value"),
    }


def test_a_history_rejects_a_mean_of_zero_beside_a_gust_too() -> None:
    rows = [{"_id": int(at(12, minute).timestamp()), **WIND, "w-avg": 0, "w-max": 25} for minute in (0, 10)]

    readings = parse_history(payload(answer(*rows)), "ffvl:5", at(11, 0))

    assert {record.parameter for record in readings.records} == {GUST, DIRECTION}
    assert [(each.parameter, each.raw) for each in readings.rejected] == [(SPEED, "0.0")] * 2


def test_a_calm_with_a_gust_is_a_calm_and_has_no_direction() -> None:
    readings, _ = parse_stations(FFVL, payload(read("winds_mobi-stations.json")), {})

    assert values(readings.records, "ffvl:516") == {at(13, 1): {SPEED: 0.0, GUST: 3.0, TEMPERATURE: -2.0}}


def test_a_station_without_a_last_reading_is_described_and_has_no_values() -> None:
    readings, stations = parse_stations(FFVL, payload(read("winds_mobi-stations.json")), {})

    assert stations[3] == Station("ffvl:523", "Roche muette", 45.517, 6.402, 890.0)
    assert "ffvl:523" not in readings.latest


def test_positions_come_with_the_longitude_first() -> None:
    _, stations = parse_stations(FFVL, payload(read("winds_mobi-stations.json")), {})

    assert (stations[0].latitude, stations[0].longitude, stations[0].elevation) == (45.8031, 6.2207, 1745.0)


def test_a_station_without_a_position_or_with_a_third_coordinate_is_described() -> None:
    seconds = int(NOW.timestamp())
    placed = {**station(6, seconds), "loc": {"type": "Point", "coordinates": [6.5, 45.1, 900.0]}}

    _, stations = parse_stations(FFVL, payload(answer(station(5, seconds), placed)), {})

    assert stations[0] == Station("ffvl:5", "B", None, None, 10.0)
    assert (stations[1].latitude, stations[1].longitude) == (45.1, 6.5)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (int((NOW + timedelta(minutes=11)).timestamp()), "future"),
        (0, "invalid_time"),
        (int(NOW.timestamp()) * 1000, "invalid_time"),  # milliseconds
        (10**18, "invalid_time"),
    ],
)
def test_a_time_that_cannot_be_is_rejected(seconds: int, reason: str) -> None:
    body = answer(station(5, seconds), station(6, int(NOW.timestamp())))

    readings, _ = parse_stations(FFVL, payload(body), {})

    [rejected] = readings.rejected
    assert (rejected.subject, rejected.raw) == ("ffvl:5", str(seconds))
    assert rejected.reason.startswith(reason)
    assert set(readings.latest) == {"ffvl:6"}


def test_a_value_that_is_null_or_left_out_is_absent_and_text_is_no_number() -> None:
    seconds = int(NOW.timestamp())
    body = answer(station(5, seconds, temp="warm", **{"w-max": None}))

    readings, _ = parse_stations(FFVL, payload(body), {})

    assert values(readings.records, "ffvl:5") == {at(13, 10): {SPEED: 5.5, DIRECTION: 90.0}}
    assert [(r.parameter, r.raw, r.reason) for r in readings.rejected] == [
        (TEMPERATURE, "warm", "not_a_number")
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "an empty array"),
        (b"{}", "Expected `array`, got `object`"),
        (b'{"detail": "too many calls"}', "Expected `array`, got `object`"),
        (answer({"_id": "pioupiou-5"}), "row is of 'pioupiou-5'"),
        (answer({"_id": "ffvl-"}), "row is of 'ffvl-'"),
        (answer({"_id": "ffvl-1e3"}), "row is of 'ffvl-1e3'"),
        (answer(station(5), station(6)), "none of 2 stations"),
        (answer(station(5, 12)), "none of 1 stations"),
        (answer({"name": "no id"}), "_id"),
        (answer({**station(5), "loc": {"coordinates": [6.1]}}), "length"),
        (b"", "truncated"),
    ],
)
def test_an_answer_in_another_shape_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_stations(FFVL, payload(body), {})
    assert reason in caught.value.reason
    assert caught.value.url == "https://somewhere.example/feed"


def test_a_history_gives_every_reading_later_than_the_last_stored_one() -> None:
    readings = parse_history(payload(read("winds_mobi-historic-511.json")), "ffvl:511", at(12, 14))

    table = values(readings.records, "ffvl:511")
    assert {time: row.get(SPEED) for time, row in table.items()} == {
        at(13, 4): 14.0,
        at(12, 54): 13.0,
        at(12, 44): None,  # 0/0/0
    }


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (NOW - timedelta(minutes=90), 5400 + 3600),
        (NOW - timedelta(days=7), 604_800),
        (NOW - timedelta(days=30), 604_800),
    ],
)
def test_a_history_is_counted_back_from_the_last_reading_with_an_hours_margin_and_seven_days_at_most(
    after: datetime, seconds: int
) -> None:
    assert history_seconds(after, NOW) == seconds


async def test_mapped_stations_with_a_gap_are_asked_for_their_history_one_after_the_other() -> None:
    script: dict[str, Answer] = {
        BULK: read("winds_mobi-stations.json"),
        f"{MOBI}ffvl-511/historic/": read("winds_mobi-historic-511.json"),
        f"{MOBI}ffvl-516/historic/": FetchError("HTTP 503", status=503),
    }
    fetch = ScriptedFetch(script, now=NOW)
    complete_until = {"ffvl:511": at(12, 4), "ffvl:512": at(12, 48), "ffvl:516": at(12, 1)}
    mapped = ("ffvl:511", "ffvl:512", "ffvl:516", "ffvl:523")

    bulk, good, broken = await collected(ROUTE, needs(*mapped, complete_until=complete_until), fetch)

    assert fetch.urls == [
        BULK,
        f"{MOBI}ffvl-511/historic/?duration=7200",
        f"{MOBI}ffvl-516/historic/?duration=7200",
    ]
    assert [batch.complete_until for batch in (bulk, good, broken)] == [
        {"ffvl:512": at(12, 58)},
        {"ffvl:511": at(13, 4)},
        {},
    ]
    assert (bulk.source, bulk.route, bulk.rank, bulk.listed) == ("ffvl", "winds_mobi", 1, None)
    assert (bulk.averaging_minutes, bulk.direction_resolution) == (None, 22.5)
    assert set(values(good.records, "ffvl:511")) == {at(12, 14), at(12, 44), at(12, 54), at(13, 4)}
    assert [failure.reason for failure in broken.failures] == ["HTTP 503"]


async def test_only_stations_without_a_description_are_introduced() -> None:
    fetch = ScriptedFetch({BULK: read("winds_mobi-stations.json")}, now=NOW)
    known = {"ffvl:511": Station("ffvl:511", "Crête du Loup", kind="FFVL", remarks="Abritée.")}

    [batch] = await collected(ROUTE, needs(known=known, listed=TODAY), fetch)

    assert [station.id for station in batch.stations] == ["ffvl:512", "ffvl:516", "ffvl:523"]
    assert [each.station for each in batch.positions] == ["ffvl:511", "ffvl:512", "ffvl:516", "ffvl:523"]


async def test_a_known_station_is_described_again_when_it_changes_and_no_list_is_read() -> None:
    fetch = ScriptedFetch({BULK: read("winds_mobi-stations.json")}, now=NOW)
    [first] = await collected(ROUTE, needs(), fetch)
    known = {station.id: station for station in first.stations}
    known["ffvl:511"] = replace(known["ffvl:511"], latitude=44.0)

    [batch] = await collected(ROUTE, needs(known=known), fetch)

    assert [(station.id, station.latitude) for station in batch.stations] == [
        ("ffvl:511", next(each.latitude for each in first.stations if each.id == "ffvl:511"))
    ]


@pytest.mark.parametrize("known", ["ffvl:523", "ffvl:777"])
async def test_a_known_station_without_a_last_reading_is_not_requested_and_not_complete(
    known: str,
) -> None:
    fetch = ScriptedFetch({BULK: read("winds_mobi-stations.json")}, now=NOW)
    stored = {"ffvl:777": Station("ffvl:777", "Silent for a month, and hidden by winds.mobi")}

    [bulk] = await collected(ROUTE, needs(known, known=stored), fetch)

    assert fetch.urls == [BULK]
    assert bulk.complete_until == {}


async def test_an_unknown_mapped_station_is_a_failure_that_names_sites_toml() -> None:
    fetch = ScriptedFetch({BULK: read("winds_mobi-stations.json")}, now=NOW)

    _, unknown = await collected(ROUTE, needs("ffvl:777"), fetch)

    [failure] = unknown.failures
    assert "ffvl:777" in failure.reason
    assert "sites.toml" in failure.reason
    assert (failure.route, failure.url) == ("winds_mobi", BULK)


async def test_an_empty_history_is_a_failure_only_if_the_station_reports() -> None:
    silent = int(at(11, 0).timestamp())
    reference_days = int(at(13, 4).timestamp())
    script: dict[str, Answer] = {
        BULK: answer(station(5, silent), station(6, reference_days)),
        f"{MOBI}ffvl-5/historic/": b"[]",
        f"{MOBI}ffvl-6/historic/": b"[]",
    }

    _, quiet, broken = await collected(ROUTE, needs("ffvl:5", "ffvl:6"), ScriptedFetch(script, now=NOW))

    assert (quiet.failures, quiet.complete_until) == ((), {"ffvl:5": at(11, 0)})
    assert [failure.reason for failure in broken.failures] == [
        "an empty history, but ffvl:6 has a reading of 13:04 UTC"
    ]
    assert broken.complete_until == {}


@pytest.mark.parametrize(("alt", "elevation"), [(0, None), (0.0, None), (None, None), (-2, -2.0), (1, 1.0)])
def test_an_elevation_of_0_is_not_known(alt: float | None, elevation: float | None) -> None:
    row = {**station(5, int(NOW.timestamp())), "alt": alt}

    _, [described] = parse_stations(FFVL, payload(answer(row)), {})

    assert described.elevation == elevation
