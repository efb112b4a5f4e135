"""The details of a site: their list, the own limit, the bias, the beacon, and the coverage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.pages.routes.details import DETAILS
from backend.scoring.constants import LEAST_LIMIT, MOST_LIMIT
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    PARAPENTE,
    ROMMA,
    Values,
    get,
    page_of,
    scored_site,
    speeds,
    text_of,
)
from backend.tests.support.served import served

SITE = "/sites/grand-pre/details"


async def test_every_detail_is_in_the_list_with_a_line_of_its_own(tmp_path: Path) -> None:
    page = await page_of(scored_site(tmp_path, {}), f"{SITE}?u=kt")
    links = [link.attributes["href"] for link in page.css(".topics a")]
    assert links == [f"{SITE}/{topic}?u=kt" for topic in DETAILS]


@pytest.mark.parametrize("topic", list(DETAILS))
@pytest.mark.parametrize("site", ["grand-pre", "petit-col", "sans-balise"])
async def test_a_site_without_values_has_an_honest_page(tmp_path: Path, topic: str, site: str) -> None:
    for language in ("fr", "en"):
        page = await page_of(scored_site(tmp_path, {}), f"/sites/{site}/details/{topic}", language)
        assert text_of(page, "h1")
        assert "None" not in text_of(page)


# --- The own limit -----------------------------------------------------------------------------------------


def by_day(*values: float) -> Values:
    """Return winds that repeat these values from day to day."""
    return {SPEED: np.resize(np.array(values), DAYS)[:, None] + constant(DAYS, 0.0)}


async def test_the_four_cases_are_counted_in_words(tmp_path: Path) -> None:
    # Of each four days: fine and fine, fine and too strong, too strong and too strong, too strong and fine.
    forecast, observed = by_day(20, 20, 30, 30), by_day(20, 30, 30, 20)
    service = scored_site(tmp_path, {AROME: forecast}, {FFVL: observed})
    english = text_of(await page_of(service, f"{SITE}/limit"))
    assert "When AROME announced at most 25 km/h, more came in 90 of 180 hours: 50%" in english
    assert "announced fine, was fine 90 hours announced fine, was too strong 90 hours" in english
    french = text_of(await page_of(service, f"{SITE}/limit?lim=29", "fr"))
    assert "Quand AROME annonçait 29 km/h au plus, il est venu plus dans 90 des 180 heures : 50 %" in french
    page = await page_of(service, f"{SITE}/limit?lim=35")
    assert "more came in 0 of 360 hours" in text_of(page)
    assert [node.attributes["value"] for node in page.css("#lim")] == ["35"]


async def test_the_form_takes_every_limit_that_the_address_takes(tmp_path: Path) -> None:
    page = await page_of(scored_site(tmp_path, {}), f"{SITE}/limit?lim=22.5")
    for name in ("lim", "glim"):
        (field,) = page.css(f"#{name}")
        found = [field.attributes[each] for each in ("min", "max", "step")]
        assert found == [f"{LEAST_LIMIT.value:g}", f"{MOST_LIMIT.value:g}", "any"]


async def test_a_limit_out_of_range_is_refused(tmp_path: Path) -> None:
    async with served(scored_site(tmp_path, {})) as client:
        assert (await get(client, f"{SITE}/limit?lim=4")).status_code == 422
        assert (await get(client, f"{SITE}/limit?lim=nan")).status_code == 422


async def test_a_withheld_model_has_no_counts_and_no_free_limit(tmp_path: Path) -> None:
    arome, parapente = speeds(20.0, 21.0)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}, public_raw_sources="romma")
    pages = [text_of(await page_of(service, f"{SITE}/limit?lim={limit}")) for limit in (20, 21, 22)]
    assert all("AROME" in page and "MeteoParapente announced" not in page for page in pages)


# --- The bias ----------------------------------------------------------------------------------------------


async def test_the_bias_has_its_sign_in_both_languages(tmp_path: Path) -> None:
    arome, parapente = speeds(26.0, 17.0)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente})
    english = text_of(await page_of(service, f"{SITE}/bias"))
    assert "At midday (12:00 to 14:00) AROME announces 6.0 km/h too much (between 6.0 and 6.0)." in english
    assert "At midday (12:00 to 14:00) MeteoParapente announces 3.0 km/h too little" in english
    french = text_of(await page_of(service, f"{SITE}/bias?u=ms", "fr"))
    assert "À midi (12 h à 14 h), AROME annonce 1,7 m/s de trop (entre 1,7 et 1,7)." in french
    assert "MeteoParapente annonce 0,8 m/s de moins que la balise" in french


async def test_a_direction_turns_clockwise_or_not(tmp_path: Path) -> None:
    models = {
        AROME: {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 10.0)},
        PARAPENTE: {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 340.0)},
    }
    observed = {FFVL: {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 355.0)}}
    service = scored_site(tmp_path, models, observed)
    english = text_of(await page_of(service, f"{SITE}/bias?parameter=wind_direction"))
    assert "AROME announces a wind turned clockwise by 15°" in english
    assert "MeteoParapente announces a wind turned anticlockwise by 15°" in english
    french = text_of(await page_of(service, f"{SITE}/bias?parameter=wind_direction", "fr"))
    assert "AROME annonce un vent décalé de 15° dans le sens horaire" in french
    assert "MeteoParapente annonce un vent décalé de 15° dans le sens antihoraire" in french


async def test_no_steady_bias_is_named_so(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: by_day(18, 22)})
    assert "AROME has no steady bias." in text_of(await page_of(service, f"{SITE}/bias"))
    assert "AROME n’a pas de biais constant." in text_of(await page_of(service, f"{SITE}/bias", "fr"))


async def test_the_chart_of_the_bias_has_a_table_twin(tmp_path: Path) -> None:
    page = await page_of(scored_site(tmp_path, {AROME: speeds(26.0)[0]}), f"{SITE}/bias")
    (chart,) = page.css("svg[role=img]")
    assert "Mean error of each model" in (chart.attributes["aria-label"] or "")
    behind = "n of each point: AROME 40 days, 120 h."
    assert behind in (chart.attributes["aria-label"] or "")
    assert behind in text_of(page, "figcaption")
    rows = [row.text(separator=" ").split() for row in page.css("details table tbody tr")]
    assert ["12–14", "h", "+6.0", "km/h", "+6.0", "…", "+6.0", "40"] in rows


# --- The beacon and the coverage --------------------------------------------------------------------------


async def test_the_beacon_has_its_calms_doubts_and_differences(tmp_path: Path) -> None:
    observed: dict[str, Values] = {FFVL: by_day(0, 20), ROMMA: by_day(2, 22)}
    service = scored_site(tmp_path, {}, observed, doubts={(SPEED, "spike"): 3, (GUST, "stuck"): 1})
    english = text_of(await page_of(service, f"{SITE}/beacon"))
    assert "in 50% of them it read less than 5 km/h" in english
    assert "Mean wind: 84, far from the readings before and after" in english
    assert "2.0 km/h less than romma:902 on average; hour by hour they differ by 2.0 km/h" in english
    french = text_of(await page_of(service, f"{SITE}/beacon", "fr"))
    assert "romma:902 : cette balise mesure 2,0 km/h de moins en moyenne" in french


async def test_nothing_is_shown_of_a_withheld_beacon(tmp_path: Path) -> None:
    service = scored_site(
        tmp_path, {}, {FFVL: by_day(0, 20), ROMMA: by_day(2, 22)}, public_raw_sources="meteo_parapente"
    )
    assert "romma:902" not in text_of(await page_of(service, f"{SITE}/beacon"))
    closed = text_of(await page_of(service, "/sites/petit-col/details/beacon"))
    assert "This site has no beacon whose values are public." in closed


async def test_the_coverage_counts_hours_of_those_expected(tmp_path: Path) -> None:
    arome, _ = speeds(20.0, 20.0)
    arome[SPEED][:10] = np.nan
    page = await page_of(scored_site(tmp_path, {AROME: arome}), f"{SITE}/coverage")
    rows = [row.text(separator=" ").split() for row in page.css("table tbody tr")]
    assert rows[0][0] == FFVL
    assert rows[0][-1] == "100%"
    assert rows[1][0] == "AROME"
    assert int(rows[1][1]) == int(rows[0][1]) - 90
    assert "months are complete" in text_of(page)


async def test_one_month_is_one_month(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(20.0, days=10)[0]}, days=10)
    text = text_of(await page_of(service, f"{SITE}/coverage"))
    assert "of 1 month is complete." in text


async def test_the_verdict_is_tried_at_the_other_beacon(tmp_path: Path) -> None:
    arome, parapente = by_day(22, 24), by_day(28, 27)
    same, other = by_day(20, 20), by_day(28, 27)
    service = scored_site(
        tmp_path,
        {AROME: arome, PARAPENTE: parapente},
        {FFVL: same, ROMMA: other},
        positions={FFVL: (45.9, 6.7), ROMMA: (45.92, 6.72)},
    )
    english = text_of(await page_of(service, f"{SITE}/beacon"))
    assert "AROME errs least." in english
    assert "At romma:902 MeteoParapente errs less than AROME (40 common days)." in english
    french = text_of(await page_of(service, f"{SITE}/beacon", "fr"))
    assert (
        "À romma:902, c’est MeteoParapente qui se trompe le moins, et non AROME (40 jours communs)." in french
    )


async def test_what_came_after_an_announcement_has_its_range(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: by_day(22, 22)}, {FFVL: by_day(10, 30)})
    english = text_of(await page_of(service, f"{SITE}/bias"))
    assert "20 to 25 km/h announced: the beacon read 10 to 30 km/h (8 times in 10, 40 days)." in english
    french = text_of(await page_of(service, f"{SITE}/bias", "fr"))
    assert "20 à 25 km/h annoncés : la balise a mesuré 10 à 30 km/h (8 fois sur 10, 40 jours)." in french


async def test_a_strength_announced_on_few_days_has_its_days_in_place_of_a_range(tmp_path: Path) -> None:
    winds = np.full(DAYS, 22.0)
    winds[:12] = 52.0
    service = scored_site(tmp_path, {AROME: {SPEED: winds[:, None] + constant(DAYS, 0.0)}})
    english = text_of(await page_of(service, f"{SITE}/bias"))
    assert "Too few days for a range so far (20 needed): 50 km/h or more on 12 days." in english
    french = text_of(await page_of(service, f"{SITE}/bias", "fr"))
    assert "jusqu’ici (il en faut 20) : 50 km/h ou plus (12 jours)." in french
