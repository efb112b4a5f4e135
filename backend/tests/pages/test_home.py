"""The home page: its rows, its order, searches, pages of the list, and its sentences without data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.core.records import Forecast, ForecastBatch, Run
from backend.main import Service
from backend.tests.support.served import (
    DIRECTION,
    GUST,
    NOW,
    OPENED,
    RUN,
    SITES,
    SPEED,
    fill,
    make_service,
    served,
)
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

FRENCH = {"Accept": "text/html", "Accept-Language": "fr"}
ENGLISH = {"Accept": "text/html", "Accept-Language": "en"}
MORNING = datetime(2026, 7, 15, 7, 10, tzinfo=UTC)


def announce(service: Service, wind: float, gust: float | None, *, sites: tuple[str, ...]) -> None:
    """Store a run of AROME for tomorrow: the same wind and gust in all hours."""
    records = []
    for site in sites:
        for lead in range(48):
            values = {SPEED: wind, DIRECTION: 200.0} | ({} if gust is None else {GUST: gust})
            records += [
                Forecast("arome_0025", site, parameter, RUN, RUN + timedelta(hours=lead), value)
                for parameter, value in values.items()
            ]
    service.store.add_forecasts(
        ForecastBatch(
            source="arome",
            route="object_storage",
            rank=0,
            collected_at=RUN + timedelta(hours=4),
            newest=RUN,
            run=Run("arome_0025", RUN, RUN + timedelta(hours=3), published=True),
            parts=("whole",),
            sites=sites,
            records=tuple(records),
        )
    )


def empty(service: Service) -> None:
    make_tables(service.database)
    service.store.save_sites(service.sites())


async def get(
    folder: Path,
    path: str = "/",
    *,
    put: Callable[[Service], None] = empty,
    headers: dict[str, str] = FRENCH,
    sites: str = SITES,
    now: datetime = NOW,
    public_raw_sources: str = "",
) -> httpx2.Response:
    service = make_service(folder, sites=sites, clock=HandClock(now), public_raw_sources=public_raw_sources)
    put(service)
    async with served(service) as client:
        return await client.get(path, headers=headers)


def windy(service: Service) -> None:
    """Tomorrow is quiet at Grand Pré and windy at Petit Col."""
    empty(service)
    announce(service, 12, 20, sites=("grand-pre",))
    announce(service, 31, 48, sites=("petit-col",))


def rows(answer: httpx2.Response) -> list[LexborNode]:
    assert answer.status_code == 200, answer.text
    return LexborHTMLParser(answer.text).css("table.home tbody")


def names(answer: httpx2.Response) -> list[str]:
    return [row.css("th a")[0].text() for row in rows(answer)]


def words(node: LexborNode) -> str:
    return " ".join(node.text().split())


async def test_each_site_is_a_row_of_five_hours_against_the_limits(tmp_path: Path) -> None:
    answer = await get(tmp_path, put=windy)
    grand_pre, petit_col, without = rows(answer)
    assert [words(cell) for cell in grand_pre.css("tr:first-child td")] == ["12 20"] * 5
    assert {cell.attributes["class"] for cell in grand_pre.css("tr:first-child td")} == {"under unjudged"}
    assert {cell.attributes["class"] for cell in petit_col.css("tr:first-child td")} == {"over unjudged"}
    assert "au-dessus de vos limites" in words(petit_col)
    assert words(without.css("td")[0]) == "Aucun modèle public n’a de valeurs pour ce jour."
    page = LexborHTMLParser(answer.text)
    assert page.css("h1")[0].text() == "Demain, mes sites"
    assert words(page.css(".home-day strong")[0]) == "jeudi 16 juillet"
    assert [words(cell) for cell in page.css("thead th")][1:] == ["10 h", "12 h", "14 h", "16 h", "18 h"]


async def test_a_model_without_days_is_marked_as_not_judged(tmp_path: Path) -> None:
    french = rows(await get(tmp_path, put=windy))[0]
    assert "pas encore jugé : 0 des 30 jours" in words(french)
    english = rows(await get(tmp_path, put=empty, headers=ENGLISH))[0]
    assert "not yet judged: 0 days of 30" in words(english)


async def test_higher_limits_and_another_unit_come_from_the_address(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/?lim=32&glim=50&u=kt", put=windy)
    cells = rows(answer)[1].css("tr:first-child td")
    assert {cell.attributes["class"] for cell in cells} == {"under unjudged"}
    assert words(cells[0]) == "17 26"
    assert "vent 17, rafales 27 kt" in words(LexborHTMLParser(answer.text).css("summary")[0])


async def test_until_noon_the_page_is_about_today(tmp_path: Path) -> None:
    morning = await get(tmp_path, put=windy, now=MORNING)
    page = LexborHTMLParser(morning.text)
    assert page.css("h1")[0].text() == "Aujourd’hui, mes sites"
    assert words(page.css(".home-day strong")[0]) == "mercredi 15 juillet"
    assert page.css(".home-day a")[0].attributes["href"] == "/?day=tomorrow"


@pytest.mark.parametrize(
    ("hour", "words_of_view"), [(3, "they announced the evening before"), (7, "on the same morning")]
)
async def test_the_legend_has_the_view_of_the_figures(tmp_path: Path, hour: int, words_of_view: str) -> None:
    answer = await get(tmp_path, put=windy, now=MORNING.replace(hour=hour), headers=ENGLISH)
    page = LexborHTMLParser(answer.text)
    assert page.css("h1")[0].text() == "Today, my sites"
    assert words_of_view in words(page.css("section[aria-labelledby='legend']")[0])


async def test_a_wind_on_its_limit_is_not_close_without_a_known_error(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/?lim=31&glim=48", put=windy)
    cells = rows(answer)[1].css("tr:first-child td")
    assert {cell.attributes["class"] for cell in cells} == {"under unjudged"}


async def test_chosen_sites_keep_the_order_of_the_address(tmp_path: Path) -> None:
    assert names(await get(tmp_path, "/?s=sans-balise,grand-pre,gone")) == ["Sans Balise", "Grand Pré"]
    everything = await get(tmp_path, "/?s=sans-balise&list=all")
    assert names(everything) == ["Grand Pré", "Petit Col <b>& Cie</b>", "Sans Balise"]
    links = [row.css(".own")[0].attributes["href"] for row in rows(everything)]
    assert links == [
        "/?s=sans-balise,grand-pre&list=all",
        "/?s=sans-balise,petit-col&list=all",
        "/?s=&list=all",
    ]


async def test_a_search_ignores_accents_and_capital_letters(tmp_path: Path) -> None:
    assert names(await get(tmp_path, "/?q=GRAND+pre&s=petit-col")) == ["Grand Pré"]
    nothing = await get(tmp_path, "/?q=%3Cscript%3Ealert")
    assert rows(nothing) == [] and "Aucun site ne porte ce nom" in nothing.text
    assert "<script>alert" not in nothing.text


async def test_a_position_orders_the_sites_by_distance(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/?lat=45.7&lon=6.5")
    assert names(answer) == ["Sans Balise", "Petit Col <b>& Cie</b>", "Grand Pré"]
    assert "0,0 km" in words(rows(answer)[0]) and "14 km" in words(rows(answer)[1])


async def test_the_filter_leaves_sites_within_the_limits(tmp_path: Path) -> None:
    assert names(await get(tmp_path, "/?within=true", put=windy)) == ["Grand Pré"]
    none = await get(tmp_path, "/?within=true&lim=10")
    assert "Aucun site n’est probablement dans vos limites" in none.text


async def test_a_thousand_sites_are_shown_in_pages_of_thirty(tmp_path: Path) -> None:
    entry = SITES.partition("[[sites]]")[2].partition("[[sites]]")[0]
    many = "".join(
        "[[sites]]"
        + entry.replace('"grand-pre"', f'"site-{number}"')
        .replace('"Grand Pré"', f'"Site {number:04}"')
        .replace("ffvl:901", f"ffvl:{number + 1}")
        .replace("romma:902", f"romma:{number + 1}")
        for number in range(1000)
    )
    service = make_service(tmp_path, sites=many, clock=HandClock(NOW))
    empty(service)
    async with served(service) as client:
        first = await client.get("/", headers=FRENCH)
        last = await client.get("/?page=99", headers=FRENCH)
    assert len(rows(first)) == 30
    assert len(first.content) < 120_000
    page = LexborHTMLParser(first.text)
    assert "Page 1 sur 34" in words(page.css("nav.pages")[0])
    assert page.css("nav.pages a")[0].attributes["href"] == "/?page=2"
    assert names(last) == [f"Site {number:04}" for number in range(990, 1000)]


async def test_a_withheld_model_leaves_no_trace_of_its_values(tmp_path: Path) -> None:
    shown = await get(tmp_path, "/?day=today", put=fill, public_raw_sources=OPENED)
    hidden = await get(tmp_path, "/?day=today")
    assert "MeteoParapente" in words(rows(shown)[0])
    assert "MeteoParapente" not in words(rows(hidden)[0])
    assert "AROME" in words(rows(hidden)[0])
    cells = [words(cell) for cell in rows(hidden)[0].css("tr:first-child td")]
    assert cells[0].startswith("12 52"), "AROME at 10:00; MeteoParapente has 79"
    assert not [cell for cell in cells if cell[:2] in {"77", "78", "79", "80", "81", "82", "83"}]
    assert "MeteoParapente n’est pas affiché ici" in hidden.text


async def test_a_new_installation_has_its_sentence(tmp_path: Path) -> None:
    answer = await get(tmp_path, sites="")
    assert "Il n’y a pas encore de site" in answer.text


async def test_old_runs_and_silent_beacons_are_marked(tmp_path: Path) -> None:
    def old(service: Service) -> None:
        fill(service)
        announce(service, 12, 20, sites=("grand-pre",))

    late = await get(tmp_path, "/?day=today", put=old, now=NOW + timedelta(hours=20))
    about = words(rows(late)[0].css("tr.about")[0])
    assert "! run de 8 h 00, vieux de 26 heures" in about
    assert "! balise : muette depuis 20 heures" in about
    fresh = words(rows(await get(tmp_path))[0].css("tr.about")[0])
    assert "!" not in fresh and "balise : il y a 5 minutes" in fresh


async def test_a_site_with_a_withheld_beacon_is_judged_at_a_public_one(tmp_path: Path) -> None:
    first = SITES.replace('stations = ["ffvl:901", "romma:902"]', 'stations = ["romma:902", "ffvl:901"]')
    about = words(rows(await get(tmp_path, put=fill, sites=first))[0].css("tr.about")[0])
    assert "Grand Pré (balise), à 0,0 km" in about
    only = words(rows(await get(tmp_path, sites=first))[1].css("tr.about")[0])
    assert "pas de balise publique" in only
    assert "il y a" not in only


async def test_bad_parts_of_an_address_have_the_page_of_the_error(tmp_path: Path) -> None:
    for path in ("/?lat=91&lon=0", "/?page=0", "/?q=" + "x" * 61, "/?lim=nan", "/?day=yesterday", "/?u=mph"):
        answer = await get(tmp_path, path)
        assert answer.status_code == 422, path
        assert "Cette adresse n’est pas valable" in answer.text
