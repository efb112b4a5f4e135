"""Worked examples of the scores, from real pairs of this store whose values are public."""

from __future__ import annotations

from datetime import date

import numpy as np
from pydantic import Field

from backend.answers.announced import in_fixed_order
from backend.answers.base import ApiModel
from backend.answers.question import Question, load, make_question
from backend.answers.scores import verdict_answer
from backend.answers.service import ReadingParts
from backend.answers.shapes import VerdictAnswer
from backend.answers.shown_station import shown_question, shown_station
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of
from backend.core.parameters import Parameter
from backend.scoring.constants import USUAL_WIND_LIMIT, WITHIN
from backend.scoring.grid import SCALE, Bools
from backend.scoring.inference.comparison import Outcome
from backend.scoring.metrics.scalar import ScalarError, mae, mean_error, rmse, within_share
from backend.scoring.names import model_name
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample

MOST_SITES = 20
"""Number of sites that are searched for an example: of a thousand sites, the first with pairs are enough."""

LEAST_HOURS = 5
"""Number of pairs that a day needs for an example of a mean."""

LEAST_DIRECTIONS = 2


class ExampleHour(ApiModel):
    """One pair: km/h, or degrees of a direction. The error is forecast minus observation."""

    hour: int = Field(description="o'clock of the local day")
    forecast: float
    observation: float
    error: float


class DayExample(ApiModel):
    """The wind of one day at one site: a model as it stood the evening before, and the beacon."""

    site: str
    site_name: str
    station: str
    model: str
    name: str
    day: date
    hours: list[ExampleHour]
    mean_error: float
    mae: float
    rmse: float
    within: float = Field(description="share of errors of at most `withinTolerance`")
    within_count: int
    within_tolerance: float


class DirectionExample(ApiModel):
    """The wind direction of one day, in hours with enough wind for a direction."""

    site_name: str
    name: str
    day: date
    hours: list[ExampleHour]
    mae: float


class SurpriseExample(ApiModel):
    """Hours announced at or below the limit, and those of them in which more came."""

    name: str
    limit: float
    count: int
    of: int
    value: float | None = Field(description="null with too few cases")
    low: float | None
    high: float | None


class IntervalExample(ApiModel):
    """The mean daily difference of two models' errors in km/h, and its interval."""

    name_a: str
    name_b: str
    days: int
    effective_days: float
    difference: float
    low: float
    high: float
    better: str | None = Field(description="the name of the model that is clearly better; null if too close")


class SkillExample(ApiModel):
    """The mean error sizes of a model and of yesterday's observation in km/h, and the skill."""

    name: str
    mae: float
    mae_of_yesterday: float
    skill: float
    months: int


class WorkedExamples(ApiModel):
    """One example of each score; null where the store has no public pairs for it."""

    day: DayExample | None = None
    direction: DirectionExample | None = None
    surprises: SurpriseExample | None = None
    interval: IntervalExample | None = None
    skill: SkillExample | None = None


def worked_examples(service: ReadingParts, withheld: Withholding) -> WorkedExamples:
    """Return examples from the first site that has a day of public pairs. Raises StoreUnavailableError."""
    for site in service.sites()[:MOST_SITES]:
        question = shown_question(service, make_question(service, site), withheld, only_public=True)
        if question.public:  # its station is withheld: no single pair may be shown
            continue
        sample = load(service, question)
        day = _day_example(sample, question, withheld)
        if day is None:
            continue
        verdict = verdict_answer(service, question, withheld)
        return WorkedExamples(
            day=day,
            direction=_direction_example(sample, day),
            surprises=_surprises(verdict, day.model),
            interval=_interval(verdict),
            skill=_skill(verdict, day.model),
        )
    return WorkedExamples()


def _day_example(sample: Sample, question: Question, withheld: Withholding) -> DayExample | None:
    """Return one of the days with the most pairs, of the first public model that has any."""
    site = sample.site
    station = question.station or shown_station(site, date_of(question.last), withheld)
    public = sample.reference_days.keys() & {station}
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    for model in sorted(sample.forecasts, key=in_fixed_order):
        pairs = of_quantity.pairs(model)
        counts = pairs.sum(axis=1)
        if model in withheld.models or not public or counts.max(initial=0) < LEAST_HOURS:
            continue
        errors = of_quantity.errors(model)
        # Errors of both signs show how the mean error and the MAE differ: the day on which they cancel most.
        cancelled = np.abs(errors).sum(axis=1) - np.abs(errors.sum(axis=1))
        row = int(np.argmax(np.where(counts == counts.max(), cancelled, -1)))
        only = np.zeros_like(pairs)
        only[row] = pairs[row]
        hourly = ScalarError().hourly(of_quantity.series(model), of_quantity.observed)
        sums = hourly.of_days(only).total()
        tolerance = WITHIN[Parameter.WIND_SPEED].value
        hours = _hours(of_quantity, model, only)
        (station,) = public
        return DayExample(
            site=site.id,
            site_name=site.name,
            station=station,
            model=model,
            name=model_name(model),
            day=date_of(sample.span.days[row]),
            hours=hours,
            mean_error=mean_error(sums) or 0.0,
            mae=mae(sums) or 0.0,
            rmse=rmse(sums) or 0.0,
            within=within_share(errors[only], tolerance) or 0.0,
            within_count=sum(abs(hour.error) <= tolerance for hour in hours),
            within_tolerance=tolerance,
        )
    return None


def _hours(of_quantity: QuantitySample, model: str, only: Bools) -> list[ExampleHour]:
    forecast, observed = of_quantity.series(model).main, of_quantity.observed.main
    errors, clock = of_quantity.errors(model), of_quantity.sample.clock
    return [
        ExampleHour(
            hour=int(clock[place]),
            forecast=forecast[place] / SCALE,
            observation=observed[place] / SCALE,
            error=errors[place] / SCALE,
        )
        for place in zip(*np.nonzero(only), strict=True)
    ]


def _direction_example(sample: Sample, day: DayExample) -> DirectionExample | None:
    """Return the newest day with directions of the same model, the day of the other example if it has any."""
    of_quantity = QuantitySample(sample, Quantity.WIND_DIRECTION)
    pairs = of_quantity.pairs(day.model)
    rows = [int(row) for row in np.flatnonzero(pairs.sum(axis=1) >= LEAST_DIRECTIONS)]
    if not rows:
        return None
    row = max(rows, key=lambda row: (date_of(sample.span.days[row]) == day.day, row))
    only = np.zeros_like(pairs)
    only[row] = pairs[row]
    error = Quantity.WIND_DIRECTION.kind.ranking(of_quantity.sums(day.model, only).total())
    return DirectionExample(
        site_name=day.site_name,
        name=day.name,
        day=date_of(sample.span.days[row]),
        hours=_hours(of_quantity, day.model, only),
        mae=error or 0.0,
    )


def _surprises(verdict: VerdictAnswer, model: str) -> SurpriseExample | None:
    """Return the surprises of the compared model with the most of them, else of the example's model."""
    rates = [
        (each.surprises, each)
        for each in verdict.contenders
        if each.surprises is not None and each.surprises.count is not None and each.surprises.of
    ]
    if not rates:
        return None
    rate, contender = max(
        rates, key=lambda pair: (pair[0].value is not None, pair[0].count or 0, pair[1].model == model)
    )
    return SurpriseExample(
        name=contender.name,
        limit=verdict.surprise_limit or USUAL_WIND_LIMIT.value,
        count=rate.count or 0,
        of=rate.of or 0,
        value=rate.value,
        low=None if rate.interval is None else rate.interval.low,
        high=None if rate.interval is None else rate.interval.high,
    )


def _interval(verdict: VerdictAnswer) -> IntervalExample | None:
    duel = verdict.duel
    if duel is None or duel.test is None or duel.outcome is None:
        return None
    return IntervalExample(
        name_a=duel.name_a,
        name_b=duel.name_b,
        days=duel.test.days,
        effective_days=duel.test.effective_days,
        difference=duel.test.mean,
        low=duel.test.interval.low,
        high=duel.test.interval.high,
        better={Outcome.A_BETTER: duel.name_a, Outcome.B_BETTER: duel.name_b}.get(duel.outcome),
    )


def _skill(verdict: VerdictAnswer, model: str) -> SkillExample | None:
    of_model = next((each for each in verdict.models if each.model == model), None)
    yesterday = next((each for each in verdict.references if "yesterday" in each.model), None)
    if of_model is None or yesterday is None or of_model.score is None or yesterday.score is None:
        return None
    skill = of_model.skill.get(yesterday.model)
    if skill is None or skill.skill is None or of_model.score.mae is None or yesterday.score.mae is None:
        return None
    return SkillExample(
        name=of_model.name,
        mae=of_model.score.mae,
        mae_of_yesterday=yesterday.score.mae,
        skill=skill.skill,
        months=skill.used,
    )
