"""The page of a site: its head, its parts in their order, and addresses without a site."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import cast

import httpx2
import pytest
from fastapi import Request
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.answers.beacon_place import BeaconPlace
from backend.answers.now import AgainstAnnounced, AnnouncedNow, StationNow
from backend.answers.service import ServiceParts
from backend.answers.yesterday import HourPair
from backend.core.parameters import Parameter
from backend.main import create_app
from backend.pages.choices import Choices
from backend.pages.page import make_page
from backend.pages.sentences_site import SiteWords
from backend.tests.support.page_store import page_service
from backend.tests.support.scored_site import AROME, PARAPENTE, noise, page_of, scored_site, speeds, text_of
from backend.tests.support.served import NOW, SITES, fill, make_service, served

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


async def test_the_usual_error_stands_beside_the_forecast_as_in_the_list(tmp_path: Path) -> None:
    async with served(page_service(tmp_path)) as client:
        pages = [await client.get(path, headers=HTML | {"Accept-Language": "en"}) for path in (
            "/?s=planfait", "/sites/planfait"
        )]  # fmt: skip
    errors = [re.findall(r"wrong by ([\d.]+ km/h) on average", page.text)[0] for page in pages]
    assert errors[0] == errors[1]
    card = text_of(LexborHTMLParser(pages[1].text), "section.card")
    assert f"AROME, clearly the best here, wrong by {errors[0]} on average." in card


async def test_a_name_with_markup_is_escaped(tmp_path: Path) -> None:
    page = LexborHTMLParser((await get(tmp_path, "/sites/petit-col")).text)
    assert one(page, "h1").text() == "Petit Col <b>& Cie</b>"


async def test_an_unknown_site_has_the_404_page(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/sites/%3Cscript%3E")
    assert answer.status_code == 404
    assert "<script>" not in answer.text.partition("</head>")[2]
    assert one(LexborHTMLParser(answer.text), "h1").text() == "Rien à cette adresse"


async def test_the_newest_reading_has_its_age_and_links_to_live_maps(tmp_path: Path) -> None:
    page = LexborHTMLParser((await get(tmp_path, "/sites/grand-pre")).text)
    now = " ".join(one(page, "#now").text().split())
    assert "21 km/h" in now
    assert "relevé de 14 h 05, il y a 5 minutes" in now
    links = {link.attributes["href"]: link.attributes["rel"] for link in page.css("#now .live a")}
    assert links == dict.fromkeys(
        (
            "https://www.balisemeteo.com/balise.php?idBalise=901",
            "https://www.romma.fr/station_24.php?id=902",
            "https://winds.mobi/",
        ),
        "noopener external",
    )


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [
        (
            "en",
            "! suspect Mean wind, since 10 July 2026: excluded by the operator. These readings do not count.",
        ),
        (
            "fr",
            "! suspecte Vent moyen, depuis le 10 juillet 2026 : écartée par l’opérateur."
            " Ces mesures ne comptent pas.",
        ),
    ],
)
async def test_a_flagged_beacon_is_marked_with_the_reason(tmp_path: Path, lang: str, sentence: str) -> None:
    service = make_service(tmp_path)
    fill(service)
    for code in ("ffvl:901", "romma:902"):  # the second one is withheld
        service.store.exclude_station(code, (Parameter.WIND_SPEED,), date(2026, 7, 10), None, "a tree", NOW)
    async with served(service) as client:
        page = LexborHTMLParser((await client.get(f"/sites/grand-pre?lang={lang}", headers=HTML)).text)
    assert " ".join(one(page, "#now .flagged").text().split()) == sentence


async def test_a_withheld_reading_is_not_on_the_page(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/sites/petit-col")
    assert "Les relevés des balises de ce site ne sont pas publics." in answer.text
    assert "88" not in one(LexborHTMLParser(answer.text), "#now").text()


async def test_the_strip_leads_to_each_day_and_marks_the_chosen_one(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(noise(1) + 20)[0]})
    page = await page_of(service, "/sites/grand-pre?lim=30&day=2026-07-10")
    assert text_of(page, "#yesterday h2") == "Friday 10 July: who was right"
    links = [link.attributes["href"] for link in page.css("#yesterday .dot")]
    assert len(links) == 14
    assert links[0] == "/sites/grand-pre?lim=30&day=2026-07-01#yesterday"
    chosen = one(page, '#yesterday .dot[aria-current="true"]')
    assert "Friday 10 July: AROME right" in chosen.text()
    assert len(page.css("#yesterday tbody tr")) == 9


async def test_a_day_before_the_store_has_an_honest_sentence(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(20.0)[0]})
    text = text_of(await page_of(service, "/sites/grand-pre?day=2020-01-01"), "#yesterday")
    assert "has no reading of this day between 10:00 and 18:00." in text
    assert "No public forecast of the evening before is stored for this day." in text


async def test_a_withheld_model_is_named_and_has_no_word(tmp_path: Path) -> None:
    service = scored_site(
        tmp_path, dict(zip((AROME, PARAPENTE), speeds(20.0, 77.0), strict=True)), public_raw_sources=""
    )
    page = await page_of(service, "/sites/grand-pre")
    yesterday = text_of(page, "#yesterday")
    assert "Not shown: MeteoParapente, whose values are not public." in yesterday
    assert yesterday.count("MeteoParapente") == 1
    assert "77" not in yesterday


@pytest.mark.parametrize("day", ["1999-12-31", "tomorrow", "2026-02-30"])
async def test_an_impossible_day_is_refused(tmp_path: Path, day: str) -> None:
    assert (await get(tmp_path, f"/sites/grand-pre?day={day}")).status_code == 422


@pytest.mark.parametrize(
    ("pair", "english", "french"),
    [
        (HourPair(hour=16, forecast=12.2, observation=29.0, error=-16.8),
         "at 16:00 AROME announced 12, the beacon read 29: 17 km/h too weak",
         "à 16 h AROME annonçait 12, la balise a mesuré 29 : 17 km/h de moins"),
        (HourPair(hour=9, forecast=30.0, observation=12.0, error=18.0),
         "at 09:00 AROME announced 30, the beacon read 12: 18 km/h too strong",
         "à 9 h AROME annonçait 30, la balise a mesuré 12 : 18 km/h de trop"),
    ],
)  # fmt: skip
def test_a_miss_is_said_for_both_signs(tmp_path: Path, pair: HourPair, english: str, french: str) -> None:
    for code, text in (("en", english), ("fr", french)):
        assert words_in(tmp_path, code).miss("AROME", pair).replace("\N{NO-BREAK SPACE}", " ") == text


def a_reading(station: str = "ffvl:901") -> StationNow:
    place = BeaconPlace(
        station=station,
        name="Balise",
        elevation=1270,
        distance_km=4.7,
        height_difference=320,
        is_reference=True,
    )
    return StationNow(
        place=place,
        time=NOW,
        age_seconds=300,
        stale=False,
        wind_speed=26,
        wind_gust=None,
        wind_direction=None,
        temperature=None,
        flags=[],
    )


def words_in(folder: Path, code: str) -> SiteWords:
    service = make_service(folder)
    scope = {"type": "http", "headers": [], "query_string": b"", "path": "/", "app": create_app(service)}
    request = Request(scope)
    return SiteWords(
        make_page(request, cast(ServiceParts, service), Choices(lang="fr" if code == "fr" else "en"))
    )


@pytest.mark.parametrize(
    ("difference", "english", "french"),
    [
        (6.0, "6 km/h above every model of last evening since 11:00.",
         "6 km/h au-dessus de tous les modèles d’hier soir depuis 11 h."),
        (-6.0, "6 km/h below every model of last evening since 11:00.",
         "6 km/h au-dessous de tous les modèles d’hier soir depuis 11 h."),
    ],
)  # fmt: skip
def test_above_and_below_are_said_in_both_languages(
    tmp_path: Path, difference: float, english: str, french: str
) -> None:
    models = [
        AnnouncedNow(model=name, name=name.upper(), wind_speed=26 - difference, within=False)
        for name in ("arome", "icon")
    ]
    against = AgainstAnnounced(
        hour=14,
        models=models,
        side="above" if difference > 0 else "below",
        difference=difference,
        since=11,
        tolerance=5,
    )
    for code, text in (("en", english), ("fr", french)):
        assert words_in(tmp_path, code).against(against).replace("\N{NO-BREAK SPACE}", " ") == text
    of_this_hour = against.model_copy(update={"since": None})
    for code, text in (("en", english), ("fr", french)):
        shorter = text.partition(" since")[0].partition(" depuis")[0] + "."
        found = words_in(tmp_path, code).against(of_this_hour).replace("\N{NO-BREAK SPACE}", " ")
        assert found == shorter


@pytest.mark.parametrize(
    ("announced", "english", "french"),
    [
        (23.0, "AROME 23: the beacon reads 3 more", "AROME 23 : la balise mesure 3 de plus"),
        (37.0, "AROME 37: the beacon reads 11 less", "AROME 37 : la balise mesure 11 de moins"),
        (26.2, "AROME 26: the beacon reads the same", "AROME 26 : la balise mesure autant"),
    ],
)
def test_an_announcement_is_compared_in_whole_units(
    tmp_path: Path, announced: float, english: str, french: str
) -> None:
    model = AnnouncedNow(model="arome_0025", name="AROME", wind_speed=announced, within=False)
    assert words_in(tmp_path, "en").announced(model, 26.0) == english
    assert words_in(tmp_path, "fr").announced(model, 26.0).replace("\N{NO-BREAK SPACE}", " ") == french


@pytest.mark.parametrize(
    ("degrees", "text"),
    [
        (0.0, "N (0°)"),
        (359.7, "N (0°)"),
        (360.0, "N (0°)"),
        (22.4, "N (22°)"),
        (22.5, "NE (22°)"),
        (67.5, "E (68°)"),
        (112.5, "SE (112°)"),
        (337.5, "N (338°)"),
    ],
)
def test_a_direction_is_in_the_sector_that_the_scores_put_it_in(
    tmp_path: Path, degrees: float, text: str
) -> None:
    assert words_in(tmp_path, "en").direction(degrees) == text


def test_a_place_is_given_by_distance_and_height(tmp_path: Path) -> None:
    place = a_reading().place
    lower = place.model_copy(update={"distance_km": 0.01, "height_difference": -12.0})
    english, french = words_in(tmp_path, "en"), words_in(tmp_path, "fr")
    assert english.place(place) == "4.7 km from the take-off, 320 m higher"
    assert french.place(place) == "à 4,7 km du décollage, 320 m plus haut"
    assert english.place(lower) == "at the take-off, 12 m lower"
