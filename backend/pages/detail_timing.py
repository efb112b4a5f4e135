"""Whether the wind picks up earlier or later than announced, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.answers.question import make_question
from backend.answers.shown_station import shown_question
from backend.answers.timing import ModelTiming, TimingAnswer, timing_answer
from backend.core.records import Site
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.sentences_scores import ScoreWords
from backend.scoring.constants import STRATUM_DAYS, TIMING_DAYS, TIMING_LIMIT
from backend.scoring.grid import Hours

LIMITS = (10, 15, 20, 25, 30)
"""Limits in km/h that are one tap away."""


def timing_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about timing, for the limit in the address or TIMING_LIMIT."""
    detail = make_detail(page, site, Topic.TIMING)
    withheld = page.withheld()
    limit = page.choices.lim if "lim" in page.request.query_params else TIMING_LIMIT.value
    asked = make_question(page.service, site, hours=Hours.ALL, usual=TIMING_DAYS.value)
    question = shown_question(page.service, asked, withheld, only_public=True)
    answer = timing_answer(page.service, question, withheld, limit=limit)
    return {
        "detail": detail,
        "answer": answer,
        "models": []
        if answer is None
        else [(model, *_sentences(detail.words, answer, model)) for model in answer.models],
        "presets": [
            (detail.words.limit(preset), page.same(lim=preset), preset == limit) for preset in LIMITS
        ],
    }


def _sentences(words: ScoreWords, answer: TimingAnswer, model: ModelTiming) -> tuple[str, str]:
    """Return the shift of a model, and how many days had a rise on one side only."""
    language = words.page.language
    values: dict[str, object] = {
        "model": model.name,
        "limit": words.limit(answer.limit),
        "days": language.number(model.n_days),
        "needed": STRATUM_DAYS.value,
        "same": language.number(model.same_side),
    }
    if model.minutes is None:
        text = language.ngettext(
            "%(model)s: both rose through %(limit)s on %(days)s day; %(needed)s are needed.",
            "%(model)s: both rose through %(limit)s on %(days)s days; %(needed)s are needed.",
            model.n_days,
        )
    elif model.low is None or model.high is None:
        text = language.gettext(
            "%(model)s: it is not known yet whether the wind passes %(limit)s earlier or later than announced"
            " (%(days)s days)."
        )
    elif model.as_announced:
        text = language.gettext(
            "%(model)s: no steady shift, the wind passes %(limit)s about when announced (%(days)s days)."
        )
    elif not model.steady:
        values |= {"low": language.number(model.low), "high": language.number(model.high)}
        text = language.gettext(
            "%(model)s: it is not known yet whether the wind passes %(limit)s earlier or later than announced"
            " (between %(low)s and %(high)s minutes, %(days)s days)."
        )
    else:
        low, high = sorted((abs(model.low), abs(model.high)))
        values |= {"minutes": abs(model.minutes), "low": low, "high": high}
        text = (
            language.gettext(
                "The wind passes %(limit)s %(minutes)s minutes earlier than %(model)s announces (between"
                " %(low)s and %(high)s), on %(same)s of %(days)s days."
            )
            if model.minutes < 0
            else language.gettext(
                "The wind passes %(limit)s %(minutes)s minutes later than %(model)s announces (between"
                " %(low)s and %(high)s), on %(same)s of %(days)s days."
            )
        )
    apart = language.gettext(
        "Days with one side only: announced and did not come %(announced)s, came without being announced"
        " %(observed)s."
    ) % {
        "announced": language.number(model.only_announced),
        "observed": language.number(model.only_observed),
    }
    return text % values, apart
