"""The pages about the service: its data, and its method."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.answers.announced import data_version
from backend.answers.data_sources import data_sources_answer
from backend.pages.page import PageDep

router = APIRouter(include_in_schema=False)


@router.get("/about-data")
def about_data(page: PageDep) -> Response:
    """Return where the data come from, under which licences, and what is withheld."""
    return page.respond(
        "pages/about_data.html",
        lambda: {"data": data_sources_answer(page.service)},
        data_version(page.service),
        page.withheld(),
    )
