"""Answers about scores as JSON. An error is forecast minus observation; null means unknown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, SerializationInfo

from backend.answers.base import ApiModel, WithheldSource
from backend.scoring.constants import PUBLIC_DECIMALS, PUBLIC_SHARE_DECIMALS
from backend.scoring.grid import Hours, Season
from backend.scoring.inference.comparison import Outcome
from backend.scoring.questions.scorecard import Finding
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample_size import SampleLabel

ViewName = Literal[
    "morning",
    "noon",
    "evening_before",
    "two_evenings_before",
    "lead_0_5",
    "lead_6_11",
    "lead_12_23",
    "lead_24_35",
    "lead_36_47",
    "lead_48",
]


DecisionViewName = Literal["morning", "noon", "evening_before", "two_evenings_before"]


def _rounded_to(decimals: int) -> PlainSerializer:
    """Return a serialiser that rounds to so many decimals in the context ROUNDED."""

    def written(value: float, info: SerializationInfo[Any]) -> float:
        return round(value, decimals) + 0.0 if info.context == ROUNDED else value  # + 0.0: -0.0 is 0

    return PlainSerializer(written, return_type=float)


ROUNDED = "rounded"
"""Context of the serialiser: round, because exact figures would reveal values of a withheld source."""

Figure = Annotated[float, _rounded_to(PUBLIC_DECIMALS.value)]
Share = Annotated[float, _rounded_to(PUBLIC_SHARE_DECIMALS.value)]
Whole = Annotated[float, _rounded_to(0)]


OURS = Field(False, description="whether it is the corrected forecast of this service, as it was issued")


class Ends(ApiModel):
    """The ends of an interval, in the unit of what it encloses."""

    low: Figure
    high: Figure


class ShareEnds(ApiModel):
    """The ends of the interval of a share of 1, of a skill, or of a score of an event."""

    low: Share
    high: Share


class Coverage(ApiModel):
    """Hours available out of hours expected. `share` is null if none was expected."""

    hours: int
    expected: int
    share: float | None


class Month(ApiModel):
    """Observations of a calendar month: complete with at least 90 % of its hours that count."""

    month: str = Field(description="such as 2026-07")
    hours: int
    expected: int
    complete: bool


class ReferenceStation(ApiModel):
    """A station that the forecasts are compared with, on `days` of the requested days."""

    station: str
    name: str | None
    elevation: float | None
    distance_km: float | None = Field(description="from the take-off; null without a known position")
    height_difference: float | None = Field(description="metres above the take-off; below it negative")
    days: int
    coverage: Coverage = Field(description="observed hours of those days, since the first stored value")
    doubted: dict[str, int] = Field(description="its readings that enter no score, by reason: stuck, spike…")


class CommonFields(ApiModel):
    """The fields of every answer: the question, the sample, and how the answer was made."""

    site: str
    site_name: str
    stations: list[ReferenceStation]
    months: list[Month] = Field(description="of observations, since the first stored value")
    view: str
    view_text: str
    hours_text: str = Field(description='such as "flying hours, 10 to 18"')
    parameter: Quantity
    unit: str
    first_day: date = Field(description="local days, both included")
    last_day: date
    n_pairs: int = Field(description="hours of the common sample")
    n_days: int = Field(description="distinct local days of it")
    label: SampleLabel = Field(
        description="size class of the sample; scores are null while it is `collecting`"
    )
    season: Season | None = Field(
        description="the season of most days; null unless `label` is `established_for_season`"
    )
    label_text: str
    common_sample: str
    confidence: float = Field(description="of every interval: a share of 1")
    interval_method: str
    notes: list[str]
    rounded: bool = Field(
        description="true if the figures use a withheld source: they are of whole months, rounded, and"
        " without details of single values"
    )
    withheld: list[WithheldSource]
    attribution: list[str]
    method_version: str
    generated_at: datetime

    @property
    def beacon_hours(self) -> Coverage:
        """The hours of all reference stations together."""
        hours = sum(station.coverage.hours for station in self.stations)
        expected = sum(station.coverage.expected for station in self.stations)
        return Coverage(hours=hours, expected=expected, share=hours / expected if expected else None)

    @property
    def complete_months(self) -> int:
        """The number of complete months."""
        return sum(month.complete for month in self.months)


class ScoreFields(CommonFields):
    """The fields of every answer with scores. The series has other `hours`: its rows, of all hours."""

    hours: Hours = Field(description="the hours of the local clock that count: flying, day or all")


# --- Scores ------------------------------------------------------------------------------------------


class Quantiles(ApiModel):
    """Quantiles of the error, and the ninth decile of its size."""

    p10: Figure
    p25: Figure
    median: Figure
    p75: Figure
    p90: Figure
    p90_abs: Figure


class ScoreValues(ApiModel):
    """Scores in the unit of the answer; null if the score is not defined for the quantity."""

    mean_error: Figure | None = Field(
        description="bias: positive means forecast too much, or too far clockwise"
    )
    mean_error_interval: Ends | None
    mae: Figure | None
    mae_interval: Ends | None
    rmse: Figure | None
    error_sd: Figure | None
    correlation: Share | None
    within: Share | None = Field(description="share of errors of at most `withinTolerance`")
    within_tolerance: float | None
    quantiles: Quantiles | None
    circular_bias: Figure | None
    circular_sd: Figure | None
    resultant: Share | None
    mean_direction_error: Figure | None
    light_wind_pairs: int | None = Field(description="left out: the observed wind was too light")
    breeze_mae: Figure | None = Field(
        description="of directions in light winds, 5 to 10.8 km/h: less certain, and in no other score"
    )
    breeze_pairs: int | None
    undefined_pairs: int | None = Field(description="left out: forecast or observation without a direction")


class Skill(ApiModel):
    """1 - MAE / MAE of the baseline, computed per month; negative if worse than the baseline."""

    skill: Share | None
    interval: ShareEnds | None
    text: str | None = Field(description="such as: worse than yesterday's observation")
    used: int = Field(description="months in the mean")
    left_out: int = Field(description="months without a skill")


class ScoredModel(ApiModel):
    """A model's scores; `rank` is null where it may not be ranked."""

    model: str
    name: str
    ours: bool = OURS
    rank: int | None
    on_common_sample: bool = Field(
        description="false: on other hours than the other models, so not comparable"
    )
    n_pairs: int
    n_days: int
    own_pairs: int | None = Field(
        description="all pairs of the model with the station; null for a group or a baseline"
    )
    effective_pairs: Whole | None
    label: SampleLabel
    season: Season | None
    coverage: Coverage | None = Field(
        description="forecast hours of this view since the first stored value; null for a group or baseline"
    )
    estimated_hours: int = Field(
        description="hours from runs without a published time of availability, counted over whole days"
    )
    tendency: str | None
    score: ScoreValues | None = Field(description="null while collecting")
    skill: dict[str, Skill]


class StudentTest(ApiModel):
    """Test of a mean daily difference of 0: Student's t with the number of effective days."""

    mean: Figure
    interval: Ends
    p_value: Share
    days: int
    effective_days: Figure


class Duel(ApiModel):
    """Two models on their common hours. A negative `difference` means a smaller error of `a`."""

    a: str
    b: str
    name_a: str
    name_b: str
    n_pairs: int
    n_days: int
    label: SampleLabel
    season: Season | None
    score_a: Figure | None
    score_b: Figure | None
    difference: Figure | None = Field(description="mean over days of the difference of daily MAEs")
    interval: Ends | None = Field(description="of the difference; equal to the one of `test`")
    test: StudentTest | None
    outcome: Outcome | None = Field(
        description="null with fewer than 30 days, and for a quantity that is not ranked"
    )


class Rate(ApiModel):
    """`count` of `of` cases; the share and its interval are null with too few cases.

    With a withheld source both counts are null, and the share is rounded.
    """

    count: int | None
    of: int | None
    value: Share | None
    interval: ShareEnds | None


class Contender(ApiModel):
    """A compared model on the common sample; its values are null with too few days."""

    model: str
    name: str
    ours: bool = OURS
    average_error: Figure | None = Field(description="the MAE")
    within: Share | None = Field(description="share of errors of at most `withinTolerance`")
    surprises: Rate | None = Field(
        description="of the hours forecast at or below `surpriseLimit`, those observed above it"
    )


class BetterMean(ApiModel):
    """The mean of the models, if its error is smaller than that of the best model."""

    average_error: Figure
    within: Share | None


class SecondOpinion(ApiModel):
    """The two models at another station; `agrees` is null with too few days.

    It is true only if the same model is clearly better there too; `outcome` may be too close to call.
    """

    station: str
    n_pairs: int
    n_days: int
    difference: Figure | None
    outcome: Outcome | None
    agrees: bool | None
    duplicate_of: str | None = Field(description="the station that this one copies: it does not count")


class Robustness(ApiModel):
    """Whether the same model is clearly better at the other stations of the site."""

    sentence: str | None
    agreeing: int
    counted: int
    stations: list[SecondOpinion]


class HourlyMeans(ApiModel):
    """The two models against the mean of each hour's readings; null with too few days that have one."""

    sentence: str | None
    n_pairs: int
    n_days: int
    difference: Figure | None
    outcome: Outcome | None
    same_finding: bool | None


class VerdictAnswer(ScoreFields):
    """Which forecast to trust here, or why the data do not answer that."""

    finding: Finding
    sentence: str = Field(
        description="the verdict in one sentence that is complete by itself: the first of `sentences`"
    )
    sentences: list[str] = Field(
        description="one to three: the verdict, how reliable both models are, and where the station stands"
    )
    contenders: list[Contender] = Field(description="the compared models, in the order of `models`")
    within_tolerance: float | None = Field(description="in the unit of the answer")
    surprise_limit: float | None = Field(description="in km/h: 25 of mean wind, 35 of gusts, else null")
    better_mean: BetterMean | None = Field(description="null if the mean of the models is not better")
    may_headline: bool = Field(
        description="false: a temperature whose error depends mainly on the difference in height"
    )
    best: str | None = Field(
        description="null, like `second` and `duel`, with fewer than 30 days or a quantity that is not ranked"
    )
    second: str | None
    duel: Duel | None
    models: list[ScoredModel] = Field(
        description="best first, or by name if not ranked; models without data last"
    )
    references: list[ScoredModel] = Field(
        description="baselines: forecasts without a model; they are never the winner"
    )
    robustness: Robustness | None = Field(
        description="null, like `hourlyMeans`, for a quantity that is not ranked, and below 30 days"
    )
    hourly_means: HourlyMeans | None = Field(description="null for gusts, which are the highest of an hour")


class ComparisonAnswer(ScoreFields):
    """Each two models on their common hours, and how much of it all models share."""

    common_sample_share: float | None = Field(
        description="hours that all compared models share, of the most hours that any two of them share"
    )
    compared: list[str]
    duels: list[Duel]
    models: list[ScoredModel]
    references: list[ScoredModel]


class GroupEntry(ApiModel):
    """A model's scores in a group, on its own pairs."""

    model: str
    name: str
    shown: bool = Field(description="false: the model has too few days in this group")
    entry: ScoredModel | None


class Group(ApiModel):
    """One group of hours, with each model's scores in it."""

    group: str
    models: list[GroupEntry]


class ScoresAnswer(ScoreFields):
    """Each model on its own pairs, optionally in groups. The pairs differ: compare with `comparison`."""

    stratum: str | None
    stratum_text: str | None
    models: list[ScoredModel]
    references: list[ScoredModel]
    groups: list[Group]


# --- Bias --------------------------------------------------------------------------------------------


class BiasGroup(ApiModel):
    """The mean error of one group of hours; null with too few days."""

    group: str
    n_pairs: int
    n_days: int
    shown: bool
    mean_error: Figure | None
    interval: Ends | None
    tendency: str | None


class GivenForecast(ApiModel):
    """Observations for forecasts from `low` to below `high`; null with too few days."""

    low: float | None
    high: float | None
    n_pairs: int
    n_days: int
    shown: bool
    p10: Figure | None
    median: Figure | None
    p90: Figure | None


class ModelBias(ApiModel):
    """The errors of one model."""

    model: str
    name: str
    sentence: str
    n_pairs: int
    n_days: int
    label: SampleLabel
    mean_error: Figure | None
    interval: Ends | None
    tendency: str | None
    by_hour: list[BiasGroup]
    by_part_of_day: list[BiasGroup]
    by_day_and_night: list[BiasGroup]
    by_sector: list[BiasGroup] = Field(description="by the direction that the model forecast")
    by_lead: list[BiasGroup] = Field(description="in each lead view, independent of the requested view")
    given_forecast: list[GivenForecast]


class BiasAnswer(ScoreFields):
    """The errors of each model, on its own pairs."""

    clock_hours: Hours = Field(description="the hours of `byHour`, `byPartOfDay` and `byDayAndNight`")
    models: list[ModelBias]


# --- Events ------------------------------------------------------------------------------------------


class EventCounts(ApiModel):
    """The contingency table of an event, such as wind above the limit."""

    hits: int
    false_alarms: int
    misses: int
    correct_rejections: int


class EventScores(ApiModel):
    """Scores of one event; all null with too few cases."""

    surprise_rate: Share | None
    pod: Share | None
    far: Share | None
    pofd: Share | None
    csi: Share | None
    frequency_bias: Share | None
    ets: Share | None
    hss: Share | None
    peirce: Share | None
    sedi: Share | None


class EventIntervals(ApiModel):
    """Intervals of an event's scores, by whole days; null if the score is null or depends on one day."""

    surprise_rate: ShareEnds | None
    pod: ShareEnds | None
    far: ShareEnds | None
    pofd: ShareEnds | None
    csi: ShareEnds | None
    frequency_bias: ShareEnds | None
    ets: ShareEnds | None
    hss: ShareEnds | None
    peirce: ShareEnds | None
    sedi: ShareEnds | None


class ModelEvent(ApiModel):
    """How a model forecast one event, the surprise rate first."""

    model: str
    name: str
    sentence: str
    surprises: Rate | None = Field(description="of the cases forecast as good, those that were not")
    kept: Rate | None = Field(description="of the cases forecast as bad, those that were")
    detected: Rate | None = Field(description="of the bad cases, those forecast as bad")
    counts: EventCounts | None = Field(description="null while collecting")
    n_pairs: int = Field(description="common cases, or the model's own if it is not in the common sample")
    n_days: int
    enough_events: bool
    scores: EventScores
    intervals: EventIntervals


class Event(ApiModel):
    """An event with its text and limit, and each model on the common cases."""

    event: str
    text: str
    limit: float | None
    units: str
    n_pairs: int
    n_days: int
    label: SampleLabel
    models: list[ModelEvent]


class EventsAnswer(ScoreFields):
    """How often a "go" was a bad surprise."""

    wind_limit: float = Field(
        description="the limit in use: with `rounded`, the requested limit to the nearest 5 km/h"
    )
    gust_limit: float
    sector: list[float] | None = Field(
        description="take-off sectors: from, to, from, to… in degrees clockwise"
    )
    events: list[Event]


# --- Series ------------------------------------------------------------------------------------------


class ForecastHour(ApiModel):
    """One model's forecast for an hour; null if there is none or it is withheld."""

    model: str
    forecast: float | None
    error: float | None
    reference_time: datetime | None = Field(description="start of the run")
    lead_minutes: int | None


class SeriesHour(ApiModel):
    """The observation of an hour, and each model's forecast available at the time of the decision."""

    valid_time: datetime
    local_day: date
    local_hour: int
    observation: float | None
    report_offset_minutes: int | None = Field(
        description="from the hour to the middle of the measured interval"
    )
    forecasts: list[ForecastHour]


class SeriesAnswer(CommonFields):
    """Forecast, observation and error of recent days."""

    hours: list[SeriesHour]


# --- Models and methods ------------------------------------------------------------------------------


class KnownModel(ApiModel):
    """A model that is collected or has stored runs."""

    model: str
    name: str
    ours: bool = OURS
    source: str | None = Field(description="null for a model that is no longer collected")
    newest_run: datetime | None = Field(description="of ours: its newest decision time")
    runs: int = Field(description="0 for ours, which has none")
    public: bool | None = Field(
        description="whether raw values are shown without the admin token; null: the source no longer exists"
    )
    attribution: str | None


class ModelsAnswer(ApiModel):
    """Every model that can appear in an answer."""

    models: list[KnownModel]
    method_version: str
    generated_at: datetime


class MethodConstant(ApiModel):
    """A constant of scoring; `reference` is null if the choice is the project's own."""

    name: str
    value: float | str | list[float]
    unit: str
    reason: str
    reference: str | None


class MethodView(ApiModel):
    """A view: the rule that chooses the run for an hour."""

    name: str
    text: str


class MethodHours(ApiModel):
    """A choice of local hours that count; both ends are included."""

    name: Hours
    text: str
    first: int
    last: int


class MethodLabel(ApiModel):
    """A size class of samples, and which conclusions it allows."""

    label: SampleLabel
    text: str


class MethodsAnswer(ApiModel):
    """The method: every constant with its reason, taken from the code."""

    method_version: str
    sign: str
    local_zone: str
    constants: list[MethodConstant]
    views: list[MethodView]
    hours: list[MethodHours]
    labels: list[MethodLabel]
    parameters: dict[str, str] = Field(description="each parameter with its unit")
    generated_at: datetime
