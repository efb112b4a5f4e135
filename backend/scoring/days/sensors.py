"""What the days of a station, taken together, show about its sensors: a dead vane, a stopped anemometer.

One reading cannot show it, and neither can the hours around it. Each day of a station therefore has a digest,
and what is learned from all digests of a site is a list of flags: periods of one parameter of one station.
Flags are a pure function of the stored readings and forecasts; a day whose flags change is due.

The evidence is asymmetric on purpose. A calm that every model misses is the very error that is scored, so a
disagreement with models never suffices: the sensor must also show what it has never shown before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import DIRECTION, SPEED, TEMPERATURE, ReadingRows
from backend.core.local_time import local_moment
from backend.core.parameters import ABSENT, MISSING_BESIDE_WIND
from backend.scoring.constants import (
    DAY_FROM,
    DAY_UNTIL,
    FROZEN_DAYS,
    FROZEN_RANGE,
    NEIGHBOUR_WIND,
    NORTH_DAYS,
    NORTH_READINGS,
    NORTH_RETURNS,
    NORTH_SHARE,
    SENSOR_CONTRADICTED,
    SENSOR_HISTORY,
    STOPPED_DAYS,
    STUCK_VANE_ANGLE,
    STUCK_VANE_DAYS,
    STUCK_VANE_SPEEDS,
    TURNING_DAYS,
    TURNING_SHARE,
)
from backend.scoring.days.quality_control import Flag
from backend.scoring.grid import Span, thousandths
from backend.scoring.reasons import FROZEN_TEMPERATURE, STOPPED, STUCK_VANE, ZERO_DIRECTION

NEVER = 0
"""In a digest, in place of a moment: there is none."""

_STEADY = [(f"{name}_{what}", "<i8") for name in ("vane", "warmth") for what in ("head_end", "tail_start")]

DIGEST = np.dtype(
    [
        ("calm", "<i4"),  # readings with a mean of 0, and a gust of 0 or none
        ("daylight", "<i4"),  # those of them by day
        ("moving", "<i4"),  # readings with wind
        ("first_wind", "<i8"),  # when the first reading with wind was, in seconds since 1970
        ("last_wind", "<i8"),
        ("bearings", "<i4"),  # pairs of calm readings in a row that both have a direction
        ("turns", "<i4"),  # those of them whose directions differ
        ("vane", "<i4"),  # readings with wind and a direction
        ("north", "<i4"),  # those of them whose direction is exactly 0
        ("vane_first", "<i4"),  # the first direction beside wind, in thousandths of a degree
        ("vane_last", "<i4"),
        ("speed_low", "<i4"),  # the lowest and the highest mean beside a direction, in thousandths
        ("speed_high", "<i4"),
        ("warmth", "<i4"),  # readings with a temperature
        ("warmth_first", "<i4"),
        ("warmth_last", "<i4"),
        *_STEADY,  # when the first reading that differs from the first was, and the last from the last
    ]
)
"""What is kept of a day of a station; where there is no such reading, a value is 0."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests of one station, by day."""

    day: NDArray[np.int64]
    digest: NDArray[Any]  # of DIGEST


LastForecasts = Callable[[int, int], tuple[NDArray[np.int64], NDArray[np.int32]]]
"""Given the first and the last of some days: the newest forecasts, a row per day and model: the day, and
values (n, 4, 25) in thousandths."""


# --- One day -----------------------------------------------------------------------------------------


def digests(readings: ReadingRows, span: Span) -> Digests:
    """Return the digests of those days of the span that have a reading."""
    index, hour = span.locate(readings.time)
    daylight = (hour >= DAY_FROM.value) & (hour <= DAY_UNTIL.value)
    edges = np.searchsorted(index, np.arange(len(span.days) + 1))
    days = np.flatnonzero(np.diff(edges) > 0)
    found = np.zeros(len(days), DIGEST)
    for row, day in enumerate(days.tolist()):
        part = slice(edges[day], edges[day + 1])
        time, digest = readings.time[part], found[row]
        speed, gust, direction, warmth = readings.values[part].T
        wind = (speed > 0) | (gust > 0)
        calm = (speed == 0) & ~wind
        digest["calm"], digest["daylight"] = calm.sum(), (calm & daylight[part]).sum()
        digest["moving"] = wind.sum()
        if wind.any():
            digest["first_wind"], digest["last_wind"] = time[wind][0], time[wind][-1]
        bearings = direction[calm & (direction != ABSENT)]
        digest["bearings"], digest["turns"] = max(len(bearings) - 1, 0), (np.diff(bearings) != 0).sum()
        beside = (direction != ABSENT) & ((speed > 0) | (gust >= thousandths(MISSING_BESIDE_WIND)))
        digest["vane"], digest["north"] = beside.sum(), (direction[beside] == 0).sum()
        _steady(digest, "vane", time[beside], direction[beside])
        speeds = speed[beside & (speed > 0)]
        if len(speeds):
            digest["speed_low"], digest["speed_high"] = speeds.min(), speeds.max()
        there = warmth != ABSENT
        digest["warmth"] = there.sum()
        _steady(digest, "warmth", time[there], warmth[there])
    return Digests(span.first + days, found)


def _steady(row: Any, name: str, time: NDArray[np.int64], values: NDArray[np.int32]) -> None:
    if not len(values):
        return
    row[f"{name}_first"], row[f"{name}_last"] = values[0], values[-1]
    other = time[values != values[0]]
    if len(other):
        row[f"{name}_head_end"] = other[0]
        row[f"{name}_tail_start"] = time[values != values[-1]][-1]


# --- All days ----------------------------------------------------------------------------------------


def learned(stations: Mapping[int, Digests], last_forecasts: LastForecasts) -> list[Flag]:
    """Return what the digests of a site's stations show, in a fixed order."""
    found: list[Flag] = []
    for station, mine in stations.items():
        others = [each for other, each in stations.items() if other != station]
        found += _zero_directions(station, mine)
        found += _stopped(station, mine, others, last_forecasts)
        found += _stuck_vane(station, mine, last_forecasts)
        found += _frozen_temperature(station, mine, last_forecasts)
    return sorted(found)


def _zero_directions(station: int, mine: Digests) -> Iterator[Flag]:
    """Yield the stretches of days whose directions beside wind are all but always exactly 0.

    A stretch is made of windows: for each day the shortest one that ends with it and has enough days and
    readings. A short stretch is no flag once the days after it show that the vane turns, for a north wind
    may last; a long one stays, for no wind keeps to one bearing through it.
    """
    rows = np.flatnonzero(mine.digest["vane"] > 0)
    days = mine.day[rows]
    vane = np.concatenate(([0], np.cumsum(mine.digest["vane"][rows], dtype=np.int64)))
    north = np.concatenate(([0], np.cumsum(mine.digest["north"][rows], dtype=np.int64)))
    marked = np.zeros(len(rows), np.bool_)
    for last in range(NORTH_DAYS.value - 1, len(rows)):
        enough = int(np.searchsorted(vane, vane[last + 1] - NORTH_READINGS.value, side="right")) - 1
        first = min(enough, last + 1 - NORTH_DAYS.value)
        if first >= 0 and _all_north(vane, north, first, last + 1):
            marked[first : last + 1] = True
    for first, end in _stretches(marked):
        later = range(end + 1, len(rows) + 1)
        turned = any(not _all_north(vane, north, first, after) for after in later)
        if end - first > NORTH_RETURNS.value or not turned:
            period = local_moment(int(days[first])), local_moment(int(days[end - 1]) + 1)
            yield Flag(station, DIRECTION, ZERO_DIRECTION, *period, excludes=True)


def _all_north(vane: NDArray[np.int64], north: NDArray[np.int64], first: int, end: int) -> bool:
    return bool(north[end] - north[first] >= NORTH_SHARE.value * (vane[end] - vane[first]))


def _stretches(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first index of each row of marked days, and the one after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


# --- A sensor that shows the same, longer than it ever did --------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """A sensor shows `value` from `first` to before `until`; `days` are those that count.

    `ended`: it showed another value before and after, so the sensor works.
    """

    value: int
    days: tuple[int, ...]
    first: int
    until: int
    last: bool
    ended: bool


def _stopped(
    station: int, mine: Digests, others: Sequence[Digests], last_forecasts: LastForecasts
) -> Iterator[Flag]:
    """Yield calms in which the anemometer stands still: judged by models only where no neighbour measures."""
    reference_days = np.flatnonzero(mine.digest["calm"] + mine.digest["moving"] > 0)
    days, digest = mine.day[reference_days], mine.digest[reference_days]
    accompanied = {
        day
        for other in others
        for day in other.day[other.digest["calm"] + other.digest["moving"] > 0].tolist()
    }
    runs = []
    for first, end in _stretches(digest["moving"] == 0):
        before, after = first - 1, end
        begins, ends = local_moment(int(days[first])), local_moment(int(days[end - 1]) + 1)
        if before >= 0 and days[before] + 1 == days[first]:
            begins = int(digest["last_wind"][before]) + 1
        if after < len(days) and days[after] - 1 == days[end - 1]:
            ends = int(digest["first_wind"][after])
        part = digest[first:end]
        counted = tuple(days[first:end][part["daylight"] > 0].tolist())
        bearings, turns = int(part["bearings"].sum()), int(part["turns"].sum())
        turning = len(counted) > 0 and bearings >= len(counted) and turns >= TURNING_SHARE.value * bearings
        run = _Run(0, counted, begins, ends, end == len(days), first > 0 and end < len(days))
        runs.append((run, TURNING_DAYS.value if turning else STOPPED_DAYS.value))

    def contradicted(run: _Run) -> bool:
        alone = [day for day in run.days if day not in accompanied]
        return _contradicted(run.days, alone, last_forecasts, _windy)

    history = int((digest["moving"] > 0).sum())
    yield from _flags(station, SPEED, STOPPED, runs, history, contradicted)


def _stuck_vane(station: int, mine: Digests, last_forecasts: LastForecasts) -> Iterator[Flag]:
    """Yield periods of one direction while the wind varies; the days on which it varies count.

    Exactly 0 is left to the rule of zeros: there the station's own later directions decide.
    """
    digest = mine.digest
    varies = (digest["speed_high"] >= thousandths(NEIGHBOUR_WIND.value)) & (
        digest["speed_high"] - digest["speed_low"] >= thousandths(STUCK_VANE_SPEEDS.value)
    )
    runs, history = _steady_runs(mine, "vane", varies)

    def contradicted(run: _Run) -> bool:
        def turned(values: NDArray[np.int32]) -> bool:
            """Return whether at some hour every model has wind away from the direction of the run."""
            direction = values[:, DIRECTION, _BY_DAY].astype(np.int64)
            apart = np.abs((direction - run.value + 180_000) % 360_000 - 180_000)
            windy = values[:, SPEED, _BY_DAY] > thousandths(NEIGHBOUR_WIND.value)
            away = (direction != ABSENT) & (apart >= thousandths(STUCK_VANE_ANGLE.value))
            return _all_models(values, windy & away)

        return _contradicted(run.days, run.days, last_forecasts, turned)

    judged = [(run, STUCK_VANE_DAYS.value) for run in runs if run.value != 0]
    yield from _flags(station, DIRECTION, STUCK_VANE, judged, history, contradicted)


def _frozen_temperature(station: int, mine: Digests, last_forecasts: LastForecasts) -> Iterator[Flag]:
    """Yield periods of one temperature, be it 0 or any other."""
    runs, history = _steady_runs(mine, "warmth", mine.digest["warmth"] > 1)

    def contradicted(run: _Run) -> bool:
        return _contradicted(run.days, run.days, last_forecasts, _warmed)

    judged = [(run, FROZEN_DAYS.value) for run in runs]
    yield from _flags(station, TEMPERATURE, FROZEN_TEMPERATURE, judged, history, contradicted)


def _steady_runs(mine: Digests, name: str, counts: NDArray[np.bool_]) -> tuple[list[_Run], int]:
    """Return the runs of days with one value, and how many days have several."""
    there = np.flatnonzero(mine.digest[name] > 0)
    days, digest, counts = mine.day[there], mine.digest[there], counts[there]
    steady = digest[f"{name}_head_end"] == NEVER
    value = digest[f"{name}_first"]
    runs = []
    for stretch, stretch_end in _stretches(steady):
        changes = np.flatnonzero(np.diff(value[stretch:stretch_end])) + 1
        for start, stop in pairwise([0, *changes.tolist(), stretch_end - stretch]):
            first, end = stretch + start, stretch + stop
            begins, ends = local_moment(int(days[first])), local_moment(int(days[end - 1]) + 1)
            shown = int(value[first])
            before, after = first - 1, end
            if before >= 0 and days[before] + 1 == days[first] and digest[f"{name}_last"][before] == shown:
                begins = int(digest[f"{name}_tail_start"][before]) + 1
            if after < len(days) and days[after] - 1 == days[end - 1] and value[after] == shown:
                ends = int(digest[f"{name}_head_end"][after])
            counted = tuple(days[first:end][counts[first:end]].tolist())
            runs.append(_Run(shown, counted, begins, ends, end == len(days), first > 0 and end < len(days)))
    return runs, int((~steady).sum())


def _flags(
    station: int,
    parameter: int,
    reason: str,
    runs: Sequence[tuple[_Run, int]],
    history: int,
    contradicted: Callable[[_Run], bool],
) -> Iterator[Flag]:
    """Yield the runs that are longer than their least number of days and than any verified run.

    Verified is a run that ended by itself, and that some model agreed with. A run that still lasts, but that
    models do not contradict, is a question; so is one of a station with too short a history.
    """
    long = [(run, contradicted(run)) for run, least in runs if len(run.days) >= least]
    verified = max((len(run.days) for run, wrong in long if run.ended and not wrong), default=0)
    for run, wrong in long:
        if len(run.days) <= verified:
            continue
        excludes = wrong and history >= SENSOR_HISTORY.value
        if excludes or run.last:
            yield Flag(station, parameter, reason, run.first, run.until, excludes)


# --- What the models forecast for the same days -------------------------------------------------------

_JUDGED_DAYS = 60
"""By so many of its first days a run is judged: a dead sensor may send for years, and is judged each time."""

_BY_DAY = slice(DAY_FROM.value, DAY_UNTIL.value + 1)


def _contradicted(
    days: Sequence[int],
    judged: Sequence[int],
    last_forecasts: LastForecasts,
    disagrees: Callable[[NDArray[np.int32]], bool],
) -> bool:
    """Return whether every model disagrees on enough days; `judged` are the days that models may judge.

    A day counts where `disagrees` holds for the forecasts of all models (models, 4, 25). With several
    models, at least two must have a forecast for that day.
    """
    days = days[:_JUDGED_DAYS]
    judged = [day for day in judged if day <= days[-1]]
    if len(judged) < SENSOR_CONTRADICTED.value * len(days):
        return False
    of_day, hourly = last_forecasts(days[0], days[-1])
    together: dict[int, NDArray[np.int32]] = {}
    for day in judged:
        together[day] = hourly[of_day == day]
    most = max((len(values) for values in together.values()), default=0)
    against = sum(
        len(values) >= min(most, 2) and len(values) > 0 and disagrees(values) for values in together.values()
    )
    return against >= SENSOR_CONTRADICTED.value * len(days)


def _all_models(values: NDArray[np.int32], holds: NDArray[np.bool_]) -> bool:
    """Return whether at some hour `holds` (models, hours) is true of every model with a mean wind for it."""
    there = values[:, SPEED, _BY_DAY] != ABSENT
    least = min(len(values), 2)
    return bool(((there.sum(axis=0) >= least) & (holds | ~there).all(axis=0)).any())


def _windy(values: NDArray[np.int32]) -> bool:
    return _all_models(values, values[:, SPEED, _BY_DAY] > thousandths(NEIGHBOUR_WIND.value))


def _warmed(values: NDArray[np.int32]) -> bool:
    """Return whether every model's temperature has changed by more than a little over the day."""
    warmth = values[:, TEMPERATURE]
    there = (warmth != ABSENT).any(axis=1)
    low = np.where(warmth == ABSENT, np.iinfo(np.int32).max, warmth).min(axis=1)
    changed = warmth.max(axis=1).astype(np.int64) - low >= thousandths(FROZEN_RANGE.value)
    return bool(there.any() and (changed | ~there).all())
