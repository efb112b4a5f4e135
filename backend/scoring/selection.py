"""Which forecast speaks for an hour, in each view: the newest run among those that the view allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.calendar import HOUR, Span
from backend.scoring.views import VIEWS, DecisionView, View

SPEED, GUST, DIRECTION, TEMPERATURE = range(len(Parameter))


@dataclass(frozen=True, slots=True)
class Runs:
    """Forecast hours of one site in the order of valid time, model and run; values (n, 4) in thousandths.

    Times are seconds since 1970; `available_at` is when the run could be had, `estimated` where that is when
    we first saw it.
    """

    valid_time: NDArray[np.int64]
    model: NDArray[np.int64]
    reference_time: NDArray[np.int64]
    available_at: NDArray[np.int64]
    estimated: NDArray[np.bool_]
    values: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Selected:
    """What a model said of a day in a view: values (4, 25), lead times in minutes (25), -1 where none."""

    view: int
    model: int
    day: int
    hourly: NDArray[np.int32]
    leads: NDArray[np.int16]
    estimated: int


def select(runs: Runs, span: Span) -> Iterator[Selected]:
    """Yield, by view, day and model, the days of which a model said anything.

    Only whole hours are looked at, so that half-hourly models have no more weight than others. A speed of 0
    has no direction.
    """
    index, hour = span.locate(runs.valid_time)
    within = (runs.valid_time % HOUR == 0) & (index >= 0) & (index < len(span.days))
    models, model = np.unique(runs.model, return_inverse=True)
    slot = ((index * len(models)) + model) * HOURS_A_DAY + hour
    lead = (runs.valid_time - runs.reference_time) // 60
    values = runs.values.copy()
    values[values[:, SPEED] == 0, DIRECTION] = ABSENT
    for view in VIEWS:
        chosen = np.flatnonzero(within & _allowed(runs, view, span, index, lead))
        yield from _days(view.number, span, models, chosen, slot, lead, values, runs.estimated)


def _allowed(
    runs: Runs, view: View, span: Span, index: NDArray[np.int64], lead: NDArray[np.int64]
) -> NDArray[np.bool_]:
    if isinstance(view, DecisionView):
        moments = span.moments(view.hour, view.days_before)
        decided = moments[np.clip(index, 0, len(moments) - 1)]
        return (runs.available_at <= decided) & (runs.valid_time >= decided) & (lead >= 0)
    return (lead >= view.first * 60) & (lead < (view.last + 1) * 60)


def _days(
    view: int,
    span: Span,
    models: NDArray[np.int64],
    chosen: NDArray[np.int64],
    slot: NDArray[np.int64],
    lead: NDArray[np.int64],
    values: NDArray[np.int32],
    estimated: NDArray[np.bool_],
) -> Iterator[Selected]:
    size = len(span.days) * len(models) * HOURS_A_DAY
    # Runs come oldest first, and of several values for one place the last one stays.
    row = np.full(size, -1, np.int64)
    row[slot[chosen]] = chosen
    by_day = row.reshape(len(span.days), len(models), HOURS_A_DAY)
    for day, of_models in zip(span.days, by_day, strict=True):
        for model, rows in zip(models.tolist(), of_models, strict=True):
            there = rows >= 0
            if not there.any():
                continue
            hourly = np.full((len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
            hourly[:, there] = values[rows[there]].T
            leads = np.full(HOURS_A_DAY, -1, np.int16)
            leads[there] = lead[rows[there]]
            yield Selected(view, model, day, hourly, leads, int(estimated[rows[there]].sum()))
