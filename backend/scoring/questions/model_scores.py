"""What each model scores on its own, with intervals from the same days for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.scoring.constants import BREEZE, LIGHT_WIND, WITHIN
from backend.scoring.grid import Bools, Integers, Season
from backend.scoring.inference.group_sums import alone, beside, bias_intervals, size_intervals
from backend.scoring.inference.skill import PooledSkill
from backend.scoring.intervals import Interval
from backend.scoring.metrics.direction import (
    DirectionSums,
    circular_bias,
    circular_sd,
    mean_absolute_direction_error,
    mean_direction_error,
    resultant,
    steady_bias,
)
from backend.scoring.metrics.formula import Formula, number
from backend.scoring.metrics.scalar import (
    ErrorQuantiles,
    ScalarSums,
    correlation,
    error_quantiles,
    error_sd,
    mae,
    mean_error,
    rmse,
    within_share,
)
from backend.scoring.metrics.sums import Sums
from backend.scoring.metrics.vector import VectorSums, mean_vector_error, rms_vector_error
from backend.scoring.sample.quantities import Quantity, Series, errors, observed_side, pairs, speed_of, sums
from backend.scoring.sample.sample import BASELINES, Sample
from backend.scoring.sample_size import SampleLabel, sample_of, stratum_may_be_shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSet:
    """What a model scored, in the quantity's unit; None is undefined. `mean_error` > 0: it says too much."""

    mean_error: float | None = None
    mean_error_interval: Interval | None = None
    mae: float | None = None
    mae_interval: Interval | None = None
    rmse: float | None = None
    error_sd: float | None = None
    correlation: float | None = None
    within: float | None = None
    within_tolerance: float | None = None
    quantiles: ErrorQuantiles | None = None
    # of directions
    circular_bias: float | None = None
    circular_sd: float | None = None
    resultant: float | None = None
    mean_direction_error: float | None = None
    light_wind_pairs: int | None = None
    undefined_pairs: int | None = None
    breeze_mae: float | None = None
    breeze_pairs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """A model's (or a reference's) score on its pairs; `rank` is None where it may not be ranked."""

    model: str
    reference: bool
    n_pairs: int
    n_days: int
    effective_pairs: float | None
    label: SampleLabel
    season: Season | None
    rank: int | None
    estimated_hours: int
    score: ScoreSet
    skill: Mapping[str, PooledSkill]


def score_all(
    sample: Sample,
    quantity: Quantity,
    sides: Mapping[str, Series],
    mask: Bools | None = None,
    *,
    intervals: bool = True,
) -> tuple[ModelScore, ...]:
    """Return the score of each side on its own pairs within `mask`, unranked and without skill."""
    observed = observed_side(sample, quantity)
    of_days = [sums(quantity, side, observed, mask) for side in sides.values()]
    none: list[Any] = [None] * len(of_days)
    of_size, of_error, effective = none, none, none
    if intervals and of_days:
        together = beside([alone(each) for each in of_days])
        of_size, effective = size_intervals(quantity, together)
        of_error = bias_intervals(quantity, together)
    return tuple(
        _model_score(
            sample,
            quantity,
            name,
            side,
            mask,
            of_days=of_days[index],
            intervals=(of_size[index], of_error[index]),
            effective=effective[index],
        )
        for index, (name, side) in enumerate(sides.items())
    )


def _model_score(
    sample: Sample,
    quantity: Quantity,
    name: str,
    side: Series,
    mask: Bools | None,
    *,
    of_days: Sums,
    intervals: tuple[Interval | None, Interval | None],
    effective: float | None,
) -> ModelScore:
    observed = observed_side(sample, quantity)
    there = pairs(quantity, side, observed)
    if mask is not None:
        there = there & mask
    size = sample_of(days_with(there), sample.months)
    totals = of_days.total().each(lambda column: column[None])
    (score,) = scores_of(quantity, totals, [errors(quantity, side, observed)[there]])
    score = replace(score, mae_interval=intervals[0], mean_error_interval=intervals[1])
    if quantity is Quantity.WIND_DIRECTION and mask is None and name not in BASELINES:
        score = _with_breeze(score, side, observed)
    return ModelScore(
        model=name,
        reference=name in BASELINES,
        n_pairs=int(there.sum()),
        n_days=size.days,
        effective_pairs=effective,
        label=size.label,
        season=size.season,
        rank=None,
        estimated_hours=sample.estimated.get(name, 0),
        score=score,
        skill={},
    )


FORMULAS: dict[type[Sums], dict[str, Formula[Any]]] = {
    ScalarSums: {
        "mean_error": mean_error,
        "mae": mae,
        "rmse": rmse,
        "error_sd": error_sd,
        "correlation": correlation,
    },
    DirectionSums: {
        "mean_error": steady_bias,
        "mae": mean_absolute_direction_error,
        "circular_bias": circular_bias,
        "circular_sd": circular_sd,
        "resultant": resultant,
        "mean_direction_error": mean_direction_error,
    },
    VectorSums: {"mae": mean_vector_error, "rmse": rms_vector_error},
}
"""The scores of each kind of sums, by the names that Score has for them."""


def scores_of(quantity: Quantity, totals: Sums, errors_of: Sequence[Integers]) -> list[ScoreSet]:
    """Return the scores of many groups, a row of `totals` each, without intervals.

    `errors_of` are the errors of each, in thousandths.
    """
    tolerance = WITHIN[quantity.parameter].value
    values = {name: formula.each(totals) for name, formula in FORMULAS[type(totals)].items()}
    counted = {"light_wind_pairs": "light", "undefined_pairs": "undefined"}
    counts = {
        name: getattr(totals, column) for name, column in counted.items() if isinstance(totals, DirectionSums)
    }
    return [
        ScoreSet(
            quantiles=error_quantiles(found),
            within=within_share(found, tolerance),
            within_tolerance=tolerance,
            **_at(index, values, number),
            **_at(index, counts, int),
        )
        for index, found in enumerate(errors_of)
    ]


def _at(index: int, rows: Mapping[str, Any], plain: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: plain(each[index]) for name, each in rows.items()}


def _with_breeze(score: ScoreSet, side: Series, observed: Series) -> ScoreSet:
    """Return a score of directions with the noisier one of light winds, from BREEZE to below LIGHT_WIND."""
    of_days = DirectionSums.of(
        side.main,
        observed.main,
        speed_of(side),
        speed_of(observed),
        least=BREEZE.value,
        below=LIGHT_WIND.value,
    )
    shown = stratum_may_be_shown(int((of_days.n > 0).sum()))
    total = of_days.total()
    mean = mean_absolute_direction_error(total) if shown else None
    return replace(score, breeze_mae=mean, breeze_pairs=int(total.n))


def sized(found: Sums | None) -> Any:
    """Return sums as what they all are: with a number of pairs and sums of error sizes and their squares."""
    return found


def days_with(mask: Bools) -> Bools:
    """Return which days have any of these hours."""
    return np.asarray(mask.any(axis=1))
