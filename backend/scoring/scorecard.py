"""The one question that the API, the pages and the command line ask: which forecast to trust here.

Everything is computed from the days that are kept (see upkeep); nothing here is stored. Models are compared
on the hours that all of the compared ones have, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from typing import Any, cast

import numpy as np

from backend.scoring.bootstrap import effective_pairs, score_intervals
from backend.scoring.constants import COMMON_SAMPLE_KEEPS, WITHIN
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
from backend.scoring.daily import daily_difference
from backend.scoring.direction import (
    circular_bias,
    circular_sd,
    mean_absolute_direction_error,
    mean_direction_error,
    resultant,
    steady_bias,
)
from backend.scoring.formula import number
from backend.scoring.grid import Bools
from backend.scoring.intervals import Interval
from backend.scoring.labels import Label, Season, sample_of
from backend.scoring.labels import Sample as SampleSize
from backend.scoring.quantities import (
    Quantity,
    Side,
    errors,
    forecast_side,
    has_any,
    observed_side,
    pairs,
    sums,
)
from backend.scoring.sample import REFERENCES, Sample
from backend.scoring.skill import PooledSkill, Stratum, pooled_skill
from backend.scoring.sums import DirectionSums, ScalarSums, Sums, VectorSums
from backend.scoring.vector import mean_vector_error, rms_vector_error
from backend.scoring.verdict import Comparison, Outcome, compare

MONTHS = 12

METHOD_VERSION = "1"
"""Raised whenever a score of the same data would come out otherwise."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOfModels:
    """Two models on the hours that both have: `comparison.difference` < 0 means that `a` errs less."""

    a: str
    b: str
    n_pairs: int
    n_days: int
    size: SampleSize
    score_a: float | None
    score_b: float | None
    comparison: Comparison


class Finding(StrEnum):
    """What a verdict may say."""

    WINNER = "winner"
    TOO_CLOSE = "too_close_to_call"
    NOT_ENOUGH = "not_enough_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which model to trust for a quantity, or why that cannot be said.

    `best` errs least on the common sample of the models in `compared`, whatever the finding. `second` is the
    one that errs least of those that it does not clearly beat, or else of all others.
    """

    quantity: Quantity
    finding: Finding
    compared: tuple[str, ...]
    best: str | None
    second: str | None
    duel: PairOfModels | None
    models: tuple[ModelScore, ...]
    n_pairs: int
    n_days: int
    size: SampleSize
    common_sample: str


class Scorecard:
    """Answers about one sample; each is computed when it is asked for."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def models(self) -> tuple[str, ...]:
        """Return the models of which anything is kept in this view, by name."""
        return tuple(self.sample.forecasts)

    # --- Scores of each ------------------------------------------------------------------------------

    def scores(
        self,
        quantity: Quantity,
        *,
        models: Sequence[str] | None = None,
        mask: Bools | None = None,
        intervals: bool = True,
    ) -> tuple[ModelScore, ...]:
        """Return each model's score on its own pairs within `mask`, then the references'; none is ranked."""
        asked = (*self.models(), *REFERENCES) if models is None else models
        sides = {name: forecast_side(self.sample, quantity, name) for name in asked}
        return tuple(
            self._score(quantity, name, side, mask, intervals=intervals) for name, side in sides.items()
        )

    def group_scores(self, quantity: Quantity, masks: Mapping[str, Bools]) -> tuple[ModelScore, ...]:
        """Return each model's score within a mask of its own."""
        return tuple(
            self._score(quantity, name, forecast_side(self.sample, quantity, name), mask, intervals=True)
            for name, mask in masks.items()
        )

    def _score(
        self, quantity: Quantity, name: str, side: Side, mask: Bools | None, *, intervals: bool
    ) -> ModelScore:
        observed = observed_side(self.sample, quantity)
        of_days = sums(quantity, side, observed, mask)
        there = pairs(quantity, side, observed) if mask is None else pairs(quantity, side, observed) & mask
        size = sample_of(days_with(there), self.sample.months)
        found = errors(quantity, side, observed)[there]
        return ModelScore(
            model=name,
            reference=name in REFERENCES,
            n_pairs=int(there.sum()),
            n_days=size.days,
            effective_pairs=effective_pairs(of_days)
            if intervals and isinstance(of_days, ScalarSums)
            else None,
            label=size.label,
            season=size.season,
            rank=None,
            estimated_hours=self.sample.estimated.get(name, 0),
            score=_score_of(quantity, of_days, found, intervals=intervals),
            skill={},
        )

    # --- Comparison ----------------------------------------------------------------------------------

    def duel(self, quantity: Quantity, a: str, b: str, mask: Bools | None = None) -> PairOfModels:
        """Compare two models on the hours that both have, within `mask`."""
        observed = observed_side(self.sample, quantity)
        one, other = (forecast_side(self.sample, quantity, name) for name in (a, b))
        both = pairs(quantity, one, observed) & pairs(quantity, other, observed)
        if mask is not None:
            both &= mask
        sums_a, sums_b = (sums(quantity, side, observed, both) for side in (one, other))
        series = daily_difference(_sized(sums_a), _sized(sums_b))
        size = sample_of(days_with(both), self.sample.months)
        return PairOfModels(
            a=a,
            b=b,
            n_pairs=int(both.sum()),
            n_days=size.days,
            size=size,
            score_a=quantity.ranking(sums_a.total()),
            score_b=quantity.ranking(sums_b.total()),
            comparison=compare(series, self.sample.view.steps_ahead, quantity.parameter),
        )

    def duels(self, quantity: Quantity) -> tuple[PairOfModels, ...]:
        """Compare every two models, whatever little the others have."""
        return tuple(self.duel(quantity, a, b) for a, b in combinations(self.models(), 2))

    def verdict(self, quantity: Quantity) -> Verdict:
        """Return which model errs least here, if the tests and the sample allow to say so."""
        observed = observed_side(self.sample, quantity)
        sides = {name: forecast_side(self.sample, quantity, name) for name in self.models()}
        has = {name: pairs(quantity, side, observed) for name, side in sides.items()}
        compared = comparable(has)
        shared = (
            all_of(has[name] for name in compared) if compared else np.zeros_like(observed.main, np.bool_)
        )
        size = sample_of(days_with(shared), self.sample.months)
        ranked = [self._score(quantity, name, sides[name], shared, intervals=True) for name in compared]
        ranked.sort(key=lambda each: (_ranked_by(quantity, each.score), each.model))
        best = ranked[0].model if ranked else None
        duels = [self.duel(quantity, ranked[0].model, each.model, shared) for each in ranked[1:]]
        unbeaten = [duel for duel in duels if duel.comparison.outcome is not Outcome.A_BETTER]
        duel = next(iter(unbeaten + duels), None)
        finding = _finding(size, duel)
        may_rank = finding is Finding.WINNER or (
            size.label in {Label.ESTABLISHED, Label.ESTABLISHED_SEASON} and len(ranked) > 1
        )
        reference_sides = self._references(quantity)
        scored = [
            replace(
                each,
                rank=rank if may_rank else None,
                skill={
                    name: self._skill(quantity, sides[each.model], reference, shared, observed)
                    for name, reference in reference_sides.items()
                },
            )
            for rank, each in enumerate(ranked, start=1)
        ]
        unranked = [
            self._score(quantity, name, sides[name], None, intervals=False)
            for name in sides
            if name not in compared
        ]
        return Verdict(
            quantity=quantity,
            finding=finding,
            compared=tuple(each.model for each in ranked),
            best=best,
            second=None if duel is None else duel.b,
            duel=duel,
            models=(
                *scored,
                *unranked,
                *(
                    self._score(quantity, name, side, shared, intervals=False)
                    for name, side in reference_sides.items()
                ),
            ),
            n_pairs=int(shared.sum()),
            n_days=size.days,
            size=size,
            common_sample=common_words(compared, self.sample.station),
        )

    def _references(self, quantity: Quantity) -> dict[str, Side]:
        """Return the references that say anything."""
        sides = {name: forecast_side(self.sample, quantity, name) for name in REFERENCES}
        return {name: side for name, side in sides.items() if has_any(side)}

    def _skill(
        self, quantity: Quantity, side: Side, reference: Side, shared: Bools, observed: Side
    ) -> PooledSkill:
        """Return the skill against a reference on the hours of both: formed month by month, then averaged."""
        both = shared & pairs(quantity, reference, observed)
        mine, others = (sums(quantity, each, observed, both) for each in (side, reference))
        model, naive = (each.groups(self.sample.months - 1, MONTHS) for each in (mine, others))
        scores, references = (quantity.ranking.each(each) for each in (model, naive))
        strata = [
            Stratum(number(scores[month]), number(references[month]), int(_sized(model).n[month]))
            for month in np.unique(self.sample.months - 1)
        ]
        return pooled_skill(strata)


def comparable(has: Mapping[str, Bools]) -> tuple[str, ...]:
    """Return the models that are compared together: those that do not cost the others their sample.

    `has` are the pairs of each. From the two that share the most on, each is taken in as long as the common
    sample keeps COMMON_SAMPLE_KEEPS of what these two share.
    """
    counted = sorted((name for name in has if has[name].any()), key=lambda name: -int(has[name].sum()))
    shares = {(a, b): int((has[a] & has[b]).sum()) for a, b in combinations(counted, 2)}
    first = max(shares, key=lambda two: shares[two], default=())
    if not first or not shares[first]:
        return tuple(counted[:1])
    taken, shared = list(first), has[first[0]] & has[first[1]]
    for name in (name for name in counted if name not in first):
        both = shared & has[name]
        if int(both.sum()) >= COMMON_SAMPLE_KEEPS.value * shares[first]:
            taken.append(name)
            shared = both
    return tuple(taken)


def _score_of(quantity: Quantity, of_days: Sums, found: Any, *, intervals: bool) -> Score:
    total = of_days.total()
    tolerance = WITHIN[quantity.parameter].value
    shared: dict[str, Any] = {
        "quantiles": error_quantiles(found),
        "within": within_share(found, tolerance),
        "within_tolerance": tolerance,
    }
    intervals_of = score_intervals if intervals else _no_intervals
    if isinstance(of_days, DirectionSums) and isinstance(total, DirectionSums):
        return Score(
            mae=mean_absolute_direction_error(total),
            mae_interval=intervals_of([mean_absolute_direction_error], of_days)[0],
            mean_error=steady_bias(total),
            circular_bias=circular_bias(total),
            circular_sd=circular_sd(total),
            resultant=resultant(total),
            mean_direction_error=mean_direction_error(total),
            light_wind_pairs=int(total.light),
            undefined_pairs=int(total.undefined),
            **shared,
        )
    if isinstance(of_days, VectorSums) and isinstance(total, VectorSums):
        return Score(
            mae=mean_vector_error(total),
            mae_interval=intervals_of([mean_vector_error], of_days)[0],
            rmse=rms_vector_error(total),
            **shared,
        )
    scalar, all_of_it = cast(ScalarSums, of_days), cast(ScalarSums, total)
    of_error, of_size = intervals_of([mean_error, mae], scalar)
    return Score(
        mean_error=mean_error(all_of_it),
        mean_error_interval=of_error,
        mae=mae(all_of_it),
        mae_interval=of_size,
        rmse=rmse(all_of_it),
        error_sd=error_sd(all_of_it),
        correlation=correlation(all_of_it),
        **shared,
    )


def _finding(size: SampleSize, duel: PairOfModels | None) -> Finding:
    """Return what may be said of the best model (`a` of the duel) and the one nearest to beating it.

    Where the days speak for `b` although it errs more in the mean of all hours, nothing is clear.
    """
    if duel is None or size.label in {Label.COLLECTING, Label.FIRST_LOOK}:
        return Finding.NOT_ENOUGH
    return Finding.WINNER if duel.comparison.outcome is Outcome.A_BETTER else Finding.TOO_CLOSE


def _no_intervals(scores: Sequence[Any], _sums: Any) -> list[Interval | None]:
    return [None] * len(scores)


def _ranked_by(quantity: Quantity, score: Score) -> float:
    """Return what models are ranked by, declared beforehand: the mean size of the error."""
    return float("inf") if score.mae is None else score.mae


def _sized(found: Sums) -> Any:
    return found


def all_of(masks: Iterable[Bools]) -> Bools:
    """Return the hours that all of these have."""
    return np.asarray(np.logical_and.reduce(list(masks)))


def days_with(mask: Bools) -> Bools:
    """Return which days have any of these hours."""
    return np.asarray(mask.any(axis=1))


def common_words(compared: Sequence[str], station: str) -> str:
    """Say which hours a common sample has."""
    if not station:
        return "no station speaks for this site"
    if not compared:
        return f"no model has an hour in common with {station}"
    return f"hours that {', '.join(compared)} and {station} all have"
