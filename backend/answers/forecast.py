"""The corrected forecast of a site for a local day, as it was issued; without an issued one, on trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from backend.answers.announced import AnnouncedModel, announced_day, view_of
from backend.answers.attribution import forecast_attribution, network_attribution
from backend.answers.beacon_place import beacon_place
from backend.answers.forecast_shapes import (
    ForecastAnswer,
    ForecastHour,
    ForecastState,
    GateFinding,
    Held,
    InputRun,
    ParameterForecast,
    RecordEntry,
    Replayed,
)
from backend.answers.forecast_words import NONE_YET, NOT_ISSUED, gate_words, reason_words, trial_words
from backend.answers.issued_history import (
    WINDS,
    IssuedHistory,
    cells_of,
    columns_of,
    day_chance,
    in_units,
    newest_issued,
)
from backend.answers.kept_histories import PastDays, present_histories
from backend.answers.learning_start import learning_restart
from backend.answers.service import ReadingParts
from backend.answers.shown_station import shown_station
from backend.answers.trial_forecast import TrialForecast, TrialState, trial_day
from backend.answers.withholding import Withholding
from backend.core.clock import PARIS
from backend.core.issued import LEVELS, Audience, GateState, IssuedForecast
from backend.core.local_time import date_of, day_number, local_day, local_moment
from backend.core.parameters import Parameter
from backend.core.records import Site, Station, network_of
from backend.forecast.cells import Floats, from_cells
from backend.forecast.directions import LEAST_SPEED
from backend.forecast.gate import GATED_DAYS, TRIAL_DAYS
from backend.scoring.grid import SCALE, clock_hours
from backend.scoring.metrics.sums import number
from backend.scoring.names import model_name
from backend.scoring.views import DECISION_VIEWS, DecisionView
from backend.storage.announced import described_stations
from backend.storage.database import from_epoch
from backend.storage.issued import record_length


def forecast_answer(
    service: ReadingParts,
    site: Site,
    day: date,
    withheld: Withholding,
    *,
    view: DecisionView | None = None,
    limit: float,
    gust_limit: float,
    on_demand: bool = True,
) -> ForecastAnswer:
    """Return the newest issued forecast of a day, of one view or of all; limits in km/h.

    Without one the forecast on trial is computed, which takes up to a second, unless `on_demand` is False.
    The public gets rows of the audience "public" only. Raises StoreUnavailableError.
    """
    now = service.clock()
    ahead = day_number(day) - local_day(now)
    rows = newest_issued(service, [site], day, withheld, view)[site.id]
    limits = {Parameter.WIND_SPEED: limit, Parameter.WIND_GUST: gust_limit}
    chance_of_the_day = None
    if rows:
        first = next(iter(rows.values()))
        shown_view = next(each for each in DECISION_VIEWS if each.number == first.view)
        station = first.hours.station
        past = PastDays.of(site, first)
        history = present_histories(service.database, [past] if past else [], withheld).get(site.id)
        found = {parameter: _of_row(row, history, limits) for parameter, row in rows.items()}
        chance_of_the_day = day_chance(
            rows, {} if history is None else {each: history.errors(each) for each in WINDS}, limits
        )
        # A card always has wind and gust: the reason stands where a value is missing.
        for parameter in WINDS:
            found.setdefault(parameter, _without_values(parameter, ForecastState.NO_MODEL))
        if Parameter.WIND_DIRECTION in found:
            found[Parameter.WIND_DIRECTION] = _in_wind(
                found[Parameter.WIND_DIRECTION], found[Parameter.WIND_SPEED]
            )
    else:
        reachable = 0 <= ahead < 3 and view in (None, view_of(ahead, now))
        shown_view = view or (view_of(ahead, now) if reachable else DECISION_VIEWS[2])
        station = shown_station(site, day, withheld)
        if reachable and on_demand:
            trial = trial_day(service, site, ahead, withheld)
            announced = announced_day(service, site, day, withheld).models
            found = {
                of.parameter: _of_trial(of, day, announced) for of in (trial.wind_speed, trial.wind_gust)
            }
        else:
            found = {parameter: _without_values(parameter, ForecastState.NOT_ISSUED) for parameter in WINDS}
    reference = site.reference_on(day)
    audience: Audience = "public" if withheld.public else "operator"
    described = described_stations(service.database, [] if station is None else [station])
    models = {each.best for each in found.values() if each.best}
    # Licences ask for the name of each model that went into a value, also of those without a line of their
    # own.
    models |= {run.model for each in found.values() if each.record for run in each.record.inputs}
    return ForecastAnswer(
        site=site.id,
        site_name=site.name,
        day=day,
        view=shown_view.name,
        limit=limit,
        gust_limit=gust_limit,
        station=None
        if station is None
        else beacon_place(site, described.get(station, Station(station)), reference),
        station_withheld=reference
        if reference is not None and network_of(reference) in withheld.networks
        else None,
        learning_restarted=None
        if station is None
        else learning_restart(service, site, station, shown_view, audience),
        **{parameter.value: each for parameter, each in found.items()},
        day_chance=chance_of_the_day,
        generated_at=now,
        attribution=[
            *forecast_attribution(service, models),
            *network_attribution(service, set() if station is None else {network_of(station)}),
        ],
    )


def record_version(service: ReadingParts, site: Site) -> int:
    """Return a number that changes with each row of a site's record, as a part of cached answers."""
    with service.database.read() as connection:
        return record_length(connection, site.id)


def _of_row(
    row: IssuedForecast, history: IssuedHistory | None, limits: Mapping[Parameter, float]
) -> ParameterForecast:
    """Return an issued forecast; without its values where the gate does not show them."""
    issued = row.hours
    is_decided = issued.state in {each.value for each in GateState}
    state = ForecastState(issued.state) if is_decided else ForecastState.TOO_FEW_DAYS
    days = 0 if history is None else history.days(row.parameter)
    shares, hours = (None, 0) if history is None else history.held(row.parameter)
    return ParameterForecast(
        parameter=row.parameter,
        state=state,
        reason=gate_words(GateState(issued.state), issued.reasons, days, issued.days)
        if is_decided
        else NONE_YET,
        reasons=[
            GateFinding(
                code=each.code, figure=each.figure, limit=each.limit, text=reason_words(each, issued.days)
            )
            for each in (issued.reasons if is_decided else ())
        ],
        n_days=days,
        learned_days=issued.days,
        least_days=TRIAL_DAYS if state is ForecastState.TOO_FEW_DAYS else GATED_DAYS,
        best=issued.best or None,
        best_name=model_name(issued.best) if issued.best else None,
        hours=_hours_of_row(row, state, history, limits.get(row.parameter)),
        weights={
            name: [None if weight is None else weight / SCALE for weight in of_hours]
            for name, of_hours in (issued.weights if state.has_values else {}).items()
        },
        held=None
        if shares is None or not shares.days
        else Held(
            share=shares.mean,
            low=number(shares.low),
            high=number(shares.high),
            n_days=shares.days,
            n_hours=hours,
        ),
        record=RecordEntry(
            number=row.number,
            hash=row.hash.hex(),
            method=row.method,
            audience=row.audience,
            decision_time=row.decision_time,
            issued_at=row.issued_at,
            late=row.is_late,
            inputs=[
                InputRun(model=run.model, reference_time=from_epoch(run.reference_time))
                for run in issued.inputs
            ],
        ),
    )


def _hours_of_row(
    row: IssuedForecast, state: ForecastState, history: IssuedHistory | None, limit: float | None
) -> list[ForecastHour]:
    issued, count = row.hours, len(row.hours.times)
    nothing = np.full(count, np.nan)
    best = in_units(issued.best_values) if issued.best_values else nothing
    quantiles, chances, days = [nothing] * len(LEVELS), nothing, nothing
    value = nothing
    if state.has_values:
        value = in_units(issued.values)
        if issued.quantiles:
            quantiles = [in_units(of_level) for of_level in issued.quantiles]
        if history is not None and limit is not None:
            cells = history.chance_of_hour(row.parameter, cells_of(row), limit)
            clock = clock_hours(date_of(row.day), 1)[0]
            columns = columns_of(issued.times, row.day)
            chances, days = (from_cells(of, clock)[columns] for of in cells)
    hours = []
    columns_of_hours = (issued.times, *map(_listed, (value, best, chances, days, *quantiles)))
    for time, shown, of_best, chance, past_days, *levels in zip(*columns_of_hours, strict=True):
        known = None if past_days is None or chance is None else round(past_days)
        moment = from_epoch(time)
        hours.append(
            ForecastHour(
                hour=moment.astimezone(PARIS).hour,
                valid_time=moment,
                value=shown,
                **{f"p{level}": of_level for level, of_level in zip(LEVELS, levels, strict=True)},
                best_model=of_best,
                chance=chance if known is not None and known >= GATED_DAYS else None,
                days_above=None if known is None else round(chance * (known + 2) - 1),
                chance_days=known,
            )
        )
    return hours


def _in_wind(direction: ParameterForecast, speed: ParameterForecast) -> ParameterForecast:
    """Return the directions of the hours with wind: of less, nothing was learned."""
    strong = {hour.valid_time for hour in speed.hours if hour.shown is not None and hour.shown >= LEAST_SPEED}
    hours = [
        hour
        if hour.valid_time in strong
        else ForecastHour(hour=hour.hour, valid_time=hour.valid_time, value=None)
        for hour in direction.hours
    ]
    return direction.model_copy(update={"hours": hours})


def _of_trial(of: TrialForecast, day: date, announced: Sequence[AnnouncedModel]) -> ParameterForecast:
    """Return a forecast on trial; with too few days, or without a station, a raw model."""
    replayed = None
    if of.mean_error_size is not None and of.best_error_size is not None and of.within is not None:
        replayed = Replayed(
            mean_error_size=of.mean_error_size,
            best_error_size=of.best_error_size,
            within=of.within,
            n_days=of.within_days,
        )
    state, best = ForecastState(of.state), of.best
    times = {hour: from_epoch(local_moment(day_number(day), hour)) for hour in range(24)}
    hours = [
        ForecastHour(
            hour=hour.hour,
            valid_time=times[hour.hour],
            value=hour.value,
            p50=None if hour.p10 is None else hour.value,
            **{name: getattr(hour, name) for name in ("p10", "p25", "p75", "p90", "best_model")},
        )
        for hour in of.hours
    ]
    if not state.has_values:
        raw = next(
            (
                model
                for model in announced
                # A gust of three hours is another quantity.
                if (of.parameter is not Parameter.WIND_GUST or model.gust_hours == 1)
                and any(getattr(hour, of.parameter.value) is not None for hour in model.hours)
            ),
            None,
        )
        if raw is None:
            return _without_values(of.parameter, ForecastState.NO_MODEL)
        best = raw.model
        hours = [
            ForecastHour(hour=each.hour, valid_time=each.valid_time, value=None, best_model=value.value)
            for each in raw.hours
            if (value := getattr(each, of.parameter.value)) is not None
        ]
    return ParameterForecast(
        parameter=of.parameter,
        state=state,
        reason=trial_words(of.state, of.n_days),
        n_days=of.n_days,
        least_days=TRIAL_DAYS if state is ForecastState.TOO_FEW_DAYS else GATED_DAYS,
        best=best,
        best_name=None if best is None else model_name(best),
        hours=hours,
        replayed=replayed,
    )


def _without_values(parameter: Parameter, state: ForecastState) -> ParameterForecast:
    words = NOT_ISSUED if state is ForecastState.NOT_ISSUED else trial_words(TrialState.NO_MODEL, 0)
    return ParameterForecast(parameter=parameter, state=state, reason=words)


def _listed(values: Floats) -> list[float | None]:
    """Return an array as a list, None where a value is missing: NumPy's own numbers are slow one by one."""
    return [None if value != value else value for value in values.tolist()]
