"""The spacing of a host over several processes, whose requests are counted in the database."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import sqlalchemy as sa
from structlog.testing import capture_logs

from backend.collectors.base import Request
from backend.collectors.transport.client import HttpClient
from backend.core.errors import FetchError
from backend.scheduler.shared_pace import SharedPace
from backend.storage.database import Database
from backend.storage.host_turns import HostTurns
from backend.tests.support.postgres import PostgresServer
from backend.tests.support.receiver import receiving
from backend.tests.support.stores import start_process
from backend.tests.support.waiting import HANG_SECONDS, until

SPACING = timedelta(milliseconds=150)
REQUESTS = 8  # of each process

RECORD_TURNS = """
CREATE TABLE granted (at timestamp);
CREATE FUNCTION note_turn() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO granted VALUES (NEW.item_timestamp); RETURN NEW; END $$;
CREATE TRIGGER granted BEFORE INSERT ON "ratelimit___{host}" FOR EACH ROW EXECUTE FUNCTION note_turn();
"""


def collect(url: str, host: str, requests: int) -> None:
    """Send requests in a process of its own, as a worker does."""
    database = Database(url)

    async def send() -> None:
        async with HttpClient(
            spacing={host: SPACING}, pace_of=lambda name, gap: SharedPace(database, name, gap)
        ) as client:
            for number in range(requests):
                request = Request(url=f"http://{host}/{number}", kind="html")
                with suppress(FetchError):
                    await client(request)

    asyncio.run(send())


def test_two_processes_together_keep_the_spacing_of_a_host(bare_postgres_url: str) -> None:
    database = Database(bare_postgres_url)
    with receiving() as host:
        host.held.set()
        host.status = 404  # no request is repeated
        HostTurns(database, host.address, SPACING).take()
        with database.write() as connection:
            connection.connection.cursor().execute(RECORD_TURNS.format(host=host.address))
        workers = [start_process(collect, bare_postgres_url, host.address, REQUESTS) for _ in range(2)]
        for worker in workers:
            worker.join(HANG_SECONDS)
        assert [worker.exitcode for worker in workers] == [0, 0]
        received = len(host.requests)
    with database.read() as connection:
        turns = [row.at for row in connection.execute(sa.text("SELECT at FROM granted ORDER BY at"))]
    assert len(turns) == received == 2 * REQUESTS
    assert min(later - earlier for earlier, later in pairwise(turns)) >= SPACING
    database.close()


def test_the_turn_of_a_host_is_taken_once_and_then_waited_for(bare_postgres_url: str) -> None:
    database, spacing = Database(bare_postgres_url), timedelta(hours=1)
    assert HostTurns(database, "one.example", spacing).take() == 0
    assert 3500 < HostTurns(database, "one.example", spacing).take() <= 3600.1, "another process"
    assert HostTurns(database, "two.example:8080", spacing).take() == 0
    database.close()


def test_a_database_whose_clock_was_ahead_does_not_block_a_host(bare_postgres_url: str) -> None:
    database, spacing = Database(bare_postgres_url), timedelta(seconds=2)
    turns = HostTurns(database, "one.example", spacing)
    assert turns.take() == 0
    with database.write() as connection:
        ahead = "item_timestamp = item_timestamp + interval '1 day'"
        connection.execute(sa.text(f'UPDATE "ratelimit___one.example" SET {ahead}'))
    assert turns.take() == 2, "as after a request of now"
    assert turns.take() == 0
    database.close()


async def test_no_request_starts_uncounted_while_the_database_is_away(
    postgres: PostgresServer, bare_postgres_url: str
) -> None:
    database = Database(bare_postgres_url)
    pace = SharedPace(database, "one.example", timedelta(milliseconds=1))
    await pace.acquire()
    with capture_logs() as events, postgres.stopped():
        waiting = asyncio.create_task(pace.acquire())
        await until(lambda: any(event["event"] == "request waits for the store" for event in events))
        assert not waiting.done()
    async with asyncio.timeout(HANG_SECONDS):
        await waiting
    database.close()
