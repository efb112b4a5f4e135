"""What each model scores on its own, with intervals from the same days for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from backend.scoring.bootstrap import effective_pairs, resampled
from backend.scoring.constants import WITHIN
from backend.scoring.continuous import (
    ErrorQuantiles,
    correlation,
    error_quantiles,
    error_sd,
    mae,
    mean_error,
    rmse,
    within_share,
)
from backend.scoring.direction import (
    circular_bias,
    circular_sd,
    mean_absolute_direction_error,
    mean_direction_error,
    resultant,
    steady_bias,
)
from backend.scoring.formula import Formula
from backend.scoring.grid import Bools, Integers
from backend.scoring.intervals import Interval, around, percentile
from backend.scoring.labels import Label, Season, sample_of
from backend.scoring.quantities import Quantity, Side, errors, observed_side, pairs, sums
from backend.scoring.sample import REFERENCES, Sample
from backend.scoring.skill import PooledSkill
from backend.scoring.sums import DirectionSums, ScalarSums, Sums, VectorSums
from backend.scoring.vector import mean_vector_error, rms_vector_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """A model's (or a reference's) score on its pairs; `rank` is None where it may not be ranked."""

    model: str
    reference: bool
    n_pairs: int
    n_days: int
    effective_pairs: float | None
    label: Label
    season: Season | None
    rank: int | None
    estimated_hours: int
    score: Score
    skill: Mapping[str, PooledSkill]


def score_all(
    sample: Sample,
    quantity: Quantity,
    sides: Mapping[str, Side],
    mask: Bools | None = None,
    *,
    intervals: bool = True,
) -> tuple[ModelScore, ...]:
    """Return the score of each side on its own pairs within `mask`, unranked and without skill."""
    observed = observed_side(sample, quantity)
    of_days = [sums(quantity, side, observed, mask) for side in sides.values()]
    drawn = resampled(*of_days) if intervals and of_days else None
    return tuple(
        _model_score(sample, quantity, name, side, mask, each, None if drawn is None else drawn[index])
        for index, ((name, side), each) in enumerate(zip(sides.items(), of_days, strict=True))
    )


def _model_score(
    sample: Sample,
    quantity: Quantity,
    name: str,
    side: Side,
    mask: Bools | None,
    of_days: Sums,
    drawn: Sums | None,
) -> ModelScore:
    observed = observed_side(sample, quantity)
    there = pairs(quantity, side, observed)
    if mask is not None:
        there = there & mask
    size = sample_of(days_with(there), sample.months)
    effective = None
    if isinstance(of_days, ScalarSums) and isinstance(drawn, ScalarSums):
        effective = effective_pairs(of_days, drawn)
    return ModelScore(
        model=name,
        reference=name in REFERENCES,
        n_pairs=int(there.sum()),
        n_days=size.days,
        effective_pairs=effective,
        label=size.label,
        season=size.season,
        rank=None,
        estimated_hours=sample.estimated.get(name, 0),
        score=score_of(quantity, of_days.total(), drawn, errors(quantity, side, observed)[there]),
        skill={},
    )


def score_of(quantity: Quantity, total: Sums, drawn: Sums | None, found: Integers) -> Score:
    """Return every score of totals and of the replicates `drawn`; `found` are the errors themselves."""
    tolerance = WITHIN[quantity.parameter].value
    shared: dict[str, Any] = {
        "quantiles": error_quantiles(found),
        "within": within_share(found, tolerance),
        "within_tolerance": tolerance,
    }
    if isinstance(total, DirectionSums):
        return Score(
            mae=mean_absolute_direction_error(total),
            mae_interval=_interval(mean_absolute_direction_error, drawn),
            mean_error=steady_bias(total),
            mean_error_interval=_turn_interval(total, drawn),
            circular_bias=circular_bias(total),
            circular_sd=circular_sd(total),
            resultant=resultant(total),
            mean_direction_error=mean_direction_error(total),
            light_wind_pairs=int(total.light),
            undefined_pairs=int(total.undefined),
            **shared,
        )
    if isinstance(total, VectorSums):
        return Score(
            mae=mean_vector_error(total),
            mae_interval=_interval(mean_vector_error, drawn),
            rmse=rms_vector_error(total),
            **shared,
        )
    all_of_it = cast(ScalarSums, total)
    return Score(
        mean_error=mean_error(all_of_it),
        mean_error_interval=_interval(mean_error, drawn),
        mae=mae(all_of_it),
        mae_interval=_interval(mae, drawn),
        rmse=rmse(all_of_it),
        error_sd=error_sd(all_of_it),
        correlation=correlation(all_of_it),
        **shared,
    )


def _turn_interval(total: DirectionSums, drawn: Sums | None) -> Interval | None:
    turn = steady_bias(total)
    return None if turn is None or drawn is None else around(circular_bias.each(cast(Any, drawn)), turn)


def _interval(formula: Formula[Any], drawn: Sums | None) -> Interval | None:
    return None if drawn is None else percentile(formula.each(drawn))


def sized(found: Sums) -> Any:
    """Return sums as what they all are: they have a number of pairs and a sum of error sizes."""
    return found


def days_with(mask: Bools) -> Bools:
    """Return which days have any of these hours."""
    return np.asarray(mask.any(axis=1))
