"""The corrected forecast on trial: computed on demand from the stored days, and not issued to anyone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

import numpy as np
from pydantic import Field

from backend.answers.announced import AnnouncedDay, AnnouncedModel, announced_day, view_of
from backend.answers.base import ApiModel
from backend.answers.learning_start import first_learned
from backend.answers.question import load, make_question
from backend.answers.service import ReadingParts
from backend.answers.shown_station import shown_station
from backend.answers.withholding import Withholding
from backend.core.clock import PARIS
from backend.core.local_time import HOURS_A_DAY, date_of, day_number, local_day
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.forecast.cells import Floats, from_cells, to_cells
from backend.forecast.experts import WIND
from backend.forecast.gate import TRIAL_DAYS, Stage, stage
from backend.forecast.interval import HIGH, LOW, LOWER_QUARTER, UPPER_QUARTER
from backend.forecast.learning import Day, ForecastHours, State, replay
from backend.forecast.verification import plainly_covered
from backend.scoring.grid import Hours, Integers, clock_hours, to_units
from backend.scoring.metrics.sums import number
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample
from backend.scoring.views import DecisionView

LEARNED_DAYS = 180
"""Past days that a forecast on trial is computed from: the longest memory falls by half in 30 days."""


class TrialState(StrEnum):
    """Why there is a forecast on trial, or none."""

    TRIAL = "trial"
    NO_STATION = "no_station"
    TOO_FEW_DAYS = "too_few_days"
    NO_MODEL = "no_model"


class TrialHour(ApiModel):
    """An hour of the local day, in km/h; null where there is none."""

    hour: int = Field(description="o'clock of the local day")
    value: float | None
    p10: float | None
    p25: float | None
    p75: float | None
    p90: float | None
    best_model: float | None = Field(description="what the best raw model so far announces")


class TrialForecast(ApiModel):
    """A forecast on trial of one parameter for one local day, and how it did on the days before.

    `within`: share of the hours whose reading was between p10 and p90 of the forecast for it, in a replay in
    which each day was forecast from the days before it only.
    """

    parameter: Parameter
    state: TrialState
    n_days: int = 0
    least_days: int = Field(TRIAL_DAYS, description="days from which there is a forecast on trial")
    best: str | None = Field(None, description="the model with the smallest error so far")
    hours: list[TrialHour] = Field(default_factory=list)
    mean_error_size: float | None = Field(None, description="average size of errors in the replay, in km/h")
    best_error_size: float | None = Field(None, description="of the best raw model of each day, same hours")
    within: float | None = None
    within_days: int = 0


class TrialDay(ApiModel):
    """The forecasts on trial of a site for a local day."""

    site: str
    site_name: str
    day: date
    view: str
    station: str | None
    wind_speed: TrialForecast
    wind_gust: TrialForecast


def trial_day(service: ReadingParts, site: Site, days_ahead: int, withheld: Withholding) -> TrialDay:
    """Return what the stored days give for a coming day; 0 is today.

    Only models and stations that are not withheld are used. Raises StoreUnavailableError.
    """
    now = service.clock()
    today = local_day(now)
    view = view_of(days_ahead, now)
    announced = announced_day(service, site, date_of(today + days_ahead), withheld)
    station = shown_station(site, now.astimezone(PARIS).date(), withheld)
    wind, gust = (
        _forecast(service, site, quantity, view, announced, station, today)
        for quantity in (Quantity.WIND_SPEED, Quantity.WIND_GUST)
    )
    return TrialDay(
        site=site.id,
        site_name=site.name,
        day=announced.day,
        view=view.name,
        station=station,
        wind_speed=wind,
        wind_gust=gust,
    )


def _forecast(
    service: ReadingParts,
    site: Site,
    quantity: Quantity,
    view: DecisionView,
    announced: AnnouncedDay,
    station: str | None,
    today: int,
) -> TrialForecast:
    nothing = TrialForecast(parameter=quantity.parameter, state=TrialState.NO_STATION)
    if station is None:
        return nothing
    coming = {
        model.model: values
        for model in announced.models
        # A gust of three hours is another quantity: the samples leave it out too.
        if quantity is not Quantity.WIND_GUST or model.gust_hours == 1
        if np.isfinite(values := _by_clock(model, quantity.parameter)).any()
    }
    if not coming:
        return nothing.model_copy(update={"state": TrialState.NO_MODEL})
    question = make_question(
        service,
        site,
        quantity,
        view,
        last=date_of(today - 1),
        hours=Hours.ALL,
        station=station,  # on every day: another mast has other errors, and so has another place
        usual=LEARNED_DAYS,
    )
    names = sorted(coming)
    sample = load(service, question)
    with service.database.read() as connection:
        first = first_learned(connection, site, station, sample.span.first)
    past = _past_days(sample, names, quantity.parameter, view)[first - sample.span.first :]
    clock = clock_hours(announced.day, 1)[0]
    of_target = np.stack([coming[name][np.clip(clock, 0, None)] for name in names])
    # The coming day has no readings, so the replay issues it and learns nothing from it.
    none_yet = np.full(HOURS_A_DAY, np.nan)
    target = _day(of_target, none_yet, clock, day_number(announced.day), view)
    *replayed, (issued, state) = replay([*past, target], State.fresh(1, len(names)), WIND)
    learned = int(state.days[0])
    if stage(learned) is Stage.NOTHING:
        return nothing.model_copy(update={"state": TrialState.TOO_FEW_DAYS, "n_days": learned})
    columns = {
        "value": from_cells(issued.value, clock)[0],
        "p10": from_cells(issued.quantiles[..., LOW], clock)[0],
        "p25": from_cells(issued.quantiles[..., LOWER_QUARTER], clock)[0],
        "p75": from_cells(issued.quantiles[..., UPPER_QUARTER], clock)[0],
        "p90": from_cells(issued.quantiles[..., HIGH], clock)[0],
        "best_model": from_cells(issued.best_value, clock)[0],
    }
    best = int(issued.best[0])
    return TrialForecast(
        parameter=quantity.parameter,
        state=TrialState.TRIAL,
        n_days=learned,
        best=None if best < 0 else names[best],
        hours=[
            TrialHour(hour=hour, **{name: number(values[index]) for name, values in columns.items()})
            for index, hour in enumerate(clock.tolist())
            if hour >= 0
        ],
        **_how_it_did(past, [forecast for forecast, _ in replayed]),
    )


def _past_days(sample: Sample, names: Sequence[str], parameter: Parameter, view: DecisionView) -> list[Day]:
    """Return the inputs of each day of a sample; a model without a stored day is absent on all."""
    observed = to_units(sample.observed[parameter])
    absent = np.full_like(observed, np.nan)
    models = np.stack(
        [
            to_units(sample.all_forecasts[name][parameter]) if name in sample.all_forecasts else absent
            for name in names
        ],
        axis=1,
    )
    return [
        _day(models[index], observed[index], sample.clock[index], sample.span.first + index, view)
        for index in range(len(observed))
    ]


def _how_it_did(days: Sequence[Day], forecasts: Sequence[ForecastHours]) -> dict[str, float | int | None]:
    """Return the fields about the replay: of the hours with a reading, an interval and a best model."""
    observed = np.concatenate([day.observed for day in days])
    value, best, quantiles = (
        np.concatenate([getattr(forecast, name) for forecast in forecasts])
        for name in ("value", "best_value", "quantiles")
    )
    inside = plainly_covered(quantiles, observed)
    counted = ~np.isnan(inside + best)
    if not counted.any():
        return {}
    return {
        "mean_error_size": float(np.abs(observed - value)[counted].mean()),
        "best_error_size": float(np.abs(observed - best)[counted].mean()),
        "within": float(inside[counted].mean()),
        "within_days": int(counted.any(axis=(1, 2)).sum()),
    }


def _by_clock(model: AnnouncedModel, parameter: Parameter) -> Floats:
    """Return what a model announces at each hour of the clock, 0 to 23; NaN where it has no value."""
    values = np.full(24, np.nan)
    for hour in model.hours:
        value = getattr(hour, parameter.value)
        if value is not None:
            values[hour.hour] = value.value
    return values


def _day(models: Floats, observed: Floats, clock: Integers, day: int, view: DecisionView) -> Day:
    """Return the inputs of a day. Its readings are known when the next day begins."""
    return Day(
        models=to_cells(models[None], clock),
        observed=to_cells(observed[None], clock),
        decided=day - view.days_before,
        known=day + 1,
    )
