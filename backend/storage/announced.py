"""Forecasts of chosen hours for many sites at once, run by run, and what changes with new data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from backend.core.clock import CLOCK_TOLERANCE
from backend.core.parameters import PARAMETERS, Parameter
from backend.core.records import Station
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, maybe_time, to_epoch
from backend.storage.origins import batch_fields, by_row
from backend.storage.rows import chunks, fetched, value_columns
from backend.storage.score_queries import station_rows
from backend.storage.site_rows import present_ids, present_stamps, station_record

_AT_HOURS = (
    t.forecast.c.site_id.in_(sa.bindparam("sites", expanding=True)),
    t.forecast.c.valid_time.in_(sa.bindparam("times", expanding=True)),
)
_VALUES = sa.select(*t.forecast.primary_key, t.forecast.c.batch_id, *value_columns(t.forecast)).where(
    *_AT_HOURS
)
_ORIGINS = sa.select(t.forecast_origin).where(
    t.forecast_origin.c.site_id.in_(sa.bindparam("sites", expanding=True)),
    t.forecast_origin.c.valid_time.in_(sa.bindparam("times", expanding=True)),
)
_BESIDE = 1 << 20
"""Above every stored speed, in thousandths of a km/h."""
_NOT_YET_AVAILABLE = sa.select(t.forecast_batch.c.id).where(
    t.forecast_batch.c.available_at > sa.bindparam("newest", type_=sa.BigInteger)
)
_ORIGIN_OF = {
    parameter: t.forecast_origin.alias(f"origin_of_{parameter.value}")
    for parameter in (Parameter.WIND_SPEED, Parameter.WIND_GUST)
}


def _newest(parameter: Parameter) -> sa.ColumnElement[int]:
    """Return the value of the newest available run that has one, with the start of the run before it.

    Start times _BESIDE plus value: one pass over the runs has both, and a join back to them takes twice as
    long. The batch of the value itself has its `available_at`, not that of its row.
    """
    origin, value = _ORIGIN_OF[parameter], t.forecast.c[parameter.value]
    batch = sa.func.coalesce(origin.c.batch_id, t.forecast.c.batch_id)
    encoded = t.forecast.c.reference_time * sa.literal(_BESIDE, sa.BigInteger) + value
    return sa.func.max(sa.case((batch.not_in(_NOT_YET_AVAILABLE), encoded)))


_ROWS_WITH_ORIGINS: sa.FromClause = t.forecast
for _parameter, _origin in _ORIGIN_OF.items():
    _ROWS_WITH_ORIGINS = _ROWS_WITH_ORIGINS.outerjoin(
        _origin,
        sa.and_(
            *(_origin.c[column.name] == column for column in t.forecast.primary_key),
            _origin.c.parameter == _parameter.number,
        ),
    )
_NEWEST_OF_HOUR = (
    sa.select(
        t.forecast.c.site_id,
        t.forecast.c.model_id,
        (_newest(Parameter.WIND_SPEED) % _BESIDE).label("wind"),
        (_newest(Parameter.WIND_GUST) % _BESIDE).label("gust"),
    )
    .select_from(_ROWS_WITH_ORIGINS)
    .where(
        *_AT_HOURS,
        t.forecast.c.model_id.in_(sa.bindparam("models", expanding=True)),
        t.forecast.c.reference_time <= sa.bindparam("newest", type_=sa.BigInteger),
    )
    .group_by(t.forecast.c.site_id, t.forecast.c.valid_time, t.forecast.c.model_id)
    .subquery()
)
_HIGHEST = sa.select(
    _NEWEST_OF_HOUR.c.site_id,
    _NEWEST_OF_HOUR.c.model_id,
    sa.func.count(_NEWEST_OF_HOUR.c.wind),
    sa.func.max(_NEWEST_OF_HOUR.c.wind),
    sa.func.max(_NEWEST_OF_HOUR.c.gust),
).group_by(_NEWEST_OF_HOUR.c.site_id, _NEWEST_OF_HOUR.c.model_id)
_MODELS = sa.select(t.model.c.id, t.model.c.name)
_VERSION = sa.select(
    sa.select(sa.func.max(t.forecast_batch.c.id)).scalar_subquery(),
    sa.select(sa.func.max(t.observation_batch.c.id)).scalar_subquery(),
    # Score days are computed after the batches are stored: then the stamps of their sites change.
    sa.select(sa.func.sum(t.site.c.days_stamp)).scalar_subquery(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedValue:
    """One stored value in the parameter's unit, of the run that started at `reference_time` (times in UTC).

    `published` is False if `available_at` is an estimate or the time at which we first saw the run.
    """

    site: str
    model: str
    valid_time: datetime
    parameter: Parameter
    reference_time: datetime
    available_at: datetime
    published: bool
    value: float


def announced_values(
    database: Database,
    sites: Iterable[str],
    times: Sequence[datetime],
    known_at: datetime,
    *,
    models_withheld: Iterable[str] = (),
    only_newest: bool = False,
) -> Iterator[AnnouncedValue]:
    """Yield the values of all runs that were available at `known_at`, for these sites and hours.

    Only the present series of each site counts. The newest run of an hour comes first; with `only_newest`
    each value of an hour is the one of the newest run that has it. The runs of a clock that was ahead are
    left out. Raises StoreUnavailableError.
    """
    newest_run = to_epoch(known_at + CLOCK_TOLERANCE)
    hidden = set(models_withheld)
    with database.read() as connection:
        slug_of = {number: slug for slug, number in present_ids(connection, known_at).items()}
        wanted = set(sites)
        ids = [number for number, slug in slug_of.items() if slug in wanted]
        hours = {"times": [to_epoch(time) for time in times]}
        models = {number: name for number, name in fetched(connection, _MODELS) if name not in hidden}
        rows = [
            row
            for some in chunks(ids)
            for row in fetched(connection, _VALUES, {"sites": some, **hours})
            if row[2] in models and row[3] <= newest_run
        ]
        others = by_row(
            row for some in chunks(ids) for row in fetched(connection, _ORIGINS, {"sites": some, **hours})
        )
        batches = batch_fields(
            connection,
            t.forecast_batch,
            {row[4] for row in rows} | {batch for of_row in others.values() for batch in of_row.values()},
            ("available_at", "published"),
        )
    moments = {second: from_epoch(second) for row in rows for second in (row[1], row[3])}
    seen: dict[tuple[int, int, int], set[int]] = {}
    for site_id, valid_time, model_id, reference_time, batch_id, *values in sorted(rows, reverse=True):
        of_hour = seen.setdefault((site_id, valid_time, model_id), set())
        if len(of_hour) == len(PARAMETERS):
            continue
        of_values = others.get((site_id, valid_time, model_id, reference_time), {})
        for index, value in enumerate(values):
            if value is None or index in of_hour:
                continue
            available_at, published = batches[of_values.get(index, batch_id)]
            if available_at > newest_run:
                continue
            if only_newest:
                of_hour.add(index)
            yield AnnouncedValue(
                site=slug_of[site_id],
                model=models[model_id],
                valid_time=moments[valid_time],
                parameter=PARAMETERS[index],
                reference_time=moments[reference_time],
                available_at=from_epoch(available_at),
                published=bool(published),
                value=value / 1000,
            )


def newest_readings(database: Database, stations: Iterable[str]) -> dict[str, datetime]:
    """Return the time of the newest stored reading of each of these stations that has one."""
    query = sa.select(t.station.c.code, t.station.c.newest)
    with database.read() as connection:
        newest = {
            row.code: maybe_time(row.newest)
            for some in chunks(sorted(set(stations)))
            for row in connection.execute(query.where(t.station.c.code.in_(some)))
        }
    return {code: time for code, time in newest.items() if time is not None}


def described_stations(database: Database, stations: Iterable[str]) -> dict[str, Station]:
    """Return these stations as their networks describe them; those that are not stored are left out."""
    with database.read() as connection:
        return {
            row.code: station_record(row)
            for some in chunks(sorted(set(stations)))
            for row in station_rows(connection, some)
        }


def data_version(database: Database) -> tuple[int, int, int]:
    """Return numbers that change with each new batch and with each change of score days."""
    with database.read() as connection:
        forecasts, observations, days = connection.execute(_VERSION).one()
    return int(forecasts or 0), int(observations or 0), int(days or 0)


@dataclass(frozen=True, slots=True)
class HighestValues:
    """The highest values of a model's newest runs at a site over some hours, in km/h; None if it has none."""

    hours: int
    wind: float
    gust: float | None


def highest_values(
    database: Database, times: Sequence[datetime], now: datetime, *, models_withheld: Iterable[str] = ()
) -> dict[str, dict[str, HighestValues]]:
    """Return the highest mean wind and gust over these hours, by site and model.

    Of each hour the value of the newest available run that has one counts, as in `announced_values`, and only
    the present series of each site.
    """
    hidden = set(models_withheld)
    with database.read() as connection:
        slug_of = {number: slug for slug, number in present_ids(connection, now).items()}
        models = {number: name for number, name in fetched(connection, _MODELS) if name not in hidden}
        asked = {
            "times": [to_epoch(time) for time in times],
            "newest": to_epoch(now + CLOCK_TOLERANCE),
            "models": list(models),
        }
        rows = [
            row
            for some in chunks(sorted(slug_of))
            for row in fetched(connection, _HIGHEST, {"sites": some, **asked})
        ]
    found: dict[str, dict[str, HighestValues]] = {}
    for site_id, model_id, hours, wind, gust in rows:
        if wind is not None:
            values = HighestValues(hours, wind / 1000, None if gust is None else gust / 1000)
            found.setdefault(slug_of[site_id], {})[models[model_id]] = values
    return found


def days_stamps(database: Database, now: datetime) -> dict[str, int]:
    """Return the stamp of each site's present series, which changes whenever its score days change."""
    with database.read() as connection:
        return present_stamps(connection, now)
