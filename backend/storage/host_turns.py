"""The turns of hosts: when a request of any process may start, counted in the database by pyrate-limiter.

Its tables (`ratelimit___…`, one for each host) are no part of the store: they hold the last request of a host
and are neither backed up nor copied. pyrate-limiter is of the extra `scale`; it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import psycopg

from backend.core.errors import StoreUnavailableError
from backend.storage.database import Database, clock_of

if TYPE_CHECKING:
    from pyrate_limiter import PostgresBucket

_SHORTEST_WAIT = 0.02  # seconds; also that of a process that found another one at the same table

_AHEAD_MILLISECONDS = 60_000  # longer than a process that asked for the time waits for the table


class HostTurns:
    """The turns of one host on PostgreSQL. All methods block: call them from a thread, one at a time."""

    def __init__(self, database: Database, host: str, spacing: timedelta) -> None:
        self._database = database
        self._host = host
        self._milliseconds = round(spacing.total_seconds() * 1000)
        self._bucket: PostgresBucket | None = None

    def take(self) -> float:
        """Take the turn, and return 0; otherwise the seconds after which to try again.

        The database's clock decides. Raises StoreUnavailableError.
        """
        from pyrate_limiter import PostgresBucket, Rate, RateItem

        try:
            if self._bucket is None:
                connections = cast(Any, _StoreConnections(self._database))
                self._bucket = PostgresBucket(connections, self._host, [Rate(1, self._milliseconds)])
            # Not by the clock of the bucket: without the database that is the clock of this machine.
            with self._database.write_beside() as connection:
                now = round(clock_of(connection) * 1000)
            turn = RateItem(self._host, now)
            if self._bucket.put(turn):
                self._bucket.leak(now)  # a thread of the library would do that every ten seconds
                return 0.0
            wait = cast(int, self._bucket.waiting(turn))
            if wait > self._milliseconds + _AHEAD_MILLISECONDS:
                self._bucket.flush()  # of a clock that was ahead: it would block the host until then
                wait = self._milliseconds
            return max(_SHORTEST_WAIT, wait / 1000)
        except psycopg.Error as error:
            raise StoreUnavailableError(f"the store does not answer: {error}") from error


class _StoreConnections:
    """The connections of the store, in the form of a pool of psycopg."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """Give a connection in a transaction, which is committed at the end."""
        with self._database.write_beside() as connection:
            raw = cast(psycopg.Connection, connection.connection.driver_connection)
            # The library stores times without a zone: those of all sessions must mean the same.
            raw.execute("SET LOCAL TIME ZONE 'UTC'")
            yield raw
