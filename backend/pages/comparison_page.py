"""Each two models at a site on their common hours, as one table in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.answers.scores import comparison_answer
from backend.answers.shapes import Duel
from backend.api.problems import bad_query
from backend.core.records import Site
from backend.pages.page import Page
from backend.pages.score_choices import score_choices, score_question
from backend.pages.sentences_scores import ScoreWords
from backend.pages.verdict_card import hidden_names, parameter_chips, view_chips


def comparison_values(page: Page, site: Site, a: str | None, b: str | None) -> Mapping[str, Any]:
    """Return the values of the page; `a` and `b` choose the pairs of one model, or one pair.

    Raises RequestValidationError for a model that is not compared at the site.
    """
    choices, withheld = score_choices(page), page.withheld()
    question = score_question(page, site, choices)
    answer = comparison_answer(page.service, question, withheld)
    words = ScoreWords(page, choices.quantity)
    models = {model.model: model.name for model in answer.models}
    for name, chosen in (("a", a), ("b", b)):
        if chosen is not None and chosen not in models:
            raise bad_query(name, f"no such model here: {', '.join(models)}")
    together = {model for duel in answer.duels if duel.n_pairs for model in (duel.a, duel.b)}
    wanted = {name for name in (a, b) if name is not None}
    duels = [duel for duel in answer.duels if duel.n_pairs and wanted <= {duel.a, duel.b}]
    return {
        "site": site,
        "answer": answer,
        "words_of_scores": words,
        "choices": choices,
        "models": sorted(models.items(), key=lambda item: item[1]),
        "a": a,
        "b": b,
        "rows": [(duel, duel_sentence(words, duel), duel_interval(words, duel)) for duel in duels],
        "left_out": [model for model in answer.models if model.model not in together] if together else [],
        "parameters": parameter_chips(page, choices),
        "views": view_chips(page, choices),
        "hidden": hidden_names(answer, question, withheld),
        "waits": question.remark is not None,
    }


def duel_sentence(words: ScoreWords, duel: Duel) -> str:
    """Return the outcome of two models in words, with both average errors."""
    language = words.page.language
    names = {"a": duel.name_a, "b": duel.name_b}
    if duel.score_a is None or duel.score_b is None or duel.difference is None:
        return language.gettext("%(a)s and %(b)s: not enough data yet.") % names
    values = {**names, "error_a": words.amount(duel.score_a), "error_b": words.amount(duel.score_b)}
    if duel.outcome in {"a_better", "b_better"}:
        if duel.outcome == "b_better":
            values = {
                "a": values["b"],
                "b": values["a"],
                "error_a": values["error_b"],
                "error_b": values["error_a"],
            }
        return (
            language.gettext(
                "%(a)s errs less than %(b)s: by %(error_a)s on average, and the other by %(error_b)s."
            )
            % values
        )
    if duel.outcome is None:
        return (
            language.gettext(
                "%(a)s errs by %(error_a)s on average, %(b)s by %(error_b)s: too few days to compare."
            )
            % values
        )
    return (
        language.gettext("%(a)s and %(b)s are too close to call: %(error_a)s and %(error_b)s on average.")
        % values
    )


def duel_interval(words: ScoreWords, duel: Duel) -> str:
    """Return the mean daily difference of the errors with its interval; a dash if not known.

    It is the model that the sentence names first minus the other.
    """
    if duel.difference is None:
        return "–"
    sign = -1 if duel.outcome == "b_better" else 1
    difference = words.amount(sign * duel.difference, sign=True)
    if duel.interval is None:
        return difference
    ends = sorted((sign * duel.interval.low, sign * duel.interval.high))
    low, high = (words.amount(end, unit=False, sign=True) for end in ends)
    return f"{difference} ({low} … {high})"
