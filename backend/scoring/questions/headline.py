"""What stands beside a verdict: surprises, the mean of the models, the beacons, and checks of the verdict.

It is checked at the site's other stations, and against the means of whole hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.core.distance import metres_between
from backend.core.parameters import Parameter
from backend.core.records import Site, Station
from backend.scoring.constants import (
    DUPLICATE_DISTANCE,
    DUPLICATE_HEIGHT,
    DUPLICATE_HOURS,
    DUPLICATE_SHARE,
    DUPLICATE_WIND,
    STRATUM_DAYS,
    USUAL_GUST_LIMIT,
    USUAL_WIND_LIMIT,
)
from backend.scoring.grid import paired, thousandths
from backend.scoring.inference.comparison import Outcome
from backend.scoring.metrics.contingency import Rate, surprises
from backend.scoring.questions.flyability import limit_table
from backend.scoring.questions.model_scores import ModelScore
from backend.scoring.questions.scorecard import PairOfModels, Scorecard, Verdict
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample, StationDays

USUAL_LIMITS = {
    Quantity.WIND_SPEED: USUAL_WIND_LIMIT.value,
    Quantity.WIND_GUST: USUAL_GUST_LIMIT.value,
}
"""The limits in km/h at which surprises are counted beside a verdict; other quantities have none."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """Where a reference station stands: kilometres from the take-off, and metres above it (below: negative).

    None where the position or the height of the station is not known.
    """

    station: str
    name: str
    distance: float | None
    height: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Headline:
    """A verdict and the figures shown beside it.

    `surprises` are by model: how often a wind at or below `limit` was forecast and more came, and `go_days`
    on how many days it was forecast. Both are empty for a quantity without a limit. `model_mean` is the mean
    of the models where it errs less than the best of them, on the same hours.
    """

    verdict: Verdict
    limit: float | None
    surprises: Mapping[str, Rate]
    go_days: Mapping[str, int]
    model_mean: ModelScore | None
    beacons: tuple[Beacon, ...]


def headline(sample: Sample, verdict: Verdict) -> Headline:
    """Return a verdict of this sample with the figures shown beside it."""
    limit = USUAL_LIMITS.get(verdict.quantity)
    of_model = {entry.model: entry for entry in verdict.models}
    best, mean = of_model.get(verdict.best or ""), of_model.get("model_mean")
    decimals = 0 if verdict.quantity is Quantity.WIND_DIRECTION else 1  # as errors are shown
    better_mean = None
    if best is not None and mean is not None and mean.n_pairs == verdict.n_pairs:
        error, of_mean = best.score.mae, mean.score.mae
        if error is not None and of_mean is not None and round(of_mean, decimals) < round(error, decimals):
            better_mean = mean
    rates: Mapping[str, Rate] = {}
    go_days: Mapping[str, int] = {}
    if limit is not None:
        table = limit_table(sample, verdict.quantity.parameter, limit, ["surprise_rate"])
        go_days = {entry.model: entry.go_days for entry in table.models}
        if table.size.label.shows_values:
            rates = {entry.model: surprises(entry.counts, entry.intervals) for entry in table.models}
    return Headline(
        verdict=verdict,
        limit=limit,
        surprises=rates,
        go_days=go_days,
        model_mean=better_mean,
        beacons=tuple(beacon(sample.site, sample.stations[code].station) for code in sample.reference_days),
    )


def beacon(site: Site, station: Station) -> Beacon:
    """Return where a station stands, seen from a site's take-off."""
    metres = metres_between((site.latitude, site.longitude), (station.latitude, station.longitude))
    return Beacon(
        station=station.id,
        name=station.name,
        distance=None if metres is None else metres / 1000,
        height=None if station.elevation is None else station.elevation - site.elevation,
    )


# --- Checks at other stations and by hourly means --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOpinion:
    """How the two models of a verdict compare at one station; `agrees` is None where it has too few days.

    `difference` is the mean daily difference of error sizes, negative where the verdict's best errs less
    here too. A station agrees only where that is clear by the same tests as the verdict; `outcome` is the
    result there: too close to call, or which model is better. `duplicate_of` is the station that this one is
    a copy of: then it does not count.
    """

    station: str
    n_pairs: int
    n_days: int
    difference: float | None
    outcome: Outcome | None
    agrees: bool | None
    duplicate_of: str | None


def robustness(sample: Sample, quantity: Quantity, verdict: PairOfModels) -> tuple[SecondOpinion, ...]:
    """Return which of the two models of a verdict errs less at every station, the reference first."""
    counting: list[StationDays] = []
    opinions = []
    ordered = [
        *sample.reference_days,
        *(code for code in sample.stations if code not in sample.reference_days),
    ]
    for code in ordered:
        station = sample.stations[code]
        duplicate = next((other for other in counting if is_duplicate(station, other)), None)
        alone = [*sample.reference_days] == [code]
        # At the only reference station the duel is the verdict itself.
        duel = verdict if alone else Scorecard(sample.at(code)).duel(quantity, verdict.a, verdict.b)
        enough = duplicate is None and duel.n_days >= STRATUM_DAYS.value
        difference = duel.comparison.difference
        opinions.append(
            SecondOpinion(
                station=code,
                n_pairs=duel.n_pairs,
                n_days=duel.n_days,
                difference=difference if enough else None,
                outcome=duel.comparison.outcome if enough else None,
                agrees=duel.comparison.outcome is Outcome.A_BETTER if enough else None,
                duplicate_of=None if duplicate is None else duplicate.station.id,
            )
        )
        # Two entries of one mast are one witness: only the first is counted.
        if duplicate is None:
            counting.append(station)
    return tuple(opinions)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyMeanCheck:
    """The two models of a verdict compared against the mean of each hour's reports, on its common sample.

    `same` is whether the outcome is the verdict's; None where too few days have such means.
    """

    n_pairs: int
    n_days: int
    difference: float | None
    outcome: Outcome | None
    same: bool | None


def with_hourly_means(sample: Sample, quantity: Quantity, verdict: Verdict) -> HourlyMeanCheck | None:
    """Compare the two models of a verdict by hourly means; None for gusts, and without a duel."""
    if quantity is Quantity.WIND_GUST or verdict.duel is None:
        return None
    shared = QuantitySample(sample, quantity).common.shared
    duel = Scorecard(sample.averaged()).duel(quantity, verdict.duel.a, verdict.duel.b, shared)
    enough = duel.n_days >= STRATUM_DAYS.value
    outcome = duel.comparison.outcome
    return HourlyMeanCheck(
        n_pairs=duel.n_pairs,
        n_days=duel.n_days,
        difference=duel.comparison.difference if enough else None,
        outcome=outcome if enough else None,
        same=outcome is verdict.duel.comparison.outcome if enough else None,
    )


def is_duplicate(one: StationDays, other: StationDays) -> bool:
    """Return whether two stations are one mast in the lists of two networks.

    They are within DUPLICATE_DISTANCE and DUPLICATE_HEIGHT, and their mean winds agree within
    DUPLICATE_WIND in DUPLICATE_SHARE of the hours that both have.
    """
    apart = metres_between(*((days.station.latitude, days.station.longitude) for days in (one, other)))
    if apart is None or apart > DUPLICATE_DISTANCE.value:
        return False
    heights = [days.station.elevation for days in (one, other)]
    if None not in heights and abs(heights[0] - heights[1]) > DUPLICATE_HEIGHT.value:  # type: ignore[operator]
        return False
    mine, others = (days.observed[Parameter.WIND_SPEED] for days in (one, other))
    both = paired(mine, others)
    if int(both.sum()) < DUPLICATE_HOURS.value:
        return False
    difference = np.abs(mine[both].astype(np.int64) - others[both])
    return float(np.mean(difference <= thousandths(DUPLICATE_WIND.value))) >= DUPLICATE_SHARE.value
