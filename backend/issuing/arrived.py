"""What had arrived at a decision: the models for the coming day, and the readings of the days before.

Runs count by their availability, readings by their arrival. Values are whole thousandths of their unit, hour
by hour of the local day, ABSENT where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from backend.core.columns import NO_LEAD, SPEED, Ints
from backend.core.issued import Input
from backend.core.local_time import HOUR, HOURS_A_DAY, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site
from backend.core.registry import THREE_HOUR_GUST_MODELS
from backend.forecast.directions import LEAST_SPEED
from backend.scoring.days.quality_control import CONTEXT, Flag
from backend.scoring.days.run_selection import select_runs
from backend.scoring.days.update import exclusions, observed_days
from backend.scoring.grid import SCALE, Span
from backend.scoring.sample.height_correction import to_station_height
from backend.scoring.views import DecisionView
from backend.storage.collected_rows import arrived_rows, forecast_rows, site_stations
from backend.storage.database import Connection
from backend.storage.positions import whereabouts
from backend.storage.quality_state import read_flags, read_limits
from backend.storage.score_queries import model_elevations, site_row, station_rows

MOST_WAIT = int(timedelta(hours=48).total_seconds())
"""Seconds after its end that a day waits for the readings of its last hours, before it is learned without."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnouncedDay:
    """What each model announces for a local day (4, 25), as known at a decision, and from which runs."""

    values: Mapping[str, Ints]
    inputs: Mapping[str, tuple[Input, ...]]
    grounds: Mapping[str, float | None]
    """Heights of the models' ground at the site, in metres."""

    def of(self, parameter: Parameter, station_elevation: float | None) -> dict[str, Ints]:
        """Return the values of a parameter by model (25,), temperatures at the height of the station.

        Without a known height a temperature stays as it is: its correction learns the difference. A gust of
        three hours is another quantity than the one that is measured, and is left out.
        """
        found: dict[str, Ints] = {}
        for name, values in sorted(self.values.items()):
            hours = values[parameter.number]
            if parameter is Parameter.TEMPERATURE:
                shifted = to_station_height(hours, self.grounds.get(name), station_elevation)
                hours = hours if shifted is None else shifted
            if parameter is Parameter.WIND_GUST and name in THREE_HOUR_GUST_MODELS:
                continue
            if (hours != ABSENT).any():
                found[name] = hours
        return found


def announced(
    connection: Connection, site: Site, views: Sequence[DecisionView], today: int, names: Mapping[int, str]
) -> dict[int, AnnouncedDay]:
    """Return what the models announce for the local day of each view, by its number.

    Runs count that were available at the decision, which is on the local day `today`. `names` of the models,
    by id; others are left out.
    """
    ahead = [view.days_before for view in views]
    span = Span(today + min(ahead), today + max(ahead))
    row = site_row(connection, site.id, span.last)
    if row is None:
        return {view.number: AnnouncedDay({}, {}, {}) for view in views}
    runs = forecast_rows(connection, row.id, int(span.starts[0]), int(span.starts[-1]) - 1)
    grounds = model_elevations(connection, row.id)
    found = {}
    for number, days in select_runs(runs, span, views).items():
        day = today + next(view.days_before for view in views if view.number == number)
        values, inputs = {}, {}
        for index in np.flatnonzero(days.day == day).tolist():
            name, hourly = names.get(int(days.owner[index])), days.hourly[index]
            if name is None:
                continue
            values[name] = hourly
            lead = 60 * (days.minutes[index].astype(np.int64) + days.older[index])
            times = local_moment(day) + HOUR * np.arange(HOURS_A_DAY) - lead
            used = np.unique(times[(hourly != ABSENT) & (days.minutes[index] != NO_LEAD)]).tolist()
            inputs[name] = tuple(Input(name, run) for run in used)
        found[number] = AnnouncedDay(values, inputs, grounds)
    return found


@dataclass
class ArrivedReadings:
    """The readings of a site as they had arrived by a decision (epoch seconds), each day read once."""

    connection: Connection
    site: Site
    by: int
    _days: dict[int, dict[str, Ints | None]] = field(default_factory=dict)

    def of(self, station: str, day: int, parameter: Parameter) -> Ints | None:
        """Return the readings of a local day (25,), or None while more of its readings are expected.

        Directions are those in wind: in less, a vane turns at random.
        """
        if day not in self._days:
            self._days[day] = self._read(day)
        hourly = self._days[day].get(station)
        if hourly is None:
            return None
        values: Ints = hourly[parameter.number]
        if parameter is Parameter.WIND_DIRECTION:
            return np.where(hourly[SPEED] >= LEAST_SPEED * SCALE, values, ABSENT).astype(np.int32)
        return values

    def elevation(self, station: str) -> float | None:
        """Return the height of a station, in metres above sea level."""
        return next((row.elevation for row in self._stations if row.code == station), None)

    @cached_property
    def _stations(self) -> Sequence[Any]:
        dated = (reference.station for reference in self.site.references)
        return station_rows(self.connection, [*self.site.stations, *dated])

    def _read(self, day: int) -> dict[str, Ints | None]:
        connection, site = self.connection, self.site
        span = Span(day, day)
        end = int(span.starts[-1])
        if self.by < end or (row := site_row(connection, site.id, day)) is None:
            return {}
        stations = site_stations(connection, row.id)
        around = int(span.starts[0]) - HOUR - CONTEXT, end + HOUR + CONTEXT
        rows = {station: arrived_rows(connection, station, *around, self.by) for station in stations}
        runs = forecast_rows(connection, row.id, int(span.starts[0]) - HOUR, end + HOUR)
        limits = {month: flat.reshape(-1, 3) for month, flat in read_limits(connection, row.id).items()}
        flags = [*(Flag(*flag) for flag in read_flags(connection, row.id)), *exclusions(connection, stations)]
        away = {station: place.away for station, place in whereabouts(connection, site.id, stations).items()}
        observed, _ = observed_days(rows, span, runs, limits, flags, away)
        hourly = {int(days.owner[0]): days.hourly[0] for days in observed if len(days.day)}
        nothing = np.full((len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
        codes = {each.id: each.code for each in self._stations}
        return {
            codes[station]: hourly.get(station, nothing)
            if (rows[station].time >= end).any() or self.by >= end + MOST_WAIT
            else None
            for station in stations
        }


def restarts(site: Site, station: str, moved: Sequence[tuple[str, str, int]], by: int) -> int:
    """Return the local day of the newest move of a station of a site up to a moment; 0 if it did not move."""
    days = [
        day for slug, code, day in moved if (slug, code) == (site.id, station) and local_moment(day) <= by
    ]
    return max(days, default=0)
