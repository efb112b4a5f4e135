"""The ledger: what was due, which process did it, how it ended. APScheduler only ticks; the ledger decides.

A run is claimed by inserting its row before the work starts, with an owner, an epoch and a lease. A unique
index allows one `running` row per job, for all processes together. A takeover raises the epoch. Later writes
of the former owner name its old epoch and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count

import sqlalchemy as sa

from backend.core.clock import CLOCK_TOLERANCE
from backend.core.errors import JobBusyError, MeteoScoreError, StoreUnavailableError
from backend.core.records import RunStatus
from backend.storage import schema as t
from backend.storage.database import (
    Database,
    clock_of,
    from_epoch,
    insert_into,
    inserted_id,
    maybe_epoch,
    maybe_time,
    to_epoch,
)
from backend.storage.process_identity import is_dead, is_observable, this_process
from backend.storage.run_queries import RunQueries
from backend.storage.run_records import Claim, Pause, SourceRun, source_row
from backend.storage.same_store import SameStore

MAX_ATTEMPTS = 10
"""Maximum attempts per slot; stops a run that crashes the process every time."""

QUEUE_OWNER = "queue"
"""The owner of a run that workers do (run_tasks.py): no process, so that the run outlives each of them."""

HandOver = Callable[[sa.Connection, Claim], None]
"""Stores the tasks of a claimed run, in the transaction of the claim."""

_LONGEST_LEASE = timedelta(hours=2).total_seconds()  # twice what LEASE_SECONDS may be


class LeaseLostError(MeteoScoreError):
    """Another process took this run over. Remaining writes of this process are refused."""


def require_lease(connection: sa.Connection, claim: Claim | None) -> None:
    """Raise LeaseLostError unless `claim` is still valid. None stands for a write without a run."""
    if claim is None:
        return
    run = t.job_run.c
    mine = sa.select(run.id).where(
        run.id == claim.run_id,
        run.owner == claim.owner,
        run.epoch == claim.epoch,
        run.status == "running",
    )
    if claim.task is not None:
        task = t.run_task.c
        mine = mine.join_from(t.job_run, t.run_task).where(
            task.id == claim.task, task.turn == claim.turn, task.outcome.is_(None)
        )
    if connection.execute(mine).first() is None:
        raise LeaseLostError(f"run {claim.run_id} was taken over: epoch {claim.epoch} is no longer its own")


class Ledger(RunQueries):
    """The runs of the jobs. All methods block: call them from a thread. `lease` is in seconds."""

    def __init__(self, database: Database, *, lease: float = 60.0, owner: str | None = None) -> None:
        super().__init__(database)
        self.lease = lease
        self.owner = owner or this_process()
        self.reaps_queue = True
        """Whether a run in the queue is interrupted when its lease ran out.

        False where keepers look after it: after a database that was away for longer than a lease, its workers
        are still at work.
        """
        self._same = SameStore(database)
        self.changes = 0  # a new number after each write of this process, except renewals of a lease
        self._numbers = count(1)
        self._under_way: set[Claim] = set()  # claims of this process whose end is not stored yet

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        try:
            with self.database.write() as connection:
                yield connection
        finally:
            # Also after an error: the transaction may be committed although its answer was lost.
            self.changes = next(self._numbers)

    # --- Schedules and pauses ----------------------------------------------------------------------

    def note_schedule(self, job: str, schedule: str, now: datetime) -> datetime:
        """Store since when a job has this schedule, and return that time: older slots are not caught up.

        Times that an earlier process wrote under a clock that was ahead are corrected to `now`: a schedule
        that would be valid only from then on, and a pause that would end only then.
        """
        with self._write() as connection:
            pause = t.job_pause
            for column in (pause.c.paused_at, pause.c.resumed_at):
                ahead = column > to_epoch(now + CLOCK_TOLERANCE)
                connection.execute(
                    sa.update(pause).where(pause.c.job == job, ahead).values({column: to_epoch(now)})
                )
            insert = insert_into(connection, t.job)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"schedule": insert.excluded.schedule, "valid_since": insert.excluded.valid_since},
                    where=sa.or_(
                        t.job.c.schedule != insert.excluded.schedule,
                        t.job.c.valid_since > to_epoch(now + CLOCK_TOLERANCE),
                    ),
                ),
                {"name": job, "schedule": schedule, "valid_since": to_epoch(now)},
            )
            since = connection.execute(sa.select(t.job.c.valid_since).where(t.job.c.name == job)).scalar_one()
        return from_epoch(since)

    def pause(self, job: str, by: str, now: datetime) -> None:
        """Stop the job's scheduled runs until it is resumed; pausing twice changes nothing."""
        row = {"job": job, "paused_at": to_epoch(now), "paused_by": by}
        with self._write() as connection:
            connection.execute(insert_into(connection, t.job_pause).on_conflict_do_nothing(), row)

    def resume(self, job: str, by: str, now: datetime) -> None:
        """End a pause; slots during the pause are not caught up."""
        pause = t.job_pause
        with self._write() as connection:
            connection.execute(
                sa.update(pause)
                .where(pause.c.job == job, pause.c.resumed_at.is_(None))
                .values(resumed_at=to_epoch(now), resumed_by=by)
            )

    def pauses(self, job: str, since: datetime) -> tuple[Pause, ...]:
        """Return the pauses of a job that lasted beyond `since`, oldest first."""
        pause = t.job_pause.c
        lasted = sa.or_(pause.resumed_at.is_(None), pause.resumed_at >= to_epoch(since))
        query = sa.select(t.job_pause).where(pause.job == job, lasted).order_by(pause.paused_at)
        with self.database.read() as connection:
            return tuple(
                Pause(from_epoch(row.paused_at), row.paused_by, maybe_time(row.resumed_at))
                for row in connection.execute(query)
            )

    # --- Claims ------------------------------------------------------------------------------------

    def claim(
        self,
        job: str,
        trigger: str,
        now: datetime,
        slot: datetime | None = None,
        hand_over: HandOver | None = None,
    ) -> Claim | None:
        """Claim a run of `job`, for a slot or by hand; return None if the slot has its run already.

        With `hand_over` the run is the queue's. Raises JobBusyError while another live process runs the same
        job, StoreReplacedError.
        """
        claim: Claim | None = None
        owner = self.owner if hand_over is None else QUEUE_OWNER
        try:
            with self._write() as connection:
                claim = self._take(connection, job, trigger, now, slot, owner)
                if claim is not None and hand_over is not None:
                    hand_over(connection, claim)
                elif claim is not None:
                    self._under_way.add(claim)
            if claim is not None:
                self._same.note(claim)
        except StoreUnavailableError:
            # The row may be stored although the answer was lost. Then its lease expires without renewal.
            if claim is not None:
                self._under_way.discard(claim)
            raise
        return claim

    def _take(
        self,
        connection: sa.Connection,
        job: str,
        trigger: str,
        now: datetime,
        slot: datetime | None,
        owner: str,
    ) -> Claim | None:
        self._same.require(connection)
        self._reap(connection, job, now)
        running = connection.execute(
            sa.select(t.job_run.c.id).where(t.job_run.c.job == job, t.job_run.c.status == "running")
        ).scalar()
        if running is not None:
            raise JobBusyError(job, running)
        slot_row = None
        if slot is not None:
            of_slot = sa.select(t.job_run).where(t.job_run.c.job == job, t.job_run.c.slot == to_epoch(slot))
            slot_row = connection.execute(of_slot).one_or_none()
        values = {
            "trigger": trigger,
            "status": "running",
            "owner": owner,
            "lease_until": clock_of(connection) + self.lease,
            "start_time": to_epoch(now),
        }
        if slot_row is None:
            new_run = sa.insert(t.job_run).values(job=job, slot=maybe_epoch(slot), epoch=1, **values)
            return Claim(inserted_id(connection, new_run), job, owner, 1)
        if slot_row.status != "interrupted" or slot_row.epoch >= MAX_ATTEMPTS:
            return None
        epoch = slot_row.epoch + 1
        new_attempt = values | {"epoch": epoch, "end_time": None, "duration": None}
        connection.execute(sa.update(t.job_run).where(t.job_run.c.id == slot_row.id).values(new_attempt))
        return Claim(slot_row.id, job, owner, epoch)

    def require_same_store(self) -> None:
        """Raise StoreReplacedError if the store is not the one that this process has used so far."""
        with self.database.read() as connection:
            self._same.require(connection)

    def renew(self, claim: Claim) -> None:
        """Extend the lease; raise LeaseLostError if another process took the run over."""
        with self.database.write() as connection:
            require_lease(connection, claim)
            connection.execute(
                sa.update(t.job_run)
                .where(t.job_run.c.id == claim.run_id)
                .values(lease_until=clock_of(connection) + self.lease)
            )

    def finish(
        self,
        claim: Claim,
        status: RunStatus,
        now: datetime,
        *,
        duration: float,
        sources: Sequence[SourceRun] = (),
        note: str = "",
    ) -> None:
        """Store how a run ended; raise LeaseLostError if another process took it over."""
        try:
            with self._write() as connection:
                require_lease(connection, claim)
                mine = t.job_run.c.id == claim.run_id
                earlier = connection.execute(sa.select(t.job_run.c.note).where(mine)).scalar_one()
                connection.execute(
                    sa.update(t.job_run)
                    .where(mine)
                    .values(
                        status=status,
                        end_time=to_epoch(now),
                        duration=duration,
                        collected=sum(source.collected for source in sources),
                        stored=sum(source.stored for source in sources),
                        rejected=sum(source.rejected for source in sources),
                        note=_joined(earlier, note),
                    )
                )
                connection.execute(sa.delete(t.run_task).where(t.run_task.c.run_id == claim.run_id))
                if sources:
                    rows = [source_row(claim.run_id, source) for source in sources]
                    connection.execute(sa.insert(t.source_run), rows)
                _note_newest(connection, sources, now)
        except LeaseLostError:
            self._under_way.discard(claim)
            raise
        self._under_way.discard(claim)

    def note_missed(self, job: str, slots: Sequence[datetime], reason: str) -> None:
        """Insert a row with the reason for each slot that will not run; existing rows stay."""
        rows = [
            {
                "job": job,
                "slot": to_epoch(slot),
                "trigger": "catch_up",
                "status": "missed",
                "owner": self.owner,
                "epoch": 1,
                "lease_until": 0.0,
                "note": reason,
            }
            for slot in slots
        ]
        if rows:
            with self._write() as connection:
                insert = insert_into(connection, t.job_run)
                connection.execute(insert.on_conflict_do_nothing(index_elements=["job", "slot"]), rows)

    def reap(self, job: str, now: datetime) -> None:
        """Mark a running run as interrupted if its owner died or its lease expired."""
        with self._write() as connection:
            self._reap(connection, job, now)

    def open_slots(self, job: str, since: datetime, now: datetime) -> tuple[set[datetime], set[datetime]]:
        """Return the slots from `since` to `now` that are done, and those that need another attempt.

        If the clock was ahead, later slots have rows too. They do not matter for what is due now.
        """
        query = sa.select(t.job_run.c.slot, t.job_run.c.status, t.job_run.c.epoch).where(
            t.job_run.c.job == job, t.job_run.c.slot.between(to_epoch(since), to_epoch(now))
        )
        done: set[datetime] = set()
        again: set[datetime] = set()
        with self.database.read() as connection:
            for slot, status, epoch in connection.execute(query):
                retry = status == "interrupted" and epoch < MAX_ATTEMPTS
                (again if retry else done).add(from_epoch(slot))
        return done, again

    def _reap(self, connection: sa.Connection, job: str, now: datetime) -> None:
        query = sa.select(t.job_run).where(t.job_run.c.job == job, t.job_run.c.status == "running")
        for row in connection.execute(query).all():
            if Claim(row.id, row.job, row.owner, row.epoch) in self._under_way:
                continue  # this process runs it, even if the store was down when the lease was due
            if row.owner == QUEUE_OWNER and not self.reaps_queue:
                continue
            dead, clock = is_dead(row.owner), clock_of(connection)
            # No process takes a lease of this length: it was written under a clock that was ahead.
            impossible = row.lease_until > clock + _LONGEST_LEASE and not is_observable(row.owner)
            if row.lease_until >= clock and not dead and not impossible:
                continue
            why = "its process died" if dead else "its lease ran out"
            if impossible and not dead:
                why = "its lease ends further ahead than any: it was written under a clock that was ahead"
            note = f"attempt {row.epoch} was interrupted: {why} ({row.owner})"  # never shown in public
            connection.execute(
                sa.update(t.job_run)
                .where(t.job_run.c.id == row.id, t.job_run.c.epoch == row.epoch)
                .values(status="interrupted", end_time=to_epoch(now), note=_joined(row.note, note))
            )


def _note_newest(connection: sa.Connection, sources: Sequence[SourceRun], now: datetime) -> None:
    """Store the time of the newest data of each source, unless a later time is stored.

    A stored time ahead of `now` was written under a clock that was ahead, so that it is replaced.
    """
    newest = t.source_newest.c.newest
    rows = [
        {"source": source.source, "newest": to_epoch(source.newest)} for source in sources if source.newest
    ]
    if rows:
        insert = insert_into(connection, t.source_newest)
        later = insert.on_conflict_do_update(
            index_elements=["source"],
            set_={"newest": insert.excluded.newest},
            where=sa.or_(insert.excluded.newest > newest, newest > to_epoch(now + CLOCK_TOLERANCE)),
        )
        connection.execute(later, rows)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
