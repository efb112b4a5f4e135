"""Public months: copies of the score days of closed months, per model and station."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from backend.core.columns import ForecastDays, ObservedDays
from backend.core.local_time import month_days, month_number
from backend.storage import schema as t
from backend.storage.days import forecast_day_rows, insert_rows, observed_day_rows

OF_MODEL, OF_STATION = 0, 1
"""The kinds of owners of a published month."""

WITHDRAWN = (2, 0)
"""Kind and owner of a month from which some owner was withdrawn, until it is published again."""

_OWNED = {OF_MODEL: (t.public_forecast_day, "model_id"), OF_STATION: (t.public_observed_day, "station_id")}


def lock_site(connection: sa.Connection, site_id: int) -> None:
    """Let one process at a time publish a site: SQLite has one writer, PostgreSQL needs a row lock."""
    connection.execute(sa.select(t.site.c.id).where(t.site.c.id == site_id).with_for_update())


def public_months(connection: sa.Connection, site_id: int) -> dict[tuple[int, int], set[int]]:
    """Return the published months of a site by kind and id of their owner; under WITHDRAWN those to redo."""
    column = t.public_month.c
    months: dict[tuple[int, int], set[int]] = {}
    for kind, owner, month in connection.execute(
        sa.select(column.kind, column.owner_id, column.month).where(column.site_id == site_id)
    ):
        months.setdefault((kind, owner), set()).add(month)
    return months


def months_with_days(connection: sa.Connection, site_id: int) -> tuple[int, int] | None:
    """Return the first and the last month with any day of a site, or None."""
    ends: list[int] = []
    for column in (t.forecast_day.c, t.observed_day.c):
        row = connection.execute(
            sa.select(sa.func.min(column.day), sa.func.max(column.day)).where(column.site_id == site_id)
        ).one()
        ends += [month_number(day) for day in row if day is not None]
    return (min(ends), max(ends)) if ends else None


def publish_forecast_month(
    connection: sa.Connection, site_id: int, month: int, model_id: int, new_days: Mapping[int, ForecastDays]
) -> None:
    """Replace a model's published days of a month, by view."""
    withdraw_month(connection, site_id, month, OF_MODEL, model_id)
    rows = forecast_day_rows(site_id, new_days)
    insert_rows(connection, t.public_forecast_day, rows)
    if rows:
        insert_rows(connection, t.public_month, [(site_id, month, OF_MODEL, model_id)])


def publish_observed_month(
    connection: sa.Connection, site_id: int, month: int, station_id: int, new_days: ObservedDays
) -> None:
    """Replace a station's published days of a month."""
    withdraw_month(connection, site_id, month, OF_STATION, station_id)
    rows = observed_day_rows(site_id, [new_days])
    insert_rows(connection, t.public_observed_day, rows)
    if rows:
        insert_rows(connection, t.public_month, [(site_id, month, OF_STATION, station_id)])


def note_withdrawn(connection: sa.Connection, site_id: int, month: int, kind: int, owner: int) -> None:
    """Withdraw a month, and note that it is to be published again: also if this process ends before that."""
    if withdraw_month(connection, site_id, month, kind, owner):
        withdraw_month(connection, site_id, month, *WITHDRAWN)
        insert_rows(connection, t.public_month, [(site_id, month, *WITHDRAWN)])


def withdraw_month(connection: sa.Connection, site_id: int, month: int, kind: int, owner: int) -> bool:
    """Delete the published days of a model or a station (`kind`, `owner`) of a month; False: none were."""
    if kind in _OWNED:
        days, (table, column_of_owner) = month_days(month), _OWNED[kind]
        connection.execute(
            sa.delete(table).where(
                table.c.site_id == site_id,
                table.c.day.between(days[0], days[-1]),
                table.c[column_of_owner] == owner,
            )
        )
    column = t.public_month.c
    deleted = connection.execute(
        sa.delete(t.public_month).where(
            column.site_id == site_id, column.month == month, column.kind == kind, column.owner_id == owner
        )
    )
    return bool(deleted.rowcount)
