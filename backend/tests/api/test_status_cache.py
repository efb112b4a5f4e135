"""The status is computed once for all requests, and never returned when it is out of date."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from backend.main import Service
from backend.scheduler.config import FORECASTS
from backend.storage.ledger import Ledger
from backend.tests.support.served import NOW, lose_the_store, make_service, served
from backend.tests.support.waiting import until
from backend.tests.support.worlds import HandClock

STATUS = "/api/scheduler/status"


async def get(client: httpx2.AsyncClient) -> Any:
    answer = await client.get(STATUS)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def running(client: httpx2.AsyncClient) -> int:
    return len((await get(client))["current"])


async def due(client: httpx2.AsyncClient) -> str:
    return str((await get(client))["freshness"][0]["lastDue"])


def by_another_process(service: Service) -> Ledger:
    return Ledger(service.database, owner=service.ledger.owner)


def begin(ledger: Ledger) -> None:
    assert ledger.claim(FORECASTS, "api", NOW) is not None


async def test_changes_by_this_process_are_in_the_status_at_once(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    async with served(service) as client:
        assert await running(client) == 0
        begin(service.ledger)
        assert await running(client) == 1


async def test_the_status_is_computed_again_within_two_seconds_and_at_once_if_the_clock_jumps(
    tmp_path: Path,
) -> None:
    clock = HandClock(NOW)
    service = make_service(tmp_path, clock=clock)
    async with served(service) as client:
        assert await running(client) == 0
        begin(by_another_process(service))
        assert await running(client) == 0  # the one that is there, not a second old
        clock.now += timedelta(seconds=1.5)
        assert await running(client) == 0  # the same one, for the last time
        await until(lambda: running(client))
        before = await due(client)
        clock.now -= timedelta(hours=9)
        assert await due(client) < before


async def test_an_unreachable_store_is_an_error_once_the_status_is_two_seconds_old(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    service = make_service(tmp_path, clock=clock)
    async with served(service) as client:
        await get(client)
        lose_the_store(tmp_path)
        clock.now += timedelta(seconds=1.5)
        await get(client)
        clock.now += timedelta(seconds=1)
        answer = await client.get(STATUS)
    assert answer.status_code == 503


async def test_many_requests_at_once_share_one_status(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    async with served(service) as client:
        statements: list[str] = []

        @sa.event.listens_for(service.database.engine, "before_cursor_execute")
        def _count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        await get(client)
        once = len(statements)
        begin(service.ledger)
        statements.clear()
        await asyncio.gather(*(running(client) for _ in range(20)))
    assert len(statements) <= 2 * once  # the one under way when the first asked, and one more
