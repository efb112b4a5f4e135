"""One site in one view over a span of days, as arrays that lie hour on hour: what every score starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sqlalchemy as sa

from backend.core.errors import NotFound
from backend.core.local_time import HOURS_A_DAY, date_of
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site
from backend.scoring.calendar import Span
from backend.scoring.grid import Bools, Integers, Values, clock_hours, months
from backend.scoring.pairing import NOT_MATCHED
from backend.scoring.references import (
    climatology,
    direction_climatology,
    model_mean,
    model_mean_direction,
    yesterday,
)
from backend.scoring.temperature import at_station
from backend.scoring.views import View
from backend.storage import days as store
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.places import site_record

REFERENCES = ("yesterday", "climatology", "model_mean")
"""Forecasts that anyone could make; they are scored beside the models and never win."""

_INDEX = {parameter: index for index, parameter in enumerate(Parameter)}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was forecast and observed: arrays (days, 25) in thousandths, by parameter, and by model.

    `temperatures` holds what the models say of the temperature at the station's height; a model whose ground
    is not known is not in it. `estimated` counts hours whose run told no time of publication.
    """

    site: Site
    station: str
    view: View
    span: Span
    observed: Mapping[Parameter, Values]
    forecasts: Mapping[str, Mapping[Parameter, Values]]
    temperatures: Mapping[str, Values]
    leads: Mapping[str, Integers]
    offsets: Integers
    estimated: Mapping[str, int]
    grounds: Mapping[str, float | None]
    station_elevation: float | None
    direction_resolution: float | None

    @cached_property
    def clock(self) -> Integers:
        """The hour that the clock shows at each column, (days, 25)."""
        return clock_hours(date_of(self.span.first), len(self.span.days))

    @cached_property
    def months(self) -> Integers:
        """The month of each day, 1 to 12."""
        return months(date_of(self.span.first), len(self.span.days))

    def reference(self, name: str, parameter: Parameter, said: Iterable[Values]) -> Values:
        """Return what one of REFERENCES would have forecast; `said` is what the models did."""
        observed = self.observed[parameter]
        circular = parameter is Parameter.WIND_DIRECTION
        if name == "yesterday":
            return yesterday(observed, self.clock, self.view)
        if name == "climatology":
            make = direction_climatology if circular else climatology
            return make(observed, self.clock, self.months)
        speaking = [values for values in said if (values != ABSENT).any()]
        if len(speaking) < 2:
            return np.full_like(observed, ABSENT)  # the mean of one model is that model
        return model_mean_direction(speaking) if circular else model_mean(speaking)

    def flown(self) -> Bools:
        """Return which days have any observation."""
        there = [values != ABSENT for values in self.observed.values()]
        return np.asarray(np.any(there, axis=(0, 2)))


class Samples:
    """Reads samples from the store. Blocks; raises StoreUnavailable, and NotFound for an unknown site."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def load(self, site: str, view: View, first: int, last: int, station: str | None = None) -> Sample:
        """Return what is kept of a site's days from `first` to `last` (local day numbers).

        `station` is one of the site's; without it, each day is taken from the station that was the site's
        reference on it.
        """
        with self.database.read() as connection:
            row = site_row(connection, site)
            record = site_record(row)
            if station is not None and station not in record.stations:
                raise NotFound(
                    f"{station!r} is no station of {site}: {', '.join(record.stations) or 'it has none'}"
                )
            return _load(connection, row.id, record, view, Span(first, last), station)


def site_ids(database: Database, site: str | None = None) -> dict[int, str]:
    """Return the ids of all series of all sites, or of one, with the site's name; raise NotFound."""
    query = sa.select(t.site.c.id, t.site.c.slug).order_by(t.site.c.id)
    if site is not None:
        query = query.where(t.site.c.slug == site)
    with database.read() as connection:
        found = {row.id: row.slug for row in connection.execute(query)}
    if site is not None and not found:
        raise NotFound(f"there is no site {site!r}: meteo-score sites list")
    return found


def site_row(connection: sa.Connection, site: str) -> sa.Row[tuple[object, ...]]:
    """Return the row of a configured site's newest series; raise NotFound."""
    query = (
        sa.select(t.site)
        .where(t.site.c.slug == site, t.site.c.configured)
        .order_by(t.site.c.series.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"there is no site {site!r}: GET /api/sites lists them")
    return row


def _load(
    connection: sa.Connection, site_id: int, site: Site, view: View, span: Span, station: str | None
) -> Sample:
    forecasts, leads, estimated = _forecasts(connection, site_id, view, span)
    speaking = station or (site.stations[0] if site.stations else "")
    observed, offsets, resolution = _observed(connection, site_id, speaking, span)
    grounds = _grounds(connection, site_id)
    elevation = connection.execute(
        sa.select(t.station.c.elevation).where(t.station.c.code == speaking)
    ).scalar()
    temperatures = {
        model: at_station(of_model[Parameter.TEMPERATURE], grounds.get(model), elevation)
        for model, of_model in forecasts.items()
    }
    return Sample(
        site=site,
        station=speaking,
        view=view,
        span=span,
        observed=observed,
        forecasts=forecasts,
        temperatures={model: values for model, values in temperatures.items() if values is not None},
        leads=leads,
        offsets=offsets,
        estimated=estimated,
        grounds={model: grounds.get(model) for model in forecasts},
        station_elevation=elevation,
        direction_resolution=resolution,
    )


def _forecasts(
    connection: sa.Connection, site_id: int, view: View, span: Span
) -> tuple[dict[str, dict[Parameter, Values]], dict[str, Integers], dict[str, int]]:
    names = {row.id: row.name for row in connection.execute(sa.select(t.model).order_by(t.model.c.name))}
    rows: dict[int, list[store.ForecastDay]] = {}
    for day in store.read_forecast_days(connection, site_id, view.number, span.first, span.last):
        rows.setdefault(day.model, []).append(day)
    values, leads, estimated = {}, {}, {}
    for model, name in names.items():
        days = rows.get(model, [])
        if not days:
            continue
        values[name] = _by_parameter(span, days)
        lead = np.full((len(span.days), HOURS_A_DAY), -1, np.int64)
        lead[[day.day - span.first for day in days]] = np.stack([day.leads for day in days])
        leads[name] = lead
        estimated[name] = sum(day.estimated for day in days)
    return values, leads, estimated


def _observed(
    connection: sa.Connection, site_id: int, station: str, span: Span
) -> tuple[dict[Parameter, Values], Integers, float | None]:
    number = connection.execute(sa.select(t.station.c.id).where(t.station.c.code == station)).scalar()
    days = [
        day
        for day in store.read_observed_days(connection, site_id, span.first, span.last)
        if day.station == number
    ]
    offsets = np.full((len(span.days), HOURS_A_DAY), NOT_MATCHED, np.int64)
    if days:
        offsets[[day.day - span.first for day in days]] = np.stack([day.offsets for day in days])
    told = [day.resolution for day in days if day.resolution is not None]
    return _by_parameter(span, days), offsets, max(told, default=None)


def _by_parameter(
    span: Span, days: Sequence[store.ForecastDay | store.ObservedDay]
) -> dict[Parameter, Values]:
    values = np.full((len(Parameter), len(span.days), HOURS_A_DAY), ABSENT, np.int32)
    if days:
        values[:, [day.day - span.first for day in days]] = np.stack([day.hourly for day in days], axis=1)
    return {parameter: values[index] for parameter, index in _INDEX.items()}


def _grounds(connection: sa.Connection, site_id: int) -> dict[str, float | None]:
    query = (
        sa.select(t.model.c.name, t.grid_point.c.ground)
        .join_from(t.grid_point, t.model, t.model.c.id == t.grid_point.c.model_id)
        .where(t.grid_point.c.site_id == site_id)
    )
    return {row.name: row.ground for row in connection.execute(query)}
