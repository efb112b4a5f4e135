"""A worker: it takes tasks from the queue, collects, stores, and records how each task ended.

Procrastinate fetches the tasks and counts the heartbeats. What a task is and how it ended is in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Any

import structlog
from procrastinate import App, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException
from psycopg import OperationalError

from backend.scheduler.config import ALL_JOBS
from backend.scheduler.keeper import Keeper
from backend.scheduler.orders import Order, Selection
from backend.scheduler.run_progress import RunProgress, until_the_store_answers
from backend.scheduler.runner import Runner
from backend.storage.ledger import LeaseLostError
from backend.storage.queue import QUEUE, SCORES, TASK
from backend.storage.run_records import SourceRun
from backend.storage.score_jobs import sites_of_group

log = structlog.get_logger()

TASKS_AT_ONCE = 4
"""How many tasks a worker does side by side: they wait for publishers most of the time."""

AGAIN_SECONDS = 5
"""Pause before another attempt, after a stop or an error that is not the task's."""

SCORES_AGAIN_SECONDS = 60
"""Pause before another attempt at score days after an error; it becomes longer by this with each attempt."""


class TaskWorker:
    """Does tasks until it is stopped."""

    def __init__(
        self,
        runner: Runner,
        keeper: Keeper,
        connection: dict[str, Any],
        make_scores: Callable[[Container[int]], None],
        *,
        patience: float = 5.0,
    ) -> None:
        """`connection` has the arguments of psycopg for a connection to the store.

        `make_scores` makes the score days that are due at sites (their ids); it is called in a thread.
        `patience` is in seconds: how long it waits for a connection, and how often it looks into the queue
        without being notified.
        """
        self._runner = runner
        self._tasks = keeper.tasks
        self._keeper = keeper
        self._connection = connection
        self._make_scores = make_scores
        self._patience = patience

    async def do(self, number: int) -> None:
        """Do a task of the ledger, unless it is done or gone.

        Raises StoreUnavailableError if it could not begin, CancelledError if it was stopped.
        """
        started = await asyncio.to_thread(self._tasks.begin, number)
        if started is None:
            await self._keeper.look()  # it may have been the last one of its run, given up just now
            return
        claim, order, runner = started.claim, started.order, self._runner
        structlog.contextvars.bind_contextvars(run=claim.run_id, job=claim.job)  # this task's own
        log.debug("task started", source=order.source, part=order.part, turn=claim.turn)
        left = runner.config.run_deadline_seconds - (runner.clock() - started.run_start).total_seconds()
        try:
            ended = await runner.attempt(
                claim,
                Order(
                    job=next(job for job in ALL_JOBS if job == claim.job),
                    trigger=started.trigger,
                    slot=started.slot,
                    selection=Selection(
                        sources=(order.source,), sites=order.sites, since=order.since, until=order.until
                    ),
                    seconds=max(left, 1.0),
                    began=started.run_start,
                ),
            )
            if ended.status in {"cancelled", "interrupted"}:
                raise asyncio.CancelledError
            outcome = next(iter(ended.sources), None)
            if outcome is None:
                reason = ended.note if ended.status == "failed" else _UNKNOWN_HERE
                outcome = SourceRun(source=order.source, status="failed", reason=reason)
            async for attempt in until_the_store_answers(RunProgress()):
                with attempt:
                    await asyncio.to_thread(self._tasks.end, claim, outcome)
        except LeaseLostError as lost:
            log.warning("task lost", source=order.source, reason=str(lost))
            return
        await self._keeper.end_if_done(claim.run_id)

    async def make_scores(self, number: int) -> None:
        """Make the score days that are due at the sites of a group. If that fails, they stay due."""
        await asyncio.to_thread(self._make_scores, sites_of_group(number))

    async def until(self, stop: asyncio.Event) -> None:
        """Take tasks until `stop` is set; then end the current ones within the grace, or return them.

        A database that does not answer is waited for.
        """
        grace = self._runner.config.shutdown_grace_seconds
        write = log.warning
        while not stop.is_set():
            try:
                async with self._app().open_async() as app:
                    working = asyncio.create_task(
                        app.run_worker_async(
                            queues=[QUEUE],
                            concurrency=TASKS_AT_ONCE,
                            fetch_job_polling_interval=self._patience,
                            shutdown_graceful_timeout=grace,
                            delete_jobs="always",
                            install_signal_handlers=False,
                            update_heartbeat_interval=self._keeper.heartbeat_seconds,
                            stalled_worker_timeout=self._keeper.silent_seconds,
                        )
                    )
                    stopped = asyncio.create_task(stop.wait())
                    await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
                    stopped.cancel()
                    if stop.is_set():
                        working.cancel()  # which Procrastinate answers with a graceful stop
                    with suppress(asyncio.CancelledError):
                        await working
                write = log.warning
            except (ConnectorException, OperationalError) as error:  # the latter from its pool
                write("queue does not answer", reason=str(error.__cause__ or error))
                write = log.debug  # an outage is one line of the log
                await _pause(stop, self._patience)

    def _app(self) -> App:
        app = App(
            connector=PsycopgConnector(
                kwargs=self._connection, min_size=1, max_size=4, timeout=self._patience
            )
        )
        # What goes wrong in a task is in its outcome: here it was stopped, or the store did not answer.
        app.task(name=TASK, retry=RetryStrategy(wait=AGAIN_SECONDS))(self.do)
        # A keeper queues days that are due, three times a lease: not while their job waits here after a bug.
        pause = RetryStrategy(wait=SCORES_AGAIN_SECONDS, linear_wait=SCORES_AGAIN_SECONDS)
        app.task(name=SCORES, retry=pause)(self.make_scores)
        return app


_UNKNOWN_HERE = "the worker does not know this source: all processes need the same settings"


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
