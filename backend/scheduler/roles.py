"""The roles of a process, METEO_SCORE_ROLE: all, or a part of a service of several processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager, suppress

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
    runner.ledger.reaps_queue = False
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
    async with _kept(keeper, stop):
        # First the leases are renewed: the catch-up could otherwise take runs over from the queue.
        events = [asyncio.create_task(event.wait()) for event in (keeper.looked, stop)]
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        if not runner.config.scheduler_enabled:
            log.info("scheduler off: SCHEDULER_ENABLED is false")
        elif not stop.is_set():
            await start_scheduler(runner)
        await stop.wait()
        events[0].cancel()
        await stop_scheduler()


async def work(
    runner: Runner, keeper: Keeper, stop: asyncio.Event, make_scores: Callable[[Container[int]], None]
) -> None:
    """Do tasks of the queue until `stop` is set; `make_scores` is for those of score days."""
    # Imported here: only a worker needs the extra `scale` at its start.
    from backend.scheduler.worker import TaskWorker

    log.info("worker started")
    async with _kept(keeper, stop):
        connection = runner.ledger.database.connect_arguments()
        await TaskWorker(runner, keeper, connection, make_scores).until(stop)
    log.info("worker stopped")


@asynccontextmanager
async def _kept(keeper: Keeper, stop: asyncio.Event) -> AsyncIterator[None]:
    """Let the keeper watch for as long as the context lasts. A bug that ends it ends the process too."""
    watch = asyncio.create_task(keeper.forever(), name="keeper of the queue")
    watch.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
