"""Queries of scores besides score days: series, stations and models of a site, and the stamp of an answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from backend.core.errors import UnknownNameError
from backend.core.local_time import local_moment
from backend.core.records import Site
from backend.storage import schema as t
from backend.storage.database import Database

# --- Statements, built once: that takes longer than to execute them --------------------------------------

_SITE_ROW = (
    sa.select(t.site)
    .where(
        t.site.c.slug == sa.bindparam("name"),
        sa.or_(t.site.c.valid_from.is_(None), t.site.c.valid_from < sa.bindparam("end")),
    )
    .order_by(t.site.c.series.desc())
    .limit(1)
)
_STATIONS = (
    sa.select(t.station)
    .where(t.station.c.code.in_(sa.bindparam("codes", expanding=True)))
    .order_by(t.station.c.code)
)
_STATION_PROPERTIES = _STATIONS.with_only_columns(
    t.station.c.code,
    t.station.c.name,
    t.station.c.latitude,
    t.station.c.longitude,
    t.station.c.elevation,
)
_STAYS = (
    sa.select(t.station_stay)
    .join(t.station, t.station.c.id == t.station_stay.c.station_id)
    .where(t.station.c.code.in_(sa.bindparam("codes", expanding=True)), t.station_stay.c.number > 0)
    .order_by(*t.station_stay.primary_key)
)
_PLACES = (
    sa.select(t.confirmed_place)
    .where(t.confirmed_place.c.site == sa.bindparam("site"))
    .order_by(*t.confirmed_place.primary_key)
)
_POINTS = (
    sa.select(t.grid_point.c.model_id, t.grid_point.c.ground)
    .where(t.grid_point.c.site_id == sa.bindparam("site"))
    .order_by(t.grid_point.c.model_id)
)
_MODELS = sa.select(t.model.c.name, t.model.c.id)
_IN_DAYS = (
    t.forecast_day.c.site_id == sa.bindparam("site"),
    t.forecast_day.c.day.between(sa.bindparam("first"), sa.bindparam("last")),
)
_NAMED = t.model.c.name.in_(sa.bindparam("names", expanding=True))
_MODELS_WITH_DAYS = (
    sa.select(t.model.c.name)
    .join_from(t.forecast_day, t.model, t.model.c.id == t.forecast_day.c.model_id)
    .where(_NAMED, *_IN_DAYS)
    .distinct()
)
_MODELS_WITH_A_DAY = sa.select(t.model.c.name).where(
    _NAMED, sa.exists().where(t.forecast_day.c.model_id == t.model.c.id, *_IN_DAYS)
)
_STATIONS_WITH_DAYS = (
    sa.select(t.station.c.code)
    .join_from(t.observed_day, t.station, t.station.c.id == t.observed_day.c.station_id)
    .where(
        t.observed_day.c.site_id == sa.bindparam("site"),
        t.observed_day.c.day.between(sa.bindparam("first"), sa.bindparam("last")),
    )
    .distinct()
)
_MODEL_ELEVATIONS = (
    sa.select(t.model.c.name, t.grid_point.c.ground)
    .join_from(t.grid_point, t.model, t.model.c.id == t.grid_point.c.model_id)
    .where(t.grid_point.c.site_id == sa.bindparam("site"))
)


def series_ids(connection: sa.Connection) -> list[int]:
    """Return the ids of all series of all sites."""
    return list(connection.execute(sa.select(t.site.c.id)).scalars())


def site_ids(database: Database, site: str | None = None) -> dict[int, str]:
    """Return the ids of all series of all sites, or of one, with the site's name; raise UnknownNameError."""
    query = sa.select(t.site.c.id, t.site.c.slug).order_by(t.site.c.id)
    with database.read() as connection:
        known = {row.id: row.slug for row in connection.execute(query)}
    slugs = {number: slug for number, slug in known.items() if site is None or slug == site}
    if site is not None and not slugs:
        raise UnknownNameError("site", site, known.values())
    return slugs


def site_row(connection: sa.Connection, site: str, last: int) -> sa.Row[tuple[object, ...]] | None:
    """Return the row of a site's newest series that started before the end of a local day, or None."""
    return connection.execute(_SITE_ROW, {"name": site, "end": local_moment(last + 1)}).first()


def station_rows(connection: sa.Connection, codes: Sequence[str]) -> Sequence[sa.Row[Any]]:
    """Return the rows of stations, by code."""
    return connection.execute(_STATIONS, {"codes": codes}).all()


def station_codes(connection: sa.Connection) -> dict[int, str]:
    """Return the code of every station, by id."""
    return dict(map(tuple, connection.execute(sa.select(t.station.c.id, t.station.c.code))))


def model_ids(connection: sa.Connection) -> dict[str, int]:
    """Return the ids of all models, by name."""
    return dict(map(tuple, connection.execute(_MODELS)))


def model_elevations(connection: sa.Connection, site_id: int) -> dict[str, float | None]:
    """Return the model elevation of each model at a site, in metres above sea level."""
    return dict(map(tuple, connection.execute(_MODEL_ELEVATIONS, {"site": site_id})))


def models_with_days(
    connection: sa.Connection, site_id: int, first: int, last: int, names: Collection[str]
) -> frozenset[str]:
    """Return those of `names` with any day of a site from `first` to `last` (local day numbers).

    A model with a grid point at the site nearly always has days, and the first one found ends its search. For
    the others, one query looks through all days of the span.
    """
    near = [name for name in model_elevations(connection, site_id) if name in names]
    others = [name for name in names if name not in near]
    span = {"site": site_id, "first": first, "last": last}
    models: set[str] = set()
    for query, candidates in ((_MODELS_WITH_A_DAY, near), (_MODELS_WITH_DAYS, others)):
        if candidates:
            models.update(connection.execute(query, {**span, "names": candidates}).scalars())
    return frozenset(models)


def stations_with_days(connection: sa.Connection, site_id: int, first: int, last: int) -> frozenset[str]:
    """Return the stations with any day of a site from `first` to `last` (local day numbers)."""
    parameters = {"site": site_id, "first": first, "last": last}
    return frozenset(connection.execute(_STATIONS_WITH_DAYS, parameters).scalars())


def answer_stamp(connection: sa.Connection, site: Site, last: int) -> str:
    """Return a text that changes whenever an answer about a site's days up to `last` may change."""
    # The row has the stamp of the days; the rest is what an answer uses besides the days.
    row = site_row(connection, site.id, last)
    parts: list[object] = [site, None if row is None else tuple(row)]
    parts += map(tuple, connection.execute(_STATION_PROPERTIES, {"codes": site.stations}))
    if row is not None:
        parts += map(tuple, connection.execute(_POINTS, {"site": row.id}))
    parts += map(tuple, connection.execute(_STAYS, {"codes": site.stations}))
    parts += map(tuple, connection.execute(_PLACES, {"site": site.id}))
    return repr(parts)
