"""The one question that the API, the pages and the command line ask: which forecast to trust here.

Everything is computed from the days that are kept (see upkeep); nothing here is stored. Models are compared
on the hours that all of the compared ones have, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

import numpy as np

from backend.scoring.bootstrap import SIZES, only
from backend.scoring.constants import COMMON_SAMPLE_KEEPS
from backend.scoring.daily import daily_difference
from backend.scoring.grid import Bools
from backend.scoring.grouped import by_day_groups
from backend.scoring.labels import Label, sample_of
from backend.scoring.labels import Sample as SampleSize
from backend.scoring.quantities import Quantity, Side, forecast_side, has_any, observed_side, pairs, sums
from backend.scoring.sample import REFERENCES, Sample
from backend.scoring.scores import ModelScore, Score, days_with, score_all, sized
from backend.scoring.skill import PooledSkill, pooled_skills
from backend.scoring.verdict import Comparison, Outcome, compare

METHOD_VERSION = "1"
"""Raised whenever a score of the same data would come out otherwise."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The models that are compared on the hours `shared` by all of them, those that err least first.

    `compared` names them in the order in which they were taken in. `duel` is between the first and the one
    that errs least of those that it does not clearly beat, or else of all others.
    """

    scores: tuple[ModelScore, ...]
    compared: tuple[str, ...]
    shared: Bools
    size: SampleSize
    duel: PairOfModels | None

    @property
    def n_pairs(self) -> int:
        """Return how many hours they share."""
        return int(self.shared.sum())

    @property
    def finding(self) -> Finding:
        """Return what may be said of the first.

        Where the days speak for the other although it errs more in the mean of all hours, nothing is clear.
        """
        if self.duel is None or self.size.label in {Label.COLLECTING, Label.FIRST_LOOK}:
            return Finding.NOT_ENOUGH
        return Finding.WINNER if self.duel.comparison.outcome is Outcome.A_BETTER else Finding.TOO_CLOSE

    @property
    def ranks(self) -> dict[str, int | None]:
        """Return the rank of each, None where they may not be ranked."""
        may_rank = self.finding is Finding.WINNER or (
            self.size.label in {Label.ESTABLISHED, Label.ESTABLISHED_SEASON} and len(self.scores) > 1
        )
        return {each.model: rank if may_rank else None for rank, each in enumerate(self.scores, start=1)}


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
        return score_all(self.sample, quantity, sides, mask, intervals=intervals)

    # --- Comparison ----------------------------------------------------------------------------------

    def duel(self, quantity: Quantity, a: str, b: str, mask: Bools | None = None) -> PairOfModels:
        """Compare two models on the hours that both have, within `mask`."""
        observed = observed_side(self.sample, quantity)
        one, other = (forecast_side(self.sample, quantity, name) for name in (a, b))
        both = pairs(quantity, one, observed) & pairs(quantity, other, observed)
        if mask is not None:
            both &= mask
        sums_a, sums_b = (sums(quantity, side, observed, both) for side in (one, other))
        series = daily_difference(sized(sums_a), sized(sums_b))
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

    def ranking(self, quantity: Quantity, *, intervals: bool = False) -> Ranking:
        """Return which models are compared, in the order of their errors, and what that allows to say."""
        observed = observed_side(self.sample, quantity)
        sides = {name: forecast_side(self.sample, quantity, name) for name in self.models()}
        has = {name: pairs(quantity, side, observed) for name, side in sides.items()}
        compared = comparable(has)
        shared = (
            all_of(has[name] for name in compared) if compared else np.zeros_like(observed.main, np.bool_)
        )
        of_compared = {name: sides[name] for name in compared}
        ranked = list(score_all(self.sample, quantity, of_compared, shared, intervals=intervals))
        ranked.sort(key=lambda each: (_ranked_by(quantity, each.score), each.model))
        duels = [self.duel(quantity, ranked[0].model, each.model, shared) for each in ranked[1:]]
        unbeaten = [duel for duel in duels if duel.comparison.outcome is not Outcome.A_BETTER]
        return Ranking(
            scores=tuple(ranked),
            compared=compared,
            shared=shared,
            size=sample_of(days_with(shared), self.sample.months),
            duel=next(iter(unbeaten + duels), None),
        )

    def verdict(self, quantity: Quantity) -> Verdict:
        """Return which model errs least here, if the tests and the sample allow to say so."""
        found = self.ranking(quantity, intervals=True)
        ranked = tuple(each.model for each in found.scores)
        sides = {name: forecast_side(self.sample, quantity, name) for name in self.models()}
        reference_sides = self._references(quantity)
        ranked_sides = {name: sides[name] for name in ranked}
        ranks = found.ranks
        skills = {
            name: self._skills(quantity, ranked_sides, reference, found.shared)
            for name, reference in reference_sides.items()
        }
        scored = [
            replace(
                each,
                rank=ranks[each.model],
                skill={name: of_models[each.model] for name, of_models in skills.items()},
            )
            for each in found.scores
        ]
        others = {name: side for name, side in sides.items() if name not in ranked}
        return Verdict(
            quantity=quantity,
            finding=found.finding,
            compared=ranked,
            best=next(iter(ranked), None),
            second=None if found.duel is None else found.duel.b,
            duel=found.duel,
            models=(
                *scored,
                *score_all(self.sample, quantity, others, None, intervals=False),
                *score_all(self.sample, quantity, reference_sides, found.shared, intervals=False),
            ),
            n_pairs=found.n_pairs,
            n_days=found.size.days,
            size=found.size,
            common_sample=common_words(found.compared, self.sample.station),
        )

    def _references(self, quantity: Quantity) -> dict[str, Side]:
        """Return the references that say anything."""
        sides = {name: forecast_side(self.sample, quantity, name) for name in REFERENCES}
        return {name: side for name, side in sides.items() if has_any(side)}

    def _skills(
        self, quantity: Quantity, models: Mapping[str, Side], reference: Side, shared: Bools
    ) -> dict[str, PooledSkill]:
        """Return each model's skill against a reference, on the hours that all of them and it have.

        It is formed month by month, and then averaged; its interval is of the same days for all of them.
        """
        observed = observed_side(self.sample, quantity)
        both = shared & pairs(quantity, reference, observed)
        months, month = np.unique(self.sample.months, return_inverse=True)
        *of_models, naive = (
            by_day_groups(only(sums(quantity, side, observed, both), SIZES), month, len(months))
            for side in (*models.values(), reference)
        )
        found = pooled_skills(quantity.ranking, of_models, naive)
        return dict(zip(models, found, strict=True))


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


def _ranked_by(quantity: Quantity, score: Score) -> float:
    """Return what models are ranked by, declared beforehand: the mean size of the error."""
    return float("inf") if score.mae is None else score.mae


def all_of(masks: Iterable[Bools]) -> Bools:
    """Return the hours that all of these have."""
    return np.asarray(np.logical_and.reduce(list(masks)))


def common_words(compared: Sequence[str], station: str) -> str:
    """Say which hours a common sample has."""
    if not station:
        return "no station speaks for this site"
    if not compared:
        return f"no model has an hour in common with {station}"
    return f"hours that {', '.join(compared)} and {station} all have"
