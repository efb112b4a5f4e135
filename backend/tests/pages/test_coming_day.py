"""The card of a coming day: its sentences in both languages, and its parts on the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest
from fastapi import Request

from backend.answers.beacon_place import BeaconPlace
from backend.answers.coming_day import ComingDay, ComingHour, GivenWind, Headline, UnshownReading
from backend.answers.service import ServiceParts
from backend.answers.shapes import Ends
from backend.answers.trust import Standing, Trust, TrustedModel
from backend.main import create_app
from backend.pages.choices import Choices, Unit
from backend.pages.coming_card import ComingCard
from backend.pages.page import make_page
from backend.tests.answers.test_coming_day import announced_on, service_with, windy_on
from backend.tests.support.scored_site import get, page_of, parsed, text_of
from backend.tests.support.served import NOW, make_service, served
from backend.tests.support.worlds import HandClock

AROME, FFVL = "arome_0025", "ffvl:901"
GIVEN = GivenWind(
    low=25, high=30, n_days=41, n_hours=96, shown=True, p10=22.4, p90=31.0, days_above=29
)  # fmt: skip
PLACE = BeaconPlace(
    station=FFVL, name="Balise", elevation=None, distance_km=None, height_difference=None, is_reference=True
)


def card(
    folder: Path,
    code: str,
    given: GivenWind | None,
    *,
    station: BeaconPlace | None = PLACE,
    station_withheld: str | None = None,
    unit: Unit = Unit.KMH,
) -> ComingCard:
    service = make_service(folder)
    scope = {"type": "http", "headers": [], "query_string": b"", "path": "/", "app": create_app(service)}
    request = Request(scope)
    page = make_page(
        request, cast(ServiceParts, service), Choices(lang="fr" if code == "fr" else "en", u=unit)
    )
    wind = TrustedModel(
        model=AROME, name="AROME", standing=Standing.CLEARLY_BEST, average_error=4.0, n_days=41
    )
    answer = ComingDay(
        site="grand-pre",
        day=date(2026, 7, 16),
        days_ahead=1,
        view="evening_before",
        limit=25.0,
        station=station,
        station_withheld=station_withheld,
        trust=Trust(wind=wind, gust=None, go_days=None),
        hours=[],
        models=[],
        over=False,
        headline=Headline(hour=13, wind=26.2, given=given, runs=[]),
        gust=None,
        unshown=[],
        attribution=[],
    )
    return ComingCard(page, service.sites()[0], answer)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_the_sentence_has_the_range_the_days_and_the_limit(tmp_path: Path) -> None:
    english, french = card(tmp_path, "en", GIVEN), card(tmp_path, "fr", GIVEN)
    assert plain(english.headline()) == "AROME announces 26 km/h at 13:00."
    assert english.usually() == (
        "When it announces 25–30 the evening before, the beacon reads 22–31 (8 times in 10, 41 days, 96 h),"
        " above 25: on 29 of 41 days."
    )
    assert plain(french.headline()) == "AROME annonce 26 km/h à 13 h."
    assert plain(french.usually()) == (
        "Quand il annonce 25–30 la veille au soir, la balise mesure 22–31 (8 fois sur 10, 41 jours, 96 h),"
        " plus de 25 : 29 jours sur 41."
    )


def test_the_sentence_is_in_the_pilots_unit(tmp_path: Path) -> None:
    text = card(tmp_path, "en", GIVEN, unit=Unit.KNOTS).usually()
    assert "announces 13–16" in text
    assert "reads 12–17" in text
    assert "above 13" in text


@pytest.mark.parametrize("code", ["en", "fr"])
def test_thin_data_and_missing_beacons_have_their_own_sentences(tmp_path: Path, code: str) -> None:
    thin = GIVEN.model_copy(update={"n_days": 11, "shown": False, "p10": None, "p90": None})
    texts = {
        card(tmp_path, code, thin).usually(),
        card(tmp_path, code, None).usually(),
        card(tmp_path, code, None, station=None).usually(),
        card(tmp_path, code, None, station=None, station_withheld="romma:902").usually(),
    }
    assert len(texts) == 4
    (days,) = [text for text in texts if "11" in text]
    assert "20" in days


@pytest.mark.parametrize(
    ("mean", "ends", "english", "french"),
    [
        (3.6, (2.6, 4.6), "It usually announces 3.6 km/h too much here (between 2.6 and 4.6; June 2026).",
         "Il annonce d’habitude 3,6 km/h de trop ici (entre 2,6 et 4,6 ; juin 2026)."),
        (-3.6, (-4.6, -2.6),
         "It usually announces 3.6 km/h too little here (between 2.6 and 4.6; June 2026).",
         "Il annonce d’habitude 3,6 km/h de moins qu’il ne vient ici (entre 2,6 et 4,6 ; juin 2026)."),
        (0.4, (-0.6, 1.4), "It has no steady bias here (June 2026).",
         "Il n’a pas de biais constant ici (juin 2026)."),
    ],
)  # fmt: skip
def test_a_model_that_may_not_be_shown_is_read_with_its_bias(
    tmp_path: Path, mean: float, ends: tuple[float, float], english: str, french: str
) -> None:
    reading = UnshownReading(
        model="x",
        name="X",
        website=None,
        mean_error=mean,
        interval=Ends(low=ends[0], high=ends[1]),
        first_day=date(2026, 6, 1),
        last_day=date(2026, 6, 30),
    )
    for code, text in (("en", english), ("fr", french)):
        assert plain(card(tmp_path, code, GIVEN).unshown(reading)) == text


def test_a_bias_without_an_interval_is_not_known_yet(tmp_path: Path) -> None:
    reading = UnshownReading(
        model="x",
        name="X",
        website=None,
        mean_error=3.6,
        interval=None,
        first_day=date(2026, 6, 1),
        last_day=date(2026, 6, 30),
    )
    shown = plain(card(tmp_path, "en", GIVEN).unshown(reading))
    assert shown == "Not enough data yet for its bias here (June 2026)."


def test_without_a_published_score_nothing_is_said_of_a_model(tmp_path: Path) -> None:
    reading = UnshownReading(
        model="x", name="X", website=None, mean_error=None, interval=None, first_day=None, last_day=None
    )
    assert card(tmp_path, "en", GIVEN).unshown(reading) == ""


async def test_the_day_is_chosen_by_links_that_keep_the_pilots_limit(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    page = await page_of(service, "/sites/grand-pre?lim=30")
    assert text_of(page, "#tomorrow h2") == "Tomorrow at Grand Pré"  # it is 14:10
    links = {link.text(strip=True): link.attributes for link in page.css("#tomorrow .chip")}
    assert links["The day after"]["href"] == "/sites/grand-pre?lim=30&day=2026-07-17"
    assert [name for name, each in links.items() if "aria-current" in each] == ["Tomorrow"]
    assert len(page.css("#tomorrow tbody tr")) == 12


async def test_the_card_shows_each_chosen_day(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    async with served(service) as client:
        titles = [
            text_of(parsed(await get(client, f"/sites/grand-pre?day={NOW.date() + timedelta(ahead)}")), "h2")
            for ahead in range(3)
        ]
        too_far = await get(client, f"/sites/grand-pre?day={NOW.date() + timedelta(3)}")
    assert titles == ["Today at Grand Pré", "Tomorrow at Grand Pré", "The day after tomorrow at Grand Pré"]
    assert too_far.status_code == 422


async def test_a_day_without_forecasts_has_an_honest_sentence(tmp_path: Path) -> None:
    page = await page_of(service_with(tmp_path, {}, {}, peaks={}), "/sites/grand-pre")
    assert text_of(page, "#tomorrow .headline") == "No public model has values for this day."
    assert page.css("#tomorrow svg") == []


async def test_in_the_evening_the_hours_of_today_are_over(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    evening = replace(service, clock=HandClock(NOW.replace(hour=18)))
    async with served(evening) as client:
        page = parsed(await get(client, f"/sites/grand-pre?day={NOW.date()}"))
        french = parsed(await get(client, f"/sites/grand-pre?day={NOW.date()}", "fr"))
    assert text_of(page, "#tomorrow .headline") == "The flying hours of today are over."
    assert text_of(french, "#tomorrow .headline") == "Les heures de vol d’aujourd’hui sont passées."
    text = text_of(page, "#tomorrow")
    assert "announces" not in text and "has not announced" not in text and "Gusts up to" not in text
    assert page.css("#tomorrow svg") != []


async def test_the_limit_is_changed_by_a_form_that_keeps_the_other_choices(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    page = await page_of(service, "/sites/grand-pre?lim=30&u=kt&day=2026-07-17")
    fields = {
        field.attributes["name"]: field.attributes["value"] for field in page.css(".limit-form input[name]")
    }
    assert fields == {"u": "kt", "day": "2026-07-17", "lim": "30"}


async def test_hours_without_a_range_say_on_how_many_days_such_a_wind_was_announced(tmp_path: Path) -> None:
    # 26 km/h at 15:00, announced on 11 days only; 10 km/h at all other hours, on the other 30 days.
    service = service_with(tmp_path, {AROME: announced_on(11)}, {FFVL: windy_on(11, strong=5)})
    async with served(service) as client:
        english = parsed(await get(client, "/sites/grand-pre"))
        french = parsed(await get(client, "/sites/grand-pre", "fr"))
    assert "No range at 15:00: such a wind was announced on 11 days so far, and a range needs 20." in text_of(
        english, "#tomorrow"
    )
    assert (
        "Pas de fourchette à 15 h : un tel vent a été annoncé 11 jours jusqu’ici, et il en faut 20."
        in plain(text_of(french, "#tomorrow"))
    )
    cells = {
        text_of_row[0]: text_of_row[-1]
        for row in english.css("#tomorrow tbody tr")
        if (text_of_row := [cell.text().strip() for cell in row.css("th, td")])
    }
    assert (cells["15:00"], cells["14:00"]) == ("11 days only", "10–10")


@pytest.mark.parametrize(("code", "hours"), [("en", "10:00 and 12:00–14:00"), ("fr", "10 h et 12 h–14 h")])
def test_consecutive_hours_without_a_range_are_one_span(tmp_path: Path, code: str, hours: str) -> None:
    one = card(tmp_path, code, None)
    thin = GIVEN.model_copy(update={"shown": False, "n_days": 6})
    of_hours = [
        ComingHour(hour=hour, winds={}, gust=None, direction=None, observed=None, on_slope=None, given=given)
        for hour, given in ((10, thin), (11, GIVEN), (12, thin), (13, thin), (14, thin), (15, None))
    ]
    found = replace(one, answer=one.answer.model_copy(update={"hours": of_hours})).thin_text()
    assert hours in plain(found)
