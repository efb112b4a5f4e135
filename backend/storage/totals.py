"""Totals of all runs since the first, for counters: read once, and then from the runs that are new."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database, to_epoch

COUNTED = ("collected", "stored", "rejected", "failed", "requests", "bytes")
"""The columns of a source's part of a run that are summed."""

_ANSWERED = ("success", "partial", "nothing_new", "stale")

_MAY_RUN_AGAIN = timedelta(days=30)
"""An interrupted run may be repeated under its id for this long: the longest CATCHUP_WINDOW_HOURS."""


@dataclass
class Totals:
    """Runs by (job, status), sums by (source, column), parts of runs by (source, status); times in seconds
    since 1970: the last end by job and by (job, status), and the last run with an answer by source.
    """

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    parts: Counter[tuple[str, str]] = field(default_factory=Counter)
    last_end: dict[tuple[str, str], int] = field(default_factory=dict)
    last_answer: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Totals:
        """Return totals of their own with the same figures."""
        return Totals(
            Counter(self.runs),
            Counter(self.values),
            Counter(self.parts),
            dict(self.last_end),
            dict(self.last_answer),
        )


class RunTotals:
    """The totals of one store. Runs that can no longer change are added once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()
        self._settled = Totals()
        self._up_to = 0

    def read(self, now: datetime) -> Totals:
        """Return the totals up to now. Blocks; raises StoreUnavailableError."""
        run = t.job_run.c
        changeable = sa.or_(
            run.status == "running",
            sa.and_(run.status == "interrupted", run.end_time > to_epoch(now - _MAY_RUN_AGAIN)),
        )
        with self._lock, self.database.read() as connection:
            newest = connection.execute(sa.select(sa.func.max(run.id))).scalar() or 0
            first = connection.execute(sa.select(sa.func.min(run.id)).where(changeable)).scalar()
            settled = newest if first is None else first - 1
            if settled > self._up_to:
                # A copy, so that an error between two queries leaves the figures as they were.
                totals = self._settled.copy()
                _add(connection, totals, self._up_to, settled)
                self._settled, self._up_to = totals, settled
            present = self._settled.copy()
            _add(connection, present, self._up_to, newest)
        return present


def _add(connection: sa.Connection, totals: Totals, after: int, last: int) -> None:
    """Add the runs with ids above `after`, up to `last`."""
    run, part = t.job_run.c, t.source_run.c
    ids = sa.and_(run.id > after, run.id <= last)
    of_runs = (
        sa.select(run.job, run.status, sa.func.count(), sa.func.max(run.end_time))
        .where(ids)
        .group_by(run.job, run.status)
    )
    for job, status, count, end in connection.execute(of_runs):
        totals.runs[job, status] += count
        if end is not None:
            totals.last_end[job, status] = max(end, totals.last_end.get((job, status), 0))
    of_sources = (
        sa.select(
            *(part.source, part.status, sa.func.count(), sa.func.max(run.end_time)),
            *(sa.func.sum(part[name]) for name in COUNTED),
        )
        .join_from(t.source_run, t.job_run, part.run_id == run.id)
        .where(part.run_id > after, part.run_id <= last)
        .group_by(part.source, part.status)
    )
    for source, status, count, end, *sums in connection.execute(of_sources):
        totals.parts[source, status] += count
        for name, value in zip(COUNTED, sums, strict=True):
            totals.values[source, name] += int(value)
        if status in _ANSWERED and end is not None:
            totals.last_answer[source] = max(end, totals.last_answer.get(source, 0))
