"""What is read back from the store: records for those who show it, and how they are selected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.storage import schema as t
from backend.storage.database import from_epoch
from backend.storage.paging import Value
from backend.storage.rows import value_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRow:
    """One forecast value, in the parameter's unit, and how it came. Times are UTC."""

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
    """One measured value, in the parameter's unit, and how it came. Times are UTC.

    `averaging_minutes` and `direction_resolution` (degrees) where they are known.
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
    """A model that has been kept, its newest run (UTC), and of how many runs something is kept."""

    name: str
    newest: datetime
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteValues:
    """What is known of a site just now: measured, at most one value per parameter, and forecast."""

    observed: tuple[ObservationRow, ...]
    forecast: tuple[ForecastRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedCount:
    """How many values of a source were set aside for a reason, and when the last of them came (UTC)."""

    source: str
    reason: str
    count: int
    newest: datetime


# --- Queries and rows --------------------------------------------------------------------------------


def _looked_up(name: sa.Column[str], key: sa.Column[int]) -> sa.Label[str]:
    """Select a name by its id: as a join, it would tempt SQLite to begin with the table of names."""
    found = sa.select(name).where(name.table.c.id == key).scalar_subquery()
    return found.label(str(name.table))


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


def forecast_row(value: Value) -> ForecastRow:
    """Read a value of a row of FORECASTS."""
    row = value.row
    return ForecastRow(
        model=row.model,
        site=row.site,
        parameter=value.parameter,
        reference_time=from_epoch(row.reference_time),
        valid_time=from_epoch(row.valid_time),
        lead_minutes=(row.valid_time - row.reference_time) // 60,
        value=value.value,
        route=row.route,
        available_at=from_epoch(row.available_at),
        available_at_published=row.published,
        collected_at=from_epoch(row.collected_at),
    )


def observation_row(value: Value) -> ObservationRow:
    """Read a value of a row of OBSERVATIONS."""
    row = value.row
    return ObservationRow(
        station=row.station,
        parameter=value.parameter,
        time=from_epoch(row.time),
        value=value.value,
        route=row.route,
        averaging_minutes=row.averaging_minutes,
        direction_resolution=row.direction_resolution,
        collected_at=from_epoch(row.collected_at),
    )
