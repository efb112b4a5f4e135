"""Collect the days of a demo: the ordinary runner with a clock that steps from slot to slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.core.clock import utc_now
from backend.demo.process import Upstreams
from backend.scheduler.config import ALL_JOBS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner, heed_stop
from backend.storage.run_records import JobRun

AFTER_THE_SLOT = timedelta(seconds=5)
"""Delay from a slot to the start of its run, as in the real service."""


@dataclass
class SteppedClock:
    """The system's clock, or the moment it was set to."""

    moment: datetime | None = None

    def __call__(self) -> datetime:
        """Return the time of the demo, aware and in UTC."""
        return self.moment or utc_now()


def slots(
    config: SchedulerConfig, start: datetime, end: datetime, jobs: Sequence[JobId] = ALL_JOBS
) -> list[tuple[datetime, JobId]]:
    """Return every slot of `jobs` after `start` and up to `end`, ordered by time."""
    return sorted((slot, job) for job in jobs for slot in config.slots(job, start, end))


async def collect_days(
    runner: Runner,
    upstreams: Upstreams,
    clock: SteppedClock,
    start: datetime,
    end: datetime,
    on_slot: Callable[[datetime, JobRun | None], None],
) -> None:
    """Run every slot after `start` and up to `end` that has no run yet, oldest first.

    Slots of an earlier demo on the same store are skipped, so that an interrupted demo resumes. Afterwards
    both clocks, of the service and of the upstreams, follow the system's again.
    """
    for job in ALL_JOBS:
        runner.ledger.note_schedule(job, runner.config.crontab(job), start)
    try:
        for slot, job in slots(runner.config, start, end):
            clock.moment = slot + AFTER_THE_SLOT
            await upstreams.set_clock(clock.moment)
            on_slot(slot, await runner.run(job, "schedule", slot))
            heed_stop()
    finally:
        clock.moment = None
        await upstreams.set_clock(None)
