"""The runner and its loops in trouble: bugs, and a store that comes and goes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backend.core.errors import StoreUnavailableError
from backend.core.records import CollectionRequest, ForecastBatch, ObservationBatch, Site
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import FORECASTS, OBSERVATIONS, SchedulerConfig
from backend.scheduler.runner import Runner, Sources
from backend.tests.support.waiting import HANG_SECONDS, skip, until
from backend.tests.support.worlds import (
    NOON,
    PLANFAIT,
    a_reading,
    a_run,
    brings_a_reading,
    forecast_source,
    lease_until,
    make_world,
    observation_source,
)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other writer out of the store of a world for as long as the context lasts."""
    other = sqlite3.connect(folder / "world.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


# --- Bugs -------------------------------------------------------------------------------------------


async def test_a_bug_in_a_run_is_recorded_as_what_it_is_and_frees_the_job(tmp_path: Path) -> None:
    def broken() -> tuple[Site, ...]:
        raise ZeroDivisionError("a bug of ours")

    world = make_world(tmp_path, sites=broken)
    run = await world.runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert (run.status, run.note) == ("failed", "ZeroDivisionError: a bug of ours")
    assert await world.runner.run(FORECASTS, "cli") is not None


# --- A store that does not answer just now ----------------------------------------------------------


async def test_a_slot_that_the_store_cannot_take_is_left_to_the_catch_up(tmp_path: Path) -> None:
    world = make_world(tmp_path, busy_timeout=0.02)
    with locked(tmp_path):
        await world.runner.tick(FORECASTS)
    assert world.ledger.runs() == ()
    await CatchUp(world.runner).once(FORECASTS)
    await world.runner.drain(HANG_SECONDS)
    (run,) = world.ledger.runs()
    assert (run.slot, run.trigger, run.status) == (NOON, "catch_up", "success")


async def test_a_run_waits_for_a_store_that_does_not_return_the_request(tmp_path: Path) -> None:
    troubles = [StoreUnavailableError("database is locked")]

    def listed() -> tuple[Site, ...]:
        if troubles:
            raise troubles.pop()
        return (PLANFAIT,)

    run = await make_world(tmp_path, sites=listed).runner.run(FORECASTS, "schedule", NOON)
    assert run is not None
    assert (run.status, run.stored) == ("success", 1)


async def test_a_store_that_never_returns_the_request_fails_the_run_at_its_deadline(tmp_path: Path) -> None:
    def listed() -> tuple[Site, ...]:
        raise StoreUnavailableError("database is locked")

    world = make_world(tmp_path, sites=listed, run_deadline_seconds=3600)
    with capture_logs() as logs:
        task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
        await until(lambda: any(line["event"] == "stamina.retry_scheduled" for line in logs))
        skip(3600)
        run = await task
    assert run is not None
    assert (run.status, run.note) == ("failed", "stopped at its deadline of 3600 s: database is locked")


async def test_a_lease_that_could_not_be_renewed_for_a_while_is_renewed_later(tmp_path: Path) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        asked.set()
        await release.wait()
        yield a_run(needs)

    world = make_world(tmp_path, forecasts=[forecast_source(slow)], lease=0.15, busy_timeout=0.01)
    started = await world.runner.start(FORECASTS, "schedule", NOON)
    assert started is not None
    await asked.wait()

    first = lease_until(world)
    with locked(tmp_path), capture_logs() as logs:
        await until(lambda: sum(line["event"] == "lease not renewed" for line in logs) >= 3)
    await until(lambda: lease_until(world) > first)
    release.set()
    assert (await started[1]).status == "success"


# --- The loop beside the schedule -------------------------------------------------------------------


async def test_the_catch_up_goes_on_after_a_store_that_did_not_answer_and_a_job_that_was_busy(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, busy_timeout=0.2)
    # Slots are caught up from the time on when the schedule was first noted: the loop may get to it late.
    world.ledger.note_schedule(OBSERVATIONS, world.runner.config.crontab(OBSERVATIONS), NOON)
    busy = world.ledger.claim(OBSERVATIONS, "cli", NOON)
    assert busy is not None
    looks: list[str] = []

    class Looking(CatchUp):
        async def once(self, job: object) -> int | None:
            looks.append(str(job))
            return await super().once(job)  # type: ignore[arg-type]

    with locked(tmp_path):
        loop = asyncio.create_task(Looking(world.runner, interval=0.01).forever())
        await until(lambda: len(looks) > 2)
    await until(lambda: world.ledger.runs(job=FORECASTS, status="success"))
    world.ledger.finish(busy, "success", NOON, duration=1.0)
    world.clock.now = NOON + timedelta(hours=3)  # the slot of 14:00 is due by now
    await until(lambda: len(world.ledger.runs(job=OBSERVATIONS, status="success")) == 2)
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop


# --- A schedule that is never due -------------------------------------------------------------------


def test_a_schedule_that_is_never_due_has_no_latest_slot() -> None:
    never = SchedulerConfig.load(scheduler_forecast_cron="0 0 30 2 *")
    assert never.latest_slot(FORECASTS, NOON) is None


@pytest.mark.parametrize(("crontab", "days"), [("0 6 * * wed", 7), ("0 6 1 * *", 31), ("0 6 29 feb *", 366)])
def test_the_latest_slot_of_a_rare_schedule_is_found(crontab: str, days: int) -> None:
    config = SchedulerConfig.load(scheduler_forecast_cron=crontab)
    now = NOON if days < 366 else NOON.replace(year=2028)
    slot = config.latest_slot(FORECASTS, now)
    assert slot is not None
    assert timedelta(0) <= now - slot <= timedelta(days=days)


async def test_a_tick_of_a_schedule_that_is_never_due_begins_nothing(tmp_path: Path) -> None:
    world = make_world(tmp_path, scheduler_forecast_cron="0 0 30 2 *")
    await world.runner.tick(FORECASTS)
    assert await CatchUp(world.runner).once(FORECASTS) is None
    assert world.ledger.runs() == ()


# --- A network that takes longer than the interval between two slots ---------------------------------


async def test_a_slow_network_does_not_hold_up_the_next_slot(tmp_path: Path) -> None:
    async def slow(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        await asyncio.Event().wait()
        yield a_reading(needs)

    world = make_world(tmp_path)
    sources = Sources(
        forecasts=(),
        observations=(observation_source(slow, "romma"), observation_source(brings_a_reading, "ffvl")),
        channel_for=world.runner.sources.channel_for,
    )
    runner = Runner(
        store=world.store,
        ledger=world.ledger,
        sources=sources,
        config=world.runner.config,
        sites=world.runner.sites,
        clock=world.clock,
        source_seconds=lambda job, now: 0.05,
    )
    for slot in (NOON, NOON + timedelta(minutes=10)):
        world.clock.now = slot
        run = await runner.run(OBSERVATIONS, "schedule", slot)
        assert run is not None
        assert {source.source: source.status for source in run.sources} == {
            "romma": "failed",
            "ffvl": "success",
        }


@pytest.mark.parametrize(
    ("crontab", "minute", "second", "expected"),
    [
        ("*/10 * * * *", 0, 0, 595),  # started with its slot: until five seconds before the next
        ("*/10 * * * *", 4, 0, 355),
        ("*/10 * * * *", 6, 0, 4 * 60 + 600 - 5),  # started late: until the slot after the next
        ("0 */6 * * *", 0, 0, 6 * 3600 - 5),
    ],
)
def test_a_source_has_until_the_next_slot(crontab: str, minute: int, second: int, expected: float) -> None:
    config = SchedulerConfig.load(scheduler_observation_cron=crontab)
    now = NOON.replace(minute=minute, second=second)
    assert config.source_seconds(OBSERVATIONS, now) == expected
