"""The status, put together about once a second however many ask: it is there while the service works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.answers.service import ServiceParts
from backend.api.status import scheduler_status
from backend.scheduler.scheduler import is_alive

RENEWED_AFTER = timedelta(seconds=1)
"""From this age on, whoever asks is given the status that is there, and a new one is made meanwhile."""

OLDEST = timedelta(seconds=2)
"""No status older than this is given; also the longest until what another process did is seen."""


@dataclass(frozen=True)
class _Made:
    at: datetime
    seen: tuple[int, bool]
    body: bytes


class StatusCache:
    """The last status of one service, as JSON. For one event loop at a time.

    What this process writes into the ledger is seen at once; what others write, within OLDEST.
    """

    def __init__(self) -> None:
        self._made: _Made | None = None
        self._making: asyncio.Task[_Made] | None = None

    async def body(self, service: ServiceParts) -> bytes:
        """Return the status as JSON; raise StoreUnavailableError where none can be made."""
        made = self._good(service)
        if made is None and self._making is not None and not self._making.done():
            await asyncio.shield(self._making)  # begun before we asked: it may know too little
            made = self._good(service)
        if made is None:
            return (await asyncio.shield(self._renewal(service))).body
        if _age(service, made) > RENEWED_AFTER:
            self._renewal(service)
        return made.body

    def _good(self, service: ServiceParts) -> _Made | None:
        made = self._made
        if made is None or made.seen != _state(service) or _age(service, made) > OLDEST:
            return None
        return made

    def _renewal(self, service: ServiceParts) -> asyncio.Task[_Made]:
        """Return what makes a new status; all who wait share it."""
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(asyncio.to_thread(self._make, service), name="make the status")
            self._making.add_done_callback(_told)
        return self._making

    def _make(self, service: ServiceParts) -> _Made:
        seen, now = _state(service), service.clock()
        body = scheduler_status(service).model_dump_json().encode()
        made = self._made = _Made(now, seen, body)
        return made


def _age(service: ServiceParts, made: _Made) -> timedelta:
    return abs(service.clock() - made.at)  # a clock that was set back makes nothing younger


def _state(service: ServiceParts) -> tuple[int, bool]:
    return service.ledger.changes, is_alive()


def _told(renewal: asyncio.Task[_Made]) -> None:
    """Take note of a failure that nobody may wait for: whoever asks once the status is too old meets it."""
    if not renewal.cancelled():
        renewal.exception()
