"""The real application on a clock that a test sets.

    uvicorn --factory backend.tests.support.clocked:create_app

A test may not turn the system's clock back, so this service reads the time from the file CLOCK_FILE. Ledger,
runner, catch-up, store and API are the real ones. APScheduler, though, knows the system's clock only: what it
fires is fired here instead, in every process whenever its clock enters another slot. The catch-up looks every
fifth of a second and not every minute. Ticks and looks are logged, so that a test knows when they are over.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from fastapi import FastAPI

from backend import main
from backend.core.logs import configure_logging
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import JOBS, JobId

VARIABLE = "CLOCK_FILE"

log = structlog.get_logger()


@dataclass(frozen=True)
class FileClock:
    """A clock that reads the time from a file."""

    path: Path

    def __call__(self) -> datetime:
        return datetime.fromisoformat(self.path.read_text())

    def set(self, now: datetime) -> None:
        """Set the clock of every process that reads this file, at once."""
        part = self.path.with_suffix(".part")
        part.write_text(now.isoformat())
        part.replace(self.path)


class LookingOut(CatchUp):
    """A catch-up that logs each look."""

    async def once(self, job: JobId) -> int | None:
        now = self.runner.clock()
        found = await super().once(job)
        log.info("looked", looked_for=job, at=now)
        return found


def create_app() -> FastAPI:
    """Return the application as `backend.main` makes it, on the clock of the file."""
    service = main.Service.make(clock=FileClock(Path(os.environ[VARIABLE])))
    configure_logging(service.settings)
    app = main.create_app(service, catch_up=LookingOut(service.runner, interval=0.2))
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def ticking(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            ticks = asyncio.create_task(_tick(service))
            yield
            ticks.cancel()

    app.router.lifespan_context = ticking
    return app


async def _tick(service: main.Service) -> None:
    """Fire ticks as APScheduler does: one tick of a job at each of its slots."""
    slots = {job: service.config.latest_slot(job, service.clock()) for job in JOBS}
    while True:
        for job in JOBS:
            slot = service.config.latest_slot(job, service.clock())
            if slot != slots[job]:
                slots[job] = slot
                await service.runner.tick(job)
                log.info("ticked", ticked_for=job, slot=slot, process=os.getpid())
        await asyncio.sleep(0.02)
