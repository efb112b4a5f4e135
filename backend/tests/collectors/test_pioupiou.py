"""The beacons of Pioupiou / OpenWindMap: one answer for all of them, and the archive of one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from backend.collectors import observation_sources, pioupiou
from backend.collectors.base import collect
from backend.collectors.pioupiou import Live, parse_archive, parse_live
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.records import Station
from backend.tests.support import fuzz_targets as fuzz
from backend.tests.support.fakes import PAYLOADS, Answer, ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    GUST,
    NOW,
    SPEED,
    at,
    collected,
    needs,
    payload,
    reasons,
    values,
)

ROUTE = Live("https://pioupiou.test")
LIVE = "https://pioupiou.test/v1/live/all"
ARCHIVE = "https://pioupiou.test/v1/archive/"


def read(name: str) -> bytes:
    return (PAYLOADS / "pioupiou" / name).read_bytes()


def second(hour: int, minute: int, second: int) -> datetime:
    return at(hour, minute).replace(second=second)


def live(**measurements: Any) -> bytes:
    """Return an answer of one beacon with these measurements."""
    said = {"date": "2026-05-09T13:06:21.000Z", "wind_speed_avg": 5, "wind_speed_max": 9, "wind_heading": 90}
    return json.dumps({"data": [{"id": 5, "measurements": {**said, **measurements}}]}).encode()


def archive(**changes: Any) -> bytes:
    return json.dumps({**json.loads(read("archive-611.json")), **changes}).encode()


def fuzz_targets() -> tuple[fuzz.Target, ...]:
    """Return the parsers of the network, with payloads in its format."""
    newest, rows, since = "live.json", "archive-611.json", fuzz.NOW - timedelta(days=90)
    return (
        fuzz.Target(
            "pioupiou newest readings",
            "json",
            lambda body: parse_live(fuzz.payload(body), {}),
            (read(newest), fuzz.with_odd_row("pioupiou", newest), fuzz.composed()["pioupiou"]),
            r"pioupiou:[0-9]{1,9}",
        ),
        fuzz.Target(
            "pioupiou archive",
            "json",
            lambda body: parse_archive(fuzz.payload(body), "pioupiou:611", since),
            (read(rows), fuzz.with_odd_row("pioupiou", rows)),
            "pioupiou:611",
        ),
    )


# All beacons


def test_a_reading_has_speed_gust_and_direction_at_its_time_to_the_second() -> None:
    readings, _ = parse_live(payload(read("live.json")), {})

    assert values(readings.records, "pioupiou:611") == {
        second(13, 6, 21): {SPEED: 11.25, GUST: 18.5, DIRECTION: 292.5}
    }
    assert values(readings.records, "pioupiou:612") == {
        second(13, 8, 2): {SPEED: 7.4, GUST: 12.9, DIRECTION: 207.0}
    }
    assert readings.newest == second(13, 8, 2)


def test_what_is_no_measurement_is_set_aside_with_its_reason_and_what_is_not_there_is_absent() -> None:
    readings, _ = parse_live(payload(read("live.json")), {})

    assert reasons(readings.rejected) == {
        ("pioupiou:614", "0.0"): "switched_off",
        ("pioupiou:617", "9.5"): "incomplete",
        ("pioupiou:617", "180.0"): "incomplete",
        ("pioupiou:618", "2026-05-09T13:21:00.000Z"): "future",
        ("pioupiou:?", "None"): "no_station",
    }
    spoke = {record.station for record in readings.records}
    assert spoke == {"pioupiou:611", "pioupiou:612", "pioupiou:615", "pioupiou:616"}
    assert "pioupiou:613" in readings.latest  # it reported without wind
    assert "pioupiou:619" not in readings.latest


def test_a_calm_has_no_direction() -> None:
    readings, _ = parse_live(payload(read("live.json")), {})

    assert values(readings.records, "pioupiou:615") == {second(13, 5, 11): {SPEED: 0.0, GUST: 1.25}}


def test_a_mean_of_zero_beside_a_gust_of_ten_is_a_missing_mean() -> None:
    body = read("live.json").replace(b"11.25", b"0.0")

    readings, _ = parse_live(payload(body), {})

    assert values(readings.records, "pioupiou:611") == {second(13, 6, 21): {GUST: 18.5, DIRECTION: 292.5}}
    assert reasons(readings.rejected)["pioupiou:611", "0.0"] == "zero_mean"


def test_a_beacon_has_its_name_without_blanks_and_no_dummy_for_a_position() -> None:
    _, stations = parse_live(payload(read("live.json")), {})

    by_id = {station.id: station for station in stations}
    assert by_id["pioupiou:611"] == Station("pioupiou:611", "Crête du Loup 1745m", 45.803112, 6.220745)
    assert by_id["pioupiou:614"] == Station("pioupiou:614", "Pioupiou 614")
    assert len(by_id) == 9


@pytest.mark.parametrize(
    ("date", "reason"),
    [
        ("2026-05-09T13:06:21", "invalid_time"),  # no zone
        ("1970-01-01T00:00:00.000Z", "invalid_time"),
        ("0001-01-01T00:00:00+14:00", "invalid_time"),
        ("today", "invalid_time"),
        ("2026-05-09T13:20:01.000Z", "future"),
    ],
)
def test_a_time_that_cannot_be_is_rejected(date: str, reason: str) -> None:
    items = [*json.loads(live(date=date))["data"], *json.loads(read("live.json"))["data"]]

    readings, _ = parse_live(payload(json.dumps({"data": items}).encode()), {})

    assert reasons(readings.rejected)["pioupiou:5", date] == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (read("unknown-station.json"), "missing required field `data`"),
        (b'{"data": []}', "an empty array"),
        (b'{"data": {"id": 5}}', "Expected `array`, got `object`"),
        (b"[]", "Expected `object`, got `array`"),
        (b"", "truncated"),
        (live(date=None), "none of 1 beacons has a reading with a usable time"),
        (live(wind_speed_avg=[1]), "wind_speed_avg"),
        (live().replace(b"wind_speed_avg", b"wind_speed"), "no row has the documented field wind_speed_avg"),
        (live().replace(b"wind_speed_max", b"gust"), "no row has the documented field wind_speed_max"),
        (live().replace(b"wind_heading", b"direction"), "no row has the documented field wind_heading"),
    ],
)
def test_an_answer_in_another_shape_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        parse_live(payload(body), {})
    assert caught.value.url == "https://somewhere.example/feed"


def test_a_beacon_of_which_parts_are_null_costs_the_others_nothing() -> None:
    whole = json.loads(live())["data"][0]
    hollow = {"id": 6, "meta": None, "location": None, "status": None, "measurements": whole["measurements"]}
    silent = {"id": 7, "measurements": None}
    readings, stations = parse_live(payload(json.dumps({"data": [whole, hollow, silent]}).encode()), {})
    assert set(readings.latest) == {"pioupiou:5", "pioupiou:6"}
    assert [station.id for station in stations] == ["pioupiou:5", "pioupiou:6", "pioupiou:7"]


# The archive of one


def test_the_archive_is_read_by_its_legend_and_later_than_the_stored_readings() -> None:
    readings = parse_archive(payload(read("archive-611.json")), "pioupiou:611", second(12, 40, 9))

    assert values(readings.records, "pioupiou:611") == {
        second(12, 48, 15): {SPEED: 0.0, GUST: 0.0},
        second(12, 53, 15): {SPEED: 9.75, GUST: 15.5, DIRECTION: 292.5},
        second(12, 57, 18): {SPEED: 10.5, GUST: 17.0, DIRECTION: 315.0},
        second(13, 2, 21): {SPEED: 10.75, GUST: 16.25, DIRECTION: 292.5},
        second(13, 6, 21): {SPEED: 11.25, GUST: 18.5, DIRECTION: 292.5},
    }


def test_values_that_stand_elsewhere_in_the_rows_are_found_by_the_legend() -> None:
    turned = json.loads(read("archive-611.json"))
    moved = archive(
        legend=turned["legend"][::-1],
        units=turned["units"][::-1],
        data=[row[::-1] for row in turned["data"]],
    )
    told = parse_archive(payload(moved), "pioupiou:611", at(12, 0))
    assert told == parse_archive(payload(read("archive-611.json")), "pioupiou:611", at(12, 0))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (read("unknown-station.json"), "missing required field `legend`"),
        (archive(legend=["time"]), "an archive without wind_speed_avg"),
        (archive(units=["utc", "degrees", "degrees", *["knots"] * 5]), "'knots' instead of 'km/h'"),
        (archive(units=[]), "time in None instead of 'utc'"),
        (archive(data=[["2026-05-09T12:36:09.000Z", 45.8]]), "a row of 2 values, fewer than in its legend"),
        (archive(data=[{"time": 1}]), "Expected `array`, got `object`"),
    ],
)
def test_an_archive_in_another_shape_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_archive(payload(body), "pioupiou:611", at(12, 0))


# The route


async def test_only_mapped_beacons_with_a_gap_are_asked_for_what_lies_in_it() -> None:
    script: dict[str, Answer] = {
        LIVE: read("live.json"),
        f"{ARCHIVE}611": read("archive-611.json"),
        f"{ARCHIVE}615": FetchError("HTTP 503", status=503),
    }
    fetch = ScriptedFetch(script, now=NOW)
    complete_until = {
        "pioupiou:611": at(12, 35),
        "pioupiou:612": at(13, 2),
        "pioupiou:615": at(12, 57),
    }

    bulk, filled, broken = await collected(
        ROUTE, needs(*complete_until, complete_until=complete_until), fetch
    )

    assert fetch.urls == [
        LIVE,
        f"{ARCHIVE}611?start=2026-05-09T12%3A35%3A00Z&stop=2026-05-09T13%3A10%3A00Z",
        f"{ARCHIVE}615?start=2026-05-09T12%3A57%3A00Z&stop=2026-05-09T13%3A10%3A00Z",
    ]
    assert [batch.complete_until for batch in (bulk, filled, broken)] == [
        {"pioupiou:612": second(13, 8, 2)},
        {"pioupiou:611": second(13, 6, 21)},
        {},
    ]
    assert len({record.time for record in filled.records}) == 7
    assert (bulk.source, bulk.route, bulk.rank) == ("pioupiou", "live", 0)
    assert (bulk.averaging_minutes, bulk.direction_resolution) == (4, None)
    assert [failure.reason for failure in broken.failures] == ["HTTP 503"]


async def test_an_archive_is_asked_for_from_31_days_ago_at_most() -> None:
    fetch = ScriptedFetch({LIVE: read("live.json"), ARCHIVE: read("archive-611.json")}, now=NOW)

    await collected(ROUTE, needs("pioupiou:611", since=NOW - timedelta(days=60)), fetch)

    assert fetch.requests[1].params["start"] == "2026-04-08T13:10:00Z"


async def test_a_beacon_is_described_when_it_is_new_or_changed() -> None:
    _, told = parse_live(payload(read("live.json")), {})
    known = {station.id: station for station in told}
    fetch = ScriptedFetch({LIVE: read("live.json")}, now=NOW)

    [nothing_new] = await collected(ROUTE, needs(known=known), fetch)
    moved = {**known, "pioupiou:611": replace(known["pioupiou:611"], latitude=45.9)}
    moved["pioupiou:614"] = replace(known["pioupiou:614"], latitude=45.1, longitude=6.1)
    [news] = await collected(ROUTE, needs(known=moved), fetch)

    assert nothing_new.stations == []
    assert [station.id for station in news.stations] == ["pioupiou:611"]  # a dummy takes nothing away


async def test_an_unknown_mapped_beacon_is_a_failure_that_names_sites_toml() -> None:
    fetch = ScriptedFetch({LIVE: read("live.json")}, now=NOW)

    _, unknown = await collected(ROUTE, needs("pioupiou:777"), fetch)

    [failure] = unknown.failures
    assert "pioupiou:777" in failure.reason
    assert "sites.toml" in failure.reason


# The source


def test_it_is_off_and_withheld_unless_the_operator_decides_otherwise() -> None:
    def built(**settings: Any) -> Any:
        sources = observation_sources(Settings.load(**settings))
        return next(source for source in sources if source.name == "pioupiou")

    off, on = built(), built(sources="ffvl,pioupiou")
    shown = built(sources="pioupiou", public_raw_sources="pioupiou")

    assert (off.disabled, off.routes) == ("turned off: SOURCES does not name it", ())
    assert (off.opted_in, on.opted_in) == (False, True)
    assert (on.disabled, on.public, shown.public) == (None, False, True)
    assert "OpenWindMap" in on.attribution


async def test_an_answer_that_never_came_is_a_failure_of_the_source() -> None:
    source = pioupiou.build(Settings.load(pioupiou_url="https://pioupiou.test"))
    fetch = ScriptedFetch({LIVE: FetchError("HTTP 500", status=500)}, now=NOW)

    [batch] = [batch async for batch in collect(source, needs("pioupiou:611"), fetch)]

    assert (batch.records, [failure.reason for failure in batch.failures]) == ((), ["HTTP 500"])
