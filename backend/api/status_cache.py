"""Cache of the status: computed about once a second, and answered at once while the service is busy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.answers.service import ServiceParts
from backend.api.status import scheduler_status
from backend.scheduler.scheduler import is_alive

RENEWED_AFTER = timedelta(seconds=1)
"""From this age on, a request gets the cached status and starts a refresh in the background."""

OLDEST = timedelta(seconds=2)
"""Maximum age of a status in an answer, and so the maximum delay of changes by other processes."""


@dataclass(frozen=True)
class _Status:
    at: datetime
    seen: tuple[int, bool]
    body: bytes


class StatusCache:
    """The last status of one service, as JSON. For one event loop at a time.

    Changes of the ledger by this process appear at once, those by other processes within OLDEST.
    """

    def __init__(self) -> None:
        self._cached: _Status | None = None
        self._refresh: asyncio.Task[_Status] | None = None

    async def body(self, service: ServiceParts) -> bytes:
        """Return the status as JSON. Raises StoreUnavailableError if it cannot be computed."""
        status = self._fresh(service)
        if status is None and self._refresh is not None and not self._refresh.done():
            await asyncio.shield(self._refresh)  # it started before this request, so it can be too old
            status = self._fresh(service)
        if status is None:
            return (await asyncio.shield(self._start_refresh(service))).body
        if _age(service, status) > RENEWED_AFTER:
            self._start_refresh(service)
        return status.body

    def _fresh(self, service: ServiceParts) -> _Status | None:
        status = self._cached
        if status is None or status.seen != _state(service) or _age(service, status) > OLDEST:
            return None
        return status

    def _start_refresh(self, service: ServiceParts) -> asyncio.Task[_Status]:
        """Return the task that computes a new status; all waiting requests share it."""
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(
                asyncio.to_thread(self._compute, service), name="compute the status"
            )
            self._refresh.add_done_callback(_retrieve_exception)
        return self._refresh

    def _compute(self, service: ServiceParts) -> _Status:
        seen, now = _state(service), service.clock()
        body = scheduler_status(service).model_dump_json().encode()
        status = self._cached = _Status(now, seen, body)
        return status


def _age(service: ServiceParts, status: _Status) -> timedelta:
    return abs(service.clock() - status.at)  # a clock that was set back must not make the status younger


def _state(service: ServiceParts) -> tuple[int, bool]:
    return service.ledger.changes, is_alive()


def _retrieve_exception(refresh: asyncio.Task[_Status]) -> None:
    """Retrieve an exception that no request waits for: asyncio would log it. The next refresh raises it."""
    if not refresh.cancelled():
        refresh.exception()
