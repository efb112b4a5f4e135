"""Records of job runs, with aware UTC times and durations in seconds, and their conversion to table rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.core.records import Failure, RunStatus, SourceStatus
from backend.core.text import printable
from backend.storage import schema as t
from backend.storage.database import maybe_epoch, maybe_time

FAILURES_KEPT = 50
"""How many failures of a source are stored in full per run; all of them are counted."""


REPLAYED = "replay of run "
"""Start of the note of a run that sent no requests but parsed the archived payloads of another run."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do one run; every write of the run is checked against it.

    A worker's right is to one task of the run, in its last turn.
    """

    run_id: int
    job: str
    owner: str
    epoch: int
    task: int | None = None
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRun:
    """What one source did in a run. `failures` are the first of the `failed` requests; times are UTC."""

    source: str
    status: SourceStatus
    reason: str = ""
    collected: int = 0
    stored: int = 0
    rejected: int = 0
    rejected_reasons: dict[str, int] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    failed: int = 0
    requests: int = 0
    bytes: int = 0
    duration: float = 0.0
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One execution of a job. Times are UTC, `duration` in seconds."""

    id: int
    job: str
    slot: datetime | None
    trigger: str
    status: RunStatus
    owner: str
    attempt: int
    start_time: datetime | None
    end_time: datetime | None
    duration: float | None
    collected: int
    stored: int
    rejected: int
    note: str
    sources: tuple[SourceRun, ...] = ()


_WITHOUT_COUNTS = frozenset({"running", "missed", "interrupted"})
"""A run stores its counts when it ends: in these states the counts are unknown."""


def run_as_dict(run: JobRun, *, unknown_as_null: bool = False) -> dict[str, Any]:
    """Return a run under the API's names.

    With `unknown_as_null` (the API), an empty note or reason is None, and so are counts that are not stored
    yet. Without it (the command line), they are "" and 0.
    """
    unknown = unknown_as_null and run.status in _WITHOUT_COUNTS
    return {
        "runId": run.id,
        "job": run.job,
        "trigger": run.trigger,
        "status": run.status,
        "scheduledTime": run.slot,
        "startTime": run.start_time,
        "endTime": run.end_time,
        "durationSeconds": run.duration,
        "attempt": run.attempt,
        "recordsCollected": None if unknown else run.collected,
        "recordsStored": None if unknown else run.stored,
        "recordsRejected": None if unknown else run.rejected,
        "note": None if unknown_as_null and not run.note else run.note,
        "sources": [source_as_dict(source, unknown_as_null=unknown_as_null) for source in run.sources],
    }


def source_as_dict(source: SourceRun, *, unknown_as_null: bool = False) -> dict[str, Any]:
    """Return one source's part of a run under the API's names; `unknown_as_null` as for a run."""
    return {
        "source": source.source,
        "status": source.status,
        "reason": None if unknown_as_null and not source.reason else source.reason,
        "recordsCollected": source.collected,
        "recordsStored": source.stored,
        "recordsRejected": source.rejected,
        "rejectedReasons": source.rejected_reasons,
        "failedRequests": source.failed,
        "failures": [
            {
                "route": f.route,
                "url": f.url,
                "reason": f.reason,
                "error": f.error,
                "traceback": f.traceback or None,
            }
            for f in source.failures
        ],
        "requests": source.requests,
        "bytes": source.bytes,
        "durationSeconds": source.duration,
        "newestData": source.newest,
    }


@dataclass(frozen=True, slots=True)
class FailureStreak:
    """How many runs of a job failed in a row, and when the first of them ended (UTC)."""

    job: str
    runs: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """A period without scheduled runs of a job; `end` is None while it lasts."""

    start: datetime
    by: str
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSnapshot:
    """Each job's run that ended last, the current runs, and each source's newest data (UTC)."""

    latest: dict[str, JobRun]
    current: tuple[JobRun, ...]
    newest_data: dict[str, datetime]


# --- Rows and records ------------------------------------------------------------------------------


def source_row(run_id: int, source: SourceRun) -> dict[str, Any]:
    """Return the row of one source's part of a run."""
    return {
        "run_id": run_id,
        "source": source.source,
        "status": source.status,
        "reason": source.reason,
        "collected": source.collected,
        "stored": source.stored,
        "rejected": source.rejected,
        "rejected_reasons": json.dumps(source.rejected_reasons),
        "failures": json.dumps(
            [
                [f.route, f.url, f.reason, f.error, *([f.traceback] if f.traceback else [])]
                for f in source.failures[:FAILURES_KEPT]
            ]
        ),
        "failed": source.failed,
        "requests": source.requests,
        "bytes": source.bytes,
        "duration": source.duration,
        "newest": maybe_epoch(source.newest),
    }


def source_run(row: Any) -> SourceRun:
    """Return the record of a row that `source_row` made."""
    return SourceRun(
        source=row.source,
        status=row.status,
        reason=printable(row.reason),
        collected=row.collected,
        stored=row.stored,
        rejected=row.rejected,
        rejected_reasons=json.loads(row.rejected_reasons),
        failures=tuple(Failure(*parts) for parts in json.loads(row.failures)),
        failed=row.failed,
        requests=row.requests,
        bytes=row.bytes,
        duration=row.duration,
        newest=maybe_time(row.newest),
    )


_SOURCES = (
    sa.select(t.source_run)
    .where(t.source_run.c.run_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(*t.source_run.primary_key)
)


def job_runs(connection: sa.Connection, rows: Sequence[Any]) -> tuple[JobRun, ...]:
    """Convert rows of the job_run table, in their order, to records with their sources."""
    ids = [row.id for row in rows]
    sources: dict[int, list[SourceRun]] = {run_id: [] for run_id in ids}
    for row in connection.execute(_SOURCES, {"ids": ids}):
        sources[row.run_id].append(source_run(row))
    return tuple(
        JobRun(
            id=row.id,
            job=row.job,
            slot=maybe_time(row.slot),
            trigger=row.trigger,
            status=row.status,
            owner=row.owner,
            attempt=row.epoch,
            start_time=maybe_time(row.start_time),
            end_time=maybe_time(row.end_time),
            duration=row.duration,
            collected=row.collected,
            stored=row.stored,
            rejected=row.rejected,
            note=printable(row.note),  # an earlier version may have stored it with control characters
            sources=tuple(sources[row.id]),
        )
        for row in rows
    )
