"""Sentences about the corrected forecast, in the reader's language, from the fields of the answer."""

from __future__ import annotations

from dataclasses import dataclass

from backend.answers.forecast_shapes import (
    ForecastAnswer,
    ForecastHour,
    ForecastState,
    GateFinding,
    ParameterForecast,
    is_learning,
)
from backend.answers.issued_history import DayChance
from backend.core.parameters import Parameter
from backend.pages.page import Page


@dataclass(frozen=True)
class ForecastWords:
    """The words of one forecast. Speeds are given in km/h and written in the pilot's unit."""

    page: Page
    answer: ForecastAnswer

    def _speed(self, kmh: float) -> str:
        return f"{self.page.speed(kmh)}\N{NO-BREAK SPACE}{self.page.unit.symbol}"

    def interval(self, hour: ForecastHour) -> str:
        """Return the range of 8 times in 10: "13–24"; a dash without one."""
        if hour.p10 is None or hour.p90 is None:
            return "–"
        return f"{self.page.speed(hour.p10)}–{self.page.speed(hour.p90)}"

    def inner(self, hour: ForecastHour) -> str:
        """Return the range of 5 times in 10; a dash without one."""
        if hour.p25 is None or hour.p75 is None:
            return "–"
        return f"{self.page.speed(hour.p25)}–{self.page.speed(hour.p75)}"

    def chance(self, hour: ForecastHour) -> str:
        """Return the chance of more than the limit; below 30 days its count of days."""
        words = self.page.language
        if hour.chance is not None:
            return words.percent(hour.chance)
        if hour.chance_days is None or hour.days_above is None:
            return "–"
        return words.gettext("%(above)s of %(days)s days") % {
            "above": words.number(hour.days_above),
            "days": words.number(hour.chance_days),
        }

    # --- The day -----------------------------------------------------------------------------------------

    def headline(self) -> str:
        """Return the strongest flying hour: "14:00: 18 km/h, gusts 27"."""
        words, hour = self.page.language, self.answer.strongest
        if hour is None or hour.value is None:
            return words.gettext("No corrected values in the flying hours.")
        text = f"{words.hour(hour.hour)}{words.colon}{self._speed(hour.value)}"
        gust = self._gust(hour)
        if gust is None or gust.value is None:
            return text
        return words.gettext("%(wind)s, gusts %(gust)s") % {
            "wind": text,
            "gust": self.page.speed(gust.value),
        }

    def ranges(self) -> str:
        """Return the intervals of the strongest hour and its chance of more than the limit."""
        words, hour = self.page.language, self.answer.strongest
        if hour is None or hour.p10 is None:
            return words.gettext("Too few past days for a range yet.")
        gust = self._gust(hour)
        if gust is None or gust.p10 is None:
            text = words.gettext("8 times in 10: %(wind)s.") % {"wind": self.interval(hour)}
        else:
            text = words.gettext("8 times in 10: %(wind)s, gusts %(gust)s.") % {
                "wind": self.interval(hour),
                "gust": self.interval(gust),
            }
        if hour.chance is None:
            return text
        at_hour = words.gettext("Chance of more than %(limit)s at that hour: %(chance)s.") % {
            "limit": self._speed(self.answer.limit),
            "chance": words.percent(hour.chance),
        }
        return f"{text} {at_hour}"

    def day_chance(self) -> str:
        """Return the chance of more than a limit in any flying hour; empty where there is none."""
        words, of = self.page.language, self.answer.day_chance
        if of is None:
            return ""
        figures = {
            "limits": limits_words(self.page, of, self.answer.limit, self.answer.gust_limit),
            "first": words.hour(of.first_hour),
            "last": words.hour(of.last_hour),
        }
        if of.chance is not None:
            return words.gettext(
                "Chance of more than %(limits)s in any hour from %(first)s to %(last)s: %(chance)s."
            ) % {**figures, "chance": words.percent(of.chance)}
        return words.ngettext(
            "With the errors of %(days)s past day, more than %(limits)s would have come on %(above)s of them"
            " between %(first)s and %(last)s.",
            "With the errors of %(days)s past days, more than %(limits)s would have come on %(above)s of them"
            " between %(first)s and %(last)s.",
            of.n_days,
        ) % {**figures, "days": words.number(of.n_days), "above": words.number(of.days_above)}

    def held(self) -> str:
        """Return how often such intervals held here; empty without an issued day with readings."""
        words, held = self.page.language, self.answer.wind_speed.held
        if held is None:
            return ""
        figures = {"share": words.percent(held.share), "days": words.number(held.n_days)}
        text = (
            words.ngettext(
                "Such ranges held here for %(share)s of the hours on %(days)s day",
                "Such ranges held here for %(share)s of the hours on %(days)s days",
                held.n_days,
            )
            % figures
        )
        if held.low is None or held.high is None:
            return f"{text}."
        ends = words.gettext("between %(low)s and %(high)s") % {
            # An interval of means of few days can end below 0 or above 1, where no share can be.
            "low": words.percent(max(held.low, 0.0)),
            "high": words.percent(min(held.high, 1.0)),
        }
        return f"{text} ({ends})."

    def issued(self) -> str:
        """Return when the forecast was issued, and its number in the record."""
        words, record = self.page.language, self.answer.wind_speed.record
        if record is None:
            return ""
        text = words.gettext("Issued on %(day)s at %(time)s, number %(number)s of this site’s record.") % {
            "day": words.day(record.issued_at),
            "time": words.clock(record.issued_at),
            "number": words.number(record.number),
        }
        if record.late:
            text += " " + words.gettext("It was issued late, so it is not scored.")
        return text

    def restarted(self) -> str:
        """Return why the learning started again; empty if it did not of late."""
        words, restart = self.page.language, self.answer.learning_restarted
        if restart is None:
            return ""
        day = words.day(restart.since)
        if restart.kilometres is None:
            return words.gettext(
                "The learning started again on %(day)s: the beacon is %(name)s now, it was %(before)s before."
            ) % {"day": day, "name": restart.station_name, "before": restart.before_name}
        text = words.gettext(
            "The learning started again on %(day)s: the beacon was moved by %(distance)s km."
        ) % {"day": day, "distance": words.number(restart.kilometres, 1)}
        if restart.confirmed:
            return text
        return f"{text} " + words.gettext(
            "Its readings count again once the operator has confirmed the new place."
        )

    def gust_state(self) -> str:
        """Return why the gust is not corrected although the wind is; empty where both are."""
        words, gust = self.page.language, self.answer.wind_gust
        if gust.state.has_values:
            return ""
        if gust.state is ForecastState.NO_MODEL:
            return words.gettext("Without gusts: no public model has them.")
        return words.gettext("Gusts are not corrected: %(reason)s.") % {"reason": self._reasons(gust)}

    # --- In place of the forecast ------------------------------------------------------------------------

    def instead(self) -> str:
        """Return why the models stand by themselves, or how far a trial is."""
        words, of = self.page.language, self.answer.wind_speed
        figures = {"days": words.number(of.n_days), "least": words.number(of.least_days)}
        if of.state is ForecastState.TRIAL:
            if any(is_learning(each, of.learned_days) for each in of.reasons):
                return words.gettext(
                    "Corrected forecast on trial: %(days)s of %(least)s days learned, then as many issued"
                    " days must show that it is better."
                ) % {**figures, "days": words.number(of.learned_days)}
            if of.n_days < of.least_days and not of.reasons:
                return words.gettext("Corrected forecast on trial: day %(days)s of %(least)s.") % figures
            return words.gettext("Corrected forecast on trial: %(reasons)s.") % {"reasons": self._reasons(of)}
        if of.state in (ForecastState.CLOSED, ForecastState.VETO):
            text = (
                words.gettext("The corrected forecast is not shown at this site: %(reasons)s.")
                if of.state is ForecastState.VETO
                else words.gettext("The corrected forecast is not shown: %(reasons)s.")
            ) % {"reasons": self._reasons(of)}
            if of.best_name is None:
                return text
            best = words.gettext("Of the models, %(name)s erred least here so far.")
            return f"{text} {best % {'name': of.best_name}}"
        if of.state is ForecastState.TOO_FEW_DAYS:
            return (
                words.ngettext(
                    "No corrected forecast yet: %(days)s day with readings so far, %(least)s are needed.",
                    "No corrected forecast yet: %(days)s days with readings so far, %(least)s are needed.",
                    of.n_days,
                )
                % figures
            )
        if self.answer.station is None:
            return words.gettext(
                "No corrected forecast: without a public beacon nothing can be learned here."
            )
        if of.state is ForecastState.NO_MODEL:
            return words.gettext("No corrected forecast: no public model has values for this day.")
        return words.gettext("No corrected forecast was issued for this day.")

    def replayed(self) -> str:
        """Return how a replay of the stored days did; empty without one."""
        words, of = self.page.language, self.answer.wind_speed.replayed
        if of is None:
            return ""
        text = words.ngettext(
            "Computed now from past days. Replayed on %(days)s day, it was wrong by %(own)s on average, the"
            " best model by %(best)s, and %(share)s of the readings were within the range.",
            "Computed now from past days. Replayed on %(days)s days, it was wrong by %(own)s on average, the"
            " best model by %(best)s, and %(share)s of the readings were within the range.",
            of.n_days,
        )
        return text % {
            "days": words.number(of.n_days),
            "own": f"{self.page.speed(of.mean_error_size, 1)}\N{NO-BREAK SPACE}{self.page.unit.symbol}",
            "best": f"{self.page.speed(of.best_error_size, 1)}\N{NO-BREAK SPACE}{self.page.unit.symbol}",
            "share": words.percent(of.within),
        }

    def _gust(self, hour: ForecastHour) -> ForecastHour | None:
        return self.answer.gust_at(hour) if self.answer.wind_gust.state.has_values else None

    def _reasons(self, of: ParameterForecast) -> str:
        found = [self.reason(each) for each in of.reasons]
        return (
            self.page.language.listed(found) if found else self.page.language.gettext("it is not proven yet")
        )

    def reason(self, finding: GateFinding) -> str:
        """Return a reason of the gate with its figure; a code of a later version stands by itself."""
        words = self.page.language
        figure = 0.0 if finding.figure is None else finding.figure
        limit = 0.0 if finding.limit is None else finding.limit
        texts = {
            "few_days": words.gettext(
                "%(count)s of %(least)s days of proof so far; an issued day counts once %(least)s days are"
                " learned"
            ),
            "mae_not_better": words.gettext("it is not surely better than the best model"),
            "crps_not_better": words.gettext("its ranges are not surely better than those of the best model"),
            "coverage_off": words.gettext("its ranges held for %(share)s of the hours instead of %(aim)s"),
            "coverage_uncertain": words.gettext("how often its ranges hold is not known well enough"),
            "placebo_as_good": words.gettext("the correction of another beacon does about as well"),
            "site_no_gain": words.gettext("here it was not better than the best model"),
            "site_under_covers": words.gettext("its ranges held here for %(share)s of the hours only"),
        }
        # The record keeps the codes of all versions of the method.
        if finding.code not in texts:
            return finding.code.replace("_", " ")
        return texts[finding.code] % {
            "count": words.number(figure),
            "least": words.number(limit),
            "share": words.percent(figure),
            "aim": words.percent(limit),
        }


def chance_item(page: Page, of: DayChance, limit: float, gust_limit: float) -> str:
    """Return the chance of a day in few words: "more than 25 km/h or 35 in gusts: 23 %"."""
    words = page.language
    share = (
        words.gettext("%(above)s of %(days)s days")
        % {"above": words.number(of.days_above), "days": words.number(of.n_days)}
        if of.chance is None
        else words.percent(of.chance)
    )
    return words.gettext("chance of more than %(limits)s: %(chance)s") % {
        "limits": limits_words(page, of, limit, gust_limit),
        "chance": share,
    }


def limits_words(page: Page, of: DayChance, limit: float, gust_limit: float) -> str:
    """Return the limits of a chance: "25 km/h, or 35 in gusts"."""
    wind = f"{page.speed(limit)}\N{NO-BREAK SPACE}{page.unit.symbol}"
    if Parameter.WIND_GUST not in of.parameters:
        return wind
    return page.language.gettext("%(wind)s or %(gust)s in gusts") % {
        "wind": wind,
        "gust": page.speed(gust_limit),
    }
