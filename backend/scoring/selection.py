"""Which forecast speaks for an hour, in each view: the newest run among those that the view allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

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

    Times are seconds since 1970. `available_at` is when the first value of the hour was available,
    `estimated` where that is when we first saw it. `later` has a row for each value that was available later:
    index of the hour, index of the parameter, when.
    """

    valid_time: NDArray[np.int64]
    model: NDArray[np.int64]
    reference_time: NDArray[np.int64]
    available_at: NDArray[np.int64]
    estimated: NDArray[np.bool_]
    values: NDArray[np.int32]
    later: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What models said in a view, a row per day and model: values (n, 4, 25), lead times in minutes (n, 25).

    A lead time is -1 where nothing was said. `estimated` counts the hours that rest on an estimate.
    """

    model: NDArray[np.int64]
    day: NDArray[np.int64]
    hourly: NDArray[np.int32]
    leads: NDArray[np.int16]
    estimated: NDArray[np.int64]


def select(runs: Runs, span: Span) -> dict[int, Selected]:
    """Return, by the number of a view, the days of which a model said anything, by day and model.

    Only whole hours are looked at, so that half-hourly models have no more weight than others. A speed of 0
    has no direction. A value that was not available yet at the moment of a decision is absent in its view.
    """
    index, hour = span.locate(runs.valid_time)
    within = (runs.valid_time % HOUR == 0) & (index >= 0) & (index < len(span.days))
    models, model = np.unique(runs.model, return_inverse=True)
    shape = len(span.days), len(models), HOURS_A_DAY
    slot = (index * len(models) + model) * HOURS_A_DAY + hour
    lead = (runs.valid_time - runs.reference_time) // 60
    values = runs.values.copy()
    values[values[:, SPEED] == 0, DIRECTION] = ABSENT
    # What was not said is the row after the last one: -1, too.
    said = _Said(
        np.append(values, np.full((1, len(Parameter)), ABSENT, np.int32), axis=0),
        np.append(lead, -1).astype(np.int16),
        np.append(runs.estimated, False),
    )
    found = {}
    for view in VIEWS:
        chosen = np.flatnonzero(within & _allowed(runs, view, span, index, lead))
        row = np.full(shape, -1, np.int64)
        # Runs come oldest first, and of several values for one place the last one stays.
        row.reshape(-1)[slot[chosen]] = chosen
        found[view.number] = _days(row, span, models, _known(said, runs, view, span, index))
    return found


def _allowed(
    runs: Runs, view: View, span: Span, index: NDArray[np.int64], lead: NDArray[np.int64]
) -> NDArray[np.bool_]:
    if isinstance(view, DecisionView):
        decided = _decided(view, span, index)
        return (runs.available_at <= decided) & (runs.valid_time >= decided) & (lead >= 0)
    return (lead >= view.first * 60) & (lead < (view.last + 1) * 60)


def _decided(view: DecisionView, span: Span, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the moment of decision of each day, given by its index in the span."""
    moments = span.moments(view.hour, view.days_before)
    return moments[np.clip(index, 0, len(moments) - 1)]


class _Said(NamedTuple):
    values: NDArray[np.int32]
    lead: NDArray[np.int16]
    estimated: NDArray[np.bool_]


def _known(said: _Said, runs: Runs, view: View, span: Span, index: NDArray[np.int64]) -> _Said:
    """Return what was said without the values that were not available when a decision was made."""
    if not len(runs.later) or not isinstance(view, DecisionView):
        return said
    row, parameter, available_at = runs.later.T
    late = available_at > _decided(view, span, index[row])
    values = said.values.copy()
    values[row[late], parameter[late]] = ABSENT
    return said._replace(values=values)


def _days(row: NDArray[np.int64], span: Span, models: NDArray[np.int64], said: _Said) -> Selected:
    """Return the days that say anything, given the row in `said` of each day, model and hour."""
    day, model = np.nonzero((row >= 0).any(axis=2))
    rows = row[day, model]
    return Selected(
        model=models[model],
        day=span.first + day,
        hourly=said.values[rows].transpose(0, 2, 1),
        leads=said.lead[rows],
        estimated=said.estimated[rows].sum(axis=1),
    )
