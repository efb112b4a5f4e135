"""Runs without all of their values, through the job: what is stored, and the status of each collection.

The sources are the real ones on scripted answers; the runner and the store are real too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from backend.collectors.arome import OVERDUE_AFTER
from backend.collectors.base import Channel, Source
from backend.collectors.worker import Worker
from backend.core.parameters import Parameter
from backend.core.records import ForecastBatch, Site
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage import schema as t
from backend.storage.database import from_epoch
from backend.storage.runs import JobRun, SourceRun
from backend.tests.fakes import ScriptedFetch
from backend.tests.grib_factory import RUN, Message
from backend.tests.test_arome import (
    EARLIER,
    GROUPS,
    HOUR_OF_STAMP,
    NOW,
    SITES,
    file_url,
    grib,
    listing,
    listing_url,
    source,
)
from backend.tests.test_arome_ground import ground, ground_url
from backend.tests.worlds import (
    HandClock,
    NoTraffic,
    World,
    brings_a_run,
    forecast_source,
    make_world,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


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
            channel_for=lambda _run, _source: Channel(self.fetch, NoTraffic(requests=1)),
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


async def test_a_job_without_an_enabled_source_has_nothing_new_and_says_why(tmp_path: Path) -> None:
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


async def test_a_file_without_gusts_is_kept_and_not_downloaded_again_until_it_has_changed(
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
