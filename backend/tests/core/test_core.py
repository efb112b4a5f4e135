"""Time, units, parameters and records: what everything else is measured by."""

# ruff: noqa: DTZ001 - a clock on a wall in Paris shows no zone
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.clock import PARIS, paris_to_utc, require_utc, utc_now
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import PARAMETERS, RULES, Parameter, canonical, why_implausible
from backend.core.records import (
    CollectionRequest,
    Forecast,
    Observation,
    Run,
    Site,
    Station,
    network_of,
    number_of,
)
from backend.core.units import (
    french_compass_to_degrees,
    kelvin_to_celsius,
    ms_to_kmh,
    wind_from_components,
)

LATER = datetime(2027, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


# --- Paris and UTC ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (datetime(2026, 1, 15, 13, 0), utc(2026, 1, 15, 12, 0)),  # winter: UTC+1
        (datetime(2026, 7, 15, 14, 0), utc(2026, 7, 15, 12, 0)),  # summer: UTC+2
        (datetime(2026, 7, 15, 0, 30), utc(2026, 7, 14, 22, 30)),  # the UTC day before
        (datetime(2026, 1, 1, 0, 0), utc(2025, 12, 31, 23, 0)),
        (datetime(2026, 3, 29, 1, 59), utc(2026, 3, 29, 0, 59)),  # the last minute before the gap
        (datetime(2026, 3, 29, 3, 0), utc(2026, 3, 29, 1, 0)),  # and the first after it
        (datetime(2026, 10, 25, 1, 59), utc(2026, 10, 24, 23, 59)),  # before the doubled hour
        (datetime(2026, 10, 25, 3, 0), utc(2026, 10, 25, 2, 0)),  # and after it
    ],
)
def test_paris_time_becomes_utc(local: datetime, expected: datetime) -> None:
    assert paris_to_utc(local, LATER) == expected
    assert expected.astimezone(PARIS).replace(tzinfo=None) == local


@pytest.mark.parametrize("minute", [0, 30, 59])
def test_the_hour_that_march_skips_did_not_exist(minute: int) -> None:
    assert paris_to_utc(datetime(2026, 3, 29, 2, minute), LATER) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (utc(2026, 10, 25, 0, 29), utc(2026, 10, 25, 0, 30)),  # both in the future: the nearer
        (utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 0, 30)),  # the first pass, just now
        (utc(2026, 10, 25, 1, 29), utc(2026, 10, 25, 0, 30)),  # the second pass has not come yet
        (utc(2026, 10, 25, 1, 30), utc(2026, 10, 25, 1, 30)),  # the second pass, just now
        (utc(2026, 10, 26), utc(2026, 10, 25, 1, 30)),  # long past: the nearer
    ],
)
def test_in_the_hour_that_october_has_twice_the_nearest_that_is_not_in_the_future_is_meant(
    now: datetime, expected: datetime
) -> None:
    assert paris_to_utc(datetime(2026, 10, 25, 2, 30), now) == expected


@pytest.mark.parametrize("nothing", [datetime(1, 1, 1), datetime(1, 1, 1, 0, 9)])
def test_the_mark_for_no_time_is_no_time(nothing: datetime) -> None:
    assert paris_to_utc(nothing, LATER) is None


def test_the_last_minute_that_python_knows_is_a_time() -> None:
    assert paris_to_utc(datetime(9999, 12, 31, 23, 59), LATER) == utc(9999, 12, 31, 22, 59)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)), st.datetimes(timezones=st.just(UTC)))
def test_what_becomes_utc_reads_the_same_on_a_clock_in_paris(local: datetime, now: datetime) -> None:
    moment = paris_to_utc(local, now)
    assert moment is None or moment.astimezone(PARIS).replace(tzinfo=None, fold=0) == local


def test_now_is_aware_and_in_utc() -> None:
    assert utc_now().utcoffset() == timedelta(0)


def test_utc_is_required_and_given_back_unchanged() -> None:
    assert require_utc(NOON) is NOON


NOT_UTC = [
    datetime(2026, 7, 15, 12, 0),
    datetime(2026, 7, 15, 14, 0, tzinfo=timezone(timedelta(hours=2))),
    datetime(2026, 7, 15, 14, 0, tzinfo=ZoneInfo("Europe/Paris")),
]


@pytest.mark.parametrize("moment", NOT_UTC)
def test_a_time_that_is_not_in_utc_is_named(moment: datetime) -> None:
    with pytest.raises(ValueError, match=r"2026-07-15T1.:00:00.* is not an aware time in UTC"):
        require_utc(moment)


# --- Records ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", NOT_UTC)
@pytest.mark.parametrize(
    "record",
    [
        lambda moment: Forecast("arome_0025", "planfait", Parameter.WIND_SPEED, moment, NOON, 20.0),
        lambda moment: Forecast("arome_0025", "planfait", Parameter.WIND_SPEED, NOON, moment, 20.0),
        lambda moment: Observation("ffvl:87", Parameter.WIND_SPEED, moment, 20.0),
        lambda moment: Run("arome_0025", moment, NOON, published=True),
        lambda moment: Run("arome_0025", NOON, moment, published=True),
        lambda moment: CollectionRequest(now=moment, since=NOON),
        lambda moment: CollectionRequest(now=NOON, since=moment),
    ],
    ids=["reference", "valid", "observed", "run", "available", "now", "since"],
)
def test_a_record_refuses_a_time_that_is_not_in_utc(
    record: Callable[[datetime], object], moment: datetime
) -> None:
    with pytest.raises(ValueError, match="is not an aware time in UTC"):
        record(moment)


def test_a_station_is_named_by_its_network_and_its_number() -> None:
    assert Station("romma:241").network == network_of("romma:241") == "romma"
    assert number_of("romma:241") == "241"


def test_a_part_is_missing_for_sites_stored_by_a_lesser_route_only() -> None:
    sites = tuple(Site(name, name, 45.0, 6.0, 900.0) for name in ("best", "lesser", "none"))
    collected = {("arome", NOON, "00H06H", "best"): 0, ("arome", NOON, "00H06H", "lesser"): 1}
    needs = CollectionRequest(now=NOON, since=NOON, sites=sites, collected=collected)
    assert [site.id for site in needs.missing("arome", NOON, "00H06H", 0)] == ["lesser", "none"]
    assert [site.id for site in needs.missing("arome", NOON, "00H06H", 1)] == ["none"]


def test_a_model_elevation_is_missing_for_cells_without_a_stored_one() -> None:
    names = ("stored", "not_stored", "moved_cell", "just_answered", "never_answered")
    sites = {name: Site(name, name, 45.0, 6.0, 900.0) for name in names}
    needs = CollectionRequest(
        now=NOON,
        since=NOON,
        sites=tuple(sites.values()),
        cells={("arome", name): "1,1" for name in ("stored", "not_stored", "moved_cell")},
        model_elevations=frozenset(
            {("arome", "stored"), ("arome", "moved_cell"), ("arome_ifs", "not_stored")}
        ),
    )
    answered = {"stored": "1,1", "moved_cell": "2,2", "just_answered": "3,3"}

    missing = needs.without_model_elevation("arome", answered)

    assert [site.id for site in missing] == ["not_stored", "moved_cell", "just_answered"]


def test_the_mapped_stations_of_a_network_come_once_each_in_the_order_of_the_sites() -> None:
    sites = (
        Site("one", "One", 45.0, 6.0, 900.0, stations=("ffvl:2", "romma:9", "ffvl:1")),
        Site("two", "Two", 45.1, 6.1, 900.0, stations=("ffvl:1", "ffvl:3")),
    )
    assert CollectionRequest(now=NOON, since=NOON, sites=sites).mapped_stations("ffvl") == (
        "ffvl:2",
        "ffvl:1",
        "ffvl:3",
    )


def test_an_error_of_a_collector_has_place_and_reason() -> None:
    assert str(FetchError("HTTP 503", source="ffvl", url="https://data.example/x")) == (
        "ffvl https://data.example/x: HTTP 503"
    )
    assert str(ParseError("no rows")) == "no rows"


# --- Units ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("speed_ms", "kmh"), [(0.0, 0.0), (1.0, 3.6), (10.0, 36.0), (12.5, 45.0)])
def test_metres_per_second_become_kilometres_per_hour(speed_ms: float, kmh: float) -> None:
    assert ms_to_kmh(speed_ms) == pytest.approx(kmh)


@pytest.mark.parametrize(("kelvin", "celsius"), [(273.15, 0.0), (300.0, 26.85), (253.15, -20.0)])
def test_kelvins_become_degrees_celsius(kelvin: float, celsius: float) -> None:
    assert kelvin_to_celsius(kelvin) == pytest.approx(celsius)


@pytest.mark.parametrize(
    ("u_ms", "v_ms", "speed", "direction"),
    [
        (0, -5, 18.0, 0.0),  # blows towards the south: from the north
        (-5, 0, 18.0, 90.0),
        (0, 5, 18.0, 180.0),
        (5, 0, 18.0, 270.0),
        (3, -4, 18.0, 323.13),  # hypot(3, 4) = 5 m/s; atan2(-3, 4) = -36.87 degrees
        (-3, -4, 18.0, 36.87),
        (-0.001, -5, 18.0, 0.0115),  # just east of north, and never 360
    ],
)
def test_components_become_speed_and_the_direction_the_wind_comes_from(
    u_ms: float, v_ms: float, speed: float, direction: float
) -> None:
    assert wind_from_components(u_ms, v_ms) == pytest.approx((speed, direction), abs=0.01)


def test_a_calm_has_no_direction() -> None:
    assert wind_from_components(0.0, 0.0) == (0.0, None)
    assert wind_from_components(-0.0, 0.0) == (0.0, None)


@given(st.floats(-60, 60), st.floats(-60, 60))
def test_a_direction_lies_from_0_to_below_360(u_ms: float, v_ms: float) -> None:
    _, direction = wind_from_components(u_ms, v_ms)
    assert direction is None or 0 <= direction < 360


@pytest.mark.parametrize(
    ("point", "degrees"),
    [
        *(("N", 0.0), ("NNE", 22.5), ("NE", 45.0), ("ENE", 67.5)),
        *(("E", 90.0), ("ESE", 112.5), ("SE", 135.0), ("SSE", 157.5)),
        *(("S", 180.0), ("SSO", 202.5), ("SO", 225.0), ("OSO", 247.5)),
        *(("O", 270.0), ("ONO", 292.5), ("NO", 315.0), ("NNO", 337.5)),
        (" no ", 315.0),
    ],
)
def test_all_sixteen_points_of_the_french_compass_are_known(point: str, degrees: float) -> None:
    assert french_compass_to_degrees(point) == degrees


@pytest.mark.parametrize("word", ["W", "SW", "NNW", "", "variable", "N N"])
def test_any_other_word_is_no_direction(word: str) -> None:
    with pytest.raises(ParseError, match="not one of the sixteen French compass points"):
        french_compass_to_degrees(word)


# --- Parameters -------------------------------------------------------------------------------------


def test_there_are_four_parameters_each_with_its_unit() -> None:
    assert {str(parameter): rule.unit for parameter, rule in RULES.items()} == {
        "wind_speed": "km/h",
        "wind_gust": "km/h",
        "wind_direction": "degrees true, from",
        "temperature": "°C",
    }


def test_the_number_of_a_parameter_is_the_one_that_tables_store() -> None:
    assert [(parameter.value, parameter.number) for parameter in PARAMETERS] == [
        ("wind_speed", 0),
        ("wind_gust", 1),
        ("wind_direction", 2),
        ("temperature", 3),
    ]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Parameter.WIND_SPEED, 0.0),
        (Parameter.WIND_SPEED, 250.0),
        (Parameter.WIND_GUST, 181.0),
        (Parameter.WIND_DIRECTION, 360.0),
        (Parameter.TEMPERATURE, -40.0),
        (Parameter.TEMPERATURE, 0.0),
        (Parameter.TEMPERATURE, 50.0),
    ],
)
def test_a_plausible_value_breaks_no_rule(parameter: Parameter, value: float) -> None:
    assert why_implausible(parameter, value) is None


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        (Parameter.WIND_SPEED, -0.1, "out_of_range: not within 0 to 250 km/h"),
        (Parameter.WIND_GUST, 9999.0, "out_of_range: not within 0 to 250 km/h"),
        (Parameter.WIND_DIRECTION, 360.5, "out_of_range: not within 0 to 360 degrees true, from"),
        (Parameter.TEMPERATURE, -99.0, "out_of_range: not within -40 to 50 °C"),
        (Parameter.TEMPERATURE, float("nan"), "not_a_number"),
        (Parameter.WIND_SPEED, float("inf"), "not_a_number"),
    ],
)
def test_an_implausible_value_gets_the_rule_it_breaks(
    parameter: Parameter, value: float, reason: str
) -> None:
    assert why_implausible(parameter, value) == reason


@pytest.mark.parametrize(
    ("parameter", "value", "spelt"),
    [
        (Parameter.WIND_DIRECTION, 360.0, 0.0),
        (Parameter.WIND_DIRECTION, 359.9996, 0.0),  # in stored thousandths it is 360
        (Parameter.WIND_DIRECTION, 359.9994, 359.9994),
        (Parameter.WIND_DIRECTION, 0.0, 0.0),
        (Parameter.WIND_DIRECTION, 359.9, 359.9),
        (Parameter.WIND_SPEED, 360.0, 360.0),
    ],
)
def test_north_has_one_spelling(parameter: Parameter, value: float, spelt: float) -> None:
    assert canonical(parameter, value) == spelt
