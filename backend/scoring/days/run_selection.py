"""Which forecast counts for an hour, in each view: of each parameter, that of the newest run that has it.

Only runs that the view allows are looked at. A run without a parameter (a package without gusts, a value that
was not available yet) does not hide the one of an older run: that is the newest that a pilot could read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import DIRECTION, NO_LEAD, SPEED, ForecastDays, ForecastRows
from backend.core.local_time import HOUR, HOURS_A_DAY
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.grid import Span
from backend.scoring.views import VIEWS, DecisionView, View


def select_runs(runs: ForecastRows, span: Span, views: Sequence[View] = VIEWS) -> dict[int, ForecastDays]:
    """Return, by the number of a view, the forecast days: one row for each day and model with any value.

    Only whole hours are looked at, so that half-hourly models have no more weight than others. A speed of 0
    has no direction, and none of an older run either. A value that was not available yet at the moment of a
    decision is absent in its view.
    """
    index, hour = span.locate(runs.valid_time)
    within = (runs.valid_time % HOUR == 0) & (index >= 0) & (index < len(span.days))
    models, model = np.unique(runs.model, return_inverse=True)
    shape = len(span.days), len(models), HOURS_A_DAY
    slot = (index * len(models) + model) * HOURS_A_DAY + hour
    lead = (runs.valid_time - runs.reference_time) // 60
    values = runs.values.copy()
    values[values[:, SPEED] == 0, DIRECTION] = ABSENT
    # An hour without a forecast has row -1: that is also the index of the row appended here.
    forecasts = ForecastAtHour(
        np.append(values, np.full((1, len(Parameter)), ABSENT, np.int32), axis=0),
        np.append(lead, NO_LEAD).astype(np.int16),
        np.append(runs.estimated, False),
    )
    found = {}
    for view in views:
        known = forecasts
        if isinstance(view, DecisionView):
            moments = span.moments(view.hour, view.days_before)
            decided = moments[np.clip(index, 0, len(moments) - 1)]
            allowed = (runs.available_at <= decided) & (runs.valid_time >= decided) & (lead >= 0)
            if len(runs.later):  # a run may be there before some of its values are
                row, parameter, available_at = runs.later.T
                late = available_at > decided[row]
                in_time = forecasts.values.copy()
                in_time[row[late], parameter[late]] = ABSENT
                known = forecasts._replace(values=in_time)
        else:
            allowed = (lead >= view.first * 60) & (lead < (view.last + 1) * 60)
        chosen = np.flatnonzero(within & allowed)

        def newest(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            """Return the last of these rows at each place: runs come oldest first."""
            row = np.full(shape, -1, np.int64)
            row.reshape(-1)[slot[rows]] = rows
            return row

        newest_rows = newest(chosen)
        has = known.values[chosen] != ABSENT
        has[:, DIRECTION] |= known.values[chosen, SPEED] == 0
        of_parameters = [newest_rows if mine.all() else newest(chosen[mine]) for mine in has.T]
        found[view.number] = _days(newest_rows, of_parameters, span, models, known)
    return found


class ForecastAtHour(NamedTuple):
    """The forecast of each hour: values, and leads in minutes."""

    values: NDArray[np.int32]
    lead: NDArray[np.int16]
    estimated: NDArray[np.bool_]


def _days(
    row: NDArray[np.int64],
    of_parameters: Sequence[NDArray[np.int64]],
    span: Span,
    models: NDArray[np.int64],
    forecasts: ForecastAtHour,
) -> ForecastDays:
    """Return the days that hold any value, given the rows in `forecasts` of each day, model and hour.

    `row` is of the newest run, `of_parameters` of the newest run that has each parameter.
    """
    day, model = np.nonzero((row >= 0).any(axis=2))
    rows = row[day, model]
    each = np.stack([of_parameter[day, model] for of_parameter in of_parameters], axis=1)
    there = forecasts.values[each, np.arange(len(Parameter))[:, None]] != ABSENT
    return ForecastDays(
        owner=models[model],
        day=span.first + day,
        hourly=forecasts.values[each, np.arange(len(Parameter))[:, None]],
        minutes=forecasts.lead[rows],
        estimated=(forecasts.estimated[rows] | forecasts.estimated[each].any(axis=1)).sum(axis=1),
        older=np.where(there, forecasts.lead[each] - forecasts.lead[rows][:, None], 0).astype(np.int16),
    )
