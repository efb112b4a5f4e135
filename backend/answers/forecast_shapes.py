"""The shapes of the corrected forecast's answer."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import cast

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.beacon_place import BeaconPlace
from backend.answers.issued_history import DayChance
from backend.answers.learning_start import LearningRestart
from backend.core.issued import Audience, GateReason
from backend.core.parameters import Parameter
from backend.forecast.gate import GATED_DAYS, Reason
from backend.scoring.grid import Hours


class ForecastState(StrEnum):
    """Whether the corrected forecast of a parameter is shown, or why not.

    SHOWN and TRIAL have values. CLOSED is refused by the gate, VETO at this site only. All others have the
    values of a raw model.
    """

    SHOWN = "shown"
    TRIAL = "trial"
    CLOSED = "closed"
    VETO = "veto"
    TOO_FEW_DAYS = "too_few_days"
    NO_STATION = "no_station"
    NO_MODEL = "no_model"
    NOT_ISSUED = "not_issued"

    @property
    def has_values(self) -> bool:
        """Whether corrected values are in the answer."""
        return self in (ForecastState.SHOWN, ForecastState.TRIAL)


class ForecastHour(ApiModel):
    """An hour of the local day, in the parameter's unit (km/h, degrees, °C); null where there is none.

    The quantiles of a direction are signed differences from `value`, in degrees. There is no direction with
    less than 10.8 km/h of mean wind, and where the models contradict each other.
    """

    hour: int = Field(description="o'clock of the local day")
    valid_time: datetime
    value: float | None = Field(description="the corrected forecast: it is p50, unless there is no interval")
    p10: float | None = None
    p25: float | None = None
    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    best_model: float | None = Field(None, description="what the best raw model so far announces")
    chance: float | None = Field(
        None, description="of more than the limit in this hour: (k + 1) / (n + 2); null below 30 days"
    )
    days_above: int | None = Field(
        None, description="k: past days whose errors would exceed the limit in these 3 hours, rounded"
    )
    chance_days: int | None = Field(None, description="n: past issued days with readings in these 3 hours")

    @property
    def shown(self) -> float | None:
        """The corrected value, else that of the best raw model."""
        return self.best_model if self.value is None else self.value


class GateFinding(ApiModel):
    """A reason of the gate: its code, figure and limit, and its words.

    `few_days` counts learned days up to 30 of them, and then the issued days that are evidence.
    """

    code: str
    figure: float | None
    limit: float | None
    text: str


def is_learning(reason: GateReason | GateFinding, learned: int) -> bool:
    """Return whether a reason is that a forecast from so many learned days is too young for the gate."""
    return reason.code == Reason.FEW_DAYS and reason.figure == learned < GATED_DAYS


class InputRun(ApiModel):
    """A run that the forecast was made from."""

    model: str
    reference_time: datetime


class RecordEntry(ApiModel):
    """The row of the record that shows what was issued, and when."""

    number: int = Field(description="counted within the site")
    hash: str = Field(description="SHA-256 of this row and of the one before")
    method: str
    audience: Audience
    decision_time: datetime
    issued_at: datetime
    late: bool = Field(description="issued more than 15 minutes after its decision: it is never scored")
    inputs: list[InputRun]


class Held(ApiModel):
    """How often the intervals that were issued before held, over the last 90 days."""

    share: float
    low: float | None = Field(description="end of the 95 % interval of the share, by days; null below 5 days")
    high: float | None
    n_days: int
    n_hours: int


class Replayed(ApiModel):
    """How a replay of the stored days did, each forecast from the days before it only."""

    mean_error_size: float
    best_error_size: float = Field(description="of the best raw model of each day, in the same hours")
    within: float = Field(description="share of readings between p10 and p90")
    n_days: int


class ParameterForecast(ApiModel):
    """The forecast of one parameter, with the gate's state. `best` is the best raw model so far.

    Without past days `best` is the first public model in a fixed order.
    """

    parameter: Parameter
    state: ForecastState
    reason: str = Field(description="the state in words")
    reasons: list[GateFinding] = Field(default_factory=list)
    n_days: int = Field(0, description="issued days with readings; of a replay, stored ones")
    learned_days: int = Field(0, description="days with readings that an issued forecast was learned from")
    least_days: int = Field(
        GATED_DAYS, description="days from which the gate decides; with too few days, those of a trial"
    )
    best: str | None = None
    best_name: str | None = None
    hours: list[ForecastHour] = Field(default_factory=list)
    weights: dict[str, list[float | None]] = Field(
        default_factory=dict, description="of each expert, in the order of `hours`"
    )
    held: Held | None = None
    record: RecordEntry | None = Field(None, description="null on trial without an issued forecast")
    replayed: Replayed | None = None


class ForecastAnswer(ApiModel):
    """The corrected forecast of a site for a local day, in km/h, degrees and °C."""

    site: str
    site_name: str
    day: date
    view: str
    limit: float
    gust_limit: float
    station: BeaconPlace | None = Field(description="at which the errors were learned")
    station_withheld: str | None
    learning_restarted: LearningRestart | None = Field(
        None, description="null unless the station was moved or replaced in the last 90 days"
    )
    wind_speed: ParameterForecast
    wind_gust: ParameterForecast
    wind_direction: ParameterForecast | None = None
    temperature: ParameterForecast | None = None
    day_chance: DayChance | None = Field(
        None, description="null unless wind and gust are both shown or on trial"
    )
    generated_at: datetime
    attribution: list[str]

    @property
    def winds(self) -> tuple[ParameterForecast, ParameterForecast]:
        """Mean wind and gust."""
        return self.wind_speed, self.wind_gust

    @property
    def strongest(self) -> ForecastHour | None:
        """The flying hour with the strongest mean wind, corrected or of the best model; None without one."""
        first, last = Hours.FLYING.ends
        flying = [hour for hour in self.wind_speed.hours if first <= hour.hour <= last]
        return max(
            (hour for hour in flying if hour.shown is not None),
            key=lambda hour: cast(float, hour.shown),
            default=None,
        )

    def gust_at(self, hour: ForecastHour) -> ForecastHour | None:
        """Return the gust of an hour of the mean wind; None where there is none."""
        same = (each for each in self.wind_gust.hours if each.valid_time == hour.valid_time)
        return next((each for each in same if each.shown is not None), None)
