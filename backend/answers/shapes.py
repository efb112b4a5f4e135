"""The shapes of answers about scores. An error is forecast minus observation; null is what is not known."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, SerializationInfo

from backend.answers.base import ApiModel, WithheldSource
from backend.scoring.constants import PUBLIC_DECIMALS, PUBLIC_SHARE_DECIMALS
from backend.scoring.grid import Season
from backend.scoring.hours import Hours
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


def _rounded_to(decimals: int) -> PlainSerializer:
    """Return how a number is written: to so many decimals where the answer is to be rounded."""

    def written(value: float, info: SerializationInfo[Any]) -> float:
        return round(value, decimals) + 0.0 if info.context == ROUNDED else value  # + 0.0: -0.0 is 0

    return PlainSerializer(written, return_type=float)


ROUNDED = "rounded"
"""The context in which an answer is written whose figures would tell the values of a withheld source."""

Figure = Annotated[float, _rounded_to(PUBLIC_DECIMALS.value)]
Share = Annotated[float, _rounded_to(PUBLIC_SHARE_DECIMALS.value)]
Whole = Annotated[float, _rounded_to(0)]


class Ends(ApiModel):
    """The ends of an interval, in the unit of what it encloses."""

    low: Figure
    high: Figure


class ShareEnds(ApiModel):
    """The ends of the interval of a share of 1, of a skill, or of a score of an event."""

    low: Share
    high: Share


class Coverage(ApiModel):
    """So many `hours` were had of those `expected`; `share` is null where none was expected."""

    hours: int
    expected: int
    share: float | None


class Month(ApiModel):
    """A calendar month of observations: complete with at least 90 % of all its hours that count."""

    month: str = Field(description="such as 2026-07")
    hours: int
    expected: int
    complete: bool


class SpeakingStation(ApiModel):
    """A station that the scores are about, on `days` of the days asked for."""

    station: str
    name: str | None
    elevation: float | None
    distance_km: float | None = Field(description="from the take-off; null without a known position")
    height_difference: float | None = Field(description="metres above the take-off; below it negative")
    days: int
    coverage: Coverage = Field(description="observed hours of those days, since anything was kept")
    doubted: dict[str, int] = Field(description="its readings that enter no score, by reason: stuck, spike…")


class Asked(ApiModel):
    """What every answer says of the question, of the sample and of itself."""

    site: str
    site_name: str
    stations: list[SpeakingStation]
    months: list[Month] = Field(description="of observations, since anything was kept")
    view: str
    view_text: str
    hours_text: str = Field(description='such as "flying hours, 10 to 18"')
    parameter: Quantity
    unit: str
    first_day: date = Field(description="local days, both included")
    last_day: date
    n_pairs: int = Field(description="hours of the common sample")
    n_days: int = Field(description="distinct local days of it")
    label: SampleLabel = Field(description="how far the sample carries; while collecting, scores are null")
    season: Season | None = Field(description="the only one that the sample speaks for")
    label_text: str
    common_sample: str
    confidence: float = Field(description="of every interval: a share of 1")
    interval_method: str
    notes: list[str]
    rounded: bool = Field(
        description="a withheld source takes part: of whole months, coarse, and without what describes single"
        " values"
    )
    withheld: list[WithheldSource]
    attribution: list[str]
    method_version: str
    generated_at: datetime


class Scored(Asked):
    """What every answer with scores says; the series, whose `hours` are its rows, is of all hours."""

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
    """Scores in the unit of the answer. Those that a quantity does not have are null."""

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
        description="of directions in light winds, 5 to 10.8 km/h: noisier, and in no other score"
    )
    breeze_pairs: int | None
    undefined_pairs: int | None = Field(description="left out: one side had no direction")


class Skill(ApiModel):
    """1 - MAE / MAE of the reference, formed month by month; below 0 it is worse than the reference."""

    skill: Share | None
    interval: ShareEnds | None
    text: str | None = Field(description="such as: worse than yesterday's observation")
    used: int = Field(description="months it rests on")
    left_out: int = Field(description="months without it")


class ScoredModel(ApiModel):
    """A model's scores; `rank` is null where it may not be ranked."""

    model: str
    name: str
    rank: int | None
    on_common_sample: bool = Field(description="false: on its own hours, not to be compared with the others")
    n_pairs: int
    n_days: int
    own_pairs: int | None = Field(
        description="with the station, whatever the other models have; null of a group or a reference"
    )
    effective_pairs: Whole | None
    label: SampleLabel
    season: Season | None
    coverage: Coverage | None = Field(
        description="forecast hours of this view, since anything was kept; null of a group or a reference"
    )
    estimated_hours: int = Field(
        description="hours of runs without a time of publication, of whole days whichever hours count"
    )
    tendency: str | None
    score: ScoreValues | None = Field(description="null while collecting")
    skill: dict[str, Skill]


class StudentTest(ApiModel):
    """Is the mean daily difference 0? By Student's t of the independent days that the days are worth."""

    mean: Figure
    interval: Ends
    p_value: Share
    days: int
    effective_days: Figure


class Duel(ApiModel):
    """Two models on the hours that both have; `difference` below 0 means that `a` errs less."""

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
    interval: Ends | None = Field(description="of the difference; the same as that of `test`")
    test: StudentTest | None
    outcome: Outcome | None = Field(description="null with fewer than 30 days, and where nothing is ranked")


class Rate(ApiModel):
    """So many `count` of `of`; the share and its interval are null with too few cases.

    Both counts are null where a withheld source takes part: the share is rounded then.
    """

    count: int | None
    of: int | None
    value: Share | None
    interval: ShareEnds | None


class Contender(ApiModel):
    """A compared model, on the hours that all compared models have; null with too few days."""

    model: str
    name: str
    average_error: Figure | None = Field(description="the MAE: by how much it is wrong on average")
    within: Share | None = Field(description="share of errors of at most `withinTolerance`")
    surprises: Rate | None = Field(
        description="of the hours forecast at or below `surpriseLimit`, those with more"
    )


class BetterMean(ApiModel):
    """The mean of the models, where it errs less than the best of them."""

    average_error: Figure
    within: Share | None


class SecondOpinion(ApiModel):
    """The two models at another beacon; `agrees` is null where it has too few days.

    It is true only where the same model is clearly better there too; `outcome` may be too close to call.
    """

    station: str
    n_pairs: int
    n_days: int
    difference: Figure | None
    outcome: Outcome | None
    agrees: bool | None
    duplicate_of: str | None = Field(description="the station that this one copies: it does not count")


class Robustness(ApiModel):
    """Whether the same model is clearly better at the other beacons of the site."""

    sentence: str | None
    agreeing: int
    counted: int
    stations: list[SecondOpinion]


class HourlyMeans(ApiModel):
    """What the two models show against the mean of each hour's reports; null with too few days of such."""

    sentence: str | None
    n_pairs: int
    n_days: int
    difference: Figure | None
    outcome: Outcome | None
    same_finding: bool | None


class VerdictAnswer(Scored):
    """Which forecast to trust here, or why that cannot be said."""

    finding: Finding
    sentence: str = Field(
        description="the verdict in one sentence that stands alone: the first of `sentences`"
    )
    sentences: list[str] = Field(
        description="one to three: after the first, how reliable both models are, and where the beacon stands"
    )
    contenders: list[Contender] = Field(description="the compared models, in the order of `models`")
    within_tolerance: float | None = Field(description="in the unit of the answer")
    surprise_limit: float | None = Field(description="in km/h: 25 of mean wind, 35 of gusts, else null")
    better_mean: BetterMean | None = Field(description="null where the mean of the models does not err less")
    may_headline: bool = Field(description="false: a temperature of which the height decides")
    best: str | None = Field(
        description="null, as are `second` and `duel`, with fewer than 30 days and where nothing is ranked"
    )
    second: str | None
    duel: Duel | None
    models: list[ScoredModel] = Field(
        description="best first, by name where nothing may be ranked; those without data last, unranked"
    )
    references: list[ScoredModel] = Field(description="forecasts that anyone could make; they never win")
    robustness: Robustness | None = Field(description="null, as `hourlyMeans` is, where nothing is ranked")
    hourly_means: HourlyMeans | None = Field(
        description="null of gusts: theirs is the highest of an hour anyway"
    )


class ComparisonAnswer(Scored):
    """Every two models on the hours that both have, and whether one table for all would be fair."""

    common_sample_share: float | None = Field(
        description="of the largest sample that two models share, kept by all compared ones"
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
    """One group of hours: what it is, and each model in it."""

    group: str
    models: list[GroupEntry]


class ScoresAnswer(Scored):
    """Each model by itself, on its own pairs; in groups if asked. Not a comparison: see there."""

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
    """What was observed when the forecast was from `low` to below `high`; null with too few days."""

    low: float | None
    high: float | None
    n_pairs: int
    n_days: int
    shown: bool
    p10: Figure | None
    median: Figure | None
    p90: Figure | None


class ModelBias(ApiModel):
    """How one model is wrong."""

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
    by_sector: list[BiasGroup] = Field(description="by the direction that the model itself forecast")
    by_lead: list[BiasGroup] = Field(description="in each of the lead views, whatever the view asked for")
    given_forecast: list[GivenForecast]


class BiasAnswer(Scored):
    """How each model is wrong, on its own pairs."""

    clock_hours: Hours = Field(description="the hours of `byHour`, `byPartOfDay` and `byDayAndNight`")
    models: list[ModelBias]


# --- Events ------------------------------------------------------------------------------------------


class EventCounts(ApiModel):
    """The cells in words of "too strong": said so and was, said so and was not, missed, rightly not said."""

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
    """The intervals of an event's scores, by whole days; null where the score is, or hangs on one day."""

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
    surprises: Rate | None = Field(description="of the cases that the model called good, those that were not")
    kept: Rate | None = Field(description="of the cases that the model called bad, those that were")
    detected: Rate | None = Field(description="of the bad cases, those that the model had called bad")
    counts: EventCounts | None = Field(description="null while collecting")
    n_pairs: int = Field(description="of the common cases; of a model not counted with them, its own")
    n_days: int
    enough_events: bool
    scores: EventScores
    intervals: EventIntervals


class Event(ApiModel):
    """An event, in words and with its limit, and each model on the cases that all compared models have."""

    event: str
    text: str
    limit: float | None
    units: str
    n_pairs: int
    n_days: int
    label: SampleLabel
    models: list[ModelEvent]


class EventsAnswer(Scored):
    """How often a "go" was a bad surprise."""

    wind_limit: float = Field(description="as applied: where `rounded`, the nearest 5 km/h to that asked for")
    gust_limit: float
    sector: list[float] | None = Field(
        description="take-off sectors: from, to, from, to… in degrees clockwise"
    )
    events: list[Event]


# --- Series ------------------------------------------------------------------------------------------


class ForecastHour(ApiModel):
    """What one model said of an hour; null where it said nothing, or where it is withheld."""

    model: str
    forecast: float | None
    error: float | None
    reference_time: datetime | None = Field(description="start of the run")
    lead_minutes: int | None


class SeriesHour(ApiModel):
    """One hour: observed, and what each model had said of it by the decision."""

    valid_time: datetime
    local_day: date
    local_hour: int
    observation: float | None
    report_offset_minutes: int | None = Field(description="from the hour to the middle of what was measured")
    forecasts: list[ForecastHour]


class SeriesAnswer(Asked):
    """Forecast, observation and error of recent days."""

    hours: list[SeriesHour]


# --- Models and methods ------------------------------------------------------------------------------


class KnownModel(ApiModel):
    """A model that is collected, or of which something is kept."""

    model: str
    name: str
    source: str | None = Field(description="null for a model that is no longer collected")
    newest_run: datetime | None
    runs: int
    public: bool | None = Field(
        description="whether its raw values are shown without the admin token; null: its source is gone"
    )
    attribution: str | None


class ModelsAnswer(ApiModel):
    """Every model that can appear in an answer."""

    models: list[KnownModel]
    method_version: str
    generated_at: datetime


class MethodConstant(ApiModel):
    """One number that scoring rests on; `reference` is null where the choice is ours."""

    name: str
    value: float | str | list[float]
    unit: str
    reason: str
    reference: str | None


class MethodView(ApiModel):
    """A view of a forecast: which run speaks for an hour."""

    name: str
    text: str


class MethodHours(ApiModel):
    """Hours of the local clock that a question may count; both ends are included."""

    name: Hours
    text: str
    first: int
    last: int


class MethodLabel(ApiModel):
    """What a sample of this size allows to say."""

    label: SampleLabel
    text: str


class MethodsAnswer(ApiModel):
    """How scores are made: every constant with its reason, from the code itself."""

    method_version: str
    sign: str
    local_zone: str
    constants: list[MethodConstant]
    views: list[MethodView]
    hours: list[MethodHours]
    labels: list[MethodLabel]
    parameters: dict[str, str] = Field(description="each parameter with its unit")
    generated_at: datetime
