"""The pages about the service: its data, and its method."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.answers.announced import data_version
from backend.answers.data_sources import data_sources_answer
from backend.answers.forecast_example import ForecastExample
from backend.answers.methods import methods_answer
from backend.answers.verification_examples import verification_examples
from backend.answers.worked_examples import worked_examples
from backend.pages.page import PageDep
from backend.pages.sentences_method import MethodWords

router = APIRouter(include_in_schema=False)


@router.get("/about-data")
def about_data(page: PageDep) -> Response:
    """Return where the data come from, under which licences, and what is withheld."""
    return page.respond(
        "pages/about_data.html",
        lambda: {"data": data_sources_answer(page.service)},
        data_version(page.service),
        page.withheld().key,
    )


@router.get("/methodology")
def methodology(page: PageDep) -> Response:
    """Return how scores are worked out: with examples from this store, and every constant."""
    withheld = page.withheld()

    def values() -> dict[str, object]:
        method = methods_answer(page.service)
        return {
            "method": method,
            "k": {constant.name: constant.value for constant in method.constants},
            "examples": worked_examples(page.service, withheld),
            "issued": verification_examples(),
            "corrected": ForecastExample(),
            "text": MethodWords(page),
        }

    return page.respond("pages/methodology.html", values, data_version(page.service), withheld.key)
