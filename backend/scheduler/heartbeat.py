"""The heartbeat of a process of the service, from the opening of the store to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from backend.core.errors import StoreUnavailableError
from backend.storage.database import Database
from backend.storage.instances import Instances, heartbeat_interval

log = structlog.get_logger()


class Heartbeat:
    """Records at intervals that this process is alive; others read it in the list of instances."""

    def __init__(self, database: Database, role: str, *, is_well: Callable[[], bool]) -> None:
        """`is_well` returns False while the process does not do its work: then no heartbeat is recorded."""
        self._instances = Instances(database)
        self._role = role
        self._is_well = is_well
        self._seconds = heartbeat_interval(database).total_seconds()
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, once the store is open."""
        self._beating = asyncio.create_task(self._beat(), name="heartbeat")

    async def stop(self) -> None:
        """Record the end of this process. A store that does not answer is no error: others see it later."""
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.wait([self._beating])
        try:
            await asyncio.to_thread(self._instances.stop)
        except StoreUnavailableError as error:
            log.debug("end of the process not recorded", reason=str(error))

    async def _beat(self) -> None:
        while True:
            if self._is_well():
                try:
                    await asyncio.to_thread(self._instances.beat, self._role)
                except StoreUnavailableError as error:
                    log.debug("heartbeat not recorded", reason=str(error))  # who waits for the store warns
            await asyncio.sleep(self._seconds)
