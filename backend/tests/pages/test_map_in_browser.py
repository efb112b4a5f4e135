"""The map in a real browser, with tiles from a server of the test: its links, its hosts, and its form."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from backend.main import create_app
from backend.tests.support.browser import chromium, in_a_browser, listening, new_context
from backend.tests.support.page_store import page_service

pytestmark = in_a_browser

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mOs+A8AAgUBgQvw1B0AAAAASUVORK5CYII="
)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def tiles() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve one pixel for each tile; give the address, and the requests with their Referer."""
    seen: list[tuple[str, str | None]] = []

    class Tile(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Referer")))
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(PIXEL)))
            self.end_headers()
            self.wfile.write(PIXEL)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def seen_tiles() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    with tiles() as served:
        yield served


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, seen_tiles: tuple[str, list[tuple[str, str | None]]]
) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("map")
    url = seen_tiles[0] + "/{z}/{x}/{y}.png"
    service = page_service(folder, map_tiles_url=url, map_tiles_attribution="© Tuiles, https://tiles.example")
    with listening(create_app(service)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize(
    ("width", "scheme", "lang"), [*product((360, 1280), ("light", "dark"), ("fr", "en"))]
)
def test_the_map_fits_obeys_its_policy_and_is_accessible(
    browser: Browser,
    address: str,
    seen_tiles: tuple[str, list[tuple[str, str | None]]],
    width: int,
    scheme: str,
    lang: str,
) -> None:
    context = new_context(
        browser,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=lang,
        reduced_motion="reduce",
    )
    tab = context.new_page()
    problems: list[str] = []
    hosts = set()
    tab.on(
        "console",
        lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None,
    )
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    with tab.expect_response(lambda response: response.url.startswith(seen_tiles[0])) as tile:
        tab.goto(f"{address}/map")
    assert tile.value.ok
    expect(tab.locator("#map .pin")).to_have_count(3)
    assert hosts - {""} == {urlsplit(address).netloc, urlsplit(seen_tiles[0]).netloc}
    assert tab.evaluate(OVERFLOW) == 0
    violations = Axe().run(tab).response["violations"]
    problems += [
        f"axe {each['id']}: {[node['html'][:100] for node in each['nodes'][:3]]}" for each in violations
    ]
    context.close()
    assert problems == []


def test_the_signs_have_the_colours_and_words_of_the_list_and_lead_to_the_site(
    browser: Browser, address: str, seen_tiles: tuple[str, list[tuple[str, str | None]]]
) -> None:
    context = new_context(browser, locale="en", viewport={"width": 360, "height": 800})
    tab = context.new_page()
    tab.goto(f"{address}/map?lim=20&hour=16")
    pins = tab.locator("#map .pin")
    expect(pins).to_have_count(3)
    for row in range(3):
        cell = tab.locator("table.home tbody").nth(row).locator("td[data-shown]")
        pin = pins.nth(row)
        name = tab.locator("table.home tbody th a").nth(row).inner_text()
        assert pin.get_attribute("class") == f"pin {cell.get_attribute('class')}"
        assert pin.locator("b").inner_text() == cell.locator("b").inner_text()
        assert pin.locator(".mark").text_content() == cell.locator(".mark").text_content()
        assert (pin.text_content() or "").startswith(name)
        box = pin.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 43.9
    assert {referrer for _, referrer in seen_tiles[1]} == {f"{address}/"}
    tab.locator("#map").focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.classList.contains('pin')")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/sites/**")
    context.close()


def test_a_sign_is_followed_by_a_tap(browser: Browser, address: str) -> None:
    context = new_context(browser, locale="en", viewport={"width": 1280, "height": 800})
    tab = context.new_page()
    tab.goto(f"{address}/map")
    tab.locator("#map .pin", has_text="Sans Balise").click()
    tab.wait_for_url("**/sites/sans-balise**")
    context.close()


def test_without_a_script_the_list_is_complete_and_there_is_no_empty_box(
    browser: Browser, address: str
) -> None:
    context = new_context(browser, locale="en", java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/map")
    assert tab.locator("table.home tbody").count() == 3
    assert not tab.locator("#map").is_visible()
    context.close()


def test_no_other_page_asks_another_host(browser: Browser, address: str) -> None:
    context = new_context(browser, locale="en")
    tab = context.new_page()
    hosts = set()
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    for path in ("/", "/sites/planfait", "/about-data"):
        tab.goto(address + path)
    context.close()
    assert hosts - {""} == {urlsplit(address).netloc}
