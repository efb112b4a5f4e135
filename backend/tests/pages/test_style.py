"""The style sheet is in the page, so that its first sentence waits for no second answer."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

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
