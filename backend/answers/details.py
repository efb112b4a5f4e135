"""Answers in detail: the bias of models, how often a "go" was a bad surprise, and recent days by hour."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from backend.answers.base import WithheldSource
from backend.answers.question import Question, load, load_views
from backend.answers.scores import common_fields, common_of, ends, rate_entry, taking_part
from backend.answers.service import ReadingParts
from backend.answers.shapes import (
    BiasAnswer,
    BiasGroup,
    Event,
    EventCounts,
    EventIntervals,
    EventsAnswer,
    EventScores,
    ForecastHour,
    GivenForecast,
    ModelBias,
    ModelEvent,
    SeriesAnswer,
    SeriesHour,
    ShareEnds,
)
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of
from backend.core.records import network_of
from backend.scoring.constants import PUBLIC_LIMIT_STEP, STRATUM_DAYS
from backend.scoring.grid import Hours
from backend.scoring.metrics import contingency
from backend.scoring.metrics.events import sectors_of
from backend.scoring.names import model_name
from backend.scoring.public.figures import public_bias, public_rate, rounded_count
from backend.scoring.public.windows import with_public_values
from backend.scoring.questions import bias as biases
from backend.scoring.questions.flyability import EventTable, ModelCounts, event_tables
from backend.scoring.questions.scorecard import Scorecard
from backend.scoring.questions.series import Hour
from backend.scoring.questions.series import hours as hourly
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.strata import Stratum
from backend.scoring.sample.wind_groups import ConditionalQuantiles
from backend.scoring.views import LEAD_VIEWS
from backend.scoring.words.sentences import (
    bias_sentence,
    public_surprise_sentence,
    surprise_sentence,
    tendency,
)
from backend.storage.database import from_epoch

# --- Bias --------------------------------------------------------------------------------------------


def bias_answer(
    service: ReadingParts,
    question: Question,
    withheld: Withholding,
    *,
    model: str | None = None,
) -> BiasAnswer:
    """Return the bias of each model, or of one."""
    sample, *by_lead = load_views(service, question, (question.view, *LEAD_VIEWS), model=model)
    names = tuple(sample.forecasts) if model is None else (model,)
    size, n_pairs, words = common_of(Scorecard(sample), question)
    models = []
    for name in names:
        bias = biases.model_bias(sample, question.quantity, name, by_lead, clock_hours=question.clock_hours)
        if question.public:
            bias = public_bias(question.quantity, bias, withheld=name in withheld.models)
        models.append(
            ModelBias(
                model=name,
                name=model_name(name),
                sentence=bias_sentence(
                    name,
                    question.quantity,
                    bias.mean_error,
                    bias.interval,
                    question.hours,
                    shown=bias.size.label.shows_values,
                ),
                n_pairs=bias.n_pairs,
                n_days=bias.size.days,
                label=bias.size.label,
                mean_error=bias.mean_error,
                interval=ends(bias.interval),
                tendency=tendency(question.quantity, bias.mean_error, bias.interval),
                by_hour=_groups(question.quantity, bias.groups[Stratum.HOUR]),
                by_part_of_day=_groups(question.quantity, bias.groups[Stratum.PART_OF_DAY]),
                by_day_and_night=_groups(question.quantity, bias.groups[Stratum.DAY_AND_NIGHT]),
                by_sector=_groups(question.quantity, bias.groups[Stratum.SECTOR]),
                by_lead=_groups(question.quantity, bias.leads),
                given_forecast=[_given(bin_) for bin_ in bias.given],
            )
        )
    models.sort(key=lambda entry: not entry.n_pairs)  # models without data come last
    hidden = taking_part(withheld, (sample, *by_lead), sample.reference_days)
    return BiasAnswer(
        **common_fields(service, question, sample, size, n_pairs, words, terms=withheld, hidden=hidden),
        clock_hours=question.clock_hours,
        models=models,
    )


def _groups(quantity: Quantity, groups: Iterable[biases.GroupBias]) -> list[BiasGroup]:
    return [
        BiasGroup(
            group=group.group,
            n_pairs=group.n_pairs,
            n_days=group.n_days,
            shown=group.shown,
            mean_error=group.mean_error,
            interval=ends(group.interval),
            tendency=tendency(quantity, group.mean_error, group.interval),
        )
        for group in groups
    ]


def _given(quantiles: ConditionalQuantiles) -> GivenForecast:
    shown = quantiles.days >= STRATUM_DAYS.value
    return GivenForecast(
        low=quantiles.low,
        high=quantiles.high,
        n_pairs=quantiles.n,
        n_days=quantiles.days,
        shown=shown,
        p10=quantiles.p10 if shown else None,
        median=quantiles.median if shown else None,
        p90=quantiles.p90 if shown else None,
    )


# --- Events ------------------------------------------------------------------------------------------


def events_answer(
    service: ReadingParts,
    question: Question,
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
) -> EventsAnswer:
    """Return how often a "go" was a bad surprise, for a pilot's own limits."""
    sample = load(service, question)
    hidden = taking_part(withheld, [sample], sample.reference_days)
    if hidden or question.public:
        wind_limit, gust_limit = _stepwise(wind_limit), _stepwise(gust_limit)
    tables = event_tables(sample, wind_limit, gust_limit)
    first, count = tables[0], rounded_count if question.public else int
    model_event = _public_model_event if question.public else _model_event
    sectors = sectors_of(sample.site.orientation)
    words = (
        f"for each event, the cases that all its models and {sample.station} have"
        if sample.reference_days
        else "this site has no reference station"
    )
    return EventsAnswer(
        **common_fields(
            service, question, sample, first.size, first.n_pairs, words, terms=withheld, hidden=hidden
        ),
        wind_limit=wind_limit,
        gust_limit=gust_limit,
        sector=[end for sector in sectors for end in sector] if sample.site.orientation else None,
        events=[
            Event(
                event=table.event,
                text=table.text,
                limit=table.limit,
                units=table.units,
                n_pairs=count(table.n_pairs),
                n_days=table.size.days,
                label=table.size.label,
                models=[model_event(table, counts, question.hours) for counts in table.models]
                + [_left_out(name, count(pairs), days) for name, (pairs, days) in table.without.items()],
            )
            for table in tables
        ],
    )


def _stepwise(limit: float) -> float:
    """Round a limit to the nearest step, upwards from the middle: finer limits would reveal single values."""
    step = PUBLIC_LIMIT_STEP.value
    return math.floor(limit / step + 0.5) * step


def _left_out(model: str, n_pairs: int, n_days: int) -> ModelEvent:
    """Return a model outside of the common sample, with the number of its own cases."""
    why = "not enough data yet"
    if n_pairs:
        why = "not compared, because it has too few of the others' cases"
    return ModelEvent(
        model=model,
        name=model_name(model),
        sentence=f"{model_name(model)}: {why}.",
        surprises=None,
        kept=None,
        detected=None,
        counts=None,
        n_pairs=n_pairs,
        n_days=n_days,
        enough_events=False,
        scores=EventScores(**dict.fromkeys(contingency.SCORES)),
        intervals=EventIntervals(**dict.fromkeys(contingency.SCORES)),
    )


def _model_event(table: EventTable, model: ModelCounts, hours: Hours) -> ModelEvent:
    counts, shown = model.counts, table.size.label.shows_values
    hits, false_alarms, misses, rejections = (int(cell) for cell in counts.columns())
    enough = shown and contingency.enough_events(counts)
    surprises = contingency.surprises(counts, model.intervals)
    sentence = (
        surprise_sentence(model.model, surprises, table.event, table.units, hours)
        if shown
        else f"{model_name(model.model)}: not enough data yet."
    )
    scores = {name: formula(counts) if enough else None for name, formula in contingency.SCORES.items()}
    if surprises.value is None:
        scores["surprise_rate"] = None
    intervals = {
        name: ShareEnds.model_validate(interval)
        if (interval := model.intervals.get(name)) is not None and score is not None
        else None
        for name, score in scores.items()
    }
    return ModelEvent(
        model=model.model,
        name=model_name(model.model),
        sentence=sentence,
        surprises=rate_entry(surprises) if shown else None,
        kept=rate_entry(contingency.success_ratio(counts, model.intervals)) if shown else None,
        detected=rate_entry(contingency.detected(counts, model.intervals)) if shown else None,
        counts=EventCounts(hits=hits, false_alarms=false_alarms, misses=misses, correct_rejections=rejections)
        if shown
        else None,
        n_pairs=int(counts.n),
        n_days=table.size.days,
        enough_events=enough,
        scores=EventScores(**scores),
        intervals=EventIntervals(**intervals),
    )


def _public_model_event(table: EventTable, model: ModelCounts, hours: Hours) -> ModelEvent:
    """Return only the rounded surprise rate: counts at several limits would be a histogram of the values."""
    exact = contingency.surprises(model.counts, model.intervals)
    if not table.size.label.shows_values:
        exact = replace(exact, value=None, interval=None)
    surprises = public_rate(exact, model.go_days)
    return ModelEvent(
        model=model.model,
        name=model_name(model.model),
        sentence=public_surprise_sentence(model.model, surprises, table.units, hours),
        surprises=None if surprises.value is None else rate_entry(surprises, public=True),
        kept=None,
        detected=None,
        counts=None,
        n_pairs=rounded_count(int(model.counts.n)),
        n_days=table.size.days,
        enough_events=surprises.value is not None,
        scores=EventScores(**{**dict.fromkeys(contingency.SCORES), "surprise_rate": surprises.value}),
        intervals=EventIntervals(**dict.fromkeys(contingency.SCORES)),
    )


# --- Series ------------------------------------------------------------------------------------------


def series_answer(service: ReadingParts, question: Question, withheld: Withholding) -> SeriesAnswer:
    """Return recent days hour by hour, without withheld values.

    An error and one of its two values reveal the other. So the error is withheld if either of them is.
    """
    sample = load(service, question)
    # The number of pairs of a few days would reveal which winds of a withheld station are strong enough for a
    # direction. So size and pairs are those of the public values only.
    shown = with_public_values(sample, withheld.models, withheld.networks)
    size, n_pairs, words = common_of(Scorecard(shown), question)
    withheld_days = {
        day
        for code, days in sample.reference_days.items()
        if network_of(code) in withheld.networks
        for day, used in zip(sample.span.days, days.tolist(), strict=True)
        if used
    }
    left_out: dict[str, WithheldSource] = {}
    # A source with several models is named once.
    for name in sample.forecasts:
        left_out |= {source.source: source for source in withheld.of_models(name)}
    left_out |= {source.source: source for source in withheld.of_stations([*sample.reference_days])}
    return SeriesAnswer(
        **common_fields(
            service, question, sample, size, n_pairs, words, terms=withheld, withheld=list(left_out.values())
        )
        | {
            "hours": [
                _hour(entry, withheld, station=entry.day in withheld_days)
                for entry in hourly(sample, question.quantity)
            ]
        }
    )


def _hour(hour: Hour, withheld: Withholding, *, station: bool) -> SeriesHour:
    return SeriesHour(
        valid_time=from_epoch(hour.moment),
        local_day=date_of(hour.day),
        local_hour=hour.clock,
        observation=None if station else hour.observation,
        report_offset_minutes=hour.offset,
        forecasts=[
            ForecastHour(
                model=entry.model,
                forecast=None if hidden else entry.forecast,
                error=None if hidden or station else entry.error,
                reference_time=None if entry.lead is None else from_epoch(hour.moment - 60 * entry.lead),
                lead_minutes=entry.lead,
            )
            for entry in hour.forecasts
            for hidden in [entry.model in withheld.models]
        ],
    )
