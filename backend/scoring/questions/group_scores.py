"""What a model scores in each of many groups of hours."""

from __future__ import annotations

from dataclasses import replace

from backend.scoring.constants import STRATUM_DAYS
from backend.scoring.inference.group_intervals import (
    bias_intervals,
    days_of,
    group_sums,
    size_intervals,
)
from backend.scoring.questions.model_scores import ModelScore, scores_of
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.strata import Stratum, groups
from backend.scoring.sample_size import sample_of


def group_scores(
    sample: Sample, quantity: Quantity, stratum: Stratum, model: str
) -> dict[str, ModelScore | None]:
    """Return a model's score in each group of a stratum, None in those with too few days to be shown."""
    of_quantity, kind = QuantitySample(sample, quantity), quantity.kind
    grouping = groups(sample, stratum, model)
    table = group_sums(of_quantity.hourly(model), grouping)
    totals, days = table.total(), days_of(table).tolist()
    sizes, of_bias = size_intervals(kind, table), bias_intervals(kind, table)
    pairs, errors = of_quantity.pairs(model), of_quantity.errors(model)
    shown = [index for index in range(len(grouping.names)) if days[index] >= STRATUM_DAYS.value]
    masks = {index: pairs & (grouping.index == index) for index in shown}
    scores = scores_of(
        quantity, totals.each(lambda column: column[shown]), [errors[masks[index]] for index in shown]
    )
    scored: dict[str, ModelScore | None] = dict.fromkeys(grouping.names)
    for index, score in zip(shown, scores, strict=True):
        size = sample_of(masks[index], sample.span.months)
        scored[grouping.names[index]] = ModelScore(
            model=model,
            reference=False,
            n_pairs=int(totals.n[index]),
            n_days=size.days,
            effective_pairs=sizes.effective_pairs[index],
            label=size.label,
            season=size.season,
            rank=None,
            estimated_hours=sample.estimated.get(model, 0),
            score=replace(
                score,
                mae_interval=sizes.intervals[index],
                mean_error_interval=None if score.mean_error is None else of_bias[index],
            ),
            skill={},
        )
    return scored
