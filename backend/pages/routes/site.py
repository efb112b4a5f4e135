"""The page of a site: tomorrow, now, yesterday, and the verdict."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from backend.answers.announced import data_version
from backend.answers.forecast import record_version
from backend.answers.question import FIRST_DAY, LAST_DAY
from backend.answers.sites import require_site
from backend.pages.page import PageDep
from backend.pages.score_choices import score_parts
from backend.pages.site_page import site_values

router = APIRouter(include_in_schema=False)


@router.get("/sites/{siteId}")
def site_page(
    page: PageDep,
    site_id: Annotated[str, Path(alias="siteId")],
    day: Annotated[date | None, Query(ge=FIRST_DAY, le=LAST_DAY)] = None,
    trial: Annotated[bool, Query()] = False,
) -> Response:
    """Return the page of a site. Raises UnknownNameError for an unknown id.

    A past `day` is shown as the day that was, today and later as the one that comes. `trial` computes the
    corrected forecast of a day for which none was issued.
    """
    site = require_site(page.service.sites(), site_id)
    return page.respond(
        "pages/site.html",
        lambda: site_values(page, site, day, trial=trial),
        data_version(page.service),
        record_version(page.service, site),
        *score_parts(page, site),
    )
