"""A site in short: the card for the pages of others, and the picture beside a link to the site."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from backend.tests.support.page_store import page_service
from backend.tests.support.scored_site import get, parsed, text_of
from backend.tests.support.served import make_service, served
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

MOST_BYTES = 30_000


@pytest_asyncio.fixture(loop_scope="function")
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with served(page_service(tmp_path)) as client:
        yield client


async def test_the_card_has_the_verdict_tomorrow_and_where_it_is_from(client: httpx2.AsyncClient) -> None:
    answer = await get(client, "/embed/sites/planfait")
    page = parsed(answer)
    text = text_of(page)
    assert "Tomorrow, Thursday 16 July, km/h" in text
    assert len(page.css("tbody td")) == 5
    outcomes = ("errs least.", "Too close to call.", "Not enough data yet.")
    assert text_of(page, ".outcome").endswith(outcomes)
    assert "The beacon Balise planfait stands" in text
    assert "hours" in text and "common days" in text and "15 July 2026" in text
    assert "Licence Ouverte" in text and "FFVL" in text
    assert "±" not in text
    style = await client.get(page.css("link[rel=stylesheet]")[0].attributes["href"] or "")
    assert style.status_code == 200
    assert len(answer.content) + len(style.content) < MOST_BYTES


async def test_after_local_midnight_pages_have_the_new_day(tmp_path: Path) -> None:
    clock = HandClock(datetime(2026, 7, 15, 22, 30, tzinfo=UTC))
    service = make_service(tmp_path, clock=clock)
    make_tables(service.database)
    async with served(service) as client:
        card = parsed(await get(client, "/embed/sites/grand-pre"))
        page = parsed(await get(client, "/"))
    assert "16 July 2026" in text_of(card, "body")
    for selector in ("#old", "footer"):
        assert "Page of Thursday 16 July, 00:30." in text_of(page, selector)


async def test_any_page_may_show_the_card_and_it_loads_nothing_else(client: httpx2.AsyncClient) -> None:
    answer = await get(client, "/embed/sites/planfait")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors *" in policy and "script-src" not in policy
    assert "set-cookie" not in answer.headers
    page = parsed(answer)
    assert page.css("script, img, iframe, form") == []
    assert {node.attributes["target"] for node in page.css("a")} == {"_blank"}
    others = await get(client, "/sites/planfait")
    assert "frame-ancestors 'none'" in others.headers["content-security-policy"]


async def test_the_picture_of_a_site_has_cache_headers_and_stands_beside_its_link(
    client: httpx2.AsyncClient,
) -> None:
    picture = await client.get("/sites/planfait/card.png")
    assert picture.content.startswith(b"\x89PNG") and picture.headers["content-type"] == "image/png"
    assert int.from_bytes(picture.content[16:20]) == 1200 and int.from_bytes(picture.content[20:24]) == 630
    assert "max-age" in picture.headers["cache-control"]
    again = await client.get("/sites/planfait/card.png", headers={"If-None-Match": picture.headers["ETag"]})
    assert again.status_code == 304
    page = parsed(await get(client, "/sites/planfait"))
    (image,) = page.css("meta[property='og:image']")
    assert image.attributes["content"] == "https://meteo.example/sites/planfait/card.png?lang=en"
    assert (await get(client, "/sites/nowhere/card.png")).status_code == 404


async def test_the_hours_behind_the_scores_are_a_file(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/sites/planfait/hours.csv?parameter=wind_gust")
    assert answer.headers["content-disposition"] == (
        'attachment; filename="planfait-wind_gust-evening_before.csv"'
    )
    notes = [line for line in answer.text.splitlines() if line.startswith("#")]
    assert "wind_gust in km/h, station Balise planfait" in notes[0]
    assert "error = forecast - observation" in notes[1] and "FFVL" in notes[2]
    rows = list(csv.DictReader(line for line in answer.text.splitlines() if not line.startswith("#")))
    assert len({row["local_day"] for row in rows}) == 31
    assert "meteo_parapente" not in answer.text  # its values are withheld
    row = next(row for row in rows if row["arome_0025_error"])
    assert float(row["arome_0025_error"]) == pytest.approx(
        float(row["arome_0025"]) - float(row["observation"]), abs=0.002
    )
    withheld = await client.get("/sites/petit-col/hours.csv")
    rows = list(csv.DictReader(line for line in withheld.text.splitlines() if not line.startswith("#")))
    assert {row["observation"] for row in rows} == {""} and rows


async def test_an_empty_store_has_honest_sentences(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    async with served(service) as client:
        english = text_of(parsed(await get(client, "/embed/sites/grand-pre")))
        french = text_of(parsed(await get(client, "/embed/sites/grand-pre", "fr")))
        picture = await client.get("/sites/sans-balise/card.png")
    assert "No public model has values for this day." in english
    assert "Not enough data yet. No forecast has an hour in common with the beacon yet." in english
    assert "Aucun modèle public n’a de valeurs pour ce jour." in french
    assert picture.status_code == 200
