"""Impossible values of all sources are set aside, and stored texts are bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from backend.collectors.base import as_failure
from backend.collectors.set_aside import LONGEST_TEXT, MOST_STATIONS, set_aside_implausible
from backend.core.errors import ParseError
from backend.core.parameters import Parameter
from backend.core.records import (
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Rejected,
    Run,
    Station,
)

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
BATCH = ObservationBatch(source="ffvl", route="keyed", rank=0, collected_at=NOON)
LOUP = Station("ffvl:511", "Crête du Loup", 45.8, 6.22, 1745.0)


def test_a_value_out_of_range_is_rejected_and_a_full_turn_is_north() -> None:
    direction = Observation(LOUP.id, Parameter.WIND_DIRECTION, NOON, 360.0)
    batch = set_aside_implausible(
        replace(BATCH, records=(direction, Observation(LOUP.id, Parameter.WIND_SPEED, NOON, 251.0)))
    )
    assert batch.records == (msgspec.structs.replace(direction, value=0.0),)
    assert [(value.raw, value.reason) for value in batch.rejected] == [
        ("251.0", "out_of_range: not within 0 to 250 km/h")
    ]


@pytest.mark.parametrize("value", [251.0, float("nan")])
def test_a_station_with_a_value_that_cannot_be_true_is_not_caught_up(value: float) -> None:
    records = (
        Observation(LOUP.id, Parameter.WIND_SPEED, NOON, value),
        Observation("ffvl:7", Parameter.WIND_SPEED, NOON, 12.0),
    )
    batch = set_aside_implausible(
        replace(BATCH, records=records, complete_until={LOUP.id: NOON, "ffvl:7": NOON})
    )
    assert batch.complete_until == {"ffvl:7": NOON}


def test_a_value_marked_as_missing_is_known_to_be_missing_and_not_asked_for_again() -> None:
    missing = Rejected(LOUP.id, Parameter.WIND_SPEED, NOON, "--", "missing")
    batch = set_aside_implausible(replace(BATCH, rejected=(missing,), complete_until={LOUP.id: NOON}))
    assert batch.complete_until == {LOUP.id: NOON}


def test_a_site_with_a_value_that_cannot_be_true_is_not_collected_for_good() -> None:
    def forecast(site: str, value: float) -> Forecast:
        return Forecast("arome_0025", site, Parameter.TEMPERATURE, NOON, NOON, value)

    batch = set_aside_implausible(
        ForecastBatch(
            source="arome",
            route="portal",
            rank=0,
            collected_at=NOON,
            run=Run("arome_0025", NOON, NOON, published=True),
            parts=("00H06H",),
            sites=("loup", "planfait"),
            records=(forecast("loup", -99.0), forecast("planfait", 20.0)),
        )
    )
    assert (batch.parts, batch.sites) == (("00H06H",), ("planfait",))
    assert [record.site for record in batch.records] == ["planfait"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("latitude", value) for value in (90.1, -9999.0, float("inf"), float("nan"))),
        *(("longitude", value) for value in (180.1, -1e308)),
        *(("elevation", value) for value in (9999.0, -999.0)),
    ],
)
def test_a_station_that_is_nowhere_on_earth_keeps_its_name_and_loses_that_number(
    name: str, value: float
) -> None:
    told: dict[str, Any] = {name: value}
    batch = set_aside_implausible(replace(BATCH, stations=(replace(LOUP, **told), LOUP)))
    nowhere: dict[str, Any] = {name: None}
    assert batch.stations == (replace(LOUP, **nowhere), LOUP)
    assert batch.rejected == (
        Rejected(LOUP.id, None, None, repr(value), f"no_such_place: no {name} on Earth"),
    )


def test_a_station_at_the_sea_or_of_an_unknown_place_is_left_as_it_is() -> None:
    stations = (Station("ffvl:1"), Station("ffvl:2", "", 43.0, 5.0, 0.0))
    batch = set_aside_implausible(replace(BATCH, stations=stations))
    assert (batch.stations, batch.rejected) == (stations, ())


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 0.0), (-0.4, 0.9)])
def test_a_station_at_0_n_0_e_does_not_know_its_place(latitude: float, longitude: float) -> None:
    """The store keeps the last good place then; a distance of 5,000 km from the take-off would be shown."""
    lost = replace(LOUP, latitude=latitude, longitude=longitude)
    batch = set_aside_implausible(replace(BATCH, stations=(lost,)))
    assert batch.stations == (replace(LOUP, latitude=None, longitude=None),)
    assert batch.rejected == ()


def test_the_beginning_of_a_long_text_is_stored() -> None:
    long = "x" * 5_000_000
    batch = set_aside_implausible(replace(BATCH, rejected=(Rejected(LOUP.id, None, None, long, "future"),)))
    assert [len(value.raw) for value in batch.rejected] == [LONGEST_TEXT]
    assert len(as_failure("keyed", ParseError(long)).reason) == LONGEST_TEXT


ESCAPES = "Pic\x1b[2J\x07 du\r\n Midi \u202e"


def test_texts_of_a_station_hold_no_control_characters_and_have_an_end() -> None:
    odd = replace(LOUP, name=ESCAPES, kind="K" * 500, remarks="sheltered\nfrom the north" * 500)
    (station,) = set_aside_implausible(replace(BATCH, stations=(odd,))).stations
    assert station.name == r"Pic\x1b[2J\x07 du Midi \u202e"
    assert (len(station.kind), len(station.remarks)) == (30, 2000)
    assert station.remarks.startswith("sheltered from the north")


def test_rejected_values_and_failures_hold_no_control_characters() -> None:
    value = Rejected(LOUP.id, None, None, ESCAPES, f"odd: {ESCAPES}")
    batch = set_aside_implausible(replace(BATCH, rejected=(value,)))
    failure = as_failure("keyed", ParseError(f"not JSON: {ESCAPES}"))
    texts = [batch.rejected[0].raw, batch.rejected[0].reason, failure.reason]
    assert all(text.isprintable() and r"\x1b[2J" in text for text in texts)


@pytest.mark.parametrize("code", ["ffvl:" + "9" * 100, "ffvl:1\x1b[2J"])
def test_a_station_with_an_id_that_is_none_costs_that_station_alone(code: str) -> None:
    records = (
        Observation(code, Parameter.WIND_SPEED, NOON, 12.0),
        Observation(LOUP.id, Parameter.WIND_SPEED, NOON, 12.0),
    )
    batch = set_aside_implausible(replace(BATCH, records=records, stations=(Station(code), LOUP)))
    assert [record.station for record in batch.records] == [LOUP.id]
    assert batch.stations == (LOUP,)
    assert [value.reason for value in batch.rejected] == ["bad_id: not a valid station id"]


@pytest.mark.parametrize("described", [True, False])
def test_an_answer_with_more_stations_than_any_network_has_is_refused(described: bool) -> None:
    codes = [f"ffvl:{number}" for number in range(MOST_STATIONS + 1)]
    listed = replace(BATCH, stations=tuple(map(Station, codes)))
    read = replace(BATCH, records=tuple(Observation(c, Parameter.WIND_SPEED, NOON, 12.0) for c in codes))
    with pytest.raises(ParseError, match="10001 stations in one answer"):
        set_aside_implausible(listed if described else read)
