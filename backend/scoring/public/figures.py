"""How coarse the figures are that are published where a withheld source takes part.

Many figures over the same hours are as many equations for the values behind them. Each is rounded so far that
its sum stays about as uncertain as it is for a reader of the public values alone, regardless of the other
figures: by PUBLIC_ROUNDING tolerances over the root of the number of pairs. Figures of fewer than
PUBLIC_PAIRS hours, and all that describe single values (quantiles, histograms, counts of events), are left
out, and so are those that add a second or third equation of the same kind (RMSE, correlation, tests).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from backend.scoring.constants import (
    PUBLIC_COUNT_STEP,
    PUBLIC_DECIMALS,
    PUBLIC_PAIRS,
    PUBLIC_ROUNDING,
    PUBLIC_SHARE_DECIMALS,
    PUBLIC_SHARE_ROUNDING,
    STRATUM_DAYS,
    WITHIN,
)
from backend.scoring.intervals import Interval
from backend.scoring.metrics.contingency import Rate
from backend.scoring.questions.bias import GroupBias, ModelBias
from backend.scoring.questions.headline import Headline, HourlyMeanCheck, SecondOpinion
from backend.scoring.questions.model_scores import ModelScore, ScoreSet
from backend.scoring.questions.scorecard import Finding, PairOfModels, Verdict
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.strata import Stratum

_MANTISSAS = (1, 2, 5)


def enough(pairs: int) -> bool:
    """Return whether a figure over so many hours is published."""
    return pairs >= PUBLIC_PAIRS.value


def figure_step(quantity: Quantity, pairs: int) -> float:
    """Return the step, in the quantity's unit, to which a figure over so many hours is rounded."""
    tolerance = WITHIN[quantity.parameter].value
    return _step(PUBLIC_ROUNDING.value * tolerance / math.sqrt(pairs), PUBLIC_DECIMALS.value)


def share_step(pairs: int) -> float:
    """Return the step to which a share, or a skill, over so many hours is rounded."""
    return _step(PUBLIC_SHARE_ROUNDING.value / math.sqrt(pairs), PUBLIC_SHARE_DECIMALS.value)


def _step(least: float, decimals: int) -> float:
    """Return the smallest of 1, 2, 5, 10… times the finest step that is not below `least`."""
    finest = 10.0**-decimals
    scale = finest
    while True:
        for mantissa in _MANTISSAS:
            if mantissa * scale >= least:
                return mantissa * scale
        scale *= 10


def rounded(value: float | None, step: float) -> float | None:
    """Return a value at the nearest step."""
    return None if value is None else _at_step(value, step)


def _at_step(value: float, step: float) -> float:
    return round(round(value / step) * step, 6) + 0.0  # + 0.0: -0.0 is 0


def rounded_ends(ends: Interval | None, step: float) -> Interval | None:
    """Return an interval whose ends lie at steps."""
    if ends is None:
        return None
    low, high = (_at_step(end, step) for end in ends)
    return Interval(low, high)


def rounded_count(pairs: int) -> int:
    """Return a count of pairs as it is published."""
    step = PUBLIC_COUNT_STEP.value
    return round(pairs / step) * step


def public_score(quantity: Quantity, each: ModelScore) -> ModelScore:
    """Return a model's scores as they are published.

    Of a reference there is no mean error: that of yesterday's observation is the difference of the first and
    the last day.
    """
    pairs = rounded_count(each.n_pairs)
    if not enough(each.n_pairs) or each.n_days < STRATUM_DAYS.value:
        return replace(each, n_pairs=pairs, effective_pairs=None, score=ScoreSet(), skill={})
    step, share = figure_step(quantity, each.n_pairs), share_step(each.n_pairs)
    score = each.score
    return replace(
        each,
        n_pairs=pairs,
        effective_pairs=None,
        score=ScoreSet(
            mean_error=None if each.reference else rounded(score.mean_error, step),
            mean_error_interval=None if each.reference else rounded_ends(score.mean_error_interval, step),
            mae=rounded(score.mae, step),
            mae_interval=rounded_ends(score.mae_interval, step),
            within=rounded(score.within, share),
            within_tolerance=score.within_tolerance,
        ),
        skill={
            name: skill._replace(
                skill=rounded(skill.skill, share), interval=rounded_ends(skill.interval, share)
            )
            for name, skill in each.skill.items()
        },
    )


def public_duel(quantity: Quantity, duel: PairOfModels) -> PairOfModels:
    """Return a comparison of two models as it is published; the p-value of its test is not."""
    pairs = rounded_count(duel.n_pairs)
    if not enough(duel.n_pairs) or duel.n_days < STRATUM_DAYS.value:
        nothing = replace(duel.comparison, difference=None, test=None)
        return replace(duel, n_pairs=pairs, score_a=None, score_b=None, comparison=nothing)
    step, test = figure_step(quantity, duel.n_pairs), duel.comparison.test
    if test is not None:
        low, high = (_at_step(end, step) for end in test.interval)
        test = replace(test, mean=_at_step(test.mean, step), interval=Interval(low, high))
    difference = rounded(duel.comparison.difference, step)
    return replace(
        duel,
        n_pairs=pairs,
        score_a=rounded(duel.score_a, step),
        score_b=rounded(duel.score_b, step),
        comparison=replace(duel.comparison, difference=difference, test=test),
    )


def public_verdict(found: Verdict) -> Verdict:
    """Return a verdict as it is published: that of the exact values, with rounded figures."""
    models = tuple(public_score(found.quantity, each) for each in found.models)
    duel = None if found.duel is None else public_duel(found.quantity, found.duel)
    shown = replace(found, duel=duel, p_value=None, models=models, n_pairs=rounded_count(found.n_pairs))
    if found.finding is not Finding.NOT_ENOUGH and (duel is None or duel.score_a is None):
        return replace(shown, finding=Finding.NOT_ENOUGH, best=None, second=None, duel=None)
    return shown


def public_headline(found: Headline) -> Headline:
    """Return what belongs beside a published verdict: of surprises, the rates that may be published."""
    rates = {name: public_rate(rate, found.go_days[name]) for name, rate in found.surprises.items()}
    return replace(found, surprises={name: rate for name, rate in rates.items() if rate.value is not None})


def public_robustness(quantity: Quantity, found: Sequence[SecondOpinion]) -> tuple[SecondOpinion, ...]:
    """Return the entries of the stations of a site as they are published."""
    opinions = []
    for opinion in found:
        shown = replace(opinion, n_pairs=rounded_count(opinion.n_pairs))
        if enough(opinion.n_pairs):
            step = figure_step(quantity, opinion.n_pairs)
            opinions.append(replace(shown, difference=rounded(opinion.difference, step)))
        else:
            opinions.append(replace(shown, difference=None, outcome=None, agrees=None))
    return tuple(opinions)


def public_means(quantity: Quantity, found: HourlyMeanCheck) -> HourlyMeanCheck:
    """Return a verdict by hourly means as it is published."""
    pairs = rounded_count(found.n_pairs)
    if not enough(found.n_pairs):
        return replace(found, n_pairs=pairs, difference=None, outcome=None, same=None)
    difference = rounded(found.difference, figure_step(quantity, found.n_pairs))
    return replace(found, n_pairs=pairs, difference=difference)


def public_group(quantity: Quantity, found: ModelScore | None) -> ModelScore | None:
    """Return a model's scores in a group as they are published; None where they are not."""
    if found is None or not enough(found.n_pairs) or found.n_days < STRATUM_DAYS.value:
        return None
    return public_score(quantity, found)


def public_bias(quantity: Quantity, found: ModelBias, *, withheld: bool) -> ModelBias:
    """Return how a model is wrong as it is published.

    Of a model whose values are `withheld` there are no groups by what it forecast: they would be a histogram
    of it. What was observed given a forecast is a histogram too.
    """
    shown = enough(found.n_pairs) and found.size.days >= STRATUM_DAYS.value
    step = figure_step(quantity, found.n_pairs) if shown else 1.0  # no figure is shown without a step
    return replace(
        found,
        n_pairs=rounded_count(found.n_pairs),
        mean_error=rounded(found.mean_error, step) if shown else None,
        interval=rounded_ends(found.interval, step) if shown else None,
        groups={
            stratum: ()
            if withheld and stratum in BY_FORECAST
            else tuple(_public_group_bias(quantity, group) for group in groups if enough(group.n_pairs))
            for stratum, groups in found.groups.items()
        },
        leads=tuple(_public_group_bias(quantity, group) for group in found.leads if enough(group.n_pairs)),
        given=(),
    )


BY_FORECAST = frozenset({Stratum.SECTOR, Stratum.WIND_CLASS})
"""The strata whose groups depend on what the model forecast."""


def _public_group_bias(quantity: Quantity, group: GroupBias) -> GroupBias:
    step = figure_step(quantity, group.n_pairs)
    return replace(
        group,
        n_pairs=rounded_count(group.n_pairs),
        mean_error=rounded(group.mean_error, step),
        interval=rounded_ends(group.interval, step),
    )


def public_rate(rate: Rate, days: int) -> Rate:
    """Return a rate as it is published: coarse, and only of enough cases on enough `days`."""
    if rate.value is None or not enough(rate.of) or days < STRATUM_DAYS.value:
        return replace(rate, value=None, interval=None)
    step = share_step(rate.of)
    value = rounded(rate.value, step)
    return replace(rate, value=value, interval=rounded_ends(rate.interval, step))
