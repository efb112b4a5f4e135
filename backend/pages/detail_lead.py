"""How forecasts change as their hour comes nearer: the error by lead time, and the drift from run to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from backend.answers.leads import LeadModel, LeadsAnswer, RunStep, leads_answer, runs_answer
from backend.core.records import Site
from backend.pages.charts.intervals import IntervalChart, Point
from backend.pages.charts.render import svg
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import answered_apart, score_question
from backend.pages.sentences_scores import ScoreWords


def lead_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about the error by lead time."""
    detail = make_detail(page, site, Topic.LEAD, parameters=True)
    apart = answered_apart(page, site, detail.choices, leads_answer)
    models = [
        model
        for _, model in apart.models(lambda answer: answer.models)
        if any(lead.n_pairs for lead in model.leads)
    ]
    behind = detail.words.behind(
        {
            model.name: [
                (lead.n_days, lead.n_pairs) for lead in model.leads if lead.average_error is not None
            ]
            for model in models
        }
    )
    return {
        "detail": detail,
        "behind": behind,
        "answer": apart.public,
        "rounded": apart.rounded,
        "models": models,
        "sentences": [_lead_sentence(detail.words, model) for model in models],
        "chart": _lead_chart(detail.words, apart.public, models, behind),
    }


def _lead_sentence(words: ScoreWords, model: LeadModel) -> str:
    language = words.page.language
    shown = [lead for lead in model.leads if lead.average_error is not None]
    if not shown:
        return language.gettext("%(model)s: not enough data yet.") % {"model": model.name}
    near, far = shown[0], shown[-1]
    values = {
        "model": model.name,
        "near": words.amount(near.average_error or 0),
        "near_lead": words.lead_name(near.view),
        "far": words.amount(far.average_error or 0),
        "far_lead": words.lead_name(far.view),
    }
    if near is far:
        return language.gettext("%(model)s is wrong by %(near)s on average %(near_lead)s.") % values
    return (
        language.gettext(
            "%(model)s is wrong by %(near)s on average %(near_lead)s, and by %(far)s %(far_lead)s."
        )
        % values
    )


def _lead_chart(
    words: ScoreWords, answer: LeadsAnswer, models: list[LeadModel], behind: str
) -> Markup | None:
    lines = {
        model.model: {
            index: Point(
                words.shown(lead.average_error),
                None if lead.interval is None else words.shown(lead.interval.low),
                None if lead.interval is None else words.shown(lead.interval.high),
            )
            for index, lead in enumerate(model.leads)
            if lead.average_error is not None
        }
        for model in models
    }
    lines = {model: points for model, points in lines.items() if points}
    if not lines:
        return None
    views = [lead.view.removeprefix("lead_").replace("_", "-") for lead in models[0].leads]
    drawn = IntervalChart(
        groups=[f"{view} h" if "-" in view else f"{view}+ h" for view in views],
        unit=words.unit,
        models=lines,
        reference={
            index: words.shown(lead.average_error)
            for index, lead in enumerate(answer.yesterday.leads)
            if lead.average_error is not None
        },
        joined=True,
    )
    return svg(
        drawn.spec(),
        words.page.language.gettext(
            "Average error of each model by hours ahead, with its interval; dashed: yesterday's reading taken"
            " as the forecast. The table below has the values."
        )
        + f" {behind}",
        decimals=words.page.language.of_charts,
    )


def runs_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about the drift from run to run."""
    detail = make_detail(page, site, Topic.RUNS, parameters=True)
    question = score_question(page, site, detail.choices, only_public=True)
    answer = runs_answer(page.service, question, page.withheld())
    return {
        "detail": detail,
        "answer": answer,
        "models": [model for model in answer.models if any(step.n_hours for step in model.steps)],
        "sentence": lambda step: _step_sentence(detail.words, step, answer.tolerance),
    }


def _step_sentence(words: ScoreWords, step: RunStep, tolerance: float) -> str:
    language = words.page.language
    values = {"earlier": words.lead_name(step.earlier), "later": words.lead_name(step.later)}
    if step.mean_size is None or step.beyond_tolerance is None:
        return language.gettext("From %(earlier)s to %(later)s: not enough data yet.") % values
    return language.gettext(
        "From %(earlier)s to %(later)s it changes by %(size)s on average, and by more than %(tolerance)s in"
        " %(share)s of the hours."
    ) % {
        **values,
        "size": words.amount(step.mean_size),
        "tolerance": words.tolerance(tolerance),
        "share": language.percent(step.beyond_tolerance),
    }
