"""Up to when raw values were exported and removed, and what that means for score days and new values.

A score day whose raw values are gone is final: nothing computes it again. New values from before are not
stored: they could not be scored, and nothing would distinguish them from those that were exported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from backend.core.clock import DAY_SECONDS
from backend.core.local_time import day_of_epoch, local_moment
from backend.storage import schema as t
from backend.storage.database import from_epoch, maybe_time, to_epoch
from backend.storage.due import EVERY_DAY, READING_REACH
from backend.storage.origins import ORIGINS

LOOK_EVERY = timedelta(hours=23)
"""Least time between two looks of services: one a day, by one of the processes on a store."""

_FLOOR = {t.forecast: t.retention.c.forecasts_from, t.observation: t.retention.c.observations_from}
_BATCHES = {
    # No lead is longer than 22 days, and no reading is later than its batch.
    t.forecast: (t.forecast_batch.c.reference_time, 22 * DAY_SECONDS, t.removed_forecast),
    t.observation: (t.observation_batch.c.collected_at, DAY_SECONDS, t.removed_observation),
}


@dataclass(frozen=True, slots=True)
class Retention:
    """What is still kept: raw values of before these moments (epoch seconds) were exported and removed.

    `problem` is why the newest look could not do its work, `since` when that was first so (UTC).
    """

    forecasts_from: int | None = None
    observations_from: int | None = None
    problem: str | None = None
    since: datetime | None = None

    def of(self, table: sa.Table) -> int | None:
        """Return the floor of one of the two tables."""
        return self.forecasts_from if table is t.forecast else self.observations_from

    @property
    def scored_from(self) -> int | None:
        """Return the moment from which both kinds of values are kept, or None."""
        return max(filter(None, (self.forecasts_from, self.observations_from)), default=None)


def retention(connection: sa.Connection) -> Retention:
    """Return what is kept in the store."""
    row = connection.execute(sa.select(t.retention)).first()
    if row is None:
        return Retention()
    return Retention(row.forecasts_from, row.observations_from, row.problem, maybe_time(row.problem_since))


def first_open_day(connection: sa.Connection) -> int:
    """Return the first local day that can be computed: all earlier ones are final. 0 if none is."""
    floor = retention(connection).scored_from
    return 0 if floor is None else first_day_from(floor)


def first_day_from(floor: int) -> int:
    """Return the first local day whose values, and those around it, are all from a moment on."""
    day = day_of_epoch(floor + READING_REACH)
    return day if local_moment(day) >= floor + READING_REACH else day + 1


def unsettled_before(connection: sa.Connection, day: int) -> bool:
    """Return True if a score day before `day` still has to be computed."""
    marked = sa.select(t.due_day.c.site_id).where(sa.or_(t.due_day.c.day < day, t.due_day.c.day == EVERY_DAY))
    return connection.execute(marked.limit(1)).first() is not None


def raise_floor(connection: sa.Connection, table: sa.Table, moment: int) -> None:
    """Record that values of before a moment are removed from now on; the floor never falls."""
    column = _FLOOR[table]
    _one_row(connection)
    connection.execute(
        sa.update(t.retention).where(sa.or_(column.is_(None), column < moment)).values({column: moment})
    )


def newest_value(connection: sa.Connection, table: sa.Table) -> int | None:
    """Return the start of the newest run, or the time of the newest reading, in the store; None if none."""
    newest = t.forecast_batch.c.reference_time if table is t.forecast else t.station.c.newest
    return connection.execute(sa.select(sa.func.max(newest))).scalar()


def count_rows(
    connection: sa.Connection, table: sa.Table, owners: Iterable[int], first: int, end: int
) -> int:
    """Return the number of rows of sites or stations from `first` to before `end`."""
    owner, time = list(table.primary_key)[:2]
    query = sa.select(sa.func.count()).where(owner == sa.bindparam("owner"), time >= first, time < end)
    return sum(connection.execute(query, {"owner": each}).scalar_one() for each in owners)


def remove_rows(connection: sa.Connection, table: sa.Table, owner: int, first: int, end: int) -> int:
    """Delete the rows of a site or station from `first` to before `end`; return how many."""
    removed = 0
    for each in (ORIGINS[table], table):
        columns = list(each.primary_key)
        removed = connection.execute(
            sa.delete(each).where(columns[0] == owner, columns[1] >= first, columns[1] < end)
        ).rowcount
    return removed


def remove_batches(connection: sa.Connection, table: sa.Table, floor: int) -> None:
    """Delete the batches that can have no row from `floor` on, and no value that the operator removed."""
    time, reach, set_aside = _BATCHES[table]
    number = time.table.c.id
    still_named = number.in_(sa.select(set_aside.c.batch_id))
    # SQLite gives the number of a deleted newest batch again, and an import is known by the numbers of its
    # batches.
    is_newest = number == sa.select(sa.func.max(number)).scalar_subquery()
    connection.execute(sa.delete(time.table).where(time < floor - reach, ~still_named, ~is_newest))


def take_turn(connection: sa.Connection, now: datetime) -> bool:
    """Return True if the look of this day is for this process; no other process gets it then."""
    _one_row(connection)
    looked = t.retention.c.looked_at
    # A time ahead of the clock is from a clock that was wrong.
    due = sa.or_(looked.is_(None), looked <= to_epoch(now - LOOK_EVERY), looked > to_epoch(now))
    taken = connection.execute(sa.update(t.retention).where(due).values(looked_at=to_epoch(now)))
    return bool(taken.rowcount)


def note_problem(connection: sa.Connection, problem: str | None, now: datetime) -> None:
    """Record why a look could not do its work, or that it could (None)."""
    _one_row(connection)
    known = retention(connection)
    since = None if problem is None else to_epoch(now if known.since is None else known.since)
    connection.execute(sa.update(t.retention).values(problem=problem, problem_since=since))


def described(floor: int) -> str:
    """Return a floor as a day of UTC."""
    return f"{from_epoch(floor):%Y-%m-%d}"


def _one_row(connection: sa.Connection) -> None:
    if connection.execute(sa.select(t.retention.c.key)).first() is None:
        connection.execute(sa.insert(t.retention).values(key=1))
