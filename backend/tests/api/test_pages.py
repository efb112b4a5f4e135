"""The status page with data, without data, and without the database."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.api.status_page import day_and_time, paris_time
from backend.main import Service
from backend.pages.assets import STYLE
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.tests.support.served import (
    ADMIN,
    NOW,
    fill,
    make_service,
    owe_nothing,
    served,
    when_ready,
    with_sources,
)
from backend.tests.support.worlds import (
    HandClock,
    brings_a_reading,
    brings_a_run,
    forecast_source,
    observation_source,
)


async def page_of(service: Service, headers: dict[bytes, bytes] | None = None) -> LexborHTMLParser:
    async with served(service) as client:
        answer = await client.get("/status", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return LexborHTMLParser(answer.text)


def text_of(node: LexborNode | None) -> str:
    assert node is not None
    return " ".join(node.text().split())


def main_text(page: LexborHTMLParser) -> str:
    return text_of(page.css_first("main"))


def article(page: LexborHTMLParser, name: str) -> LexborNode:
    node = page.css_first(f"article[aria-labelledby='{name}']")
    assert node is not None, name
    return node


def values(page: LexborHTMLParser, site: str) -> dict[str, list[str]]:
    """Return the cells of a site's table by the heading of their row: station or model, and time."""
    return {
        text_of(body.css_first("th")): [text_of(cell) for cell in body.css("td")]
        for body in article(page, f"site-{site}").css("tbody")
    }


def source_row(page: LexborHTMLParser, source: str) -> str:
    rows = page.css("section[aria-labelledby='sources'] tbody tr")
    return next(text_of(row) for row in rows if text_of(row).startswith(source))


# --- Sites -------------------------------------------------------------------------------------------


async def test_a_site_shows_its_newest_observation_and_each_models_forecast_for_now(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await page_of(service)
    heads = article(page, "site-grand-pre").css("thead th")
    assert [text_of(head) for head in heads] == ["Wind km/h", "Gust km/h", "From", "Temp. °C"]
    assert values(page, "grand-pre") == {
        "Grand Pré (balise) measured 5 min ago": ["21", "–", "225° SW", "–"],
        "romma:902 measured 5 min ago": ["–", "–", "–", "not public"],
        "meteo_parapente for 12:00 UTC, run Wed 06:00": ["not public", "–", "not public", "not public"],
        "arome_0025 for 12:00 UTC, run Wed 06:00": ["16", "56", "270° W", "0.0"],
    }


async def test_withheld_values_are_not_in_the_page_without_the_token(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        public = (await client.get("/status")).text
        whole = LexborHTMLParser((await client.get("/status", headers=ADMIN)).text)
        wrong = await client.get("/status", headers={name: value + b"x" for name, value in ADMIN.items()})
    assert not re.search(r">\s*(83|88|18\.3)\s*<", public)
    assert values(whole, "petit-col")["romma:903 measured 5 min ago"] == ["88", "–", "225° SW", "18.3"]
    assert values(whole, "petit-col")["meteo_parapente for 12:00 UTC, run Wed 06:00"][0] == "83"
    assert wrong.status_code == 401


async def test_a_missing_value_is_a_dash_and_never_a_zero(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await page_of(service)
    assert values(page, "sans-balise") == {
        "No observation": ["–", "–", "–", "–"],
        "meteo_parapente no forecast for now": ["–", "–", "–", "–"],
        "arome_0025 no forecast for now": ["–", "–", "–", "–"],
    }
    assert "This site has no reference station." in text_of(article(page, "site-sans-balise"))


async def test_an_old_reading_is_marked_with_a_word(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.store.database.close()
    later = make_service(tmp_path, clock=HandClock(NOW + timedelta(days=3)))
    page = await page_of(later)
    assert "Grand Pré (balise) measured 3 days ago ! stale" in values(page, "grand-pre")


async def test_names_are_escaped(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get("/status")
    assert "Petit Col <b>" not in answer.text
    assert "Petit Col &lt;b&gt;&amp; Cie&lt;/b&gt;" in answer.text


# --- Jobs and sources --------------------------------------------------------------------------------


async def test_a_job_shows_its_last_run_with_the_status_of_each_source(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await page_of(service)
    forecasts = text_of(article(page, FORECASTS))
    assert "! partial Wed 15 Jul 12:00 UTC (14:00 in Paris)" in forecasts
    assert "took 2 min, stored 4300 of 4300 values, 1 problem" in forecasts
    assert "arome ✓ success 4000 4000 0" in forecasts
    assert "meteo_parapente ! partial 300 300 2 HTTP 503" in forecasts
    observations = text_of(article(page, OBSERVATIONS))
    assert "romma ○ disabled 0 0 0 ROMMA_KEY is not set" in observations
    assert page.css_first("a[href='/api/scheduler/runs/1']") is not None


async def test_the_next_times_are_in_utc_and_in_paris(tmp_path: Path) -> None:
    service = with_sources(
        make_service(tmp_path, enabled=True),
        [forecast_source(brings_a_run)],
        [observation_source(brings_a_reading)],
    )
    owe_nothing(service)
    async with served(service, live=True) as client:
        await when_ready(client)
        page = LexborHTMLParser((await client.get("/status")).text)
    assert "✓ scheduler running" in main_text(page)
    forecasts = text_of(article(page, FORECASTS))
    assert "Wed 15 Jul 18:00 UTC (20:00 in Paris)" in forecasts
    assert "Thu 16 Jul 00:00 UTC (02:00 in Paris)" in forecasts
    assert page.css_first("time[datetime='2026-07-15T18:00:00Z']") is not None


async def test_a_paused_job_shows_who_paused_it_and_a_running_one_its_start(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    service.database.migrate()
    service.ledger.pause(FORECASTS, "admin (192.0.2.7)", NOW)
    service.ledger.claim(OBSERVATIONS, "cli", NOW)
    page = await page_of(service)
    assert "○ paused by admin since Wed 15 Jul 12:10 UTC" in text_of(article(page, FORECASTS))
    assert "… running now collect observations, since Wed 15 Jul 12:10 UTC" in main_text(page)


async def test_each_source_shows_the_age_of_its_newest_data_and_its_state(tmp_path: Path) -> None:
    service = make_service(tmp_path, sources="arome,ffvl,meteo_parapente")
    fill(service)
    page = await page_of(service)
    assert (
        source_row(page, "arome") == "arome ✓ fresh forecasts 6 h old Wed 15 Jul 06:00 UTC (08:00 in Paris)"
    )
    assert source_row(page, "meteo_parapente").startswith("meteo_parapente ✓ fresh forecasts, not public")
    assert source_row(page, "romma") == "romma ○ disabled observations, not public none yet"
    assert "SOURCES does not name it" in main_text(page)


async def test_a_stale_source_is_named_at_the_top_and_explained_below(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await page_of(replace(service, clock=HandClock(NOW + timedelta(hours=4))))
    summary = text_of(page.css_first("ul.summary"))
    assert "! data stale The newest data of ffvl are 4 h old; 35 min is the limit for this source." in summary
    assert "If its runs fail, read their errors" in summary
    assert source_row(page, "ffvl").startswith("ffvl ! stale observations 4 h old")
    assert "more than 35 min old at the last due time, Wed 15 Jul 14:00 UTC" in main_text(page)


async def test_every_source_is_credited(tmp_path: Path) -> None:
    page = await page_of(make_service(tmp_path))
    footer = text_of(page.css_first("footer"))
    for credit in ("Météo-France, AROME", "FFVL - balisemeteo.com", "meteo-parapente.com", "romma.fr"):
        assert credit in footer


# --- Nothing there -----------------------------------------------------------------------------------


async def test_the_page_of_an_empty_store_explains_what_comes_next(tmp_path: Path) -> None:
    page = await page_of(make_service(tmp_path))
    text = main_text(page)
    assert "○ scheduler off" in text
    assert "Start one with meteo-score collect forecasts" in text
    assert "Start one with meteo-score collect observations" in text
    assert "none yet" in text


async def test_without_sites_the_page_explains_how_to_add_one(tmp_path: Path) -> None:
    page = await page_of(make_service(tmp_path, sites=""))
    assert "meteo-score sites add" in main_text(page)


async def test_an_enabled_scheduler_that_does_not_run_is_shown_as_not_running(tmp_path: Path) -> None:
    page = await page_of(make_service(tmp_path, enabled=True))
    assert "✕ scheduler not running" in main_text(page)


async def test_without_the_database_the_page_is_503_with_the_reason(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    async with served(service) as client:
        for file in tmp_path.glob("store.sqlite3*"):
            file.unlink()
        answer = await client.get("/status")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    page = LexborHTMLParser(answer.text)
    assert text_of(page.css_first("h1")) == "The database is unreachable"
    assert str(tmp_path) not in answer.text


# --- For everybody -----------------------------------------------------------------------------------


async def test_the_page_loads_its_stylesheet_and_nothing_else(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        answer = await client.get("/status")
        page = LexborHTMLParser(answer.text)
        (sheet,) = page.css("link[rel=stylesheet]")
        style = await client.get(str(sheet.attributes["href"]))
    assert page.css("script, img, iframe, object, style, [style], [onclick]") == []
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert style.headers["content-type"].startswith("text/css")
    assert style.text == STYLE.decode()
    assert len(answer.text) + len(style.text) < 60_000


async def test_the_page_can_be_read_aloud(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await page_of(service)
    assert page.css_first("html[lang=en]") is not None
    assert len(page.css("h1")) == len(page.css("main")) == 1
    for table in page.css("table"):
        assert text_of(table.css_first("caption"))
        assert all(head.attributes.get("scope") for head in table.css("th"))
    ids = [node.attributes["id"] for node in page.css("[id]")]
    assert len(ids) == len(set(ids))
    assert {node.attributes["aria-labelledby"] for node in page.css("[aria-labelledby]")} <= set(ids)


async def test_every_link_of_the_page_leads_somewhere(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        page = LexborHTMLParser((await client.get("/status")).text)
        links = {str(link.attributes["href"]) for link in page.css("a[href]")}
        for link in links:
            assert (await client.get(link)).status_code == 200, link
    assert {"/docs", "/api/scheduler/jobs", "/api/scheduler/status", "/api/sites"} <= links


COLOUR = re.compile(r"--([\w-]+): #([0-9a-f]{6});")


def colours_of(theme: str) -> dict[str, str]:
    light, dark = STYLE.decode().split("@media (prefers-color-scheme: dark)")
    return dict(COLOUR.findall(light if theme == "light" else dark))


def luminance(colour: str) -> float:
    """WCAG 2.2: 0.2126 R + 0.7152 G + 0.0722 B of the linear channels."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    colours = colours_of(theme)
    pairs = [(text, back) for text in ("text", "quiet", "link") for back in ("page", "card")]
    pairs += [(state, f"{state}-back") for state in ("ok", "warn", "bad", "off", "busy")]
    for text, back in pairs:
        low, high = sorted((luminance(colours[text]), luminance(colours[back])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {back}"


# --- Words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "utc", "paris"),
    [
        (datetime(2026, 7, 15, 6, 0, tzinfo=UTC), "Wed 15 Jul 06:00", "08:00"),
        (datetime(2026, 7, 15, 23, 30, tzinfo=UTC), "Wed 15 Jul 23:30", "Thu 01:30"),
        (
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            "Sun 25 Oct 00:30",
            "02:30",
        ),  # summer time, for the last hour
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Sun 25 Oct 01:30", "02:30"),  # and winter time
    ],
)
def test_times_are_in_utc_and_in_local_time_of_paris(moment: datetime, utc: str, paris: str) -> None:
    assert (day_and_time(moment), paris_time(moment)) == (utc, paris)
