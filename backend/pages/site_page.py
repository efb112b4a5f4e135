"""The values of a site's page."""

from __future__ import annotations

from typing import Any

from backend.answers.now import now_answer
from backend.core.records import Site
from backend.pages.live_maps import live_pages
from backend.pages.page import Page
from backend.pages.sentences_site import SiteWords
from backend.pages.verdict_card import verdict_card


def site_values(page: Page, site: Site) -> dict[str, Any]:
    """Return what the template of a site's page needs. Raises StoreUnavailableError."""
    withheld = page.withheld()
    return {
        "site": site,
        "text": SiteWords(page),
        "now": now_answer(page.service, site, withheld),
        "verdict": verdict_card(page, site),
        "live_pages": live_pages(site.stations),
    }
