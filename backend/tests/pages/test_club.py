"""The bulletin of a club: its text, its picture, its feed, and what it shows of withheld values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from lxml import etree

from backend.answers.bulletin import BulletinAnswer
from backend.answers.home import HomeRow
from backend.answers.trust import Standing, Trust, TrustedModel
from backend.pages.bulletin import Bulletin
from backend.pages.language import language
from backend.pages.page import Page
from backend.tests.support.page_store import page_service
from backend.tests.support.scored_site import get, parsed, text_of
from backend.tests.support.served import make_service, served
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

SITES = "/club?s=planfait,petit-col,sans-balise"
PNG = b"\x89PNG\r\n\x1a\n"


async def test_the_bulletin_is_a_heading_a_line_for_each_site_and_yesterday(tmp_path: Path) -> None:
    async with served(page_service(tmp_path)) as client:
        page = parsed(await get(client, SITES))
        french = parsed(await get(client, SITES, "fr"))
        picture = await client.get(SITES.replace("/club", "/club.png"))
        again = await client.get(
            SITES.replace("/club", "/club.png"), headers={"If-None-Match": picture.headers["ETag"]}
        )
        feed = await get(client, SITES.replace("/club", "/club.rss"))
    lines = text_lines(page)
    assert lines[0] == "Tomorrow, Thursday 16 July: mean wind (gust) in km/h at 10/12/14/16/18 h"
    assert [line.partition(":")[0] for line in lines[1:4]] == [
        "Planfait",
        "Petit Col <b>& Cie</b>",
        "Sans Balise",
    ]
    assert "AROME" in lines[1] and lines[1].count("(") == 6
    assert "not yet judged" in lines[3]
    assert re.fullmatch(r"Yesterday, right at (\d of \d sites?: [^·]+( · |\.$))+", lines[4]), lines[4]
    assert lines[4].count("AROME") >= 1
    assert text_lines(french)[0].startswith(
        "Demain, jeudi 16 juillet\N{NO-BREAK SPACE}: vent moyen (rafale) en km/h"
    )
    images = page.css("meta[property='og:image']")
    assert [each.attributes["content"] for each in images] == [
        f"https://meteo.example{SITES.replace('/club', '/club.png')}"
    ]
    assert picture.content.startswith(PNG) and picture.headers["content-type"] == "image/png"
    assert int.from_bytes(picture.content[16:20]) == 1200 and int.from_bytes(picture.content[20:24]) == 630
    assert "max-age=600" in picture.headers["cache-control"] and again.status_code == 304
    rss = etree.fromstring(feed.content)
    (item,) = rss.findall("channel/item")
    assert item.findtext("link") == f"https://meteo.example{SITES}"
    assert item.findtext("description", "").splitlines()[0] == lines[0]
    assert item.findtext("guid", "").endswith("#2026-07-16")


def test_gusts_of_another_model_are_named_in_the_text() -> None:
    wind, gust = (
        TrustedModel(model=name.lower(), name=name, standing=Standing.TOO_CLOSE, average_error=2.0, n_days=45)
        for name in ("MeteoParapente", "AROME")
    )
    words = cast(Page, SimpleNamespace(language=language("en")))
    bulletin = Bulletin(words, cast(BulletinAnswer, None))

    def row(of_gusts: TrustedModel) -> HomeRow:
        return cast(HomeRow, SimpleNamespace(trust=Trust(wind=wind, gust=of_gusts, go_days=None)))

    assert bulletin.model(row(gust)) == "MeteoParapente, gusts: AROME"
    assert bulletin.model(row(wind)) == "MeteoParapente"


def text_lines(page: object) -> list[str]:
    area = page.css_first("textarea")  # type: ignore[attr-defined]
    return str(area.text()).splitlines()


async def test_without_a_public_address_no_preview_image_is_named(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    async with served(service) as client:
        page = parsed(await get(client, "/club?s=grand-pre"))
        feed = await client.get("/club.rss?s=grand-pre")
    assert page.css("meta[property='og:image']") == []
    assert page.css_first("meta[property='og:title']") is not None
    assert etree.fromstring(feed.content).findtext("channel/link") == "http://meteo.example/club?s=grand-pre"


async def test_at_most_five_sites_and_without_any_a_sample(tmp_path: Path) -> None:
    async with served(page_service(tmp_path)) as client:
        page = parsed(await get(client, "/club?s=nowhere"))
    assert "A sample with the first sites" in text_of(page, "main .notice")
    assert len(text_lines(page)) == 5


@pytest.mark.parametrize(
    ("hour", "title"), [(9, "Today, Wednesday 15 July"), (17, "Tomorrow, Thursday 16 July")]
)
async def test_in_the_evening_it_is_about_tomorrow(tmp_path: Path, hour: int, title: str) -> None:
    clock = HandClock(datetime(2026, 7, 15, hour, 5, tzinfo=UTC))
    service = make_service(tmp_path, clock=clock)
    make_tables(service.database)
    async with served(service) as client:
        page = parsed(await get(client, "/club?s=grand-pre"))
    assert text_of(page, "h1") == title
    assert text_lines(page)[1] == "Grand Pré: no public forecast"  # the store is empty


@pytest.mark.parametrize(
    ("moment", "guid", "published"),
    [
        ("2026-07-14T22:30Z", "2026-07-15", "Tue, 14 Jul 2026 17:05:00 +0000"),
        ("2026-07-15T07:00Z", "2026-07-15", "Tue, 14 Jul 2026 17:05:00 +0000"),
        ("2026-07-15T13:00Z", "2026-07-15", "Tue, 14 Jul 2026 17:05:00 +0000"),
        ("2026-07-15T17:04Z", "2026-07-15", "Tue, 14 Jul 2026 17:05:00 +0000"),
        ("2026-07-15T17:05Z", "2026-07-16", "Wed, 15 Jul 2026 17:05:00 +0000"),
        ("2026-07-15T21:30Z", "2026-07-16", "Wed, 15 Jul 2026 17:05:00 +0000"),
        ("2026-10-25T12:00Z", "2026-10-25", "Sat, 24 Oct 2026 17:05:00 +0000"),  # the clock was set back
    ],
)
async def test_the_feed_is_about_tomorrow_from_the_evening_on_and_a_day_keeps_its_date(
    tmp_path: Path, moment: str, guid: str, published: str
) -> None:
    service = make_service(tmp_path, clock=HandClock(datetime.fromisoformat(moment)))
    make_tables(service.database)
    async with served(service) as client:
        feed = await client.get("/club.rss?s=grand-pre")
    (item,) = etree.fromstring(feed.content).findall("channel/item")
    assert item.findtext("guid", "").partition("#")[2] == guid
    assert item.findtext("pubDate") == published
