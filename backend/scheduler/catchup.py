"""Catch-up of slots without a run: at the start and every minute, from the ledger, not from APScheduler.

The newest such slot is run. Older ones get a `missed` row with the reason: a collection looks back by itself,
so that one run collects what several would have. Slots from before the schedule was first used or last
changed, and slots during a pause, are not caught up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from backend.core.errors import JobBusyError, StoreUnavailableError
from backend.scheduler.config import ISSUING, JobId
from backend.scheduler.runner import Runner

log = structlog.get_logger()

INTERVAL_SECONDS = 60.0

STALLED_AFTER_SECONDS = 900.0
"""Time without a finished round after which the loop counts as dead.

A round waits for the store, at most a minute per query, and for a free thread.
"""

TICK_ALLOWANCE = timedelta(seconds=30)
"""How long the schedule itself has to start a slot before the catch-up does."""


class CatchUp:
    """The loop that catches up. `once()` is one round for one job."""

    def __init__(
        self,
        runner: Runner,
        *,
        interval: float = INTERVAL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runner = runner
        self.interval = interval
        self._monotonic = monotonic
        self._last_round = monotonic()

    def is_stalled(self) -> bool:
        """Return True if the last round ended so long ago that the loop must be blocked."""
        return self._monotonic() - self._last_round > max(STALLED_AFTER_SECONDS, 3 * self.interval)

    async def forever(self) -> None:
        """Check every job at once and then every `interval` seconds, until cancelled."""
        while True:
            await self.look()
            self._last_round = self._monotonic()
            await asyncio.sleep(self.interval)

    async def look(self) -> None:
        """Do one round for every job. A job that has to wait is noted, and is no error."""
        for job in self.runner.jobs:
            try:
                await self.once(job)
                self.runner.blocked.pop(job, None)
            except JobBusyError as busy:
                self.runner.blocked.pop(job, None)
                log.debug("catch-up has to wait", job=job, reason=str(busy))
            except StoreUnavailableError as error:
                self.runner.note_blocked(job, None, error)

    async def once(self, job: JobId) -> int | None:
        """Start the run that is due for a job, if any, and record the missed ones; return its id.

        Raises JobBusyError while a run of the job is under way, StoreUnavailableError without the store.
        """
        slot, missed = await asyncio.to_thread(self._due, job, self.runner.clock())
        if missed:
            reason = "no process ran it in time; a later run covers its period"
            await asyncio.to_thread(self.runner.ledger.note_missed, job, missed, reason)
        if slot is None:
            return None
        started = await self.runner.start(job, "catch_up", slot)
        return None if started is None else started[0]

    def _due(self, job: JobId, now: datetime) -> tuple[datetime | None, list[datetime]]:
        """Return the slot to run now, and the older slots that will not run."""
        config, ledger = self.runner.config, self.runner.ledger
        window = timedelta(hours=config.catchup_window_hours)
        since = ledger.note_schedule(job, config.crontab(job), now)
        pauses = ledger.pauses(job, now - window)
        if any(pause.end is None for pause in pauses):
            return None, []
        ledger.reap(job, now)
        if not ledger.runs(job=job, limit=1):
            if job == ISSUING:
                return None, []  # nothing is learned yet: the next decision comes in time
            return config.latest_slot(job, now), []  # the first start with an empty store
        done, again = ledger.open_slots(job, now - window, now)
        expected = config.slots(job, max(since, now - window), now - TICK_ALLOWANCE)
        without_run = {
            slot
            for slot in expected
            if slot not in done
            and not any(pause.start <= slot and (pause.end is None or slot <= pause.end) for pause in pauses)
        }
        newest = max(without_run | again | done, default=None)
        slot = newest if newest not in done else max(again, default=None)
        return slot, sorted(without_run - {slot})
