"""The schedule, the runner, the catch-up and the drain, on a real store and with scripted sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from structlog.testing import capture_logs

from backend.collectors.base import MeteredFetch
from backend.core.errors import ConfigError, JobBusyError, MeteoScoreError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ForecastBatch, Observation, ObservationBatch
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, SchedulerConfig
from backend.scheduler.orders import Selection
from backend.scheduler.scheduler import (
    get_scheduler,
    is_alive,
    next_run_times,
    register_jobs,
    start_scheduler,
    stop_scheduler,
)
from backend.storage import schema as t
from backend.storage.database import Database
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.stores import rows
from backend.tests.support.waiting import HANG_SECONDS, skip, until
from backend.tests.support.worlds import (
    NOON,
    PLANFAIT,
    NoTraffic,
    a_reading,
    a_run,
    breaks,
    brings_a_reading,
    brings_a_run,
    catch_up,
    fails,
    forecast_source,
    lease_until,
    make_world,
    observation_source,
)


def at(hour: int, day: int = 15) -> datetime:
    return datetime(2026, 7, day, hour, tzinfo=UTC)


# --- The schedule -----------------------------------------------------------------------------------


def test_the_two_jobs_are_registered_with_the_specified_guards(database_url: str) -> None:
    world = make_world(database_url)
    scheduler = AsyncIOScheduler(timezone=UTC)
    register_jobs(scheduler, world.runner, world.runner.config)
    jobs = {job.id: job for job in scheduler.get_jobs()}
    assert set(jobs) == {"collect_forecasts", "collect_observations"}
    for job in jobs.values():
        assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, 1800)
        assert job.trigger.timezone == UTC
        assert job.func == world.runner.tick  # the runner, never the bare job


def test_default_slots_are_the_specified_hours() -> None:
    config = SchedulerConfig.load()
    day = timedelta(days=1)
    assert [slot.hour for slot in config.slots(FORECASTS, at(0), at(0) + day)] == [6, 12, 18, 0]
    assert [slot.hour for slot in config.slots(OBSERVATIONS, at(0), at(0) + day)] == [8, 10, 12, 14, 16, 18]


def test_a_cron_line_wins_over_the_hours() -> None:
    config = SchedulerConfig.load(
        scheduler_observation_hours="8", scheduler_observation_cron="*/10 6-20 * * mon-fri"
    )
    slots = list(config.slots(OBSERVATIONS, at(6), at(7)))  # 15 July 2026 is a Wednesday
    assert [slot.minute for slot in slots] == [10, 20, 30, 40, 50, 0]
    assert not list(config.slots(OBSERVATIONS, at(6, day=18), at(7, day=18)))  # a Saturday


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_slots_stay_six_hours_apart_when_clocks_change(day: datetime) -> None:
    slots = list(SchedulerConfig.load().slots(FORECASTS, day - timedelta(hours=7), day + timedelta(days=1)))
    assert {later - earlier for earlier, later in pairwise(slots)} == {timedelta(hours=6)}


@pytest.mark.parametrize("hour", [0, 1, 2])
def test_just_after_midnight_the_latest_slot_is_midnight(hour: int) -> None:
    slot = SchedulerConfig.load().latest_slot(FORECASTS, at(hour) + timedelta(minutes=30))
    assert slot == at(0)


def test_the_next_times_follow_the_schedule_over_midnight() -> None:
    times = next_run_times(SchedulerConfig.load(), FORECASTS, at(13))
    assert times == [at(18), at(0, 16), at(6, 16), at(12, 16), at(18, 16)]


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("SCHEDULER_FORECAST_HOURS", "25", "different hours from 0 to 23"),
        ("SCHEDULER_FORECAST_HOURS", "6,x", "whole numbers"),
        ("SCHEDULER_FORECAST_HOURS", "6,6", "different hours"),
        ("SCHEDULER_OBSERVATION_HOURS", "", "whole numbers"),
        ("SCHEDULER_FORECAST_CRON", "0 6 * *", "five fields"),
        ("SCHEDULER_FORECAST_CRON", "0 6 * * 1", "name weekdays"),
        ("SCHEDULER_OBSERVATION_CRON", "61 6 * * *", "not a crontab line"),
        ("SCHEDULER_ENABLED", "maybe", "true, false, 1, 0, yes, no, on, off"),
        ("LEASE_SECONDS", "0", "greater than 0"),
    ],
)
def test_a_bad_schedule_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, rule: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as refused:
        SchedulerConfig.load()
    message = str(refused.value)
    assert message.startswith(f"{variable}={value!r}: ")
    assert rule in message
    assert "\n" not in message


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "TRUE"])
def test_every_word_for_yes_switches_the_scheduler_on(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("SCHEDULER_ENABLED", word)
    assert SchedulerConfig.load().scheduler_enabled is True


@pytest.mark.parametrize("word", ["false", "0", "no", "off"])
def test_every_word_for_no_switches_the_scheduler_off(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("SCHEDULER_ENABLED", word)
    assert SchedulerConfig.load().scheduler_enabled is False


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SCHEDULER_FORECAST_HOURS=3\nSCHEDULER_OBSERVATION_HOURS=9\n")
    monkeypatch.setenv("SCHEDULER_FORECAST_HOURS", "4,5")
    config = SchedulerConfig.load()
    assert config.scheduler_forecast_hours == (4, 5)
    assert config.scheduler_observation_hours == (9,)


# --- One run ----------------------------------------------------------------------------------------


async def test_a_scheduled_run_stores_and_records_what_it_collected(database_url: str) -> None:
    world = make_world(database_url)
    run = await world.runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert (run.status, run.trigger, run.slot, run.collected, run.stored) == (
        "success",
        "schedule",
        NOON,
        1,
        1,
    )
    assert [(source.source, source.status, source.stored) for source in run.sources] == [
        ("arome", "success", 1)
    ]
    with world.database.read() as connection:
        row = connection.execute(sa.select(t.forecast)).one()
    assert (row.wind_speed, row.wind_gust) == (20_000, None)


async def test_a_slot_is_run_once_however_often_it_is_requested(database_url: str) -> None:
    world = make_world(database_url)
    assert await world.runner.run(FORECASTS, "schedule", NOON) is not None
    assert await world.runner.run(FORECASTS, "catch_up", NOON) is None
    assert len(world.ledger.runs(job=FORECASTS)) == 1


async def test_two_runs_at_once_are_one_run_and_a_refusal_with_its_id(database_url: str) -> None:
    release = asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        await release.wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(slow)])
    started = await world.runner.start(FORECASTS, "schedule", NOON)
    assert started is not None
    with pytest.raises(JobBusyError) as busy:
        await world.runner.start(FORECASTS, "api")
    assert busy.value.run_id == started[0]
    release.set()
    assert (await started[1]).status == "success"
    by_hand = await world.runner.run(FORECASTS, "api")
    assert by_hand is not None
    assert by_hand.slot is None


async def test_the_failure_of_one_source_stops_no_other_and_is_no_success(database_url: str) -> None:
    sources = [forecast_source(fails, "arome"), forecast_source(brings_a_run, "meteo_parapente")]
    run = await make_world(database_url, forecasts=sources).runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert run.status == "partial"
    arome, parapente = run.sources
    assert (arome.status, arome.reason, arome.failures[0].url) == (
        "failed",
        "HTTP 503",
        "https://models.example/run",
    )
    assert parapente.status == "success"
    assert run.stored == 1


async def test_a_bug_in_one_source_is_recorded_and_stops_no_other(database_url: str) -> None:
    sources = [forecast_source(breaks, "arome"), forecast_source(brings_a_run, "meteo_parapente")]
    run = await make_world(database_url, forecasts=sources).runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert run.status == "partial"
    assert "KeyError" in run.sources[0].reason


async def test_a_run_without_data_because_of_failures_has_failed(database_url: str) -> None:
    run = await make_world(database_url, forecasts=[forecast_source(fails)]).runner.run(
        FORECASTS, "schedule", NOON
    )
    assert run is not None
    assert (run.status, run.collected) == ("failed", 0)


async def test_not_published_yet_is_nothing_new_and_no_failure(database_url: str) -> None:
    async def nothing(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        yield ForecastBatch(source="arome", route="acting", rank=0, collected_at=needs.now, newest=needs.now)

    run = await make_world(database_url, forecasts=[forecast_source(nothing)]).runner.run(
        FORECASTS, "schedule", NOON
    )
    assert run is not None
    assert (run.status, run.sources[0].failed) == ("nothing_new", 0)


async def test_a_source_whose_newest_data_are_too_old_is_stale_and_no_success(database_url: str) -> None:
    async def old(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        time = needs.now - timedelta(days=2)
        record = Observation("ffvl:2496", Parameter.TEMPERATURE, time, 0.0)
        yield ObservationBatch(
            source="ffvl", route="acting", rank=0, collected_at=needs.now, newest=time, records=(record,)
        )

    run = await make_world(database_url, observations=[observation_source(old)]).runner.run(
        OBSERVATIONS, "cli"
    )
    assert run is not None
    assert run.status == "partial"
    assert run.sources[0].status == "stale"
    assert "48.0 h old" in run.sources[0].reason
    assert run.stored == 1  # under its own time


async def test_a_source_that_answers_without_any_data_is_stale(
    database_url: str,
) -> None:
    async def empty(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        traffic.requests += 1
        yield ForecastBatch(source="arome", route="acting", rank=0, collected_at=needs.now)

    traffic = NoTraffic()
    channel = MeteredFetch(ScriptedFetch({}), traffic)
    world = make_world(
        database_url, forecasts=[forecast_source(empty)], channel_for=lambda _run, _source: channel
    )
    run = await world.runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert (run.status, run.sources[0].status) == ("partial", "stale")
    assert "no data at all" in run.sources[0].reason


async def test_readings_already_stored_are_nothing_new(database_url: str) -> None:
    world = make_world(database_url)
    first = await world.runner.run(OBSERVATIONS, "schedule", NOON)
    second = await world.runner.run(OBSERVATIONS, "api")
    assert first is not None
    assert second is not None
    assert (first.status, first.stored) == ("success", 1)
    assert (second.status, second.collected, second.stored) == ("nothing_new", 1, 0)


async def test_implausible_values_are_counted_and_never_stored(database_url: str) -> None:
    async def absurd(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        yield a_reading(needs, value=9999.0)

    world = make_world(database_url, observations=[observation_source(absurd)])
    run = await world.runner.run(OBSERVATIONS, "schedule", NOON)
    assert run is not None
    assert (run.status, run.stored, run.rejected) == ("failed", 0, 1)
    assert run.sources[0].rejected_reasons == {"out_of_range": 1}
    with world.database.read() as connection:
        assert connection.execute(sa.select(t.rejected.c.raw)).scalar_one() == "9999.0"
        assert connection.execute(sa.select(sa.func.count()).select_from(t.observation)).scalar_one() == 0


async def test_a_disabled_source_has_its_reason_and_does_not_spoil_the_run(database_url: str) -> None:
    sources = [
        forecast_source(brings_a_run, "meteo_parapente"),
        forecast_source(brings_a_run, "arome", disabled="CONTACT is not set"),
    ]
    run = await make_world(database_url, forecasts=sources).runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert run.status == "success"
    assert [(source.status, source.reason) for source in run.sources] == [
        ("disabled", "CONTACT is not set"),
        ("success", ""),
    ]


async def test_a_run_without_any_enabled_source_has_nothing_new_and_the_reason(database_url: str) -> None:
    world = make_world(database_url, forecasts=[forecast_source(brings_a_run, disabled="off")])
    run = await world.runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert (run.status, run.note) == ("nothing_new", "no source of this job is enabled; arome: off")


async def test_a_run_by_hand_can_be_limited_to_a_source_and_a_site(database_url: str) -> None:
    seen: list[tuple[str, ...]] = []

    async def look(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        seen.append(tuple(site.id for site in needs.sites))
        yield a_run(needs, model="meteo_parapente")

    other = replace(PLANFAIT, id="semnoz", name="Semnoz")
    world = make_world(
        database_url,
        sites=lambda: (PLANFAIT, other),
        forecasts=[forecast_source(fails, "arome"), forecast_source(look, "meteo_parapente")],
    )
    selection = Selection(sources={"meteo_parapente"}, sites={"semnoz"})
    run = await world.runner.run(FORECASTS, "cli", selection=selection)
    assert run is not None
    assert run.status == "success"
    assert seen == [("semnoz",)]


async def test_a_site_added_later_gets_the_runs_that_are_still_served(database_url: str) -> None:
    async def incomplete(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        missing = needs.missing("arome", at(12), "whole", 0)
        yield (
            a_run(replace(needs, sites=missing))
            if missing
            else replace(a_run(needs), records=(), run=None, parts=(), sites=())
        )

    sites = [PLANFAIT]
    world = make_world(database_url, forecasts=[forecast_source(incomplete)], sites=lambda: tuple(sites))
    statuses = []
    for added in (None, None, replace(PLANFAIT, id="semnoz", name="Semnoz")):
        if added:
            sites.append(added)
        run = await world.runner.run(FORECASTS, "api")
        assert run is not None
        statuses.append((run.status, run.stored))
    assert statuses == [("success", 1), ("nothing_new", 0), ("success", 1)]


async def test_an_unusable_sites_file_fails_the_run_with_that_reason(database_url: str) -> None:
    def broken() -> Any:
        raise ConfigError("sites.toml: line 3: latitude must be between -90 and 90")

    run = await make_world(database_url, sites=broken).runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert run.status == "failed"
    assert "line 3" in run.note


async def test_a_run_past_its_deadline_stores_what_it_has_and_records_the_reason(database_url: str) -> None:
    async def hangs(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        yield a_run(needs)
        await asyncio.Event().wait()

    world = make_world(database_url, forecasts=[forecast_source(hangs)], run_deadline_seconds=3600)
    task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
    await until(lambda: rows(world.database, t.forecast, "valid_time"))
    skip(3600)
    run = await task
    assert run is not None
    assert (run.status, run.stored) == ("partial", 1)
    assert "deadline" in run.note
    assert run.sources[0].status == "partial"


# --- The store in trouble ---------------------------------------------------------------------------


def waits_for_the_lock(statement: str) -> bool:
    return "IMMEDIATE" in statement or "pg_advisory" in statement


async def test_batches_wait_in_memory_while_the_store_is_locked(database_url: str) -> None:
    lock, other = ExitStack(), Database(database_url)

    async def while_locked(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        lock.enter_context(other.write())
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(while_locked)], busy_timeout=0.02)
    with capture_logs() as logs:
        task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
        await until(lambda: any(line["event"] == "stamina.retry_scheduled" for line in logs))
        lock.close()
        run = await task
    assert run is not None
    assert (run.status, run.stored) == ("success", 1)


@pytest.mark.parametrize("moment", ["between_two_tries", "within_a_try"])
async def test_a_store_that_stays_locked_fails_the_run_at_its_deadline(
    database_url: str, moment: str
) -> None:
    lock, other, statements = ExitStack(), Database(database_url), list[str]()

    async def while_locked(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        lock.enter_context(other.write())
        statements.clear()
        yield a_run(needs)

    world = make_world(
        database_url,
        forecasts=[forecast_source(while_locked)],
        run_deadline_seconds=3600,
        busy_timeout=0.02 if moment == "between_two_tries" else 1.0,
    )

    @sa.event.listens_for(world.database.engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if waits_for_the_lock(statement):
            statements.append(statement)

    with capture_logs() as logs:

        def failed() -> int:
            return sum(line["event"] == "stamina.retry_scheduled" for line in logs)

        task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
        await until(failed if moment == "between_two_tries" else lambda: failed() and len(statements) > 1)
        before = failed()
        skip(3600)
        await until(lambda: failed() > before)  # the end of the run could not be recorded either
        lock.close()
        run = await task
    assert run is not None  # recorded as soon as the store answered
    assert (run.status, run.stored) == ("partial", 0)
    assert "lock" in run.note


# --- Leases -----------------------------------------------------------------------------------------

DEAD = "otherhost/boot/1/0.00"


async def test_a_run_that_another_process_took_over_writes_nothing_more(database_url: str) -> None:
    taken = asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        await taken.wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(slow)])
    started = await world.runner.start(FORECASTS, "schedule", NOON)
    assert started is not None
    with world.database.write() as connection:  # as if its lease had run out and another had claimed it
        connection.execute(sa.update(t.job_run).values(owner=DEAD, epoch=2))
    with capture_logs() as logs:
        taken.set()
        run = await started[1]
    assert (run.status, run.attempt, run.stored) == ("running", 2, 0)
    assert [line["event"] for line in logs] == ["run lost"], "which is no failure of the source"


async def test_a_lost_lease_stops_the_work_by_itself(database_url: str) -> None:
    async def endless(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        await asyncio.Event().wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(endless)], lease=0.1)
    started = await world.runner.start(FORECASTS, "schedule", NOON)
    assert started is not None
    with world.database.write() as connection:
        connection.execute(sa.update(t.job_run).values(owner=DEAD, epoch=2))
    run = await asyncio.wait_for(started[1], HANG_SECONDS)
    assert run.attempt == 2


async def test_a_lease_is_renewed_while_the_work_goes_on(database_url: str) -> None:
    release = asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        await release.wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(slow)], lease=0.2)
    started = await world.runner.start(FORECASTS, "schedule", NOON)
    assert started is not None

    first = lease_until(world)
    await until(lambda: lease_until(world) > first)
    release.set()
    assert (await started[1]).status == "success"


# --- Catching up ------------------------------------------------------------------------------------


async def test_a_first_start_on_an_empty_store_collects_at_once_and_only_once(database_url: str) -> None:
    world = make_world(database_url)
    world.clock.now = at(13)
    assert await catch_up(world) is not None
    assert await catch_up(world) is None
    (run,) = world.ledger.runs(job=FORECASTS)
    assert (run.trigger, run.slot, run.status) == ("catch_up", at(12), "success")


async def test_after_an_outage_the_newest_slot_is_run_and_older_ones_are_missed(database_url: str) -> None:
    world = make_world(database_url)
    await catch_up(world)
    world.clock.now = at(7, day=16)
    await catch_up(world)
    runs = {run.slot: run for run in world.ledger.runs(job=FORECASTS)}
    assert {slot: run.status for slot, run in runs.items()} == {
        at(12): "success",
        at(18): "missed",
        at(0, 16): "missed",
        at(6, 16): "success",
    }
    assert "no process ran it" in runs[at(18)].note
    assert runs[at(18)].start_time is None


async def test_slots_beyond_the_window_are_left_alone(database_url: str) -> None:
    world = make_world(database_url, catchup_window_hours=6)
    await catch_up(world)
    world.clock.now = at(7, day=20)
    await catch_up(world)
    assert [run.slot for run in world.ledger.runs(job=FORECASTS)] == [at(6, 20), at(12)]


async def test_a_changed_schedule_catches_up_on_nothing_from_before(database_url: str) -> None:
    world = make_world(database_url)
    await catch_up(world)
    world.clock.now = at(20)
    changed = make_world(database_url, scheduler_forecast_hours="13,14,21", clock=world.clock)
    assert await catch_up(changed) is None
    world.clock.now = at(22)
    await catch_up(changed)
    assert [run.slot for run in changed.ledger.runs(job=FORECASTS)] == [at(21), at(12)]


async def test_a_paused_job_runs_by_itself_neither_now_nor_later_for_the_pause(database_url: str) -> None:
    world = make_world(database_url)
    await catch_up(world)
    world.ledger.pause(FORECASTS, "admin", at(13))
    world.clock.now = at(18)
    await world.runner.tick(FORECASTS)
    world.clock.now = at(1, day=16)
    assert await catch_up(world) is None
    world.ledger.resume(FORECASTS, "admin", at(2, day=16))
    world.clock.now = at(3, day=16)
    assert await catch_up(world) is None
    world.clock.now = at(7, day=16)
    await catch_up(world)
    assert [run.slot for run in world.ledger.runs(job=FORECASTS)] == [at(6, 16), at(12)]


async def test_the_slot_of_a_dead_process_is_repeated(database_url: str) -> None:
    world = make_world(database_url)
    await catch_up(world)
    dead = make_world(database_url, owner=DEAD, lease=0.001, clock=world.clock)
    world.clock.now = at(18)
    assert dead.ledger.claim(FORECASTS, "schedule", at(18), at(18)) is not None
    world.clock.now = at(18) + timedelta(minutes=2)
    await until(lambda: catch_up(world))  # as soon as the lease of one thousandth of a second is over
    run = world.ledger.runs(job=FORECASTS)[0]
    assert (run.slot, run.status, run.attempt) == (at(18), "success", 2)
    assert "attempt 1 was interrupted" in run.note


async def test_a_slot_whose_turn_came_during_a_long_run_is_caught_up(database_url: str) -> None:
    release = asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        await release.wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(slow)])
    world.ledger.note_schedule(FORECASTS, world.runner.config.crontab(FORECASTS), at(7))
    started = await world.runner.start(FORECASTS, "schedule", at(12))
    assert started is not None
    world.clock.now = at(18)
    await world.runner.tick(FORECASTS)  # finds the job busy, which is logged
    world.clock.now = at(18) + timedelta(minutes=5)
    with pytest.raises(JobBusyError):
        await CatchUp(world.runner).once(FORECASTS)
    release.set()
    await started[1]
    await catch_up(world)
    assert [(run.slot, run.trigger) for run in world.ledger.runs(job=FORECASTS)] == [
        (at(18), "catch_up"),
        (at(12), "schedule"),
    ]


async def test_a_clock_set_back_an_hour_runs_no_slot_twice(database_url: str) -> None:
    world = make_world(database_url)
    await catch_up(world)
    world.clock.now = at(11)
    await world.runner.tick(FORECASTS)
    assert await catch_up(world) is None
    world.clock.now = at(12)
    await world.runner.tick(FORECASTS)
    await world.runner.drain(HANG_SECONDS)
    assert [run.slot for run in world.ledger.runs(job=FORECASTS) if run.status == "success"].count(
        at(12)
    ) == 1


# --- Starting and stopping --------------------------------------------------------------------------


async def test_the_scheduler_starts_collects_and_is_handed_out_until_it_stops(database_url: str) -> None:
    world = make_world(database_url)
    assert get_scheduler() is None
    scheduler = await start_scheduler(world.runner)
    try:
        assert {job.id for job in scheduler.get_jobs()} == set(JOBS)
        assert is_alive()
        assert get_scheduler() is scheduler
        with pytest.raises(MeteoScoreError):
            await start_scheduler(world.runner)
        await until(lambda: len(world.ledger.runs(status="success")) == 2)  # one first run of each job
    finally:
        await stop_scheduler()
    assert get_scheduler() is None
    assert not is_alive()


async def test_a_run_that_ends_within_the_grace_is_a_success(database_url: str) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        asked.set()
        await release.wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(slow)], shutdown_grace_seconds=HANG_SECONDS)
    await start_scheduler(world.runner)
    await asked.wait()
    stopping = asyncio.create_task(stop_scheduler())
    await asyncio.sleep(0)
    release.set()
    await stopping
    assert world.ledger.runs(job=FORECASTS)[0].status == "success"


async def test_a_run_beyond_the_grace_is_recorded_as_cancelled_with_what_it_stored(database_url: str) -> None:
    stored = asyncio.Event()

    async def endless(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        yield a_run(needs)
        stored.set()
        await asyncio.Event().wait()

    world = make_world(database_url, forecasts=[forecast_source(endless)], shutdown_grace_seconds=0.05)
    await start_scheduler(world.runner)
    await stored.wait()
    await stop_scheduler()
    run = world.ledger.runs(job=FORECASTS)[0]
    assert (run.status, run.stored) == ("cancelled", 1)
    assert "shut down" in run.note


async def test_a_store_that_is_gone_for_good_holds_up_no_stop(database_url: str) -> None:
    lock, other, asked = ExitStack(), Database(database_url), asyncio.Event()

    async def endless(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        lock.enter_context(other.write())
        asked.set()
        await asyncio.Event().wait()
        yield a_run(needs)

    world = make_world(database_url, forecasts=[forecast_source(endless)], busy_timeout=0.02)
    started = await world.runner.start(FORECASTS, "schedule", NOON)
    assert started is not None
    await asked.wait()
    await asyncio.wait_for(world.runner.drain(0, recording=0.1), HANG_SECONDS)
    assert started[1].cancelled()
    lock.close()
    assert world.ledger.run(started[0]).status == "running"  # for the next process to find


async def test_a_stop_within_a_claim_leaves_no_run_without_an_end(database_url: str) -> None:
    world = make_world(database_url)
    asked: list[str] = []

    @sa.event.listens_for(world.database.engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    with Database(database_url).write():
        tick = asyncio.create_task(world.runner.tick(FORECASTS))
        # The claim waits for the lock then, in a thread that nothing can stop.
        await until(lambda: any(waits_for_the_lock(each) for each in asked))
        tick.cancel()
        stop = asyncio.create_task(world.runner.drain(0))
        await asyncio.sleep(0)  # the stop has started
    await stop
    (run,) = world.ledger.runs()
    assert (run.slot, run.status) == (NOON, "cancelled")


async def test_a_restart_runs_no_slot_twice(database_url: str) -> None:
    world = make_world(database_url)
    for _ in range(2):
        await start_scheduler(world.runner)
        await until(lambda: len(world.ledger.runs(status="success")) == 2)
        await stop_scheduler()
    assert len(world.ledger.runs()) == 2


async def test_a_tick_that_a_busy_process_fires_seconds_late_still_runs_its_slot(database_url: str) -> None:
    """A loop that was blocked wakes up late; APScheduler by itself forgives one second."""
    world = make_world(database_url)
    scheduler = AsyncIOScheduler(timezone=UTC)
    register_jobs(scheduler, world.runner, world.runner.config)
    scheduler.start(paused=True)
    due = datetime.now(UTC) - timedelta(seconds=5)
    scheduler.modify_job(FORECASTS, next_run_time=due)
    scheduler.resume()
    await until(lambda: world.ledger.runs(job=FORECASTS, status="success"))
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)
    (run,) = world.ledger.runs(job=FORECASTS)
    assert (run.trigger, run.slot) == ("schedule", NOON)


async def test_each_job_runs_its_own_sources(database_url: str) -> None:
    world = make_world(database_url, observations=[observation_source(brings_a_reading)])
    run = await world.runner.run(OBSERVATIONS, "schedule", NOON)
    assert run is not None
    assert [source.source for source in run.sources] == ["ffvl"]
