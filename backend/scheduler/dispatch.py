"""Who does the work of a claimed run: this process, or workers that share a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from backend.core.registry import OWN_MODEL
from backend.scheduler.config import ISSUING
from backend.scheduler.orders import Order
from backend.storage.ledger import HandOver, Ledger
from backend.storage.run_records import Claim, JobRun
from backend.storage.run_tasks import RunTasks, TaskOrder


class Dispatcher(Protocol):
    """Decides who does the work of a run."""

    async def prepare(self, order: Order) -> HandOver | None:
        """Return what hands the run over in the transaction that claims it; None: this process does it."""
        ...

    async def follow(self, claim: Claim, order: Order) -> JobRun:
        """Do what is left to do after the claim, and return the record of the run."""
        ...


class InProcess:
    """The work is done in this process, from the claim to the recorded end."""

    def __init__(self, carry_out: Callable[[Claim, Order], Awaitable[JobRun]]) -> None:
        self._carry_out = carry_out

    async def prepare(self, order: Order) -> HandOver | None:
        """Return None: the claim is this process's own."""
        return None

    async def follow(self, claim: Claim, order: Order) -> JobRun:
        """Do the whole run."""
        return await self._carry_out(claim, order)


class QueueOfTasks:
    """The work is done by workers, in tasks: one per source.

    The record that `follow` returns is that of a run under way.
    """

    def __init__(
        self,
        ledger: Ledger,
        tasks: RunTasks,
        *,
        sources: Callable[[Order], list[str]],
        on_start: Callable[[Claim, Order], None],
    ) -> None:
        """`sources` returns the names of the sources of a run. `on_start` is called in the event loop."""
        self._ledger = ledger
        self._tasks = tasks
        self._sources = sources
        self._on_start = on_start

    async def prepare(self, order: Order) -> HandOver | None:
        """Return what stores the tasks of the run and puts them into the queue."""
        chosen = order.selection
        names = [OWN_MODEL.name] if order.job == ISSUING else self._sources(order)
        return self._tasks.handing_over(
            [
                TaskOrder(
                    source=name,
                    sites=None if chosen.sites is None else tuple(chosen.sites),
                    since=chosen.since,
                    until=chosen.until,
                )
                for name in names
            ]
        )

    async def follow(self, claim: Claim, order: Order) -> JobRun:
        """Return the record of the run, which workers do."""
        self._on_start(claim, order)
        return await asyncio.to_thread(self._ledger.run, claim.run_id)
