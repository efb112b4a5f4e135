"""C-LAEF 1 km of GeoSphere: whole runs by one request, matched by place, and by the run that they state."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.collectors import forecast_sources
from backend.collectors.base import Payload, Request, collect
from backend.collectors.geosphere import SITES_PER_REQUEST, build
from backend.collectors.geosphere_answer import PART, parse, parse_metadata
from backend.collectors.grib.worker import Worker
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Run, Site
from backend.tests.support.fakes import Answer, ScriptedFetch, lead_time

NOW = datetime(2026, 7, 15, 12, 10, tzinfo=UTC)
SIX, THREE = datetime(2026, 7, 15, 6, tzinfo=UTC), datetime(2026, 7, 15, 3, tzinfo=UTC)
HOST = "https://hub.test"
SERIES = f"{HOST}/v1/timeseries/forecast/nwp-v2-1h-1km"
METADATA = f"{SERIES}/metadata"

ANNECY = Site("annecy", "Annecy", 45.8574, 6.2235, 930)
PASSY = Site("passy", "Passy", 45.9512, 6.7391, 1360)
MILLAU = Site("millau", "Millau", 44.111, 3.102, 840)

SPEED, GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST
DIRECTION, TEMPERATURE = Parameter.WIND_DIRECTION, Parameter.TEMPERATURE


def stamp(moment: datetime) -> str:
    """Return a time as the data hub writes it: with its offset and without seconds."""
    return f"{moment:%Y-%m-%dT%H:%M}+00:00"


def metadata(*runs: datetime, **changes: Any) -> bytes:
    listed = [stamp(run) for run in runs]
    return json.dumps(
        {
            "title": "nwp",
            "mode": "forecast",
            "last_forecast_reftime": listed[0],
            "max_forecast_offset": len(listed) - 1,
            "available_forecast_reftimes": listed,
            "forecast_length": 61,
            **changes,
        }
    ).encode()


def feature(latitude: float, longitude: float, hours: int = 61, **columns: list[Any]) -> dict[str, Any]:
    """Return one place of an answer: wind from the west at 5 m/s, gusts of 10 m/s, 4.5 °C."""
    data = {
        "2t": [4.5] * hours,
        "10u": [5.0] * hours,
        "10v": [0.0] * hours,
        "10fg": [None, *[10.0] * (hours - 1)],
        **columns,
    }
    units = {"2t": "degree Celsius"}
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
        "properties": {
            "parameters": {
                name: {"name": name, "unit": units.get(name, "m s-1"), "data": values}
                for name, values in data.items()
            }
        },
    }


def near(site: Site, **options: Any) -> dict[str, Any]:
    """Return the place of the cell of a site, whose centre lies beside it."""
    return feature(round(site.latitude + 0.003, 4), round(site.longitude - 0.005, 4), **options)


def series(start: datetime, *features: dict[str, Any], hours: int = 61, first: int = 0) -> bytes:
    times = [stamp(start + timedelta(hours=first + hour)) for hour in range(hours)]
    return json.dumps(
        {
            "type": "FeatureCollection",
            "reference_time": stamp(start),
            "timestamps": times,
            "features": features,
        }
    ).encode()


def points(request: Request) -> list[tuple[float, float]]:
    found = re.findall(r"lat_lon=([-0-9.]+),([-0-9.]+)", request.url)
    return [(float(latitude), float(longitude)) for latitude, longitude in found]


def hub(
    *runs: datetime, answer: Callable[[datetime, list[tuple[float, float]]], bytes] | None = None
) -> dict[str, Answer]:
    """Return a data hub with these runs, newest first, which answers at each requested point."""

    def reply(request: Request) -> bytes:
        offset = int(re.findall(r"forecast_offset=(\d+)", request.url)[0])
        places = points(request)
        if answer is not None:
            return answer(runs[offset], places)
        return series(runs[offset], *(feature(*place) for place in places))

    return {METADATA: metadata(*runs), f"{SERIES}?": reply}


def needs(*sites: Site, since: datetime = SIX - timedelta(hours=1), **fields: Any) -> CollectionRequest:
    return CollectionRequest(now=NOW, since=since, sites=sites, **fields)


async def collected(want: CollectionRequest, fetch: ScriptedFetch) -> list[ForecastBatch]:
    source = build(Settings.load(geosphere_url=HOST))
    return [batch async for batch in collect(source, want, fetch)]


def at(batch: ForecastBatch, site: str, hour: int) -> dict[Parameter, float]:
    assert batch.run is not None
    time = batch.run.reference_time + timedelta(hours=hour)
    return {one.parameter: one.value for one in batch.records if one.site == site and one.valid_time == time}


def payload(body: bytes) -> Payload:
    return Payload(url=SERIES, body=body, fetched_at=NOW)


# --- Requests -----------------------------------------------------------------------------------------


async def test_one_request_has_all_sites_of_a_run_and_names_the_whole_run() -> None:
    fetch = ScriptedFetch(hub(SIX, THREE), now=NOW)

    (batch,) = await collected(needs(ANNECY, PASSY), fetch)

    assert fetch.urls == [
        METADATA,
        f"{SERIES}?parameters=2t,10u,10v,10fg&start=2026-07-15T06:00&end=2026-07-17T18:00&forecast_offset=0"
        "&lat_lon=45.8574,6.2235&lat_lon=45.9512,6.7391",
    ]
    assert batch.run == Run("claef_1km", SIX, SIX + timedelta(hours=5), published=False)
    assert (batch.source, batch.route, batch.rank, batch.newest) == ("geosphere", "timeseries", 0, SIX)
    assert (batch.parts, batch.sites) == (("00H60H",), ("annecy", "passy"))
    assert max(lead_time(record) for record in batch.records) == timedelta(hours=60)
    assert batch.failures == ()


async def test_a_run_is_available_after_the_usual_delay_or_when_it_is_seen_before_that() -> None:
    nine = SIX + timedelta(hours=3)
    fetch = ScriptedFetch(hub(nine, SIX), now=NOW)

    later, earlier = await collected(needs(ANNECY), fetch)

    assert [batch.run.available_at for batch in (later, earlier) if batch.run] == [
        NOW,
        SIX + timedelta(hours=5),
    ]


async def test_values_are_in_our_units_and_the_first_hour_has_no_gust() -> None:
    (batch,) = await collected(needs(ANNECY), ScriptedFetch(hub(SIX), now=NOW))

    assert at(batch, "annecy", 0) == {SPEED: 18.0, DIRECTION: 270.0, TEMPERATURE: 4.5}
    assert at(batch, "annecy", 1) == {SPEED: 18.0, DIRECTION: 270.0, TEMPERATURE: 4.5, GUST: 36.0}


async def test_the_height_of_the_ground_is_unknown_so_that_temperature_is_not_ranked() -> None:
    (batch,) = await collected(needs(ANNECY), ScriptedFetch(hub(SIX), now=NOW))

    assert batch.grid_points == (GridPoint("claef_1km", "annecy", "45.8574,6.2235", None),)


async def test_every_listed_run_that_is_missing_is_read_newest_first() -> None:
    fetch = ScriptedFetch(hub(SIX, THREE, THREE - timedelta(hours=3)), now=NOW)
    kept = {("claef_1km", SIX, PART.name, "annecy"): 0}

    later, earlier = await collected(
        needs(ANNECY, PASSY, since=THREE - timedelta(hours=1), collected=kept), fetch
    )

    assert [(batch.run.reference_time, batch.sites) for batch in (later, earlier) if batch.run] == [
        (SIX, ("passy",)),
        (THREE, ("annecy", "passy")),
    ]


async def test_nothing_new_is_one_request_and_no_failure() -> None:
    kept = {("claef_1km", SIX, PART.name, "annecy"): 0}
    fetch = ScriptedFetch(hub(SIX), now=NOW)

    (batch,) = await collected(needs(ANNECY, collected=kept), fetch)

    assert fetch.urls == [METADATA]
    assert (batch.records, batch.failures, batch.newest) == ((), (), SIX)


async def test_many_sites_are_asked_for_in_addresses_that_the_host_accepts() -> None:
    sites = [Site(f"s{n}", "", 44.0 + n / 20, 6.0 + n / 20, 1000) for n in range(SITES_PER_REQUEST + 5)]
    fetch = ScriptedFetch(hub(SIX), now=NOW)

    batches = await collected(needs(*sites), fetch)

    assert [len(batch.sites) for batch in batches] == [SITES_PER_REQUEST, 5]
    assert max(len(url) for url in fetch.urls) < 1_800


# --- Sites outside ------------------------------------------------------------------------------------


async def test_a_site_outside_the_known_area_is_never_asked_for() -> None:
    fetch = ScriptedFetch(hub(SIX), now=NOW)

    batch, nothing = await collected(needs(MILLAU, ANNECY), fetch)

    assert [len(points(request)) for request in fetch.requests[1:]] == [1]
    assert batch.sites == ("annecy",)
    (outside,) = nothing.outside
    assert (outside.model, outside.site) == ("claef_1km", "millau")
    assert "it lies outside the area of the model" in outside.reason


def refusing(*refused: Site) -> Callable[[datetime, list[tuple[float, float]]], bytes]:
    """Return answers of a hub whose grid does not have some points, which fail their whole request."""

    def answer(start: datetime, places: list[tuple[float, float]]) -> bytes:
        for site in refused:
            if (site.latitude, site.longitude) in places:
                raise FetchError(
                    "HTTP 400 Bad Request:"
                    f' \'{{"detail":"Requested point {site.latitude},{site.longitude} is outside of datas\'',
                    status=400,
                )
        return series(start, *(feature(*place) for place in places))

    return answer


async def test_a_refused_point_is_left_out_with_its_reason_and_the_others_are_asked_for() -> None:
    fetch = ScriptedFetch(hub(SIX, answer=refusing(PASSY)), now=NOW)

    refused, batch = await collected(needs(ANNECY, PASSY), fetch)

    assert (batch.sites, batch.failures) == (("annecy",), ())
    (outside,) = refused.outside
    assert (outside.site, refused.failures) == ("passy", ())
    assert outside.reason.startswith("GeoSphere refuses the position: HTTP 400 Bad Request")


async def test_a_site_that_was_refused_does_not_cost_the_others_a_request() -> None:
    fetch = ScriptedFetch(hub(SIX, THREE, answer=refusing(PASSY)), now=NOW)
    told = frozenset({("claef_1km", "passy")})

    batches = await collected(needs(ANNECY, PASSY, since=THREE - timedelta(hours=1), outside=told), fetch)

    asked = [points(request) for request in fetch.requests[1:]]
    assert asked == [[(45.8574, 6.2235)], [(45.9512, 6.7391)], [(45.8574, 6.2235)]]
    assert [batch.outside for batch in batches] == [(), (), ()]
    assert all(not batch.failures for batch in batches)


async def test_a_site_that_had_values_before_is_no_site_outside() -> None:
    fetch = ScriptedFetch(hub(SIX, answer=refusing(PASSY)), now=NOW)

    refused, batch = await collected(
        needs(ANNECY, PASSY, cells={("claef_1km", "passy"): "45.95,6.74"}), fetch
    )

    assert refused.failures[0].reason.startswith("passy: HTTP 400")
    assert (refused.outside, refused.sites, batch.sites) == ((), (), ("annecy",))


async def test_another_refusal_is_a_failure() -> None:
    def answer(start: datetime, places: list[tuple[float, float]]) -> bytes:
        raise FetchError('HTTP 400 Bad Request: \'{"detail":"Parameter 10fg is not available"}\'', status=400)

    (batch,) = await collected(needs(ANNECY), ScriptedFetch(hub(SIX, answer=answer), now=NOW))

    assert "10fg is not available" in batch.failures[0].reason
    assert (batch.records, batch.parts) == ((), ())


# --- Runs ---------------------------------------------------------------------------------------------


async def test_an_answer_of_another_run_is_refused() -> None:
    fetch = ScriptedFetch(hub(SIX, answer=lambda _, places: series(THREE, feature(*places[0]))), now=NOW)

    (batch,) = await collected(needs(ANNECY), fetch)

    assert batch.failures[0].reason == (
        "not an hourly forecast: the run of 2026-07-15 03:00 instead of 2026-07-15 06:00"
    )
    assert batch.records == ()


async def test_a_dataset_that_is_gone_is_a_failure_that_states_what_is_known() -> None:
    gone = FetchError("HTTP 404 Not Found", url=METADATA, status=404)

    (batch,) = await collected(needs(ANNECY), ScriptedFetch({METADATA: gone}, now=NOW))

    assert "the data hub has no dataset nwp-v2-1h-1km" in batch.failures[0].reason


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"last_forecast_reftime": null}',
        metadata(SIX, last_forecast_reftime="today"),
        metadata(SIX, last_forecast_reftime="2026-07-15T06:00"),  # without its zone
        metadata(SIX, last_forecast_reftime=stamp(THREE)),  # the list has a newer one
        metadata(NOW.replace(minute=0) + timedelta(hours=3)),  # in the future
        metadata(SIX, available_forecast_reftimes=["2026-07-15"]),
    ],
)
def test_other_metadata_are_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_metadata(payload(body), NOW)


def test_times_with_another_offset_are_the_same_runs() -> None:
    body = metadata(SIX, last_forecast_reftime="2026-07-15T08:00+02:00")
    assert parse_metadata(payload(body), NOW) == [SIX]


# --- Answers ------------------------------------------------------------------------------------------


def test_places_are_matched_by_distance_and_not_by_order() -> None:
    body = series(SIX, near(PASSY, **{"10u": [1.0] * 61}), near(ANNECY, **{"10u": [2.0] * 61}))

    answer = parse(payload(body), SIX, [ANNECY, PASSY])

    speeds = {(one.site, one.value) for one in answer.records if one.parameter is SPEED}
    assert speeds == {("annecy", 7.2), ("passy", 3.6)}
    assert answer.absent == {}


def test_a_site_without_a_cell_beside_it_has_no_values() -> None:
    answer = parse(payload(series(SIX, near(PASSY))), SIX, [ANNECY, PASSY])

    assert {one.site for one in answer.records} == {"passy"}
    assert answer.absent == {"annecy": "the answer has no cell of the model at the site"}


@pytest.mark.parametrize("place", [(45.855, 6.2197), (45.8635, 6.233)])
def test_the_cell_of_a_neighbour_is_not_that_of_a_site(place: tuple[float, float]) -> None:
    site = Site("forclaz", "Forclaz", 45.858, 6.233, 1150)

    answer = parse(payload(series(SIX, feature(*place), near(PASSY))), SIX, [site, PASSY])

    assert {one.site for one in answer.records} == {"passy"}
    assert answer.absent == {"forclaz": "the answer has no cell of the model at the site"}


def test_a_site_on_the_edge_of_its_cell_has_its_values() -> None:
    body = series(SIX, feature(round(ANNECY.latitude - 0.0046, 4), round(ANNECY.longitude + 0.0068, 4)))
    assert parse(payload(body), SIX, [ANNECY]).absent == {}


def test_an_odd_place_costs_its_site_only() -> None:
    odd = near(ANNECY)
    odd["geometry"]["coordinates"] = [None, None]

    answer = parse(payload(series(SIX, odd, near(PASSY))), SIX, [ANNECY, PASSY])

    assert list(answer.absent) == ["annecy"]
    (rejected,) = answer.rejected
    assert rejected.reason.startswith("odd_row: ")


def test_null_is_absent_and_a_calm_has_no_direction() -> None:
    columns = {
        "2t": [None, *[4.5] * 60],
        "10u": [0.0, None, *[5.0] * 59],
        "10v": [0.0, 1.0, *[0.0] * 59],
    }
    answer = parse(payload(series(SIX, near(ANNECY, **columns))), SIX, [ANNECY])

    values = {(one.valid_time - SIX, one.parameter): one.value for one in answer.records}
    none, hour = timedelta(0), timedelta(hours=1)
    assert values[none, SPEED] == 0.0
    assert (none, DIRECTION) not in values
    assert (none, TEMPERATURE) not in values
    assert (hour, SPEED) not in values
    assert values[hour, GUST] == 36.0
    assert answer.absent == {"annecy": "without wind at 1 h"}
    assert answer.rejected == ()


def test_a_gust_of_0_beside_wind_is_a_missing_value_and_one_at_step_0_is_none() -> None:
    answer = parse(payload(series(SIX, near(ANNECY, **{"10fg": [0.0, 0.0, *[9.0] * 59]}))), SIX, [ANNECY])

    assert min(one.valid_time for one in answer.records if one.parameter is GUST) == SIX + timedelta(hours=2)
    assert [(one.reason_code, one.parameter) for one in answer.rejected] == [("zero_gust", GUST)]


def test_a_gust_of_0_in_a_calm_is_a_value() -> None:
    calm = {"10u": [0.5] * 61, "10fg": [None, *[0.0] * 60]}
    answer = parse(payload(series(SIX, near(ANNECY, **calm))), SIX, [ANNECY])
    assert {one.value for one in answer.records if one.parameter is GUST} == {0.0}


def test_text_in_place_of_a_number_costs_that_value() -> None:
    body = series(SIX, near(ANNECY)).replace(b'"data": [5.0', b'"data": [NaN', 1)

    answer = parse(payload(body), SIX, [ANNECY])

    assert [(one.reason_code, one.raw) for one in answer.rejected] == [("not_a_number", "'NaN'")]
    assert answer.absent == {"annecy": "without wind at 0 h"}


@pytest.mark.parametrize(
    ("change", "problem", "lost"),
    [
        ({"unit": "km/h"}, "10fg in 'km/h'", GUST),
        ({"data": [1.0]}, "1 values of 10fg for 61 hours", GUST),
        ({"data": None}, "10fg is not a column: ", GUST),
    ],
)
def test_a_column_that_cannot_be_used_costs_itself(change: Any, problem: str, lost: Parameter) -> None:
    odd = near(ANNECY)
    odd["properties"]["parameters"]["10fg"].update(change)

    answer = parse(payload(series(SIX, odd)), SIX, [ANNECY])

    assert answer.absent["annecy"].startswith(problem)
    assert {one.parameter for one in answer.records} == set(Parameter) - {lost}


def test_the_unit_in_the_answer_counts() -> None:
    kelvin = near(ANNECY)
    kelvin["properties"]["parameters"]["2t"] = {"unit": "K", "data": [273.65] * 61}

    answer = parse(payload(series(SIX, kelvin)), SIX, [ANNECY])

    values = [one.value for one in answer.records if one.parameter is TEMPERATURE]
    assert values == [pytest.approx(0.5)] * 61


def test_an_answer_that_begins_later_than_its_run_is_incomplete() -> None:
    body = series(SIX, near(ANNECY, hours=55), hours=55, first=6)

    answer = parse(payload(body), SIX, [ANNECY])

    assert answer.absent == {"annecy": "without wind at 6 hours from 0 h on"}
    assert min(one.valid_time for one in answer.records) == SIX + timedelta(hours=6)


def test_an_odd_time_costs_its_row() -> None:
    body = series(SIX, near(ANNECY)).replace(b"2026-07-15T08:00+00:00", b"2026-07-15T08:07+00:00")

    answer = parse(payload(body), SIX, [ANNECY])

    assert [one.reason_code for one in answer.rejected] == ["odd_time"]
    assert answer.absent == {"annecy": "without wind at 2 h"}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"detail": "busy"}',
        series(SIX),
        series(SIX, near(PASSY)),
        series(SIX, near(ANNECY), first=-1),
        series(SIX, near(ANNECY)).replace(b"+00:00", b""),
    ],
)
def test_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse(payload(body), SIX, [ANNECY])


# --- Incomplete runs ----------------------------------------------------------------------------------


async def test_a_missing_field_is_a_failure_once_and_a_note_later() -> None:
    def without_gust(start: datetime, places: list[tuple[float, float]]) -> bytes:
        place = feature(*places[0])
        del place["properties"]["parameters"]["10fg"]
        return series(start, place)

    script = hub(SIX, answer=without_gust)
    (first,) = await collected(needs(ANNECY), ScriptedFetch(script, now=NOW))
    (missing,) = first.incomplete
    known = {("claef_1km", SIX, PART.name, "annecy"): missing.version}
    (second,) = await collected(needs(ANNECY, incomplete=known), ScriptedFetch(script, now=NOW))
    (third,) = await collected(needs(ANNECY, incomplete=known), ScriptedFetch(hub(SIX), now=NOW))

    assert [failure.error for failure in first.failures] == ["IncompleteError"]
    assert first.records
    assert first.complete() == ()
    assert (second.records, second.failures, second.complete()) == ((), (), ())
    assert second.notes == ("claef_1km of 2026-07-15 06:00 UTC is incomplete for 1 site as before",)
    assert third.complete() == (("00H60H", "annecy"),)
    assert third.records


@pytest.mark.parametrize(
    ("column", "values", "lost"),
    [
        ("10fg", [None] * 61, GUST),
        ("10fg", [3.0, *[None] * 60], GUST),  # hour 0 has no gust: its value is not read
        ("10fg", [0.0] * 61, GUST),  # beside 18 km/h of wind
        ("2t", [None] * 61, TEMPERATURE),
        ("2t", [4.5, *[None] * 60], TEMPERATURE),
    ],
)
async def test_a_column_without_values_is_read_again_and_its_wind_stays(
    column: str, values: list[float | None], lost: Parameter
) -> None:
    columns: dict[str, Any] = {column: values}

    def without(start: datetime, places: list[tuple[float, float]]) -> bytes:
        return series(start, feature(*places[0], **columns), *(feature(*one) for one in places[1:]))

    script = hub(SIX, answer=without)
    (first,) = await collected(needs(ANNECY, PASSY), ScriptedFetch(script, now=NOW))
    known = {("claef_1km", SIX, PART.name, one.site): one.version for one in first.incomplete}
    (second,) = await collected(needs(ANNECY, incomplete=known), ScriptedFetch(script, now=NOW))
    (third,) = await collected(needs(ANNECY, incomplete=known), ScriptedFetch(hub(SIX), now=NOW))

    (failure,) = first.failures
    assert failure.reason.endswith(f"is incomplete in 00H60H at annecy: {column} has no value")
    assert first.complete() == (("00H60H", "passy"),)
    after_start = {one.parameter for one in first.records if one.site == "annecy" and one.valid_time > SIX}
    assert after_start == set(Parameter) - {lost}
    assert (second.records, second.rejected, second.failures, second.complete()) == ((), (), (), ())
    assert third.complete() == (("00H60H", "annecy"),)
    assert lost in {one.parameter for one in third.records}


async def test_what_was_set_aside_at_an_incomplete_site_is_not_counted_again() -> None:
    def odd(start: datetime, places: list[tuple[float, float]]) -> bytes:
        columns: dict[str, Any] = {"10u": ["NaN", *[5.0] * 60]}
        return series(start, *(feature(*place, **columns) for place in places)).replace(
            b"2026-07-15T08:00+00:00", b"2026-07-15T08:07+00:00"
        )

    async def set_aside(*sites: Site) -> list[tuple[str, str]]:
        (batch,) = await collected(needs(*sites, incomplete=known), ScriptedFetch(script, now=NOW))
        return [(one.subject, one.reason_code) for one in batch.rejected]

    script = hub(SIX, answer=odd)
    (first,) = await collected(needs(ANNECY), ScriptedFetch(script, now=NOW))
    known = {("claef_1km", SIX, PART.name, one.site): one.version for one in first.incomplete}

    assert [one.reason_code for one in first.rejected] == ["odd_time", "not_a_number"]
    assert await set_aside(ANNECY) == []
    assert await set_aside(ANNECY, PASSY) == [("claef_1km", "odd_time"), ("claef_1km passy", "not_a_number")]


def test_the_source_is_collected_by_default_and_its_values_are_public() -> None:
    sources = forecast_sources(Settings.load(), Worker())
    source = next(source for source in sources if source.name == "geosphere")
    assert (source.opted_in, source.disabled, source.public) == (True, None, True)
    assert source.past is None
    assert "18 hours" in source.no_archive_reason
