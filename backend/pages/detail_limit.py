"""How often a "go" was a bad surprise at the pilot's own limits, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.answers.details import events_answer
from backend.answers.shapes import Event, EventsAnswer, ModelEvent
from backend.core.records import Site
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import apart_questions
from backend.pages.sentences_scores import coarse_share
from backend.scoring.constants import LEAST_LIMIT, MOST_LIMIT

EVENTS = ("wind_over", "gust_over", "not_flyable_day")
"""The events of the page, in their order."""

PRESETS = (15, 20, 25, 30, 35, 40)
"""Limits in km/h that are one tap away."""


@dataclass(frozen=True)
class EventWords:
    """The sentences about one event."""

    page: Page
    event: Event

    def limit(self) -> str:
        """Return the limit in the pilot's unit."""
        unit = self.page.unit
        value = unit.of(self.event.limit or 0)
        text = self.page.language.number(value, 0 if abs(value - round(value)) < 0.05 else 1)
        return f"{text}\N{NO-BREAK SPACE}{unit.symbol}"

    def title(self) -> str:
        """Return what the event is about."""
        words = self.page.language
        if self.event.event == "wind_over":
            return words.gettext("Mean wind, limit %(limit)s") % {"limit": self.limit()}
        if self.event.event == "gust_over":
            return words.gettext("Gusts, limit %(limit)s") % {"limit": self.limit()}
        return words.gettext("Flyable days within both limits")

    def cells(self, model: ModelEvent) -> list[tuple[str, int, bool]]:
        """Return the four cases in words, each with its count and whether it is a bad surprise."""
        words, counts = self.page.language, model.counts
        if counts is None:
            return []
        if self.event.units == "days":
            return [
                (words.gettext("announced flyable, was flyable"), counts.correct_rejections, False),
                (words.gettext("announced flyable, was not"), counts.misses, True),
                (words.gettext("announced not flyable, was not"), counts.hits, False),
                (words.gettext("announced not flyable, was flyable"), counts.false_alarms, False),
            ]
        return [
            (words.gettext("announced fine, was fine"), counts.correct_rejections, False),
            (words.gettext("announced fine, was too strong"), counts.misses, True),
            (words.gettext("announced too strong, was too strong"), counts.hits, False),
            (words.gettext("announced too strong, was fine"), counts.false_alarms, False),
        ]

    def count(self, number: int) -> str:
        """Return a number of hours or days in words."""
        words = self.page.language
        text = (
            words.ngettext("%(num)s day", "%(num)s days", number)
            if self.event.units == "days"
            else words.ngettext("%(num)s hour", "%(num)s hours", number)
        )
        return text % {"num": words.number(number)}

    def sentence(self, model: ModelEvent) -> str:
        """Return how often the "go" of a model was a bad surprise."""
        words, rate = self.page.language, model.surprises
        names = {"model": model.name, "limit": self.limit()}
        days = self.event.units == "days"
        if rate is None:
            if not model.n_pairs:
                return words.gettext("%(model)s: no hour in common with the beacon.") % names
            return words.gettext("%(model)s: not enough data yet.") % names
        if rate.of == 0:
            if days:
                return words.gettext("%(model)s never announced a flyable day.") % names
            return words.gettext("%(model)s never announced at most %(limit)s.") % names
        if rate.count is None or rate.of is None:
            return self.rounded(model)
        texts = {
            (False, False): words.gettext(
                "When %(model)s announced at most %(limit)s, more came in %(count)s of %(of)s hours."
            ),
            (False, True): words.gettext(
                "When %(model)s announced at most %(limit)s, more came in %(count)s of %(of)s hours:"
                " %(rate)s (between %(low)s and %(high)s)."
            ),
            (True, False): words.gettext(
                "When %(model)s announced a flyable day, it was not one on %(count)s of %(of)s days."
            ),
            (True, True): words.gettext(
                "When %(model)s announced a flyable day, it was not one on %(count)s of %(of)s days:"
                " %(rate)s (between %(low)s and %(high)s)."
            ),
        }
        interval = rate.interval if rate.value is not None else None
        values = {**names, "count": words.number(rate.count), "of": words.number(rate.of)}
        if interval is not None and rate.value is not None:
            values |= {
                "rate": words.percent(rate.value),
                "low": words.percent(interval.low),
                "high": words.percent(interval.high),
            }
        return texts[days, interval is not None] % values

    def rounded(self, model: ModelEvent) -> str:
        """Return only the rounded rate, which is all that is published with values that are not public."""
        words, rate = self.page.language, model.surprises
        names = {"model": model.name, "limit": self.limit()}
        if rate is None or rate.value is None:
            return words.gettext("%(model)s: not enough data for a figure that may be published.") % names
        values = {**names, "rate": coarse_share(words, rate.value)}
        if self.event.units == "days":
            return (
                words.gettext("%(model)s: %(rate)s of the days that it announced as flyable were not.")
                % values
            )
        return (
            words.gettext(
                "%(model)s: in %(rate)s of the hours for which it announced at most %(limit)s, more came."
            )
            % values
        )


def limit_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about a pilot's own limits.

    The limits are free for public values. What uses a withheld source has one rate at the nearest 5 km/h.
    """
    detail = make_detail(page, site, Topic.LIMIT, views=True)
    withheld = page.withheld()
    limits = {"wind_limit": page.choices.lim, "gust_limit": page.choices.glim}
    public, of_all = apart_questions(page, site, detail.choices)
    answer = events_answer(page.service, public, withheld, **limits)
    others = None if of_all is None else events_answer(page.service, of_all, withheld, **limits)
    return {
        "detail": detail,
        "answer": answer,
        "events": _shown(page, answer),
        "others": None if others is None else _shown(page, others),
        "others_answer": others,
        "hidden_models": set(withheld.models),
        "least_limit": LEAST_LIMIT.value,
        "most_limit": MOST_LIMIT.value,
        "presets": [
            (detail.words.limit(preset), page.same(lim=preset), preset == page.choices.lim)
            for preset in PRESETS
        ],
    }


def _shown(page: Page, answer: EventsAnswer) -> list[EventWords]:
    by_name = {event.event: event for event in answer.events}
    return [EventWords(page, by_name[name]) for name in EVENTS if name in by_name]
