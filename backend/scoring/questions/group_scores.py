"""What a model scores in each of many groups of hours."""

from __future__ import annotations

from dataclasses import replace

from backend.scoring.inference.group_sums import (
    bias_intervals,
    days_of,
    group_sums,
    hourly_sums,
    over_days,
    size_intervals,
)
from backend.scoring.questions.model_scores import ModelScore, days_with, scores_of, sized
from backend.scoring.sample.quantities import Quantity, errors, forecast_series, observed_side, pairs
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.strata import Stratum, groups
from backend.scoring.sample_size import sample_of, stratum_may_be_shown


def group_scores(
    sample: Sample, quantity: Quantity, stratum: Stratum, model: str
) -> dict[str, ModelScore | None]:
    """Return a model's score in each group of a stratum, None in those with too few days to be shown."""
    side, observed = forecast_series(sample, quantity, model), observed_side(sample, quantity)
    kind = groups(sample, stratum, model)
    table = group_sums(hourly_sums(quantity, side, observed), kind)
    totals, days = over_days(table), days_of(table)
    of_size, of_error = size_intervals(quantity, table), bias_intervals(quantity, table)
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
            effective_pairs=of_size.effective_pairs[index],
            label=size.label,
            season=size.season,
            rank=None,
            estimated_hours=sample.estimated.get(model, 0),
            score=replace(
                score,
                mae_interval=of_size.intervals[index],
                mean_error_interval=None if score.mean_error is None else of_error[index],
            ),
            skill={},
        )
    return scored
