"""The stations of Météo-France: slots of six minutes for all of them, and the last day of one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from backend.collectors import observation_sources
from backend.collectors.base import collect
from backend.collectors.meteofrance import Portal, parse_history, parse_slot
from backend.core.config import Settings
from backend.core.errors import ConfigError, FetchError, ParseError
from backend.core.records import ObservationBatch, Station
from backend.core.site_entry import site_from_entry
from backend.tests.support.fakes import PAYLOADS, Answer, ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    GUST,
    NOW,
    SPEED,
    TEMPERATURE,
    at,
    collected,
    needs,
    payload,
    reasons,
    values,
)

BASE = "https://portal.test/public/DPPaquetObs/v2/paquet/"
SLOTS = f"{BASE}stations/infrahoraire-6m"
HISTORY = f"{BASE}infrahoraire-6m"
ARBENT = "meteofrance:01014002"


def read(name: str) -> bytes:
    return (PAYLOADS / "meteofrance" / name).read_bytes()


def changed(**fields: Any) -> bytes:
    rows = json.loads(read("slot.json"))
    rows[0].update(fields)
    return json.dumps(rows).encode()


def without(field: str) -> bytes:
    rows = json.loads(read("slot.json"))
    return json.dumps([{key: value for key, value in row.items() if key != field} for row in rows]).encode()


def slot(time: datetime) -> bytes:
    return read("slot.json").replace(b"2026-05-09T12:54:00Z", f"{time:%Y-%m-%dT%H:%M:%SZ}".encode())


def slots(**failing: Exception) -> dict[str, Answer]:
    """Answer for the slots of 12:54, 12:48, 12:42 and 12:36, but for those that fail ("at_1248")."""
    times = [at(12, minute) for minute in (54, 48, 42, 36)]
    return {
        f"{SLOTS}?date={time:%Y-%m-%dT%H%%3A%M%%3A%SZ}": failing.get(f"at_{time:%H%M}", slot(time))
        for time in times
    }


async def batches(want: Any, script: dict[str, Answer]) -> tuple[list[ObservationBatch], ScriptedFetch]:
    fetch = ScriptedFetch(script, now=NOW)
    return await collected(Portal("https://portal.test", "k3y"), want, fetch), fetch


def test_a_reading_comes_in_km_h_degrees_and_celsius_at_its_time() -> None:
    readings, stations = parse_slot(payload(read("slot.json")), {})

    table = values(readings.records, ARBENT)
    assert table == {
        at(12, 54): {
            SPEED: pytest.approx(16.2),
            GUST: pytest.approx(33.12),
            DIRECTION: 290.0,
            TEMPERATURE: pytest.approx(14.2),
        }
    }
    assert stations[0] == Station(ARBENT, latitude=46.278167, longitude=5.669)
    assert readings.newest == at(12, 54)


def test_a_calm_has_no_direction_and_what_is_not_measured_is_absent() -> None:
    readings, _ = parse_slot(payload(read("slot.json")), {})

    assert set(values(readings.records, "meteofrance:74056001")[at(12, 54)]) == {SPEED, GUST, TEMPERATURE}
    assert set(values(readings.records, "meteofrance:73054001")[at(12, 54)]) == {SPEED, DIRECTION}


def test_a_mean_of_zero_beside_a_gust_of_ten_is_a_missing_mean() -> None:
    readings, _ = parse_slot(payload(changed(ff=0.0, raf10=9.2)), {})

    assert set(values(readings.records, ARBENT)[at(12, 54)]) == {GUST, DIRECTION, TEMPERATURE}
    assert reasons(readings.rejected)[ARBENT, "0.0"] == "zero_mean"


def test_a_station_without_wind_is_left_out_unless_a_site_names_it() -> None:
    _, stations = parse_slot(payload(read("slot.json")), {})
    _, named = parse_slot(payload(read("slot.json")), {}, mapped={"meteofrance:04039001"})
    _, only = parse_slot(payload(read("slot.json")), {}, only={ARBENT})

    assert "meteofrance:04039001" not in {station.id for station in stations}
    assert "meteofrance:04039001" in {station.id for station in named}
    assert [station.id for station in only] == [ARBENT]


def test_the_gust_of_the_first_version_is_known_too() -> None:
    old = read("slot.json").replace(b'"raf10"', b'"fxi10"')
    assert parse_slot(payload(old), {}) == parse_slot(payload(read("slot.json")), {})


@pytest.mark.parametrize(
    ("fields", "subject", "reason"),
    [
        ({"geo_id_insee": "1014002"}, "meteofrance:?", "no_station"),
        ({"geo_id_insee": "2A004002"}, "meteofrance:?", "no_station"),
        ({"validity_time": "2026-05-09T12:54:00"}, ARBENT, "invalid_time"),
        ({"validity_time": "2026-05-09T13:24:00Z"}, ARBENT, "future"),
    ],
)
def test_a_row_that_cannot_be_placed_is_rejected(fields: dict[str, Any], subject: str, reason: str) -> None:
    readings, _ = parse_slot(payload(changed(**fields)), {})
    raw = next(iter(fields.values()))
    assert reasons(readings.rejected)[subject, raw] == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "an empty array"),
        (b'{"message": "Invalid Credentials"}', "Expected `array`, got `object`"),
        (without("ff"), "no row has the documented field ff"),
        (without("dd"), "no row has the documented field dd"),
        (without("raf10"), "no row has the documented field raf10"),
        (without("t"), "no row has the documented field t"),
        (without("geo_id_insee"), "geo_id_insee"),
        (read("slot.json").replace(b'"ff":', b'"ff": "4.5", "f":'), "Expected `float"),
        (read("slot.json").replace(b"2026-05-09T12:54:00Z", b"noon"), "none of 5 stations"),
    ],
)
def test_an_answer_in_another_shape_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_slot(payload(body), {})


def test_a_history_is_of_the_requested_station_and_later_than_the_stored_readings() -> None:
    readings = parse_history(payload(read("history-01014002.json")), ARBENT, at(12, 30))

    assert sorted(values(readings.records, ARBENT)) == [at(12, minute) for minute in (36, 42, 48, 54)]
    with pytest.raises(ParseError, match="requested meteofrance:74056001, row is of meteofrance:01014002"):
        parse_history(payload(read("history-01014002.json")), "meteofrance:74056001", at(12, 0))


# The route


async def test_four_slots_are_read_newest_first_and_leave_no_gap_to_complete_until() -> None:
    want = needs(ARBENT, complete_until={ARBENT: at(12, 30)})

    found, fetch = await batches(want, slots())

    assert fetch.urls == [f"{address}&format=json" for address in slots()]
    assert all(request.secret_headers == {"apikey": "k3y"} for request in fetch.requests)
    assert "k3y" not in repr(fetch.requests)
    newest, *older, vouching = found
    assert {record.station for record in newest.records} > {ARBENT}
    assert all({record.station for record in batch.records} == {ARBENT} for batch in older)
    assert vouching.complete_until == {ARBENT: at(12, 54)}
    assert (newest.source, newest.route, newest.averaging_minutes) == ("meteofrance", "portal", 10)


async def test_a_longer_gap_is_filled_from_the_last_day() -> None:
    want = needs(ARBENT, complete_until={ARBENT: at(12, 24)})

    found, fetch = await batches(want, {**slots(), HISTORY: read("history-01014002.json")})

    assert fetch.requests[-1].params == {"id_station": "01014002", "format": "json"}
    assert found[-1].complete_until == {ARBENT: at(12, 54)}


async def test_a_slot_that_fails_costs_itself_and_what_it_might_have_held_is_asked_for() -> None:
    want = needs(ARBENT, complete_until={ARBENT: at(12, 30)})
    failing = slots(at_1248=FetchError("HTTP 503", status=503))

    found, fetch = await batches(want, {**failing, HISTORY: read("history-01014002.json")})

    assert [failure.reason for batch in found for failure in batch.failures] == ["HTTP 503"]
    assert fetch.requests[-1].params["id_station"] == "01014002"
    assert found[-1].complete_until == {ARBENT: at(12, 54)}


async def test_an_unknown_mapped_station_is_a_failure_that_names_sites_toml() -> None:
    found, _ = await batches(needs("meteofrance:99999999"), {**slots(), HISTORY: b"[]"})

    (failure,) = (failure for batch in found for failure in batch.failures)
    assert "sites.toml" in failure.reason


async def test_without_a_single_slot_the_source_has_failed() -> None:
    source = next(s for s in observation_sources(settings()) if s.name == "meteofrance")

    found = [batch async for batch in collect(source, needs(ARBENT), ScriptedFetch({}, now=NOW))]

    assert [failure.reason for batch in found for failure in batch.failures] == ["HTTP 404"] * 4
    assert not any(batch.records for batch in found)


# The source


def settings(**given: Any) -> Settings:
    usual = {
        "sources": "meteofrance",
        "meteofrance_api_key": "k3y",
        "meteofrance_api_url": "https://portal.test",
    }
    return Settings.load(**{**usual, **given})


def test_it_is_off_unless_named_and_states_what_it_needs() -> None:
    def built(**given: Any) -> Any:
        return next(s for s in observation_sources(settings(**given)) if s.name == "meteofrance")

    assert not built(sources="ffvl").opted_in
    assert "DPPaquetObs" in built(meteofrance_api_key="").disabled
    assert (built().disabled, built().public, built().max_age) == (None, True, timedelta(minutes=60))


def test_a_site_names_a_station_by_its_eight_digits() -> None:
    def entry(station: str) -> dict[str, object]:
        place = {"latitude": 45.9, "longitude": 6.7, "elevation": 1000.0}
        return {"id": "x", "name": "X", **place, "stations": [station], "without": ["ffvl", "romma"]}

    assert site_from_entry(entry(ARBENT), "here").stations == (ARBENT,)
    for wrong in ("meteofrance:1014002", "ffvl:087", "pioupiou:0"):
        with pytest.raises(ConfigError, match="is not network:number"):
            site_from_entry(entry(wrong), "here")
