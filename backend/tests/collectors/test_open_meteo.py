"""AROME by Open-Meteo: one answer for many sites, run by run; a lesser copy, used only when asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from backend.collectors import arome
from backend.collectors.base import Source, collect
from backend.collectors.grib.runs import GRIDS, parts_of
from backend.collectors.grib.worker import Worker
from backend.collectors.open_meteo import OpenMeteo, parse_meta
from backend.collectors.open_meteo_answer import UNITS, AnswerValues, parse
from backend.collectors.runs import Part
from backend.collectors.transport.decoding import decode_json_with_nan
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import (
    CollectionRequest,
    ForecastBatch,
    GridPoint,
    IncompletePart,
    Outside,
    Run,
    Site,
)
from backend.tests.support.fakes import PAYLOADS, ScriptedFetch, lead_time

RUN = datetime(2026, 7, 15, 6, tzinfo=UTC)
NOW = datetime(2026, 7, 15, 11, 50, tzinfo=UTC)
AVAILABLE_AT = datetime(2026, 7, 15, 10, 31, 14, tzinfo=UTC)
META = "http://meta.test/data/meteofrance_arome_france0025/static/meta.json"
RUNS = "http://runs.test/v1/forecast?run="

NORTH = Site("north", "Plaine Joux", 45.93, 6.71, 1360)
SOUTH = Site("south", "Planfait", 45.8123, 6.2, 950)
SITES = (NORTH, SOUTH)
PARTS = (Part(0, 6),)


def payload(name: str) -> bytes:
    return (PAYLOADS / "arome" / name).read_bytes()


FORECAST = payload("open-meteo-two-sites.json")


def changed(**columns: Any) -> bytes:
    """Return the forecast with columns of its first place replaced."""
    answer = json.loads(FORECAST)
    answer[0]["hourly"].update(columns)
    return json.dumps(answer).encode()


def read(
    body: bytes = FORECAST, sites: tuple[Site, ...] = SITES, parts: tuple[Part, ...] = PARTS
) -> AnswerValues:
    return parse(body, model="arome_0025", reference_time=RUN, parts=parts, sites=sites)


def values(reading: AnswerValues | ForecastBatch, site: Site, lead: int) -> dict[Parameter, float]:
    return {
        record.parameter: record.value
        for record in reading.records
        if record.site == site.id and lead_time(record) == timedelta(hours=lead)
    }


# Answers


def test_an_hour_is_read_as_it_stands() -> None:
    reading = read()

    at_nine = values(reading, NORTH, 3)
    assert at_nine == {
        Parameter.WIND_SPEED: 12.6,
        Parameter.WIND_DIRECTION: 12.0,
        Parameter.WIND_GUST: 22.7,
        Parameter.TEMPERATURE: 19.0,
    }
    assert {record.valid_time.hour for record in reading.records} == set(range(6, 13))
    assert {(record.model, record.reference_time) for record in reading.records} == {("arome_0025", RUN)}
    assert reading.parts == PARTS


def test_the_analysis_has_no_gust_and_a_calm_no_direction() -> None:
    assert values(read(), SOUTH, 0) == {Parameter.WIND_SPEED: 0.0, Parameter.TEMPERATURE: 16.0}


def test_hours_beyond_the_parts_and_between_their_steps_are_left_out() -> None:
    def leads(part: Part) -> set[int]:
        return {lead_time(record) // timedelta(hours=1) for record in read(parts=(part,)).records}

    assert leads(Part(0, 3)) == {0, 1, 2, 3}
    assert leads(Part(0, 6, 3)) == {0, 3, 6}


def test_an_answer_with_wind_from_before_the_run_is_of_several_runs_and_is_refused() -> None:
    body = changed(wind_speed_10m=[99.0] * 10)
    with pytest.raises(ParseError, match="wind from before the run: other runs are mixed into the answer"):
        read(body)


NO_CELL = "Open-Meteo has no grid cell of the model there"


def with_first_place(**fields: Any) -> bytes:
    """Return the forecast with fields of its first place replaced."""
    answer = json.loads(FORECAST)
    answer[0] |= fields
    return json.dumps(answer).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            with_first_place(hourly={"time": []}, hourly_units={}),
            "Open-Meteo has no value of the model there",
        ),
        # Bare `nan`, as the service writes it for one place of a group.
        (
            with_first_place(latitude="@", longitude="@", hourly={"time": []}, hourly_units={}).replace(
                b'"@"', b"nan"
            ),
            NO_CELL,
        ),
        (with_first_place(latitude=None, longitude=None, hourly={"time": []}), NO_CELL),
    ],
    ids=["empty", "nan", "null"],
)
def test_a_place_that_the_model_does_not_cover_is_outside_and_holds_up_no_other(
    body: bytes, reason: str
) -> None:
    reading = read(body)

    assert reading.outside == (Outside("arome_0025", "north", reason),)
    assert {record.site for record in reading.records} == {"south"}
    assert (reading.parts, reading.incomplete, reading.rejected) == (PARTS, (), ())
    assert [point.site for point in reading.grid_points] == ["south"]


def test_a_text_that_holds_nan_is_left_as_it_is() -> None:
    decoder = msgspec.json.Decoder(dict[str, str | float])
    body = b'{"a": "x, nan, \\" nan", "b": nan, "c": -Infinity, "d": 1.5, "e": "nan"}'
    assert decode_json_with_nan(decoder, body) == {
        "a": 'x, nan, " nan',
        "b": "nan",
        "c": "-Infinity",
        "d": 1.5,
        "e": "nan",
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (changed(temperature_2m="warm"), "temperature_2m is not a list"),
        (changed(temperature_2m=[1.0]), "1 values of temperature_2m for 10 hours"),
        (
            with_first_place(hourly_units=json.loads(FORECAST)[0]["hourly_units"] | {"temperature_2m": "°F"}),
            "temperature_2m in '°F' instead of '°C'",
        ),
        (
            with_first_place(
                hourly={k: v for k, v in json.loads(FORECAST)[0]["hourly"].items() if k != "temperature_2m"}
            ),
            "without temperature_2m",
        ),
    ],
    ids=["no_list", "short", "other_unit", "not_there"],
)
def test_an_odd_column_costs_that_value_of_that_site_only(body: bytes, problem: str) -> None:
    reading = read(body)

    lost = {(record.site, record.parameter) for record in read().records} - {
        (record.site, record.parameter) for record in reading.records
    }
    assert lost == {("north", Parameter.TEMPERATURE)}
    assert reading.incomplete == (IncompletePart("00H06H", "north", problem),)
    assert reading.parts == PARTS


def test_an_odd_value_costs_itself_only() -> None:
    temperatures = json.loads(FORECAST)[0]["hourly"]["temperature_2m"]
    reading = read(changed(temperature_2m=[*temperatures[:4], "warm", *temperatures[5:]]))

    (odd,) = reading.rejected
    assert (odd.subject, odd.parameter, odd.raw, odd.reason) == (
        "arome_0025 north",
        Parameter.TEMPERATURE,
        "'warm'",
        "not_a_number",
    )
    assert len(reading.records) == len(read().records) - 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (with_first_place(utc_offset_seconds=7200), "not an hourly forecast: times 7200 s off UTC"),
        (with_first_place(hourly=None), "not an hourly forecast: Expected `object`, got `null`"),
        (
            with_first_place(hourly={"time": ["07:00"], **{name: [1.0] for name in UNITS}}),
            "not an hourly forecast: no time is a whole hour: '07:00'",
        ),
    ],
    ids=["other_zone", "no_hours", "no_times"],
)
def test_an_odd_place_costs_that_site_only(body: bytes, reason: str) -> None:
    reading = read(body)

    assert {record.site for record in reading.records} == {"south"}
    (open_,) = reading.incomplete
    assert open_.site == "north"
    assert open_.reason.startswith(reason)


@pytest.mark.parametrize("time", ["07:00", "2026-07-15T07:15"])
def test_an_odd_time_costs_that_hour_of_that_site_only(time: str) -> None:
    answer = json.loads(FORECAST)
    hours = answer[0]["hourly"]["time"]
    hours[hours.index("2026-07-15T07:00")] = time
    reading = read(json.dumps(answer).encode())

    assert values(reading, NORTH, 1) == {}
    assert values(reading, SOUTH, 1) == values(read(), SOUTH, 1) != {}
    assert [(value.raw, value.reason) for value in reading.rejected] == [
        (time, "odd_time: not a whole hour after the run")
    ]
    assert reading.incomplete == (IncompletePart("00H06H", "north", "without wind at 1 h"),)


def test_a_cell_has_its_place_and_its_ground_where_that_is_known() -> None:
    answer = json.loads(FORECAST)
    answer[1]["elevation"] = 1043.0
    assert read(json.dumps(answer).encode()).grid_points == (
        GridPoint("arome_0025", "north", "45.925,6.7", None),
        GridPoint("arome_0025", "south", "45.8,6.2", 1043.0),
    )


def test_one_place_is_an_object_and_not_a_list() -> None:
    alone = json.dumps(json.loads(FORECAST)[0]).encode()
    assert values(read(alone, sites=(NORTH,)), NORTH, 3)[Parameter.WIND_SPEED] == 12.6


def test_a_column_of_nulls_is_absent_and_may_have_no_unit() -> None:
    answer = json.loads(changed(wind_gusts_10m=[None] * 10))
    answer[0]["hourly_units"]["wind_gusts_10m"] = "undefined"

    reading = read(json.dumps(answer).encode())

    assert Parameter.WIND_GUST not in values(reading, NORTH, 3)
    assert Parameter.WIND_GUST in values(reading, SOUTH, 3)
    assert reading.parts == PARTS


def test_a_part_with_an_hour_without_wind_is_not_complete() -> None:
    reading = read(parts=(Part(0, 6), Part(7, 12)))
    assert reading.parts == (Part(0, 6),)


def test_a_site_without_any_wind_keeps_its_temperature_and_holds_up_no_other() -> None:
    reading = read(changed(wind_speed_10m=[None] * 10))

    assert values(reading, NORTH, 3)[Parameter.TEMPERATURE] == 19.0
    assert Parameter.WIND_SPEED not in values(reading, NORTH, 3)
    assert reading.incomplete == (IncompletePart("00H06H", "north", "without wind at 7 hours from 0 h on"),)
    assert (reading.parts, reading.rejected, reading.outside) == (PARTS, (), ())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error":true,"reason":"No data is available for this location"}', "not an hourly forecast"),
        (b"Unexpected error while streaming data: modelRunUnavailable", "not an hourly forecast"),
        (b"\xff", "not an hourly forecast"),
        (json.dumps(json.loads(FORECAST)[:1]).encode(), "1 locations for 2 sites"),
        (FORECAST.replace(b'"utc_offset_seconds": 0', b'"utc_offset_seconds": 7200'), "times 7200 s off UTC"),
        (FORECAST.replace(b"2026-07-15T", b"at "), "no time is a whole hour: 'at 05:00'"),
        (FORECAST[:-900] + b"Unexpected error while streaming data: x", "not an hourly forecast: Unexpected"),
    ],
)
def test_another_shape_zone_or_unit_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        read(body)


def test_an_answer_without_one_value_is_incomplete_for_every_site() -> None:
    answer = json.loads(FORECAST)
    for place in answer:
        place["hourly"] |= dict.fromkeys(UNITS, [None] * 10)
    reading = read(json.dumps(answer).encode())

    assert (reading.records, reading.outside, reading.parts) == ((), (), ())
    assert {one.site for one in reading.incomplete} == {"north", "south"}


def test_a_variable_of_which_no_place_has_a_value_is_named() -> None:
    answer = json.loads(FORECAST)
    for place in answer:
        place["hourly"]["wind_gusts_10m"] = [None] * 10
    reading = read(json.dumps(answer).encode())

    assert (reading.empty, reading.incomplete) == (("wind_gusts_10m",), ())


def test_metadata_have_the_newest_run_and_its_time_of_publication() -> None:
    meta = parse_meta(payload("open-meteo-meta.json"))
    assert (meta.reference_time, meta.available_at) == (RUN, AVAILABLE_AT)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"\xff", b'{"last_run_initialisation_time": 99999999999999999}']
)
def test_what_is_no_metadata_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError, match="not the metadata of a model"):
        parse_meta(body)


@pytest.mark.parametrize("seconds", [0, -1, 999_999_999_999_999, 2**62])
def test_a_year_beyond_reason_is_refused(seconds: int) -> None:
    body = {"last_run_initialisation_time": 1_784_095_200, "last_run_availability_time": seconds}
    with pytest.raises(ParseError, match="not the metadata of a model"):
        parse_meta(json.dumps(body).encode())


def test_a_run_that_was_available_before_it_started_is_refused() -> None:
    body = b'{"last_run_initialisation_time": 1784095200, "last_run_availability_time": 1784095199}'
    with pytest.raises(ParseError, match="availability precedes run start"):
        parse_meta(body)


def test_parts_are_cut_as_the_files_are() -> None:
    names = [part.name for part in parts_of(GRIDS["0025"], 51)]
    assert names == [
        *("00H06H", "07H12H", "13H18H", "19H24H", "25H30H", "31H36H", "37H42H", "43H48H", "49H51H"),
    ]
    assert [part.name for part in parts_of(GRIDS["0025"], 8)] == ["00H06H", "07H08H"]
    assert [part.name for part in parts_of(GRIDS["001"], 2)] == ["00H", "01H", "02H"]
    assert len(parts_of(GRIDS["001"], 51)) == 52


# The route


def source(**settings: Any) -> Source[ForecastBatch]:
    chosen = Settings.load(
        **{
            "arome_url": "http://storage.test",
            "open_meteo_url": "http://meta.test",
            "open_meteo_single_runs_url": "http://runs.test",
            "open_meteo_fallback": True,
            "arome_max_lead": 6,
            **settings,
        }
    )
    return arome.build(chosen, Worker())


def scripted(script: dict[str, Any] | None = None) -> ScriptedFetch:
    """Make a fetch for a storage that is down and a service that has the run of 06:00 UTC."""
    usual: dict[str, Any] = {
        "http://storage.test/": FetchError("connection refused", url="http://storage.test/"),
        META: payload("open-meteo-meta.json"),
        f"{RUNS}2026-07-15T06": FORECAST,
    }
    return ScriptedFetch({**usual, **(script or {})}, now=NOW)


def needs(**fields: Any) -> CollectionRequest:
    usual = {"now": NOW, "since": datetime(2026, 7, 15, 0, tzinfo=UTC), "sites": SITES}
    return CollectionRequest(**{**usual, **fields})


async def from_open_meteo(
    fetch: ScriptedFetch, needs: CollectionRequest, source: Source[ForecastBatch]
) -> list[ForecastBatch]:
    """Return what came after the storage had failed."""
    found = [batch async for batch in collect(source, needs, fetch)]
    assert {batch.route for batch in found} <= {"object_storage", "open_meteo"}
    return [batch for batch in found if batch.route == "open_meteo"]


async def test_one_answer_gives_a_run_for_all_sites() -> None:
    fetch = scripted()

    (batch,) = await from_open_meteo(fetch, needs(), source())

    assert batch.run == Run("arome_0025", RUN, AVAILABLE_AT, published=True)
    assert (batch.rank, batch.newest, batch.collected_at) == (2, RUN, NOW)
    assert (batch.parts, batch.sites) == (("00H06H",), ("north", "south"))
    assert (batch.failures, batch.rejected) == ((), ())
    # A north wind is received as 360 and stored as 0.
    assert values(batch, NORTH, 6)[Parameter.WIND_DIRECTION] == 0.0


async def test_the_question_names_the_run_the_sites_the_model_and_the_units() -> None:
    fetch = scripted()

    await from_open_meteo(fetch, needs(), source())

    assert fetch.requests[-1].params == {
        "run": "2026-07-15T06:00",
        "latitude": "45.93000,45.81230",
        "longitude": "6.71000,6.20000",
        "hourly": "wind_speed_10m,wind_direction_10m,wind_gusts_10m,temperature_2m",
        "models": "meteofrance_arome_france",
        "forecast_days": "4",
        "wind_speed_unit": "kmh",
        "timezone": "GMT",
        "elevation": "nan,nan",
        "cell_selection": "nearest",
    }


async def test_the_fine_grid_is_asked_for_by_its_own_names() -> None:
    fine_meta = "http://meta.test/data/meteofrance_arome_france_hd/static/meta.json"
    fetch = scripted({fine_meta: payload("open-meteo-meta.json")})

    (batch,) = await from_open_meteo(fetch, needs(), source(arome_grid="001"))

    assert fetch.requests[-1].params["models"] == "meteofrance_arome_france_hd"
    assert batch.parts == ("00H", "01H", "02H", "03H", "04H", "05H", "06H")
    assert {record.model for record in batch.records} == {"arome_001"}


@pytest.mark.parametrize(("minutes", "used"), [(9, False), (10, True)])
async def test_the_newest_run_is_used_ten_minutes_after_it_is_there(minutes: int, used: bool) -> None:
    now = AVAILABLE_AT + timedelta(minutes=minutes)
    found = await from_open_meteo(scripted(), needs(now=now), source())
    assert [batch.newest for batch in found] == ([RUN] if used else [])


async def test_older_runs_are_caught_up_without_a_stamp_of_the_publisher() -> None:
    midnight = datetime(2026, 7, 15, tzinfo=UTC)
    older = FORECAST.replace(b"2026-07-15T", b"2026-07-14T")  # hours 05:00 to 14:00 of the day before
    fetch = scripted({f"{RUNS}2026-07-15T00": FORECAST, f"{RUNS}2026-07-14T18": older})

    newest, second, third = await from_open_meteo(
        fetch, needs(since=datetime(2026, 7, 14, 12, tzinfo=UTC)), source()
    )

    assert newest.run is not None
    assert newest.run.published
    assert second.run == Run("arome_0025", midnight, NOW, published=False)
    assert (second.newest, third.newest) == (RUN, RUN)
    # The run of midnight is without its first hours in this answer: they do not count as complete.
    assert second.complete() == ()
    assert [failure.reason for failure in second.failures] == [
        "arome_0025 of 2026-07-15 00:00 UTC is incomplete in 00H06H at north and 1 more:"
        " without wind at 6 hours from 0 h on"
    ]
    assert [failure.error for failure in third.failures] == ["ParseError"]


async def test_only_the_cycles_asked_for_are_collected() -> None:
    fetch = scripted()

    await from_open_meteo(fetch, needs(), source(arome_runs="3,9"))

    assert [request.params["run"] for request in fetch.requests if "run" in request.params] == [
        "2026-07-15T03:00"
    ]


async def test_nothing_missing_requests_nothing_and_still_reports_the_newest_run() -> None:
    kept = {("arome_0025", RUN, "00H06H", site.id): rank for site, rank in zip(SITES, (0, 2), strict=True)}
    fetch = scripted()

    (batch,) = await from_open_meteo(fetch, needs(collected=kept), source())

    assert fetch.urls[-1] == META
    assert (batch.newest, batch.records, batch.run) == (RUN, (), None)


async def test_many_sites_are_asked_for_a_hundred_at_a_time() -> None:
    place = json.loads(FORECAST)[0]

    def answer(request: Any) -> bytes:
        return json.dumps([place] * request.params["latitude"].count(",") + [place]).encode()

    many = tuple(Site(f"site-{number}", "", 45.9, 6.7, 1000) for number in range(150))
    fetch = scripted({f"{RUNS}2026-07-15T06": answer})

    first, second = await from_open_meteo(fetch, needs(sites=many), source())

    assert (len(first.sites), len(second.sites)) == (100, 50)
    assert set(first.sites) | set(second.sites) == {site.id for site in many}


async def test_a_run_that_is_not_archived_is_a_failure() -> None:
    gone = FetchError("HTTP 400: modelRunUnavailable", url=RUNS, status=400)

    (batch,) = await from_open_meteo(scripted({f"{RUNS}2026-07-15T06": gone}), needs(), source())

    assert [(failure.reason, failure.error) for failure in batch.failures] == [
        (
            "arome_0025 of 2026-07-15 06:00 UTC is not in the archive: HTTP 400: modelRunUnavailable",
            "IncompleteError",
        )
    ]
    assert (batch.records, batch.parts, batch.collected_at) == ((), (), NOW)
    assert {one.site for one in batch.incomplete} == {"north", "south"}


async def test_without_metadata_the_route_has_failed() -> None:
    broken = FetchError("HTTP 500", url=META, status=500)

    (batch,) = await from_open_meteo(scripted({META: broken}), needs(), source())

    assert [failure.reason for failure in batch.failures] == ["HTTP 500"]


def test_it_is_a_lesser_route_than_the_files() -> None:
    last = source().routes[-1]
    assert isinstance(last, OpenMeteo)
    assert last.rank == 2
