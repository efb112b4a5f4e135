"""Signing in to the operator's page: the cookie, its end, the tokens of forms, and wrong admin tokens."""

from __future__ import annotations

from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest
from selectolax.lexbor import LexborHTMLParser
from structlog.testing import capture_logs

from backend.api.sessions import LASTS_SECONDS
from backend.main import create_app
from backend.tests.support.operator import HTML, form_token, ops_page, sign_in, text_of
from backend.tests.support.served import NOW, TOKEN, fill, make_service, served
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

ANOTHER = "another-token-of-some-length"


async def test_without_a_session_every_page_leads_to_the_form(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        for path in ("/ops", "/ops/runs/1"):
            answer = await client.get(path, headers=HTML)
            assert (answer.status_code, answer.headers["location"]) == (303, "/ops/sign-in"), path
        for path in ("/ops/jobs/collect_forecasts/run", "/ops/collect", "/ops/sign-out"):
            answer = await client.post(path, headers=HTML, data={"source": "arome", "day": "2026-07-15"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/ops/sign-in"), path
        form = LexborHTMLParser((await client.get("/ops/sign-in", headers=HTML)).text)
    assert form.css_first("input[type=password][name=token]") is not None


async def test_the_cookie_is_for_this_site_and_these_pages_only(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        answer = await sign_in(client)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ops")
        cookie = answer.headers["set-cookie"]
        page = await client.get("/ops", headers=HTML)
        again = await client.get("/ops/sign-in", headers=HTML)
    assert page.status_code == 200
    assert (again.status_code, again.headers["location"]) == (303, "/ops")
    assert page.headers["cache-control"] == "no-store"
    assert {part.strip() for part in cookie.split(";")[1:]} == {
        *("HttpOnly", "Path=/ops", "SameSite=strict", f"Max-Age={LASTS_SECONDS}"),
    }
    assert TOKEN not in page.text and TOKEN not in cookie


@pytest.mark.parametrize(("peer", "secure"), [("192.0.2.7", True), ("198.51.100.4", False)])
async def test_the_cookie_is_secure_when_a_trusted_proxy_states_tls(
    tmp_path: Path, peer: str, secure: bool
) -> None:
    service = make_service(tmp_path, trusted_proxies="192.0.2.0/24")
    transport = httpx2.ASGITransport(create_app(service), client=(peer, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        answer = await sign_in(client, **{"X-Forwarded-Proto": "https"})
    assert ("Secure" in answer.headers["set-cookie"]) is secure
    await service.close()


async def test_a_session_ends_after_twelve_hours(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    service = make_service(tmp_path, clock=clock)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        clock.now = NOW + timedelta(seconds=LASTS_SECONDS)
        assert (await client.get("/ops", headers=HTML)).status_code == 200
        clock.now = NOW + timedelta(seconds=LASTS_SECONDS + 2)
        assert (await client.get("/ops", headers=HTML)).status_code == 303


async def test_sign_out_ends_the_session_also_for_a_copy_of_its_cookie(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        cookie = SimpleCookie((await sign_in(client)).headers["set-cookie"])["operator"].value
        token = form_token(await ops_page(client))
        left = await client.post("/ops/sign-out", data={"form": token}, headers=HTML)
        copy = await client.get("/ops", headers=HTML | {"Cookie": f"operator={cookie}"})
    assert (left.status_code, left.headers["location"]) == (303, "/ops/sign-in")
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert copy.status_code == 303


async def test_a_new_admin_token_ends_all_sessions(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        cookie = SimpleCookie((await sign_in(client)).headers["set-cookie"])["operator"].value
    async with served(make_service(tmp_path, admin_token=ANOTHER)) as client:
        answer = await client.get("/ops", headers=HTML | {"Cookie": f"operator={cookie}"})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "change", [lambda it: it[:-3] + "abc", lambda it: "x" + it, lambda it: "é\x01", str.upper]
)
async def test_a_cookie_that_was_changed_is_no_session(tmp_path: Path, change: object) -> None:
    assert callable(change)
    async with served(make_service(tmp_path)) as client:
        cookie = SimpleCookie((await sign_in(client)).headers["set-cookie"])["operator"].value
        client.cookies.clear()
        bad = f"operator={change(cookie)}".encode("latin-1")
        answer = await client.get("/ops", headers=[(b"Accept", b"text/html"), (b"Cookie", bad)])
    assert answer.status_code == 303


# --- Forms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "x" * 27, "é"])
async def test_a_form_without_the_token_of_the_session_changes_nothing(tmp_path: Path, form: str) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        answer = await client.post(
            "/ops/jobs/collect_forecasts/pause?lang=en", data={"form": form}, headers=HTML
        )
        assert not service.ledger.pauses("collect_forecasts", NOW)
    assert answer.status_code == 403
    assert "does not belong to your session" in answer.text


async def test_the_token_of_another_session_is_refused(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        other = form_token(await ops_page(client))
        client.cookies.clear()
        await sign_in(client)
        answer = await client.post("/ops/jobs/collect_forecasts/pause", data={"form": other}, headers=HTML)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/ops/sign-in", "/ops/jobs/collect_forecasts/pause"])
async def test_a_form_that_another_site_sends_is_refused(tmp_path: Path, path: str) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        token = form_token(await ops_page(client))
        answer = await client.post(
            path, data={"form": token, "token": TOKEN}, headers=HTML | {"Sec-Fetch-Site": "cross-site"}
        )
    assert answer.status_code == 403


# --- Wrong tokens --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("within_a_minute")
async def test_wrong_tokens_count_against_the_same_limit_as_those_of_the_api(tmp_path: Path) -> None:
    service = make_service(tmp_path, rate_limit_per_minute=0)
    make_tables(service.database)
    wrong = {"Authorization": f"Bearer {ANOTHER}"}
    async with served(service) as client:
        with capture_logs() as logs:
            by_header = [
                (await client.get("/api/scheduler/jobs", headers=wrong)).status_code for _ in range(6)
            ]
            by_form = [(await sign_in(client, ANOTHER)) for _ in range(8)]
            header_again = await client.get("/api/scheduler/jobs", headers=wrong)
        right = await sign_in(client)
    assert by_header == [401] * 6
    assert [answer.status_code for answer in by_form] == [403] * 4 + [429] * 4
    assert header_again.status_code == 429
    assert int(by_form[-1].headers["retry-after"]) > 0
    assert right.status_code == 303
    found = [line["path"] for line in logs if line["event"] == "wrong admin token"]
    assert found == ["/api/scheduler/jobs"] * 6 + ["/ops/sign-in"] * 4
    assert ANOTHER not in repr(logs)


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "This is not the admin token."), ("fr", "Ce n’est pas le")]
)
async def test_a_wrong_token_is_named_in_the_language_of_the_reader(
    tmp_path: Path, lang: str, words: str
) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.post(f"/ops/sign-in?lang={lang}", data={"token": ANOTHER}, headers=HTML)
    assert answer.status_code == 403
    assert words in text_of(LexborHTMLParser(answer.text).css_first("[role=alert]"))
    assert ANOTHER not in answer.text


@pytest.mark.parametrize("token", [None, "fifteen-letters"])
@pytest.mark.parametrize(
    ("lang", "words"), [("en", "at least 16 characters"), ("fr", "au moins 16 caractères")]
)
async def test_without_a_usable_token_the_page_names_the_setting(
    tmp_path: Path, token: str | None, lang: str, words: str
) -> None:
    async with served(make_service(tmp_path, admin_token=token)) as client:
        for path in ("/ops", "/ops/sign-in"):
            answer = await client.get(f"{path}?lang={lang}", headers=HTML)
            assert answer.status_code == 403
            assert "ADMIN_TOKEN" in answer.text and words in answer.text
        posted = await client.post("/ops/sign-in", data={"token": token or ""}, headers=HTML)
    assert posted.status_code == 403


@pytest.mark.usefixtures("within_a_minute")
async def test_the_operator_does_not_wait_and_is_not_limited(tmp_path: Path) -> None:
    service = make_service(tmp_path, rate_limit_per_minute=3)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        signed_in = [(await client.get("/ops", headers=HTML)).status_code for _ in range(6)]
        client.cookies.clear()
        others = [(await client.get("/ops", headers=HTML)).status_code for _ in range(4)]
    assert signed_in == [200] * 6
    assert others[-1] == 429
