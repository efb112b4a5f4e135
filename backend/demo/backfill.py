"""Living through the demo's days: the same runner as ever, with a clock stepped from slot to slot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.core.clock import utc_now
from backend.demo.process import Upstreams
from backend.scheduler.config import JOBS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner, heed_stop
from backend.storage.run_records import JobRun

AFTER_THE_SLOT = timedelta(seconds=5)
"""How late after its slot a run begins, as a real one does."""


@dataclass
class SteppedClock:
    """The system's clock, or the moment it was set to."""

    moment: datetime | None = None

    def __call__(self) -> datetime:
        """Return the time it is for the demo, aware and in UTC."""
        return self.moment or utc_now()


def slots(config: SchedulerConfig, start: datetime, end: datetime) -> list[tuple[datetime, JobId]]:
    """Return every slot of both jobs after `start` and up to `end`, in the order of time."""
    return sorted((slot, job) for job in JOBS for slot in config.slots(job, start, end))


async def collect_days(
    runner: Runner,
    upstreams: Upstreams,
    clock: SteppedClock,
    start: datetime,
    end: datetime,
    on_slot: Callable[[datetime, JobRun | None], None],
) -> None:
    """Run every slot after `start` and up to `end` that has not been dealt with, oldest first.

    Slots done by an earlier demo on the same store are passed over, so that it resumes where it stopped.
    Afterwards both clocks, ours and the upstreams', go with the system's again.
    """
    for job in JOBS:
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
