"""One hour of the corrected forecast in whole numbers, to be followed by hand; the figures are invented."""

from __future__ import annotations

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.issued_history import chance
from backend.forecast.gate import GATED_DAYS, TRIAL_DAYS
from backend.forecast.interval import WINDOW


class ForecastExample(ApiModel):
    """Two models at one hour, in km/h: announced, their usual error here, and their weights."""

    announced: tuple[float, float] = (22.0, 17.0)
    usual_error: tuple[float, float] = Field((4.0, -3.0), description="positive: it announces too much")
    weights: tuple[float, float] = (0.7, 0.3)
    low_error: float = Field(-5.0, description="8 of 10 past errors of the combination lie from here")
    high_error: float = 6.0
    limit: float = 25.0
    days_above: int = 5
    days: int = 60
    window: int = Field(WINDOW, description="days of past errors")
    trial_days: int = TRIAL_DAYS
    gated_days: int = GATED_DAYS

    @property
    def corrected(self) -> tuple[float, float]:
        """What each model announces, less its usual error."""
        one, other = (a - e for a, e in zip(self.announced, self.usual_error, strict=True))
        return one, other

    @property
    def value(self) -> float:
        """The combination."""
        return sum(w * c for w, c in zip(self.weights, self.corrected, strict=True))

    @property
    def chance(self) -> float:
        """The chance of the day."""
        return chance(self.days_above, self.days)
