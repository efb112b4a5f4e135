"""The page about the data: sources with their terms, what is withheld, and how to take the data."""

from __future__ import annotations

from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from backend.main import Service
from backend.tests.support.served import OPENED, fill, make_service, served


async def page_of(service: Service, path: str, lang: str = "en") -> LexborHTMLParser:
    async with served(service) as client:
        answer = await client.get(path, params={"lang": lang}, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return LexborHTMLParser(answer.text)


def text_of(page: LexborHTMLParser, selector: str = "main") -> str:
    return " ".join(" ".join(node.text() for node in page.css(selector)).split())


async def test_each_collected_source_has_its_licence_its_credit_and_what_is_shown(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await page_of(service, "/about-data")
    arome = text_of(page, "#source-arome")
    assert "Licence Ouverte 2.0 (Etalab)" in arome and "values and scores" in arome
    assert "newest run 6 hours old" in arome
    parapente = text_of(page, "#source-meteo_parapente")
    assert "no published licence" in parapente and "scores only" in parapente
    assert "MeteoParapente and ROMMA" in text_of(page, "section[aria-labelledby=withheld]")
    assert page.css_first("#source-open_meteo") is None
    assert "ICON-D2" in text_of(page, "section[aria-labelledby=others]")
    assert "test@example.org" in text_of(page, "section[aria-labelledby=contact]")


async def test_with_permission_for_all_sources_nothing_is_withheld(tmp_path: Path) -> None:
    service = make_service(tmp_path, public_raw_sources=OPENED + ",pioupiou")
    fill(service)
    page = await page_of(service, "/about-data", "fr")
    assert "toutes les valeurs collectées peuvent être montrées" in text_of(page)


@pytest.mark.parametrize(("lang", "text"), [("en", "no run stored yet"), ("fr", "aucun run enregistré")])
async def test_a_new_installation_has_no_data_yet(tmp_path: Path, lang: str, text: str) -> None:
    service = make_service(tmp_path)
    service.database.migrate()
    assert text in text_of(await page_of(service, "/about-data", lang), "#source-arome")
