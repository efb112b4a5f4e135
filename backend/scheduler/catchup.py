"""Making up for slots that nobody ran: at start and every minute, by the ledger and not by APScheduler.

The newest such slot is run; older ones get a `missed` row with the reason, because a collection looks
back by itself and one run brings what several would have. Nothing is made up for from before the
schedule was first seen or last changed, nor from a pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from backend.core.errors import StoreUnavailableError
from backend.scheduler.config import JOBS, JobId
from backend.scheduler.runner import Runner
from backend.storage.ledger import JobBusyError
from backend.storage.run_records import Pause

log = structlog.get_logger()

INTERVAL_SECONDS = 60.0

STALLED_AFTER_SECONDS = 900.0
"""After how long without a finished round the loop counts as dead.

A round waits for the store, a minute at most for each question, and for a free thread.
"""

TICK_ALLOWANCE = timedelta(seconds=30)
"""How long a slot is left to the schedule itself before it counts as one that nobody ran."""


class CatchUp:
    """The loop beside the schedule. `once()` is one look at one job."""

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
        """Say whether no round has ended for so long that something holds the loop up for good."""
        return self._monotonic() - self._last_round > max(STALLED_AFTER_SECONDS, 3 * self.interval)

    async def forever(self) -> None:
        """Look after every job, now and then every `interval` seconds, until cancelled."""
        while True:
            for job in JOBS:
                try:
                    await self.once(job)
                    self.runner.blocked.pop(job, None)
                except JobBusyError as busy:
                    self.runner.blocked.pop(job, None)
                    log.debug("catch-up has to wait", job=job, reason=str(busy))
                except StoreUnavailableError as error:
                    self.runner.note_blocked(job, None, error)
                    log.warning("catch-up has to wait", job=job, reason=str(error))
            self._last_round = self._monotonic()
            await asyncio.sleep(self.interval)

    async def once(self, job: JobId) -> int | None:
        """Begin the run that one job lacks, if any, and note the missed ones; return its id.

        Raises JobBusyError while a run of the job is under way, StoreUnavailableError without the store.
        """
        slot, missed = await asyncio.to_thread(self._due, job, self.runner.clock())
        if missed:
            reason = "nobody ran it in time; a later run looks back in its place"
            await asyncio.to_thread(self.runner.ledger.note_missed, job, missed, reason)
        if slot is None:
            return None
        started = await self.runner.start(job, "catch_up", slot)
        return None if started is None else started[0]

    def _due(self, job: JobId, now: datetime) -> tuple[datetime | None, list[datetime]]:
        """Return the slot to run now, and the older ones that will never be."""
        config, ledger = self.runner.config, self.runner.ledger
        window = timedelta(hours=config.catchup_window_hours)
        since = ledger.note_schedule(job, config.crontab(job), now)
        pauses = ledger.pauses(job, now - window)
        if any(pause.end is None for pause in pauses):
            return None, []
        ledger.reap(job, now)
        if not ledger.runs(job=job, limit=1):
            return config.latest_slot(job, now), []  # a first start on an empty store
        done, again = ledger.open_slots(job, now - window, now)
        expected = config.slots(job, max(since, now - window), now - TICK_ALLOWANCE)
        lacking = {slot for slot in expected if slot not in done and not _paused(slot, pauses)}
        newest = max(lacking | again | done, default=None)
        slot = newest if newest not in done else max(again, default=None)
        return slot, sorted(lacking - {slot})


def _paused(slot: datetime, pauses: tuple[Pause, ...]) -> bool:
    return any(pause.start <= slot and (pause.end is None or slot <= pause.end) for pause in pauses)
