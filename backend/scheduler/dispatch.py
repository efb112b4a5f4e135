"""Who does the work of a claimed run: this process, or workers that share a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog

from backend.collectors.base import Source
from backend.core.errors import ConfigError
from backend.core.records import Site
from backend.core.registry import OWN_MODEL
from backend.scheduler.config import ISSUING
from backend.scheduler.orders import Order
from backend.storage.ledger import HandOver, Ledger
from backend.storage.run_records import Claim, JobRun
from backend.storage.run_tasks import RunTasks, TaskOrder

log = structlog.get_logger()


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


SITES_PER_TASK = 50
"""Sites of a task of a source that is asked site by site."""


class QueueOfTasks:
    """The work is done by workers: a task per source, and several for one that is asked site by site.

    The record that `follow` returns is that of a run under way.
    """

    def __init__(
        self,
        ledger: Ledger,
        tasks: RunTasks,
        *,
        sources: Callable[[Order], Sequence[Source[Any]]],
        sites: Callable[[], Sequence[Site]],
        on_start: Callable[[Claim, Order], None],
    ) -> None:
        """`sources` returns the sources of a run, and `sites` those that are collected; it may block.

        `on_start` is called in the event loop.
        """
        self._ledger = ledger
        self._tasks = tasks
        self._sources = sources
        self._sites = sites
        self._on_start = on_start

    async def prepare(self, order: Order) -> HandOver | None:
        """Return what stores the tasks of the run and puts them into the queue.

        Raises StoreUnavailableError.
        """
        chosen = order.selection
        if order.job == ISSUING:
            return self._tasks.handing_over([TaskOrder(source=OWN_MODEL.name)])
        sources = self._sources(order)
        wanted = None if chosen.sites is None else tuple(chosen.sites)
        listed = wanted
        if listed is None and any(source.by_site for source in sources):
            try:
                listed = tuple(site.id for site in await asyncio.to_thread(self._sites))
            except ConfigError as error:
                log.debug("sites not shared among workers", reason=str(error))  # which record it as a failure
        orders = []
        for source in sources:
            some = listed if source.by_site else None
            for part, start in enumerate(range(0, len(some or ()), SITES_PER_TASK) or (0,)):
                sites = wanted if not some else some[start : start + SITES_PER_TASK]
                orders.append(
                    TaskOrder(
                        source=source.name, part=part, sites=sites, since=chosen.since, until=chosen.until
                    )
                )
        return self._tasks.handing_over(orders)

    async def follow(self, claim: Claim, order: Order) -> JobRun:
        """Return the record of the run, which workers do."""
        if order.slot is not None:  # the process that ends a run by hand cannot know whether it was limited
            self._on_start(claim, order)
        return await asyncio.to_thread(self._ledger.run, claim.run_id)
