"""Worked examples of the measures of issued forecasts, computed by the code that computes the measures.

`python -m backend.answers.verification_examples docs/methodology.md` rewrites them there; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backend.answers.issued_history import chance
from backend.forecast.verification import (
    NOMINAL,
    DayMean,
    at_all_levels,
    brier,
    crps,
    interval_score,
    over_days,
    pit,
    plainly_covered,
)
from backend.scoring.words.methodology import renewed

QUANTILES = (13.0, 15.0, 18.0, 21.0, 24.0)
"""The issued quantiles of the example at 10, 25, 50, 75 and 90 %, in km/h."""

MEASURED = (14.0, 19.0, 27.0, 23.0, 16.0)
"""What was measured in five hours with that forecast."""

STRONG = 2
"""The index of the hour outside the interval."""

CALM = (0.0, 0.0, 2.0, 5.0, 9.0)
"""The quantiles of a calm hour, in which the beacon reads 0."""

DAILY_SHARES = (0.75, 0.88, 0.79, 0.96, 0.71, 0.67, 0.83, 0.92, 0.88, 0.71, 0.63, 0.79)
"""The share of hours within the interval on twelve successive days."""

DAYS_ABOVE, DAYS = 4, 60


class VerificationExamples(NamedTuple):
    """The figures of the examples, in km/h or as shares."""

    low: float
    median: float
    high: float
    measured: float
    error: float
    crps: float
    width: float
    miss: float
    interval_score: float
    inside: int
    hours: int
    coverage: float
    pit_of: float
    pit: float
    calm_up_to: float
    chance: float
    brier_if_not: float
    brier_if: float
    held: DayMean


def verification_examples() -> VerificationExamples:
    """Return the figures of the examples."""
    measured = np.array(MEASURED)
    issued = np.broadcast_to(at_all_levels(np.array(QUANTILES)), (len(measured), 19))
    inside = plainly_covered(issued, measured)
    strong = measured[STRONG]
    announced = chance(DAYS_ABOVE, DAYS)
    calm = at_all_levels(np.array(CALM))
    return VerificationExamples(
        low=QUANTILES[0],
        median=QUANTILES[2],
        high=QUANTILES[-1],
        measured=float(strong),
        error=abs(float(strong) - QUANTILES[2]),
        crps=float(crps(issued, measured)[STRONG]),
        width=QUANTILES[-1] - QUANTILES[0],
        miss=float(strong) - QUANTILES[-1],
        interval_score=float(interval_score(issued, measured)[STRONG]),
        inside=int(inside.sum()),
        hours=len(measured),
        coverage=float(inside.mean()),
        pit_of=MEASURED[1],
        pit=float(pit(issued, measured, seed=1)[1]),
        calm_up_to=float((calm <= 0).sum() + 1) / (len(calm) + 1),
        chance=announced,
        brier_if_not=float(brier(np.asarray(announced), np.asarray(0.0))),
        brier_if=float(brier(np.asarray(announced), np.asarray(1.0))),
        held=over_days(np.array(DAILY_SHARES)),
    )


def in_words() -> str:
    """Return the examples as a list in Markdown."""
    return "".join(f"- {line}\n" for line in _lines(verification_examples()))


def _lines(of: VerificationExamples) -> Iterator[str]:
    quantiles = ", ".join(f"{each:g}" for each in QUANTILES)
    yield (
        f"Issued for an hour: {quantiles} km/h at 10, 25, 50, 75 and 90 %. Measured: {of.measured:g}. The"
        f" value is the median, so the **error** is {of.error:g} km/h."
    )
    yield (
        f"**CRPS**: {of.crps:.2f} km/h. It is the error's size for a forecast without an interval, and"
        " smaller where the forecast gave the reading a better chance. It is twice the mean pinball loss at"
        " 19 levels, between the issued ones by straight lines."
    )
    yield (
        f"**Interval score**: the width {of.width:g}, and {2 / (1 - NOMINAL):.0f} times the miss of"
        f" {of.miss:g}: {of.interval_score:g} km/h. A wide interval costs as a missed one does."
    )
    readings = ", ".join(f"{each:g}" for each in MEASURED)
    yield (
        f"**Coverage**: of the readings {readings} km/h in five such hours {of.inside} lie within"
        f" {of.low:g} to {of.high:g}: {100 * of.coverage:.0f} %, the share that it is made for."
    )
    yield (
        f"**PIT**: the reading {of.pit_of:g} lies above {100 * of.pit:.0f} % of its forecast. Over many hours"
        " each tenth should hold 10 % of the readings. In a calm hour whose forecast has the reading 0 in its"
        f" lowest {100 * of.calm_up_to:.0f} %, the PIT is drawn between 0 and {of.calm_up_to:.2f}: else"
        " every calm hour would count as covered."
    )
    yield (
        f"**Chance**: {DAYS_ABOVE} of {DAYS} past days would have been above the limit:"
        f" ({DAYS_ABOVE} + 1) / ({DAYS} + 2) = {100 * of.chance:.0f} %. Its **Brier score** is"
        f" {of.brier_if_not:.3f} if the wind stays below, and {of.brier_if:.3f} if it does not."
    )
    yield (
        "**Reliability**: of 200 hours announced with 5 to 10 %, some 15 should come. The chances are sorted"
        " by tenths, and the share that came is shown beside the mean chance of each."
    )
    held, shares = of.held, ", ".join(f"{100 * each:.0f}" for each in DAILY_SHARES)
    yield (
        f"**Interval by days**: on {held.days} days {shares} % of the hours held: {100 * held.mean:.0f} % in"
        f" the mean, between {100 * held.low:.0f} and {100 * held.high:.0f} %. A day is one value, of one"
        " site or of a hundred."
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(renewed(Path(name).read_text(), {"issued": in_words}))
