"""Scores of forecast events from the counts a (hits), b (false alarms), c (misses), d (correct rejections).

A denominator of 0 leaves a score undefined, never 0. Beware of names: what the `scores` library calls
`false_alarm_rate` is POFD, not the false alarm ratio; MET's H_RATE is a/n, not a/(a+c).
Definitions: Jolliffe & Stephenson (eds) 2012, Forecast Verification, 2nd edition, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.scoring.constants import LEAST_EVENTS
from backend.scoring.grid import Bools, Floats, Integers
from backend.scoring.intervals import Interval
from backend.scoring.metrics.events import Occurrence
from backend.scoring.metrics.sums import Formula, Sums, ratio


@dataclass(frozen=True, slots=True, eq=False)
class Contingency(Sums):
    """Counts of an event: hits `a`, false alarms `b`, misses `c`, correct rejections `d`."""

    a: Integers
    b: Integers
    c: Integers
    d: Integers

    @property
    def n(self) -> Integers:
        """All pairs."""
        return self.a + self.b + self.c + self.d

    @classmethod
    def of(cls, f: Occurrence, o: Occurrence, mask: Bools | None = None) -> Self:
        """Count each day's hours for which both sides are known; a row per day, one or more columns."""
        known = f.known & o.known if mask is None else f.known & o.known & mask
        cells = (f.yes & o.yes, f.yes & ~o.yes, ~f.yes & o.yes, ~f.yes & ~o.yes)
        return cls(*((cell & known).sum(axis=-1, dtype=np.int64) for cell in cells))


@Formula
def pod(counts: Contingency) -> Floats:
    """POD, probability of detection, `a / (a + c)`: of the events, how many were forecast?"""
    return ratio(counts.a, counts.a + counts.c)


@Formula
def far(counts: Contingency) -> Floats:
    """FAR, the false alarm *ratio*, `b / (a + b)`: of the forecast events, how many did not come?"""
    return ratio(counts.b, counts.a + counts.b)


@Formula
def pofd(counts: Contingency) -> Floats:
    """POFD, probability of false detection, `b / (b + d)`."""
    return ratio(counts.b, counts.b + counts.d)


@Formula
def csi(counts: Contingency) -> Floats:
    """CSI, critical success index, `a / (a + b + c)`. Collapses as events become rare."""
    return ratio(counts.a, counts.a + counts.b + counts.c)


@Formula
def frequency_bias(counts: Contingency) -> Floats:
    """`(a + b) / (a + c)`: above 1, the event is forecast more often than it happens."""
    return ratio(counts.a + counts.b, counts.a + counts.c)


@Formula
def ets(counts: Contingency) -> Floats:
    """ETS, equitable threat score, `(a - r) / (a + b + c - r)` with `r = (a + b)(a + c) / n` by chance."""
    by_chance = ratio((counts.a + counts.b) * (counts.a + counts.c), counts.n)
    return ratio(counts.a - by_chance, counts.a + counts.b + counts.c - by_chance)


@Formula
def hss(counts: Contingency) -> Floats:
    """HSS, Heidke, `(a + d - E) / (n - E)` with `E = ((a + b)(a + c) + (c + d)(b + d)) / n` by chance."""
    right = (counts.a + counts.b) * (counts.a + counts.c) + (counts.c + counts.d) * (counts.b + counts.d)
    by_chance = ratio(right, counts.n)
    return ratio(counts.a + counts.d - by_chance, counts.n - by_chance)


@Formula
def peirce(counts: Contingency) -> Floats:
    """Peirce's skill score, `POD - POFD`."""
    return pod.each(counts) - pofd.each(counts)


@Formula
def sedi(counts: Contingency) -> Floats:
    """SEDI, symmetric extremal dependence index, for rare events; undefined if POD or POFD is 0 or 1.

    With F = POFD and H = POD:
    `(ln F - ln H - ln(1-F) + ln(1-H)) / (ln F + ln H + ln(1-F) + ln(1-H))`.
    Ferro & Stephenson 2011, Weather and Forecasting 26, 699-713.
    """
    ln_h, ln_not_h = _logarithms(pod.each(counts))
    ln_f, ln_not_f = _logarithms(pofd.each(counts))
    return ratio(ln_f - ln_h - ln_not_f + ln_not_h, ln_f + ln_h + ln_not_f + ln_not_h)


def _logarithms(rate: Floats) -> tuple[Floats, Floats]:
    inside = np.where((rate > 0) & (rate < 1), rate, np.nan)
    return np.log(inside), np.log(1.0 - inside)


@Formula
def surprise_rate(counts: Contingency) -> Floats:
    """`c / (c + d)`: of the forecasts under the limit, how many were over it? The safety score."""
    return ratio(counts.c, counts.c + counts.d)


SCORES: dict[str, Formula[Contingency]] = {
    "surprise_rate": surprise_rate,
    "pod": pod,
    "far": far,
    "pofd": pofd,
    "csi": csi,
    "frequency_bias": frequency_bias,
    "ets": ets,
    "hss": hss,
    "peirce": peirce,
    "sedi": sedi,
}
"""Every score of an event, by its name in answers."""


Intervals = Mapping[str, Interval | None]
"""The intervals of an event's scores, by their names."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` out of `of` cases; with enough events, the rate and its interval by whole days.

    `value` is None with too few events, or with too small a denominator: then "2 of 3" is the whole answer.
    `interval` is None then too, and where the rate depends on a single day.
    """

    count: int
    of: int
    value: float | None
    interval: Interval | None


def detected(totals: Contingency, intervals: Intervals) -> Rate:
    """Return POD as a rate: hits of observed events."""
    return _rate(totals, totals.a, totals.a + totals.c, intervals.get("pod"))


def success_ratio(totals: Contingency, intervals: Intervals) -> Rate:
    """Return 1 - FAR as a rate, the twin of the surprise rate: hits of forecast events."""
    of_false = intervals.get("far")
    interval = None if of_false is None else Interval(1 - of_false.high, 1 - of_false.low)
    return _rate(totals, totals.a, totals.a + totals.b, interval)


def surprises(totals: Contingency, intervals: Intervals) -> Rate:
    """Return the surprise rate: misses of the hours forecast to be under the limit."""
    return _rate(totals, totals.c, totals.c + totals.d, intervals.get("surprise_rate"))


def enough_events(totals: Contingency) -> bool:
    """Return whether LEAST_EVENTS were observed and as many forecast, so that rates may be shown."""
    return min(int(totals.a + totals.c), int(totals.a + totals.b)) >= LEAST_EVENTS.value


def _rate(totals: Contingency, count: Integers, of: Integers, interval: Interval | None) -> Rate:
    if of < LEAST_EVENTS.value or not enough_events(totals):
        return Rate(int(count), int(of), None, None)
    return Rate(int(count), int(of), int(count) / int(of), interval)
