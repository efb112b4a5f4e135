"""How many of the expected hours each model and the beacon have, by month too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from backend.answers.scores import scores_answer
from backend.core.records import Site
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import apart_questions
from backend.scoring.constants import COMPLETE_MONTH


def coverage_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about data completeness."""
    detail = make_detail(page, site, Topic.COVERAGE, parameters=True, views=True)
    withheld = page.withheld()
    public, of_all = apart_questions(page, site, detail.choices)
    answer = scores_answer(page.service, public, withheld)
    others = None if of_all is None else scores_answer(page.service, of_all, withheld)
    return {
        "detail": detail,
        "answer": answer,
        "rounded": next((each for each in (answer, others) if each is not None and each.rounded), None),
        "models": [
            *answer.models,
            *([] if others is None else [each for each in others.models if each.model in withheld.models]),
        ],
        "complete_from": COMPLETE_MONTH.value,
        "stations": [station for station in answer.stations if station.days],
        "months": [
            (page.language.month(date.fromisoformat(f"{month.month}-01")), month)
            for month in answer.months
            if month.expected
        ],
    }
