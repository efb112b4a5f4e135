"""The bulletin of a club: as a page, a picture and a feed."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.answers.announced import data_version
from backend.answers.bulletin import MOST_SITES, bulletin_answer
from backend.answers.home import is_about_today
from backend.pages.bulletin import Bulletin, newest_is_about_today
from backend.pages.charts.render import png
from backend.pages.media import respond_media
from backend.pages.page import Page, PageDep

router = APIRouter(include_in_schema=False)


@router.get("/club")
def club(page: PageDep) -> Response:
    """Return the bulletin of up to five sites."""
    return page.respond(
        "pages/club.html",
        lambda: {"bulletin": _bulletin(page, is_about_today(page.now)), "most": MOST_SITES},
        *_parts(page),
    )


@router.get("/club.png")
def club_picture(page: PageDep) -> Response:
    """Return the bulletin as one picture of 1200 × 630 pixels."""
    today = is_about_today(page.now)
    return respond_media(page, "image/png", lambda: png(_bulletin(page, today).picture()), *_parts(page))


@router.get("/club.rss")
def club_feed(page: PageDep) -> Response:
    """Return the newest published bulletin as an RSS feed: until the evening it is the one about today."""
    # Without the setting PUBLIC_URL it is the address that the reader asked, which the cache keeps apart.
    address = page.absolute("/club", **page.choices.query()) or str(
        page.request.url.replace(path=page.bare_url("/club"))
    )
    today = newest_is_about_today(page.now)
    return respond_media(
        page, "application/rss+xml", lambda: _bulletin(page, today).feed(address), address, *_parts(page)
    )


def _bulletin(page: Page, is_today: bool) -> Bulletin:
    answer = bulletin_answer(
        page.service,
        page.choices.sites,
        page.withheld(),
        wind_limit=page.choices.lim,
        gust_limit=page.choices.glim,
        is_today=is_today,
    )
    return Bulletin(page, answer)


def _parts(page: Page) -> tuple[object, ...]:
    return page.service.sites(), data_version(page.service), page.withheld().key
