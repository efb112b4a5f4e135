"""Every page in a real browser: phone and desktop, light and dark, French and English."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from backend.main import create_app
from backend.tests.support.browser import chromium, in_a_browser, listening, new_context
from backend.tests.support.page_paths import give_session, html_paths
from backend.tests.support.page_store import page_service
from backend.tests.support.tiles import map_settings, tiles

pytestmark = in_a_browser

WIDTHS = (360, 1280)
VARIANTS = [*product(WIDTHS, ("fr", "en"))]

COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
"""The rules of axe that the colour scheme can change; a scheme changes colours only."""


@pytest.fixture(scope="module")
def tile_host() -> Iterator[str]:
    with tiles() as (url, _):
        yield url


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, tile_host: str) -> Iterator[str]:
    service = page_service(tmp_path_factory.mktemp("pages"), **map_settings(tile_host))
    with listening(create_app(service)) as address:
        yield address


@pytest.fixture(scope="module")
def pages(address: str) -> list[str]:
    """The addresses that answer with HTML."""
    return html_paths(address)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Watched:
    """A tab, and what a reader of its console and of its network log would object to."""

    def __init__(self, context: BrowserContext, *addresses: str) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self._hosts = {"", *(urlsplit(address).netloc for address in addresses)}
        self.page.on("console", lambda message: self._console(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("request", lambda request: self._request(request.url))

    def _console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and "status of 404" not in text:
            self.problems.append(f"console: {text}")

    def _request(self, url: str) -> None:
        if urlsplit(url).netloc not in self._hosts:
            self.problems.append(f"request to another host: {url}")


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize(("width", "lang"), VARIANTS)
def test_every_page_fits_obeys_its_policy_and_is_accessible_in_both_schemes(
    browser: Browser, address: str, tile_host: str, pages: list[str], width: int, lang: str
) -> None:
    context = new_context(
        browser,
        viewport={"width": width, "height": 800},
        color_scheme="light",
        locale=lang,
        reduced_motion="reduce",
    )
    problems = []
    for path in pages:
        give_session(context, address, path)
        watched = Watched(context, address, *([tile_host] if path == "/map" else []))
        watched.page.goto(address + path)
        assert watched.page.get_attribute("html", "lang") == lang, path
        assert watched.page.locator("h1").count() == 1, path
        violations = Axe().run(watched.page).response["violations"]
        for scheme in ("light", "dark"):
            watched.page.emulate_media(color_scheme=scheme)
            if overflow := watched.page.evaluate(OVERFLOW):
                watched.problems.append(f"{scheme}: {overflow} pixels too wide")
        violations += Axe().run(watched.page, options=COLOURS).response["violations"]  # in the dark scheme
        for violation in violations:
            nodes = [node["html"][:120] for node in violation["nodes"][:3]]
            watched.problems.append(f"axe {violation['id']}: {violation['help']}: {nodes}")
        problems += [f"{path}: {problem}" for problem in watched.problems]
        watched.page.close()
    context.close()
    assert problems == []


def test_every_page_is_complete_without_scripts(browser: Browser, address: str, pages: list[str]) -> None:
    texts: dict[bool, dict[str, str]] = {}
    for scripts in (True, False):
        context = new_context(browser, java_script_enabled=scripts, locale="en")
        tab = context.new_page()
        texts[scripts] = {}
        for path in pages:
            give_session(context, address, path)
            tab.goto(address + path)
            # The map has the cells of the list below it a second time.
            main = tab.locator("main:not(:has(#map)), main:has(#map) table.home")
            texts[scripts][path] = main.inner_text()
        context.close()
    for path in pages:
        shown = texts[False][path].split()
        # A script may add a button; it may not add an answer.
        assert len(shown) >= 0.95 * len(texts[True][path].split()), path


def test_every_control_is_reached_by_the_keyboard(browser: Browser, address: str, pages: list[str]) -> None:
    context = new_context(browser, viewport={"width": 360, "height": 800}, locale="en")
    tab = context.new_page()
    for path in pages:
        give_session(context, address, path)
        tab.goto(address + path)
        controls = tab.locator(
            "a[href]:visible, button:visible, input:visible:not([type=hidden]), select:visible,"
            " summary:visible"
        ).count()
        reached = {-1}
        for _ in range(2 * controls + 20):  # Tab also stops at areas that can be scrolled
            tab.keyboard.press("Tab")
            reached.add(
                tab.evaluate(
                    "[...document.querySelectorAll('a[href],button,input,select,summary')]"
                    ".indexOf(document.activeElement)"
                )
            )
            if len(reached) > controls:
                break
        assert len(reached) > controls, f"{path}: {len(reached) - 1} of {controls} controls reached"
    context.close()


def test_links_of_the_verdict_card_are_large_enough_for_a_thumb(browser: Browser, address: str) -> None:
    context = new_context(browser, viewport={"width": 360, "height": 800}, locale="fr")
    tab = context.new_page()
    for query in ("sources=all", "sources=public"):
        tab.goto(f"{address}/sites/planfait?{query}")
        links = tab.locator("#verdict a:visible")
        heights = {links.nth(n).inner_text(): links.nth(n).bounding_box() for n in range(links.count())}
        assert heights
        assert {text: box for text, box in heights.items() if box is None or box["height"] < 43.9} == {}
    context.close()
