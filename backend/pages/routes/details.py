"""The details of a site: a list, and a page with its own address for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from backend.answers.sites import require_site
from backend.core.records import Site
from backend.pages.detail_beacon import beacon_detail
from backend.pages.detail_bias import bias_detail
from backend.pages.detail_coverage import coverage_detail
from backend.pages.detail_direction import direction_detail
from backend.pages.detail_hours import hours_detail
from backend.pages.detail_lead import lead_detail, runs_detail
from backend.pages.detail_limit import limit_detail
from backend.pages.detail_timing import timing_detail
from backend.pages.details import Topic, topic_links
from backend.pages.page import Page, PageDep
from backend.pages.score_choices import score_parts

router = APIRouter(include_in_schema=False)

SiteId = Annotated[str, Path(alias="siteId")]

DETAILS: dict[Topic, Callable[[Page, Site], Mapping[str, Any]]] = {
    Topic.LIMIT: limit_detail,
    Topic.BIAS: bias_detail,
    Topic.HOURS: hours_detail,
    Topic.BEACON: beacon_detail,
    Topic.COVERAGE: coverage_detail,
    Topic.LEAD: lead_detail,
    Topic.TIMING: timing_detail,
    Topic.DIRECTION: direction_detail,
    Topic.RUNS: runs_detail,
}
"""The values of each detail."""


@router.get("/sites/{siteId}/details")
def details(page: PageDep, site_id: SiteId) -> Response:
    """Return the list of a site's details. Raises UnknownNameError for an unknown id."""
    site = require_site(page.service.sites(), site_id)
    return page.respond("pages/details.html", lambda: {"site": site, "links": topic_links(page, site)}, site)


def _route(topic: Topic) -> None:
    def detail(page: PageDep, site_id: SiteId) -> Response:
        site = require_site(page.service.sites(), site_id)
        return page.respond(
            f"pages/details/{topic.value}.html",
            lambda: {"site": site, **DETAILS[topic](page, site)},
            *score_parts(page, site),
        )

    router.add_api_route(f"/sites/{{siteId}}/details/{topic.value}", detail, methods=["GET"])


for _topic in DETAILS:
    _route(_topic)
