"""Records of stored values for display, and the queries that select them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.storage import schema as t
from backend.storage.database import from_epoch
from backend.storage.origins import other_batches
from backend.storage.paging import Value
from backend.storage.rows import chunks, value_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRow:
    """One forecast value in the parameter's unit, with its batch. Times are UTC."""

    model: str
    site: str
    parameter: Parameter
    reference_time: datetime
    valid_time: datetime
    lead_minutes: int
    value: float
    route: str
    available_at: datetime
    available_at_published: bool
    collected_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationRow:
    """One measured value in the parameter's unit, with its batch. Times are UTC.

    `averaging_minutes` and `direction_resolution` (degrees) are None if unknown.
    """

    station: str
    parameter: Parameter
    time: datetime
    value: float
    route: str
    averaging_minutes: int | None
    direction_resolution: float | None
    collected_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A stored model, its newest run (UTC), and the number of its runs."""

    name: str
    newest: datetime
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteValues:
    """Present values of a site: at most one observed value per parameter, and the forecasts."""

    observed: tuple[ObservationRow, ...]
    forecast: tuple[ForecastRow, ...]


# --- Queries and rows --------------------------------------------------------------------------------


def _looked_up(name: sa.Column[str], key: sa.Column[int]) -> sa.Label[str]:
    """Select a name by its id: with a join, SQLite may start from the table of names."""
    text = sa.select(name).where(name.table.c.id == key).scalar_subquery()
    return text.label(str(name.table))


FORECASTS = sa.select(
    *t.forecast.primary_key,
    *value_columns(t.forecast),
    _looked_up(t.model.c.name, t.forecast.c.model_id),
    _looked_up(t.site.c.slug, t.forecast.c.site_id),
    t.forecast_batch.c.route,
    t.forecast_batch.c.available_at,
    t.forecast_batch.c.published,
    t.forecast_batch.c.collected_at,
).join_from(t.forecast, t.forecast_batch, t.forecast_batch.c.id == t.forecast.c.batch_id)

OBSERVATIONS = sa.select(
    *t.observation.primary_key,
    *value_columns(t.observation),
    _looked_up(t.station.c.code, t.observation.c.station_id),
    t.observation_batch.c.route,
    t.observation_batch.c.averaging_minutes,
    t.observation_batch.c.direction_resolution,
    t.observation_batch.c.collected_at,
).join_from(t.observation, t.observation_batch, t.observation_batch.c.id == t.observation.c.batch_id)


def forecast_rows(connection: sa.Connection, values: Sequence[Value]) -> list[ForecastRow]:
    """Convert values of rows of FORECASTS, each with its own batch."""
    batches = _own_batches(connection, t.forecast, t.forecast_batch, values)
    rows = []
    for value in values:
        row = value.row
        batch = batches.get(value.position, row)
        rows.append(
            ForecastRow(
                model=row.model,
                site=row.site,
                parameter=value.parameter,
                reference_time=from_epoch(row.reference_time),
                valid_time=from_epoch(row.valid_time),
                lead_minutes=(row.valid_time - row.reference_time) // 60,
                value=value.value,
                route=batch.route,
                available_at=from_epoch(batch.available_at),
                available_at_published=batch.published,
                collected_at=from_epoch(batch.collected_at),
            )
        )
    return rows


def observation_rows(connection: sa.Connection, values: Sequence[Value]) -> list[ObservationRow]:
    """Convert values of rows of OBSERVATIONS, each with its own batch."""
    batches = _own_batches(connection, t.observation, t.observation_batch, values)
    rows = []
    for value in values:
        row = value.row
        batch = batches.get(value.position, row)
        rows.append(
            ObservationRow(
                station=row.station,
                parameter=value.parameter,
                time=from_epoch(row.time),
                value=value.value,
                route=batch.route,
                averaging_minutes=batch.averaging_minutes,
                direction_resolution=batch.direction_resolution,
                collected_at=from_epoch(batch.collected_at),
            )
        )
    return rows


def _own_batches(
    connection: sa.Connection, table: sa.Table, batches: sa.Table, values: Sequence[Value]
) -> dict[tuple[int, ...], Any]:
    """Return, by position, the batch of each value that is not from the batch of its row."""
    spans: dict[int, tuple[int, int]] = {}
    for owner, time, *_ in (value.position for value in values):
        first, last = spans.get(owner, (time, time))
        spans[owner] = min(first, time), max(last, time)
    batch_of: dict[tuple[int, ...], int] = {}
    for owner, (first, last) in spans.items():
        for key, of_row in other_batches(connection, table, owner, first, last).items():
            batch_of |= {(*key, parameter): batch for parameter, batch in of_row.items()}
    query = sa.select(batches)
    rows = {
        row.id: row
        for some in chunks(sorted(set(batch_of.values())))
        for row in connection.execute(query.where(batches.c.id.in_(some)))
    }
    return {position: rows[batch] for position, batch in batch_of.items()}
