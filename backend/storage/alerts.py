"""Open alerts, and the queue of messages to the operator.

An alert and its messages are stored in one transaction: a restart sends no message twice, and a message that
was not delivered is sent by the next process. One process at a time watches the state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database, clock_of, from_epoch, inserted_id, to_epoch
from backend.storage.process_identity import is_dead, this_process
from backend.storage.run_records import REPLAYED, JobRun, job_runs

KEPT = timedelta(days=30)
"""Age up to which messages are stored."""

GIVEN_UP_AFTER = timedelta(days=1)
"""Age after which a message that could not be delivered is no longer sent."""

RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Wait after each failed delivery; the last one repeats."""

IN_DELIVERY = timedelta(minutes=5)
"""Time after which a message whose sender died is sent by another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSubject:
    """A problem as it is now. `key` identifies it: a code, and what it is about ("source_failing:ffvl").

    `failures` counts the failures in a row that show it; 1 for a state that is not a series of runs.
    """

    key: str
    sentence: str
    what_to_do: str
    failures: int = 1


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """A problem that was reported and is not over; `since` is the time of the report (UTC)."""

    key: str
    sentence: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """The title and the body of a message, and whether it only has good news."""

    title: str
    body: str
    good: bool = False


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message for one address, which `target` identifies; `attempts` counts its failed deliveries."""

    id: int
    target: str
    message: Message
    attempts: int


class AlertStore:
    """Access to alerts and messages. All methods block and raise StoreUnavailableError."""

    def __init__(self, database: Database, *, owner: str | None = None) -> None:
        self.database = database
        self.owner = owner or this_process()

    def take_turn(self, seconds: float) -> bool:
        """Return whether this process is the one that watches, for these `seconds` from now on."""
        turn = t.alert_turn
        with self.database.write() as connection:
            row = connection.execute(sa.select(turn)).one_or_none()
            now = clock_of(connection)
            mine = {"owner": self.owner, "until": now + seconds}
            if row is None:
                connection.execute(sa.insert(turn).values(mine))
                return True
            # A lease that ends further ahead than any was written under a clock that was ahead.
            live = now < row.until <= now + 2 * seconds and not is_dead(row.owner)
            if row.owner != self.owner and live:
                return False
            connection.execute(sa.update(turn).values(mine))
            return True

    def open_alerts(self) -> list[OpenAlert]:
        """Return the open alerts, oldest first."""
        with self.database.read() as connection:
            return _open(connection)

    def change(
        self,
        now: datetime,
        current: Sequence[AlertSubject],
        *,
        undetermined: Collection[str],
        after: int,
        targets: Collection[str],
        text: Callable[[Sequence[AlertSubject], Sequence[OpenAlert]], Message],
    ) -> tuple[list[AlertSubject], list[OpenAlert]]:
        """Store what is worse and what is over, and queue one message about it for each target.

        A problem is reported from `after` failures in a row on, and is over once it is not in `current`. Open
        alerts whose code is in `undetermined` stay: nothing is known about them now. `text` writes the
        message. Returns the new alerts and those that are over.
        """
        alert = t.alert_open
        with self.database.write() as connection:
            before = {one.key: one for one in _open(connection)}
            worse = [one for one in current if one.key not in before and one.failures >= after]
            present = {one.key for one in current}
            over = [
                one
                for key, one in before.items()
                if key not in present
                and key.partition(":")[0] not in undetermined
                and key not in undetermined
            ]
            if worse:
                rows = [
                    {"subject": one.key, "since": to_epoch(now), "sentence": one.sentence} for one in worse
                ]
                connection.execute(sa.insert(alert), rows)
            if over:
                connection.execute(
                    sa.delete(alert).where(alert.c.subject == sa.bindparam("gone")),
                    [{"gone": one.key} for one in over],
                )
            if worse or over:
                _queue(connection, "change", now, targets, text(worse, over))
            old = t.alert_message.c.created_at < to_epoch(now - KEPT)
            connection.execute(sa.delete(t.alert_message).where(old))
        return worse, over

    def add_digest(
        self,
        now: datetime,
        since: datetime,
        targets: Collection[str],
        text: Callable[[Sequence[OpenAlert]], Message],
    ) -> None:
        """Queue a message about the open alerts, unless there is none or one was queued since `since`."""
        message = t.alert_message.c
        with self.database.write() as connection:
            last = connection.execute(
                sa.select(sa.func.max(message.created_at)).where(
                    message.kind == "digest", message.created_at <= to_epoch(now)
                )
            ).scalar()
            alerts = _open(connection)
            if alerts and (last is None or last < to_epoch(since)):
                _queue(connection, "digest", now, targets, text(alerts))

    def claim_due(self, now: datetime, targets: Collection[str]) -> QueuedMessage | None:
        """Return the oldest message to send now to one of these targets, and reserve it.

        One at a time: behind an address that holds its connection for long, the reservation of the others
        would run out, and another process would send them too.
        """
        message = t.alert_message.c
        query = (
            sa.select(t.alert_message)
            .where(
                message.sent_at.is_(None),
                message.target.in_(sorted(targets)),
                message.retry_at <= to_epoch(now),
                message.created_at > to_epoch(now - GIVEN_UP_AFTER),
            )
            .order_by(message.id)
            .limit(1)
        )
        with self.database.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            connection.execute(
                sa.update(t.alert_message)
                .where(message.id == row.id)
                .values(retry_at=to_epoch(now + IN_DELIVERY))
            )
        return QueuedMessage(row.id, row.target, Message(row.title, row.body, row.good), row.attempts)

    def note_delivery(self, queued: QueuedMessage, now: datetime, *, delivered: bool) -> None:
        """Store that a message was delivered, or when it is sent again."""
        wait = RETRY_AFTER[min(queued.attempts, len(RETRY_AFTER) - 1)]
        values: dict[str, object] = (
            {"sent_at": to_epoch(now)}
            if delivered
            else {"attempts": queued.attempts + 1, "retry_at": to_epoch(now + wait)}
        )
        with self.database.write() as connection:
            connection.execute(
                sa.update(t.alert_message).where(t.alert_message.c.id == queued.id).values(values)
            )

    # --- What alerts are made from -----------------------------------------------------------------

    def newest_runs(self, job: str, limit: int) -> tuple[JobRun, ...]:
        """Return the last runs of a job that ended with a result, newest first.

        Backfills and replays do not count, nor do missed, interrupted or cancelled runs.
        """
        run = t.job_run.c
        query = (
            sa.select(t.job_run)
            .where(
                run.job == job,
                run.trigger != "backfill",
                ~run.note.startswith(REPLAYED),
                run.status.in_(("success", "partial", "nothing_new", "failed")),
            )
            .order_by(run.id.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            return job_runs(connection, connection.execute(query).all())

    def missed_slots(self, job: str, since: datetime, now: datetime) -> list[datetime]:
        """Return the scheduled times of a job from `since` to `now` that no process ran, oldest first."""
        run = t.job_run.c
        query = (
            sa.select(run.slot)
            .where(run.job == job, run.status == "missed")
            .where(run.slot.between(to_epoch(since), to_epoch(now)))
            .order_by(run.slot)
        )
        with self.database.read() as connection:
            return [from_epoch(slot) for (slot,) in connection.execute(query)]

    def counted_values(self, since: datetime) -> dict[str, tuple[int, int]]:
        """Return, by source, how many values its runs collected since then, and how many they rejected."""
        part = t.source_run.c
        query = (
            sa.select(part.source, sa.func.sum(part.collected), sa.func.sum(part.rejected))
            .join_from(t.source_run, t.job_run, part.run_id == t.job_run.c.id)
            .where(t.job_run.c.end_time >= to_epoch(since), t.job_run.c.trigger != "backfill")
            .group_by(part.source)
        )
        with self.database.read() as connection:
            return {
                source: (int(collected), int(rejected))
                for source, collected, rejected in connection.execute(query)
            }

    def first_run(self) -> datetime | None:
        """Return when the first run of all ended; None before it."""
        with self.database.read() as connection:
            end = connection.execute(sa.select(sa.func.min(t.job_run.c.end_time))).scalar()
        return None if end is None else from_epoch(end)


def _open(connection: sa.Connection) -> list[OpenAlert]:
    alert = t.alert_open.c
    rows = connection.execute(sa.select(t.alert_open).order_by(alert.since, alert.subject))
    return [OpenAlert(row.subject, row.sentence, from_epoch(row.since)) for row in rows]


def _queue(
    connection: sa.Connection, kind: str, now: datetime, targets: Collection[str], message: Message
) -> None:
    for target in sorted(targets):
        inserted_id(
            connection,
            sa.insert(t.alert_message).values(
                kind=kind,
                created_at=to_epoch(now),
                target=target,
                title=message.title,
                body=message.body,
                good=message.good,
                attempts=0,
                retry_at=to_epoch(now),
            ),
        )
