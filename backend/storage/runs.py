"""Runs as the ledger has them: records, with aware UTC times and durations in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from backend.core.records import Failure, RunStatus, SourceStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do one run: shown at every write."""

    run_id: int
    job: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRun:
    """What one source did in a run. `failures` holds the first of `failed`; times are UTC."""

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
    """One execution of a job, as the ledger has it. Times are UTC, `duration` in seconds."""

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


@dataclass(frozen=True, slots=True)
class Pause:
    """A time during which a job was not to run by itself; `end` is None while it lasts."""

    start: datetime
    by: str
    end: datetime | None
