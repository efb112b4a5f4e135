"""The clock: an AsyncIOScheduler that ticks two jobs, and the catch-up loop beside it.

What APScheduler fires is the runner's `tick`, which claims and lets go; the work itself is never
APScheduler's, whose `shutdown(wait=True)` would cancel it (it cannot await a coroutine).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from backend.core.errors import MeteoScoreError
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import JOB_NAMES, JOBS, MISFIRE_GRACE_SECONDS, JobId, SchedulerConfig
from backend.scheduler.runner import Runner

log = structlog.get_logger()


@dataclass(frozen=True)
class _Running:
    runner: Runner
    scheduler: AsyncIOScheduler
    catch_up: asyncio.Task[None]
    look_out: CatchUp


# The only module-level reference of the project, for the accessor that the specification asks for.
_running: _Running | None = None


def register_jobs(scheduler: AsyncIOScheduler, runner: Runner, config: SchedulerConfig) -> None:
    """Add the two jobs to a scheduler; what fires under their ids is the runner."""
    for job in JOBS:
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
    """Start ticking, and making up for what was missed; raise MeteoScoreError if it runs already."""
    global _running
    if _running is not None:
        raise MeteoScoreError("the scheduler is already running in this process")
    scheduler = AsyncIOScheduler(timezone=UTC)
    register_jobs(scheduler, runner, runner.config)
    scheduler.start()
    look_out = catch_up or CatchUp(runner)
    loop = asyncio.create_task(look_out.forever(), name="catch-up")
    _running = _Running(runner, scheduler, loop, look_out)
    log.info("scheduler started", jobs={job: runner.config.crontab(job) for job in JOBS})
    return scheduler


async def stop_scheduler() -> None:
    """Stop ticking, wait for what runs up to the grace, cancel the rest and see it recorded."""
    global _running
    if _running is None:
        return
    running, _running = _running, None
    running.scheduler.pause()
    running.catch_up.cancel()
    await asyncio.wait([running.catch_up])
    await running.runner.drain(running.runner.config.shutdown_grace_seconds)
    running.scheduler.shutdown(wait=False)
    await asyncio.sleep(0)  # APScheduler ends one turn of the loop later
    log.info("scheduler stopped")


def get_scheduler() -> AsyncIOScheduler | None:
    """Return the scheduler that start_scheduler() made; None while there is none."""
    return None if _running is None else _running.scheduler


def is_alive() -> bool:
    """Say whether the schedule ticks and the loop beside it still goes round."""
    if _running is None or not _running.scheduler.running or _running.catch_up.done():
        return False
    return not _running.look_out.is_stalled()


def next_run_times(config: SchedulerConfig, job: JobId, now: datetime, count: int = 5) -> list[datetime]:
    """Return the next scheduled times of a job after `now`, in UTC."""
    trigger = config.trigger(job)
    times: list[datetime] = []
    moment = trigger.get_next_fire_time(None, now)
    while moment is not None and len(times) < count:
        times.append(moment.astimezone(UTC))
        moment = trigger.get_next_fire_time(moment, moment)
    return times
