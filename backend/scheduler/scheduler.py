"""The schedule: an AsyncIOScheduler that fires the jobs, and the catch-up loop beside it.

APScheduler calls the runner's `tick`, which claims a run and returns. It never owns the work itself: its
`shutdown(wait=True)` cannot await a coroutine and would cancel it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from backend.core.errors import MeteoScoreError
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import JOB_NAMES, MISFIRE_GRACE_SECONDS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner

log = structlog.get_logger()


@dataclass(frozen=True)
class _Running:
    runner: Runner
    scheduler: AsyncIOScheduler
    catch_up: asyncio.Task[None]
    catch_up_loop: CatchUp


# The only module-level state of the project, for the accessor that the specification requires.
_running: _Running | None = None


def register_jobs(scheduler: AsyncIOScheduler, runner: Runner, config: SchedulerConfig) -> None:
    """Add the jobs to a scheduler; each calls the runner's `tick`."""
    for job in runner.jobs:
        # One tick is enough after the process was suspended: the catch-up finds the other slots.
        scheduler.add_job(
            runner.tick,
            config.trigger(job),
            args=[job],
            id=job,
            name=JOB_NAMES[job],
            coalesce=True,
            max_instances=1,
            misfire_grace_time=MISFIRE_GRACE_SECONDS,
            replace_existing=True,
        )


async def start_scheduler(runner: Runner, *, catch_up: CatchUp | None = None) -> AsyncIOScheduler:
    """Start schedule and catch-up; raise MeteoScoreError if they run already."""
    global _running
    if _running is not None:
        raise MeteoScoreError("the scheduler is already running in this process")
    scheduler = AsyncIOScheduler(timezone=UTC)
    register_jobs(scheduler, runner, runner.config)
    scheduler.start()
    catch_up_loop = catch_up or CatchUp(runner)
    loop = asyncio.create_task(catch_up_loop.forever(), name="catch-up")
    _running = _Running(runner, scheduler, loop, catch_up_loop)
    log.info("scheduler started", jobs={job: runner.config.crontab(job) for job in runner.jobs})
    return scheduler


async def stop_scheduler() -> None:
    """Stop the schedule, wait for current runs up to the grace time, cancel the rest and record their end."""
    global _running
    if _running is None:
        return
    running, _running = _running, None
    # First no more runs can start, then the current ones end.
    running.scheduler.pause()
    running.catch_up.cancel()
    await asyncio.wait([running.catch_up])
    await running.runner.drain(running.runner.config.shutdown_grace_seconds)
    running.scheduler.shutdown(wait=False)
    await asyncio.sleep(0)  # APScheduler needs one more iteration of the event loop to end
    log.info("scheduler stopped")


def get_scheduler() -> AsyncIOScheduler | None:
    """Return the scheduler of start_scheduler(); None while there is none."""
    return None if _running is None else _running.scheduler


def is_alive() -> bool:
    """Return True if the schedule runs and the catch-up loop is not stalled."""
    if _running is None or not _running.scheduler.running or _running.catch_up.done():
        return False
    return not _running.catch_up_loop.is_stalled()


def next_run_times(config: SchedulerConfig, job: JobId, now: datetime, count: int = 5) -> list[datetime]:
    """Return the next scheduled times of a job after `now`, in UTC."""
    trigger = config.trigger(job)
    times: list[datetime] = []
    moment = trigger.get_next_fire_time(None, now)
    while moment is not None and len(times) < count:
        times.append(moment.astimezone(UTC))
        moment = trigger.get_next_fire_time(moment, moment)
    return times
