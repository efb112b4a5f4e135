"""Runs without all of their values, through the job: what is stored, and the status of each collection.

The sources are the real ones on scripted answers; the runner and the store are real too.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.collectors import meteo_parapente
from backend.collectors.base import MeteredFetch, Request, Source
from backend.collectors.grib.route import OVERDUE_AFTER
from backend.collectors.grib.worker import Worker
from backend.collectors.open_meteo import MOST_SPLITS
from backend.core.errors import FetchError
from backend.core.parameters import Parameter
from backend.core.records import ForecastBatch, Site
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage import schema as t
from backend.storage.database import from_epoch
from backend.storage.run_records import JobRun, SourceRun
from backend.tests.support import parapente_answers as parapente
from backend.tests.support.arome_files import (
    EARLIER,
    GROUPS,
    HOUR_OF_STAMP,
    NOW,
    SITES,
    file_url,
    grib,
    ground,
    ground_url,
    listing,
    listing_url,
    source,
)
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.grib_factory import RUN, Message
from backend.tests.support.open_meteo_answers import ANNECY, META, NINE, RUNS, SIX, answer, meta, place
from backend.tests.support.open_meteo_answers import source as models
from backend.tests.support.worlds import (
    HandClock,
    NoTraffic,
    World,
    brings_a_run,
    forecast_source,
    make_world,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Life:
    """One installation over several collections of one source."""

    def __init__(self, folder: Path, source: Source[ForecastBatch], sites: tuple[Site, ...] = SITES) -> None:
        self.folder = folder
        self.fetch = ScriptedFetch({}, now=NOW, folder=folder)
        self.world: World = make_world(
            folder,
            forecasts=(source,),
            sites=lambda: sites,
            clock=HandClock(NOW),
            channel_for=lambda _run, _source: MeteredFetch(self.fetch, NoTraffic(requests=1)),
            forecast_lookback_hours=13,
        )

    async def collect(self, script: dict[str, Any], after: timedelta = timedelta()) -> SourceRun:
        """Collect on these answers, `after` the collection before; return the outcome of the source."""
        now: datetime = self.world.clock.now + after
        self.world.clock.now = now
        self.fetch = ScriptedFetch(script, now=now, folder=self.folder)
        run = await self.world.runner.run(FORECASTS, "cli")
        assert run is not None
        (outcome,) = run.sources
        assert run.status == {"stale": "partial"}.get(outcome.status, outcome.status)
        return outcome

    def values(self, parameter: Parameter) -> dict[datetime, int]:
        """Return how many hours of a parameter are stored at all sites, by run."""
        query = sa.select(t.forecast.c.reference_time).where(t.forecast.c[parameter].is_not(None))
        with self.world.database.read() as connection:
            return dict(Counter(from_epoch(start) for start in connection.execute(query).scalars()))

    @property
    def files(self) -> list[str]:
        """Return the addresses of the GRIB files that the last collection asked for."""
        return [url for url in self.fetch.urls if url.endswith(".grib2")]


# --- A job without an enabled source ----------------------------------------------------------------


async def test_a_job_without_an_enabled_source_has_nothing_new_with_a_reason(tmp_path: Path) -> None:
    off = replace(forecast_source(brings_a_run), disabled="turned off: SOURCES does not name it")
    world = make_world(tmp_path, forecasts=(off,), observations=())

    forecasts = await world.runner.run(FORECASTS, "cli")
    observations = await world.runner.run(OBSERVATIONS, "cli")

    def ended(run: JobRun | None) -> tuple[str, str]:
        assert run is not None
        return run.status, run.note

    assert ended(forecasts) == (
        "nothing_new",
        "no source of this job is enabled; arome: turned off: SOURCES does not name it",
    )
    assert ended(observations) == ("nothing_new", "no source of this job is enabled")


# --- AROME ------------------------------------------------------------------------------------------


async def test_a_run_without_the_file_of_the_ground_is_partial_and_no_failure(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker, arome_runs="6"))
    script = {listing_url(): listing(), file_url("00H06H"): grib()}

    first = await life.collect(script)
    second = await life.collect(script)
    third = await life.collect({**script, ground_url(): ground()})

    reason = "the height of the model's ground: HTTP 404"
    assert (first.status, first.reason, first.stored) == ("partial", reason, 2 * (7 * 4 - 1))
    assert (second.status, second.reason, second.collected) == ("partial", reason, 0)
    assert (third.status, third.reason) == ("nothing_new", "")
    assert life.files == [ground_url()]


NO_GUSTS = grib(gusts={})
HOURS = 2 * 7  # of both sites
HALF_OF_EARLIER = listing(("00H06H",), EARLIER)
OF_EARLIER = Message("wind_east", 0, run=EARLIER)


def grown(body: bytes) -> bytes:
    """Return a listing whose files have another size."""
    return body.replace(b"<Size>5000000<", b"<Size>6000000<")


async def test_a_file_without_gusts_is_stored_and_not_downloaded_again_until_it_changes(
    tmp_path: Path, worker: Worker
) -> None:
    arome = source(worker, arome_runs="6")
    life = Life(tmp_path, arome)
    script = {listing_url(): listing(), file_url("00H06H"): NO_GUSTS, ground_url(): ground()}

    first = await life.collect(script)
    assert (first.status, first.stored) == ("partial", HOURS * 3)
    assert first.reason.startswith(
        "arome_0025 of 2026-07-15 06:00 UTC is incomplete: 00H06H is without gust_east at 1 h"
    )
    assert life.values(Parameter.WIND_SPEED) == {RUN: HOURS}

    after_a_restart = Life(tmp_path, arome)
    second = await after_a_restart.collect(script)
    assert (second.status, second.failed) == ("nothing_new", 0)
    assert second.reason == "arome_0025 is incomplete in 2026-07-15 06:00 UTC"
    assert after_a_restart.files == []

    third = await life.collect({**script, listing_url(): grown(listing()), file_url("00H06H"): grib()})
    assert (third.status, third.reason, third.stored) == ("success", "", 2 * 6)
    assert life.files == [file_url("00H06H")]
    assert life.values(Parameter.WIND_GUST) == {RUN: 2 * 6}

    fourth = await life.collect({**script, listing_url(): grown(listing())})
    assert (fourth.status, fourth.reason, life.files) == ("nothing_new", "", [])


async def test_a_file_with_a_value_that_cannot_be_true_is_not_downloaded_again_unchanged(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker, arome_runs="6"))
    mad = grib(weather={"wind_east": 2000.0})
    script = {listing_url(): listing(), file_url("00H06H"): mad, ground_url(): ground()}

    first = await life.collect(script)
    second = await life.collect(script)
    asked_again = life.files
    third = await life.collect({**script, listing_url(): grown(listing()), file_url("00H06H"): grib()})

    assert (first.status, first.rejected_reasons) == ("success", {"out_of_range": HOURS})
    assert (second.status, asked_again) == ("nothing_new", [])
    assert (third.status, third.stored) == ("success", 2 * HOURS)


async def test_a_file_that_never_comes_is_given_up_once_a_newer_run_is_complete_and_taken_when_late(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker, arome_max_lead=12))
    script = {
        listing_url(): listing(()),
        listing_url(EARLIER): HALF_OF_EARLIER,
        file_url("00H06H", EARLIER): grib(like=OF_EARLIER),
        ground_url(): ground(),
    }
    newer = {
        **script,
        listing_url(): listing(),
        file_url("00H06H"): grib(),
        file_url("07H12H"): grib(7, 12),
    }

    waiting = await life.collect(script)
    assert (waiting.status, life.values(Parameter.WIND_SPEED), life.files) == ("stale", {}, [])

    given_up = await life.collect(newer)
    assert (given_up.status, given_up.reason) == (
        "partial",
        "arome_0025 of 2026-07-15 00:00 UTC is incomplete: there is no file of 07H12H",
    )
    assert life.values(Parameter.WIND_SPEED) == {RUN: 2 * 13, EARLIER: HOURS}

    again = await life.collect(newer)
    assert (again.status, again.reason) == ("nothing_new", "arome_0025 is incomplete in 2026-07-15 00:00 UTC")
    assert life.files == []

    late = await life.collect(
        {
            **newer,
            listing_url(EARLIER): listing(GROUPS, EARLIER),
            file_url("07H12H", EARLIER): grib(7, 12, like=OF_EARLIER),
        }
    )
    assert (late.status, late.reason) == ("success", "")
    assert life.files == [file_url("07H12H", EARLIER)]
    assert life.values(Parameter.WIND_SPEED) == {RUN: 2 * 13, EARLIER: 2 * 13}
    assert life.world.store.incomplete_parts(EARLIER) == ()


async def test_a_run_that_is_not_complete_twelve_hours_after_its_start_is_taken_as_it_is(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker, arome_max_lead=12, arome_runs="0"))
    script = {
        listing_url(EARLIER): HALF_OF_EARLIER,
        file_url("00H06H", EARLIER): grib(like=OF_EARLIER),
        ground_url(EARLIER): ground(run=EARLIER),
    }

    before = await life.collect(script, after=timedelta(minutes=9))  # 11:59
    at_noon = await life.collect(script, after=timedelta(seconds=59))

    assert (before.status, before.collected) == ("stale", 0)
    assert life.world.clock.now < EARLIER + OVERDUE_AFTER
    assert at_noon.collected == 0

    after = await life.collect(script, after=timedelta(seconds=1))
    assert (after.status, after.collected) == ("partial", 2 * (7 * 4 - 1))
    assert "there is no file of 07H12H" in after.reason
    assert after.newest == EARLIER


async def test_a_run_of_which_no_file_ever_came_is_mentioned_once_a_newer_one_is_complete(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker))
    script = {
        listing_url(): listing(),
        listing_url(EARLIER): listing(()),
        file_url("00H06H"): grib(),
        ground_url(): ground(),
    }

    first = await life.collect(script)
    second = await life.collect(script)

    assert (first.status, first.reason) == (
        "partial",
        "arome_0025 of 2026-07-15 00:00 UTC is incomplete: there is no file of the whole run",
    )
    assert (second.status, second.reason) == (
        "nothing_new",
        "arome_0025 is incomplete in 2026-07-15 00:00 UTC",
    )
    assert life.world.store.incomplete_parts(EARLIER) == (
        ("arome_0025", EARLIER, "00H06H", "there is no file"),
    )


async def test_values_of_an_incomplete_run_are_available_since_the_newest_file_that_was_there(
    tmp_path: Path, worker: Worker
) -> None:
    life = Life(tmp_path, source(worker, arome_max_lead=12, arome_runs="0"))
    script = {listing_url(EARLIER): HALF_OF_EARLIER, file_url("00H06H", EARLIER): grib(like=OF_EARLIER)}
    late_file = {
        listing_url(EARLIER): listing(("00H06H", "07H12H"), EARLIER),
        file_url("07H12H", EARLIER): grib(7, 12, like=OF_EARLIER),
    }

    await life.collect(script, after=timedelta(minutes=10))
    await life.collect({**script, **late_file})

    query = sa.select(t.forecast_batch.c.available_at, t.forecast_batch.c.published)
    with life.world.database.read() as connection:
        found = [(from_epoch(at), published) for at, published in connection.execute(query)]
    assert found == [(HOUR_OF_STAMP, True), (HOUR_OF_STAMP + timedelta(minutes=1), True)]


async def test_a_site_outside_is_noted_once_and_is_no_failure(tmp_path: Path, worker: Worker) -> None:
    far = replace(SITES[0], id="tenerife", latitude=28.1, longitude=-16.7)
    life = Life(tmp_path, source(worker, arome_runs="6"), sites=(*SITES, far))
    script = {listing_url(): listing(), file_url("00H06H"): grib(), ground_url(): ground()}

    first = await life.collect(script)
    second = await life.collect(script)

    assert (first.status, first.reason) == (
        "success",
        "arome_0025 does not cover tenerife: it lies outside the area of the model"
        " (37.5 N to 55.4 N, 12 W to 16 E)",
    )
    assert (first.failed, first.rejected) == (0, 0)
    assert (second.status, second.reason) == ("nothing_new", "")


async def test_a_lone_site_outside_is_no_failure_either(tmp_path: Path, worker: Worker) -> None:
    far = replace(SITES[0], id="tenerife", latitude=28.1, longitude=-16.7)
    life = Life(tmp_path, source(worker, arome_runs="6"), sites=(far,))

    first = await life.collect({listing_url(): listing()})
    second = await life.collect({listing_url(): listing()})

    assert (first.status, second.status, second.reason) == ("nothing_new", "nothing_new", "")
    assert [(one.model, one.site) for one in life.world.store.outside(NOW)] == [("arome_0025", "tenerife")]


# --- Open-Meteo -------------------------------------------------------------------------------------

UNAVAILABLE = FetchError("HTTP 400: modelRunUnavailable(run: x)", url=RUNS, status=400)
NO_DATA = FetchError("HTTP 400: No data is available for this location", url=RUNS, status=400)
ICON_META = f"{META}dwd_icon_d2/static/meta.json"
PLACES = tuple(Site(f"site-{number}", "", 45.9, 6.0 + number / 100, 1000) for number in range(8))


def icon(answers: Any, newest: datetime = NINE) -> dict[str, Any]:
    return {ICON_META: meta(newest, newest + timedelta(minutes=84)), RUNS: answers}


def icon_life(folder: Path, sites: tuple[Site, ...] = (ANNECY,)) -> Life:
    life = Life(folder, models("icon_d2"), sites)
    life.world.clock.now = NOW
    return life


def but_for(run: datetime, error: Exception) -> Any:
    """Return what answers for all runs but one."""

    def body(request: Request) -> bytes:
        if request.params["run"] == f"{run:%Y-%m-%dT%H:%M}":
            raise error
        return answer(48)(request)

    return body


async def test_a_run_that_was_never_archived_is_partial_once_and_nothing_new_from_then_on(
    tmp_path: Path,
) -> None:
    life = icon_life(tmp_path)
    script = icon(but_for(SIX, UNAVAILABLE))

    first = await life.collect(script)
    assert first.status == "partial"
    assert first.reason.startswith("icon_d2 of 2026-07-15 06:00 UTC is not in the archive: HTTP 400")

    for _ in range(2):
        again = await icon_life(tmp_path).collect(script)
        assert (again.status, again.failed) == ("nothing_new", 0)
        assert again.reason == "icon_d2 is incomplete in 2026-07-15 06:00 UTC"

    late = await life.collect(icon(answer(48)))
    assert (late.status, late.reason) == ("success", "")
    assert life.world.store.incomplete_parts(SIX) == ()


async def test_a_run_that_was_never_archived_is_forgotten_once_it_is_out_of_the_lookback(
    tmp_path: Path,
) -> None:
    life = icon_life(tmp_path)
    await life.collect(icon(but_for(SIX, UNAVAILABLE)))

    newest = NOW.replace(hour=15, minute=0)
    later = await life.collect(icon(but_for(SIX, UNAVAILABLE), newest), after=timedelta(hours=7, minutes=15))

    assert (later.status, later.failed, later.reason) == ("success", 0, "")


async def test_where_nothing_else_is_collected_a_run_that_was_never_archived_is_no_failure(
    tmp_path: Path,
) -> None:
    life = icon_life(tmp_path)

    statuses = [(await life.collect(icon(UNAVAILABLE, SIX))).status for _ in range(3)]

    assert statuses == ["partial", "nothing_new", "nothing_new"]


async def test_what_is_known_as_incomplete_is_asked_of_one_site_only(tmp_path: Path) -> None:
    life = icon_life(tmp_path, PLACES)
    script = icon(but_for(SIX, UNAVAILABLE))
    await life.collect(script)
    await life.collect(script)

    asked = [request for request in life.fetch.requests if "run" in request.params]
    assert [(request.params["run"], request.calls) for request in asked] == [("2026-07-15T06:00", 1)]
    late = await life.collect(icon(answer(48)))
    assert late.status == "success"
    assert [request.calls for request in life.fetch.requests if "run" in request.params] == [1, 7]


async def test_a_place_without_coordinates_costs_that_site_only_is_named_and_no_failure_afterwards(
    tmp_path: Path,
) -> None:
    def with_nan(request: Request) -> bytes:
        run = datetime.strptime(request.params["run"], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        places: list[Any] = [place(run, 48) for _ in request.params["latitude"].split(",")]
        if "6.07000" in request.params["longitude"]:
            places[-1] |= {"latitude": "@", "longitude": "@", "hourly": {"time": []}, "hourly_units": {}}
        return json.dumps(places if len(places) > 1 else places[0]).encode().replace(b'"@"', b"nan")

    life = icon_life(tmp_path, PLACES)
    first = await life.collect(icon(with_nan))

    assert (first.status, first.failed, first.rejected) == ("success", 0, 0)
    assert first.reason == ("icon_d2 does not cover site-7: Open-Meteo has no grid cell of the model there")
    stored = life.values(Parameter.WIND_SPEED)
    assert set(stored.values()) == {7 * 49}

    next_run = await life.collect(
        icon(with_nan, NOW.replace(hour=12, minute=0)), after=timedelta(hours=2, minutes=30)
    )
    assert (next_run.status, next_run.failed, next_run.reason) == ("success", 0, "")


async def test_one_place_that_makes_the_whole_group_a_refusal_is_found_and_costs_itself_only(
    tmp_path: Path,
) -> None:
    def refuses_one(request: Request) -> bytes:
        if "6.05000" in request.params["longitude"]:
            raise NO_DATA
        return answer(48)(request)

    life = icon_life(tmp_path, PLACES)
    first = await life.collect(icon(refuses_one, SIX))

    assert (first.status, first.failed) == ("success", 0)
    assert first.reason.startswith("icon_d2 does not cover site-5: Open-Meteo refuses the position: HTTP 400")
    assert set(life.values(Parameter.WIND_SPEED).values()) == {7 * 49}

    second = await life.collect(icon(refuses_one), after=timedelta(minutes=1))
    assert (second.status, second.failed, second.reason) == ("success", 0, "")
    # One request for the seven others, and one for the place that is known to lie outside.
    assert [request.calls for request in life.fetch.requests if "run" in request.params] == [7, 1]


async def test_a_request_that_is_refused_for_all_places_alike_is_not_asked_without_end(
    tmp_path: Path,
) -> None:
    bad = FetchError("HTTP 400: Cannot initialize from invalid String value", url=RUNS, status=400)
    life = icon_life(tmp_path, tuple(replace(one, id=f"{one.id}-{n}") for n in range(12) for one in PLACES))

    outcome = await life.collect(icon(bad, SIX))

    assert outcome.status == "failed"
    runs = {request.params["run"] for request in life.fetch.requests if "run" in request.params}
    assert len(life.fetch.requests) <= 1 + len(runs) * (1 + MOST_SPLITS)


async def test_an_odd_column_of_one_site_is_partial_and_costs_that_value_only(tmp_path: Path) -> None:
    def odd(request: Request) -> bytes:
        run = datetime.strptime(request.params["run"], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        places = [place(run, 48) for _ in request.params["latitude"].split(",")]
        places[0]["hourly"]["temperature_2m"] = "warm"
        return json.dumps(places if len(places) > 1 else places[0]).encode()

    life = icon_life(tmp_path, PLACES)
    first = await life.collect(icon(odd, SIX))
    second = await life.collect(icon(odd, SIX))

    assert first.status == "partial"
    assert "at site-0: temperature_2m is not a list" in first.reason
    runs = life.values(Parameter.WIND_SPEED)
    assert set(runs.values()) == {8 * 49}
    assert set(life.values(Parameter.TEMPERATURE).values()) == {7 * 49}
    assert (second.status, second.failed) == ("nothing_new", 0)


# --- MeteoParapente ---------------------------------------------------------------------------------

TENERIFE = Site("tenerife", "Taucho", 28.1, -16.7, 900)


def parapente_life(folder: Path, *sites: Site) -> Life:
    life = Life(folder, meteo_parapente.build(parapente.SETTINGS), sites)
    life.world.clock.now = parapente.NOW
    return life


def parapente_script(*lines: dict[str, Any], data: Any = parapente.answer_for) -> dict[str, Any]:
    return {
        f"{parapente.HOST}/status.php": parapente.status(*lines),
        f"{parapente.HOST}/data.php": data,
    }


async def test_a_site_outside_meteo_parapente_is_noted_once_and_never_asked_for(tmp_path: Path) -> None:
    life = parapente_life(tmp_path, parapente.HERE, TENERIFE)

    first = await life.collect(parapente_script(parapente.line()))
    second = await life.collect(parapente_script(parapente.line()))

    assert (first.status, first.failed) == ("success", 0)
    assert first.reason.startswith("meteo_parapente does not cover tenerife: it lies outside the area")
    assert (second.status, second.reason) == ("nothing_new", "")
    assert not [url for url in life.fetch.urls if "28.1" in url]


async def test_a_place_that_meteo_parapente_refuses_costs_that_site_only_and_is_no_failure_afterwards(
    tmp_path: Path,
) -> None:
    def refuses_far(request: Request) -> bytes:
        if request.params["location"].startswith("44.5"):
            return b'{"message": "Outside the domain", "status": "bad_request", "time": 1784117400}'
        return parapente.answer_for(request)

    life = parapente_life(tmp_path, parapente.FAR, parapente.HERE)
    lines = (parapente.line(), parapente.line(day="20260716"))
    first = await life.collect(parapente_script(*lines, data=refuses_far))
    asked = [url for url in life.fetch.urls if "location=44.5" in url]
    second = await life.collect(parapente_script(*lines, data=refuses_far))

    assert (first.status, first.failed) == ("success", 0)
    assert first.reason.startswith("meteo_parapente does not cover far: the server refuses the position")
    assert len(asked) == 1
    assert (second.status, second.failed, second.reason) == ("nothing_new", 0, "")

    later = await life.collect(parapente_script(*lines))
    assert later.status == "success"
    assert life.world.store.outside(parapente.NOW) == ()


async def test_a_day_that_a_run_leaves_unfinished_is_reported_once_a_newer_run_has_it_and_taken_when_late(
    tmp_path: Path,
) -> None:
    life = parapente_life(tmp_path, parapente.HERE)
    unfinished = parapente.line(run="2026071500", day="20260715", status="84%", update=...)
    newer = parapente.line(run="2026071506", day="20260715")

    waiting = await life.collect(parapente_script(unfinished))
    given_up = await life.collect(parapente_script(unfinished, newer))
    again = await life.collect(parapente_script(unfinished, newer))
    late = await life.collect(
        parapente_script({**unfinished, "status": "complete", "update": "2026-07-15T12:09:00Z"}, newer)
    )

    assert (waiting.failed, waiting.collected) == (0, 0)
    assert (given_up.status, given_up.reason) == (
        "partial",
        "meteo_parapente of 2026-07-15 00:00 UTC is incomplete: 20260715 stayed at '84%'",
    )
    assert (again.status, again.reason) == (
        "nothing_new",
        "meteo_parapente is incomplete in 2026-07-15 00:00 UTC",
    )
    assert (late.status, late.reason) == ("success", "")
    assert EARLIER in life.values(Parameter.WIND_SPEED)


async def test_a_sounding_without_temperature_is_partial_once(tmp_path: Path) -> None:
    life = parapente_life(tmp_path, parapente.HERE)
    cold = parapente.sounding(parapente.without_temperatures)

    first = await life.collect(parapente_script(parapente.line(), data=cold))
    second = await life.collect(parapente_script(parapente.line(), data=cold))

    assert first.status == "partial"
    assert first.reason.endswith("is incomplete in 20260715 at here: without temperature")
    assert len(life.values(Parameter.WIND_SPEED)) == 1
    assert (second.status, second.failed) == ("nothing_new", 0)
    late = await life.collect(parapente_script(parapente.line()))
    assert (late.status, late.reason) == ("success", "")
    assert len(life.values(Parameter.TEMPERATURE)) == 1
