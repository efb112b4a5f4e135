"""The roles of a process, METEO_SCORE_ROLE: all, or a part of a service of several processes."""

from __future__ import annotations

import asyncio

import structlog

from backend.scheduler.dispatch import QueueOfTasks
from backend.scheduler.keeper import Keeper
from backend.scheduler.runner import Runner
from backend.scheduler.scheduler import start_scheduler, stop_scheduler
from backend.storage.queue import require_queue
from backend.storage.run_tasks import RunTasks

log = structlog.get_logger()


def share_work(runner: Runner) -> Keeper:
    """Let workers do the runs that this runner claims, and return the keeper of their queue.

    Raises ConfigError.
    """
    require_queue(runner.ledger.database, runner.config.meteo_score_role)
    tasks = RunTasks(runner.ledger.database, lease=runner.ledger.lease)
    runner.dispatcher = QueueOfTasks(
        runner.ledger,
        tasks,
        sources=lambda order: runner.selected(order.job, order.selection),
        sites=runner.sites,
        on_start=runner.announce,
    )
    return Keeper(runner, tasks)


async def tick(runner: Runner, keeper: Keeper, stop: asyncio.Event) -> None:
    """Run the schedule, whose runs workers do, until `stop` is set."""
    watch = asyncio.create_task(keeper.forever(), name="keeper of the queue")
    try:
        await keeper.looked.wait()  # the leases are renewed before the catch-up could take runs over
        if runner.config.scheduler_enabled:
            await start_scheduler(runner)
        else:
            log.info("scheduler off: SCHEDULER_ENABLED is false")
        await stop.wait()
        await stop_scheduler()
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def work(runner: Runner, keeper: Keeper, stop: asyncio.Event) -> None:
    """Do tasks of the queue until `stop` is set."""
    # Imported here: only a worker needs the extra `scale` at its start.
    from backend.scheduler.worker import TaskWorker

    log.info("worker started")
    watch = asyncio.create_task(keeper.forever(), name="keeper of the queue")
    try:
        await TaskWorker(runner, keeper, runner.ledger.database.connect_arguments()).until(stop)
    finally:
        watch.cancel()
        await asyncio.wait([watch])
    log.info("worker stopped")
