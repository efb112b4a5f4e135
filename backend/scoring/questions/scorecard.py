"""The main question of the API, the pages and the command line: which forecast to trust here.

Answers are computed from stored score days (see days/update.py) and are not stored. Models are compared on
the hours that all of the compared ones have, and on no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from operator import attrgetter

import numpy as np

from backend.scoring.grid import Bools, Hours, present
from backend.scoring.inference.comparison import (
    Comparison,
    Outcome,
    PooledSkill,
    compare,
    daily_difference,
    pooled_skills,
)
from backend.scoring.inference.group_intervals import by_day_groups
from backend.scoring.names import listed, model_name
from backend.scoring.questions.model_scores import ModelScore, score_all
from backend.scoring.sample.quantities import CommonSample, Quantity, QuantitySample
from backend.scoring.sample.sample import BASELINES, Sample
from backend.scoring.sample_size import SampleSize, sample_of

METHOD_VERSION = "2"
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
    """The result of a verdict. NOT_RANKED is for what models cannot be ranked by, with however many days."""

    WINNER = "winner"
    TOO_CLOSE = "too_close_to_call"
    NOT_ENOUGH = "not_enough_data"
    NOT_RANKED = "not_ranked"

    @property
    def ranks(self) -> bool:
        """Whether models were ranked, also if no model is clearly better."""
        return self in {Finding.WINNER, Finding.TOO_CLOSE}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The models that are compared on the hours `common` to all of them, those that err least first.

    `duels` are between the first and each other; `duel` is the one with the model that errs least of those
    that the first does not clearly beat, or else of all. `finding` is the result for the first model: too
    close to call where the daily differences favour a model that errs more in the mean of all hours.
    `p_value` is how likely it is by chance that the first beats all others, that of its weakest duel: None
    where models may not be ranked yet, or where a duel has no test. `ranks` has None for each model where
    they may not be ranked.
    """

    scores: tuple[ModelScore, ...]
    common: CommonSample
    n_pairs: int
    size: SampleSize
    duels: tuple[PairOfModels, ...]
    duel: PairOfModels | None
    finding: Finding
    p_value: float | None
    ranks: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which model to trust for a quantity, or why no model can be named.

    `best` errs least on the common sample of the models in `compared`. `second` is the one that errs least of
    those that it does not clearly beat, or else of all others. Both are None, and `models` are in the order
    of their names, where models may not be ranked. `p_value` is that of the weakest of its duels.
    """

    quantity: Quantity
    hours: Hours
    finding: Finding
    compared: tuple[str, ...]
    best: str | None
    second: str | None
    duel: PairOfModels | None
    p_value: float | None
    models: tuple[ModelScore, ...]
    n_pairs: int
    n_days: int
    size: SampleSize
    common_sample: str


@dataclass(frozen=True, eq=False)
class Scorecard:
    """Answers about one sample, computed on demand. Its models are those of `sample.forecasts`."""

    sample: Sample

    # --- Scores of models ----------------------------------------------------------------------------

    def scores(
        self,
        quantity: Quantity,
        *,
        models: Sequence[str] | None = None,
        mask: Bools | None = None,
        intervals: bool = True,
    ) -> tuple[ModelScore, ...]:
        """Return each model's score on its own pairs within `mask`, then the baselines'; none is ranked.

        Models without any pair are the last of the models.
        """
        names = self.sample.forecasts if models is None else models
        scores = score_all(
            QuantitySample(self.sample, quantity), [*names, *BASELINES], mask, intervals=intervals
        )
        return tuple(sorted(scores, key=_with_pairs_first))

    # --- Comparison ----------------------------------------------------------------------------------

    def duel(self, quantity: Quantity, a: str, b: str, mask: Bools | None = None) -> PairOfModels:
        """Compare two models on the hours that both have, within `mask`."""
        of_quantity = QuantitySample(self.sample, quantity)
        both = of_quantity.pairs(a) & of_quantity.pairs(b)
        if mask is not None:
            both &= mask
        sizes_a, sizes_b = (of_quantity.sizes(name, both) for name in (a, b))
        size = sample_of(both, self.sample.span.months)
        return PairOfModels(
            a=a,
            b=b,
            n_pairs=int(both.sum()),
            n_days=size.days,
            size=size,
            score_a=quantity.kind.ranking(sizes_a.total()),
            score_b=quantity.kind.ranking(sizes_b.total()),
            comparison=compare(daily_difference(sizes_a, sizes_b), quantity.parameter),
        )

    def duels(self, quantity: Quantity) -> tuple[PairOfModels, ...]:
        """Compare every two models on the hours of both, regardless of the other models."""
        return tuple(self.duel(quantity, a, b) for a, b in combinations(self.sample.forecasts, 2))

    def ranking(self, quantity: Quantity, *, intervals: bool = False) -> Ranking:
        """Return which models are compared, in the order of their errors, with the duels of the first."""
        of_quantity = QuantitySample(self.sample, quantity)
        compared, shared = of_quantity.common
        # The mean size of the error was declared as the score that ranks before any result was seen. Each of
        # these models has one, since each has the hours that they share.
        scores = sorted(
            score_all(of_quantity, compared, shared, intervals=intervals),
            key=attrgetter("score.mae", "model"),
        )
        duels = tuple(self.duel(quantity, scores[0].model, score.model, shared) for score in scores[1:])
        unbeaten = [duel for duel in duels if duel.comparison.outcome is not Outcome.A_BETTER]
        size = sample_of(shared, self.sample.span.months)
        if not duels or not size.label.may_rank:
            finding = Finding.NOT_ENOUGH
        elif not quantity.is_ranked:
            finding = Finding.NOT_RANKED
        else:
            finding = Finding.TOO_CLOSE if unbeaten else Finding.WINNER
        # The first beats all others only if it beats the one that is hardest to beat: the largest p-value.
        p_values = [duel.comparison.test.p_value for duel in duels if duel.comparison.test is not None]
        may_rank = finding is Finding.WINNER or (finding is Finding.TOO_CLOSE and size.label.is_settled)
        return Ranking(
            scores=tuple(scores),
            common=of_quantity.common,
            n_pairs=int(shared.sum()),
            size=size,
            duels=duels,
            duel=next(iter((*unbeaten, *duels)), None),
            finding=finding,
            p_value=max(p_values) if finding.ranks and len(p_values) == len(duels) else None,
            ranks={score.model: rank if may_rank else None for rank, score in enumerate(scores, start=1)},
        )

    def verdict(self, quantity: Quantity) -> Verdict:
        """Return which model errs least here, if the test and the sample show a difference."""
        of_quantity, ranking = QuantitySample(self.sample, quantity), self.ranking(quantity, intervals=True)
        shared, ranks, duel = ranking.common.shared, ranking.ranks, ranking.duel
        may_rank = ranking.finding.ranks
        ranked = tuple(score.model for score in ranking.scores)
        baselines = [name for name in BASELINES if present(of_quantity.series(name).main).any()]
        skills = {name: self._skills(of_quantity, ranked, name, shared) for name in baselines}
        scored = [
            replace(
                score,
                rank=ranks[score.model],
                skill={name: of_models[score.model] for name, of_models in skills.items()},
            )
            # In the order of their errors, models that may not be ranked would look ranked.
            for score in (ranking.scores if may_rank else sorted(ranking.scores, key=attrgetter("model")))
        ]
        others = [name for name in self.sample.forecasts if name not in ranked]
        on_their_own = score_all(of_quantity, others, intervals=False)
        return Verdict(
            quantity=quantity,
            hours=self.sample.hours,
            finding=ranking.finding,
            compared=tuple(score.model for score in scored),
            best=ranked[0] if may_rank else None,
            second=duel.b if may_rank and duel is not None else None,
            duel=duel,
            p_value=ranking.p_value,
            models=(
                *scored,
                *sorted(on_their_own, key=_with_pairs_first),
                *score_all(of_quantity, baselines, shared, intervals=False),
            ),
            n_pairs=ranking.n_pairs,
            n_days=ranking.size.days,
            size=ranking.size,
            common_sample=common_words(ranking.common.compared, self.sample, quantity),
        )

    def _skills(
        self, of_quantity: QuantitySample, models: Sequence[str], baseline: str, shared: Bools
    ) -> dict[str, PooledSkill]:
        """Return each model's skill against a baseline, on the hours that all of them and it have.

        It is formed month by month, and then averaged; its interval is of the same days for all of them.
        None where there are too few days to show a score.
        """
        both = shared & of_quantity.pairs(baseline)
        if not sample_of(both, self.sample.span.months).label.shows_values:
            return dict.fromkeys(models, PooledSkill(None, 0, 0))
        months, month = np.unique(self.sample.span.months, return_inverse=True)
        *of_models, naive = (
            by_day_groups(of_quantity.sizes(name, both), month, len(months)) for name in (*models, baseline)
        )
        skills = pooled_skills(of_quantity.quantity.kind.ranking, of_models, naive)
        return dict(zip(models, skills, strict=True))


def _with_pairs_first(score: ModelScore) -> tuple[bool, bool]:
    """Return an order that keeps that of the names: models with pairs, models without any, references."""
    return score.reference, not score.n_pairs


def common_words(compared: Sequence[str], sample: Sample, quantity: Quantity) -> str:
    """Return in words which hours a common sample has and which models it leaves out, or why it has none."""
    if not sample.reference_days:
        return "this site has no reference station"
    if compared:
        shared = f"{sample.hours.noun} that {listed([*map(model_name, compared), sample.station])} all have"
        others = [model_name(name) for name in sample.forecasts if name not in compared]
        if len(compared) == 1 or not others:
            return shared
        return f"{shared}; not compared, for too few hours in common with them: {listed(others)}"
    if quantity is Quantity.TEMPERATURE:
        if all(sample.stations[code].station.elevation is None for code in sample.reference_days):
            return f"the height of {sample.station} is unknown, so temperatures cannot be corrected to it"
        if not sample.temperatures:
            return "no model publishes the height of its ground, so temperatures cannot be corrected"
    return f"none of the models shown has an hour in common with {sample.station}"
