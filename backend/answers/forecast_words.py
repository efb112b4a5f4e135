"""English sentences about the corrected forecast, for the API and the command line."""

from __future__ import annotations

from collections.abc import Sequence

from backend.answers.forecast_shapes import (
    ForecastAnswer,
    ForecastHour,
    ParameterForecast,
    RecordEntry,
    is_learning,
)
from backend.answers.issued_history import DayChance
from backend.answers.trial_forecast import TrialState
from backend.core.issued import GateReason, GateState
from backend.core.parameters import Parameter
from backend.forecast.directions import LEAST_SPEED
from backend.forecast.gate import GATED_DAYS, TRIAL_DAYS, Reason

_WITH_FIGURES = {
    Reason.FEW_DAYS: "it has {figure:.0f} of {limit:.0f} days of proof so far; an issued day counts once"
    " {limit:.0f} days are learned",
    Reason.COVERAGE_OFF: "its intervals held for {share} of the readings in place of {aim}",
    Reason.COVERAGE_UNCERTAIN: "how often its intervals hold is known to {points:.0f} points only, and"
    " {limit_points:.0f} are needed",
    Reason.SITE_UNDER_COVERS: "its intervals held here for {share} of the readings only",
}
_PLAIN = {
    Reason.FEW_DAYS: "it has too few days of proof",
    Reason.MAE_NOT_BETTER: "its errors are not surely smaller than those of the best model",
    Reason.CRPS_NOT_BETTER: "its intervals are not surely better than those of the best model",
    Reason.COVERAGE_OFF: "its intervals do not hold as often as they must",
    Reason.COVERAGE_UNCERTAIN: "how often its intervals hold is not known well enough",
    Reason.PLACEBO_AS_GOOD: "the correction of another station does not do surely worse",
    Reason.SITE_NO_GAIN: "at this site it has not been better than the best model",
    Reason.SITE_UNDER_COVERS: "its intervals hold too rarely at this site",
}
_STATES = {
    GateState.SHOWN: "Shown: over past days it was better than the best model.",
    GateState.TRIAL: "On trial",
    GateState.CLOSED: "Not shown, the best model is shown instead",
    GateState.VETO: "Not shown at this site, the best model is shown instead",
}


def reason_words(reason: GateReason, learned: int) -> str:
    """Return a reason of the gate with its figures; a code of a later version stands by itself.

    `learned` are the days that the forecast was learned from.
    """
    if reason.code not in _PLAIN:
        return reason.code.replace("_", " ")
    if is_learning(reason, learned):
        return (
            f"it has learned from {learned} of {GATED_DAYS} days, and then {GATED_DAYS} issued days must show"
            " that it is better"
        )
    code = Reason(reason.code)
    if code in _WITH_FIGURES and reason.figure is not None and reason.limit is not None:
        return _WITH_FIGURES[code].format(
            figure=reason.figure,
            limit=reason.limit,
            share=share_words(reason.figure),
            aim=share_words(reason.limit),
            points=100 * reason.figure,
            limit_points=100 * reason.limit,
        )
    return _PLAIN[code]


def gate_words(state: GateState, reasons: Sequence[GateReason], days: int, learned: int) -> str:
    """Return the state of the gate with its reasons.

    `days` are the issued days with readings, `learned` those that the forecast was learned from.
    """
    if state is GateState.SHOWN:
        return _STATES[state]
    found = [reason_words(reason, learned) for reason in reasons]
    if state is GateState.TRIAL and not any(reason.code == Reason.FEW_DAYS for reason in reasons):
        found = [f"day {days} of {GATED_DAYS}" if days < GATED_DAYS else f"{days} issued days", *found]
    return f"{_STATES[state]}: {'; '.join(found)}." if found else f"{_STATES[state]}."


def trial_words(state: TrialState, days: int) -> str:
    """Return why there is no issued forecast, and whether there is one on trial."""
    return {
        TrialState.TRIAL: "On trial: computed now from the stored days, and not issued to anyone.",
        TrialState.NO_STATION: "The site has no public station, so nothing can be learned: raw models only.",
        TrialState.NO_MODEL: "No public model has values for this day.",
        TrialState.TOO_FEW_DAYS: f"{days} days with readings so far, and {TRIAL_DAYS} are needed: raw"
        " models only.",
    }[state]


def share_words(share: float) -> str:
    """Return a share in whole percent: neither 0 % nor 100 % unless it is exactly that."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def parameter_words(of: ParameterForecast) -> str:
    """Return the state of a parameter, and how its intervals held or would have held."""
    text = of.reason
    if of.parameter is Parameter.WIND_DIRECTION:
        text += f" There is none with less than {LEAST_SPEED:g} km/h, and where models contradict each other."
    if of.held is not None:
        text += f" Such intervals held here for {share_words(of.held.share)} of {of.held.n_hours} hours on"
        text += f" {of.held.n_days} days"
        if of.held.low is not None and of.held.high is not None:
            text += f" ({share_words(max(of.held.low, 0))} to {share_words(min(of.held.high, 1))}, by days)"
        text += "."
    if of.replayed is not None:
        text += (
            f" Replayed, it was off by {of.replayed.mean_error_size:.1f} on average and the best model so far"
            f" by {of.replayed.best_error_size:.1f}; {share_words(of.replayed.within)} of the hours of"
            f" {of.replayed.n_days} days were within the interval."
        )
    return text


def record_words(record: RecordEntry) -> str:
    """Return where the forecast stands in the record of its site."""
    late = ", late: it is not scored" if record.late else ""
    return (
        f"Number {record.number} of the record, issued {record.issued_at:%Y-%m-%d %H:%M} UTC{late}, method"
        f" {record.method}, hash {record.hash[:16]}."
    )


def day_words(answer: ForecastAnswer) -> str:
    """Return a day in one line: its strongest flying hour, and the chance of the day."""
    hour = answer.strongest
    if hour is None:
        return f"{answer.day}: {answer.wind_speed.reason}"
    text = f"{answer.day}: at {hour.hour:02d}:00 {_with_interval(hour)} km/h"
    gust = answer.gust_at(hour)
    if gust is not None:
        text += f", gusts {_with_interval(gust)}"
    if not answer.wind_speed.state.has_values:
        return f"{text}, by {answer.wind_speed.best_name}"
    return text if answer.day_chance is None else f"{text}; {chance_words(answer, answer.day_chance)}"


def chance_words(answer: ForecastAnswer, of: DayChance) -> str:
    """Return the chance of more than a limit in any flying hour; below 30 days as a count of days."""
    limits = f"more than {answer.limit:g}"
    if Parameter.WIND_GUST in of.parameters:
        limits += f" or gusts above {answer.gust_limit:g}"
    share = f"{of.days_above} of {of.n_days} days" if of.chance is None else share_words(of.chance)
    return f"{limits} at any hour from {of.first_hour} to {of.last_hour}: {share}"


def _with_interval(hour: ForecastHour) -> str:
    if hour.p10 is None or hour.p90 is None:
        return f"{hour.shown:.0f}"
    return f"{hour.shown:.0f} ({hour.p10:.0f} to {hour.p90:.0f})"


NOT_ISSUED = "No corrected forecast was issued for this day in this view."
NONE_YET = f"Nothing is shown before {TRIAL_DAYS} issued days with readings: raw models only."
