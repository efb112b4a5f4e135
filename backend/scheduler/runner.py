"""The runner of jobs: claims a slot, collects, stores, and records how the run ended.

The schedule, the catch-up, the API and the command line all use it. Steps of a run: claim the row, query the
store for missing data, store each batch as it arrives, compute the status, finish the row.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from backend.collectors.base import MeteredFetch, Source
from backend.core.clock import Clock, utc_now
from backend.core.errors import (
    ConfigError,
    JobBusyError,
    StoreDamagedError,
    StoreReplacedError,
    StoreUnavailableError,
)
from backend.core.records import CollectionRequest, RunStatus, Site
from backend.core.registry import OWN_MODEL
from backend.scheduler.config import ALL_JOBS, FORECASTS, ISSUING, JOBS, OBSERVATIONS, JobId, SchedulerConfig
from backend.scheduler.dispatch import Dispatcher, InProcess
from backend.scheduler.issuing import Issuer, issue_forecasts
from backend.scheduler.jobs import collect_all_forecasts, collect_all_observations, run_status, why_no_source
from backend.scheduler.orders import EVERYTHING, OnBatch, Order, Selection
from backend.scheduler.run_progress import RunProgress, until_the_store_answers
from backend.scheduler.source_list import SourceList
from backend.storage.issued_batches import IssuedBatch, store_issued_batch
from backend.storage.ledger import LeaseLostError, Ledger
from backend.storage.run_records import Claim, JobRun, SourceRun
from backend.storage.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Sources(SourceList[Source[Any]]):
    """All sources, and the access to the network for each source of a run."""

    channel_for: Callable[[int, str], MeteredFetch]


@dataclass(frozen=True, slots=True)
class BlockedJob:
    """A job that cannot start, because the store has refused its claim since then (UTC).

    `slot` is the scheduled time that waits; None if the store did not even return the due slot. This cannot
    be in the ledger, which is in the store. `reason` is for the log and the operator.
    """

    job: JobId
    slot: datetime | None
    since: datetime
    reason: str


RECORDING_SECONDS = 10.0
"""How long a stop waits for the store to record the end of a run that was cut short."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How the work of a run, or of a task of it, ended; `seconds` is how long it took."""

    status: RunStatus
    note: str
    sources: tuple[SourceRun, ...]
    seconds: float


class Runner:
    """Runs jobs, one run of a job at a time across all processes.

    `dispatcher` decides who does the work of a run: by default, this process.
    """

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        sources: Sources,
        config: SchedulerConfig,
        sites: Callable[[], tuple[Site, ...]],
        clock: Clock = utc_now,
        on_request: Callable[[int, CollectionRequest], None] | None = None,
        after_run: Callable[[datetime], None] | None = None,
        on_start: Callable[[JobId, int], None] | None = None,
        on_end: Callable[[JobRun], None] | None = None,
        source_seconds: Callable[[JobId, datetime], float] | None = None,
        issuer: Issuer | None = None,
    ) -> None:
        """`sites` is called before every run, so that a new site is collected without a restart. The sites
        that it returns must be in the store.

        `on_request` is called with the id and the collection request of each run, and `after_run` when a run
        has ended: both in a thread. `on_start` and `on_end` are called in the event loop and must not block:
        with the job and the id of a run that is not limited to a selection, and with the record of any run.
        `source_seconds` returns how long a network of stations may take from a moment on; by default, as long
        as the schedule allows. Without an `issuer` nothing is issued.
        """
        self.store = store
        self.ledger = ledger
        self.sources = sources
        self.config = config
        self.clock = clock
        self.sites = sites
        self.blocked: dict[JobId, BlockedJob] = {}
        self._issuer = issuer
        self.jobs = JOBS if issuer is None else ALL_JOBS
        self._source_seconds = source_seconds or config.source_seconds
        self._on_request = on_request
        self._after_run = after_run
        self._on_start = on_start
        self._on_end = on_end
        self.dispatcher: Dispatcher = InProcess(self._carry_out)
        self._starts: set[asyncio.Task[tuple[int, asyncio.Task[JobRun]] | None]] = set()
        self._tasks: set[asyncio.Task[JobRun]] = set()

    async def start(
        self,
        job: JobId,
        trigger: str,
        slot: datetime | None = None,
        selection: Selection = EVERYTHING,
        on_batch: OnBatch | None = None,
    ) -> tuple[int, asyncio.Task[JobRun]] | None:
        """Claim a run and let it continue in the background; return its id and its task.

        None if the slot has its run already. Raises JobBusyError with the id of the run under way.
        """
        order = Order(
            job=job,
            trigger=trigger,
            slot=slot,
            selection=selection,
            seconds=self.config.run_deadline_seconds,
            on_batch=on_batch,
        )

        async def claim_and_begin() -> tuple[int, asyncio.Task[JobRun]] | None:
            try:
                hand_over = await self.dispatcher.prepare(order)
                claim = await asyncio.to_thread(
                    self.ledger.claim, job, trigger, self.clock(), slot, hand_over
                )
            except StoreUnavailableError as error:
                self.note_blocked(job, slot, error)
                raise
            except JobBusyError:  # the store has answered
                self.blocked.pop(job, None)
                raise
            self.blocked.pop(job, None)
            if claim is None:
                return None
            work = self.dispatcher.follow(claim, order)
            task = asyncio.create_task(work, name=f"run {claim.run_id} of {job}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return claim.run_id, task

        # Cancelling the caller does not cancel the claim: a claimed run must come to its end.
        begin = asyncio.create_task(claim_and_begin())
        self._starts.add(begin)
        begin.add_done_callback(self._starts.discard)
        return await asyncio.shield(begin)

    async def run(
        self,
        job: JobId,
        trigger: str,
        slot: datetime | None = None,
        selection: Selection = EVERYTHING,
        on_batch: OnBatch | None = None,
    ) -> JobRun | None:
        """Claim a run and wait for its end; return its record, or None as for `start`."""
        started = await self.start(job, trigger, slot, selection, on_batch)
        return None if started is None else await started[1]

    async def tick(self, job: JobId) -> None:
        """Start the slot that is due now, when APScheduler fires, without waiting for the run."""
        now = self.clock()
        slot = self.config.latest_slot(job, now)
        try:
            if any(pause.end is None for pause in await asyncio.to_thread(self.ledger.pauses, job, now)):
                log.info("slot left out: the job is paused", job=job, slot=slot)
            elif slot is not None:
                await self.start(job, "schedule", slot)
        except JobBusyError as busy:
            log.warning("slot has to wait", job=job, slot=slot, reason=str(busy))
        except StoreUnavailableError as error:
            self.note_blocked(job, slot, error)

    def note_blocked(self, job: JobId, slot: datetime | None, error: StoreUnavailableError) -> None:
        """Record that a job cannot start, and since when; a successful claim clears it.

        An outage is one line of the log, not one for each slot and each minute.
        """
        before = self.blocked.get(job)
        since = self.clock() if before is None else before.since
        waiting = slot or (before.slot if before else None)
        self.blocked[job] = BlockedJob(job, waiting, since, str(error))
        if before is None:
            log.warning("slot has to wait", job=job, slot=slot, reason=str(error))
        log.debug("slot still has to wait", job=job, slot=slot, exc_info=error)

    def request_for(
        self, job: JobId, sites: tuple[Site, ...], selection: Selection = EVERYTHING
    ) -> CollectionRequest:
        """Return the request for what the store does not have yet. Blocks: call it in a thread."""
        now = self.clock()
        if selection.sites is not None:
            sites = tuple(site for site in sites if site.id in selection.sites)
        ask = self.store.forecast_request if job == FORECASTS else self.store.observation_request
        if selection.since is None or selection.until is None:
            return ask(sites, now, now - self.config.lookback(job))
        # Backfill: only runs that started after `since`.
        needs = ask(sites, now, selection.since - timedelta(seconds=1 if job == FORECASTS else 0))
        stations = {station for site in needs.sites for station in site.stations}
        backfilled_days = self.store.backfilled_days(stations, selection.since, selection.until)
        return replace(needs, until=selection.until, complete_until={}, backfilled_days=backfilled_days)

    def selected(self, job: JobId, selection: Selection) -> list[Source[Any]]:
        """Return the selected sources of a job; for a backfill, only those with an archive."""
        past = selection.until is not None
        return [
            source
            for source in self.sources.of(job)
            if (selection.sources is None or source.name in selection.sources)
            and (not past or source.past is not None)
        ]

    async def drain(self, grace: float, recording: float = RECORDING_SECONDS) -> None:
        """Wait up to `grace` seconds for current runs, then cancel the rest and record their end.

        A store that does not record it within `recording` seconds does not delay the stop: the next process
        finds such a run and repeats it.
        """
        if self._starts:
            await asyncio.wait(self._starts, timeout=recording)
        if self._tasks:
            log.info("waiting for runs to end", runs=len(self._tasks), grace=grace)
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=recording)
        for task in self._tasks:
            log.warning("run left without its end: the store does not answer", task=task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- One run -----------------------------------------------------------------------------------

    async def _carry_out(self, claim: Claim, order: Order) -> JobRun:
        """Do a run in this process, and record how it ended."""
        structlog.contextvars.bind_contextvars(run=claim.run_id, job=order.job)  # this task's own
        log.debug("run started", trigger=order.trigger, slot=order.slot, attempt=claim.epoch)
        self.announce(claim, order)
        try:
            return await self.record(claim, await self.attempt(claim, order))
        except LeaseLostError as lost:
            log.warning("run lost", reason=str(lost))
            await asyncio.to_thread(self.ledger.require_same_store)
            return await self._as_recorded(claim.run_id)

    def announce(self, claim: Claim, order: Order) -> None:
        """Call what is to be called at the start of a run."""
        if self._on_start is not None and order.selection == EVERYTHING:
            self._on_start(order.job, claim.run_id)

    async def attempt(self, claim: Claim, order: Order) -> Ended:
        """Collect and store, or issue; return how it ended, also after an error. Raises LeaseLostError."""
        began = time.monotonic()
        progress = RunProgress()
        status: RunStatus
        note = ""
        try:
            async with self._lease(claim) as lose, asyncio.timeout(order.seconds):
                if order.job == ISSUING:
                    await self._issue(claim, order.slot, progress)
                else:
                    await self._collect(claim, order, progress, lose)
            status, note = run_status(progress.outcomes()), why_no_source(progress.outcomes())
        except asyncio.CancelledError:
            status, note = "cancelled", "stopped while running: the service was shut down"
            if order.job == ISSUING and order.slot is not None:
                # What a collection leaves out, the next one collects. A decision has no next one: the next
                # process makes another attempt.
                status, progress = "interrupted", RunProgress()
        except TimeoutError:
            note = f"stopped at its deadline of {self.config.run_deadline_seconds:g} s"
            if progress.store_error:
                note = f"{note}: {progress.store_error}"
            status = run_status(progress.outcomes(note)) if progress.tallies else "failed"
        except (ConfigError, StoreUnavailableError) as error:
            log.debug("run failed", exc_info=error)  # the line about its end has the reason
            status, note = "failed", str(error)
        except LeaseLostError:
            raise
        except Exception as error:
            # The other of the project's two broad handlers: a bug is recorded as the reason of the failure.
            log.exception("run broke")
            status, note = "failed", f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - began
        return Ended(status=status, note=note, sources=progress.outcomes(note), seconds=seconds)

    async def _issue(self, claim: Claim, slot: datetime | None, progress: RunProgress) -> None:
        """Issue for the slot; a run by hand issues what the newest decision time did not.

        A store that does not answer is waited for, up to the deadline. What was stored is not issued again.
        """
        decision = slot or self.config.latest_slot(ISSUING, self.clock())
        if self._issuer is None or decision is None:
            return  # a year without a slot, or a runner that only collects

        def store(batch: IssuedBatch) -> int:
            new = store_issued_batch(self.store.database, batch, claim)
            progress.stored[OWN_MODEL.name] += new
            return new

        async for attempt in until_the_store_answers(progress, also_if_damaged=False):
            with attempt:
                await issue_forecasts(self._issuer, decision, store, tallies=progress.tallies)

    async def _collect(
        self,
        claim: Claim,
        order: Order,
        progress: RunProgress,
        lose: Callable[[LeaseLostError], None],
    ) -> None:
        job, selection = order.job, order.selection
        async for attempt in until_the_store_answers(progress, also_if_damaged=False):
            with attempt:
                sites = await asyncio.to_thread(self.sites)
                await asyncio.to_thread(self.store.forget_times_ahead, self.clock())
                needs = await asyncio.to_thread(self.request_for, job, sites, selection)
        if self._on_request is not None:
            await asyncio.to_thread(self._on_request, claim.run_id, needs)
        collect: Callable[..., Awaitable[Any]] = (
            collect_all_forecasts if job == FORECASTS else collect_all_observations
        )
        add = self.store.add_forecasts if job == FORECASTS else self.store.add_observations

        async def deliver(batch: Any) -> None:
            if order.on_batch is not None:
                order.on_batch(batch)
            # A batch that cannot be stored now stays in memory, with retries until the deadline.
            try:
                async for attempt in until_the_store_answers(progress, also_if_damaged=False):
                    with attempt:
                        progress.stored[batch.source] += await asyncio.to_thread(add, batch, claim)
            except (StoreDamagedError, StoreReplacedError) as error:
                progress.damage = error
                raise
            except LeaseLostError as lost:
                lose(lost)
                await asyncio.Event().wait()  # until the whole run ends: it is not a failure of this source

        # A slow network must not delay the next slot. A backfill has no slots.
        limit: dict[str, float] = {}
        if job == OBSERVATIONS and selection.until is None:
            now = self.clock()
            began = order.began or now
            limit["seconds"] = max(self._source_seconds(job, began) - (now - began).total_seconds(), 0.0)
        await collect(
            **limit,
            needs=needs,
            deliver=deliver,
            sources=self.selected(job, selection),
            channel_for=lambda source: self.sources.channel_for(claim.run_id, source),
            tallies=progress.tallies,
            clock=self.clock,
        )
        if progress.damage is not None:
            raise progress.damage

    async def record(self, claim: Claim, ended: Ended) -> JobRun:
        """Record the end of a run as soon as the store answers, however long that takes.

        Raises LeaseLostError if another process has recorded one or taken the run over.
        """
        async for attempt in until_the_store_answers(RunProgress()):
            with attempt:
                await asyncio.to_thread(
                    self.ledger.finish,
                    claim,
                    ended.status,
                    self.clock(),
                    duration=ended.seconds,
                    sources=ended.sources,
                    note=ended.note,
                )
        run = await self._as_recorded(claim.run_id)
        log.info(
            "run ended",
            status=run.status,
            seconds=round(ended.seconds, 3),
            collected=run.collected,
            stored=run.stored,
            rejected=run.rejected,
            note=run.note,
            sources={source.source: source.status for source in run.sources},
        )
        if self._on_end is not None:
            self._on_end(run)
        if self._after_run is not None:
            await asyncio.to_thread(self._after_run, self.clock())
        return run

    async def _as_recorded(self, run_id: int) -> JobRun:
        """Return the record of a run as soon as the store answers."""
        async for attempt in until_the_store_answers(RunProgress()):
            with attempt:
                run = await asyncio.to_thread(self.ledger.run, run_id)
        return run

    @asynccontextmanager
    async def _lease(self, claim: Claim) -> AsyncIterator[Callable[[LeaseLostError], None]]:
        """Renew the lease while the context lasts; end the context with LeaseLostError if it is lost.

        Yields the function that the first part of the run to notice the loss calls.
        """
        worker = asyncio.current_task()
        lost: list[LeaseLostError] = []

        def lose(error: LeaseLostError) -> None:
            if worker is not None and not lost:
                worker.cancel()
            lost.append(error)

        async def renew() -> None:
            write = log.warning
            while not lost:
                await asyncio.sleep(self.ledger.lease / 3)
                try:
                    await asyncio.to_thread(self.ledger.renew, claim)
                except StoreUnavailableError as error:
                    # No reason to stop: a takeover by another process needs the store as well.
                    write("lease not renewed", reason=str(error))
                    write = log.debug  # not again three times a lease
                except LeaseLostError as error:
                    lose(error)

        renewal = asyncio.create_task(renew())
        try:
            yield lose
        except asyncio.CancelledError:
            if lost and worker is not None:
                worker.uncancel()
                raise lost[0] from None
            raise
        finally:
            renewal.cancel()


def heed_stop() -> None:
    """Raise CancelledError if this task was cancelled while it waited for a run.

    Such a run is recorded as cancelled and returned like any other, so that it can be shown. In a sequence of
    runs, the next one must not start.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
