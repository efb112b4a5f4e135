"""Models by way of Open-Meteo: each run by itself, only what is missing, only where a model answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from backend.collectors import forecast_sources
from backend.collectors.base import Request, Source, collect
from backend.collectors.grib.worker import Worker
from backend.collectors.open_meteo_models import MODELS, build
from backend.core.config import Settings
from backend.core.errors import FetchError
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Outside, Run, Site
from backend.core.registry import OPEN_METEO_MODELS
from backend.tests.support.fakes import Answer, ScriptedFetch, lead_time

NOW = datetime(2026, 7, 15, 11, 50, tzinfo=UTC)
SIX, NINE = NOW.replace(hour=6, minute=0), NOW.replace(hour=9, minute=0)
META = "http://meta.test/data/"
RUNS = "http://runs.test/v1/forecast?run="

ANNECY = Site("annecy", "Planfait", 45.8123, 6.2, 950)
PYRENEES = Site("pyrenees", "Val Louron", 42.81, 0.4, 1450)


def meta(run: datetime, available_at: datetime) -> bytes:
    said = {
        "last_run_initialisation_time": int(run.timestamp()),
        "last_run_availability_time": int(available_at.timestamp()),
    }
    return json.dumps(said).encode()


def place(run: datetime, hours: int, elevation: float | None = 1043.0) -> dict[str, Any]:
    """Return a place with a wind of 10 km/h and 0.5 more each hour, from midnight of the run's day on."""
    midnight = run.replace(hour=0)
    times = [midnight + timedelta(hours=hour) for hour in range(24 * 7)]
    leads = [(time - run) // timedelta(hours=1) for time in times]
    there = [0 <= lead <= hours for lead in leads]
    return {
        "latitude": 45.82,
        "longitude": 6.18,
        "elevation": elevation,
        "utc_offset_seconds": 0,
        "hourly_units": {
            "time": "iso8601",
            "wind_speed_10m": "km/h",
            "wind_direction_10m": "°",
            "wind_gusts_10m": "km/h",
            "temperature_2m": "°C",
        },
        "hourly": {
            "time": [f"{time:%Y-%m-%dT%H:%M}" for time in times],
            "wind_speed_10m": [
                10 + lead / 2 if is_ else None for lead, is_ in zip(leads, there, strict=True)
            ],
            "wind_direction_10m": [270 if is_ else None for is_ in there],
            "wind_gusts_10m": [30 if is_ and lead else None for lead, is_ in zip(leads, there, strict=True)],
            "temperature_2m": [12.5 if is_ else None for is_ in there],
        },
    }


def answer(hours: int) -> Callable[[Request], bytes]:
    """Answer for every place that is asked for, with the run that is asked for."""

    def body(request: Request) -> bytes:
        run = datetime.strptime(request.params["run"], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        places = [place(run, hours) for _ in request.params["latitude"].split(",")]
        return json.dumps(places if len(places) > 1 else places[0]).encode()

    return body


def source(models: str) -> Source[ForecastBatch]:
    return build(
        Settings.load(
            open_meteo_models=models,
            open_meteo_url="http://meta.test",
            open_meteo_single_runs_url="http://runs.test",
        )
    )


def needs(*sites: Site, since: datetime = SIX - timedelta(hours=1), **fields: Any) -> CollectionRequest:
    return CollectionRequest(now=NOW, since=since, sites=sites, **fields)


async def collected(
    source: Source[ForecastBatch], want: CollectionRequest, fetch: ScriptedFetch
) -> list[ForecastBatch]:
    return [batch async for batch in collect(source, want, fetch)]


ICON: dict[str, Answer] = {
    f"{META}dwd_icon_d2/static/meta.json": meta(NINE, NINE + timedelta(minutes=84)),
    RUNS: answer(48),
}


async def test_each_run_is_asked_for_by_its_time_and_carries_that_time() -> None:
    fetch = ScriptedFetch(ICON, now=NOW)

    nine, six = await collected(source("icon_d2"), needs(ANNECY), fetch)

    assert [request.params["run"] for request in fetch.requests[1:]] == [
        "2026-07-15T09:00",
        "2026-07-15T06:00",
    ]
    assert {request.params["models"] for request in fetch.requests[1:]} == {"icon_d2"}
    assert nine.run == Run("icon_d2", NINE, NINE + timedelta(minutes=84), published=True)
    assert six.run == Run("icon_d2", SIX, NOW, published=False)
    assert {(record.model, record.reference_time) for record in nine.records} == {("icon_d2", NINE)}
    assert (nine.source, nine.route, nine.rank, nine.newest) == ("open_meteo", "single_runs", 0, NINE)
    assert (nine.parts, nine.sites) == (("00H23H", "24H47H", "48H"), ("annecy",))
    assert max(lead_time(record) for record in nine.records) == timedelta(hours=48)
    assert nine.grid_points == (GridPoint("icon_d2", "annecy", "45.82,6.18", 1043.0),)


async def test_a_request_counts_as_one_call_for_each_place_and_metadata_as_none() -> None:
    fetch = ScriptedFetch(ICON, now=NOW)
    other = Site("other", "", 45.9, 6.7, 1000)

    await collected(source("icon_d2"), needs(ANNECY, other, since=SIX), fetch)

    assert [request.calls for request in fetch.requests] == [0, 2]


async def test_only_the_hours_that_a_model_itself_has_are_taken() -> None:
    script: dict[str, Answer] = {
        f"{META}ecmwf_ifs025/static/meta.json": meta(SIX, SIX + timedelta(hours=5)),
        RUNS: answer(90),
    }

    (batch,) = await collected(source("ecmwf_ifs025"), needs(ANNECY), ScriptedFetch(script, now=NOW))

    leads = {lead_time(record) // timedelta(hours=1) for record in batch.records}
    assert leads == set(range(0, 91, 3))
    assert batch.failures == ()


async def test_a_site_that_a_model_does_not_reach_is_not_asked_for() -> None:
    fetch = ScriptedFetch(ICON, now=NOW)

    away, batch = await collected(source("icon_d2"), needs(PYRENEES, ANNECY, since=SIX), fetch)
    told = frozenset({("icon_d2", "pyrenees")})
    (nothing,) = await collected(source("icon_d2"), needs(PYRENEES, since=SIX, outside=told), fetch)

    assert away.outside == (
        Outside(
            "icon_d2",
            "pyrenees",
            "it lies outside the area of the model (43.3 N to 58 N, 3.8 W to 20.2 E)",
        ),
    )
    assert batch.sites == ("annecy",)
    assert "," not in fetch.requests[1].params["latitude"]
    assert (nothing.records, nothing.failures, nothing.newest) == ((), (), NINE)


async def test_only_missing_sites_and_runs_are_requested() -> None:
    other = Site("other", "", 45.9, 6.7, 1000)
    parts = [part.name for part in MODELS["icon_d2"].parts]
    kept = {("icon_d2", NINE, part, "annecy"): 0 for part in parts}
    fetch = ScriptedFetch(ICON, now=NOW)

    (batch,) = await collected(source("icon_d2"), needs(ANNECY, other, since=SIX, collected=kept), fetch)

    assert batch.sites == ("other",)


async def test_a_model_that_fails_costs_itself_only() -> None:
    broken = f"{META}ecmwf_ifs025/static/meta.json"
    script: dict[str, Answer] = {**ICON, broken: FetchError("HTTP 500", url=broken, status=500)}

    first, second = await collected(
        source("ecmwf_ifs025,icon_d2"), needs(ANNECY, since=SIX), ScriptedFetch(script, now=NOW)
    )

    assert [failure.reason for failure in first.failures] == ["HTTP 500"]
    assert second.run is not None
    assert second.run.model == "icon_d2"


async def test_a_model_that_stands_still_behind_the_others_is_a_failure_that_names_it() -> None:
    old = NOW.replace(hour=0, minute=0) - timedelta(hours=24)
    script: dict[str, Answer] = {
        **ICON,
        f"{META}meteoswiss_icon_ch1/static/meta.json": meta(old, old + timedelta(hours=2)),
    }

    found = await collected(
        source("icon_ch1,icon_d2"), needs(ANNECY, since=SIX), ScriptedFetch(script, now=NOW)
    )

    (failure,) = (failure for batch in found for failure in batch.failures)
    assert failure.reason == (
        "the newest run of icon_ch1 is that of 2026-07-14 00:00 UTC, older than the limit of 8.5 h"
    )
    assert any(batch.records for batch in found)


async def test_a_spent_quota_is_a_failure_with_its_reason() -> None:
    spent = FetchError("quota: 9990 of the 10000 calls that runs.test allows a day are spent", url=RUNS)

    (batch,) = await collected(
        source("icon_d2"), needs(ANNECY, since=SIX), ScriptedFetch({**ICON, RUNS: spent}, now=NOW)
    )

    assert batch.failures[0].reason.startswith("quota: 9990 of the 10000 calls")
    assert (batch.run, batch.parts) == (None, ())


def test_the_settings_know_exactly_the_models_there_are() -> None:
    assert tuple(MODELS) == OPEN_METEO_MODELS


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_parts_of_a_model_hold_its_hours_each_once(model: Any) -> None:
    leads = [lead for part in model.parts for lead in part.leads]
    assert leads == sorted(set(leads))
    assert (leads[0], leads[-1]) == (0, model.horizon)
    assert len({later - earlier for earlier, later in pairwise(leads)}) == 1
    assert len({part.name for part in model.parts}) == len(model.parts)
    assert 24 * model.days > 21 + model.horizon  # the last hour of the latest run is asked for


def test_the_source_is_not_opted_in_unless_a_model_is_named() -> None:
    def built(**settings: Any) -> Source[ForecastBatch]:
        worker = Worker()
        return next(s for s in forecast_sources(Settings.load(**settings), worker) if s.name == "open_meteo")

    off, on = built(), built(sources="arome", open_meteo_models="icon_d2,icon_ch2")

    assert (off.opted_in, off.routes) == (False, ())
    assert off.disabled is not None
    assert "OPEN_METEO_MODELS" in off.disabled
    assert (on.opted_in, on.disabled, on.models) == (True, None, ("icon_d2", "icon_ch2"))
    assert on.max_age == timedelta(hours=16)
