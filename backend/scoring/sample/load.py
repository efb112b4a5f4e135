"""Samples read from the store: days as they are stored become arrays hour by hour."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import NO_LEAD, UNPAIRED
from backend.core.errors import NotFoundError
from backend.core.local_time import HOURS_A_DAY, date_of, day_number, day_of_epoch
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, Station
from backend.core.registry import THREE_HOUR_GUST_MODELS
from backend.scoring.grid import Bools, Hours, Integers, Span
from backend.scoring.reasons import REASONS
from backend.scoring.sample.sample import EARLIER_DAYS, Lazy, Sample, StationDays
from backend.scoring.views import View
from backend.storage import days as store
from backend.storage import published_months
from backend.storage.database import Connection, Database
from backend.storage.positions import whereabouts
from backend.storage.score_queries import (
    answer_stamp,
    model_elevations,
    model_ids,
    models_with_days,
    site_row,
    station_rows,
    stations_with_days,
)
from backend.storage.site_rows import site_record, station_record

UNKNOWN_ID = -1
"""The id of a site, model or station that is not in the store."""

N = TypeVar("N", np.int32, np.int64)


@dataclass(frozen=True, eq=False)
class Samples:
    """Reads samples from the store. Blocks; raises StoreUnavailableError."""

    database: Database

    def load(
        self,
        site: Site,
        view: View,
        first: int,
        last: int,
        *,
        station: str | None = None,
        models: Iterable[str] = (),
        hours: Hours = Hours.ALL,
        public: bool = False,
    ) -> Sample:
        """Return the stored days of a site from `first` to `last` (local day numbers).

        `hours` are those that count. `station` is one of the site's, NotFoundError otherwise; without it,
        each day is taken from the station that was the site's reference on it. `models` are in the sample
        even where no day of them is stored. `public` takes the published months in place of the current days
        (see public_months).
        """
        (sample,) = self.load_views(
            site, (view,), first, last, station=station, models=models, hours=hours, public=public
        )
        return sample

    def load_views(
        self,
        site: Site,
        views: Sequence[View],
        first: int,
        last: int,
        *,
        station: str | None = None,
        models: Iterable[str] = (),
        hours: Hours = Hours.ALL,
        public: bool = False,
    ) -> tuple[Sample, ...]:
        """Return a sample for each of several views, of one state of the store."""
        span = Span(first, last)
        if station is not None and station not in site.stations:
            raise NotFoundError(
                f"{station!r} is no station of {site.id}: {', '.join(site.stations) or 'it has none'}."
            )
        with self.database.read() as connection:
            row = site_row(connection, site.id, last)
            site_id = UNKNOWN_ID if row is None else row.id
            place = site if row is None else site_record(row)
            earlier = Span(span.first - EARLIER_DAYS, span.first - 1)
            stations = _stations(connection, site_id, place, span, public=public)
            # All views in one transaction: a collection between two of them would mix two states.
            days_by_view = [
                store.forecast_columns(connection, site_id, view.number, span.first, span.last, public=public)
                for view in views
            ]
            ids, grounds = model_ids(connection), model_elevations(connection, site_id)
        of_span, of_earlier = (
            reference_days(place, each) if station is None else {station: np.ones(len(each.days), np.bool_)}
            for each in (span, earlier)
        )
        stored = {number for days in days_by_view for number in days.owner.tolist()}
        # The same in all views: a model may have forecasts in some of them only.
        names = sorted({*models, *(name for name, number in ids.items() if number in stored)})
        absent = np.full((len(span.days), HOURS_A_DAY), ABSENT, np.int32)
        newest = np.zeros((len(span.days), HOURS_A_DAY), np.int64)  # minutes by which a run is older: none
        no_lead = np.full_like(newest, NO_LEAD)
        samples = []
        for view, days in zip(views, days_by_view, strict=True):
            rows = {name: np.flatnonzero(days.owner == ids.get(name, UNKNOWN_ID)) for name in names}
            values = {name: _by_parameter(span, days.day, days.hourly, rows[name], absent) for name in names}
            for name in THREE_HOUR_GUST_MODELS.intersection(names):  # their gust is not of one hour
                values[name] = {**values[name], Parameter.WIND_GUST: absent}
            sample = Sample(
                site=place,
                view=view,
                span=span,
                hours=hours,
                all_forecasts=values,
                leads=Lazy(rows, partial(_on_days, span, days.day, days.minutes, no_lead)),
                older={name: _by_parameter(span, days.day, days.older, rows[name], newest) for name in names},
                estimated={name: int(days.estimated[rows[name]].sum()) for name in names},
                grounds={name: grounds.get(name) for name in names},
                stations=stations,
                reference_days=of_span,
                reference_days_before=of_earlier,
            )
            samples.append(sample)
        return tuple(samples)

    def stored_between(
        self, site: Site, first: int, last: int, *, besides: Collection[str] = ()
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return the models and the stations that have any stored day of a site from `first` to `last`.

        The models in `besides` are not looked for.
        """
        with self.database.read() as connection:
            row = site_row(connection, site.id, last)
            if row is None:
                return frozenset(), frozenset()
            names = model_ids(connection).keys() - set(besides)
            return (
                models_with_days(connection, row.id, first, last, names),
                stations_with_days(connection, row.id, first, last),
            )

    def public_months(self, site: Site, last: int) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
        """Return the published months of a site's models and of its stations, by name."""
        with self.database.read() as connection:
            row = site_row(connection, site.id, last)
            months = {} if row is None else published_months.public_months(connection, int(row.id))
            models = {number: name for name, number in model_ids(connection).items()}
            stations = {each.id: each.code for each in station_rows(connection, site.stations)}

        def named(kind: int, names: Mapping[int, str]) -> dict[str, set[int]]:
            return {
                names[owner]: of_owner
                for (owner_kind, owner), of_owner in months.items()
                if owner_kind == kind and owner in names
            }

        return named(published_months.OF_MODEL, models), named(published_months.OF_STATION, stations)

    def stamp(self, site: Site, last: int) -> str:
        """Return a text that changes whenever an answer about a site's days up to `last` may change."""
        with self.database.read() as connection:
            return answer_stamp(connection, site, last)


def reference_days(site: Site, span: Span) -> dict[str, Bools]:
    """Return the days on which each station of a site is its reference, in the order of these days."""
    changes = (day_number(each.since) for each in site.references if each.since is not None)
    begins = sorted({span.first, *(day for day in changes if day in span.days)})
    reference: dict[str, Bools] = {}
    for first, end in pairwise([*begins, span.last + 1]):
        code = site.reference_on(date_of(first))
        if code is not None:
            days = reference.setdefault(code, np.zeros(len(span.days), np.bool_))
            days[first - span.first : end - span.first] = True
    return reference


def _stations(
    connection: Connection, site_id: int, site: Site, span: Span, *, public: bool
) -> dict[str, StationDays]:
    described = {row.code: row for row in station_rows(connection, site.stations)}
    earlier = Span(span.first - EARLIER_DAYS, span.first - 1)
    days = store.observed_columns(connection, site_id, earlier.first, span.last, public=public)
    places = whereabouts(connection, site.id, [row.id for row in described.values()])
    absent = np.full((len(span.days), HOURS_A_DAY), ABSENT, np.int32)
    unpaired = np.full((len(span.days), HOURS_A_DAY), UNPAIRED, np.int64)
    stations = {}
    for code in site.stations:
        row = described.get(code)
        mine = days.owner == (UNKNOWN_ID if row is None else row.id)
        # One query reads the span and the days before it.
        rows = np.flatnonzero(mine & (days.day >= span.first))
        earlier_rows = np.flatnonzero(mine & (days.day < span.first))
        station, place = Station(code), None
        heights: tuple[tuple[int, float | None], ...] = ()
        if row is not None:
            station, place = station_record(row), places.get(row.id)
        if place is not None and len(place.stays) > 1:
            before = ((day_of_epoch(stay.since), stay.elevation) for stay in place.stays[:-1])
            heights = (*before, (day_of_epoch(place.stays[-1].since), station.elevation))
        if place is not None and place.counted is not None and place.counted != place.stays[-1]:
            stay = place.counted  # the site has not confirmed the newest place: use the last confirmed one
            station = replace(
                station,
                latitude=stay.latitude,
                longitude=stay.longitude,
                elevation=stay.elevation,
                name=stay.name or station.name,
            )
        doubts = days.doubts[rows].sum(axis=0, dtype=np.int64).tolist()
        stations[code] = StationDays(
            station=station,
            observed=_by_parameter(span, days.day, days.hourly, rows, absent),
            means=_by_parameter(span, days.day, days.means, rows, absent),
            offsets=_on_days(span, days.day, days.minutes, unpaired, rows),
            resolution=max(
                (step for row in rows.tolist() if (step := days.resolution[row]) is not None), default=None
            ),
            doubted={
                (parameter, reason): count
                for parameter, counts in zip(Parameter, doubts, strict=True)
                for reason, count in zip(REASONS, counts, strict=False)
                if count
            },
            before=_by_parameter(
                earlier,
                days.day,
                days.hourly,
                earlier_rows,
                np.full((EARLIER_DAYS, HOURS_A_DAY), ABSENT, np.int32),
            ),
            heights=heights,
            away_since=day_of_epoch(place.away[-1][0]) if place is not None and place.away else None,
        )
    return stations


def _by_parameter(
    span: Span, day: Integers, hours: NDArray[np.integer[Any]], rows: Integers, absent: NDArray[N]
) -> Mapping[Parameter, NDArray[N]]:
    """Return some rows of stored days (n, 4, 25) as arrays (days, 25), `absent` on days without a row."""
    of_parameters = {parameter: hours[:, parameter.number] for parameter in Parameter}
    return Lazy(of_parameters, partial(_on_days, span, day, absent=absent, rows=rows))


def _on_days(
    span: Span, day: Integers, hours: NDArray[np.integer[Any]], absent: NDArray[N], rows: Integers
) -> NDArray[N]:
    """Return some rows of stored days (n, 25) as an array (days, 25), `absent` on days without a row."""
    on_days = absent.copy()
    on_days[day[rows] - span.first] = hours[rows]
    return on_days
