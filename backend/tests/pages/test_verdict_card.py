"""The verdict card: its three outcomes in both languages, its choices, and what is not public."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.pages.language import language
from backend.pages.sentences_scores import coarse_share
from backend.scoring.days.public_months import publish
from backend.tests.support.score_store import DIRECTION, SPEED, TEMPERATURE, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    PARAPENTE,
    ROMMA,
    get,
    noise,
    page_of,
    parsed,
    scored_site,
    speeds,
    text_of,
)
from backend.tests.support.served import served

SITE = "/sites/grand-pre"
CARD = "#verdict"


async def test_a_winner_with_both_errors_in_both_languages(tmp_path: Path) -> None:
    by_turns = np.where(np.arange(DAYS) % 2, 1.0, -1.0)[:, None]  # a difference that varies has a test
    arome, parapente = speeds(22.0, 26.0 + by_turns)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}, elevations={FFVL: 1380.0})
    english = text_of(await page_of(service, SITE), CARD)
    assert "AROME errs least" in english
    assert (
        "Mean wind, 10:00 to 18:00, read the evening before: AROME is wrong by 2.0 km/h on average,"
        " MeteoParapente by 6.0 (40 common days)." in english
    )
    assert "The beacon ffvl:901 stands at the take-off, 20 m lower." in english
    assert "±" not in english
    french = text_of(await page_of(service, SITE, "fr"), CARD)
    assert "AROME se trompe le moins" in french
    assert "AROME se trompe de 2,0 km/h en moyenne, MeteoParapente de 6,0 (40 jours communs)." in french
    assert "au décollage, 20 m plus bas." in french
    assert "Sur les 40 jours communs de ces modèles (provisoire), de juin 2026 à juillet 2026" in french


async def test_two_models_may_be_too_close_to_call(tmp_path: Path) -> None:
    arome, parapente = speeds(20.0 + noise(1, size=3), 20.0 + noise(2, size=3))
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente})
    assert "Too close to call" in text_of(await page_of(service, SITE), CARD)
    assert "Trop proche pour trancher" in text_of(await page_of(service, SITE, "fr"), CARD)


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ((), "No forecast has an hour in common with the beacon yet."),
        ((AROME,), "Only AROME has hours in common with the beacon"),
        ((AROME, PARAPENTE), "20 common days of the 30 that a verdict needs."),
    ],
)
async def test_what_is_missing_is_named(tmp_path: Path, models: tuple[str, ...], sentence: str) -> None:
    service = scored_site(tmp_path, dict(zip(models, speeds(22.0, 26.0, days=20), strict=False)), days=20)
    card = await page_of(service, SITE)
    assert "Not enough data yet" in text_of(card, CARD)
    assert sentence in text_of(card, CARD)


async def test_a_site_without_a_beacon_has_its_sentence(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {})
    assert "This site has no beacon" in text_of(await page_of(service, "/sites/sans-balise"), CARD)


async def test_quantity_view_and_unit_are_links_of_the_same_page(tmp_path: Path) -> None:
    wind = {SPEED: constant(DAYS, 20.0)}
    models = {
        AROME: wind | {DIRECTION: constant(DAYS, 20.0), TEMPERATURE: constant(DAYS, 14.0)},
        PARAPENTE: wind | {DIRECTION: constant(DAYS, 350.0), TEMPERATURE: constant(DAYS, 17.0)},
    }
    observed = wind | {DIRECTION: constant(DAYS, 10.0), TEMPERATURE: constant(DAYS, 13.0)}
    service = scored_site(tmp_path, models, {FFVL: observed}, grounds={AROME: 1400.0, PARAPENTE: 1400.0})
    async with served(service) as client:
        page = parsed(await get(client, f"{SITE}?u=kt&view=morning"))
        links = {link.text(): link.attributes["href"] or "" for link in page.css(f"{CARD} .chips a")}
        assert links["Direction"] == f"{SITE}?u=kt&view=morning&parameter=wind_direction#verdict"
        assert links["the evening before"] == f"{SITE}?u=kt#verdict"
        direction = text_of(parsed(await get(client, f"{SITE}?parameter=wind_direction")), CARD)
        assert "AROME is wrong by 10° on average, MeteoParapente by 20" in direction
        warm = text_of(parsed(await get(client, f"{SITE}?parameter=temperature", "fr")), CARD)
        assert "AROME se trompe de 1,0 °C en moyenne, MeteoParapente de 4,0" in warm
        assert (await get(client, f"{SITE}?view=lead_0_5")).status_code == 422
        assert (await get(client, f"{SITE}?parameter=wind")).status_code == 422


async def test_speeds_are_in_the_unit_of_the_pilot(tmp_path: Path) -> None:
    arome, parapente = speeds(20.0 + 1.852, 20.0 + 3.704)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente})
    card = text_of(await page_of(service, f"{SITE}?u=kt"), CARD)
    assert "AROME is wrong by 1.0 kt on average, MeteoParapente by 2.0" in card
    assert "km/h" not in card


async def test_a_withheld_model_has_only_figures_of_whole_months(tmp_path: Path) -> None:
    # No month is complete, so that nothing of the withheld model may be shown.
    arome, parapente = speeds(22.0, 26.37)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}, public_raw_sources="romma")
    card = text_of(await page_of(service, SITE), CARD)
    assert "6.4" not in card
    assert "scores with them appear once a whole calendar month is complete" in card


def test_a_coarse_share_never_reads_as_never_or_always() -> None:
    # Public shares of 180 hours have steps of 20 %: one that was rounded to none may have been 9 %.
    shown = [coarse_share(language("en"), share).replace("\xa0", " ") for share in (0.0, 0.2, 1.0)]
    assert shown == ["< 10%", "≈20%", "> 90%"]


async def test_a_site_with_a_withheld_reference_is_shown_at_its_first_public_station(tmp_path: Path) -> None:
    arome, parapente = speeds(22.0, 26.0)
    readings = {ROMMA: {SPEED: np.full((DAYS, 25), 20.0)}, FFVL: {SPEED: np.full((DAYS, 25), 24.0)}}
    service = scored_site(
        tmp_path, {AROME: arome, PARAPENTE: parapente}, readings, public_raw_sources="meteo_parapente"
    )
    toml = (tmp_path / "sites.toml").read_text()
    (tmp_path / "sites.toml").write_text(toml.replace('"ffvl:901", "romma:902"', '"romma:902", "ffvl:901"'))
    card = text_of(await page_of(service, SITE), CARD)
    assert "The beacon ffvl:901" in card
    assert "Too close to call" in card  # both err by 2.0 at the public station


async def test_public_models_have_a_verdict_before_the_months_of_withheld_ones_are_enough(
    tmp_path: Path,
) -> None:
    models = dict(zip((AROME, "arome_ifs_0025", PARAPENTE), speeds(21.0 + noise(1), 26.0, 23.0), strict=True))
    service = scored_site(tmp_path, models, public_raw_sources="romma")
    publish(service.database, service.clock())
    async with served(service) as client:
        page = parsed(await get(client, SITE))
        assert "AROME errs least" in text_of(page, CARD)
        assert "MeteoParapente" not in text_of(page, f"{CARD} table")
        (all_models,) = (link for link in page.css(f"{CARD} a") if link.text() == "All models")
        of_all = text_of(
            parsed(await get(client, (all_models.attributes["href"] or "").partition("#")[0])), CARD
        )
    assert "Not enough data yet" in of_all
    assert "MeteoParapente" in of_all
