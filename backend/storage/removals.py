"""Removals: values that the operator took out, by whom and why, until they are put back or vacuumed.

A removal of a model or a station holds its period: nothing of it is stored again, by a collection, a
backfill, a replay or an import, until the operator allows it. That of an import refuses the same file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from backend.core.errors import ConfigError, NotFoundError, UnknownNameError
from backend.core.local_time import day_of_epoch
from backend.storage import schema as t
from backend.storage.database import from_epoch, inserted_id, maybe_epoch, maybe_time, to_epoch
from backend.storage.imported_files import imported_file
from backend.storage.removed_rows import (
    REMOVED,
    Count,
    Within,
    count_of_removal,
    counted,
    move_out,
    put_back,
)
from backend.storage.retention import first_open_day, retention

Kind = Literal["model", "station", "import"]
Span = tuple[int, int]
"""The first and the last second of a period, since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to remove: runs of a model that start, or readings of a station, from `first` to `last` (UTC).

    An import has neither; `imported` is its number.
    """

    kind: Kind
    name: str
    first: datetime | None = None
    last: datetime | None = None
    imported: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A removal as it is recorded. Times are UTC; `waiting` is what can still be put back."""

    id: int
    target: Target
    removed_at: datetime
    removed_by: str
    reason: str
    count: Count
    holds: bool
    restored_at: datetime | None
    restored_by: str | None
    vacuumed_at: datetime | None
    waiting: Count


# --- Remove, restore, vacuum --------------------------------------------------------------------------


def remove(
    connection: sa.Connection, target: Target, *, now: datetime, by: str, reason: str, again: bool = False
) -> Removal:
    """Move the values of a target out of the tables of values, in this transaction.

    `again`: they may be stored again, and are asked for again. The record of issued forecasts and the payload
    archive stay as they are. Raises NotFoundError if nothing of the target is stored.
    """
    table, within, batches, name = _selected(connection, target)
    removal = inserted_id(
        connection,
        sa.insert(t.removal).values(
            kind=target.kind,
            name=name,
            imported_id=target.imported,
            first=maybe_epoch(target.first),
            last=maybe_epoch(target.last),
            removed_at=to_epoch(now),
            removed_by=by,
            reason=reason,
            row_count=0,
            value_count=0,
            holds=not again,
        ),
    )
    move_out(connection, table, removal, within, batches)
    count = count_of_removal(connection, removal)
    if not count.rows:
        raise NotFoundError(f"nothing of {described(target)} is stored: nothing was removed")
    connection.execute(
        sa.update(t.removal)
        .where(t.removal.c.id == removal)
        .values(row_count=count.rows, value_count=count.values)
    )
    _renew_newest(connection, table, removal)
    if again:
        _ask_again(connection, target)
    return get(connection, removal)


def stored(connection: sa.Connection, target: Target) -> Count:
    """Return what remove() would take; of rows with values of an import also their other values.

    Raises NotFoundError.
    """
    table, within, batches, _ = _selected(connection, target)
    where = within(table)
    return counted(connection, table, where if batches is None else table.c.batch_id.between(*batches))


def restore(connection: sa.Connection, number: int, *, now: datetime, by: str) -> Removal:
    """Put the values of a removal back, as far as they are kept and nothing is stored in their place.

    What waits after that can be put back later. Raises NotFoundError, or ConfigError if all are gone or back.
    """
    removal = get(connection, number)
    if removal.vacuumed_at is not None:
        raise ConfigError(f"removal {number} was vacuumed at {removal.vacuumed_at:%Y-%m-%d %H:%M} UTC")
    if removal.restored_at is not None and not removal.waiting.rows:
        raise ConfigError(f"removal {number} was restored at {removal.restored_at:%Y-%m-%d %H:%M} UTC")
    floors = {table: retention(connection).of(table) or 0 for table in REMOVED}
    kept = 0
    for table, removed in REMOVED.items():
        batches = {t.forecast: t.forecast_batch, t.observation: t.observation_batch}[table]
        of_removal, time = removed.c.removal_id == number, list(table.primary_key)[1].name
        kept += counted(connection, removed, sa.and_(of_removal, removed.c[time] >= floors[table])).rows
        gone = ~sa.exists().where(batches.c.id == removed.c.batch_id)
        if connection.execute(sa.select(removed).where(of_removal, gone).limit(1)).first():
            raise ConfigError(f"removal {number}: the batches of its values are gone: it cannot be put back")
    if not kept:
        raise ConfigError(
            f"removal {number}: values of that time are no longer kept (RETENTION_*), and their days of"
            " scores are final: it cannot be put back"
        )
    stations = _stations(connection, number)
    for table in REMOVED:
        put_back(connection, table, number, floors[table])
    _renew_newest(connection, t.observation, number, stations)
    connection.execute(
        sa.update(t.removal)
        .where(t.removal.c.id == number)
        .values(restored_at=to_epoch(now), restored_by=by, holds=False)
    )
    return get(connection, number)


def allow(connection: sa.Connection, number: int) -> Removal:
    """Let values of a removal be stored again, and ask for them again. Raises NotFoundError."""
    removal = get(connection, number)
    connection.execute(sa.update(t.removal).where(t.removal.c.id == number).values(holds=False))
    if removal.holds:
        _ask_again(connection, removal.target)
    return replace(removal, holds=False)


def vacuum(connection: sa.Connection, *, now: datetime, older_than: timedelta) -> list[Removal]:
    """Delete the removed values of removals of that age; their record stays, and what they hold."""
    removal = t.removal.c
    waits = sa.or_(*(sa.exists().where(each.c.removal_id == removal.id) for each in REMOVED.values()))
    query = sa.select(removal.id).where(removal.removed_at <= to_epoch(now - older_than), waits)
    numbers = connection.execute(query.order_by(removal.id)).scalars().all()
    vacuumed = [get(connection, number) for number in numbers]
    for number in numbers:
        for removed in REMOVED.values():
            connection.execute(sa.delete(removed).where(removed.c.removal_id == number))
        connection.execute(sa.update(t.removal).where(removal.id == number).values(vacuumed_at=to_epoch(now)))
    return [replace(removal, vacuumed_at=now) for removal in vacuumed]


def get(connection: sa.Connection, number: int) -> Removal:
    """Return a removal. Raises NotFoundError."""
    row = connection.execute(sa.select(t.removal).where(t.removal.c.id == number)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no removal {number}: see meteo-score data removed")
    return _record(connection, row)


def removals(connection: sa.Connection) -> list[Removal]:
    """Return all removals, newest first."""
    rows = connection.execute(sa.select(t.removal).order_by(t.removal.c.id.desc())).all()
    return [_record(connection, row) for row in rows]


def described(target: Target) -> str:
    """Return a target in words: "the runs of icon_d2 from 2026-11-10 00:00 to 2026-11-12 23:59 UTC"."""
    if target.kind == "import":
        return f"import {target.imported}"
    what = "runs" if target.kind == "model" else "readings"
    return (
        f"the {what} of {target.name} from {target.first:%Y-%m-%d %H:%M} to {target.last:%Y-%m-%d %H:%M} UTC"
    )


def final_days(connection: sa.Connection, removal: Removal) -> int:
    """Return how many local days of scores of a removal's period are final: they go on counting its values.

    The raw values of these days were exported and removed, so that nothing can compute them again.
    """
    first, last = removal.target.first, removal.target.last
    if first is None or last is None:
        return 0
    open_day = first_open_day(connection)
    return max(0, min(open_day, day_of_epoch(to_epoch(last)) + 1) - day_of_epoch(to_epoch(first)))


def _record(connection: sa.Connection, row: Any) -> Removal:
    return Removal(
        id=row.id,
        target=Target(
            kind=row.kind,
            name=row.name,
            first=maybe_time(row.first),
            last=maybe_time(row.last),
            imported=row.imported_id,
        ),
        removed_at=from_epoch(row.removed_at),
        removed_by=row.removed_by,
        reason=row.reason,
        count=Count(row.row_count, row.value_count),
        holds=bool(row.holds),
        restored_at=maybe_time(row.restored_at),
        restored_by=row.restored_by,
        vacuumed_at=maybe_time(row.vacuumed_at),
        waiting=count_of_removal(connection, row.id),
    )


def _selected(
    connection: sa.Connection, target: Target
) -> tuple[sa.Table, Within, tuple[int, int] | None, str]:
    """Return table, condition and batches of a target, and its name. Raises NotFoundError."""
    if target.kind == "import":
        file = imported_file(connection, target.imported or 0)
        table = {"forecasts": t.forecast, "observations": t.observation}[file.kind]
        return table, lambda _table: sa.true(), (file.first_batch, file.last_batch), file.file
    names = t.model.c.name if target.kind == "model" else t.station.c.code
    number = connection.execute(sa.select(names.table.c.id).where(names == target.name)).scalar()
    if number is None:
        known = connection.execute(sa.select(names)).scalars()
        raise UnknownNameError(target.kind, target.name, known)
    first, last = maybe_epoch(target.first), maybe_epoch(target.last)

    def within(table: sa.Table) -> sa.ColumnElement[bool]:
        if target.kind == "model":
            return sa.and_(table.c.model_id == number, table.c.reference_time.between(first, last))
        return sa.and_(table.c.station_id == number, table.c.time.between(first, last))

    return (t.forecast if target.kind == "model" else t.observation), within, None, target.name


def _stations(connection: sa.Connection, removal: int) -> list[int]:
    column = t.removed_observation.c
    query = sa.select(column.station_id).where(column.removal_id == removal).distinct()
    return list(connection.execute(query).scalars())


def _renew_newest(
    connection: sa.Connection, table: sa.Table, removal: int, stations: Collection[int] | None = None
) -> None:
    """Set the time of the newest reading of the stations of a removal."""
    if table is t.observation:
        reading = t.observation.c
        newest = sa.select(sa.func.max(reading.time)).where(reading.station_id == t.station.c.id)
        for station in _stations(connection, removal) if stations is None else stations:
            connection.execute(
                sa.update(t.station).where(t.station.c.id == station).values(newest=newest.scalar_subquery())
            )


def _ask_again(connection: sa.Connection, target: Target) -> None:
    """Forget that the values of a target were collected, so that the next collection asks for them."""
    first, last = maybe_epoch(target.first), maybe_epoch(target.last)
    if target.kind == "model":
        model = sa.select(t.model.c.id).where(t.model.c.name == target.name).scalar_subquery()
        for part in (t.collected_part, t.incomplete_part):
            connection.execute(
                sa.delete(part).where(part.c.model_id == model, part.c.reference_time.between(first, last))
            )
    elif target.kind == "station":
        connection.execute(
            sa.update(t.station)
            .where(t.station.c.code == target.name, t.station.c.caught_up > first)
            .values(caught_up=first)
        )


# --- What is held -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """The periods that removals hold, by model and by station, each with the number of its removal."""

    models: Mapping[str, list[tuple[Span, int]]]
    stations: Mapping[str, list[tuple[Span, int]]]

    def of_model(self, model: str, reference_time: int) -> int | None:
        """Return the removal that holds a run; None: it may be stored."""
        return _holding(self.models.get(model, ()), reference_time)

    def of_station(self, station: str, time: int) -> int | None:
        """Return the removal that holds a reading; None: it may be stored."""
        return _holding(self.stations.get(station, ()), time)


def _holding(periods: Iterable[tuple[Span, int]], time: int) -> int | None:
    return next((number for (first, last), number in periods if first <= time <= last), None)


def held(connection: sa.Connection) -> Held:
    """Return the periods that removals hold."""
    removal = t.removal.c
    query = sa.select(removal.id, removal.kind, removal.name, removal.first, removal.last)
    by_kind: dict[str, defaultdict[str, list[tuple[Span, int]]]] = {
        "model": defaultdict(list),
        "station": defaultdict(list),
    }
    for number, kind, name, first, last in connection.execute(
        query.where(removal.holds, removal.kind.in_(by_kind))
    ):
        by_kind[kind][name].append(((first, last), number))
    return Held(dict(by_kind["model"]), dict(by_kind["station"]))


def refused_file(connection: sa.Connection, digest: bytes) -> Removal | None:
    """Return the removal that keeps a file with this SHA-256 out, if any."""
    removal, file = t.removal.c, t.imported_file.c
    query = (
        sa.select(removal.id)
        .join_from(t.removal, t.imported_file, removal.imported_id == file.id)
        .where(removal.holds, removal.kind == "import", file.hash == digest)
        .order_by(removal.id.desc())
        .limit(1)
    )
    number = connection.execute(query).scalar()
    return None if number is None else get(connection, number)
