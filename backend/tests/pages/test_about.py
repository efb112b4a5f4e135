"""The pages about the data and about the method."""

from __future__ import annotations

from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from backend.main import Service
from backend.scoring.constants import CONSTANTS
from backend.scoring.questions.scorecard import METHOD_VERSION
from backend.tests.support.score_store import SPEED, constant
from backend.tests.support.scored_site import AROME, DAYS, FFVL, PARAPENTE, noise, scored_site
from backend.tests.support.served import OPENED, fill, make_service, served
from backend.tests.support.stores import make_tables


async def page_of(service: Service, path: str, lang: str = "en") -> LexborHTMLParser:
    async with served(service) as client:
        answer = await client.get(path, headers={"Accept": "text/html", "Accept-Language": lang})
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
    make_tables(service.database)
    assert text in text_of(await page_of(service, "/about-data", lang), "#source-arome")


# --- The method ---------------------------------------------------------------------------------------


async def test_the_method_has_its_examples_and_all_constants(tmp_path: Path) -> None:
    wind = constant(DAYS, 24.0) + noise(1, size=3.0)
    models = {AROME: {SPEED: wind - 1.5 + noise(2)}, PARAPENTE: {SPEED: wind + 4 + noise(3)}}
    service = scored_site(tmp_path, models, {FFVL: {SPEED: wind}})
    page = await page_of(service, "/methodology")
    text = text_of(page)
    assert "Grand Pré" in text and "as announced the evening before, in km/h" in text
    assert len(page.css("#constants ~ details .constants > div")) == len(CONSTANTS)
    for anchor in ("error", "mae", "within", "surprises", "direction", "interval", "skill", "withheld"):
        assert page.css_first(f"#{anchor}") is not None, anchor
    assert f"Method version {METHOD_VERSION}" in text
    assert f"Version {METHOD_VERSION}:" in text  # what changed in it
    assert "±" not in text
    french = text_of(await page_of(service, "/methodology?u=kt", "fr"))
    assert "annoncé la veille au soir, en kt" in french
    assert "se trompe nettement moins" in french


async def test_a_store_without_public_pairs_has_an_honest_sentence(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    page = await page_of(service, "/methodology")
    assert "no day of public pairs yet" in text_of(page, ".notice")
    assert page.css(".example") == []


@pytest.mark.parametrize("lang", ["en", "fr"])
async def test_the_words_fit_the_sign_of_a_mean_error(tmp_path: Path, lang: str) -> None:
    too_much = {"en": "Too much was announced", "fr": "l’annonce était trop forte"}[lang]
    too_little = {"en": "Too little was announced", "fr": "l’annonce était trop faible"}[lang]
    for error, words, sign in ((3.0, too_much, "+3"), (-3.0, too_little, "−3")):
        folder = tmp_path / f"{error:g}"
        folder.mkdir()
        service = scored_site(folder, {AROME: {SPEED: constant(DAYS, 20.0 + error)}})
        text = text_of(await page_of(service, "/methodology", lang))
        assert words in text and sign in text
