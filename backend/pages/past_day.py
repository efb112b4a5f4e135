"""A past day on a site's page: its chart, the words for each model, and the strip of days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from markupsafe import Markup

from backend.answers.yesterday import Judgement, Miss, ModelOfDay, PastDay, YesterdayAnswer
from backend.core.clock import PARIS
from backend.core.registry import MODELS
from backend.pages.charts.day import DayChart
from backend.pages.charts.render import svg
from backend.pages.charts.style import model_class
from backend.pages.page import Page
from backend.pages.sentences_site import SiteWords
from backend.scoring.grid import Season
from backend.scoring.names import model_name

Kind = Literal["ok", "warn", "bad", "off"]


@dataclass(frozen=True)
class KeyEntry:
    """A line of a chart: the model's name, and the class of the style sheet for its colour."""

    model: str
    name: str
    colour: str


@dataclass(frozen=True)
class Dot:
    """A day of the strip: a mark, its kind, and its words."""

    day: date
    mark: str
    kind: Kind
    text: str


MARKS = {"all": "●", "some": "◐", "none": "○", "surprise": "!", "nothing": "–"}


@dataclass(frozen=True)
class PastDayCard:
    """What the template of a past day needs."""

    page: Page
    answer: YesterdayAnswer

    @property
    def words(self) -> SiteWords:
        """The sentences of the page."""
        return SiteWords(self.page)

    def title(self) -> str:
        """Return the heading: "Yesterday: who was right", or the day in place of yesterday."""
        words, day = self.page.language, self.answer.day.day
        if day == self.page.now.astimezone(PARIS).date() - timedelta(days=1):
            return words.gettext("Yesterday: who was right")
        name = words.day(day)
        return words.gettext("%(day)s: who was right") % {"day": name[:1].upper() + name[1:]}

    @property
    def key(self) -> list[KeyEntry]:
        """The models of the day in the order of their colours."""
        return key_of({model for hour in self.answer.hours for model in hour.forecasts})

    def chart(self) -> Markup | None:
        """Return the chart of the day; None without any value."""
        page, hours = self.page, self.answer.hours
        unit = page.unit
        observed = {hour.hour: unit.of(hour.observation) for hour in hours if hour.observation is not None}
        models = {
            entry.model: {
                hour.hour: unit.of(hour.forecasts[entry.model])
                for hour in hours
                if entry.model in hour.forecasts
            }
            for entry in self.key
        }
        if not observed and not models:
            return None
        first, last = self.answer.flying_hours
        drawn = DayChart(
            first=first,
            last=last,
            unit=unit.symbol,
            models=models,
            observed=observed,
            gusts={
                # Some beacons send a gust below the mean wind, and a band must not be upside down.
                hour.hour: (unit.of(hour.observation), max(unit.of(hour.gust), unit.of(hour.observation)))
                for hour in hours
                if hour.observation is not None and hour.gust is not None
            },
            limit=unit.of(self.answer.limit),
        )
        return svg(drawn.spec(), self._chart_text(len(observed)), decimals=self.page.language.of_charts)

    def _chart_text(self, n: int) -> str:
        words = self.page.language
        return words.ngettext(
            "Wind in %(unit)s on %(day)s: the beacon as a thick line with its gusts, the models as thin"
            " lines (n = %(n)s hour). The table below has the values.",
            "Wind in %(unit)s on %(day)s: the beacon as a thick line with its gusts, the models as thin"
            " lines (n = %(n)s hours). The table below has the values.",
            n,
        ) % {"unit": self.page.unit.symbol, "day": words.day(self.answer.day.day), "n": n}

    def dots(self) -> list[Dot]:
        """Return the strip of days, oldest first."""
        return [self._dot(day) for day in self.answer.strip]

    def _dot(self, day: PastDay) -> Dot:
        words = self.page.language
        judged = [model for model in day.models if model.judgement is not Judgement.TOO_FEW_HOURS]
        right = [model for model in judged if model.judgement is Judgement.RIGHT]
        kind: Kind
        if not judged:
            mark, kind = "nothing", "off"
        # First of all: a surprise is dangerous, however many other models were right.
        elif any(model.judgement is Judgement.BAD_SURPRISE for model in judged):
            mark, kind = "surprise", "bad"
        elif len(right) == len(judged):
            mark, kind = "all", "ok"
        else:
            mark, kind = ("some", "ok") if right else ("none", "warn")
        if judged:
            texts = [f"{model.name} {self.words.judgement(model)}" for model in day.models]
        elif not day.observed_hours:
            texts = [words.gettext("no reading")]
        else:
            texts = [words.gettext("nothing to judge")]
        return Dot(day.day, MARKS[mark], kind, words.day(day.day) + words.colon + ", ".join(texts))

    def mark_of(self, model: ModelOfDay) -> tuple[Kind, str]:
        """Return kind and mark of a model's word."""
        return {
            Judgement.RIGHT: ("ok", "✓"),
            Judgement.TOO_STRONG: ("warn", "▲"),
            Judgement.TOO_WEAK: ("warn", "▼"),
            Judgement.BAD_SURPRISE: ("bad", "!"),
            Judgement.TOO_FEW_HOURS: ("off", "○"),
        }[model.judgement]  # type: ignore[return-value]  # mypy joins the first strings to str

    def season(self) -> str:
        """Return the heading of the worst misses: "Worst misses of this summer"."""
        words = self.page.language
        return {
            Season.WINTER: words.gettext("Worst misses of this winter"),
            Season.SPRING: words.gettext("Worst misses of this spring"),
            Season.SUMMER: words.gettext("Worst misses of this summer"),
            Season.AUTUMN: words.gettext("Worst misses of this autumn"),
        }[self.answer.season]

    def miss(self, miss: Miss) -> str:
        """Return a miss: "AROME announced 12 for 16:00, the beacon read 29"."""
        return self.words.miss(miss.name, miss.pair)


def key_of(models: set[str]) -> list[KeyEntry]:
    """Return models in the fixed order of their colours."""
    order = list(MODELS)
    return [
        KeyEntry(model, model_name(model), model_class(model))
        for model in sorted(
            models, key=lambda name: (order.index(name) if name in MODELS else len(order), name)
        )
    ]
