"""What each model scores on its own, with intervals from the same days for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.scoring.constants import BREEZE, LIGHT_WIND, STRATUM_DAYS, WITHIN
from backend.scoring.grid import Bools, Integers, Season
from backend.scoring.inference.comparison import PooledSkill
from backend.scoring.inference.group_intervals import beside, bias_intervals, size_intervals
from backend.scoring.intervals import Interval
from backend.scoring.metrics.direction import DirectionError
from backend.scoring.metrics.scalar import ErrorQuantiles, error_quantiles, within_share
from backend.scoring.metrics.sums import number
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import BASELINES
from backend.scoring.sample_size import SampleLabel, sample_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSet:
    """The scores of a model, in the quantity's unit; None is undefined.

    `mean_error` > 0: the forecast is too high.
    """

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
    of_quantity: QuantitySample,
    names: Sequence[str],
    mask: Bools | None = None,
    *,
    intervals: bool = True,
) -> tuple[ModelScore, ...]:
    """Return the score of each model or baseline on its own pairs within `mask`, without rank and skill.

    Intervals are of the same days for all of them.
    """
    if not names:
        return ()
    sample, kind = of_quantity.sample, of_quantity.quantity.kind
    together = beside([of_quantity.sums(name, mask) for name in names])
    none: list[Any] = [None] * len(names)
    of_size, of_bias, effective = none, none, none
    if intervals:
        of_size, effective = size_intervals(kind, together)
        of_bias = bias_intervals(kind, together)
    pairs = [of_quantity.pairs(name) if mask is None else of_quantity.pairs(name) & mask for name in names]
    errors = [of_quantity.errors(name)[mine] for name, mine in zip(names, pairs, strict=True)]
    scores = scores_of(of_quantity.quantity, together.total(), errors)
    scored = []
    for index, name in enumerate(names):
        size = sample_of(pairs[index], sample.span.months)
        score = replace(scores[index], mae_interval=of_size[index], mean_error_interval=of_bias[index])
        if isinstance(kind, DirectionError) and mask is None and name not in BASELINES:
            # Beside it the noisier score of light winds, from BREEZE to below LIGHT_WIND.
            of_days = _BREEZE.hourly(of_quantity.series(name), of_quantity.observed).of_days()
            total = of_days.total()
            shown = int((of_days.n > 0).sum()) >= STRATUM_DAYS.value
            score = replace(
                score, breeze_mae=_BREEZE.ranking(total) if shown else None, breeze_pairs=int(total.n)
            )
        scored.append(
            ModelScore(
                model=name,
                reference=name in BASELINES,
                n_pairs=len(errors[index]),
                n_days=size.days,
                effective_pairs=effective[index],
                label=size.label,
                season=size.season,
                rank=None,
                estimated_hours=sample.estimated.get(name, 0),
                score=score,
                skill={},
            )
        )
    return tuple(scored)


def scores_of(quantity: Quantity, totals: Any, errors_of: Sequence[Integers]) -> list[ScoreSet]:
    """Return the scores of many groups, a row of `totals` each, without intervals.

    `errors_of` are the errors of each, in thousandths.
    """
    tolerance = WITHIN[quantity.parameter].value
    kind = quantity.kind
    values = {name: formula.each(totals).tolist() for name, formula in kind.formulas.items()}
    counts = {name: getattr(totals, column).tolist() for name, column in kind.left_out.items()}
    return [
        ScoreSet(
            quantiles=error_quantiles(errors),
            within=within_share(errors, tolerance),
            within_tolerance=tolerance,
            **dict[str, Any]({name: number(of_groups[index]) for name, of_groups in values.items()}),
            **dict[str, Any]({name: of_groups[index] for name, of_groups in counts.items()}),
        )
        for index, errors in enumerate(errors_of)
    ]


_BREEZE = DirectionError(BREEZE.value, LIGHT_WIND.value)
