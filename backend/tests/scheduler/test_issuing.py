"""The job that issues forecasts: on the runner and the ledger of the collections, once for all processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from backend.core.issued import IssuedForecast, IssuedHours
from backend.core.local_time import local_day
from backend.core.parameters import Parameter
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import ISSUING, SchedulerConfig
from backend.scheduler.issuing import Issuer, issue_forecasts
from backend.scheduler.runner import Runner, Sources
from backend.scheduler.scheduler import next_run_times
from backend.storage.database import Database
from backend.storage.issued import chains, issued_forecasts
from backend.storage.issued_batches import IssuedBatch
from backend.storage.learning_days import Question
from backend.storage.ledger import Ledger
from backend.storage.store import Store
from backend.tests.support.stores import open_database
from backend.tests.support.waiting import HANG_SECONDS, until
from backend.tests.support.worlds import PLANFAIT, HandClock

EVENING = datetime(2026, 7, 15, 17, tzinfo=UTC)
DAY = local_day(EVENING) + 1


@dataclass
class OneForecast:
    """An issuer with one forecast per decision."""

    clock: HandClock
    asked: list[datetime] = field(default_factory=list)

    def batches(self, decision: datetime) -> Iterator[IssuedBatch]:
        self.asked.append(decision)
        forecast = IssuedForecast(
            site="planfait",
            audience="public",
            parameter=Parameter.WIND_SPEED,
            view=3,
            day=local_day(decision) + 1,
            method="test",
            decision_time=decision,
            issued_at=self.clock(),
            hours=IssuedHours(times=(1,), values=(2,)),
        )
        yield IssuedBatch(question=Question("public", 3, Parameter.WIND_SPEED), forecasts=[forecast])


@dataclass
class Process:
    """A process of the service, on a store that others share."""

    runner: Runner
    issuer: OneForecast
    clock: HandClock


def process(database: Database, owner: str, now: datetime = EVENING + timedelta(seconds=5)) -> Process:
    clock = HandClock(now)
    issuer = OneForecast(clock)
    Store(database).save_sites([PLANFAIT])
    return Process(runner_of(database, owner, clock, issuer), issuer, clock)


def runner_of(database: Database, owner: str, clock: HandClock, issuer: Issuer) -> Runner:
    return Runner(
        store=Store(database),
        ledger=Ledger(database, owner=owner),
        sources=Sources(forecasts=(), observations=(), channel_for=lambda *_: pytest.fail("no network")),
        config=SchedulerConfig.load(),
        sites=lambda: (PLANFAIT,),
        clock=clock,
        issuer=issuer,
    )


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


def record(database: Database) -> list[IssuedForecast]:
    with database.read() as connection:
        assert all(chain.fault is None for chain in chains(connection))
        return issued_forecasts(
            connection, ["planfait"], audience="public", view=3, first=DAY - 9, last=DAY + 9
        )


async def test_a_tick_issues_and_stores_the_forecasts_of_its_slot(database: Database) -> None:
    one = process(database, "one")
    await one.runner.tick(ISSUING)
    await one.runner.drain(HANG_SECONDS)
    [issued] = record(database)
    assert (issued.decision_time, issued.day, issued.is_late) == (EVENING, DAY, False)
    [run] = one.runner.ledger.runs(job=ISSUING)
    assert (run.status, run.slot, run.trigger) == ("success", EVENING, "schedule")
    assert (run.collected, run.stored) == (1, 1)
    assert [part.source for part in run.sources] == ["meteo_score"]


async def test_several_processes_issue_a_slot_once(database: Database) -> None:
    processes = [process(database, name) for name in ("one", "two", "three")]
    await asyncio.gather(*(each.runner.tick(ISSUING) for each in processes))
    for each in processes:
        await each.runner.drain(HANG_SECONDS)
        await CatchUp(each.runner).once(ISSUING)
        await each.runner.drain(HANG_SECONDS)
    assert len(record(database)) == 1
    assert sum(len(each.issuer.asked) for each in processes) == 1


async def test_a_run_by_hand_issues_what_the_newest_decision_did_not(database: Database) -> None:
    one = process(database, "one", EVENING + timedelta(hours=2))
    first = await one.runner.run(ISSUING, "api")
    second = await one.runner.run(ISSUING, "api")
    assert first is not None and second is not None
    assert (first.status, first.sources[0].reason) == ("success", "issued late: shown, and not scored")
    assert (second.status, second.stored) == ("nothing_new", 0)
    assert one.issuer.asked == [EVENING, EVENING]
    assert [row.is_late for row in record(database)] == [True]


async def test_after_a_pause_of_the_process_the_newest_decision_is_issued_late(database: Database) -> None:
    one = process(database, "one")
    await one.runner.run(ISSUING, "schedule", EVENING)
    one.runner.ledger.note_schedule(ISSUING, one.runner.config.crontab(ISSUING), EVENING)
    one.clock.now = EVENING + timedelta(hours=19)  # the morning's and the noon's decision are over
    await CatchUp(one.runner).once(ISSUING)
    await one.runner.drain(HANG_SECONDS)
    assert one.issuer.asked == [EVENING, EVENING + timedelta(hours=17)]
    late = {row.decision_time: row.is_late for row in record(database)}
    assert late == {EVENING: False, EVENING + timedelta(hours=17): True}
    missed = [run.slot for run in one.runner.ledger.runs(job=ISSUING) if run.status == "missed"]
    assert missed == [EVENING + timedelta(hours=12)]


async def test_a_stop_ends_the_issuing_and_the_next_process_does_it(database: Database) -> None:
    one = process(database, "one")
    at_work, ended, left = threading.Event(), threading.Event(), threading.Event()

    def endless(decision: datetime) -> Iterator[IssuedBatch]:
        try:
            while not left.is_set():
                at_work.set()
                yield IssuedBatch(question=Question("public", 3, Parameter.WIND_SPEED))
        finally:
            ended.set()

    one = replace(one, runner=runner_of(database, "one", one.clock, SimpleNamespace(batches=endless)))
    await one.runner.tick(ISSUING)
    await until(at_work.is_set)
    await one.runner.drain(0)
    try:
        await until(ended.is_set)  # the end of the process waits for this thread, whose next batch is refused
    finally:
        left.set()
    [run] = one.runner.ledger.runs(job=ISSUING)
    assert (run.status, record(database)) == ("interrupted", [])
    two = process(database, "two", EVENING + timedelta(minutes=3))
    await CatchUp(two.runner).once(ISSUING)
    await two.runner.drain(HANG_SECONDS)
    [run] = two.runner.ledger.runs(job=ISSUING)
    assert (run.status, run.attempt, len(record(database))) == ("success", 2, 1)


async def test_the_first_start_waits_for_the_next_decision(database: Database) -> None:
    one = process(database, "one")
    assert await CatchUp(one.runner).once(ISSUING) is None
    assert record(database) == []


async def test_the_job_returns_its_forecasts_and_stores_nothing(database: Database) -> None:
    one = process(database, "one")
    issued = await issue_forecasts(one.issuer, EVENING)
    assert [forecast.decision_time for forecast in issued.forecasts] == [EVENING]
    assert (issued.outcome.status, issued.outcome.collected) == ("success", 1)
    assert record(database) == []


async def test_a_runner_without_an_issuer_has_the_two_collections_only(database: Database) -> None:
    one = process(database, "one")
    assert ISSUING in one.runner.jobs
    bare = Runner(
        store=one.runner.store,
        ledger=one.runner.ledger,
        sources=one.runner.sources,
        config=one.runner.config,
        sites=one.runner.sites,
    )
    assert bare.jobs == ("collect_forecasts", "collect_observations")


def test_the_decisions_follow_the_local_clock_over_its_change() -> None:
    config = SchedulerConfig.load()
    times = next_run_times(config, ISSUING, datetime(2026, 10, 24, 17, 30, tzinfo=UTC))
    assert [f"{time:%d %H}" for time in times] == ["25 06", "25 11", "25 18", "26 06", "26 11"]
    before = next_run_times(config, ISSUING, datetime(2026, 10, 23, 17, 30, tzinfo=UTC), count=3)
    assert [f"{time:%d %H}" for time in before] == ["24 05", "24 10", "24 17"]
