"""The parts of runs that workers do, in the ledger: what is left to do, who does it, how it ended.

A run that is handed over belongs to the queue: its owner is no process, so that it outlives the process that
claimed it. Its lease is renewed by each worker at work on it and by each process that looks after the queue.
The tasks of a run are stored in the transaction that claims it, and deleted in the one that ends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace

import sqlalchemy as sa

from backend.storage import queue
from backend.storage import schema as t
from backend.storage.database import Database, clock_of, from_epoch, maybe_epoch, maybe_time
from backend.storage.ledger import MAX_ATTEMPTS, QUEUE_OWNER, require_lease
from backend.storage.process_identity import is_dead, this_process
from backend.storage.run_records import Claim, SourceRun, source_row, source_run

MOST_TURNS = MAX_ATTEMPTS
"""How often a task is started; this stops one that ends its process every time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """What a task does: one source, for some sites or (None) all; with `since` and `until`, a backfill."""

    source: str
    part: int = 0
    sites: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTask:
    """A task that this process does now."""

    claim: Claim
    order: TaskOrder
    slot: datetime | None
    trigger: str
    run_start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A run under way in the queue, with the outcomes of its tasks: None for each that is not done."""

    claim: Claim
    start: datetime
    tasks: tuple[tuple[TaskOrder, SourceRun | None], ...]

    @property
    def is_done(self) -> bool:
        """Return True if every task is done."""
        return all(outcome is not None for _, outcome in self.tasks)


class RunTasks:
    """The tasks in the store. All methods block: call them from a thread. `lease` is in seconds."""

    def __init__(self, database: Database, *, lease: float, owner: str | None = None) -> None:
        self._database = database
        self._lease = lease
        self._owner = owner or this_process()

    def handing_over(self, orders: Sequence[TaskOrder]) -> Callable[[sa.Connection, Claim], None]:
        """Return what stores and queues the tasks of a run, in the transaction that claims it."""

        def hand_over(connection: sa.Connection, claim: Claim) -> None:
            connection.execute(sa.delete(t.run_task).where(t.run_task.c.run_id == claim.run_id))
            rows = [
                {
                    "run_id": claim.run_id,
                    "source": order.source,
                    "part": order.part,
                    "sites": None if order.sites is None else json.dumps(order.sites),
                    "since": maybe_epoch(order.since),
                    "until": maybe_epoch(order.until),
                }
                for order in orders
            ]
            if rows:
                connection.execute(sa.insert(t.run_task), rows)
            _queue_open(connection, claim.run_id)

        return hand_over

    def begin(self, task: int) -> StartedTask | None:
        """Begin a task, also one that another worker began and did not end; None if it is done or gone."""
        run, row = t.job_run.c, t.run_task.c
        query = (
            sa.select(t.run_task, run.job, run.epoch, run.slot, run.trigger, run.start_time)
            .join_from(t.run_task, t.job_run)
            .where(row.id == task, row.outcome.is_(None), run.status == "running", run.owner == QUEUE_OWNER)
        )
        with self._database.write() as connection:
            found = connection.execute(query).one_or_none()
            if found is None:
                return None
            turn = found.turn + 1
            values: dict[str, object] = {"turn": turn, "owner": self._owner}
            if turn > MOST_TURNS:
                reason = f"given up: its process ended {MOST_TURNS} times during this task"
                failed = SourceRun(source=found.source, status="failed", reason=reason)
                values["outcome"] = json.dumps(source_row(found.run_id, failed))
            connection.execute(sa.update(t.run_task).where(row.id == task).values(values))
        if turn > MOST_TURNS:
            return None
        return StartedTask(
            claim=Claim(found.run_id, found.job, QUEUE_OWNER, found.epoch, task, turn),
            order=_order(found),
            slot=maybe_time(found.slot),
            trigger=found.trigger,
            run_start=from_epoch(found.start_time),
        )

    def end(self, claim: Claim, outcome: SourceRun) -> None:
        """Store how a task ended; raise LeaseLostError if it is no longer this worker's."""
        with self._database.write() as connection:
            require_lease(connection, claim)
            done = json.dumps(source_row(claim.run_id, outcome))
            mine = t.run_task.c.id == claim.task
            connection.execute(sa.update(t.run_task).where(mine).values(outcome=done))

    def handed_over(self, run_id: int | None = None) -> tuple[HandedOver, ...]:
        """Return the runs under way in the queue, or the one with this id if it is one of them."""
        with self._database.read() as connection:
            return _handed_over(connection, run_id)

    def look_after(self, silent_seconds: float) -> int:
        """Queue every task that is not done and not in the queue, and renew the leases; return how many.

        The tasks of a worker that died or was silent for `silent_seconds` are taken from it.
        """
        queued_again = 0
        with self._database.write() as connection:
            runs = connection.execute(
                sa.select(t.job_run.c.id).where(
                    t.job_run.c.status == "running", t.job_run.c.owner == QUEUE_OWNER
                )
            )
            ids = list(runs.scalars())
            owners = connection.execute(
                sa.select(t.run_task.c.id, t.run_task.c.owner).where(
                    t.run_task.c.outcome.is_(None), t.run_task.c.owner != ""
                )
            )
            dead = [row.id for row in owners if is_dead(row.owner)]
            removed = queue.remove_stalled(connection, dead, silent_seconds)
            if removed:
                # Without an owner until it is started: the dead one must not count against its next worker.
                taken = sa.update(t.run_task).where(t.run_task.c.id.in_(removed)).values(owner="")
                connection.execute(taken)
            for run_id in ids:
                queued_again += _queue_open(connection, run_id)
            if ids:
                connection.execute(
                    sa.update(t.job_run)
                    .where(t.job_run.c.id.in_(ids))
                    .values(lease_until=clock_of(connection) + self._lease)
                )
        return queued_again


def _queue_open(connection: sa.Connection, run_id: int) -> int:
    """Queue the tasks of a run that are not done and not in the queue; return how many."""
    row = t.run_task.c
    query = (
        sa.select(row.id, row.source, row.part, t.job_run.c.job)
        .join_from(t.run_task, t.job_run)
        .where(row.run_id == run_id, row.outcome.is_(None))
        .order_by(row.id)
    )
    known = queue.queued(connection)
    # The ledger allows one run per job; the lock keeps a part of an earlier attempt from running beside it.
    lost = [
        queue.QueueJob(queue.TASK, found.id, f"{found.job}/{found.source}/{found.part}")
        for found in connection.execute(query)
        if found.id not in known
    ]
    queue.defer(connection, lost)
    return len(lost)


def _order(row: sa.Row[tuple[object, ...]]) -> TaskOrder:
    return TaskOrder(
        source=row.source,
        part=row.part,
        sites=None if row.sites is None else tuple(json.loads(row.sites)),
        since=maybe_time(row.since),
        until=maybe_time(row.until),
    )


def _outcome(text: str | None) -> SourceRun | None:
    return None if text is None else source_run(SimpleNamespace(**json.loads(text)))


def _handed_over(connection: sa.Connection, run_id: int | None) -> tuple[HandedOver, ...]:
    run = t.job_run.c
    query = sa.select(run.id, run.job, run.epoch, run.start_time).where(
        run.status == "running", run.owner == QUEUE_OWNER
    )
    if run_id is not None:
        query = query.where(run.id == run_id)
    found = []
    for row in connection.execute(query.order_by(run.id)).all():
        tasks = sa.select(t.run_task).where(t.run_task.c.run_id == row.id).order_by(t.run_task.c.id)
        found.append(
            HandedOver(
                claim=Claim(row.id, row.job, QUEUE_OWNER, row.epoch),
                start=from_epoch(row.start_time),
                tasks=tuple((_order(task), _outcome(task.outcome)) for task in connection.execute(tasks)),
            )
        )
    return tuple(found)
