"""An operator who is signed in, for the tests of the operator's page."""

from __future__ import annotations

import httpx2
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.tests.support.served import TOKEN

HTML = {"Accept": "text/html"}


async def sign_in(client: httpx2.AsyncClient, token: str = TOKEN, **headers: str) -> httpx2.Response:
    """Send the sign-in form; the client keeps the cookie."""
    return await client.post("/ops/sign-in", data={"token": token}, headers=HTML | headers)


async def ops_page(
    client: httpx2.AsyncClient, path: str = "/ops?lang=en", status: int = 200
) -> LexborHTMLParser:
    """Return a page of a client that is signed in."""
    answer = await client.get(path, headers=HTML)
    assert answer.status_code == status, answer.text
    return LexborHTMLParser(answer.text)


def form_token(page: LexborHTMLParser) -> str:
    """Return the token that is in every form of a page."""
    tokens = {str(node.attributes["value"]) for node in page.css("form input[name=form]")}
    assert len(tokens) == 1
    return tokens.pop()


def text_of(node: LexborNode | None) -> str:
    """Return the text of a node with single spaces."""
    assert node is not None
    return " ".join(node.text(separator=" ").split())


def section(page: LexborHTMLParser, name: str) -> str:
    """Return the text of a section of the page."""
    return text_of(page.css_first(f"section[aria-labelledby='{name}']"))
