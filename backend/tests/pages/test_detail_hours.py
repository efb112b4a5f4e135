"""The detail about single hours: its sentences, its charts with their tables, and what stays out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.tests.support.score_store import DIRECTION, SPEED, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    PARAPENTE,
    Values,
    get,
    page_of,
    scored_site,
    speeds,
    text_of,
)
from backend.tests.support.served import served

PAGE = "/sites/grand-pre/details/hours"


def by_day(*values: float) -> Values:
    return {SPEED: np.resize(np.array(values), DAYS)[:, None] + constant(DAYS, 0.0)}


async def test_the_counted_hours_have_their_sentence_chart_and_table(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: by_day(22, 22, 22, 31)}, {FFVL: by_day(22, 27, 10, 31)})
    page = await page_of(service, PAGE)
    sentence = (
        "The announced class came in 50% of the hours, a stronger one in 25%, a weaker one in 25%"
        " (n = 360 h on 40 days)."
    )
    assert f"Announced and came · AROME {sentence}" in text_of(page)
    chart = page.css("svg[role=img]")[0]
    assert sentence in (chart.attributes["aria-label"] or "")
    table = page.css("table")[0]
    rows = {
        cells[0]: cells[1:]
        for row in table.css("tbody tr")
        if (cells := [cell.text().strip() for cell in row.css("th, td")])
    }
    assert rows["20–25"] == ["–", "–", "90", "–", "90", "90", "–", "–", "–"]
    assert rows["50 or more"] == ["–"] * 9
    french = text_of(await page_of(service, PAGE, "fr"))
    assert "Annoncé et venu · AROME La classe annoncée est venue dans 50 % des heures" in french


async def test_months_have_the_sign_the_days_and_a_mark_for_too_few(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(26.0)[0], PARAPENTE: speeds(17.0)[0]})
    english = await page_of(service, PAGE)
    assert "The largest steady error: +6.0 km/h in June at 00:00 (between +6.0 and +6.0, n = 2" in text_of(
        english
    )
    label = english.css("svg[role=img]")[1].attributes["aria-label"] or ""
    assert "above 0 it announces too much. n of each figure: 2" in label
    cells = [cell.text().strip() for cell in english.css("table")[1].css("tbody tr")[13].css("th, td")]
    assert cells[0] == "13:00"
    assert sorted(cell.partition(" ")[0] for cell in cells[1:]) == ["+6.0", "…"]
    french = text_of(await page_of(service, f"{PAGE}?model={PARAPENTE}&u=ms", "fr"))
    assert "La plus grande erreur constante : −0,8 m/s en juin à 0 h" in french
    assert "MeteoParapente La plus grande" in french


async def test_a_direction_has_months_and_no_counted_hours(tmp_path: Path) -> None:
    winds = {SPEED: constant(DAYS, 20.0)}
    service = scored_site(
        tmp_path,
        {AROME: {**winds, DIRECTION: constant(DAYS, 350.0)}},
        {FFVL: {**winds, DIRECTION: constant(DAYS, 5.0)}},
    )
    page = await page_of(service, f"{PAGE}?parameter=wind_direction")
    assert len(page.css("svg[role=img]")) == 1
    assert "−15°" in text_of(page)


async def test_a_quantity_that_a_model_does_not_have_is_said(tmp_path: Path) -> None:
    arome: Values = {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 350.0)}
    service = scored_site(
        tmp_path,
        {AROME: arome, PARAPENTE: speeds(20.0)[0]},
        {FFVL: {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 5.0)}},
    )
    text = text_of(await page_of(service, f"{PAGE}?parameter=wind_direction&model={PARAPENTE}"))
    assert "MeteoParapente has no hour of this in common with the beacon." in text


async def test_few_days_are_an_honest_sentence(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(20.0, days=10)[0]}, days=10)
    page = await page_of(service, PAGE)
    assert "No hour of a month has 20 days yet." in text_of(page)
    assert len(page.css("svg[role=img]")) == 1


async def test_a_withheld_model_or_beacon_has_no_hours_here(tmp_path: Path) -> None:
    arome, parapente = speeds(21.0, 77.0)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}, public_raw_sources="romma")
    async with served(service) as client:
        assert "MeteoParapente" not in (await get(client, PAGE)).text
        assert (await get(client, f"{PAGE}?model={PARAPENTE}")).status_code == 404
        assert (await get(client, f"{PAGE}?model=<b>")).status_code == 404
