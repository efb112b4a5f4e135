"""How often the announced direction is right, and where the wind comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from backend.answers.directions import DirectionsAnswer, Rose, directions_answer
from backend.answers.scores import scores_answer
from backend.answers.shapes import ScoredModel, ScoresAnswer
from backend.core.records import Site
from backend.pages.charts.render import svg
from backend.pages.charts.rose import rose_chart
from backend.pages.charts.style import OBSERVED, model_colour
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import answered_apart
from backend.pages.sentences_scores import ScoreWords
from backend.scoring.constants import UNINFORMED_DIRECTION_MAE
from backend.scoring.sample.quantities import Quantity


def direction_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about the direction."""
    detail = make_detail(page, site, Topic.DIRECTION, views=True, quantity=Quantity.WIND_DIRECTION)
    apart = answered_apart(page, site, detail.choices, scores_answer)
    models = apart.models(lambda answer: answer.models)
    roses = directions_answer(page.service, apart.question, apart.withheld)
    return {
        "detail": detail,
        "answer": apart.public,
        "rounded": apart.rounded,
        "sentences": [_sentence(detail.words, *pair) for pair in models if pair[1].n_pairs],
        "roses": roses,
        "charts": [] if roses is None else [_charts(page, roses, *pair) for pair in roses.pairs],
        "knows_nothing": detail.words.amount(UNINFORMED_DIRECTION_MAE.value),
    }


def _sentence(words: ScoreWords, answer: ScoresAnswer, model: ScoredModel) -> str:
    language = words.page.language
    names = {"model": model.name}
    if model.score is None or model.score.within is None or model.score.mae is None:
        return language.gettext("%(model)s: not enough data yet.") % names
    return language.gettext(
        "%(model)s is within %(tolerance)s in %(share)s of the hours with wind, and off by %(error)s on"
        " average (%(days)s)."
    ) % {
        **names,
        "tolerance": words.tolerance(model.score.within_tolerance or 0),
        "share": words.share(model.score.within, answer),
        "error": words.amount(model.score.mae),
        "days": words.days(model.n_days),
    }


def _charts(page: Page, answer: DirectionsAnswer, observed: Rose, forecast: Rose) -> dict[str, Any]:
    """Return two roses of the same hours, and their shares by sector."""
    words = page.language
    names = [words.compass(sector) for sector in answer.sectors]
    most = max(*observed.shares, *forecast.shares)
    titles = (
        words.gettext("Where the wind came from at %(station)s") % {"station": observed.name},
        words.gettext("Where %(model)s announced it from") % {"model": forecast.name},
    )

    count = f"n = {words.number(observed.n_hours)}\N{NO-BREAK SPACE}h"

    def rose(shares: list[float], colour: str, title: str) -> Markup:
        described = ", ".join(
            f"{name} {words.percent(share)}" for name, share in zip(names, shares, strict=True)
        )
        return svg(rose_chart(names, shares, colour, most), f"{title} ({count}){words.colon}{described}")

    return {
        "model": forecast.name,
        "titles": titles,
        "observed": rose(observed.shares, OBSERVED, titles[0]),
        "forecast": rose(forecast.shares, model_colour(forecast.model or ""), titles[1]),
        "rows": list(zip(names, observed.shares, forecast.shares, strict=True)),
        "most": most,
        "hours": observed.n_hours,
        "days": observed.n_days,
    }
