"""The comparison of models at a site: each two on their common hours."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from backend.answers.sites import require_site
from backend.pages.comparison_page import comparison_values
from backend.pages.page import PageDep
from backend.pages.score_choices import score_parts

router = APIRouter(include_in_schema=False)

Name = Annotated[str, Query(max_length=100)]


@router.get("/compare")
def compare(page: PageDep, site: Name = "", a: Name = "", b: Name = "") -> Response:
    """Return the comparison at a site: the named one, else the first of the chosen ones, else the first."""
    sites = page.service.sites()
    if not sites:
        return page.respond("pages/compare_nothing.html", dict)
    known = {entry.id for entry in sites}
    chosen = next((name for name in page.choices.sites if name in known), sites[0].id)
    entry = require_site(sites, site or chosen)
    return page.respond(
        "pages/compare.html",
        lambda: {"sites": sites, **comparison_values(page, entry, a or None, b or None)},
        sites,
        *score_parts(page, entry),
    )
