"""The spacing of requests to a host over all processes of the service on one database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from backend.core.errors import StoreUnavailableError
from backend.storage.database import Database
from backend.storage.host_turns import HostTurns

log = structlog.get_logger()

WITHOUT_STORE_SECONDS = 2.0
"""Wait after the store did not answer. No request is sent that could not be counted."""


class SharedPace:
    """The pace of one host. The requests of a process wait for it one after another."""

    def __init__(self, database: Database, host: str, spacing: timedelta) -> None:
        self._host = host
        self._turns = HostTurns(database, host, spacing)
        self._one_at_a_time = asyncio.Lock()

    async def acquire(self) -> None:
        """Return when the next request may start."""
        async with self._one_at_a_time:
            while True:
                try:
                    wait = await asyncio.to_thread(self._turns.take)
                except StoreUnavailableError as error:
                    log.debug("request waits for the store", host=self._host, reason=str(error))
                    wait = WITHOUT_STORE_SECONDS
                if not wait:
                    return
                await asyncio.sleep(wait)
