"""Scores in words: the English sentences of the API and the command line. Pages have their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from backend.core.parameters import Parameter
from backend.scoring.constants import (
    COMPLETE_MONTH,
    CONFIDENCE,
    ESTABLISHED_DAYS,
    ESTABLISHED_SEASONS,
    FIRST_LOOK_DAYS,
    LEAST_EVENTS,
    LIGHT_WIND,
    PRELIMINARY_DAYS,
    PUBLIC_DECIMALS,
    PUBLIC_PAIRS,
    PUBLIC_SHARE_DECIMALS,
    SEASON_DAYS,
    STRATUM_DAYS,
)
from backend.scoring.grid import Hours, Season
from backend.scoring.inference.comparison import Outcome, PooledSkill
from backend.scoring.intervals import Interval
from backend.scoring.metrics.contingency import Rate
from backend.scoring.names import listed, model_name
from backend.scoring.questions.headline import Beacon, Headline, HourlyMeanCheck, SecondOpinion
from backend.scoring.questions.scorecard import Finding, PairOfModels, Verdict
from backend.scoring.reasons import EXCLUDED, FROZEN_TEMPERATURE, STOPPED, STUCK_VANE, ZERO_DIRECTION
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample_size import SampleLabel
from backend.scoring.views import DecisionView, View

QUANTITY_NAMES = {
    Quantity.WIND_SPEED: "mean wind",
    Quantity.WIND_GUST: "gust",
    Quantity.WIND_DIRECTION: "wind direction",
    Quantity.TEMPERATURE: "temperature at the station's height",
    Quantity.TEMPERATURE_RAW: "temperature as forecast",
    Quantity.WIND: "wind as a vector",
}

_GOOD = {
    "not_flyable_hour": "a flyable hour",
    "not_flyable_day": "a flyable day",
    "wind_over": "a mean wind within the limit",
    "gust_over": "a gust within the limit",
    "off_slope": "a wind on the slope",
}
"""The forecast of a model that does not announce one of the events."""

_UNITS = {"degrees": "°", "°C": " °C", "km/h": " km/h"}
_DAYS_BEFORE = {0: "on the day itself", 1: "the evening before", 2: "two evenings before"}

SIGN = (
    "An error is forecast minus observation: positive means the forecast was too high, or too far clockwise."
)
LABEL_MEANINGS = {
    SampleLabel.COLLECTING: f"fewer than {FIRST_LOOK_DAYS.value} common days: no score is shown",
    SampleLabel.FIRST_LOOK: f"{FIRST_LOOK_DAYS.value} to {PRELIMINARY_DAYS.value - 1} common days:"
    " scores with their intervals, no ranking",
    SampleLabel.PRELIMINARY: f"from {PRELIMINARY_DAYS.value} common days on: ranked only where"
    " the test agrees",
    SampleLabel.ESTABLISHED_SEASON: f"from {SEASON_DAYS.value} common days on, most of them in one season: a"
    " ranking for that season",
    SampleLabel.ESTABLISHED: f"from {ESTABLISHED_DAYS.value} common days in at least"
    f" {ESTABLISHED_SEASONS.value} seasons: a verdict for the whole year",
}

CONFIDENCE_WORDS = (
    f"{100 * CONFIDENCE.value:.0f} % interval by whole days, fewer where they resemble each other"
)
LIGHT_WIND_WORDS = f"hours with less than {LIGHT_WIND.value:g} km/h observed are left out of directions"

SAFETY = "Statistics about past forecasts at one beacon, not a flight decision."
RELATIVE = (
    "Errors are relative to this beacon: where it stands shifts the bias of all models alike, so differences "
    "between models remain meaningful where a single bias may not be."
)


FLAG_TEXTS = {
    ZERO_DIRECTION: "all but always exactly 0 beside wind, as sources write a vane that is missing",
    STOPPED: "at 0 day and night, gusts included, for longer than the station ever was",
    STUCK_VANE: "one direction while the wind varies",
    FROZEN_TEMPERATURE: "one temperature for days",
    EXCLUDED: "excluded by the operator",
    "drift": "its level against the models' has changed from what it was",
}
"""What a flag of a station is about; each begins after the name of the parameter."""

PARAMETER_NAMES = {
    Parameter.WIND_SPEED: "mean wind",
    Parameter.WIND_GUST: "gust",
    Parameter.WIND_DIRECTION: "wind direction",
    Parameter.TEMPERATURE: "temperature",
}


def flag_sentence(
    station: str,
    parameter: Parameter,
    reason: str,
    first: date,
    last: date | None,
    *,
    excludes: bool = True,
    note: str = "",
) -> str:
    """Return the sentence of a flag of a station, with the local days of its first and its last value."""
    days = f"from {first} on" if last is None else f"{first} to {last}"
    fate = "left out of the scores" if excludes else "scored all the same: is its sensor in order?"
    reason = f"{FLAG_TEXTS.get(reason, reason)}{f' ({note})' if note else ''}"
    return f"{station}, {PARAMETER_NAMES[parameter]}, {days}: {reason}; {fate}"


def left_out_sentence(station: str, parameter: Parameter, reason: str, count: int) -> str:
    """Return how many values of a station's sensor enter no score of this time, and why."""
    return (
        f"{station}: {count} values of the {PARAMETER_NAMES[parameter]} are stored and left out:"
        f" {FLAG_TEXTS[reason]}."
    )


def view_name(view: View) -> str:
    """Return a view in words: "the evening before"."""
    if isinstance(view, DecisionView):
        words = _DAYS_BEFORE[view.days_before]
        return words if view.days_before else f"at {view.hour:02d}:00 {words}"
    if view.first >= 48:
        return f"{view.first} hours ahead or more"
    return f"{view.first} to {view.last} hours ahead"


def amount(value: float, quantity: Quantity, *, unit: bool = True) -> str:
    """Return a value as it is shown: whole degrees, or one decimal, with its unit."""
    text = f"{value:.0f}" if quantity is Quantity.WIND_DIRECTION else f"{value:.1f}"
    # -0.04 is shown as 0.0, without a sign.
    if float(text) == 0:
        text = text.removeprefix("-")
    return text + (_UNITS[quantity.unit] if unit else "")


def label_name(label: SampleLabel, season: Season | None = None) -> str:
    """Return a label in words: "established for winter"."""
    words = {
        SampleLabel.COLLECTING: "collecting",
        SampleLabel.FIRST_LOOK: "first look",
        SampleLabel.PRELIMINARY: "preliminary",
        SampleLabel.ESTABLISHED: "established",
    }
    return words.get(label) or f"established for {'one season' if season is None else season.value}"


def verdict_sentences(found: Headline, view: View) -> tuple[str, ...]:
    """Return a verdict in one to three short sentences; the first can stand alone.

    The first names the model with the smallest error and its size, or states that two models are too close
    to call, that there are not enough data yet, or that models are not ranked. After a winner, or a pair
    too close to call, come how often each was within the tolerance and a bad surprise, the mean of the
    models where it errs less, and where the beacon stands. What the days do not support is left out.
    """
    verdict = found.verdict
    duel, quantity = verdict.duel, verdict.quantity
    when, what = view_name(view), f"{QUANTITY_NAMES[quantity]} in {verdict.hours.text}"
    if duel is None or verdict.finding is Finding.NOT_ENOUGH:
        return (f"Not enough data yet, {when}, {what}: {_what_is_missing(verdict)}.",)
    if duel.score_a is None or duel.score_b is None:
        raise ValueError("a duel with a finding has scores")
    days = f"{_count(duel.n_days, 'common days')} ({label_name(duel.size.label, duel.size.season)})"
    if verdict.finding is Finding.NOT_RANKED:
        each = ", ".join(
            f"{model_name(model.model)} {amount(model.score.mae, quantity)}"
            for model in verdict.models
            if model.model in verdict.compared and model.score.mae is not None
        )
        return (
            f"Not ranked, {when}, {what}, each at the height of its own ground: average errors {each};"
            f" {days}.",
        )
    a, b = model_name(duel.a), model_name(duel.b)
    # "flying hours, 10 to 18," needs a comma at its end before the sentence goes on.
    what = what if verdict.hours is Hours.ALL else f"{what},"
    error_a = f"{amount(duel.score_a, quantity)} on average"
    error_b = amount(duel.score_b, quantity, unit=False)
    if verdict.finding is Finding.WINNER:
        first = f"{a} errs least {when}: its {what} is wrong by {error_a}, that of {b} by {error_b}; {days}."
    else:
        first = (
            f"Too close to call {when}: the {what} of {a} is wrong by {error_a}, of {b} by {error_b}; {days}."
        )
    more = [words for each in found.beacons if (words := beacon_words(each)) is not None]
    if found.model_mean is not None and found.model_mean.score.mae is not None:
        error = amount(found.model_mean.score.mae, quantity)
        more.insert(0, f"the mean of the models errs less: it is wrong by {error} on average")
    texts = "; ".join(_reliability(found, duel)), "; ".join(more)
    return (first, *(f"{text[0].upper()}{text[1:]}." for text in texts if text))


def _reliability(found: Headline, duel: PairOfModels) -> Iterator[str]:
    """Yield how often the two models of a duel were within the tolerance, and a bad surprise."""
    scores = {each.model: each.score for each in found.verdict.models}
    tolerance, of_a, of_b = scores[duel.a].within_tolerance, scores[duel.a].within, scores[duel.b].within
    if tolerance is not None and of_a is not None and of_b is not None:
        yield (
            f"within {tolerance:g}{_UNITS[found.verdict.quantity.unit]}: {model_name(duel.a)} in"
            f" {100 * of_a:.0f} % of the hours, {model_name(duel.b)} in {100 * of_b:.0f} %"
        )
    rates = {name: found.surprises[name] for name in (duel.a, duel.b) if name in found.surprises}
    # A model that never forecasts a strong wind has no rate, and all the surprises.
    if any(rate.value is not None or rate.count >= LEAST_EVENTS.value for rate in rates.values()):
        shares = {
            name: f"{rate.count} of {_count(rate.of, 'hours')}"
            if rate.value is None
            else f"{100 * rate.value:.0f} %"
            for name, rate in rates.items()
        }
        each = ", ".join(f"{model_name(name)} in {share}" for name, share in shares.items())
        yield f"bad surprises (over {found.limit:g} km/h where no more was forecast): {each}"


def beacon_words(found: Beacon) -> str | None:
    """Return where a beacon stands: "the beacon Planfait stands 4.7 km from the take-off, 320 m higher"."""
    if found.distance is None:
        return None
    height = ""
    if found.height is not None:
        metres = round(abs(found.height))
        height = f", {metres} m {'higher' if found.height > 0 else 'lower'}" if metres else ", at its height"
    far = f"{found.distance:.1f} km from" if found.distance >= 0.05 else "at"  # nearer, it would be 0.0 km
    return f"the beacon {found.name or found.station} stands {far} the take-off{height}"


def _what_is_missing(verdict: Verdict) -> str:
    if not verdict.compared:
        return verdict.common_sample
    if verdict.duel is None:
        if sum(bool(each.n_pairs) for each in verdict.models if not each.reference) > 1:
            return "no two models have an hour in common"
        only = model_name(verdict.compared[0])
        return f"only {only} has hours in common with the station, and there is nothing to compare it with"
    needed = PRELIMINARY_DAYS.value
    return f"{_count(verdict.n_days, 'common days')} of the {needed} that a verdict needs"


def bias_sentence(
    model: str,
    quantity: Quantity,
    bias: float | None,
    interval: Interval | None,
    hours: Hours,
    *,
    shown: bool,
) -> str:
    """Return how a model is wrong in one sentence; without an interval that excludes 0 there is no bias.

    `shown`: there are enough days for a value.
    """
    name, what, within = model_name(model), QUANTITY_NAMES[quantity], f"in {hours.text}"
    if bias is None or interval is None:
        if quantity is Quantity.WIND_DIRECTION and bias is None and shown:
            return f"{name}, {what} {within}: no steady direction error."
        return f"{name}, {what} {within}: not enough data for a bias."
    if not _is_steady(quantity, bias, interval):
        return f"{name}, {what} {within}: no steady bias."
    ends = sorted((abs(interval.low), abs(interval.high)))
    between = f"(between {amount(ends[0], quantity, unit=False)} and {amount(ends[1], quantity, unit=False)})"
    size = amount(abs(bias), quantity)
    if quantity is Quantity.WIND_DIRECTION:
        turn = "clockwise" if bias > 0 else "anticlockwise"
        return f"In {hours.text}, {name} turns the wind {size} {turn} of the observed one {between}."
    verb = "overestimates" if bias > 0 else "underestimates"
    return f"In {hours.text}, {name} {verb} the {what} by {size} {between}."


def _is_steady(quantity: Quantity, bias: float, interval: Interval) -> bool:
    """Return whether a bias is worth a word: its interval excludes 0, and it is not 0.0 as it is shown."""
    return interval.excludes_zero() and float(amount(bias, quantity, unit=False)) != 0


def tendency(quantity: Quantity, bias: float | None, interval: Interval | None) -> str | None:
    """Return "overestimates", "underestimates" or "no steady bias"; None where the days do not show it.

    Of a direction "clockwise" or "anticlockwise": a direction is not too high or too low.
    """
    if bias is None or interval is None:
        return None
    if not _is_steady(quantity, bias, interval):
        return "no steady bias"
    if quantity is Quantity.WIND_DIRECTION:
        return "clockwise" if bias > 0 else "anticlockwise"
    return "overestimates" if bias > 0 else "underestimates"


def skill_words(found: PooledSkill, reference: str) -> str | None:
    """Return whether a model is worth reading beside a reference, plainly; None where that is not known.

    What has an interval with 0 in it, or too few days for any, is no clear matter.
    """
    if found.skill is None:
        return None
    word = "no better" if found.skill == 0 else "better" if found.skill > 0 else "worse"
    clear = found.skill == 0 or (found.interval is not None and found.interval.excludes_zero())
    return f"{word} than {model_name(reference)}{'' if clear else ', but not clearly so'}"


def skill_ends_sentence(ends: Mapping[str, tuple[float, float]], reference: str) -> str | None:
    """Return between which ends the skills of models lie, by the names that are shown; None without any."""
    if not ends:
        return None
    each = "; ".join(f"{name} {low:+.2f}…{high:+.2f}" for name, (low, high) in ends.items())
    return f"Skill against {model_name(reference)}, {100 * CONFIDENCE.value:.0f} % intervals: {each}."


def surprise_sentence(model: str, rate: Rate, event: str, units: str, hours: Hours) -> str:
    """Return how often "go" was a bad surprise: counts always, a share only of enough cases.

    `hours` are named of hours, not of days, which have their own.
    """
    name, within = model_name(model), f" in {hours.text}" if units == "hours" else ""
    if not rate.of:
        return f"{name} never forecast {_GOOD[event]}{within}."
    who = f"{name}{within and ','}{within}"
    counts = f"{_count(rate.count, 'bad surprises')} in {_count(rate.of, f'go {units}')}"
    if rate.value is None or rate.interval is None:
        return f"{who}: {counts}."
    low, high = (f"{100 * end:.0f}" for end in rate.interval)
    return f"{who}: {counts} ({100 * rate.value:.0f} %, {low}–{high} %)."


def robustness_sentence(found: Sequence[SecondOpinion], finding: Finding) -> str | None:
    """Return at how many beacons the winner is clearly better, and what the others show.

    None without a winner, or with one beacon to look at.
    """
    votes = [each.agrees for each in found if each.agrees is not None]
    if finding is not Finding.WINNER or len(votes) < 2:
        return None
    words = {Outcome.TOO_CLOSE: "too close to call", Outcome.B_BETTER: "the other model is better"}
    others = [
        f"{words[outcome]} at {listed(stations)}"
        for outcome in words
        if (stations := [each.station for each in found if each.outcome is outcome])
    ]
    same = f"Same winner at {sum(votes)} of {len(votes)} beacons"
    return f"{same}: {'; '.join(others)}." if others else f"{same}."


def means_sentence(found: HourlyMeanCheck | None, verdict: Verdict) -> str | None:
    """Return what a verdict would be by hourly means; None where there is none, or too few days have such."""
    duel = verdict.duel
    if found is None or duel is None or found.outcome is None:
        return None
    if found.difference is None or duel.comparison.difference is None:
        return None
    winner = {Outcome.A_BETTER: duel.a, Outcome.B_BETTER: duel.b}.get(found.outcome)
    other = "too close to call" if winner is None else f"{model_name(winner)} is better"
    with_hourly_means = amount(abs(found.difference), verdict.quantity)
    by_reports = amount(abs(duel.comparison.difference), verdict.quantity, unit=False)
    return (
        "By hourly means of the beacon instead of single reports: "
        f"{'the same finding' if found.same else f'another finding, {other}'};"
        f" the models differ by {with_hourly_means} ({by_reports} by single reports)."
    )


def coverage_sentence(observed: float | None, models: Mapping[str, float], complete: int, months: int) -> str:
    """Return the data completeness in per cent of hours, and the number of complete months."""
    shares = [] if observed is None else [f"observed {100 * observed:.0f} %"]
    shares += [f"{model_name(model)} {100 * share:.0f} %" for model, share in models.items()]
    return (
        f"Hours available out of hours expected: {', '.join(shares) or 'none'}."
        f" Complete months of observations ({100 * COMPLETE_MONTH.value:.0f} % of the hours and more):"
        f" {complete} of {months}."
    )


def rounded_words(sources: Sequence[str]) -> str:
    """Return why figures are rounded, and how."""
    figures, shares = 10**-PUBLIC_DECIMALS.value, 10**-PUBLIC_SHARE_DECIMALS.value
    return (
        f"{', '.join(sources)}: raw values are not public, so figures are rounded to {figures:g}"
        f" and shares to {shares:g}."
    )


def public_words(sources: Sequence[str]) -> str:
    """Return what is published where a withheld source takes part."""
    return (
        f"{', '.join(sources)}: raw values are not public, so figures are of whole calendar months with at"
        f" least {STRATUM_DAYS.value} days, of at least {PUBLIC_PAIRS.value} hours, and rounded the more the"
        " fewer hours they rest on."
    )


def public_shortage_sentence(verdict: Verdict, view: View) -> str:
    """Return why there is no verdict yet where values are not public."""
    asked = f"{view_name(view)}, {QUANTITY_NAMES[verdict.quantity]} in {verdict.hours.text}"
    return (
        f"Not enough data yet, {asked}: fewer than the {PUBLIC_PAIRS.value} common hours that a public"
        " verdict with values that are not public needs."
    )


def public_surprise_sentence(model: str, rate: Rate, units: str, hours: Hours) -> str:
    """Return how often "go" was a bad surprise, without the counts."""
    within = f", in {hours.text}," if units == "hours" else ":"
    if rate.value is None:
        return f"{model_name(model)}: not enough data for a public figure."
    ends = "" if rate.interval is None else f" ({' to '.join(f'{100 * end:.0f}' for end in rate.interval)} %)"
    return (
        f"{model_name(model)}{within} about {100 * rate.value:.0f} % of its go {units} were bad"
        f" surprises{ends}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun.removesuffix('s') if number == 1 else noun}"
