"""Read access to the store for the API, the pages and the command line. Results are records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.core.records import Site, network_of
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, is_postgres, maybe_epoch, maybe_time, to_epoch
from backend.storage.paging import Value, read_page, values_of, within
from backend.storage.rows import chunks
from backend.storage.site_rows import configured_stations, present_ids
from backend.storage.value_rows import (
    FORECASTS,
    OBSERVATIONS,
    ForecastRow,
    ModelRow,
    ObservationRow,
    SiteValues,
    forecast_rows,
    observation_rows,
)

__all__ = ["ForecastRow", "ModelRow", "ObservationRow", "SiteValues", "StoreQueries"]

_NEAR = 3 * 3600  # seconds from now within which a model's value counts as its value for now
_LAST_READINGS = 24  # how many of the last readings of a station are searched for each parameter

_SOURCES_OF_MODELS = (
    sa.select(t.model.c.name, t.forecast_batch.c.source)
    .join(t.forecast_batch, t.forecast_batch.c.model_id == t.model.c.id)
    .distinct()
)


@dataclass(frozen=True, eq=False)
class StoreQueries:
    """Queries to the store. All methods block: call them from a thread. They raise StoreUnavailableError.

    For an unknown name the result is empty. The results leave out `models_withheld` and `networks_withheld`
    as if they were not stored.
    """

    database: Database

    # --- Pages of values ---------------------------------------------------------------------------

    def forecasts(
        self,
        *,
        site: str | None = None,
        model: str | None = None,
        parameter: Parameter | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        models_withheld: Collection[str] = (),
        after: str | None = None,
        limit: int = 1000,
    ) -> tuple[list[ForecastRow], str | None]:
        """Return forecasts valid from `start` to before `end`, and the cursor to pass as `after` next.

        The order is site, valid time, model, run. Raises ValueError for a malformed cursor.
        """
        with self.database.read() as connection:
            models = connection.execute(sa.select(t.model)).all()
            model_ids = [
                row.id for row in models if model in {None, row.name} and row.name not in models_withheld
            ]
            places = (
                sa.select(t.site.c.id)
                if site is None
                else sa.select(t.site.c.id).where(t.site.c.slug == site)
            )
            page = read_page(
                connection,
                FORECASTS.where(t.forecast.c.model_id.in_(model_ids)),
                t.forecast,
                connection.execute(places).scalars(),
                parameter=parameter,
                start=start,
                end=end,
                after=after,
                limit=limit,
            )
            return forecast_rows(connection, page.values), page.cursor

    def observations(
        self,
        *,
        station: str | None = None,
        site: str | None = None,
        parameter: Parameter | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        networks_withheld: Collection[str] = (),
        after: str | None = None,
        limit: int = 1000,
    ) -> tuple[list[ObservationRow], str | None]:
        """Return readings from `start` to before `end`, and the cursor to pass as `after` next.

        `site` selects all stations of that site. The order is station, time. Raises ValueError for a
        malformed cursor.
        """
        stations = within(
            sa.select(t.station.c.id, t.station.c.code), t.station.c.newest, maybe_epoch(start), None
        )
        if station is not None:
            stations = stations.where(t.station.c.code == station)
        with self.database.read() as connection:
            if site is not None:
                codes = [
                    code
                    for slug, of_site in configured_stations(connection)
                    if slug == site
                    for code in of_site
                ]
                stations = stations.where(t.station.c.code.in_(codes))
            page = read_page(
                connection,
                OBSERVATIONS,
                t.observation,
                [
                    row.id
                    for row in connection.execute(stations)
                    if network_of(row.code) not in networks_withheld
                ],
                parameter=parameter,
                start=start,
                end=end,
                after=after,
                limit=limit,
            )
            return observation_rows(connection, page.values), page.cursor

    # --- Overviews ---------------------------------------------------------------------------------

    def models(self) -> list[ModelRow]:
        """Return every model with stored values, by name."""
        run = t.forecast_batch.c.reference_time
        query = (
            sa.select(t.model.c.name, sa.func.max(run), sa.func.count(sa.distinct(run)))
            .join_from(t.model, t.forecast_batch)
            .group_by(t.model.c.name)
            .order_by(t.model.c.name)
        )
        with self.database.read() as connection:
            return [
                ModelRow(name=name, newest=from_epoch(newest), runs=runs)
                for name, newest, runs in connection.execute(query)
            ]

    def newest_decision(self) -> datetime | None:
        """Return the newest decision time (UTC) of a public issued forecast, None before the first."""
        issued = t.issued_forecast.c
        # The newest row of each site: one look-up a site, however long the record is.
        newest = (
            sa.select(issued.decision_time)
            .where(issued.site == t.site.c.slug, issued.audience == "public", issued.withdraws.is_(None))
            .order_by(issued.number.desc())
            .limit(1)
            .scalar_subquery()
        )
        with self.database.read() as connection:
            of_sites = connection.scalars(sa.select(newest).select_from(t.site)).all()
        return maybe_time(max((time for time in of_sites if time is not None), default=None))

    def other_models(self, models: Collection[str]) -> dict[str, frozenset[str]]:
        """Return each stored model that is not among `models`, with the sources of its values.

        The source of values from files is `IMPORTED`.
        """
        sources: defaultdict[str, set[str]] = defaultdict(set)
        with self.database.read() as connection:
            names = connection.execute(sa.select(t.model.c.name)).scalars()
            others = [name for name in names if name not in models]
            for some in chunks(others):
                for name, source in connection.execute(_SOURCES_OF_MODELS.where(t.model.c.name.in_(some))):
                    sources[name].add(source)
        return {name: frozenset(sources[name]) for name in others}

    def other_networks(self, networks: Collection[str]) -> frozenset[str]:
        """Return the networks of stored stations that are not among `networks`."""
        with self.database.read() as connection:
            bytewise = "C" if is_postgres(connection) else None  # SQLite compares bytewise by default
            stations = connection.execute(_others_than(frozenset(networks), bytewise)).scalars()
            return frozenset(map(network_of, stations))

    def newest_values(
        self,
        sites: Sequence[Site],
        now: datetime,
        *,
        models_withheld: Collection[str] = (),
        networks_withheld: Collection[str] = (),
    ) -> dict[str, SiteValues]:
        """Return, per site id, the observed and forecast values for `now`.

        Observed: the newest value of each parameter, from the first station of the site that has one.
        Forecast: of each model, the value of the newest run at the valid time nearest to `now`.
        """
        with self.database.read() as connection:
            ids, moment = present_ids(connection, now), to_epoch(now)
            values_by_site = {}
            for site in sites:
                stations = [code for code in site.stations if network_of(code) not in networks_withheld]
                best: dict[str, tuple[tuple[int, int], Any]] = {}
                if site.id in ids:
                    here = FORECASTS.where(t.forecast.c.site_id == ids[site.id])
                    near = within(here, t.forecast.c.valid_time, moment - _NEAR, moment + _NEAR + 1)
                    for row in connection.execute(near):
                        closeness = row.reference_time, -abs(row.valid_time - moment)
                        if row.model not in best or closeness > best[row.model][0]:
                            best[row.model] = closeness, row
                values = [
                    value
                    for model, (_, row) in sorted(best.items())
                    if model not in models_withheld
                    for value in values_of(row, t.forecast)
                ]
                values_by_site[site.id] = SiteValues(
                    observed=_newest_observed(connection, stations),
                    forecast=tuple(forecast_rows(connection, values)),
                )
            return values_by_site

    def silent_stations(
        self, stations: Collection[str], now: datetime, age: timedelta
    ) -> dict[str, datetime | None]:
        """Return those of `stations` without a reading younger than `age`, each with its last one, if any."""
        newest = self.newest_readings(stations)
        return {station: last for station, last in newest.items() if last is None or last < now - age}

    def newest_readings(self, stations: Collection[str]) -> dict[str, datetime | None]:
        """Return the time of the newest reading of each of `stations`, None before its first one."""
        query = sa.select(t.station.c.code, t.station.c.newest)
        with self.database.read() as connection:
            newest = {
                row.code: maybe_time(row.newest)
                for chunk in chunks(stations)
                for row in connection.execute(query.where(t.station.c.code.in_(chunk)))
            }
        return {station: newest.get(station) for station in stations}


# --- Parts of queries --------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _others_than(networks: frozenset[str], collation: str | None) -> sa.Select[Any]:
    """Select the stations of other networks as ranges of codes, for which the index is enough."""
    code: sa.ColumnElement[str] = t.station.c.code
    if collation is not None:
        code = sa.collate(code, collation)
    after, between = "", []
    for network in sorted(networks):
        between.append(sa.and_(code >= after, code < f"{network}:"))
        after = f"{network};"  # the character after the colon
    return sa.select(t.station.c.code).where(sa.or_(*between, code >= after))


def _newest_observed(connection: sa.Connection, stations: Sequence[str]) -> tuple[ObservationRow, ...]:
    rows_by_parameter: dict[Parameter, ObservationRow] = {}
    for code in stations:
        station_id = sa.select(t.station.c.id).where(t.station.c.code == code).scalar_subquery()
        last = (
            OBSERVATIONS.where(t.observation.c.station_id == station_id)
            .order_by(t.observation.c.time.desc())
            .limit(_LAST_READINGS)
        )
        newest: dict[Parameter, Value] = {}
        for row in connection.execute(last):
            for value in values_of(row, t.observation):
                newest.setdefault(value.parameter, value)
        rows = observation_rows(connection, list(newest.values()))
        rows_by_parameter = {row.parameter: row for row in rows} | rows_by_parameter
        if len(rows_by_parameter) == len(Parameter):
            break
    return tuple(rows_by_parameter[parameter] for parameter in Parameter if parameter in rows_by_parameter)
