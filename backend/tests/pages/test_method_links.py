"""Figures lead to the part of the page about the method that explains them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backend.pages.details import METHOD, Topic
from backend.tests.support.score_store import SPEED, constant
from backend.tests.support.scored_site import AROME, DAYS, FFVL, PARAPENTE, page_of, scored_site

SITE = "/sites/grand-pre"

EXPECTED = {
    "/": {"mae", "surprises", "verdict"},
    SITE: {"mae", "within", "surprises", "verdict"},
    "/compare?site=grand-pre": {"interval", "verdict"},
    **{f"{SITE}/details/{topic.value}": {METHOD[topic]} for topic in Topic},
    f"{SITE}/details/bias": {"error", "interval"},
}


@pytest.mark.parametrize("lang", ["fr", "en"])
async def test_figures_lead_to_the_parts_of_the_method_that_exist(tmp_path: Path, lang: str) -> None:
    service = scored_site(
        tmp_path,
        {AROME: {SPEED: constant(DAYS, 20.0)}, PARAPENTE: {SPEED: constant(DAYS, 26.0)}},
        {FFVL: {SPEED: constant(DAYS, 18.0)}},
    )
    method = await page_of(service, "/methodology", lang)
    parts = {str(node.attributes["id"]) for node in method.css("main [id]")}
    for path, expected in EXPECTED.items():
        page = await page_of(service, path, lang)
        addresses = [urlsplit(str(link.attributes["href"])) for link in page.css("main a[href]")]
        found = {address.fragment for address in addresses if address.path == "/methodology"}
        assert found >= expected, path
        assert found <= parts, path
    assert set(METHOD.values()) <= parts
