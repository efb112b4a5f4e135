"""By how much each model announces too much or too little, by part of the day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from backend.answers.details import bias_answer
from backend.answers.shapes import BiasGroup, ModelBias
from backend.core.records import Site
from backend.pages.charts.intervals import IntervalChart, Point
from backend.pages.charts.render import svg
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import answered_apart
from backend.pages.sentences_scores import ScoreWords
from backend.scoring.constants import STRATUM_DAYS

PARTS = ("06-08", "09-11", "12-14", "15-17", "18-20")
"""The parts of the day with a sentence; the table has the night too."""


@dataclass(frozen=True)
class BiasWords:
    """The sentences about the bias of one model."""

    words: ScoreWords
    model: ModelBias

    def whole(self) -> str:
        """Return the bias in flying hours."""
        language = self.words.page.language
        when = language.gettext("In flying hours (%(hours)s)") % {"hours": self.words.hours()}
        return self._sentence(when, self.model.mean_error, self.model.interval, self.model.tendency)

    def part(self, group: BiasGroup) -> str:
        """Return the bias in a part of the day."""
        return self._sentence(
            part_name(self.words, group.group), group.mean_error, group.interval, group.tendency
        )

    def given(self) -> list[str]:
        """Return what the beacon read after forecasts of some strength, where there are enough days."""
        language = self.words.page.language
        sentences = []
        for group in self.model.given_forecast:
            if group.p10 is None or group.p90 is None:
                continue
            values = {
                "low": None if group.low is None else self.words.page.speed(group.low),
                "high": None if group.high is None else self.words.whole(group.high),
                "p10": self.words.page.speed(group.p10),
                "p90": self.words.whole(group.p90),
                "days": language.number(group.n_days),
            }
            if group.low is None:
                text = language.gettext(
                    "Below %(high)s announced: the beacon read %(p10)s to %(p90)s (8 times in 10, %(days)s"
                    " days)."
                )
            elif group.high is None:
                values["low"] = self.words.whole(group.low)
                text = language.gettext(
                    "%(low)s or more announced: the beacon read %(p10)s to %(p90)s (8 times in 10, %(days)s"
                    " days)."
                )
            else:
                text = language.gettext(
                    "%(low)s to %(high)s announced: the beacon read %(p10)s to %(p90)s (8 times in 10,"
                    " %(days)s days)."
                )
            sentences.append(text % values)
        return sentences

    def thin(self) -> str:
        """Return which strengths were announced on too few days for such a range; empty without one."""
        language = self.words.page.language
        classes = [
            language.ngettext("%(class)s on %(days)s day", "%(class)s on %(days)s days", group.n_days)
            % {"class": self.class_of(group.low, group.high), "days": language.number(group.n_days)}
            for group in self.model.given_forecast
            if not group.shown and group.n_days
        ]
        if not classes:
            return ""
        return language.gettext("Too few days for a range so far (%(least)s needed): %(classes)s.") % {
            "least": language.number(STRATUM_DAYS.value),
            "classes": language.listed(classes),
        }

    def class_of(self, low: float | None, high: float | None) -> str:
        """Return a class of speeds: "25–30 km/h"."""
        language, speed = self.words.page.language, self.words.page.speed
        if high is None:
            return language.gettext("%(low)s or more") % {"low": self.words.whole(low or 0)}
        return f"{speed(low or 0)}–{self.words.whole(high)}"

    def _sentence(self, when: str, bias: float | None, interval: Any, tendency: str | None) -> str:
        words = self.words.page.language
        names = {"when": when, "model": self.model.name}
        if bias is None or interval is None or tendency is None:
            return words.gettext("%(when)s %(model)s: not enough data for a bias.") % names
        if tendency == "no steady bias":
            return words.gettext("%(when)s %(model)s has no steady bias.") % names
        # The sentence has the side in words, so its sizes are without a sign, the smaller one first.
        low, high = sorted((abs(interval.low), abs(interval.high)))
        values = names | {
            "size": self.words.amount(abs(bias)),
            "low": self.words.amount(low, unit=False),
            "high": self.words.amount(high, unit=False),
        }
        texts = {
            "overestimates": words.gettext(
                "%(when)s %(model)s announces %(size)s too much (between %(low)s and %(high)s)."
            ),
            "underestimates": words.gettext(
                "%(when)s %(model)s announces %(size)s too little (between %(low)s and %(high)s)."
            ),
            "clockwise": words.gettext(
                "%(when)s %(model)s announces a wind turned clockwise by %(size)s (between %(low)s and"
                " %(high)s)."
            ),
            "anticlockwise": words.gettext(
                "%(when)s %(model)s announces a wind turned anticlockwise by %(size)s (between %(low)s and"
                " %(high)s)."
            ),
        }
        return texts[tendency] % values


def part_name(words: ScoreWords, group: str) -> str:
    """Return a part of the day at the beginning of a sentence."""
    language = words.page.language
    first, last = (int(hour) for hour in group.split("-"))
    names = {
        "06-08": language.gettext("In the early morning (%(first)s to %(last)s)"),
        "09-11": language.gettext("In the morning (%(first)s to %(last)s)"),
        "12-14": language.gettext("At midday (%(first)s to %(last)s)"),
        "15-17": language.gettext("In the afternoon (%(first)s to %(last)s)"),
        "18-20": language.gettext("In the evening (%(first)s to %(last)s)"),
    }
    night = language.gettext("At night (%(first)s to %(last)s)")
    return names.get(group, night) % {"first": language.hour(first), "last": language.hour(last)}


def bias_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about the bias."""
    detail = make_detail(page, site, Topic.BIAS, parameters=True, views=True)
    apart = answered_apart(page, site, detail.choices, bias_answer)
    models = [model for _, model in apart.models(lambda answer: answer.models) if model.n_pairs]
    behind = detail.words.behind(
        {
            model.name: [
                (group.n_days, group.n_pairs)
                for group in model.by_part_of_day
                if group.group in PARTS and group.mean_error is not None
            ]
            for model in models
        }
    )
    return {
        "detail": detail,
        "behind": behind,
        "answer": apart.public,
        "rounded": apart.rounded,
        "models": [
            (
                BiasWords(detail.words, model),
                [group for group in model.by_part_of_day if group.group in PARTS],
            )
            for model in models
        ],
        "drawn": [
            model
            for model in models
            if any(group.shown for group in model.by_part_of_day if group.group in PARTS)
        ],
        "chart": _chart(detail.words, models, behind),
        "part_name": part_name,
    }


def _chart(words: ScoreWords, models: list[ModelBias], behind: str) -> Markup | None:
    """Return the bias of all models by part of the day; None where no part has enough days."""
    language, shown = words.page.language, words.shown
    lines: dict[str, dict[int, Point]] = {}
    for model in models:
        groups = {group.group: group for group in model.by_part_of_day}
        lines[model.model] = {
            index: Point(
                shown(group.mean_error),
                None if group.interval is None else shown(group.interval.low),
                None if group.interval is None else shown(group.interval.high),
            )
            for index, part in enumerate(PARTS)
            if (group := groups.get(part)) is not None and group.mean_error is not None
        }
    lines = {model: points for model, points in lines.items() if points}
    if not lines:
        return None
    labels = []
    for part in PARTS:
        first, last = (int(hour) for hour in part.split("-"))
        labels.append(f"{first}-{last} h")
    drawn = IntervalChart(groups=labels, unit=words.unit, models=lines)
    return svg(
        drawn.spec(),
        language.gettext(
            "Mean error of each model by part of the day, with its interval. Above 0 it announces too much."
            " The table below has the values."
        )
        + f" {behind}",
        decimals=language.of_charts,
    )
