"""A site in short: a card for the pages of others, and a picture beside links to the site."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.answers.announced import data_version
from backend.answers.sites import require_site
from backend.pages.assets import EMBED_STYLE, version
from backend.pages.charts.render import png
from backend.pages.media import respond_media
from backend.pages.page import Page, PageDep
from backend.pages.score_choices import score_parts
from backend.pages.sentences_forecast import chance_item
from backend.pages.site_card import site_card

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors *"
)
"""Any page may show the card in a frame, and the card loads its style sheet alone."""

SiteId = Annotated[str, Path(alias="siteId")]


@router.get("/embed/sites/{siteId}")
def embed(page: PageDep, site_id: SiteId) -> Response:
    """Return the card of a site for the pages of others: without scripts and cookies."""
    site = require_site(page.service.sites(), site_id)

    def values() -> dict[str, object]:
        card = site_card(page, site)
        return {
            "site": site,
            "title": card.title,
            "row": card.row,
            "shown": card.shown,
            "credits": card.credits,
            "verdict": card.verdict,
            "chance_item": chance_item,
            "embed_version": version(EMBED_STYLE),
        }

    headers = {"Content-Security-Policy": POLICY}
    return page.respond("pages/embed.html", values, *_parts(page, site_id), headers=headers)


@router.get("/embed.css")
def embed_style() -> Response:
    """Return the style sheet of the card. Each version has its own address."""
    return Response(EMBED_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=604800"})


@router.get("/sites/{siteId}/card.png")
def card_picture(page: PageDep, site_id: SiteId) -> Response:
    """Return a site as one picture of 1200 × 630 pixels: the next flying day and the verdict."""
    site = require_site(page.service.sites(), site_id)
    return respond_media(
        page, "image/png", lambda: png(site_card(page, site).picture()), *_parts(page, site_id)
    )


def _parts(page: Page, site_id: str) -> tuple[object, ...]:
    site = require_site(page.service.sites(), site_id)
    return (data_version(page.service), *score_parts(page, site))
