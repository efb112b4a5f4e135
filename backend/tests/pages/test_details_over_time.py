"""The details about lead time, runs and direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.core.parameters import Parameter
from backend.main import Service
from backend.scoring.days.public_months import publish
from backend.scoring.views import EVENING_BEFORE, LEAD_VIEWS
from backend.tests.support.score_store import DIRECTION, SPEED, Grid, constant, keep
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    FIRST,
    PARAPENTE,
    Values,
    page_of,
    scored_site,
    speeds,
    text_of,
)
from backend.tests.support.served import OPENED, make_service
from backend.tests.support.stores import make_tables

SITE = "/sites/grand-pre/details"


def by_lead(folder: Path, winds: list[float], public_raw_sources: str = OPENED) -> Service:
    """Return a service in which each lead view has its own wind; 20 km/h are observed."""
    service = make_service(folder, public_raw_sources=public_raw_sources)
    make_tables(service.database)
    site = service.sites()[0]
    for view, wind in zip(LEAD_VIEWS, winds, strict=True):
        models: dict[str, dict[Parameter, Grid]] = {
            AROME: {SPEED: constant(DAYS, wind)},
            PARAPENTE: {SPEED: constant(DAYS, wind + 40)},
        }
        keep(
            service.database,
            site,
            FIRST,
            models=models,
            stations={FFVL: {SPEED: constant(DAYS, 20.0)}},
            views=(view,),
        )
    return service


async def test_the_error_by_lead_is_in_words_in_a_chart_and_in_a_table(tmp_path: Path) -> None:
    service = by_lead(tmp_path, [21.0, 22.0, 23.0, 24.0, 25.0, 26.0])
    page = await page_of(service, f"{SITE}/lead")
    method = [link for link in page.css("main a") if "/methodology#" in str(link.attributes["href"])]
    anchors = {str(link.attributes["href"]).partition("#")[2] for link in method}
    assert anchors == {"mae", "interval", "skill"}, "the columns and the dashed line are explained"
    assert (
        "AROME is wrong by 1.0 km/h on average 0–5 h ahead, and by 6.0 km/h 48 h ahead or more."
        in text_of(page)
    )
    rows = [row.text(separator=" ").split() for row in page.css("details table tbody tr")]
    assert rows[2][:6] == ["12–23", "h", "ahead", "3.0", "km/h", "3.0"]
    assert len(page.css("svg[role=img]")) == 1
    french = text_of(await page_of(service, f"{SITE}/lead", "fr"))
    assert "AROME se trompe de 1,0 km/h en moyenne à 0–5 h d’échéance, et de 6,0 km/h" in french


async def test_runs_are_compared_with_each_other(tmp_path: Path) -> None:
    service = by_lead(tmp_path, [30.0, 24.0, 24.0, 24.0, 24.0, 26.0])
    page = await page_of(service, f"{SITE}/runs")
    english = text_of(page)
    assert (
        "From 48 h ahead or more to 36–47 h ahead it changes by 2.0 km/h on average, and by more than 5 km/h"
        " in 0% of the hours." in english
    )
    assert "From 6–11 h ahead to 0–5 h ahead it changes by 6.0 km/h on average" in english
    rows = [row.text(separator=" ").split() for row in page.css("details table tbody tr")]
    assert "−2.0" in rows[0]
    assert "+6.0" in rows[4]


async def test_the_runs_of_a_withheld_model_are_not_compared(tmp_path: Path) -> None:
    service = by_lead(tmp_path, [30.0, 24.0, 24.0, 24.0, 24.0, 26.0], "romma")
    text = text_of(await page_of(service, f"{SITE}/runs"))
    assert "AROME" in text
    assert "MeteoParapente" not in text


def winds(speed: float | Grid, direction: float, days: int = DAYS) -> Values:
    return {SPEED: constant(days, 0.0) + speed, DIRECTION: constant(days, direction)}


async def test_the_direction_has_its_share_within_the_tolerance_and_two_roses(tmp_path: Path) -> None:
    light = np.resize(np.array([5.0, 20.0, 20.0, 20.0]), DAYS)[:, None]
    service = scored_site(
        tmp_path,
        {AROME: winds(20.0, 200.0), PARAPENTE: winds(20.0, 270.0)},
        {FFVL: winds(light, 190.0)},
        views=(EVENING_BEFORE,),
    )
    page = await page_of(service, f"{SITE}/direction")
    english = text_of(page)
    assert "AROME is within 30° in 100% of the hours with wind, and off by 10° on average" in english
    assert "MeteoParapente is within 30° in 0% of the hours with wind, and off by 80° on average" in english
    assert "In 25% of 360 hours the beacon read less than 10.8 km/h" in english
    roses = [node.attributes["aria-label"] or "" for node in page.css("svg[role=img]")]
    assert len(roses) == 4
    assert "S 100%" in roses[0]
    assert "(n = 270 h)" in roses[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "the same 270 hours with wind on 30 days" in english
    assert "W 100%" in roses[3]
    french = text_of(await page_of(service, f"{SITE}/direction", "fr"))
    assert "AROME est à moins de 30° dans 100 % des heures ventées" in french


async def test_no_rose_is_made_of_a_withheld_model(tmp_path: Path) -> None:
    models = {AROME: winds(20.0, 200.0), PARAPENTE: winds(20.0, 270.0)}
    service = scored_site(tmp_path, models, {FFVL: winds(20.0, 190.0)}, public_raw_sources="romma")
    page = await page_of(service, f"{SITE}/direction")
    assert len(page.css("svg[role=img]")) == 2
    assert "MeteoParapente announced" not in text_of(page)


@pytest.mark.parametrize(("direction", "share"), [(270.0, "< 10%"), (190.0, "> 90%")])
async def test_the_share_of_a_withheld_model_is_a_bound_and_no_exact_none_or_all(
    tmp_path: Path, direction: float, share: str
) -> None:
    models = {AROME: winds(20.0, 200.0, 150), PARAPENTE: winds(20.0, direction, 150)}
    service = scored_site(
        tmp_path, models, {FFVL: winds(20.0, 190.0, 150)}, days=150, public_raw_sources="romma"
    )
    publish(service.database, service.clock())
    text = text_of(await page_of(service, f"{SITE}/direction")).replace("\N{NO-BREAK SPACE}", " ")
    assert "AROME is within 30° in 100% of" in text
    assert f"MeteoParapente is within 30° in {share} of" in text


async def test_speeds_alone_give_no_direction(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(20.0)[0]})
    text = text_of(await page_of(service, f"{SITE}/direction"))
    assert "No forecast has an hour in common with the beacon yet." in text
