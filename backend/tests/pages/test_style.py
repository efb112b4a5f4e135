"""The style sheet is in the page, so that its first sentence waits for no second answer."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

from backend.core.registry import MODELS
from backend.pages.charts.style import model_class, model_dash
from backend.tests.support.served import fill, make_service, served


async def test_the_policy_allows_the_style_sheet_of_the_page_and_no_other_inline_style(
    tmp_path: Path,
) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        for path in ("/", "/sites/grand-pre", "/about-data", "/ops/sign-in", "/nothing-here"):
            answer = await client.get(path, headers={"Accept": "text/html"})
            styles = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
            assert len(styles) == 1, path
            digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
            policy = answer.headers["content-security-policy"]
            assert f"style-src 'self' 'sha256-{digest}';" in policy and "unsafe" not in policy
            page = LexborHTMLParser(answer.text)
            assert page.css("link[rel=stylesheet]") == [] and page.css("[style]") == []
        assert (await client.get("/style.css")).text == styles[0], "for pages that a browser still has"


def test_the_keys_of_models_with_one_colour_have_the_dashes_of_their_lines() -> None:
    classes = [model_class(model) for model in MODELS]
    assert len(set(classes)) == len(classes), "two models look alike"
    dashes = {("", "dashed", "dotted").index("".join(name.split()[1:])): model_dash(model)
              for model, name in zip(MODELS, classes, strict=True)}  # fmt: skip
    assert dashes == {0: [1, 0], 1: [6, 3], 2: [2, 2]}
