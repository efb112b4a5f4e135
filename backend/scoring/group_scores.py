"""What a model scores in each of many groups of hours."""

from __future__ import annotations

from dataclasses import replace

from backend.scoring.bootstrap import NEEDED, effective_pairs
from backend.scoring.continuous import mean_error
from backend.scoring.direction import steady_bias
from backend.scoring.grouped import days_of, drawn_from, extent, group_sums, hourly_sums, intervals, over_days
from backend.scoring.intervals import Interval
from backend.scoring.labels import sample_of, stratum_may_be_shown
from backend.scoring.quantities import Quantity, errors, forecast_side, observed_side, pairs
from backend.scoring.sample import Sample
from backend.scoring.scores import ModelScore, days_with, scores_of, sized
from backend.scoring.strata import Stratum, groups


def group_scores(
    sample: Sample, quantity: Quantity, stratum: Stratum, model: str
) -> dict[str, ModelScore | None]:
    """Return a model's score in each group of a stratum, None in those with too few days to be shown.

    The intervals of all groups are drawn from the same days.
    """
    side, observed = forecast_side(sample, quantity, model), observed_side(sample, quantity)
    kind = groups(sample, stratum, model)
    table = group_sums(hourly_sums(quantity, side, observed), kind)
    totals, days = over_days(table), days_of(table)
    drawn = drawn_from(table, NEEDED, extent(table))
    of_size = intervals(quantity.ranking, table, drawn)
    of_error: list[Interval | None] = [None] * len(kind.names)
    if quantity is not Quantity.WIND:
        bias = steady_bias if quantity is Quantity.WIND_DIRECTION else mean_error
        of_error = intervals(bias, table, drawn)
    effective = effective_pairs(sized(totals), sized(drawn))
    there, found = pairs(quantity, side, observed), errors(quantity, side, observed)
    shown = [index for index in range(len(kind.names)) if stratum_may_be_shown(int(days[index]))]
    masks = {index: there & (kind.index == index) for index in shown}
    scores = scores_of(
        quantity, totals.each(lambda column: column[shown]), [found[masks[index]] for index in shown]
    )
    scored: dict[str, ModelScore | None] = dict.fromkeys(kind.names)
    for index, score in zip(shown, scores, strict=True):
        size = sample_of(days_with(masks[index]), sample.months)
        scored[kind.names[index]] = ModelScore(
            model=model,
            reference=False,
            n_pairs=int(sized(totals).n[index]),
            n_days=size.days,
            effective_pairs=effective[index],
            label=size.label,
            season=size.season,
            rank=None,
            estimated_hours=sample.estimated.get(model, 0),
            score=replace(
                score,
                mae_interval=of_size[index],
                mean_error_interval=None if score.mean_error is None else of_error[index],
            ),
            skill={},
        )
    return scored
