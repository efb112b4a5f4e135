"""Replay: archived payloads are parsed again, so that a parser's mistake can be corrected.

Each source runs with the request of that time and with that run's payloads as responses. The values parsed
now replace those parsed then, within the same route. A replay takes the job's lease and has its own run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from backend.collectors.base import MeteredFetch, Source
from backend.collectors.transport.payload_archive import ArchivedRun, PayloadArchive
from backend.core.errors import NotFoundError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import Failure, Forecast, Observation, ObservationBatch, RunStatus
from backend.scheduler.config import FORECASTS, JOBS
from backend.scheduler.jobs import collect_all_forecasts, collect_all_observations, run_status
from backend.scheduler.runner import Runner
from backend.storage.database import to_epoch
from backend.storage.run_records import REPLAYED, Claim, JobRun, SourceRun

log = structlog.get_logger()


@dataclass
class _NoTraffic:
    requests: int = 0
    bytes: int = 0


async def replay(runner: Runner, archive: PayloadArchive, kept: ArchivedRun) -> JobRun:
    """Parse the archived payloads of one run again and store what differs; return the replay's own run.

    Values without an archived payload stay as they are; a damaged payload is a failure of its source. Raises
    JobBusyError while a run of the same job is under way, NotFoundError if none of its sources is known.
    """
    known = {job: [one for one in runner.sources.of(job) if one.name in kept.sources] for job in JOBS}
    job = next((job for job in JOBS if known[job]), None)
    if job is None:
        raise NotFoundError(f"no payload of a known source is archived for run {kept.run_id}")
    claim = await asyncio.to_thread(runner.ledger.claim, job, "cli", runner.clock())
    if claim is None:
        raise AssertionError("a run without a slot always gets its claim")
    began = time.monotonic()
    outcomes: list[SourceRun] = []

    async def finish(status: RunStatus) -> None:
        await asyncio.to_thread(
            runner.ledger.finish,
            claim,
            status,
            runner.clock(),
            duration=time.monotonic() - began,
            sources=outcomes,
            note=f"{REPLAYED}{kept.run_id}",
        )

    with structlog.contextvars.bound_contextvars(run=claim.run_id, job=job):
        log.info("replay started", replayed=kept.run_id)
        try:
            for source in known[job]:
                outcome = await _replay_source(runner, archive, kept, claim, source)
                outcomes.append(outcome)
        except asyncio.CancelledError:
            await finish("cancelled")
            raise
        await finish(run_status(outcomes))
        done = await asyncio.to_thread(runner.ledger.run, claim.run_id)
        log.info("replay ended", replayed=kept.run_id, status=done.status, stored=done.stored)
    return done


async def _replay_source(
    runner: Runner, archive: PayloadArchive, kept: ArchivedRun, claim: Claim, source: Source[Any]
) -> SourceRun:
    try:
        needs = await asyncio.to_thread(archive.request_of, kept.run_id)
        answers = await asyncio.to_thread(archive.replay, kept.run_id, source.name)
    except (NotFoundError, ParseError) as error:
        log.warning("payloads cannot be read", source=source.name, reason=str(error))
        failure = Failure(route="archive", url="", reason=str(error), error=type(error).__name__)
        return SourceRun(
            source=source.name, status="failed", reason=failure.reason, failures=(failure,), failed=1
        )
    forecasts = claim.job == FORECASTS
    add: Callable[..., int] = runner.store.add_forecasts if forecasts else runner.store.add_observations
    collect: Callable[..., Awaitable[Any]] = collect_all_forecasts if forecasts else collect_all_observations
    batches: list[Any] = []

    async def deliver(batch: Any) -> None:
        if isinstance(batch, ObservationBatch):
            batch = replace(batch, complete_until={})  # old payloads do not show what is complete now
        batches.append(batch)

    collection = await collect(
        needs=needs,
        deliver=deliver,
        sources=[source],
        channel_for=lambda _source: MeteredFetch(answers, _NoTraffic()),
    )
    stored = 0
    for batch in await asyncio.to_thread(_with_whole_rows, batches):
        stored += await asyncio.to_thread(add, batch, claim, repair=True)
        await asyncio.to_thread(runner.ledger.renew, claim)
    # The age of the newest data has no meaning here.
    outcome: SourceRun = replace(collection.outcomes[0], stored=stored, newest=None)
    if outcome.status in {"success", "nothing_new", "stale"}:
        return replace(outcome, status="success" if stored else "nothing_new", reason="")
    return outcome


def _with_whole_rows(batches: Sequence[Any]) -> list[Any]:
    """Return the batches, each with the values that others of its route and second have in its rows.

    A feed and a history requested in the same second can both have values of one reading. The store
    identifies a payload by route and second: each batch alone would remove the values of the other.
    """
    values_by_payload: dict[tuple[str, int], dict[Hashable, dict[Parameter, Any]]] = {}
    for batch in batches:
        rows = values_by_payload.setdefault((batch.route, to_epoch(batch.collected_at)), {})
        for record in batch.records:
            values = rows.setdefault(_row(record), {})
            if isinstance(record, Observation):
                values[record.parameter] = record  # of readings the last value stays, of runs the first
            else:
                values.setdefault(record.parameter, record)
    whole = []
    for batch in batches:
        rows = values_by_payload[batch.route, to_epoch(batch.collected_at)]
        own: dict[Hashable, set[Parameter]] = {}
        for record in batch.records:
            own.setdefault(_row(record), set()).add(record.parameter)
        others = [
            record
            for row, parameters in own.items()
            for parameter, record in rows[row].items()
            if parameter not in parameters
        ]
        whole.append(replace(batch, records=(*batch.records, *others)) if others else batch)
    return whole


def _row(record: Forecast | Observation) -> Hashable:
    if isinstance(record, Observation):
        return record.station, record.time
    return record.model, record.site, record.reference_time, record.valid_time
