"""The page of a site: tomorrow, now, yesterday, and the verdict."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.answers.sites import require_site
from backend.core.local_time import local_day
from backend.pages.page import PageDep
from backend.scoring.sample.load import Samples

router = APIRouter(include_in_schema=False)


@router.get("/sites/{siteId}")
def site_page(page: PageDep, site_id: Annotated[str, Path(alias="siteId")]) -> Response:
    """Return the page of a site. Raises UnknownNameError for an unknown id."""
    site = require_site(page.service.sites(), site_id)
    stamp = Samples(page.service.database).stamp(site, local_day(page.now))
    return page.respond("pages/site.html", lambda: {"site": site}, site, stamp)
