"""Queries for the operator: what was received, set aside or flagged, and the size of the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from backend.core.clock import DAY_SECONDS
from backend.core.local_time import HOUR
from backend.core.parameters import PARAMETERS, Parameter
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, is_postgres, to_epoch
from backend.storage.rows import chunks
from backend.storage.site_rows import present_ids


@dataclass(frozen=True, slots=True)
class RejectedGroup:
    """Rejected values of a source with the same reason: their number, and the last one as it was received."""

    source: str
    reason: str
    count: int
    subject: str
    parameter: str | None
    raw: str
    last: datetime


@dataclass(frozen=True, slots=True)
class FlaggedGroup:
    """Readings of a station with the same quality control flag; `last` is the time of the newest."""

    site: str
    station: str
    parameter: Parameter
    reason: str
    count: int
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSize:
    """Bytes of the database, None if it does not state them, and values that runs stored."""

    bytes: int | None
    values: int
    first_day: int | None
    """The day of the first run (UTC, counted from 1970); None before it."""
    days: dict[int, int]
    """Stored values per day (UTC, counted from 1970) of the last days."""


class OperatorQueries:
    """Read access to the store. All methods block and raise StoreUnavailableError."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def received_runs(
        self, sites: Collection[str], since: datetime, now: datetime
    ) -> dict[tuple[str, str], dict[datetime, bool]]:
        """Return, by (site, model), the start of each run since then, and whether it is complete there."""
        part, open_ = t.collected_part.c, t.incomplete_part.c
        received = (
            sa.select(t.model.c.name, part.site_id, part.reference_time)
            .join_from(t.collected_part, t.model, t.model.c.id == part.model_id)
            .where(part.reference_time >= to_epoch(since))
            .distinct()
        )
        incomplete = (
            sa.select(t.model.c.name, open_.site_id, open_.reference_time)
            .join_from(t.incomplete_part, t.model, t.model.c.id == open_.model_id)
            .where(open_.reference_time >= to_epoch(since))
            .distinct()
        )
        runs: defaultdict[tuple[str, str], dict[datetime, bool]] = defaultdict(dict)
        with self.database.read() as connection:
            slugs = {number: slug for slug, number in present_ids(connection, now).items() if slug in sites}
            for chunk in chunks(sorted(slugs)):
                for query, site_id, complete in (
                    (received, part.site_id, True),
                    (incomplete, open_.site_id, False),
                ):
                    for model, number, start in connection.execute(query.where(site_id.in_(chunk))):
                        runs[slugs[number], model][from_epoch(start)] = complete
        return dict(runs)

    def hours_with_readings(
        self, stations: Collection[str], since: datetime, until: datetime
    ) -> dict[str, frozenset[int]]:
        """Return, per station, the hours (epoch seconds) from `since` to before `until` with a reading."""
        time = t.observation.c.time
        hour = (time - time % HOUR).label("hour")
        query = (
            sa.select(t.station.c.code, hour)
            .join_from(t.station, t.observation, t.observation.c.station_id == t.station.c.id)
            .where(time >= to_epoch(since), time < to_epoch(until))
            .distinct()
        )
        hours: defaultdict[str, set[int]] = defaultdict(set)
        with self.database.read() as connection:
            for chunk in chunks(sorted(stations)):
                for code, start in connection.execute(query.where(t.station.c.code.in_(chunk))):
                    hours[code].add(start)
        return {code: frozenset(starts) for code, starts in hours.items()}

    def rejected(self, since: datetime) -> list[RejectedGroup]:
        """Return the values that were rejected since then, by source and reason, most frequent first.

        Of each run only the first are stored, and a repeated value once: the counts of the runs are whole.
        """
        row = t.rejected.c
        counts = (
            sa.select(row.source, row.reason, sa.func.count(), sa.func.max(row.id))
            .where(row.collected_at >= to_epoch(since))
            .group_by(row.source, row.reason)
        )
        groups: dict[tuple[str, str], tuple[int, int]] = {}
        with self.database.read() as connection:
            for source, reason, count, last in connection.execute(counts):
                key = source, reason.partition(":")[0]  # behind the first word stand details of the value
                before = groups.get(key, (0, 0))
                groups[key] = before[0] + count, max(before[1], last)
            newest = {
                found.id: found
                for chunk in chunks([last for _, last in groups.values()])
                for found in connection.execute(sa.select(t.rejected).where(row.id.in_(chunk)))
            }
        return sorted(
            (
                RejectedGroup(
                    source=source,
                    reason=reason,
                    count=count,
                    subject=newest[last].subject,
                    parameter=newest[last].parameter,
                    raw=newest[last].raw,
                    last=from_epoch(newest[last].collected_at),
                )
                for (source, reason), (count, last) in groups.items()
                if last in newest
            ),
            key=lambda group: (-group.count, group.source, group.reason),
        )

    def flagged(self, since: datetime, now: datetime) -> list[FlaggedGroup]:
        """Return the readings since then with a quality control flag, by station, parameter and reason."""
        row = t.doubted.c
        query = (
            sa.select(
                *(row.site_id, t.station.c.code, row.parameter, row.reason),
                *(sa.func.count(), sa.func.max(row.time)),
            )
            .join_from(t.doubted, t.station, t.station.c.id == row.station_id)
            .where(row.time >= to_epoch(since))
            .group_by(row.site_id, t.station.c.code, row.parameter, row.reason)
        )
        with self.database.read() as connection:
            slugs = {number: slug for slug, number in present_ids(connection, now).items()}
            groups = [
                FlaggedGroup(slugs[site], station, PARAMETERS[parameter], reason, number, from_epoch(last))
                for chunk in chunks(sorted(slugs))
                for site, station, parameter, reason, number, last in connection.execute(
                    query.where(row.site_id.in_(chunk))
                )
            ]
        return sorted(groups, key=lambda group: (-group.count, group.site, group.station, group.reason))

    def size(self, now: datetime, days: int) -> StoreSize:
        """Return the size of the store, and what the runs of the last days (UTC) stored."""
        run = t.job_run.c
        # A literal: PostgreSQL takes two parameters for different numbers, in SELECT and in GROUP BY.
        day = run.end_time // sa.literal_column(str(DAY_SECONDS), sa.BigInteger)
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight - timedelta(days=days - 1)
        by_day = (
            sa.select(day, sa.func.sum(run.stored))
            .where(run.end_time >= to_epoch(first), run.end_time <= to_epoch(now))
            .group_by(day)
        )
        with self.database.read() as connection:
            stored = {int(number): int(count) for number, count in connection.execute(by_day)}
            values, begun = connection.execute(
                sa.select(sa.func.sum(run.stored), sa.func.min(run.end_time))
            ).one()
            size = None
            if is_postgres(connection):
                size = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar()
            elif self.database.path is not None:
                files = (self.database.path.with_name(self.database.path.name + end) for end in ("", "-wal"))
                size = sum(file.stat().st_size for file in files if file.exists())
        first_day = int(to_epoch(first)) // DAY_SECONDS
        return StoreSize(
            bytes=size,
            values=int(values or 0),
            first_day=None if begun is None else int(begun) // DAY_SECONDS,
            days={number: stored.get(number, 0) for number in range(first_day, first_day + days)},
        )
