"""Queries of job runs: single runs, pages, streaks of failures, and the present status."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from backend.core.clock import CLOCK_TOLERANCE
from backend.core.errors import NotFoundError
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, to_epoch
from backend.storage.run_records import REPLAYED, FailureStreak, JobRun, StatusSnapshot, job_runs

_BEYOND_ANY_ID = 2**31  # ids have 31 bits; the databases report larger numbers as errors, each differently


class RunQueries:
    """Read access to the ledger. All methods block: call them from a thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.started_after = 0  # the newest run when this process opened the store; 0: all runs count
        self._answered: set[str] = set()  # sources with an answer since the start: they are not silent
        self._failed_since: dict[str, datetime] = {}  # start of the first failed run of a source
        self._judged = 0  # these two include the runs up to this one

    def run(self, run_id: int) -> JobRun:
        """Return one run with its sources; raise NotFoundError."""
        number = sa.literal(min(run_id, _BEYOND_ANY_ID), sa.BigInteger)
        with self.database.read() as connection:
            row = connection.execute(sa.select(t.job_run).where(t.job_run.c.id == number)).one_or_none()
            if row is None:
                raise NotFoundError(f"there is no run {run_id}")
            return job_runs(connection, [row])[0]

    def runs(
        self,
        *,
        job: str | None = None,
        status: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> tuple[JobRun, ...]:
        """Return runs, newest first, with their sources; `before` is the id after which the page starts."""
        query = sa.select(t.job_run).order_by(t.job_run.c.id.desc()).limit(limit)
        if job is not None:
            query = query.where(t.job_run.c.job == job)
        if status is not None:
            query = query.where(t.job_run.c.status == status)
        if before is not None:
            query = query.where(t.job_run.c.id < before)
        with self.database.read() as connection:
            return job_runs(connection, connection.execute(query).all())

    def note_start(self) -> None:
        """Count only runs from now on as runs since the start of this process."""
        with self.database.read() as connection:
            newest = connection.execute(sa.select(sa.func.max(t.job_run.c.id))).scalar()
        self.started_after = newest or 0
        self._failed_since.clear()

    def failure_streak(self, job: str) -> FailureStreak | None:
        """Return how many runs of a job failed in a row up to now; None if the last one did not fail.

        Only runs with a result count: not missed, interrupted or cancelled ones, no backfill, no replay.
        """
        run = t.job_run.c
        not_replayed = ~run.note.startswith(REPLAYED)
        of_job = sa.and_(run.job == job, run.trigger != "backfill", not_replayed)
        not_failed = sa.select(run.id).where(of_job, run.status.in_(("success", "partial", "nothing_new")))
        last = not_failed.order_by(run.id.desc()).limit(1).scalar_subquery()
        failed = sa.select(sa.func.count(), sa.func.min(run.end_time)).where(
            of_job, run.status == "failed", run.id > sa.func.coalesce(last, 0)
        )
        with self.database.read() as connection:
            count, since = connection.execute(failed).one()
        return FailureStreak(job, count, from_epoch(since)) if count else None

    def silent_sources(self, sources: Collection[str]) -> dict[str, datetime]:
        """Return which of these sources failed in every run since the start, and since when (UTC).

        Each call reads only the runs that ended since the last call, and those newer than the oldest run that
        is still running.
        """
        run, part = t.job_run.c, t.source_run.c
        query = (
            sa.select(part.source, part.run_id, part.status, run.start_time)
            .join_from(t.source_run, t.job_run, part.run_id == run.id)
            .where(part.run_id > max(self._judged, self.started_after), part.status != "disabled")
            .where(~run.note.startswith(REPLAYED))
            .order_by(part.run_id)
        )
        under_way = sa.select(sa.func.min(run.id)).where(run.status == "running")
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            running = connection.execute(under_way).scalar()
            newest = connection.execute(sa.select(sa.func.max(run.id))).scalar() or 0
        for row in rows:
            if row.status == "failed":
                self._failed_since.setdefault(row.source, from_epoch(row.start_time))
            else:
                self._answered.add(row.source)
        self._judged = newest if running is None else running - 1
        silent = self._failed_since.keys() & set(sources) - self._answered
        return {source: self._failed_since[source] for source in sorted(silent)}

    def newest_data(self) -> dict[str, datetime]:
        """Return, per source, the time of its newest data in all runs."""
        with self.database.read() as connection:
            return _newest_data(connection)

    def status_snapshot(self, jobs: Sequence[str], now: datetime) -> StatusSnapshot:
        """Return the latest run of each job, the current runs and the newest data, in one state of the store.

        The latest run is the one that ended last, in any status. A missed slot has no end and does not count.
        A run that ended later than `now`, by a clock that was ahead, counts only if there is no other.
        """
        with self.database.read() as connection:
            ended = [
                connection.execute(_ENDED_BY, {"job": job, "end": to_epoch(now + CLOCK_TOLERANCE)}).first()
                or connection.execute(_ENDED, {"job": job}).first()
                for job in jobs
            ]
            running = connection.execute(_RUNNING).all()
            rows = [row for row in ended if row is not None]
            runs = job_runs(connection, [*rows, *running])
            newest = _newest_data(connection)
        latest, current = runs[: len(rows)], runs[len(rows) :]
        return StatusSnapshot(latest={run.job: run for run in latest}, current=current, newest_data=newest)


_ENDED = (
    sa.select(t.job_run)
    .where(t.job_run.c.job == sa.bindparam("job"), t.job_run.c.end_time.is_not(None))
    .order_by(t.job_run.c.end_time.desc(), t.job_run.c.id.desc())
    .limit(1)
)
_ENDED_BY = _ENDED.where(t.job_run.c.end_time <= sa.bindparam("end"))
_RUNNING = sa.select(t.job_run).where(t.job_run.c.status == "running").order_by(t.job_run.c.id.desc())
_NEWEST = sa.select(t.source_newest)


def _newest_data(connection: sa.Connection) -> dict[str, datetime]:
    return {row.source: from_epoch(row.newest) for row in connection.execute(_NEWEST)}
