"""What a pilot needs beside a verdict: surprises, the mean of the models, and where the beacon stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.core.distance import metres_between
from backend.core.records import Site, Station
from backend.scoring.constants import USUAL_GUST_LIMIT, USUAL_WIND_LIMIT
from backend.scoring.metrics.contingency import Rate, surprises
from backend.scoring.questions.flyability import limit_table
from backend.scoring.questions.model_scores import ModelScore
from backend.scoring.questions.scorecard import Verdict
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample

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
    rates: Mapping[str, Rate] = {}
    go_days: Mapping[str, int] = {}
    if limit is not None:
        table = limit_table(sample, verdict.quantity.parameter, limit, ["surprise_rate"])
        go_days = {entry.model: entry.go_days for entry in table.models}
        if table.size.shows_values:
            rates = {entry.model: surprises(entry.counts, entry.intervals) for entry in table.models}
    return Headline(
        verdict=verdict,
        limit=limit,
        surprises=rates,
        go_days=go_days,
        model_mean=_better_mean(verdict),
        beacons=tuple(beacon(sample.site, sample.stations[code].station) for code in sample.reference_days),
    )


def _better_mean(verdict: Verdict) -> ModelScore | None:
    """Return the mean of the models where its error is smaller, as it is shown, than that of the best."""
    best = next((entry for entry in verdict.models if entry.model == verdict.best), None)
    mean = next((entry for entry in verdict.models if entry.model == "model_mean"), None)
    if best is None or mean is None or best.score.mae is None or mean.score.mae is None:
        return None
    if mean.n_pairs != verdict.n_pairs:
        return None  # of other hours than the models'
    decimals = 0 if verdict.quantity is Quantity.WIND_DIRECTION else 1
    return mean if round(mean.score.mae, decimals) < round(best.score.mae, decimals) else None


def beacon(site: Site, station: Station) -> Beacon:
    """Return where a station stands, seen from a site's take-off."""
    metres = metres_between((site.latitude, site.longitude), (station.latitude, station.longitude))
    return Beacon(
        station=station.id,
        name=station.name,
        distance=None if metres is None else metres / 1000,
        height=None if station.elevation is None else station.elevation - site.elevation,
    )
