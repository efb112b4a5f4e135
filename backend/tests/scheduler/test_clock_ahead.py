"""One start under a clock in 2031: afterwards everything goes on as if it never happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from backend.core.records import CollectionRequest
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.storage.ledger import Ledger
from backend.storage.run_records import Pause, SourceRun
from backend.tests.support.served import make_service, served
from backend.tests.support.stores import (
    NOW,
    PLANFAIT,
    make_tables,
    observations,
    open_database,
    open_store,
    reading,
    rows,
)
from backend.tests.support.worlds import HandClock, World, catch_up, make_world

IN_2031 = datetime(2031, 3, 1, 12, 5, tzinfo=UTC)
ELSEWHERE = "another-host:1/a-boot/4711/815"
HOUR = timedelta(hours=1)


async def lived_through_2031(
    url: str, on_request: Callable[[int, CollectionRequest], None] | None = None
) -> World:
    """Return an installation of 2026 that was started once under a clock in 2031; it is 2026 again."""
    world = make_world(url, on_request=on_request)
    await catch_up(world)
    world.clock.now = IN_2031
    assert await catch_up(world) is not None
    world.clock.now = NOW.replace(hour=18, minute=5)
    return world


async def test_the_catch_up_runs_the_next_slot_as_before(database_url: str) -> None:
    world = await lived_through_2031(database_url)
    run_id = await catch_up(world)
    assert run_id is not None
    run = world.ledger.run(run_id)
    assert (run.slot, run.status) == (NOW.replace(hour=18, minute=0), "success")
    assert await catch_up(world) is None, "each slot once"
    statuses = [run.status for run in world.ledger.runs(job=FORECASTS) if run.slot and run.slot.year == 2026]
    assert statuses == ["success", "success"]


async def test_the_catch_up_begins_again_where_the_first_start_ever_was_in_2031(database_url: str) -> None:
    world = make_world(database_url, clock=HandClock(IN_2031))
    await catch_up(world)
    world.clock.now = NOW
    assert await catch_up(world) is None, "nothing is made up for from before the schedule was seen"
    world.clock.now = NOW.replace(hour=18, minute=5)
    run_id = await catch_up(world)
    assert run_id is not None
    assert world.ledger.run(run_id).slot == NOW.replace(hour=18, minute=0)


async def test_a_pause_that_ended_in_2031_does_not_last_until_then(database_url: str) -> None:
    world = await lived_through_2031(database_url)
    world.ledger.pause(FORECASTS, "admin", NOW)
    world.ledger.resume(FORECASTS, "admin", IN_2031)
    assert await catch_up(world) is None, "18:00 lies within the pause, as far as is known"
    assert world.ledger.pauses(FORECASTS, NOW) == (Pause(NOW, "admin", NOW.replace(hour=18, minute=5)),)
    world.clock.now = NOW + timedelta(hours=12, minutes=5)
    run_id = await catch_up(world)
    assert run_id is not None
    assert world.ledger.run(run_id).slot == (NOW + timedelta(hours=12)).replace(minute=0)


async def test_the_status_shows_the_runs_of_the_present_and_their_data(tmp_path: Path) -> None:
    clock = HandClock(IN_2031)
    service = make_service(tmp_path, clock=clock, sources="romma")
    make_tables(service.database)

    def run_with(newest: datetime) -> int:
        claim = service.ledger.claim(OBSERVATIONS, "cli", clock())
        assert claim is not None
        source = SourceRun(source="romma", status="success", newest=newest)
        service.ledger.finish(claim, "success", clock(), duration=1, sources=[source])
        return claim.run_id

    first = run_with(IN_2031)
    async with served(service) as client:

        async def shown() -> tuple[int, object, object]:
            status = (await client.get("/api/scheduler/status")).json()
            (romma,) = (source for source in status["freshness"] if source["source"] == "romma")
            return status["lastObservationCollection"]["runId"], romma["newestData"], romma["stale"]

        assert await shown() == (first, "2031-03-01T12:05:00Z", False)
        clock.now = NOW
        assert await shown() == (first, None, None), "there is no other run, and no age is known"
        second = run_with(NOW - HOUR)
        assert await shown() == (second, "2026-07-15T11:10:00Z", False)
        clock.now = NOW + timedelta(days=2)
        assert await shown() == (second, "2026-07-15T11:10:00Z", True)


def test_a_lease_of_another_host_that_ends_in_2031_is_taken_up(database_url: str) -> None:
    database = open_database(database_url)
    ledger, elsewhere = Ledger(database), Ledger(database, owner=ELSEWHERE, lease=5 * 365 * 86_400)
    lost = elsewhere.claim(FORECASTS, "schedule", NOW, NOW)
    assert lost is not None
    claim = ledger.claim(FORECASTS, "catch_up", NOW, NOW)
    assert claim is not None
    assert (claim.run_id, claim.epoch) == (lost.run_id, 2)
    assert "written under a clock that was ahead" in ledger.run(claim.run_id).note


def test_a_lease_that_ends_in_2031_of_a_process_seen_alive_is_left_alone(database_url: str) -> None:
    database = open_database(database_url)
    living, ledger = Ledger(database, lease=5 * 365 * 86_400), Ledger(database)
    assert living.claim(FORECASTS, "schedule", NOW, NOW) is not None
    ledger.reap(FORECASTS, NOW)
    (run,) = ledger.runs()
    assert run.status == "running"


def test_times_of_2031_ask_for_what_they_stood_for_and_a_slow_clock_forgets_nothing(
    database_url: str,
) -> None:
    store = open_store(database_url)
    batch = replace(
        observations(reading(12.0), listed="ffvl", complete_until={"ffvl:2496": NOW - HOUR}), collected_at=NOW
    )
    store.add_observations(batch)
    slow = store.observation_request([PLANFAIT], NOW - 2 * HOUR, NOW - 9 * HOUR)
    assert (slow.newest, slow.complete_until, slow.listed) == ({}, {}, {})
    store.forget_times_ahead(NOW - 2 * HOUR)

    needs = store.observation_request([PLANFAIT], NOW, NOW - 9 * HOUR)
    assert needs.complete_until == {"ffvl:2496": NOW - HOUR}
    assert needs.listed == {"ffvl": NOW}

    ahead = replace(batch, records=(), complete_until={"ffvl:2496": IN_2031}, collected_at=IN_2031)
    store.add_observations(ahead)
    store.forget_times_ahead(NOW)
    assert rows(store.database, t.station, "caught_up") == [(None,)]
    assert rows(store.database, t.station_list, "listed_at") == []
    store.add_observations(batch)
    again = store.observation_request([PLANFAIT], NOW, NOW - 9 * HOUR)
    assert again.complete_until == needs.complete_until


async def test_a_run_forgets_the_times_of_2031_before_it_asks(database_url: str) -> None:
    asked: list[CollectionRequest] = []
    world = await lived_through_2031(database_url, lambda _run, needs: asked.append(needs))
    with world.database.write() as connection:
        connection.execute(sa.insert(t.station).values(code="ffvl:2496", caught_up=to_epoch(IN_2031)))
    await world.runner.run(OBSERVATIONS, "cli")
    assert asked[-1].complete_until == {}
    assert rows(world.database, t.station, "caught_up") == [(None,)]
