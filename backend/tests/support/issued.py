"""Issued forecasts for tests: one local day of a site, parameter and view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from backend.core.issued import LEVELS, Audience, IssuedForecast, IssuedHours
from backend.core.local_time import HOUR, local_moment
from backend.core.parameters import Parameter
from backend.scoring.views import EVENING_BEFORE, DecisionView

SPREAD = dict(zip(LEVELS, (-4.0, -2.0, 0.0, 2.0, 4.0), strict=True))
"""How far each quantile lies from the value, unless a test states another spread."""


def an_issued_day(
    site: str,
    day: int,
    values: float | Sequence[float | None] | NDArray[np.float64],
    *,
    parameter: Parameter = Parameter.WIND_SPEED,
    view: DecisionView = EVENING_BEFORE,
    audience: Audience = "public",
    station: str | None = "ffvl:901",
    method: str = "1",
    delay: timedelta = timedelta(minutes=1),
    spread: float = 1.0,
    quantiles: bool = True,
    state: str = "shown",
) -> IssuedForecast:
    """Return the forecast of a local day (its number); values in the unit, one an hour or one for all.

    NaN and None are missing. `spread` multiplies SPREAD. Quantiles of a direction are turns from the value.
    """
    circular = parameter is Parameter.WIND_DIRECTION

    def quantile(value: float, offset: float) -> int:
        return round(1000 * offset) if circular else max(0, round(1000 * (value + offset)))

    times = tuple(range(local_moment(day), local_moment(day + 1), HOUR))
    of_hours = [values] * len(times) if isinstance(values, int | float) else list(values)[: len(times)]
    known = [None if each is None or np.isnan(each) else float(each) for each in of_hours]
    decided = datetime.fromtimestamp(local_moment(day - view.days_before, view.hour), UTC)
    return IssuedForecast(
        site=site,
        audience=audience,
        parameter=parameter,
        view=view.number,
        day=day,
        method=method,
        decision_time=decided,
        issued_at=decided + delay,
        hours=IssuedHours(
            times=times,
            values=tuple(None if each is None else round(1000 * each) for each in known),
            quantiles=tuple(
                tuple(None if each is None else quantile(each, spread * SPREAD[level]) for each in known)
                for level in LEVELS
            )
            if quantiles
            else (),
            station=station,
            days=40,
            state=state,
        ),
    )
