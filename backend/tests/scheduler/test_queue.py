"""Runs that workers do: tasks in the queue, workers that die, and tasks that are lost, on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from procrastinate.schema import SchemaManager
from structlog.testing import capture_logs

from backend.core.errors import ConfigError, JobBusyError
from backend.core.records import CollectionRequest, ForecastBatch, ObservationBatch
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scheduler.dispatch import SITES_PER_TASK
from backend.scheduler.keeper import Keeper, sum_of
from backend.scheduler.roles import share_work
from backend.scheduler.runner import Sources
from backend.scheduler.worker import TaskWorker
from backend.storage import schema as t
from backend.storage.ledger import LeaseLostError
from backend.storage.queue import SCORES, queued, upgrade_queue
from backend.storage.run_records import JobRun, SourceRun
from backend.storage.run_tasks import MOST_TURNS
from backend.storage.score_jobs import SITES_TOGETHER, queue_due_days
from backend.tests.support.postgres import PostgresServer
from backend.tests.support.waiting import until
from backend.tests.support.worlds import (
    NOON,
    PLANFAIT,
    World,
    a_reading,
    a_run,
    brings_a_run,
    fails,
    forecast_source,
    make_world,
    observation_source,
)


def shared(url: str, **options: Any) -> tuple[World, Keeper]:
    """Return a world whose runs workers do, and the keeper of their queue."""
    world = make_world(url, meteo_score_role="scheduler", **options)
    upgrade_queue(world.database)
    return world, share_work(world.runner)


@asynccontextmanager
async def at_work(
    world: World, keeper: Keeper, made: list[Container[int]] | None = None
) -> AsyncIterator[asyncio.Event]:
    """Let a worker take tasks for as long as the context lasts; `made` gets the sites of score days."""
    stop = asyncio.Event()
    worker = TaskWorker(
        world.runner,
        keeper,
        world.database.connect_arguments(),
        (lambda _sites: None) if made is None else made.append,
        patience=0.5,
    )
    work = asyncio.create_task(worker.until(stop))
    try:
        yield stop
    finally:
        stop.set()
        await work


async def ended(world: World) -> JobRun:
    """Return the record of the newest run, once it has ended."""
    await until(lambda: world.ledger.runs(limit=1)[0].status != "running")
    return world.ledger.runs(limit=1)[0]


def open_tasks(world: World) -> dict[int, bool]:
    with world.database.read() as connection:
        return queued(connection)


def values(world: World) -> list[tuple[object, ...]]:
    with world.database.read() as connection:
        return [tuple(row) for row in connection.execute(sa.select(t.forecast))]


async def test_a_slot_is_claimed_by_the_schedule_and_done_by_a_worker(postgres_url: str) -> None:
    world, keeper = shared(postgres_url, forecasts=[forecast_source(brings_a_run)])
    await world.runner.tick(FORECASTS)
    (run,) = world.ledger.runs()
    assert (run.status, run.slot) == ("running", NOON)
    assert len(open_tasks(world)) == 1
    async with at_work(world, keeper):
        run = await ended(world)
    assert (run.status, run.collected, run.stored, run.attempt) == ("success", 1, 1, 1)
    assert [source.status for source in run.sources] == ["success"]
    assert open_tasks(world) == {}
    assert len(values(world)) == 1


async def test_two_workers_do_each_task_once(postgres_url: str) -> None:
    asked: list[str] = []

    def counts(name: str) -> Callable[[CollectionRequest], AsyncIterator[ForecastBatch]]:
        async def collect(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
            asked.append(name)
            yield a_run(needs, model=name)

        return collect

    sources = [forecast_source(counts(name), name=name) for name in ("a", "b", "c", "d")]
    world, keeper = shared(postgres_url, forecasts=sources)
    async with at_work(world, keeper), at_work(world, keeper):
        await world.runner.tick(FORECASTS)
        run = await ended(world)
    assert sorted(asked) == ["a", "b", "c", "d"]
    assert (run.status, run.collected, run.stored) == ("success", 4, 4)
    assert [source.source for source in run.sources] == ["a", "b", "c", "d"]


async def test_a_source_that_fails_leaves_the_others_their_result(postgres_url: str) -> None:
    sources = [forecast_source(brings_a_run), forecast_source(fails, name="other")]
    world, keeper = shared(postgres_url, forecasts=sources)
    async with at_work(world, keeper):
        await world.runner.tick(FORECASTS)
        run = await ended(world)
    assert run.status == "partial"
    assert {source.source: source.status for source in run.sources} == {
        "arome": "success",
        "other": "failed",
    }


async def test_the_sites_of_a_source_that_is_asked_site_by_site_are_shared(postgres_url: str) -> None:
    sites = tuple(replace(PLANFAIT, id=f"site-{number}") for number in range(SITES_PER_TASK + 1))
    asked: list[int] = []

    async def counts(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        asked.append(len(needs.sites))
        yield a_run(needs)

    by_site = forecast_source(counts, by_site=True)
    whole = forecast_source(counts, name="whole")
    world, keeper = shared(postgres_url, forecasts=[by_site, whole], sites=lambda: sites)
    await world.runner.tick(FORECASTS)
    assert len(open_tasks(world)) == 3
    async with at_work(world, keeper):
        run = await ended(world)
    assert sorted(asked) == [1, SITES_PER_TASK, SITES_PER_TASK + 1]
    assert {part.source: part.collected for part in run.sources} == {"arome": 2, "whole": 1}


async def test_tasks_that_were_lost_are_found_again_and_a_slot_is_never_blocked(postgres_url: str) -> None:
    world, keeper = shared(postgres_url)
    await world.runner.tick(FORECASTS)
    with world.database.write() as connection:
        connection.execute(sa.text("DELETE FROM procrastinate_jobs"))
    await keeper.look()
    assert len(open_tasks(world)) == 1
    async with at_work(world, keeper):
        assert (await ended(world)).status == "success"


async def test_the_task_of_a_worker_that_died_is_done_by_another_and_its_late_writes_are_refused(
    postgres_url: str,
) -> None:
    world, keeper = shared(postgres_url)
    await world.runner.tick(FORECASTS)
    (task,) = open_tasks(world)
    dead = keeper.tasks.begin(task)  # and the worker is gone: it ends nothing and its heart stands still
    assert dead is not None
    with world.database.write() as connection:
        connection.execute(sa.text("UPDATE procrastinate_jobs SET status = 'doing'"))
    await keeper.look()
    assert open_tasks(world) == {task: False}
    late = asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        yield a_run(needs)
        with pytest.raises(LeaseLostError):
            world.store.add_forecasts(a_run(needs, value=99.0), dead.claim)
        late.set()

    world.runner.sources = Sources(
        forecasts=[forecast_source(slow)], observations=(), channel_for=world.runner.sources.channel_for
    )
    async with at_work(world, keeper):
        run = await ended(world)
    assert late.is_set()
    assert (run.status, run.attempt, len(values(world))) == ("success", 1, 1)


async def test_a_task_that_ends_its_process_each_time_is_given_up(postgres_url: str) -> None:
    world, keeper = shared(postgres_url)
    await world.runner.tick(FORECASTS)
    (task,) = open_tasks(world)
    for _ in range(MOST_TURNS):
        assert keeper.tasks.begin(task) is not None
    async with at_work(world, keeper):
        run = await ended(world)
    assert run.status == "failed"
    assert "its process ended" in run.sources[0].reason


async def test_days_that_are_due_are_queued_by_groups_of_sites_also_after_their_job_was_lost(
    postgres_url: str,
) -> None:
    made: list[Container[int]] = []
    world, keeper = shared(postgres_url)
    async with at_work(world, keeper, made):
        await world.runner.tick(FORECASTS)
        await ended(world)
        await keeper.look()  # no run is under way, and this world queues nothing at the end of a run
        await until(lambda: bool(made))
    assert made[0] == range(SITES_TOGETHER)
    await keeper.look()
    await keeper.look()
    with world.database.read() as connection:
        assert queued(connection, SCORES) == {0: False}
    assert queue_due_days(world.database, world.clock()) == 0
    with world.database.write() as connection:
        connection.execute(sa.text("UPDATE procrastinate_jobs SET status = 'doing'"))  # of no worker
    await keeper.look()
    with world.database.read() as connection:
        assert queued(connection, SCORES) == {0: False}


async def test_score_days_that_cannot_be_made_are_not_tried_again_at_once(postgres_url: str) -> None:
    class Breaking(list[Container[int]]):
        def append(self, sites: Container[int], /) -> None:
            super().append(sites)
            raise ValueError("a bug of ours")

    def waiting() -> dict[int, bool]:
        with world.database.read() as connection:
            return queued(connection, SCORES)

    made = Breaking()
    world, keeper = shared(postgres_url)
    async with at_work(world, keeper, made):
        await world.runner.tick(FORECASTS)
        await ended(world)
        await keeper.look()
        await until(lambda: bool(made) and waiting() in ({0: False}, {}))
        for _ in range(3):
            await keeper.look()
        assert waiting() == {0: False}
    assert len(made) == 1


async def test_a_run_is_queued_with_its_claim_or_not_at_all(postgres_url: str) -> None:
    """A scheduler that is killed between claim and hand-over leaves neither, and the slot is still due."""
    world, _keeper = shared(postgres_url)

    def killed(connection: sa.Connection, claim: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.ledger.claim(FORECASTS, "schedule", world.clock(), NOON, killed)
    assert (world.ledger.runs(), open_tasks(world)) == ((), {})
    assert await CatchUp(world.runner).once(FORECASTS) is not None
    assert len(open_tasks(world)) == 1


async def test_a_run_in_the_queue_keeps_its_job_busy_and_outlives_its_scheduler(postgres_url: str) -> None:
    world, _keeper = shared(postgres_url, owner="another-host/boot/1/1")
    await world.runner.tick(FORECASTS)
    other, keeper = shared(postgres_url)
    with pytest.raises(JobBusyError):
        await other.runner.start(FORECASTS, "api")
    async with at_work(other, keeper):
        assert (await ended(other)).status == "success"


async def test_a_database_that_was_away_for_longer_than_a_lease_repeats_no_run_of_the_queue(
    postgres_url: str,
) -> None:
    world, _keeper = shared(postgres_url)
    await world.runner.tick(FORECASTS)
    with world.database.write() as connection:
        connection.execute(sa.update(t.job_run).values(lease_until=0))
    # Neither may be the first to reach the database, before the keeper and the worker renew the lease.
    assert await CatchUp(world.runner).once(FORECASTS) is None
    with pytest.raises(JobBusyError):
        await world.runner.start(FORECASTS, "api")
    (run,) = world.ledger.runs()
    assert (run.status, run.attempt) == ("running", 1)
    # A process that works alone has no keeper, and the queue of such a service is left.
    assert make_world(postgres_url).ledger.claim(FORECASTS, "api", world.clock()) is not None
    assert world.ledger.run(run.id).status == "interrupted"


async def test_a_part_that_starts_late_has_until_the_next_slot_as_the_run_has(postgres_url: str) -> None:
    asked: list[datetime] = []

    def source_seconds(_job: JobId, start: datetime) -> float:
        asked.append(start)
        return timedelta(minutes=80).total_seconds()

    async def endless(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        await asyncio.Event().wait()
        yield a_reading(needs)

    world, keeper = shared(
        postgres_url, observations=[observation_source(endless)], source_seconds=source_seconds
    )
    await world.runner.tick(OBSERVATIONS)
    start = world.clock.now
    world.clock.now += timedelta(minutes=80)  # its turn comes when the next slot is due
    async with at_work(world, keeper):
        run = await ended(world)
    assert asked == [start]
    assert "cut short" in run.sources[0].reason


async def test_a_stopped_worker_returns_the_task_that_it_does_not_end_in_time(postgres_url: str) -> None:
    started = asyncio.Event()

    async def endless(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        started.set()
        await asyncio.Event().wait()
        yield a_run(needs)

    world, keeper = shared(postgres_url, forecasts=[forecast_source(endless)], shutdown_grace_seconds=0)
    await world.runner.tick(FORECASTS)
    async with at_work(world, keeper):
        await started.wait()
    assert list(open_tasks(world).values()) == [False]
    assert world.ledger.runs()[0].status == "running"


async def test_a_worker_outlives_a_restart_of_the_database(
    postgres: PostgresServer, postgres_url: str
) -> None:
    world, keeper = shared(postgres_url, lease=3)
    async with at_work(world, keeper):
        await world.runner.tick(FORECASTS)
        await ended(world)
        with postgres.stopped(), capture_logs() as logs:
            await until(lambda: any(line["event"] == "queue does not answer" for line in logs))
        await world.runner.tick(OBSERVATIONS)
        run = await ended(world)
    assert (run.job, run.status) == (OBSERVATIONS, "success")


async def test_a_run_without_workers_ends_at_its_deadline(postgres_url: str) -> None:
    world, keeper = shared(postgres_url, run_deadline_seconds=600)
    await world.runner.tick(OBSERVATIONS)
    world.clock.now += timedelta(seconds=700)
    await keeper.look()
    (run,) = world.ledger.runs()
    assert (run.status, run.note) == ("failed", "stopped at its deadline of 600 s")


async def test_tables_of_an_older_procrastinate_are_upgraded_when_that_is_confirmed(
    postgres_url: str,
) -> None:
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"), key=lambda file: file.name)
    (older,) = (number for number, file in enumerate(files) if file.name.startswith("03.02.00_50"))
    world = make_world(postgres_url, meteo_score_role="scheduler")
    with world.database.write() as connection:
        for file in files[: older + 1]:
            connection.connection.cursor().execute(file.read_text("utf-8"))
        note = f"COMMENT ON TABLE procrastinate_jobs IS 'meteo-score; migrations up to {files[older].name}'"
        connection.execute(sa.text(note))
    with pytest.raises(ConfigError, match="db upgrade --yes"):
        upgrade_queue(world.database)
    upgrade_queue(world.database, confirmed=True)
    upgrade_queue(world.database)
    keeper = share_work(world.runner)
    async with at_work(world, keeper):
        await world.runner.tick(FORECASTS)
        assert (await ended(world)).status == "success"


def test_tables_of_a_procrastinate_of_others_are_left_alone(postgres_url: str) -> None:
    world = make_world(postgres_url)
    with world.database.write() as connection:
        connection.connection.cursor().execute(SchemaManager.get_schema())
    with pytest.raises(ConfigError, match="meteo-score did not make"):
        upgrade_queue(world.database, confirmed=True)


def test_a_role_is_refused_on_sqlite_with_what_to_do(tmp_path: Path) -> None:
    world = make_world(tmp_path, meteo_score_role="worker")
    with pytest.raises(ConfigError, match=r"METEO_SCORE_ROLE=worker.*meteo-score db copy"):
        share_work(world.runner)


def test_the_parts_of_a_source_are_summed() -> None:
    good = SourceRun(source="romma", status="success", collected=3, stored=2, requests=4, bytes=10)
    bad = SourceRun(source="romma", status="failed", reason="HTTP 503", failed=1, requests=1)
    old = SourceRun(source="romma", status="stale", reason="old")
    whole = sum_of("romma", [good, bad, old])
    assert (whole.status, whole.reason) == ("partial", "HTTP 503")
    assert (whole.collected, whole.stored, whole.failed, whole.requests) == (3, 2, 1, 5)
    assert sum_of("romma", [good, old]).status == "success"
    assert sum_of("romma", [old, old]).status == "stale"
