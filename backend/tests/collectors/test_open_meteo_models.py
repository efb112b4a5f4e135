"""Models by way of Open-Meteo: each run by itself, only what is missing, only where a model answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from backend.collectors import forecast_sources
from backend.collectors.base import Source, collect
from backend.collectors.grib.worker import Worker
from backend.collectors.open_meteo_models import MODELS
from backend.core.config import Settings
from backend.core.errors import FetchError
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Outside, Run, Site
from backend.core.registry import OPEN_METEO_MODELS
from backend.core.sites import default_sites_file, load_sites
from backend.tests.support.fakes import Answer, ScriptedFetch, lead_time
from backend.tests.support.open_meteo_answers import (
    ANNECY,
    META,
    NINE,
    NOW,
    RUNS,
    SIX,
    answer,
    meta,
    source,
)

PYRENEES = Site("pyrenees", "Val Louron", 42.81, 0.4, 1450)


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


def test_the_models_of_neighbouring_countries_cover_these_shipped_sites() -> None:
    sites = load_sites(default_sites_file())

    def without(model: str) -> set[str]:
        area = MODELS[model].area
        return {site.id for site in sites if area is not None and not area.holds(site)}

    assert without("dmi_harmonie") == without("knmi_harmonie") == set()
    assert without("icon_2i") == {"puy-de-dome", "dune-du-pilat"}


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
