"""The page of a site: its head, its parts in their order, and addresses without a site."""

from __future__ import annotations

from pathlib import Path

import httpx2
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.tests.support.served import SITES, fill, make_service, served

HTML = {"Accept": "text/html", "Accept-Language": "fr"}


async def get(folder: Path, path: str, *, sites: str = SITES, **headers: str) -> httpx2.Response:
    service = make_service(folder, sites=sites)
    fill(service)
    async with served(service) as client:
        return await client.get(path, headers=HTML | headers)


def one(page: LexborHTMLParser, selector: str) -> LexborNode:
    found = page.css(selector)
    assert len(found) == 1, f"{selector}: {len(found)}"
    return found[0]


async def test_the_head_names_the_site_its_height_and_its_sectors(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/sites/grand-pre")
    assert answer.status_code == 200
    page = LexborHTMLParser(answer.text)
    assert one(page, "h1").text() == "Grand Pré"
    head = one(page, ".site-head").text()
    assert "1\N{NARROW NO-BREAK SPACE}400 m" in head
    assert "volable par S et SO" in head
    assert one(page, ".crumbs a").attributes["href"] == "/"
    assert one(page, ".onward a").attributes["href"] == "/sites/grand-pre/details"


async def test_a_name_with_markup_is_escaped(tmp_path: Path) -> None:
    page = LexborHTMLParser((await get(tmp_path, "/sites/petit-col")).text)
    assert one(page, "h1").text() == "Petit Col <b>& Cie</b>"


async def test_an_unknown_site_has_the_404_page(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/sites/%3Cscript%3E")
    assert answer.status_code == 404
    assert "<script>" not in answer.text.partition("</head>")[2]
    assert one(LexborHTMLParser(answer.text), "h1").text() == "Rien à cette adresse"
