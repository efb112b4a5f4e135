"""The map in a real browser, with tiles from a server of the test: its links, its hosts, and its form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from backend.main import create_app
from backend.tests.support.browser import chromium, in_a_browser, listening, new_context
from backend.tests.support.page_store import page_service
from backend.tests.support.tiles import map_settings, tiles

pytestmark = in_a_browser


@pytest.fixture(scope="module")
def seen_tiles() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    with tiles() as served:
        yield served


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, seen_tiles: tuple[str, list[tuple[str, str | None]]]
) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("map")
    with listening(create_app(page_service(folder, **map_settings(seen_tiles[0])))) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_map_asks_for_tiles_and_no_other_host(
    browser: Browser, address: str, seen_tiles: tuple[str, list[tuple[str, str | None]]]
) -> None:
    context = new_context(browser, locale="fr", viewport={"width": 360, "height": 800})
    tab = context.new_page()
    hosts = set()
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    with tab.expect_response(lambda response: response.url.startswith(seen_tiles[0])) as tile:
        tab.goto(f"{address}/map")
    assert tile.value.ok
    expect(tab.locator("#map .pin")).to_have_count(3)
    context.close()
    assert hosts - {""} == {urlsplit(address).netloc, urlsplit(seen_tiles[0]).netloc}


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


def test_signs_of_near_places_do_not_cover_each_other(browser: Browser, address: str) -> None:
    context = new_context(
        browser, locale="en", viewport={"width": 360, "height": 800}, reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.goto(f"{address}/map")
    pins, lines = tab.locator("#map .pin"), tab.locator("#map path.pin-line")
    expect(pins).to_have_count(3)
    for _ in range(4):  # until all places lie within one sign
        tab.get_by_role("button", name="Zoom out").click()
    boxes = [pins.nth(n).bounding_box() for n in range(3)]
    for one, other in combinations(boxes, 2):
        assert one is not None and other is not None
        apart = (
            abs(one["x"] + one["width"] / 2 - other["x"] - other["width"] / 2)
            >= (one["width"] + other["width"]) / 2
            or abs(one["y"] + one["height"] / 2 - other["y"] - other["height"] / 2)
            >= (one["height"] + other["height"]) / 2
        )
        assert apart, boxes
    drawn = [
        path for path in lines.evaluate_all("all => all.map(p => p.getAttribute('d'))") if path != "M0 0"
    ]
    assert len(drawn) == 2, "the first stands at its place, the others have a line to theirs"
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
