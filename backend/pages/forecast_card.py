"""The corrected forecast at the top of a coming day's card: its sentences, its chart and its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from backend.answers.coming_day import HOURS
from backend.answers.forecast_shapes import ForecastAnswer, ForecastHour, ForecastState
from backend.pages.charts.fan import FanChart
from backend.pages.charts.render import svg
from backend.pages.page import Page
from backend.pages.sentences_forecast import ForecastWords


@dataclass(frozen=True)
class ForecastCard:
    """What the template of the corrected forecast needs. `observed` is what the beacon read so far, km/h."""

    page: Page
    answer: ForecastAnswer
    observed: Mapping[int, float]

    @property
    def words(self) -> ForecastWords:
        """The sentences of the forecast."""
        return ForecastWords(self.page, self.answer)

    @property
    def state(self) -> ForecastState:
        """The state of the mean wind, which decides how the forecast is shown."""
        return self.answer.wind_speed.state

    @property
    def is_shown(self) -> bool:
        """Whether the forecast is shown first, above the models."""
        return self.state is ForecastState.SHOWN

    @property
    def is_computed(self) -> bool:
        """Whether the values were computed for this page, and not issued."""
        return self.state is ForecastState.TRIAL and self.answer.wind_speed.record is None

    @property
    def may_compute(self) -> bool:
        """Whether a forecast on trial can be asked for."""
        return self.state is ForecastState.NOT_ISSUED and self.answer.station is not None

    @property
    def hours(self) -> list[tuple[ForecastHour, ForecastHour | None]]:
        """The shown hours with a mean wind, each with its gust."""
        return [
            (hour, self.answer.gust_at(hour) if self.answer.wind_gust.state.has_values else None)
            for hour in self.answer.wind_speed.hours
            if hour.hour in HOURS and hour.value is not None
        ]

    def chart(self) -> Markup | None:
        """Return the fan of the day; None without corrected values."""
        unit, words = self.page.unit, self.page.language
        if not self.state.has_values or not self.hours:
            return None

        def between(low: str, high: str) -> dict[int, tuple[float, float]]:
            return {
                hour.hour: (unit.of(getattr(hour, low)), unit.of(getattr(hour, high)))
                for hour, _ in self.hours
                if getattr(hour, low) is not None and getattr(hour, high) is not None
            }

        drawn = FanChart(
            first=HOURS[0],
            last=HOURS[-1],
            unit=unit.symbol,
            middle={hour.hour: unit.of(hour.value) for hour, _ in self.hours if hour.value is not None},
            outer=between("p10", "p90"),
            inner=between("p25", "p75"),
            gust={
                hour.hour: unit.of(gust.value)
                for hour, gust in self.hours
                if gust is not None and gust.value is not None
            },
            observed={hour: unit.of(value) for hour, value in self.observed.items() if hour in HOURS},
            limit=unit.of(self.answer.limit),
        )
        text = words.gettext(
            "Corrected mean wind in %(unit)s on %(day)s, %(first)s to %(last)s, with the range of 8 and of 5"
            " times in 10. The table below has the values."
        ) % {
            "unit": unit.symbol,
            "day": words.day(self.answer.day),
            "first": words.hour(HOURS[0]),
            "last": words.hour(HOURS[-1]),
        }
        return svg(drawn.spec(), text, decimals=words.of_charts)
