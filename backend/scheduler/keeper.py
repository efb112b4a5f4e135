"""The watch over the queue: it finds lost tasks again, and ends runs whose tasks are done.

It runs beside the schedule and beside each worker, and is no task itself, so that it cannot be stuck in the
queue that it looks after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import structlog

from backend.core.errors import StoreUnavailableError
from backend.core.records import SourceStatus
from backend.scheduler.jobs import run_status, why_no_source
from backend.scheduler.runner import Ended, Runner
from backend.storage.ledger import LeaseLostError
from backend.storage.run_records import SourceRun
from backend.storage.run_tasks import HandedOver, RunTasks
from backend.storage.score_jobs import queue_due_days

log = structlog.get_logger()

ENDING = timedelta(seconds=60)
"""How long after the deadline of a run its tasks may still record their end."""


class Keeper:
    """Looks after the queue from one process."""

    def __init__(self, runner: Runner, tasks: RunTasks) -> None:
        self._runner = runner
        self.tasks = tasks
        self.looked = asyncio.Event()
        """Set after the first look."""

    @property
    def heartbeat_seconds(self) -> float:
        """Return how often a worker shows that it lives."""
        return self._runner.ledger.lease / 6

    @property
    def silent_seconds(self) -> float:
        """Return how long a worker without a sign of life keeps its tasks."""
        return self._runner.ledger.lease / 2

    async def forever(self) -> None:
        """Look at once and then three times a lease, until cancelled."""
        while True:
            try:
                await self.look()
                self.looked.set()
            except StoreUnavailableError as error:
                log.debug("queue not looked after", reason=str(error))
            await asyncio.sleep(self._runner.ledger.lease / 3)

    async def look(self) -> None:
        """Queue lost tasks again, and end the runs that are done or past their deadline.

        Raises StoreUnavailableError.
        """
        queued = await asyncio.to_thread(self.tasks.look_after, self.silent_seconds)
        if queued:
            log.warning("tasks queued again: they were lost, or their worker died", tasks=queued)
        deadline = timedelta(seconds=self._runner.config.run_deadline_seconds)
        runs = await asyncio.to_thread(self.tasks.handed_over)
        if not runs:  # the end of a run queues its days: these are of one whose process died just then
            await asyncio.to_thread(queue_due_days, self._runner.ledger.database, self._runner.clock())
        for run in runs:
            if run.is_done:
                await self.end(run)
            elif self._runner.clock() - run.start > deadline + ENDING:
                await self.end(run, f"stopped at its deadline of {deadline.total_seconds():g} s")

    async def end_if_done(self, run_id: int) -> None:
        """End a run if its last task is done. Raises StoreUnavailableError."""
        for run in await asyncio.to_thread(self.tasks.handed_over, run_id):
            if run.is_done:
                await self.end(run)

    async def end(self, run: HandedOver, cut_short: str = "") -> None:
        """Record the end of a run from the outcomes of its tasks; `cut_short` is the reason of open ones."""
        by_source = groupby(sorted(run.tasks, key=lambda task: task[0].source), lambda task: task[0].source)
        sources = tuple(
            sum_of(
                source,
                [
                    outcome or SourceRun(source=source, status="failed", reason=cut_short)
                    for _, outcome in parts
                ],
            )
            for source, parts in by_source
        )
        ended = Ended(
            status=run_status(sources),
            note=cut_short or why_no_source(sources),
            sources=sources,
            seconds=(self._runner.clock() - run.start).total_seconds(),
        )
        try:
            await self._runner.record(run.claim, ended)
        except LeaseLostError as lost:
            log.debug("the end of the run is recorded by another process", reason=str(lost))


def sum_of(source: str, parts: Sequence[SourceRun]) -> SourceRun:
    """Return the outcome of a source from the outcomes of its parts."""
    if len(parts) == 1:
        return parts[0]
    statuses = {part.status for part in parts}
    collected = sum(part.collected for part in parts)
    bad = statuses & {"failed", "partial"}
    status: SourceStatus
    if bad:
        status = "partial" if "partial" in bad or collected else "failed"
    elif "success" in statuses:
        status = "success"
    else:
        # A source is stale when its newest data are old: one current part is enough.
        status = "nothing_new" if "nothing_new" in statuses else parts[0].status
    stated = [part.reason for part in parts if part.reason and (not bad or part.status in bad)]
    reasons: dict[str, int] = {}
    for part in parts:
        for code, count in part.rejected_reasons.items():
            reasons[code] = reasons.get(code, 0) + count
    return SourceRun(
        source=source,
        status=status,
        reason="; ".join(dict.fromkeys(stated)),
        collected=collected,
        stored=sum(part.stored for part in parts),
        rejected=sum(part.rejected for part in parts),
        rejected_reasons=reasons,
        failures=tuple(failure for part in parts for failure in part.failures),
        failed=sum(part.failed for part in parts),
        requests=sum(part.requests for part in parts),
        bytes=sum(part.bytes for part in parts),
        duration=max(part.duration for part in parts),
        newest=max((part.newest for part in parts if part.newest), default=None),
    )
