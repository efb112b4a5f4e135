"""The two collections: collect from all sources and return the result. The caller (runner.py) stores it.

Sources run at the same time. Failures and bugs of one source are part of that source's outcome and never
stop another one.
"""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import structlog

from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import B, MeteredFetch, Source, collect
from backend.collectors.grib.worker import Worker
from backend.collectors.transport.client import HttpClient
from backend.core.clock import Clock, utc_now
from backend.core.config import Settings
from backend.core.errors import CollectorError, IncompleteError, PayloadMissingError
from backend.core.records import (
    CollectionRequest,
    Failure,
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    RunStatus,
    Site,
    SourceStatus,
)
from backend.core.sites import active, load_sites
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId, SchedulerConfig
from backend.storage.run_records import SourceRun

log = structlog.get_logger()

LONGEST_REASON = 2000
"""Maximum characters of a source's reason, notes included."""

LONGEST_TRACEBACK = 8000
"""Maximum characters of a traceback that are stored: the last ones, which name the error."""

R = TypeVar("R", Forecast, Observation)
ChannelFor = Callable[[str], MeteredFetch]
"""Returns the access to the network for a source name."""


@dataclass
class Tally:
    """The result of one source so far; `outcome()` summarises it at any time, also if it is cut short."""

    source: str
    began: float = field(default_factory=time.monotonic)
    collected: int = 0
    new: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)  # each once, in their order
    newest: datetime | None = None
    channel: MeteredFetch | None = None
    ended: SourceRun | None = None

    def add(self, batch: ForecastBatch | ObservationBatch, needs: CollectionRequest) -> None:
        """Count a batch. A reading not later than the newest stored one is collected, but not new.

        A response that a replay does not find in the archive is not a failure: no request was sent.
        """
        self.collected += len(batch.records)
        if isinstance(batch, ForecastBatch) or needs.until is not None:
            self.new += len(batch.records)
        else:
            self.new += sum(
                (newest := needs.newest.get(record.station)) is None or record.time > newest
                for record in batch.records
            )
        self.rejected.update(value.reason_code for value in batch.rejected)
        self.failures.extend(
            failure for failure in batch.failures if failure.error != PayloadMissingError.__name__
        )
        self.notes.update(dict.fromkeys(batch.notes))
        if isinstance(batch, ForecastBatch):
            self.notes.update(
                dict.fromkeys(
                    f"{outside.model} does not cover {outside.site}: {outside.reason}"
                    for outside in batch.outside
                )
            )
        if batch.newest is not None:
            self.newest = max(batch.newest, self.newest or batch.newest)

    def outcome(self, status: SourceStatus, reason: str = "") -> SourceRun:
        """Return this source's part of a run for the ledger."""
        return SourceRun(
            source=self.source,
            status=status,
            reason=reason,
            collected=self.collected,
            rejected=self.rejected.total(),
            rejected_reasons=dict(self.rejected),
            failures=tuple(self.failures),
            failed=len(self.failures),
            requests=self.channel.meter.requests if self.channel else 0,
            bytes=self.channel.meter.bytes if self.channel else 0,
            duration=time.monotonic() - self.began,
            newest=self.newest,
        )


@dataclass(frozen=True, kw_only=True)
class Collection(Generic[R]):
    """The result of a job: all records (none if `deliver` received them), and an outcome per source."""

    job: JobId
    records: tuple[R, ...]
    outcomes: tuple[SourceRun, ...]

    @property
    def status(self) -> RunStatus:
        """Return the status of the whole, computed from the outcomes."""
        return run_status(self.outcomes)


async def collect_all_forecasts(
    sites: Sequence[Site] | None = None,
    needs: CollectionRequest | None = None,
    deliver: Callable[[ForecastBatch], Awaitable[None]] | None = None,
    *,
    sources: Sequence[Source[ForecastBatch]] | None = None,
    channel_for: ChannelFor | None = None,
    tallies: dict[str, Tally] | None = None,
    settings: Settings | None = None,
    clock: Clock = utc_now,
) -> Collection[Forecast]:
    """Collect the forecasts that `needs` requests, from every source; return them, and store nothing.

    Without arguments, it collects for the configured sites and the whole lookback, and returns all records.
    With `deliver`, each complete batch is passed on at once and the records are not returned. `tallies` is
    updated during the collection, for a caller that may cut it short. Raises ConfigError for unusable
    settings or an unusable sites file; failures of sources are in their outcomes.
    """
    async with AsyncExitStack() as stack:
        if sources is None:
            worker = Worker()
            stack.callback(worker.close)
            built = forecast_sources(_settings(settings), worker)
            sources = [source for source in built if source.opted_in]
        if channel_for is None:
            channel_for = await _own_client(stack, _settings(settings), clock)
        needs = needs or _everything(FORECASTS, sites, _settings(settings), clock)
        records: list[Forecast] = []

        async def collect_records(batch: ForecastBatch) -> None:
            records.extend(batch.records)

        outcomes = await _collect_all(
            sources, needs, channel_for, deliver or collect_records, _given(tallies)
        )
        return Collection(job=FORECASTS, records=tuple(records), outcomes=outcomes)


async def collect_all_observations(
    sites: Sequence[Site] | None = None,
    needs: CollectionRequest | None = None,
    deliver: Callable[[ObservationBatch], Awaitable[None]] | None = None,
    *,
    sources: Sequence[Source[ObservationBatch]] | None = None,
    channel_for: ChannelFor | None = None,
    tallies: dict[str, Tally] | None = None,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    seconds: float | None = None,
) -> Collection[Observation]:
    """Collect the readings of every network of stations; the rest is as for `collect_all_forecasts`.

    A network that takes longer than `seconds` is cut short; the readings that it returned are used.
    """
    async with AsyncExitStack() as stack:
        if sources is None:
            sources = [source for source in observation_sources(_settings(settings)) if source.opted_in]
        if channel_for is None:
            channel_for = await _own_client(stack, _settings(settings), clock)
        needs = needs or _everything(OBSERVATIONS, sites, _settings(settings), clock)
        records: list[Observation] = []

        async def collect_records(batch: ObservationBatch) -> None:
            records.extend(batch.records)

        outcomes = await _collect_all(
            sources, needs, channel_for, deliver or collect_records, _given(tallies), seconds
        )
        return Collection(job=OBSERVATIONS, records=tuple(records), outcomes=outcomes)


def counted(reasons: Counter[str]) -> str:
    """Return the count of each reason, the most frequent first: "200 future, 3 out_of_range"."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


# What an address or a host answers that is not there any more. "Temporary failure in name resolution" is not
# among them: then the network of this machine is down.
_GONE = re.compile(r"^HTTP (404|410)\b|Name or service not known|No address associated with hostname")


def source_status(tally: Tally, source: Source[B], now: datetime | None) -> tuple[SourceStatus, str]:
    """Return the status of a source that finished, and the reason if it is not plain success.

    `now` is None in a backfill, in which the age of the newest data has no meaning. A source with incomplete
    runs and no other failure is partial even if it collected nothing new.
    """
    status: SourceStatus = "success" if tally.new else "nothing_new"
    reason = ""
    age = None if now is None or tally.newest is None else now - tally.newest
    if tally.failures:
        errors = [failure for failure in tally.failures if failure.error != IncompleteError.__name__]
        status = "partial" if tally.collected or not errors else "failed"
        reason = (errors or tally.failures)[0].reason
        if status == "failed" and source.live.if_gone and all(_GONE.search(each.reason) for each in errors):
            reason = f"{reason}; {source.live.if_gone}"
    elif tally.rejected and not tally.collected:
        status, reason = "failed", f"every value was rejected: {counted(tally.rejected)}"
    elif now is None:
        pass
    elif tally.newest is None and tally.channel is not None and tally.channel.meter.requests:
        status, reason = "stale", "it responds, but has no data at all"
    elif age is not None and age > source.max_age:
        hours, limit = (span.total_seconds() / 3600 for span in (age, source.max_age))
        status = "stale"
        reason = f"its newest data are {hours:.1f} h old, and {limit:.1f} h is the most for its cadence"
        if tally.rejected:
            reason = f"{reason}; rejected: {counted(tally.rejected)}"
    elif tally.rejected["future"] > tally.collected:
        # Our clock or theirs is wrong: current values are rejected.
        status, reason = "partial", f"most values were rejected: {counted(tally.rejected)}"
    return status, "; ".join(filter(None, (reason, *tally.notes)))[:LONGEST_REASON]


def run_status(outcomes: Sequence[SourceRun]) -> RunStatus:
    """Return the status of a run: `success` only if no source has a failure and one has new data.

    A job without an enabled source is `nothing_new`, and `why_no_source` returns the reason.
    """
    statuses = {outcome.status for outcome in outcomes if outcome.status != "disabled"}
    if statuses <= {"success", "nothing_new"}:
        return "success" if "success" in statuses else "nothing_new"
    if "failed" in statuses and not any(outcome.collected for outcome in outcomes):
        return "failed"
    return "partial"


def why_no_source(outcomes: Sequence[SourceRun]) -> str:
    """Return why a run used no source at all, source by source; empty if it used one."""
    if any(outcome.status != "disabled" for outcome in outcomes):
        return ""
    reasons = [f"{outcome.source}: {outcome.reason}" for outcome in outcomes]
    return "; ".join(["no source of this job is enabled", *reasons])


async def _collect_all(
    sources: Sequence[Source[B]],
    needs: CollectionRequest,
    channel_for: ChannelFor,
    deliver: Callable[[B], Awaitable[None]],
    tallies: dict[str, Tally],
    seconds: float | None = None,
) -> tuple[SourceRun, ...]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_collect_one(source, needs, channel_for, deliver, tallies, seconds))
            for source in sources
        ]
    return tuple(task.result() for task in tasks)


async def _collect_one(
    source: Source[B],
    needs: CollectionRequest,
    channel_for: ChannelFor,
    deliver: Callable[[B], Awaitable[None]],
    tallies: dict[str, Tally],
    seconds: float | None = None,
) -> SourceRun:
    tally = tallies.setdefault(source.name, Tally(source.name))
    if source.disabled is not None:
        log.debug("source disabled", source=source.name, reason=source.disabled)
        tally.ended = tally.outcome("disabled", source.disabled)
        return tally.ended
    tally.channel = channel = channel_for(source.name)
    structlog.contextvars.bind_contextvars(source=source.name)  # this task's own
    try:
        async for batch in _until(collect(source, needs, channel.fetch), seconds):
            # In a thread: a batch has up to some hundred thousand values, and the event loop also serves the
            # API.
            await asyncio.to_thread(tally.add, batch, needs)
            await deliver(batch)
    except SourceSlowError as error:
        log.debug("source cut short", reason=str(error))
        tally.failures.append(Failure(route="", url="", reason=str(error), error=SourceSlowError.__name__))
    except Exception as error:
        # One of the project's two broad handlers: other sources continue after any bug of this one.
        log.exception("source broke")
        cause = error
        while isinstance(cause, ExceptionGroup):  # the message of a group has no information
            cause = cause.exceptions[0]
        kind = type(cause).__name__
        trace = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
        tally.failures.append(
            Failure(route="", url="", reason=f"{kind}: {cause}", error=kind, traceback=trace)
        )
    status, reason = source_status(tally, source, None if needs.until else needs.now)
    outcome = tally.ended = tally.outcome(status, reason)
    # One line for a source that failed; the traces of its requests are in the run, and here at DEBUG.
    write = log.warning if status in {"failed", "partial", "stale"} else log.debug
    write(
        "source done",
        status=status,
        reason=reason,
        collected=outcome.collected,
        rejected=outcome.rejected,
        failed=outcome.failed,
        requests=outcome.requests,
        bytes=outcome.bytes,
        seconds=round(outcome.duration, 3),
    )
    return outcome


class SourceSlowError(CollectorError):
    """A source took longer than the time to the next collection."""


async def _until(batches: AsyncIterator[B], seconds: float | None) -> AsyncIterator[B]:
    """Yield the batches of the first `seconds` seconds; raise SourceSlowError after that.

    The time in which the caller stores a batch is never cut short.
    """
    loop = asyncio.get_running_loop()
    end = None if seconds is None else loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(end) as limit:
                batch = await anext(batches, None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise SourceSlowError(
                f"cut short after {seconds:g} s, when the next collection was due: that one requests the rest"
            ) from error
        if batch is None:
            return
        yield batch


def _given(tallies: dict[str, Tally] | None) -> dict[str, Tally]:
    return {} if tallies is None else tallies


def _settings(settings: Settings | None) -> Settings:
    """Return the given settings; read the environment only if there are none."""
    return settings or Settings.load()


async def _own_client(stack: AsyncExitStack, settings: Settings, clock: Clock) -> ChannelFor:
    client = await stack.enter_async_context(HttpClient.from_settings(settings, clock))

    def channel_for(_source: str) -> MeteredFetch:
        counted = client.counted()
        return MeteredFetch(counted, counted)

    return channel_for


def _everything(
    job: JobId, sites: Sequence[Site] | None, settings: Settings, clock: Clock
) -> CollectionRequest:
    now = clock()
    if sites is None:
        sites = active(load_sites(settings.sites_file), now)
    return CollectionRequest(now=now, since=now - SchedulerConfig.load().lookback(job), sites=tuple(sites))
