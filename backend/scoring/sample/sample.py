"""One site in one view over a span of days, as arrays that lie hour on hour: what every score starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import GUST, NO_LEAD, UNPAIRED, DayColumns, ForecastDays
from backend.core.errors import NotFoundError
from backend.core.local_time import HOURS_A_DAY, date_of, day_number, day_of_epoch
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, Station
from backend.core.registry import THREE_HOUR_GUST_MODELS
from backend.scoring.grid import Bools, Integers, Values, clock_hours, months, present
from backend.scoring.hours import Hours
from backend.scoring.local_span import Span
from backend.scoring.reasons import REASONS
from backend.scoring.sample.height_correction import to_station_height
from backend.scoring.sample.reference_forecasts import (
    climatology,
    direction_climatology,
    model_mean,
    model_mean_direction,
    yesterday,
)
from backend.scoring.views import VIEWS, View
from backend.storage import days as store
from backend.storage import published_months
from backend.storage.database import Connection, Database
from backend.storage.positions import Whereabouts, whereabouts
from backend.storage.score_queries import (
    answer_stamp,
    model_grounds,
    model_ids,
    models_with_days,
    site_row,
    station_rows,
    stations_with_days,
)
from backend.storage.site_rows import site_record, station_record

BASELINES = ("yesterday", "climatology", "model_mean")
"""Forecasts that anyone could make; they are scored beside the models and never win."""

STATION_SEPARATOR = " and then "
"""Between the names of reference stations that followed each other."""

UNKNOWN_ID = -1
"""The number of a site, model or station of which nothing was ever kept."""

EARLIER_DAYS = max(int(view.newest_known_day().max()) for view in VIEWS)
"""How many days before the first are read: "yesterday" of the first days lies in them."""

N = TypeVar("N", np.int32, np.int64)

_INDEX = {parameter: index for index, parameter in enumerate(Parameter)}


@dataclass(frozen=True, slots=True, eq=False)
class StationDays:
    """What a station measured: arrays (days, 25) in thousandths, and how far each report is from its hour.

    `offsets` in minutes, NOT_MATCHED where there is no mean wind. `resolution` is of directions, in degrees.
    `means` are those of all reports around each hour, of gusts there are none. `doubted` counts the values
    that are kept and enter no score, by parameter and reason. `before` is what was measured on the
    EARLIER_DAYS days before the first, (EARLIER_DAYS, 25).

    `station` is described as of its newest place that counts for the site. Where it moved, `heights` are
    those of all its places (first local day, metres above sea level or None), oldest first. `away_since` is
    the local day of a move that the site has not confirmed.
    """

    station: Station
    observed: Mapping[Parameter, Values]
    means: Mapping[Parameter, Values]
    offsets: Integers
    resolution: float | None
    doubted: Mapping[tuple[Parameter, str], int]
    before: Mapping[Parameter, Values] = field(default_factory=dict)
    heights: Sequence[tuple[int, float | None]] = ()
    away_since: int | None = None

    def to_height(self, forecast: Values, ground: float | None, first: int) -> Values | None:
        """Return temperatures forecast at `ground` (metres) at the height of the station on each day.

        `first` is the local day of the first row. None where no height is known.
        """
        if not self.heights:
            return to_station_height(forecast, ground, self.station.elevation)
        brought = np.full_like(forecast, ABSENT)
        for number, (begins, height) in enumerate(self.heights):
            start = 0 if number == 0 else max(begins - first, 0)
            of_place = to_station_height(forecast[start:], ground, height)
            brought[start:] = ABSENT if of_place is None else of_place
        return brought if (brought != ABSENT).any() else None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was forecast and observed: arrays (days, 25) in thousandths, by parameter, and by model.

    `hours` are those that the question counts: `forecasts`, `observed`, `temperatures` and `reference()` are
    ABSENT in all others, so that everything made from them agrees. `all_forecasts`, `measured` and the arrays
    of `stations` have every hour, for what needs the others too: the references, flyable days, and whether
    two stations are one.

    `stations` holds every station of the site, `reference_days` those that the scores are about, each with
    the days on which it speaks. `leads` are minutes, NOT_SAID where there is no forecast, and of the newest
    run; `older` is by how many minutes the run that a value is from is older. `estimated` counts hours whose
    run told no time of publication, of the whole days. `grounds` are metres, None where a model does not say.
    `speaking_before` is as `reference_days`, of the EARLIER_DAYS days before the first.
    """

    site: Site
    view: View
    span: Span
    hours: Hours
    all_forecasts: Mapping[str, Mapping[Parameter, Values]]
    leads: Mapping[str, Integers]
    older: Mapping[str, Mapping[Parameter, Integers]]
    estimated: Mapping[str, int]
    grounds: Mapping[str, float | None]
    stations: Mapping[str, StationDays]
    reference_days: Mapping[str, Bools]
    speaking_before: Mapping[str, Bools] = field(default_factory=dict)

    @cached_property
    def clock(self) -> Integers:
        """The hour that the clock shows at each column, (days, 25)."""
        return clock_hours(date_of(self.span.first), len(self.span.days))

    @cached_property
    def months(self) -> Integers:
        """The month of each day, 1 to 12."""
        return months(date_of(self.span.first), len(self.span.days))

    @cached_property
    def station(self) -> str:
        """The reference station; of several that followed each other all, "" where there is none."""
        return STATION_SEPARATOR.join(self.reference_days)

    @cached_property
    def counted(self) -> Bools:
        """The hours that the question counts, (days, 25)."""
        return self.hours.counted(self.clock)

    @cached_property
    def forecasts(self) -> Mapping[str, Mapping[Parameter, Values]]:
        """What the models said of the hours that count."""
        return {
            model: {parameter: self._within(values) for parameter, values in of_model.items()}
            for model, of_model in self.all_forecasts.items()
        }

    @cached_property
    def observed(self) -> Mapping[Parameter, Values]:
        """What the reference station measured in the hours that count."""
        return {parameter: self._within(values) for parameter, values in self.measured.items()}

    @cached_property
    def measured(self) -> Mapping[Parameter, Values]:
        """What the reference station measured in all hours."""
        return {
            parameter: self._by_reference_station(
                {code: self.stations[code].observed[parameter] for code in self.reference_days},
                ABSENT,
                np.int32,
            )
            for parameter in Parameter
        }

    @cached_property
    def offsets(self) -> Integers:
        """How many minutes each report of the reference station is from its hour, or NOT_MATCHED."""
        offsets = {code: self.stations[code].offsets for code in self.reference_days}
        return self._by_reference_station(offsets, UNPAIRED, np.int64)

    @cached_property
    def temperatures(self) -> Mapping[str, Values]:
        """What the models say of the temperature at the station's height.

        A model whose ground is not known is not here; a day whose station's height is not known is absent.
        """
        found = {}
        for model, of_model in self.forecasts.items():
            raw, ground = of_model[Parameter.TEMPERATURE], self.grounds.get(model)
            brought = {
                code: self.stations[code].to_height(raw, ground, self.span.first)
                for code in self.reference_days
            }
            known = {code: values for code, values in brought.items() if values is not None}
            if known:
                found[model] = self._by_reference_station(known, ABSENT, np.int32)
        return found

    @property
    def resolution(self) -> float | None:
        """The coarsest resolution of the reference station's directions, in degrees."""
        told = [self.stations[code].resolution for code in self.reference_days]
        return max((each for each in told if each is not None), default=None)

    def lead(self, model: str, parameter: Parameter) -> Integers:
        """Return the lead times of a parameter of a model in minutes; NOT_SAID without a forecast."""
        leads = self.leads[model]
        return np.where(leads == NO_LEAD, NO_LEAD, leads + self.older[model][parameter])

    def from_older_runs(self, model: str, parameter: Parameter) -> int:
        """Return in how many hours that count the value of a parameter is not of the newest run."""
        said = present(self.forecasts[model][parameter])  # without gusts that are not of one hour
        return int((said & (self.older[model][parameter] > 0)).sum())

    def within(self, hours: Hours) -> Sample:
        """Return the same days with other hours that count."""
        return self if hours is self.hours else replace(self, hours=hours)

    def at(self, station: str) -> Sample:
        """Return the same forecasts against another of the site's stations."""
        return replace(
            self,
            reference_days={station: np.ones(len(self.span.days), np.bool_)},
            speaking_before={station: np.ones(EARLIER_DAYS, np.bool_)},
        )

    def averaged(self) -> Sample:
        """Return the same forecasts against the mean of each hour's reports."""
        return replace(
            self, stations={code: replace(each, observed=each.means) for code, each in self.stations.items()}
        )

    def reference(self, name: str, parameter: Parameter, said: Iterable[Values]) -> Values:
        """Return what one of REFERENCES would have forecast; `said` is what the models did.

        It is made from all hours, and is there in those that count.
        """
        return self._within(self._reference(name, parameter, said))

    def _reference(self, name: str, parameter: Parameter, said: Iterable[Values]) -> Values:
        observed = self.measured[parameter]
        circular = parameter is Parameter.WIND_DIRECTION
        if name == "yesterday":
            before = np.full((EARLIER_DAYS, HOURS_A_DAY), ABSENT, np.int32)
            for code, days in self.speaking_before.items():
                before[days] = self.stations[code].before[parameter][days]
            clock = clock_hours(date_of(self.span.first - EARLIER_DAYS), EARLIER_DAYS + len(self.span.days))
            return yesterday(np.concatenate([before, observed]), clock, self.view)[EARLIER_DAYS:]
        if name == "climatology":
            make = direction_climatology if circular else climatology
            return make(observed, self.clock, self.months)
        reference_days = [values for values in said if (values != ABSENT).any()]
        if len(reference_days) < 2:
            return np.full_like(observed, ABSENT)  # the mean of one model is that model
        return model_mean_direction(reference_days) if circular else model_mean(reference_days)

    def _within(self, values: Values) -> Values:
        return values if self.hours is Hours.ALL else np.where(self.counted, values, ABSENT).astype(np.int32)

    def _by_reference_station(
        self, values: Mapping[str, NDArray[N]], absent: int, kind: type[N]
    ) -> NDArray[N]:
        """Lay the values of the stations together, each on the days on which it speaks."""
        shape = (len(self.span.days), HOURS_A_DAY)
        found: NDArray[N] = np.full(shape, absent, kind)
        for code, of_station in values.items():
            days = self.reference_days[code]
            found[days] = of_station[days]
        return found


class Samples:
    """Reads samples from the store. Blocks; raises StoreUnavailableError."""

    def __init__(self, database: Database) -> None:
        self.database = database

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
        """Return what is kept of a site's days from `first` to `last` (local day numbers).

        `hours` are those that count. `station` is one of the site's, NotFoundError otherwise; without it,
        each day is taken from the station that was the site's reference on it. Of `models` there is something
        even where nothing is kept. `public` takes the published months in place of the days of now (see
        public_months).
        """
        (found,) = self.load_views(
            site, (view,), first, last, station=station, models=models, hours=hours, public=public
        )
        return found

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
            of_span, of_earlier = (
                reference_days(place, each)
                if station is None
                else {station: np.ones(len(each.days), np.bool_)}
                for each in (span, earlier)
            )
            same = _SameInAllViews(
                site=place,
                span=span,
                hours=hours,
                stations=_stations(connection, site_id, place, span, public=public),
                reference_days=of_span,
                speaking_before=of_earlier,
            )
            days = [
                store.forecast_columns(connection, site_id, view.number, span.first, span.last, public=public)
                for view in views
            ]
            ids = model_ids(connection)
            kept = {number for of_view in days for number in of_view.owner.tolist()}
            named = _Models(  # the same in all views: a model may have forecasts in some of them only
                asked=frozenset(models).union(name for name, number in ids.items() if number in kept),
                ids=ids,
                grounds=model_grounds(connection, site_id),
            )
            return tuple(_load(view, of_view, same, named) for view, of_view in zip(views, days, strict=True))

    def kept_between(self, site: Site, first: int, last: int) -> tuple[frozenset[str], frozenset[str]]:
        """Return the models and the stations of which any day from `first` to `last` is kept at a site."""
        with self.database.read() as connection:
            row = site_row(connection, site.id, last)
            if row is None:
                return frozenset(), frozenset()
            return (
                models_with_days(connection, row.id, first, last),
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
                names[owner]: found for (of, owner), found in months.items() if of == kind and owner in names
            }

        return named(published_months.OF_MODEL, models), named(published_months.OF_STATION, stations)

    def stamp(self, site: Site, last: int) -> str:
        """Return a text that changes whenever an answer about a site's days up to `last` may change."""
        with self.database.read() as connection:
            return answer_stamp(connection, site, last)


class _SameInAllViews(TypedDict):
    """What the samples of one question have in common."""

    site: Site
    span: Span
    hours: Hours
    stations: Mapping[str, StationDays]
    reference_days: Mapping[str, Bools]
    speaking_before: Mapping[str, Bools]


@dataclass(frozen=True, slots=True)
class _Models:
    """The models that are asked for in any case, and the ids of all, and their grounds at the site."""

    asked: frozenset[str]
    ids: Mapping[str, int]
    grounds: Mapping[str, float | None]


def _load(view: View, days: ForecastDays, same: _SameInAllViews, models: _Models) -> Sample:
    """Return a sample; gusts that are not of one hour are not in it."""
    span, names = same["span"], sorted(models.asked)
    rows = {name: np.flatnonzero(days.owner == models.ids.get(name, UNKNOWN_ID)) for name in names}
    return Sample(
        view=view,
        all_forecasts={
            name: _by_parameter(span, days, rows[name], GUST if name in THREE_HOUR_GUST_MODELS else None)
            for name in names
        },
        leads={name: _minutes(span, days, rows[name], NO_LEAD) for name in names},
        older={name: _older(span, days, rows[name]) for name in names},
        estimated={name: int(days.estimated[rows[name]].sum()) for name in names},
        grounds={name: models.grounds.get(name) for name in names},
        **same,
    )


def reference_days(site: Site, span: Span) -> dict[str, Bools]:
    """Return the days on which each station of a site is its reference, in the order of these days."""
    changes = (day_number(each.since) for each in site.references if each.since is not None)
    begins = sorted({span.first, *(day for day in changes if day in span.days)})
    found: dict[str, Bools] = {}
    for first, end in pairwise([*begins, span.last + 1]):
        code = site.reference_on(date_of(first))
        if code is not None:
            days = found.setdefault(code, np.zeros(len(span.days), np.bool_))
            days[first - span.first : end - span.first] = True
    return found


def _stations(
    connection: Connection, site_id: int, site: Site, span: Span, *, public: bool
) -> dict[str, StationDays]:
    described = {row.code: row for row in station_rows(connection, site.stations)}
    earlier = Span(span.first - EARLIER_DAYS, span.first - 1)
    days = store.observed_columns(connection, site_id, earlier.first, span.last, public=public)
    places = whereabouts(connection, site.id, [row.id for row in described.values()])
    means = replace(days, hourly=days.means)
    found = {}
    for code in site.stations:
        row = described.get(code)
        mine = days.owner == (UNKNOWN_ID if row is None else row.id)
        rows = np.flatnonzero(mine & (days.day >= span.first))
        told = [each for row in rows.tolist() if (each := days.resolution[row]) is not None]
        found[code] = StationDays(
            station=Station(code) if row is None else _at_its_place(station_record(row), places.get(row.id)),
            observed=_by_parameter(span, days, rows),
            means=_by_parameter(span, means, rows),
            offsets=_minutes(span, days, rows, UNPAIRED),
            resolution=max(told, default=None),
            doubted={
                (parameter, reason): count
                for parameter, counts in zip(
                    Parameter, days.doubts[rows].sum(axis=0, dtype=np.int64).tolist(), strict=True
                )
                for reason, count in zip(REASONS, counts, strict=False)
                if count
            },
            before=_by_parameter(earlier, days, np.flatnonzero(mine & (days.day < span.first))),
            heights=() if row is None else _heights(station_record(row), places.get(row.id)),
            away_since=None if row is None else _away_since(places.get(row.id)),
        )
    return found


def _at_its_place(station: Station, place: Whereabouts | None) -> Station:
    """Return a station that moved as it is described at its newest place that counts for the site."""
    if place is None or place.counted is None or place.counted == place.stays[-1]:
        return station
    stay = place.counted
    return replace(
        station,
        latitude=stay.latitude,
        longitude=stay.longitude,
        elevation=stay.elevation,
        name=stay.name or station.name,
    )


def _away_since(place: Whereabouts | None) -> int | None:
    return day_of_epoch(place.away[-1][0]) if place is not None and place.away else None


def _heights(station: Station, place: Whereabouts | None) -> tuple[tuple[int, float | None], ...]:
    if place is None or len(place.stays) < 2:
        return ()
    before = ((day_of_epoch(stay.since), stay.elevation) for stay in place.stays[:-1])
    return (*before, (day_of_epoch(place.stays[-1].since), station.elevation))


def _by_parameter(
    span: Span, days: DayColumns, rows: Integers, without: int | None = None
) -> dict[Parameter, Values]:
    values = np.full((len(Parameter), len(span.days), HOURS_A_DAY), ABSENT, np.int32)
    values[:, days.day[rows] - span.first] = days.hourly[rows].transpose(1, 0, 2)
    if without is not None:
        values[without] = ABSENT
    return {parameter: values[index] for parameter, index in _INDEX.items()}


def _older(span: Span, days: ForecastDays, rows: Integers) -> dict[Parameter, Integers]:
    minutes = np.zeros((len(Parameter), len(span.days), HOURS_A_DAY), np.int64)
    minutes[:, days.day[rows] - span.first] = days.older[rows].transpose(1, 0, 2)
    return {parameter: minutes[index] for parameter, index in _INDEX.items()}


def _minutes(span: Span, days: DayColumns, rows: Integers, missing: int) -> Integers:
    minutes = np.full((len(span.days), HOURS_A_DAY), missing, np.int64)
    minutes[days.day[rows] - span.first] = days.minutes[rows]
    return minutes
