"""A day to come on a site's page: its chart, its sentence, and the choice of the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from markupsafe import Markup

from backend.answers.announced import VIEWS
from backend.answers.coming_day import HOURS, ComingDay, ComingModel, GivenWind, UnshownReading
from backend.answers.home import is_about_today
from backend.answers.question import InvalidDaysError
from backend.core.clock import PARIS
from backend.core.records import Site
from backend.pages.charts.day import DayChart
from backend.pages.charts.render import svg
from backend.pages.page import Page
from backend.pages.past_day import KeyEntry, key_of
from backend.pages.sentences_home import error_words, run_words, standing_words
from backend.pages.sentences_scores import ScoreWords
from backend.pages.sentences_site import SiteWords
from backend.scoring.constants import STRATUM_DAYS
from backend.scoring.sample.quantities import Quantity


def chosen_day(page: Page, day: date | None) -> date:
    """Return the coming day of a page: the chosen one, else today until noon, and then tomorrow.

    Raises InvalidDaysError for a day without a stored view of its lead.
    """
    today = page.now.astimezone(PARIS).date()
    last = today + timedelta(days=len(VIEWS) - 1)
    if day is not None and day > last:
        raise InvalidDaysError(f"{day}: what is announced is shown up to {last}, the day after tomorrow")
    # A link to a past day, as from an old message, opens the next flying day instead.
    if day is not None and day >= today:
        return day
    return today if is_about_today(page.now) else today + timedelta(days=1)


@dataclass(frozen=True)
class DayLink:
    """A day of the switch."""

    text: str
    href: str
    chosen: bool


@dataclass(frozen=True)
class ComingCard:
    """What the template of a coming day needs."""

    page: Page
    site: Site
    answer: ComingDay

    @property
    def words(self) -> SiteWords:
        """The sentences of the page."""
        return SiteWords(self.page)

    def title(self) -> str:
        """Return the heading: "Tomorrow at Planfait"."""
        words = self.page.language
        texts = (
            words.gettext("Today at %(site)s"),
            words.gettext("Tomorrow at %(site)s"),
            words.gettext("The day after tomorrow at %(site)s"),
        )
        return texts[self.answer.days_ahead] % {"site": self.site.name}

    def switch(self) -> list[DayLink]:
        """Return the links to today, tomorrow and the day after."""
        today, words = self.answer.day - timedelta(days=self.answer.days_ahead), self.page.language
        names = words.gettext("Today"), words.gettext("Tomorrow"), words.gettext("The day after")
        return [
            DayLink(name, self.page.same(day=today + timedelta(days=ahead)), ahead == self.answer.days_ahead)
            for ahead, name in enumerate(names)
        ]

    @property
    def key(self) -> list[KeyEntry]:
        """The models of the day in the order of their colours."""
        return key_of({model for hour in self.answer.hours for model in hour.winds})

    @property
    def when(self) -> str:
        """When the forecasts of past days were read: "the evening before"."""
        return ScoreWords(self.page, Quantity.WIND_SPEED).view_name(self.answer.view)

    # --- Sentences -----------------------------------------------------------------------------------

    def headline(self) -> str:
        """Return what is announced for the strongest hour."""
        words, found, trust = self.page.language, self.answer.headline, self.answer.trust
        if trust is not None and self.answer.over:
            return words.gettext("The flying hours of today are over.")
        if found is None or trust is None:
            return words.gettext("No public model has values for this day.")
        return words.gettext("%(name)s announces %(wind)s at %(hour)s.") % {
            "name": trust.wind.name,
            "wind": self.words.speed(found.wind),
            "hour": words.hour(found.hour),
        }

    def usually(self) -> str:
        """Return what the beacon read when as much was announced."""
        words, answer = self.page.language, self.answer
        given = None if answer.headline is None else answer.headline.given
        if answer.station is None:
            if answer.station_withheld:
                return words.gettext("What comes then is not shown: the beacon’s readings are not public.")
            return words.gettext("What comes then is not known: this site has no beacon.")
        if given is None:
            return words.gettext("It has not announced such a wind here before.")
        if given.p10 is None or given.p90 is None or given.days_above is None:
            text = words.ngettext(
                "It announced as much on %(num)s day so far; from %(least)s days on, this sentence has what"
                " the beacon reads then.",
                "It announced as much on %(num)s days so far; from %(least)s days on, this sentence has what"
                " the beacon reads then.",
                given.n_days,
            )
            return text % {"num": given.n_days, "least": STRATUM_DAYS.value}
        return words.gettext(
            "When it announces %(class)s %(when)s, the beacon reads %(low)s–%(high)s (8 times in 10, %(days)s"
            " days, %(hours)s h), above %(limit)s: on %(above)s of %(days)s days."
        ) % {
            "class": self.class_of(given),
            "when": self.when,
            "low": self.page.speed(given.p10),
            "high": self.page.speed(given.p90),
            "days": words.number(given.n_days),
            "hours": words.number(given.n_hours),
            "limit": self.page.speed(answer.limit),
            "above": words.number(given.days_above),
        }

    def class_of(self, given: GivenWind) -> str:
        """Return the class of a wind: "25–30", "50 or more"."""
        words = self.page.language
        if given.high is None:
            return words.gettext("%(low)s or more") % {"low": self.page.speed(given.low or 0)}
        return f"{self.page.speed(given.low or 0)}–{self.page.speed(given.high)}"

    def standing(self) -> str:
        """Return how well the model of the sentence is known here, and how far it is usually wrong."""
        trust = self.answer.trust
        if trust is None:
            return ""
        known = standing_words(self.page, trust.wind, has_station=self.answer.station is not None)
        error = error_words(self.page, trust.wind)
        return known if error is None else f"{known}, {error}"

    def run(self, model: ComingModel) -> str:
        """Return the newest run of a model with its age."""
        return run_words(self.page, model.newest_run, model.age_seconds)

    def gust(self) -> str:
        """Return the strongest gust; empty if none is announced."""
        words, gust = self.page.language, self.answer.gust
        if gust is None:
            return ""
        return words.gettext("Gusts up to %(gust)s at %(hour)s (%(name)s).") % {
            "gust": self.words.speed(gust.gust),
            "hour": words.hour(gust.hour),
            "name": gust.name,
        }

    def runs(self) -> list[tuple[KeyEntry, str]]:
        """Return each model's last values for the hour of the sentence, the newest last."""
        if self.answer.headline is None:
            return []
        by_model = {
            each.model: [run.wind_speed for run in reversed(each.runs) if run.wind_speed is not None]
            for each in self.answer.headline.runs
        }
        return [
            (entry, ", ".join(self.page.speed(value) for value in by_model[entry.model]))
            # One run alone shows no change.
            for entry in key_of({model for model, values in by_model.items() if len(values) > 1})
        ]

    def unshown(self, reading: UnshownReading) -> str:
        """Return how to read a model that may not be shown; empty without a published score."""
        words = self.page.language
        if reading.mean_error is None or reading.first_day is None or reading.last_day is None:
            return ""
        first, last = words.month(reading.first_day), words.month(reading.last_day)
        low, high = (0.0, 0.0) if reading.interval is None else (reading.interval.low, reading.interval.high)
        if reading.interval is None:
            text = words.gettext("Not enough data yet for its bias here (%(period)s).")
            ends = (0.0, 0.0)
        # An interval with 0 in it has no sign, so the sentence must have none either.
        elif low <= 0 <= high:
            text = words.gettext("It has no steady bias here (%(period)s).")
            ends = (0.0, 0.0)
        elif reading.mean_error > 0:
            text = words.gettext(
                "It usually announces %(size)s too much here (between %(low)s and %(high)s; %(period)s)."
            )
            ends = (low, high)
        else:
            text = words.gettext(
                "It usually announces %(size)s too little here (between %(low)s and %(high)s; %(period)s)."
            )
            ends = (-high, -low)
        return text % {
            "size": f"{self.page.speed(abs(reading.mean_error), 1)}\N{NO-BREAK SPACE}{self.page.unit.symbol}",
            "low": self.page.speed(ends[0], 1),
            "high": self.page.speed(ends[1], 1),
            "period": first
            if first == last
            else words.gettext("%(first)s to %(last)s") % {"first": first, "last": last},
        }

    # --- Chart ---------------------------------------------------------------------------------------

    @property
    def has_observed(self) -> bool:
        """Whether the beacon has readings of this day."""
        return any(hour.observed is not None for hour in self.answer.hours)

    def band_days(self) -> tuple[int, int] | None:
        """Return the least and the most days behind an hour of the band; None without a band."""
        days = [hour.given.n_days for hour in self.answer.hours if hour.given and hour.given.shown]
        return (min(days), max(days)) if days else None

    def band_text(self) -> str:
        """Return what the band is, with its number of days; empty without a band."""
        words, days, trust = self.page.language, self.band_days(), self.answer.trust
        if days is None or trust is None:
            return ""
        number = words.number(days[0])
        if days[0] != days[1]:
            number = f"{number}–{words.number(days[1])}"
        return words.gettext(
            "Band: 8 of 10 readings when %(name)s announced as much %(when)s (n = %(days)s days)."
        ) % {"name": trust.wind.name, "when": self.when, "days": number}

    def thin_text(self) -> str:
        """Return why some hours have no range of the beacon's readings; empty where each has one."""
        words = self.page.language
        days = [hour.given.n_days for hour in self.answer.hours if hour.given and not hour.given.shown]
        if not days:
            return ""
        text = words.ngettext(
            "No range at %(hours)s: such a wind was announced on %(days)s day so far, and a range needs"
            " %(least)s.",
            "No range at %(hours)s: such a wind was announced on %(days)s days so far, and a range needs"
            " %(least)s.",
            max(days),
        )
        thin = [hour.hour for hour in self.answer.hours if hour.given and not hour.given.shown]
        spans = []
        for _, run in groupby(enumerate(thin), lambda each: each[1] - each[0]):  # consecutive hours
            names = [words.hour(hour) for _, hour in run]
            spans += names if len(names) < 3 else [f"{names[0]}–{names[-1]}"]
        return text % {
            "hours": words.listed(spans),
            "days": "–".join(words.number(count) for count in sorted({min(days), max(days)})),
            "least": words.number(STRATUM_DAYS.value),
        }

    def chart(self) -> Markup | None:
        """Return the chart of the day; None without any announced wind."""
        answer, unit, words = self.answer, self.page.unit, self.page.language
        key = self.key
        if not key:
            return None
        drawn = DayChart(
            first=HOURS[0],
            last=HOURS[-1],
            unit=unit.symbol,
            models={
                entry.model: {
                    hour.hour: unit.of(hour.winds[entry.model])
                    for hour in answer.hours
                    if entry.model in hour.winds
                }
                for entry in key
            },
            band={
                hour.hour: (unit.of(hour.given.p10), unit.of(hour.given.p90))
                for hour in answer.hours
                if hour.given is not None and hour.given.p10 is not None and hour.given.p90 is not None
            },
            observed={
                hour.hour: unit.of(hour.observed) for hour in answer.hours if hour.observed is not None
            },
            limit=unit.of(answer.limit),
            arrows={
                hour.hour: (hour.direction, bool(hour.on_slope))
                for hour in answer.hours
                if hour.direction is not None
            },
        )
        text = words.gettext(
            "Announced mean wind in %(unit)s on %(day)s, %(first)s to %(last)s: a line for each of"
            " %(models)s. The table below has the values."
        ) % {
            "unit": unit.symbol,
            "day": words.day(answer.day),
            "first": words.hour(HOURS[0]),
            "last": words.hour(HOURS[-1]),
            "models": words.listed([entry.name for entry in key]),
        }
        return svg(drawn.spec(), text, decimals=words.of_charts)
