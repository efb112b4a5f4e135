"""Issued forecasts as forecast days: the service's own forecast is scored beside the models, as issued."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from backend.core.columns import DIRECTION, NO_LEAD, SPEED, ForecastDays
from backend.core.issued import IssuedForecast
from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.grid import Span


def issued_days(forecasts: Iterable[IssuedForecast], span: Span, owner: int) -> dict[int, ForecastDays]:
    """Return the forecast days of issued forecasts for the span, by the number of their view.

    `owner` is the id of the model that they stand for. As in `select_runs`, an hour before the decision has
    no value and a speed of 0 has no direction. Leads count from the decision time.
    """
    by_view: dict[int, dict[int, list[IssuedForecast]]] = defaultdict(lambda: defaultdict(list))
    for forecast in forecasts:
        by_view[forecast.view][forecast.day].append(forecast)
    found = {}
    for view, by_day in by_view.items():
        days = np.array(sorted(by_day), np.int64)
        hourly = np.full((len(days), len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
        leads = np.full((len(days), HOURS_A_DAY), NO_LEAD, np.int16)
        for row, day in enumerate(days.tolist()):
            for forecast in by_day[day]:
                decided = int(forecast.decision_time.timestamp())
                hours = [
                    (time, value)
                    for time, value in zip(forecast.hours.times, forecast.hours.values, strict=True)
                    if value is not None and time >= decided
                ]
                if not hours:
                    continue
                times, values = np.array(hours, np.int64).T
                index, hour = span.locate(times)
                within = index == day - span.first
                hourly[row, forecast.parameter.number, hour[within]] = values[within]
                leads[row, hour[within]] = (times[within] - decided) // 60
        hourly[:, DIRECTION][hourly[:, SPEED] == 0] = ABSENT
        there = (hourly != ABSENT).any(axis=(1, 2))
        found[view] = ForecastDays(
            owner=np.full(int(there.sum()), owner),
            day=days[there],
            hourly=hourly[there],
            minutes=leads[there],
            estimated=np.zeros(int(there.sum()), np.int64),
            older=np.zeros(hourly[there].shape, np.int16),
        )
    return found


def joined(one: ForecastDays, other: ForecastDays) -> ForecastDays:
    """Return the days of both, which have different owners."""
    return ForecastDays(
        **{
            each.name: np.concatenate([getattr(one, each.name), getattr(other, each.name)])
            for each in fields(ForecastDays)
        }
    )
