"""The corrected forecast on a site's page: shown, on trial, refused, and absent, in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from selectolax.lexbor import LexborHTMLParser

from backend.core.issued import GateReason, GateState, Input, reason_text
from backend.core.local_time import HOURS_A_DAY, day_number
from backend.core.parameters import Parameter
from backend.core.records import ObservationBatch, Position
from backend.main import Service
from backend.scoring.views import EVENING_BEFORE
from backend.storage.learning_days import ModelsOfDay, Question, append_learning
from backend.tests.answers.test_forecast import (
    PAST,
    SITE,
    TOMORROW,
    changed,
    coming,
    errors_at,
    made,
    past,
    record,
)
from backend.tests.support.issued import an_issued_day
from backend.tests.support.page_store import page_service
from backend.tests.support.score_store import GUST, SPEED, constant
from backend.tests.support.scored_site import AROME, FFVL, ROMMA, get, page_of, parsed, scored_site, text_of
from backend.tests.support.served import NOW, served

PATH = f"/sites/{SITE}"
VALUES = np.array([*range(5, 20), *range(18, 8, -1)], float)
"""Mean winds of a day: 19 km/h at 14:00 is the strongest."""


def shown(folder: Path, **options: Any) -> Service:
    """Return a service with an open gate: on four days both winds were 8 km/h stronger at 14:00."""
    strong = errors_at(*((day, 14) for day in range(4)))
    rows = [
        *past(strong),
        *past(strong, GUST, 30.0),
        coming(VALUES, **options),
        coming(VALUES + 9, GUST, **options),
    ]
    return made(folder, rows)


def corrected(page: LexborHTMLParser) -> str:
    return text_of(page, "#corrected")


async def test_the_strongest_hour_its_ranges_and_chances_stand_first(tmp_path: Path) -> None:
    page = await page_of(shown(tmp_path), PATH)
    text = corrected(page)
    assert "14:00: 19 km/h, gusts 28" in text
    assert "8 times in 10: 15–23, gusts 24–32." in text
    assert "Chance of more than 25 km/h at that hour: 6 %." in text.replace("%.", " %.").replace("  ", " ")
    of_day = "Chance of more than 25 km/h or 35 in gusts in any hour from 10:00 to 18:00:"
    assert f"{of_day} {round(500 / (PAST + 2))}" in text, "four days of them all, not of an hour"
    assert f"on {PAST} days (between" in text
    assert "number 79 of this site’s record" in text
    first = page.css("section#tomorrow .headline")
    assert [each.text() for each in first] == ["14:00: 19\N{NO-BREAK SPACE}km/h, gusts 28"], (
        "it is the headline"
    )


async def test_in_french_it_has_the_same_figures(tmp_path: Path) -> None:
    text = corrected(await page_of(shown(tmp_path), f"{PATH}?lim=20&glim=30", "fr"))
    assert "14 h : 19 km/h, rafales 28" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "8 fois sur 10 : 15–23, rafales 24–32." in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Risque de plus de 20 km/h ou 30 en rafales à une heure au moins, de 10 h à 18 h" in text.replace(
        "\N{NO-BREAK SPACE}", " "
    )


async def test_the_chart_has_a_text_and_a_table_with_the_same_values(tmp_path: Path) -> None:
    page = await page_of(shown(tmp_path), f"{PATH}?u=kt")
    chart = page.css_first("#corrected svg")
    assert chart is not None and chart.attributes["role"] == "img"
    assert "Corrected mean wind in kt" in (chart.attributes["aria-label"] or "")
    rows = [[cell.text(strip=True) for cell in row.css("th, td")] for row in page.css("#corrected tbody tr")]
    at_two = next(row for row in rows if row[0] == "14:00")
    assert at_two[1] == "10" and at_two[3] == "8–12", "19 km/h, 15 to 23, in knots"
    assert len(rows) == 12


async def test_the_beacon_so_far_stands_beside_today(tmp_path: Path) -> None:
    today = an_issued_day(SITE, day_number(NOW.date()), VALUES)
    page = await page_of(made(tmp_path, [*past(errors_at()), today]), f"{PATH}?day={NOW.date()}")
    heads = [head.text() for head in page.css("#corrected thead th")]
    assert heads[:3] == ["Hour", "Beacon", "Wind"]
    assert "beacon so far" in corrected(page)
    assert "Without gusts: no public model has them." in corrected(page)


async def test_on_trial_it_is_folded_with_its_progress(tmp_path: Path) -> None:
    rows = [*past(errors_at())[-21:], coming(VALUES, state=GateState.TRIAL)]
    page = await page_of(made(tmp_path, rows), PATH)
    details, summary = (page.css_first(f"#corrected > {each}") for each in ("details", "details > summary"))
    assert details is not None and "open" not in details.attributes
    assert summary is not None and summary.text() == "Corrected forecast on trial: day 21 of 30."
    assert "With the errors of 21 past days, more than 25 km/h would have come on 0 of them" in corrected(
        page
    )
    assert [each.text() for each in page.css("#tomorrow > .headline")] != [], "the models keep the headline"


@pytest.mark.parametrize(
    ("state", "reason", "english", "french"),
    [
        (
            GateState.CLOSED,
            GateReason("coverage_off", 0.86, 0.8),
            "The corrected forecast is not shown: its ranges held for 86% of the hours instead of 80%.",
            "La prévision corrigée n’est pas affichée : ses fourchettes ont tenu pendant 86 % des heures",
        ),
        (
            GateState.VETO,
            GateReason("site_no_gain", -0.1, 0.0),
            "The corrected forecast is not shown at this site: here it was not better than the best model.",
            "La prévision corrigée n’est pas affichée sur ce site : ici elle n’a pas fait mieux",
        ),
    ],
)
async def test_a_closed_gate_has_its_reason_and_the_best_model(
    tmp_path: Path, state: GateState, reason: GateReason, english: str, french: str
) -> None:
    row = changed(
        coming(77.7), state=state, reason=reason_text([reason]), best=AROME, best_values=(21_000,) * 24
    )
    async with served(made(tmp_path, [row])) as client:
        pages = [parsed(await get(client, PATH, code)) for code in ("en", "fr")]
    texts = [" ".join(corrected(page).split()) for page in pages]
    assert english in texts[0] and "Of the models, AROME erred least here so far." in texts[0]
    assert french in texts[1]
    assert not any(
        "78" in text or page.css_first("#corrected svg") for text, page in zip(texts, pages, strict=True)
    )


async def test_an_unknown_reason_of_a_later_version_stands_by_itself(tmp_path: Path) -> None:
    row = changed(
        coming(18.0), state=GateState.CLOSED, reason=reason_text([GateReason("too_windy", 1.0, 2.0)])
    )
    assert "is not shown: too windy." in corrected(await page_of(made(tmp_path, [row]), PATH))


async def test_without_a_record_the_trial_is_one_link_away(tmp_path: Path) -> None:
    async with served(page_service(tmp_path)) as client:
        page = parsed(await get(client, "/sites/planfait"))
        assert "No corrected forecast was issued for this day." in corrected(page)
        link = page.css_first("#corrected a")
        assert link is not None and page.css_first("#corrected svg") is None
        trial = parsed(await get(client, link.attributes["href"] or ""))
        without = parsed(await get(client, "/sites/sans-balise?trial=true"))
    text = corrected(trial)
    assert "Corrected forecast on trial" in text and "Computed now from past days." in text
    assert "open" in (trial.css_first("#corrected > details").attributes)  # type: ignore[union-attr]
    assert "without a public beacon nothing can be learned here" in corrected(without)


async def test_nothing_of_a_withheld_model_or_beacon_is_shown(tmp_path: Path) -> None:
    """A known value of an operator's row, and of public rows of what is withheld now, on the site's page."""
    service = scored_site(tmp_path, {}, {FFVL: {SPEED: constant(40, 20.0)}}, public_raw_sources="")
    record(
        service,
        [
            coming(43.21, audience="operator"),
            changed(coming(43.21), inputs=(Input("meteo_parapente", 0),)),
            changed(coming(43.21, Parameter.WIND_GUST), station=ROMMA),
        ],
    )
    async with served(service) as client:
        for path in (
            PATH,
            f"{PATH}?day={TOMORROW}",
            f"{PATH}?trial=true",
            f"{PATH}?day={TOMORROW + timedelta(days=1)}",
        ):
            answer = await get(client, path)
            assert answer.status_code == 200
            assert "43" not in " ".join(corrected(parsed(answer)).split())


# --- The list of sites, and the card for other pages ---------------------------------------------------


@pytest.mark.parametrize("path", ["/?s=grand-pre", "/embed/sites/grand-pre", "/club?s=grand-pre"])
async def test_the_list_and_the_card_have_the_chance_of_the_day(tmp_path: Path, path: str) -> None:
    """Four of 39 days have an hour too strong: 5 of 41, and not the 2.3 of 41 of the worst hour."""
    service = shown(tmp_path)
    async with served(service) as client:
        page, french = [parsed(await get(client, path, code)) for code in ("en", "fr")]
        answer = (await client.get(f"/api/v1/sites/{SITE}/forecast")).json()["dayChance"]
    assert answer["chance"] == pytest.approx(5 / (PAST + 2))
    assert "chance of more than 25 km/h or 35 in gusts: 12%" in text_of(page, ".chance")
    assert "risque de plus de 25 km/h ou 35 en rafales : 12 %" in text_of(french, ".chance")


@pytest.mark.parametrize("state", [GateState.TRIAL, GateState.CLOSED, GateState.VETO])
async def test_the_list_and_the_card_have_no_chance_that_is_not_proven(
    tmp_path: Path, state: GateState
) -> None:
    async with served(made(tmp_path, [*past(errors_at()), coming(VALUES, state=state)])) as client:
        for path in ("/", f"/embed/sites/{SITE}", f"/club?s={SITE}"):
            answer = await get(client, path)
            assert answer.status_code == 200 and "chance of more" not in answer.text


async def test_the_chance_in_the_list_follows_the_limits_and_the_record(tmp_path: Path) -> None:
    service = made(tmp_path, [*past(errors_at()), coming(18.0)])
    async with served(service) as client:
        low, high = [text_of(parsed(await get(client, f"/?lim={limit}")), ".chance") for limit in (10, 40)]
        foreign = await get(client, "/?lim=10&s=petit-col")
    assert low.endswith("98%") and high.endswith("2%")
    assert "chance of more" not in foreign.text


async def test_the_method_is_explained_with_figures_that_add_up(tmp_path: Path) -> None:
    async with served(made(tmp_path, [])) as client:
        english, french = [
            text_of(parsed(await get(client, "/methodology", code)), "section[aria-labelledby=corrected]")
            for code in ("en", "fr")
        ]
    assert "0.7 × 18 + 0.3 × 20 = 18.6" in english and "range is 13.6 to 24.6" in english
    assert "(5 + 1) / (60 + 2) = 10%" in english
    assert "0,7 × 18 + 0,3 × 20 = 18,6" in french and "(5 + 1) / (60 + 2) = 10" in french


@pytest.mark.parametrize(
    ("learned", "reason", "english", "french"),
    [
        (
            28,
            GateReason("few_days", 28, 30),
            "28 of 30 days learned, then as many issued days must show that it is better.",
            "28 sur 30 jours appris, puis autant de jours émis devront montrer qu’elle est meilleure.",
        ),
        (
            41,
            GateReason("few_days", 9, 30),
            "9 of 30 days of proof so far; an issued day counts once 30 days are learned.",
            "9 sur 30 jours de preuve ; un jour émis compte une fois 30 jours appris.",
        ),
    ],
)
async def test_a_trial_names_the_days_that_it_counts(
    tmp_path: Path, learned: int, reason: GateReason, english: str, french: str
) -> None:
    of_day = coming(VALUES, state=GateState.TRIAL)
    hours = msgspec.structs.replace(of_day.hours, days=learned, reason=reason_text([reason]))
    service = made(tmp_path, [*past(errors_at())[-12:], replace(of_day, hours=hours)])
    async with served(service) as client:
        pages = [parsed(await get(client, PATH, language)) for language in ("en", "fr")]
    summaries = [text_of(page, "#corrected summary") for page in pages]
    assert summaries[0] == f"Corrected forecast on trial: {english}"
    assert summaries[1].endswith(french)


# --- The learning started again ------------------------------------------------------------------------


def with_positions(service: Service, *latitudes: float, confirmed: bool = False) -> None:
    """Store where the first station stood: one place for the days before, then one for each of three days."""
    first = NOW - timedelta(days=30)
    moments = [first, *(NOW - timedelta(days=12 - day) for day in range(3))]
    for moment, latitude in zip(moments, latitudes, strict=True):
        service.store.add_observations(
            ObservationBatch(
                source="ffvl",
                route="test",
                rank=0,
                collected_at=moment,
                positions=(Position(FFVL, moment, latitude, 6.22),),
            )
        )
    if confirmed:
        service.store.confirm_station(SITE, FFVL, NOW)


async def test_a_moved_beacon_starts_again_and_the_reason_is_shown(tmp_path: Path) -> None:
    service = shown(tmp_path)
    with_positions(service, 45.85, 45.87, 45.87, 45.87)
    async with served(service) as client:
        answer = (await client.get(f"/api/v1/sites/{SITE}/forecast?day={TOMORROW}")).json()
        pages = [parsed(await get(client, PATH, language)) for language in ("en", "fr")]
    moved = NOW.date() - timedelta(days=12)
    assert answer["learningRestarted"]["since"] == f"{moved}"
    assert answer["learningRestarted"]["reason"] == "moved"
    sentence = f"The learning started again on {moved}: the station was moved by 2.2 km."
    assert answer["learningRestarted"]["text"].startswith(sentence)
    assert answer["windSpeed"]["nDays"] <= 12, "the days before do not count as its own"
    english, french = (corrected(page).replace("\N{NO-BREAK SPACE}", " ") for page in pages)
    assert "the beacon was moved by 2.2 km. Its readings count again once the operator has" in english
    assert "la balise a été déplacée de 2,2 km. Ses mesures compteront de nouveau quand" in french


async def test_once_its_place_is_confirmed_only_the_days_since_the_move_count(tmp_path: Path) -> None:
    service = shown(tmp_path)
    with_positions(service, 45.85, 45.87, 45.87, 45.87, confirmed=True)
    page = await page_of(service, PATH)
    text = corrected(page)
    assert "the beacon was moved by 2.2 km." in text and "once the operator" not in text
    assert "on 12 days" in text or "on 11 days" in text, text


async def test_a_beacon_that_stands_where_it_stood_restarts_nothing(tmp_path: Path) -> None:
    service = shown(tmp_path)
    with_positions(service, 45.85, 45.85, 45.85, 45.85)
    assert "The learning started again" not in corrected(await page_of(service, PATH))


async def test_another_reference_station_starts_again_and_both_are_named(tmp_path: Path) -> None:
    service = shown(tmp_path)
    last = day_number(NOW.date()) - 3
    hours = np.full(HOURS_A_DAY, 20_000, np.int32)
    learned = ModelsOfDay(SITE, ROMMA, last, 0, {"arome_0025": hours})
    with service.database.write() as connection:
        append_learning(connection, Question("public", EVENING_BEFORE.number, SPEED), [learned])
    async with served(service) as client:
        answer = (await client.get(f"/api/v1/sites/{SITE}/forecast?day={TOMORROW}")).json()
        french = parsed(await get(client, PATH, "fr"))
    restarted = answer["learningRestarted"]
    assert (restarted["reason"], restarted["since"]) == ("replaced", f"{NOW.date() - timedelta(days=2)}")
    assert restarted["text"].endswith(f"the station is {FFVL} now, and was {ROMMA} before.")
    assert f"la balise est maintenant {FFVL}, c’était {ROMMA} avant." in corrected(french)
