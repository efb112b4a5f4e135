"""How many of the expected hours each model and the beacon have, by month too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from backend.answers.scores import scores_answer
from backend.core.records import Site
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import answered_apart
from backend.scoring.constants import COMPLETE_MONTH


def coverage_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about data completeness."""
    detail = make_detail(page, site, Topic.COVERAGE, parameters=True, views=True)
    apart = answered_apart(page, site, detail.choices, scores_answer)
    answer = apart.public
    return {
        "detail": detail,
        "answer": answer,
        "rounded": apart.rounded,
        "models": [model for _, model in apart.models(lambda answer: answer.models)],
        "complete_from": COMPLETE_MONTH.value,
        "stations": [station for station in answer.stations if station.days],
        "months": [
            (page.language.month(date.fromisoformat(f"{month.month}-01")), month)
            for month in answer.months
            if month.expected
        ],
    }
