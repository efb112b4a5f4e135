"""The comparison of models: each two on their common hours, with the outcome and its interval in words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from backend.scoring.days.public_months import publish
from backend.tests.support.score_store import SPEED, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    PARAPENTE,
    Values,
    get,
    noise,
    page_of,
    scored_site,
    speeds,
    text_of,
)
from backend.tests.support.served import NOW, served

ICON = "icon_d2"
PAGE = "/compare?site=grand-pre"


def three_models() -> dict[str, Values]:
    arome, parapente, icon = speeds(22.0 + noise(1, size=0.5), 26.0 + noise(2), 22.1 + noise(3, size=0.5))
    return {AROME: arome, PARAPENTE: parapente, ICON: icon}


async def test_each_pair_has_its_outcome_in_words_and_its_interval(tmp_path: Path) -> None:
    service = scored_site(tmp_path, three_models())
    page = await page_of(service, PAGE)
    rows = [" ".join(row.text(separator=" ").split()) for row in page.css("table tbody tr")]
    assert len(rows) == 3
    (pair,) = (row for row in rows if "MeteoParapente" in row and "AROME" in row)
    assert pair.startswith("AROME errs less than MeteoParapente: by 2.0 km/h on average")
    assert "−4.0 km/h (−4." in pair
    assert pair.endswith("40")
    (close,) = (row for row in rows if "MeteoParapente" not in row)
    assert "are too close to call" in close
    french = text_of(await page_of(service, PAGE, "fr"))
    assert "AROME se trompe moins : de 2,0 km/h en moyenne, contre 6,0 km/h pour MeteoParapente." in french
    assert "sont trop proches pour trancher" in french


async def test_the_sign_is_of_the_model_that_the_sentence_names_first(tmp_path: Path) -> None:
    # By name AROME is the first of the two, and MeteoParapente errs less.
    arome, parapente = speeds(26.0 + noise(1, size=0.5), 22.0 + noise(2, size=0.5))
    page = await page_of(scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}), PAGE)
    (row,) = (" ".join(row.text(separator=" ").split()) for row in page.css("table tbody tr"))
    assert row.startswith("MeteoParapente errs less than AROME: by 2.0 km/h on average")
    assert re.search(r"−4\.\d km/h \(−4\.\d … −3\.\d\)", row), row


async def test_one_model_or_one_pair_may_be_chosen(tmp_path: Path) -> None:
    service = scored_site(tmp_path, three_models())
    async with served(service) as client:
        for query, count in (("", 3), (f"&a={AROME}", 2), (f"&a={AROME}&b={PARAPENTE}", 1), ("&a=&b=", 3)):
            answer = await get(client, PAGE + query)
            assert answer.text.count("<tr>") == count + 1, query
        assert (await get(client, f"{PAGE}&a=no_such_model")).status_code == 422
        assert (await get(client, "/compare?site=nowhere")).status_code == 404


async def test_without_a_site_it_is_the_first_of_the_chosen_ones(tmp_path: Path) -> None:
    service = scored_site(tmp_path, three_models())
    page = await page_of(service, "/compare?s=gone,petit-col")
    assert [node.attributes["value"] for node in page.css("#compare-site option[selected]")] == ["petit-col"]
    page = await page_of(service, "/compare")
    assert [node.attributes["value"] for node in page.css("#compare-site option[selected]")] == ["grand-pre"]


async def test_what_is_missing_is_named(tmp_path: Path) -> None:
    alone = scored_site(tmp_path, {AROME: {SPEED: constant(DAYS, 22.0)}})
    assert "No two models have an hour in common." in text_of(await page_of(alone, PAGE))
    assert "This site has no beacon" in text_of(await page_of(alone, "/compare?site=sans-balise"))


async def test_few_days_give_no_outcome(tmp_path: Path) -> None:
    arome, parapente = speeds(22.0, 26.0, days=20)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}, days=20)
    assert "too few days to compare" in text_of(await page_of(service, PAGE))


async def test_a_withheld_model_is_not_compared_before_a_month_is_complete(tmp_path: Path) -> None:
    models = three_models()
    by_turns = np.where(np.arange(DAYS) % 2, 1.0, -1.0)[:, None]
    models[PARAPENTE] = {SPEED: constant(DAYS, 26.37) + by_turns}
    service = scored_site(tmp_path, models, public_raw_sources="romma")
    text = text_of(await page_of(service, PAGE), "table")
    assert "MeteoParapente" not in text
    assert "AROME" in text


OWN = "meteo_score"


def with_few_of_ours(few: int) -> dict[str, Values]:
    """Our own forecast on the last `few` days only."""
    last = np.arange(DAYS)[:, None] >= DAYS - few
    return three_models() | {OWN: {SPEED: np.where(last, constant(DAYS, 21.0), np.nan)}}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "for too few hours in common with the other models: MétéoScore (5 days)."),
        ("fr", "faute d’assez d’heures communes avec les autres modèles : MétéoScore (5 jours)."),
    ],
)
async def test_a_model_with_few_days_is_named_where_it_is_not_compared(
    tmp_path: Path, language: str, sentence: str
) -> None:
    service = scored_site(tmp_path, with_few_of_ours(5))
    card = text_of(await page_of(service, "/sites/grand-pre", language), "#verdict")
    assert sentence in card
    # The other page compares each two models: ours has hours with each of the others there.
    assert sentence[:30] not in text_of(await page_of(service, PAGE, language))


async def test_a_public_model_without_a_published_month_is_named_where_others_have_one(
    tmp_path: Path,
) -> None:
    days = 75  # the last whole month is June, and ours begins in July
    models = dict(zip((AROME, PARAPENTE), speeds(22.0, 26.0 + noise(2, days), days=days), strict=True))
    recent = np.arange(days)[:, None] >= days - 10
    models[OWN] = {SPEED: np.where(recent, constant(days, 21.0), np.nan)}
    service = scored_site(tmp_path, models, public_raw_sources="romma", days=days)
    publish(service.database, NOW)
    sentence = "for too few hours in common with the other models: MétéoScore (0 days)."
    for path in (PAGE, "/sites/grand-pre?sources=all"):
        page = text_of(await page_of(service, path))
        assert "of whole months" in page
        assert sentence in page
    async with served(service) as client:
        answer = (await get(client, "/api/v1/sites/grand-pre/verdict")).json()
    assert answer["commonSample"].endswith("not compared, for too few hours in common with them: MétéoScore")
