"""The script of the home page in a real browser: what it keeps, what it restores, and the position."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from backend.main import create_app
from backend.tests.support.browser import chromium, in_a_browser, listening, new_context
from backend.tests.support.page_store import page_service

pytestmark = in_a_browser

NAMES = "table.home tbody th a"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with listening(create_app(page_service(tmp_path_factory.mktemp("home"), days=8))) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = new_context(browser, locale="en", viewport={"width": 360, "height": 740})
    yield context.new_page()
    context.close()


def add(page: Page, site: str) -> None:
    page.get_by_role("link", name=f"Add {site} to my sites").click()


def test_own_sites_and_limits_come_back_with_the_bare_address(tab: Page, address: str) -> None:
    tab.goto(address)
    add(tab, "Sans Balise")
    expect(tab.get_by_role("link", name="Remove Sans Balise from my sites")).to_be_visible()
    add(tab, "Planfait")
    expect(tab.get_by_role("link", name="Remove Planfait from my sites")).to_be_visible()
    tab.locator("summary").first.click()
    tab.get_by_label("Mean wind, km/h").fill("30")
    tab.get_by_role("button", name="Apply").click()
    tab.goto(address)
    expect(tab.locator(NAMES)).to_have_text(["Sans Balise", "Planfait"])
    expect(tab.locator("summary").first).to_contain_text("wind 30")


def test_the_link_of_a_club_does_not_replace_own_sites(tab: Page, address: str) -> None:
    tab.goto(address)
    add(tab, "Planfait")
    expect(tab.get_by_role("link", name="Remove Planfait from my sites")).to_be_visible()
    tab.goto(f"{address}/?s=sans-balise")
    expect(tab.locator(NAMES)).to_have_text(["Sans Balise"])
    tab.goto(address)
    expect(tab.locator(NAMES)).to_have_text(["Planfait"])


def test_the_last_own_site_can_be_removed(tab: Page, address: str) -> None:
    tab.goto(address)
    add(tab, "Planfait")
    tab.get_by_role("link", name="Remove Planfait from my sites").click()
    expect(tab.get_by_role("link", name="Add Planfait to my sites")).to_be_visible()
    tab.goto(address)
    expect(tab.locator(NAMES)).to_have_count(3)


def test_the_position_is_rounded_and_orders_the_sites(browser: Browser, address: str) -> None:
    context: BrowserContext = new_context(
        browser,
        locale="en",
        geolocation={"latitude": 45.79712, "longitude": 6.10449},
        permissions=["geolocation"],
    )
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Nearest to me").click()
    expect(page.locator(NAMES).first).to_have_text("Sans Balise")
    assert "lat=45.80&lon=6.10" in page.url
    context.close()


def test_without_a_script_the_list_is_complete_and_the_form_works(browser: Browser, address: str) -> None:
    context = new_context(browser, locale="en", java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator(NAMES).count() == 3
    assert not page.get_by_role("button", name="Nearest to me").is_visible()
    page.get_by_label("Search a site").fill("balise")
    page.get_by_role("button", name="Show").click()
    assert page.locator(NAMES).all_text_contents() == ["Sans Balise"]
    context.close()
