"""One public model and the beacon hour by hour: hours counted by class, and the error by month and hour."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.question import Question, load
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.errors import UnknownNameError
from backend.core.records import network_of
from backend.scoring.constants import GIVEN_WIND_EDGES, STRATUM_DAYS
from backend.scoring.grid import CLOCK, NO_HOUR, Hours, thousandths
from backend.scoring.inference.group_intervals import bias_intervals, days_of, group_sums
from backend.scoring.metrics.sums import number
from backend.scoring.names import model_name
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.strata import Groups
from backend.scoring.sample.wind_groups import NO_GROUP

COUNTED = frozenset({Quantity.WIND_SPEED, Quantity.WIND_GUST})
"""The quantities whose hours are counted in the classes of wind."""

MONTHS = 12


class CountedHours(ApiModel):
    """How many hours had this announced and this measured class, as indices from the weakest class on."""

    announced: int
    measured: int
    n_hours: int


class MonthHour(ApiModel):
    """The mean error in one hour of the local clock in one month of the year; null with too few days."""

    month: int
    hour: int
    n_days: int
    shown: bool
    mean_error: float | None
    low: float | None = Field(description="end of the interval")
    high: float | None

    @property
    def is_steady(self) -> bool:
        """Whether the interval leaves no doubt about the sign."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


class HourPairs(ApiModel):
    """The hours that one model and the beacon have in common; counts are of the hours of the question.

    `edges` are the lower ends of the classes but the first, in km/h; empty for what is not a wind. Months
    hold the hours of the whole day, and those of several years together.
    """

    model: str
    name: str
    models: list[str] = Field(description="those to choose from")
    n_hours: int
    n_days: int
    edges: list[float]
    counts: list[CountedHours]
    months: list[MonthHour]


def hour_pairs(
    service: ReadingParts, question: Question, withheld: Withholding, *, model: str | None = None
) -> HourPairs | None:
    """Return the hours of a model, by default of the first; None without a public model, beacon or pair.

    `question` is about public models only. Raises UnknownNameError for a model that is not one of them.
    """
    sample = load(service, question)
    if question.public or any(network_of(code) in withheld.networks for code in sample.reference_days):
        return None
    of_quantity = QuantitySample(sample, question.quantity)
    public = [name for name in sample.forecasts if name not in withheld.models]
    models = [name for name in public if of_quantity.pairs(name).any()]
    if model is not None and model not in public:
        raise UnknownNameError("model", model, public)
    if not models:
        return None
    chosen = models[0] if model is None else model
    pairs = of_quantity.pairs(chosen)
    counts = _counted(of_quantity, chosen) if question.quantity in COUNTED else []
    return HourPairs(
        model=chosen,
        name=model_name(chosen),
        models=models,
        n_hours=int(pairs.sum()),
        n_days=int(pairs.any(axis=1).sum()),
        edges=list(GIVEN_WIND_EDGES.value) if counts else [],
        counts=counts,
        months=_by_month_and_hour(sample, question.quantity, chosen),
    )


def _counted(of_quantity: QuantitySample, model: str) -> list[CountedHours]:
    pairs = of_quantity.pairs(model)
    edges = np.array([thousandths(edge) for edge in GIVEN_WIND_EDGES.value], np.int32)
    announced, measured = (
        np.searchsorted(edges, series.main[pairs], side="right")
        for series in (of_quantity.series(model), of_quantity.observed)
    )
    cells, hours = np.unique(announced * (len(edges) + 1) + measured, return_counts=True)
    return [
        CountedHours(announced=cell // (len(edges) + 1), measured=cell % (len(edges) + 1), n_hours=count)
        for cell, count in zip(cells.tolist(), hours.tolist(), strict=True)
    ]


def _by_month_and_hour(sample: Sample, quantity: Quantity, model: str) -> list[MonthHour]:
    """Return the cells with pairs, in the order of months and hours."""
    whole_days = sample.within(Hours.ALL)
    clock = whole_days.clock
    index = np.where(clock == NO_HOUR, NO_GROUP, (whole_days.span.months[:, None] - 1) * CLOCK + clock)
    names = tuple(f"{month}-{hour}" for month in range(MONTHS) for hour in range(CLOCK))
    sums = group_sums(QuantitySample(whole_days, quantity).hourly(model), Groups(names, index))
    bias = quantity.kind.bias
    assert bias is not None  # noqa: S101  # pages have no choice of a quantity without a bias
    values, intervals = bias.each(sums.total()).tolist(), bias_intervals(quantity.kind, sums)
    cells = []
    for cell, days in enumerate(days_of(sums).tolist()):
        if not days:
            continue
        shown = days >= STRATUM_DAYS.value
        interval = intervals[cell] if shown else None
        cells.append(
            MonthHour(
                month=cell // CLOCK + 1,
                hour=cell % CLOCK,
                n_days=days,
                shown=shown,
                mean_error=number(values[cell]) if shown else None,
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
            )
        )
    return cells
