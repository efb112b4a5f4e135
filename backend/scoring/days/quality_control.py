"""Quality control of readings: which of a station's values cannot be trusted, and why.

A doubted value stays in the store with its reason; it enters no score. Whether a reading is doubted
depends on what is kept of the six hours around it, on the limits of its month and on the flags of its station
(sensors.py), and on nothing else: so a day made alone and a year made at once agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import DIRECTION, GUST, SPEED, TEMPERATURE, ReadingRows
from backend.core.local_time import HOUR
from backend.core.parameters import ABSENT, MISSING_BESIDE_WIND
from backend.scoring.constants import (
    NEIGHBOUR_WIND,
    SPIKE_GAP,
    SPIKE_GUST,
    SPIKE_TEMPERATURE,
    SPIKE_WIND,
    STUCK_CALM,
    STUCK_READINGS,
)
from backend.scoring.grid import thousandths
from backend.scoring.reasons import (
    EXCLUDED,
    FROZEN_TEMPERATURE,
    MOVED,
    REASONS,
    STOPPED,
    STUCK_VANE,
    ZERO_DIRECTION,
)

CONTEXT = 6 * HOUR
"""How far around a reading we look, in seconds."""

STUCK_GAP = HOUR
"""A silence longer than this ends a row of equal readings, in seconds."""

SPIKES = {
    SPEED: thousandths(SPIKE_WIND.value),
    GUST: thousandths(SPIKE_GUST.value),
    TEMPERATURE: thousandths(SPIKE_TEMPERATURE.value),
}

LIMITED = (SPEED, GUST, TEMPERATURE)
"""The parameters that have such a limit."""

QUARTERS = 4
"""Quarters of the local day, each with limits of its own."""


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a reading is compared with: one row per whole hour, from `first` on (seconds since 1970).

    `models` (models, hours, 4) are the forecasts of the models, `limits` (hours, 3) how far from the nearest
    of them is too far, for LIMITED, in thousandths; ABSENT where there is none.
    """

    first: int
    models: NDArray[np.int32]
    limits: NDArray[np.int32]


class Flag(NamedTuple):
    """Values of a parameter of a station from `first` to before `until` (seconds since 1970) are suspect.

    `reason` is one of REASONS. Where `excludes` is False the values are scored all the same: it is a
    question for the operator.
    """

    station: int
    parameter: int
    reason: str
    first: int
    until: int
    excludes: bool


@dataclass(frozen=True, slots=True)
class QcFlags:
    """Why values are doubted: an index into REASONS per reading and parameter, 0 where they are not."""

    reason: NDArray[np.int8]

    def with_moved(self, readings: ReadingRows, away: Sequence[tuple[int, int]]) -> QcFlags:
        """Return these doubts, and every value measured in a span of `away` doubted because of the move."""
        reason = self.reason.copy()
        reason[measured_within(readings, away)] = REASONS.index(MOVED)
        reason[readings.values == ABSENT] = 0
        return QcFlags(reason)

    def trusted(self, readings: ReadingRows) -> NDArray[np.int32]:
        """Return the values with the doubted ones taken out."""
        return np.where(self.reason > 0, ABSENT, readings.values)

    def listed(self, readings: ReadingRows, first: int, end: int) -> Iterator[tuple[int, int, str]]:
        """Yield time, parameter and reason of each doubted value from `first` to before `end`."""
        within = (readings.time >= first) & (readings.time < end)
        row, parameter = np.nonzero((self.reason > 0) & within[:, None])
        reasons = (REASONS[reason] for reason in self.reason[row, parameter].tolist())
        return zip(readings.time[row].tolist(), parameter.tolist(), reasons, strict=True)

    def counted(self, day: NDArray[np.int64], days: int, reasons: int) -> NDArray[np.int64]:
        """Return how many values of each of `days` days are doubted (days, 4, reasons).

        `day` is that of each reading, from 0 on; readings of other days do not count.
        """
        counts = np.zeros((days, self.reason.shape[1], reasons), np.int64)
        row, parameter = np.nonzero((self.reason > 0) & ((day >= 0) & (day < days))[:, None])
        np.add.at(counts, (day[row], parameter, self.reason[row, parameter]), 1)
        return counts


LEARNED = (ZERO_DIRECTION, STOPPED, STUCK_VANE, FROZEN_TEMPERATURE, EXCLUDED)
"""Reasons that are not of one reading but of a sensor, for days."""


_STUCK, _CALM, _SPIKE, _GUST, _FAR, _ZERO_MEAN = range(1, 7)
_WIND = [SPEED, GUST, DIRECTION]


def measured_within(readings: ReadingRows, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Return which readings lie in one of the spans, from the first second of each to before its last."""
    within = np.zeros(len(readings.time), np.bool_)
    for first, end in spans:
        within |= (readings.time >= first) & (readings.time < end)
    return within


def rows_at_site(readings: ReadingRows, away: Sequence[tuple[int, int]]) -> ReadingRows:
    """Return the readings outside the spans of `away`, in which the station was at an unconfirmed place."""
    return readings.where(~measured_within(readings, away))


def flag(
    readings: ReadingRows, neighbours: Sequence[ReadingRows], around: ModelContext, flags: Sequence[Flag] = ()
) -> QcFlags:
    """Flag doubtful values, each with the first reason that applies in the order of REASONS.

    `neighbours` are the other stations of the site, `flags` what is known of this one's sensors.
    """
    found = QcFlags(np.zeros(readings.values.shape, np.int8))
    gust, speed = readings.values[:, GUST], readings.values[:, SPEED]
    for flag in sorted(flags, key=lambda flag: REASONS.index(flag.reason), reverse=True):
        if not flag.excludes:
            continue
        within = (readings.time >= flag.first) & (readings.time < flag.until)
        number = REASONS.index(flag.reason)
        if flag.reason == STOPPED:
            within &= (speed == 0) & (gust <= 0)  # ABSENT is far below
            for parameter in _WIND:
                found.reason[within, parameter] = number
            continue
        if flag.reason == ZERO_DIRECTION:
            within &= readings.values[:, DIRECTION] == 0
        found.reason[within, flag.parameter] = number
    # A gust of a period of its own may be from before the minutes of a mean of 0.
    if not readings.gust_minutes:
        found.reason[(speed == 0) & (gust >= thousandths(MISSING_BESIDE_WIND)), SPEED] = _ZERO_MEAN
    found.reason[_far(readings, around)] = _FAR
    below = (gust != ABSENT) & (speed != ABSENT) & (gust < speed)
    found.reason[below, GUST] = _GUST
    for parameter, limit in SPIKES.items():
        found.reason[_spikes(readings.time, readings.values[:, parameter], limit), parameter] = _SPIKE
    # Runs of equal readings without a silence in them: the number of the run that each reading is in.
    winds = readings.values[:, _WIND]
    breaks = (winds[1:] != winds[:-1]).any(axis=1) | (np.diff(readings.time) > STUCK_GAP)
    run = np.cumsum(np.concatenate(([False], breaks))[: len(winds)], dtype=np.int64)
    first, last = _around(readings.time, run)
    calm = (speed == 0) & (gust == 0)
    lasting = calm & (readings.time[last] - readings.time[first] >= STUCK_CALM.value * HOUR)
    for row in np.flatnonzero(lasting):
        if _wind_among(neighbours, int(readings.time[first[row]]), int(readings.time[last[row]])):
            found.reason[row, _WIND] = _CALM
    reported = (winds != ABSENT).sum(axis=1)  # one value alone is often the same again
    stuck = _repeated(readings.time, run) & (speed > 0) & (reported >= 2)
    for parameter in _WIND:
        found.reason[stuck, parameter] = _STUCK
    found.reason[readings.values == ABSENT] = 0
    return found


def _around(time: NDArray[np.int64], run: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last of the readings that are in a run with each, and within CONTEXT of it."""
    begins = np.searchsorted(run, run, side="left")
    ends = np.searchsorted(run, run, side="right") - 1
    first = np.maximum(begins, np.searchsorted(time, time - CONTEXT, side="left"))
    last = np.minimum(ends, np.searchsorted(time, time + CONTEXT, side="right") - 1)
    return first, last


def _repeated(time: NDArray[np.int64], run: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which readings are among STUCK_READINGS of a run that follow each other within CONTEXT."""
    further = int(STUCK_READINGS.value) - 1
    begins = np.flatnonzero((run[further:] == run[:-further]) & (time[further:] - time[:-further] <= CONTEXT))
    # Runs overlap: each adds 1 where it begins and takes it off after its end.
    edges = np.zeros(len(run) + 1, np.int64)
    edges[begins] += 1
    edges[begins + further + 1] -= 1
    return np.cumsum(edges[:-1]) > 0


def _wind_among(neighbours: Sequence[ReadingRows], first: int, last: int) -> bool:
    """Return whether any neighbour's mean wind between two moments was that of a windy day."""
    for station in neighbours:
        speeds = station.values[(station.time >= first) & (station.time <= last), SPEED]
        speeds = speeds[speeds != ABSENT]
        if len(speeds) and speeds.sum(dtype=np.int64) > thousandths(NEIGHBOUR_WIND.value) * len(speeds):
            return True
    return False


def _spikes(time: NDArray[np.int64], values: NDArray[np.int32], limit: int) -> NDArray[np.int64]:
    """Return which readings stand out from both neighbours in time, by more than `limit`, the same way."""
    there = np.flatnonzero(values != ABSENT)
    if len(there) < 3:
        return np.empty(0, np.int64)
    step = np.diff(values[there].astype(np.int64))
    near = np.diff(time[there]) <= SPIKE_GAP.value * 60
    up = (step[:-1] > limit) & (step[1:] < -limit)
    down = (step[:-1] < -limit) & (step[1:] > limit)
    return there[1:-1][(up | down) & near[:-1] & near[1:]]


def _far(readings: ReadingRows, around: ModelContext) -> NDArray[np.bool_]:
    """Return which values are further from every model than their limit."""
    far = np.zeros(readings.values.shape, np.bool_)
    hour = (readings.time - around.first + HOUR // 2) // HOUR
    inside = (hour >= 0) & (hour < around.limits.shape[0])
    hour = np.where(inside, hour, 0)
    if not around.limits.size or not around.models.size:
        return far
    for column, parameter in enumerate(LIMITED):
        forecasts = around.models[:, hour, parameter]
        value = readings.values[:, parameter]
        apart = np.abs(forecasts.astype(np.int64) - value)
        apart[forecasts == ABSENT] = np.iinfo(np.int64).max  # an absent forecast is never the nearest
        nearest = apart.min(axis=0)
        limit = around.limits[hour, column]
        known = inside & (limit != ABSENT) & (value != ABSENT) & (nearest != np.iinfo(np.int64).max)
        far[:, parameter] = known & (nearest > limit)
    return far
