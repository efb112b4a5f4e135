"""Pages without signal: what the service worker keeps, and how an old page is marked. In a real browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from backend.main import create_app
from backend.pages.assets import SCRIPT, WORKER
from backend.tests.support.browser import chromium, in_a_browser, new_context
from backend.tests.support.served import NOW, fill, make_service

PREFIX = "/meteo"


def test_the_scripts_are_small() -> None:
    assert len(WORKER) < 3_000
    assert len(SCRIPT) < 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Service:
    """The service on a port of 127.0.0.1, until `lose()` ends it as a valley ends the signal."""

    def __init__(self, folder: Path) -> None:
        service = make_service(folder, root_path=PREFIX)
        fill(service)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}{PREFIX}"
        self._server = uvicorn.Server(uvicorn.Config(create_app(service), log_config=None, lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def lose(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.lose()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = new_context(browser, locale="en", viewport={"width": 360, "height": 740})
    yield context
    context.close()


def visited(context: BrowserContext, service: Service, *paths: str) -> Page:
    """Open pages one after the other, the first once more when the worker is in control."""
    tab = context.new_page()
    tab.goto(service.address + paths[0])
    tab.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    tab.wait_for_function("navigator.serviceWorker.controller !== null")
    for path in paths:
        tab.goto(service.address + path)
        tab.wait_for_function(KEPT, arg=path)
    return tab


KEPT = """async path => (await (await caches.open("pages-1")).keys())
  .some(key => new URL(key.url).pathname.endsWith(path.split("?")[0]))"""
NOTICE = "#old"


@in_a_browser
def test_a_page_that_was_seen_stays_readable_and_is_marked_as_old(
    context: BrowserContext, service: Service
) -> None:
    tab = visited(context, service, "/", "/sites/grand-pre?lang=en")
    assert tab.locator(NOTICE).is_hidden(), "a page with a connection is never marked"
    heading = tab.locator("h1").inner_text()
    service.lose()
    tab.goto(f"{service.address}/sites/grand-pre?lang=en")
    assert tab.locator("h1").inner_text() == heading
    assert "Page of Wednesday 15 July, 14:10. No connection." in tab.locator(NOTICE).inner_text()
    colour = tab.evaluate("getComputedStyle(document.querySelector('#old')).backgroundColor")
    assert colour != "rgba(0, 0, 0, 0)", "the style sheet was kept too"
    tab.goto(f"{service.address}/sites/grand-pre?lang=en&lim=20")
    assert tab.url == f"{service.address}/sites/grand-pre?lang=en", "other limits: the page with its own"
    assert tab.locator(NOTICE).is_visible()


@in_a_browser
def test_a_page_that_was_left_open_is_marked(context: BrowserContext, service: Service) -> None:
    tab = visited(context, service, "/")
    context.clock.set_fixed_time(NOW + timedelta(minutes=40))
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert "Page of Wednesday 15 July, 14:10." in tab.locator(NOTICE).inner_text()
    assert tab.locator(f"{NOTICE} span").is_hidden(), "there is a connection"


@in_a_browser
def test_without_signal_an_unknown_page_leads_to_the_last_one_seen(
    context: BrowserContext, service: Service
) -> None:
    tab = visited(context, service, "/about-data", "/sites/grand-pre")
    service.lose()
    tab.goto(f"{service.address}/sites/petit-col")
    assert tab.url == f"{service.address}/sites/grand-pre"
    assert "Grand Pré" in tab.locator("h1").inner_text()


@in_a_browser
def test_pages_of_the_operator_answers_of_the_api_and_errors_are_not_kept(
    context: BrowserContext, service: Service
) -> None:
    tab = visited(context, service, "/")
    for path in ("/ops/sign-in", "/api/sites", "/docs", "/nothing-here"):
        tab.goto(service.address + path)
    kept = context.pages[0].evaluate(
        "caches.open('pages-1').then(c => c.keys()).then(ks => ks.map(k => new URL(k.url).pathname))"
    )
    assert not [
        path for path in kept if path.startswith((f"{PREFIX}/ops", f"{PREFIX}/api", f"{PREFIX}/docs"))
    ]
    assert f"{PREFIX}/nothing-here" not in kept


@in_a_browser
def test_an_open_page_is_marked_while_there_is_no_connection(
    context: BrowserContext, service: Service
) -> None:
    tab = visited(context, service, "/")
    context.set_offline(True)
    tab.locator(NOTICE).wait_for(state="visible")
    assert "No connection." in tab.locator(NOTICE).inner_text()
    context.set_offline(False)
    tab.wait_for_function("document.querySelector('#old span').hidden")
