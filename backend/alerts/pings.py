"""Pings of a job's runs in the form of Healthchecks, so that a dead service is noticed from outside.

`URL/start` when a run starts, `URL` when it succeeded, `URL/fail` when it failed, each with the same `rid`.
(https://healthchecks.io/docs/http_api/ and https://healthchecks.io/docs/measuring_script_run_time/)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx2
import stamina
import structlog

from backend.core.masking import mask_of
from backend.scheduler.config import JobId
from backend.storage.ledger import QUEUE_OWNER
from backend.storage.run_records import JobRun

log = structlog.get_logger()

TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3
CLOSING_SECONDS = 10.0
"""How long the end of the process waits for the last ping."""

_MOST_WAITING = 50
_FAILED = frozenset({"failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class _Ping:
    job: JobId
    ending: str
    rid: UUID
    body: str


class Pinger:
    """Sends the pings of this process in their order, beside its work. A failed ping is a line in the log."""

    def __init__(self, urls: Mapping[JobId, str]) -> None:
        self._urls = dict(urls)
        self._mask = mask_of(urls.values())
        self._started: set[int] = set()
        self._waiting: asyncio.Queue[_Ping] = asyncio.Queue(_MOST_WAITING)
        self._sender: asyncio.Task[None] | None = None

    def started(self, job: JobId, run_id: int) -> None:
        """Queue the ping for the start of a run. Call it in the event loop."""
        if job in self._urls:
            self._started.add(run_id)
            self._add(_Ping(job, "/start", self._rid(job, run_id), ""))

    def ended(self, run: JobRun) -> None:
        """Queue the ping for the end of a run whose start had one. Call it in the event loop.

        The start of a slot that workers do was in another process.
        """
        of_workers = run.owner == QUEUE_OWNER and run.slot is not None
        for job in self._urls:
            if job == run.job and (of_workers or run.id in self._started):
                self._started.discard(run.id)
                rid = self._rid(job, run.id)
                sources = [f"{part.source}: {part.status} {part.reason}".rstrip() for part in run.sources]
                body = "\n".join([f"run {run.id}: {run.status}", *sources, *([run.note] if run.note else [])])
                self._add(_Ping(job, "/fail" if run.status in _FAILED else "", rid, body[:10_000]))

    async def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Wait up to `seconds` for pings that are not sent yet, and send no more."""
        if self._sender is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._waiting.join()
        except TimeoutError:
            log.warning("pings not sent: the process ends", number=self._waiting.qsize() + 1)
        self._sender.cancel()
        await asyncio.wait([self._sender])

    def _rid(self, job: JobId, run_id: int) -> UUID:
        """Return the same id in every process."""
        return uuid5(NAMESPACE_URL, f"{self._urls[job]}#{run_id}")

    def _add(self, ping: _Ping) -> None:
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name="pings")
        try:
            self._waiting.put_nowait(ping)
        except asyncio.QueueFull:
            log.warning("ping left out: too many wait", job=ping.job)

    async def _send_all(self) -> None:
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                ping = await self._waiting.get()
                try:
                    await self._send(client, ping)
                finally:
                    self._waiting.task_done()

    async def _send(self, client: httpx2.AsyncClient, ping: _Ping) -> None:
        url = httpx2.URL(self._urls[ping.job])
        url = url.copy_with(path=url.path.rstrip("/") + ping.ending).copy_merge_params({"rid": str(ping.rid)})
        try:
            async for attempt in stamina.retry_context(
                on=httpx2.HTTPError, attempts=ATTEMPTS, wait_initial=0.5, wait_max=5.0
            ):
                with attempt:
                    response = await client.post(url, content=ping.body.encode())
                    response.raise_for_status()
        except httpx2.HTTPError as error:
            reason = self._mask(str(error)) or type(error).__name__
            log.warning("ping not delivered", job=ping.job, kind=ping.ending or "success", reason=reason)
