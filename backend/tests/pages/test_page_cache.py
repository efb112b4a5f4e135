"""Cached pages: no query while nothing has changed, and an old page only with its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import sqlalchemy as sa
from fastapi import FastAPI, Request
from selectolax.lexbor import LexborHTMLParser

from backend.core.records import Site
from backend.main import Service, create_app
from backend.tests.support.served import NOW, OPENED, fill, make_service
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import until
from backend.tests.support.worlds import HandClock

ENGLISH = {"Accept": "text/html", "Accept-Language": "en"}
SITE = "/sites/grand-pre"


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[tuple[FastAPI, Service, HandClock, httpx2.AsyncClient]]:
    """Give an application on a filled store whose sites are in the store: a new sites file is not trusted."""
    clock = HandClock(NOW)
    service = make_service(folder, clock=clock, public_raw_sources=OPENED, sites_from="database")
    make_tables(service.database)
    sites = (
        Site("grand-pre", "Grand Pré", 45.9, 6.7, 1400.0, ("S", "SW"), ("ffvl:901", "romma:902")),
        Site("petit-col", "Petit Col", 45.8, 6.6, 1100.0, ("W",), ("romma:903",)),
    )
    service.store.save_sites(sites)
    fill(service)
    app = create_app(service)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://meteo.example", headers=ENGLISH
    ) as client:
        try:
            yield app, service, clock, client
        finally:
            app.state.answer_cache.close()
            await service.close()


def rename(service: Service, name: str) -> None:
    """Change what the pages of a site show."""
    (first, *others) = service.sites()
    service.store.save_sites(
        (Site(first.id, name, 45.9, 6.7, 1400.0, first.orientation, first.stations), *others)
    )


def queries(service: Service) -> list[str]:
    """Return a list of the statements that are executed from now on."""
    executed: list[str] = []

    @sa.event.listens_for(service.database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    return executed


def notices(answer: httpx2.Response) -> list[str]:
    shown = LexborHTMLParser(answer.text).css("p.notice[role=status]:not([hidden])")
    return [each.text(strip=True) for each in shown]


async def test_a_page_is_answered_without_a_query_while_nothing_has_changed(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, service, _, client):
        for path in ("/", SITE, f"{SITE}/details/limit", "/methodology"):
            first = await client.get(path)
            executed = queries(service)
            again = await client.get(path)
            known = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
            plain = await client.get(path, headers={"Accept-Encoding": "identity"})
            assert (executed, known.status_code) == ([], 304), path
            assert first.text == again.text == plain.text
            assert first.headers["etag"] == again.headers["etag"]


async def test_another_language_or_address_is_another_page(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, _, _, client):
        english = await client.get(SITE)
        french = await client.get(SITE, headers={"Accept-Language": "fr"})
        limit = await client.get(f"{SITE}?lim=7")
        assert len({english.text, french.text, limit.text}) == 3
        assert french.headers["content-language"] == "fr"
        assert (await client.get(SITE)).text == english.text


async def test_a_change_of_the_store_is_in_the_next_page(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, service, _, client):
        assert "Grand Pré" in (await client.get(SITE)).text
        rename(service, "Belvédère")
        answer = await client.get(SITE)
        assert "Belvédère" in answer.text and notices(answer) == []


async def test_a_page_is_rendered_again_after_some_minutes(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, _, clock, client):
        first = await client.get(SITE)
        clock.now += timedelta(minutes=6)
        later = await client.get(SITE)
        assert first.text != later.text, "ages are in its text"
        assert notices(later) == []


async def test_while_others_are_computed_an_old_page_names_its_time(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, service, _, client):
        await client.get(SITE)
        rename(service, "Belvédère")
        free = Event()
        blockers = [
            asyncio.create_task(
                asyncio.to_thread(app.state.answer_cache.get_or_compute, name, waits_for(free))
            )
            for name in ("one", "two")
        ]
        executed = queries(service)
        computed = asyncio.create_task(client.get("/methodology"))
        try:
            await until(lambda: bool(executed))
            old = await client.get(SITE)
        finally:
            free.set()
            await asyncio.gather(*blockers, computed)
        assert "Grand Pré" in old.text
        assert notices(old) == ["Page of Wednesday 15 July, 14:10. It is being renewed."]
        assert old.headers["cache-control"] == "no-store" and "etag" not in old.headers

        async def is_renewed() -> bool:
            return "Belvédère" in (await client.get(SITE)).text

        await until(is_renewed)
        assert notices(await client.get(SITE)) == []


async def test_an_old_page_is_not_shown_for_long(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, service, clock, client):
        await client.get(SITE)
        rename(service, "Belvédère")
        scope = {"type": "http", "method": "GET", "path": SITE, "query_string": b"", "root_path": ""}
        headers = [(b"accept-language", b"en")]
        for minutes, is_shown in ((9, True), (11, False), (-1, False)):
            clock.now = NOW + timedelta(minutes=minutes)
            request = Request(
                {**scope, "headers": headers, "server": ("meteo.example", 80), "scheme": "http"}
            )
            assert (app.state.page_cache.answer(request, busy=True) is not None) == is_shown
            assert app.state.page_cache.answer(request, busy=False) is None


def waits_for(free: Event) -> Any:
    def computed() -> bytes:
        free.wait()
        return b""

    return computed
