"""Errors of pages in the reader's language, and hostile addresses: escaped or refused."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

import httpx2
import pytest
from selectolax.lexbor import LexborHTMLParser
from starlette.types import ASGIApp, Message

from backend.main import Service, create_app
from backend.pages.page import POLICY
from backend.tests.support.operator import HTML, sign_in, text_of
from backend.tests.support.served import fill, lose_the_store, make_service, served

TITLES = {
    403: ("Interdit", "Not allowed"),
    404: ("Rien à cette adresse", "There is nothing here"),
    405: ("Impossible à cette adresse", "Not possible at this address"),
    422: ("Cette adresse n’est pas valable", "This address is not valid"),
    429: ("Trop de requêtes", "Too many requests"),
    503: ("Indisponible pour le moment", "Not available at the moment"),
}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    service = make_service(tmp_path)
    fill(service)
    return service


def check(answer: httpx2.Response, status: int, lang: str) -> str:
    """Check that an answer is the page of this error, and return the text of its content."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    page = LexborHTMLParser(answer.text)
    html = page.css_first("html")
    assert html is not None and html.attributes["lang"] == lang
    assert text_of(page.css_first("h1")) == TITLES[status][lang == "en"]
    assert page.css("main script, main img, main iframe, main style, main b") == []
    assert page.css_first("main a[href]") is not None, "there is a way out"
    return text_of(page.css_first("main"))


def asked(lang: str) -> dict[str, str]:
    return HTML | {"Accept-Language": lang}


@pytest.mark.parametrize("lang", ["fr", "en"])
async def test_each_error_has_a_page_in_the_language_of_the_browser(service: Service, lang: str) -> None:
    async with served(service) as client:
        for path in ("/nothing", "/sites/nowhere", "/sites/nowhere/details"):
            text = check(await client.get(path, headers=asked(lang)), 404, lang)
            assert "404:" in text
        check(await client.post("/", headers=asked(lang)), 405, lang)
        check(await client.get("/?lim=hurricane", headers=asked(lang)), 422, lang)
        await sign_in(client)
        form = {"form": "of another session"}
        check(await client.post("/ops/sign-out", data=form, headers=asked(lang)), 403, lang)


@pytest.mark.parametrize("lang", ["fr", "en"])
async def test_the_chosen_language_is_kept_even_if_the_rest_of_the_address_is_wrong(
    service: Service, lang: str
) -> None:
    other = "fr" if lang == "en" else "en"
    async with served(service) as client:
        check(await client.get(f"/?lim=x&lang={lang}", headers=asked(other)), 422, lang)
        check(await client.get(f"/sites/nowhere?lang={lang}", headers=asked(other)), 404, lang)


@pytest.mark.parametrize("lang", ["fr", "en"])
async def test_too_many_requests_are_a_page_with_the_time_to_wait(tmp_path: Path, lang: str) -> None:
    service = make_service(tmp_path, rate_limit_per_minute=2)
    fill(service)
    async with served(service) as client:
        for _ in range(2):
            await client.get("/about-data", headers=asked(lang))
        answer = await client.get("/about-data", headers=asked(lang))
        api = await client.get("/api/sites", headers=asked(lang))
    check(answer, 429, lang)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("lang", ["fr", "en"])
async def test_a_store_that_does_not_answer_is_a_page_that_names_no_path(tmp_path: Path, lang: str) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        lose_the_store(tmp_path)
        answer = await client.get("/sites/grand-pre", headers=asked(lang))
    check(answer, 503, lang)
    assert int(answer.headers["retry-after"]) > 0
    assert str(tmp_path) not in answer.text


async def test_a_program_gets_the_error_as_data_from_a_page_and_a_browser_from_the_api(
    service: Service,
) -> None:
    async with served(service) as client:
        for path, accept in (
            *(("/nothing", "application/json"), ("/sites/nowhere", "*/*"), ("/?lim=x", "")),
            *(("/api/nothing", "text/html"), ("/api/forecasts?limit=x", "text/html")),
            *(("/api/v1/sites/nowhere/verdict", "text/html"), ("/docs/nothing", "text/html")),
        ):
            answer = await client.get(path, headers={"Accept": accept})
            assert answer.status_code in {404, 422}, path
            assert answer.headers["content-type"] == "application/problem+json", path


# --- Hostile input -----------------------------------------------------------------------------------

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
HOSTILE_IDS = (
    *(MARKUP, "é" * 3_000, "x" * 6_000, "../../etc/passwd", "a/../b", "\x00", "grand-pre\x00"),
    *("\n\r\nSet-Cookie: a=b", "\u202ekcart", "\ud7ff\uffff", "{{7*7}}", "${7*7}", "' OR 1=1 --", "%00"),
)


@pytest.mark.parametrize("site", HOSTILE_IDS, ids=lambda site: ascii(site)[:24])
async def test_a_hostile_id_is_refused_and_escaped(service: Service, site: str) -> None:
    async with served(service) as client:
        for path in (f"/sites/{quote(site, safe='')}", f"/sites/{quote(site, safe='')}/details"):
            answer = await client.get(path, headers=HTML)
            assert answer.status_code in {404, 422}, path[:80]
            assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
            assert "set-cookie" not in answer.headers
            assert "49" not in text_of(LexborHTMLParser(answer.text).css_first("main")).split()
            assert len(answer.content) < 100_000


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/sites/%",
            "/sites/%zz",
            "/sites/%E9",
            "/sites/%ff%fe",
            "/sites/%C0%AF",
            "/%",
            "/%00",
            "/%2e%2e/%2e%2e",
        ),
        *("/?s=%", "/?s=%ff", "/?lang=%ff", "/?lang=%00", "/?u=%E9", "/?lim=%00", "/?lim=1e999", "/?lim=nan"),
        *(
            "/?lim=-5",
            "/?glim=99999",
            "/?s=" + "a," * 2_000,
            "/?lang=de",
            "/?page=-1",
            "/?page=99999999999999999999",
        ),
        *(
            f"/?s={quote(MARKUP)}",
            f"/?q={quote(MARKUP)}",
            f"/?lang={quote(MARKUP)}",
            f"/?lim={quote(MARKUP)}",
        ),
        *(
            f"/?{quote(MARKUP)}=1",
            f"/nothing?{quote(MARKUP)}",
            f"/{quote(MARKUP)}",
            "//evil.example/",
            "/\\evil",
        ),
    ],
    ids=lambda path: path[:40],
)
async def test_a_broken_address_is_answered_or_refused_and_never_echoed_as_markup(
    service: Service, path: str
) -> None:
    status, text = await answered(create_app(service), path)
    assert status in {200, 404, 422}
    assert "<script>alert" not in text and "<img src=x" not in text
    assert 'href="//evil' not in text and 'href="https://evil' not in text
    await service.close()


async def answered(app: ASGIApp, target: str) -> tuple[int, str]:
    """Send an address as it is written, which a client would correct; return status and body.

    The scope is the one that uvicorn makes of it.
    """
    path, _, query = target.partition("?")
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"},
        **{"scheme": "http", "server": ("meteo.example", 80), "client": ("192.0.2.7", 1)},
        **{"path": unquote(path), "raw_path": path.encode(), "query_string": query.encode()},
        "headers": [(b"host", b"meteo.example"), (b"accept", b"text/html")],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()
