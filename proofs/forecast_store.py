"""The synthetic years in a real store: runs, readings and positions, each from the moment that it arrives.

Readings come by three collections a day. Now and then those of a station stay away for two or four days, a
reading is corrected five days later, and a run comes after the decision with other values. The beacon of one
site is moved; its new place is confirmed ten days later. `Years` also states what had arrived at a decision,
by rules of its own, so that the job can be compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from backend.core.columns import Ints
from backend.core.local_time import HOUR, HOURS_A_DAY, date_of, day_number, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import (
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Position,
    Run,
    Site,
)
from backend.forecast.cells import CLASS_HOURS, Floats
from backend.scoring.grid import SCALE, clock_hours
from backend.scoring.views import DecisionView
from backend.storage.database import Database
from backend.storage.store import Store
from proofs.forecast_world import World, years

FIRST = day_number(date(2026, 1, 1))
MODELS = ("arome_0025", "icon_ch1", "icon_ch2", "meteo_parapente")
PARAMETERS = (Parameter.WIND_SPEED, Parameter.WIND_GUST, Parameter.TEMPERATURE)

COLLECTIONS = (6, 11, 18)
"""The local hours that are collected: up to their o'clock, at a quarter to the next."""

LATE_RUN_EVERY, LATE_RUN_ADDS = 17, 20 * SCALE
CORRECTED_EVERY, CORRECTED_AFTER, CORRECTION = 11, 5, 30 * SCALE
CONFIRMED_AFTER = 10
"""Days from a move to the operator's confirmation of the new place."""

MOST_WAIT = 48 * HOUR
LAST_HOURS = 7 * HOUR
"""A day is complete by a reading of the first hours after its end, or by a time after it."""


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a local time of a day as UTC."""
    return datetime.fromtimestamp(local_moment(day, hour) + 60 * minute, UTC)


def epoch(moment: datetime) -> int:
    """Return a moment as seconds since 1970."""
    return int(moment.timestamp())


@dataclass(eq=False)
class Years:
    """A world in whole thousandths, hour by hour of the local day, with the arrival of each reading.

    `models`: by parameter (days, sites, models, 25); `observed`: by parameter (days, sites, 25); `arrival`:
    (days, sites, 25) in seconds since 1970. Days count from FIRST.
    """

    world: World
    models: dict[Parameter, Ints] = field(init=False)
    observed: dict[Parameter, Ints] = field(init=False)
    arrival: Ints = field(init=False)
    sites: tuple[Site, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Convert the world, and draw the arrivals."""
        days, count = self.world.observed["wind_speed"].shape[:2]
        self.models = {each: _hours(self.world.models[each.value]) for each in PARAMETERS}
        self.observed = {each: _hours(self.world.observed[each.value]) for each in PARAMETERS}
        # Quality control takes out a gust below the mean wind.
        wind, gust = (self.observed[each] for each in PARAMETERS[:2])
        self.observed[Parameter.WIND_GUST] = np.where(gust == ABSENT, ABSENT, np.maximum(gust, wind))
        self.arrival = np.array(
            [[self._arrivals(day, site) for site in range(count)] for day in range(days)], np.int64
        )
        self.sites = tuple(
            Site(f"site-{n}", f"Site {n}", 45.9 + n / 50, 6.2 + n / 50, 1000.0, ("W",), (f"ffvl:{n + 1}",))
            for n in range(count)
        )

    @classmethod
    def drawn(cls, days: int, sites: int, seed: int) -> Years:
        """Return the years of proofs/forecast_world.py."""
        return cls(years(days, sites, seed))

    @property
    def days(self) -> int:
        """Return the number of days."""
        return len(self.arrival)

    @property
    def moved(self) -> tuple[int, int]:
        """Return the site whose beacon was moved, and the day from FIRST on."""
        return self.world.moved

    # --- What comes, and when ----------------------------------------------------------------------------

    def outages(self, site: int) -> Iterator[tuple[int, int]]:
        """Yield the days (first, day of the end) whose readings of a site come with those of the last."""
        late = np.flatnonzero(self.world.known > np.arange(len(self.world.known)) + 1)
        for number, day in enumerate(late.tolist()):
            if number % self.world.observed["wind_speed"].shape[1] == site:
                yield day, day + (2 if day % 2 else 4)

    def _arrivals(self, day: int, site: int) -> list[int]:
        ends = [end for first, end in self.outages(site) if first <= day < end]
        if ends:
            return [epoch(at(FIRST + max(ends), COLLECTIONS[0], 45))] * HOURS_A_DAY
        start = local_moment(FIRST + day)
        collections = [epoch(at(FIRST + day, hour, 45)) for hour in COLLECTIONS]
        collections.append(epoch(at(FIRST + day + 1, COLLECTIONS[0], 45)))
        return [
            next(moment for moment in collections if moment >= start + HOUR * column)
            for column in range(HOURS_A_DAY)
        ]

    def late_run(self, day: int) -> bool:
        """Return whether a run with other values for a day comes after the evening before."""
        return day % LATE_RUN_EVERY == 0

    def announced(self, day: int, site: int, view: DecisionView, parameter: Parameter) -> Mapping[str, Ints]:
        """Return what was announced for a day (25,) by the decision of a view; no model without a value.

        The first runs are those of the first day, for the next two.
        """
        if day == 0:
            return {}
        values = self.models[parameter][day, site].copy()
        if self.late_run(day) and view.days_before == 0 and parameter is not Parameter.TEMPERATURE:
            values[0] = np.where(values[0] == ABSENT, ABSENT, values[0] + LATE_RUN_ADDS)
        values[:, clock_hours(date_of(FIRST + day), 1)[0] < view.first_hour] = ABSENT
        return {name: of for name, of in zip(MODELS, values, strict=True) if (of != ABSENT).any()}

    def is_complete(self, day: int, site: int, by: int) -> bool:
        """Return whether the readings of a day can be learned at a moment."""
        end = local_moment(FIRST + day + 1)
        if by < end:
            return False
        if by >= end + MOST_WAIT:
            return True
        if day + 1 >= self.days:
            return False
        after = end + HOUR * np.arange(HOURS_A_DAY) <= end + LAST_HOURS
        there = np.any([self.observed[each][day + 1, site] != ABSENT for each in PARAMETERS], axis=0)
        return bool((there & after & (self.arrival[day + 1, site] <= by)).any())

    def arrived(self, day: int, site: int, parameter: Parameter, by: int) -> Ints:
        """Return the readings of a day (25,) that had arrived by a moment, from a place that counts."""
        values = np.where(self.arrival[day, site] <= by, self.observed[parameter][day, site], ABSENT)
        if site == self.moved[0] and epoch(self.noticed) <= by < epoch(self.confirmed):
            times = local_moment(FIRST + day) + HOUR * np.arange(HOURS_A_DAY)
            values = np.where(times >= epoch(self.stated), ABSENT, values)
        return values

    @property
    def stated(self) -> datetime:
        """Return when the new place of the moved beacon was first stated: the move is dated to it."""
        return at(FIRST + self.moved[1], COLLECTIONS[0], 45)

    @property
    def noticed(self) -> datetime:
        """Return when the move was known, by three answers over a day."""
        return self.stated + timedelta(days=1)

    @property
    def confirmed(self) -> datetime:
        """Return when the operator confirmed the new place."""
        return at(FIRST + self.moved[1] + CONFIRMED_AFTER, 12, 30)

    # --- Into the store ----------------------------------------------------------------------------------

    def collect(self, store: Store, day: int, hour: int) -> None:
        """Store what comes at a collection."""
        moment = at(FIRST + day, hour, 45)
        records = list(self._readings(day, hour, epoch(moment)))
        positions = []
        for index, site in enumerate(self.sites):
            here = index != self.moved[0] or day < self.moved[1]
            latitude = site.latitude if here else site.latitude + 0.02
            positions.append(Position(site.stations[0], moment, latitude, site.longitude, site.elevation))
        store.add_observations(
            ObservationBatch(
                source="ffvl",
                route="synthetic",
                rank=0,
                collected_at=moment,
                averaging_minutes=10,
                records=tuple(records),
                positions=tuple(positions),
            )
        )
        if hour == COLLECTIONS[-1]:
            self._announce(store, day)

    def _readings(self, day: int, hour: int, moment: int) -> Iterator[Observation]:
        for index, site in enumerate(self.sites):
            for earlier in range(max(day - 5, 0), day + 1):
                came = np.flatnonzero(self.arrival[earlier, index] == moment).tolist()
                yield from self._of_day(earlier, index, site.stations[0], came)
        corrected = day - CORRECTED_AFTER
        if hour == COLLECTIONS[-1] and corrected >= 0 and corrected % CORRECTED_EVERY == 0:
            value = int(self.observed[Parameter.WIND_SPEED][corrected, 0, 14])
            if value != ABSENT:
                time = datetime.fromtimestamp(local_moment(FIRST + corrected) + 14 * HOUR, UTC)
                wrong = (value + CORRECTION) / SCALE
                yield Observation(self.sites[0].stations[0], Parameter.WIND_SPEED, time, wrong)

    def _of_day(self, day: int, site: int, station: str, columns: list[int]) -> Iterator[Observation]:
        start = local_moment(FIRST + day)
        for parameter in PARAMETERS:
            values = self.observed[parameter][day, site].tolist()
            for column in columns:
                if values[column] != ABSENT:
                    time = datetime.fromtimestamp(start + HOUR * column, UTC)
                    yield Observation(station, parameter, time, values[column] / SCALE)

    def _announce(self, store: Store, day: int) -> None:
        """Store the runs of a day at 14:00, for the two days after it, and the run that comes too late."""
        for index, name in enumerate(MODELS):
            records = [
                record
                for target in (day + 1, day + 2)
                if target < self.days
                for record in self._values(name, index, target, at(FIRST + day, 14))
            ]
            self._add_run(store, name, at(FIRST + day, 14), at(FIRST + day, 17, 30), records)
        if day + 1 < self.days and self.late_run(day + 1):
            run = at(FIRST + day, 17)
            late = list(self._values(MODELS[0], 0, day + 1, run, adds=LATE_RUN_ADDS))
            self._add_run(store, MODELS[0], run, at(FIRST + day, 19, 10), late)

    def _values(self, name: str, index: int, day: int, run: datetime, adds: int = 0) -> Iterator[Forecast]:
        start = local_moment(FIRST + day)
        for parameter in PARAMETERS:
            extra = 0 if parameter is Parameter.TEMPERATURE else adds
            for number, site in enumerate(self.sites):
                for column, value in enumerate(self.models[parameter][day, number, index].tolist()):
                    if value != ABSENT:
                        time = datetime.fromtimestamp(start + HOUR * column, UTC)
                        yield Forecast(name, site.id, parameter, run, time, (value + extra) / SCALE)

    def _add_run(
        self, store: Store, name: str, run: datetime, available: datetime, records: list[Forecast]
    ) -> None:
        if not records:
            return
        store.add_forecasts(
            ForecastBatch(
                source="synthetic",
                route="synthetic",
                rank=0,
                collected_at=available,
                run=Run(name, run, available, published=True),
                parts=("all",),
                sites=tuple(site.id for site in self.sites),
                records=tuple(records),
            )
        )

    def opened(self, url: str) -> Store:
        """Return an empty store with the sites."""
        database = Database(url, durable=False)
        database.migrate()
        store = Store(database)
        store.save_sites(self.sites)
        return store


def _hours(cells: Floats) -> Ints:
    """Return cells (days, ..., 8, 4) as the hours of local days (days, ..., 25) in thousandths."""
    hours = cells[..., :CLASS_HOURS].reshape(*cells.shape[:-2], 24)
    found = np.full((*cells.shape[:-2], HOURS_A_DAY), ABSENT, np.int32)
    for day, of_day in enumerate(hours):
        clock = clock_hours(date_of(FIRST + day), 1)[0]
        there = np.flatnonzero(clock >= 0)
        values = of_day[..., clock[there]]
        steps = np.where(np.isnan(values), ABSENT, np.rint(np.nan_to_num(values) * SCALE))
        found[day][..., there] = steps.astype(np.int32)
    return found
