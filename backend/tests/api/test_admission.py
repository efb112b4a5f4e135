"""Limits of requests: of one client, of all clients, with a wrong token, and behind a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from backend.api.admission import AT_ONCE, Admission, CachedAnswer, client_of
from backend.api.connections import MOST_REQUEST_BYTES
from backend.api.tokens import Tokens
from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.main import create_app
from backend.storage.database import Database
from backend.tests.support.served import ADMIN, fill, make_service, served
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("within_a_minute")

WRONG = {"Authorization": "Bearer a-wrong-token-of-some-length"}


def tokens_of(folder: Path, settings: Settings) -> Tokens:
    return Tokens(settings=settings, database=Database(f"sqlite:///{folder / 'store.sqlite3'}"))


async def statuses(client: httpx2.AsyncClient, path: str, times: int, **options: object) -> list[int]:
    return [(await client.get(path, **options)).status_code for _ in range(times)]  # type: ignore[arg-type]


async def test_a_client_with_too_many_requests_gets_429_with_the_time_to_wait(tmp_path: Path) -> None:
    service = make_service(tmp_path, rate_limit_per_minute=5)
    fill(service)
    async with served(service) as client:
        first = await statuses(client, "/api/sites", 5)
        refused = await client.get("/api/forecasts")
        free = await statuses(client, "/api/health", 10) + await statuses(client, "/api/ready", 10)
        admin = await statuses(client, "/api/forecasts", 10, headers=ADMIN)
    assert first == [200] * 5
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert set(free) == {200}, "health and readiness are never refused"
    assert set(admin) == {200}, "requests with the admin token are never refused"


async def test_wrong_tokens_are_logged_and_limited_and_the_right_one_is_not(tmp_path: Path) -> None:
    service = make_service(tmp_path, rate_limit_per_minute=0)
    make_tables(service.database)
    async with served(service) as client:
        with capture_logs() as lines:
            found = await statuses(client, "/api/scheduler/jobs", 30, headers=WRONG)
        right = await client.get("/api/scheduler/jobs", headers=ADMIN)
        without = await client.get("/api/scheduler/jobs")
    assert found == [401] * 10 + [429] * 20
    assert [line["client"] for line in lines if line["event"] == "wrong admin token"] == ["127.0.0.1"] * 10
    assert (right.status_code, without.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("192.0.2.7", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.7", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.4", "203.0.113.9", "198.51.100.4"),
        ("127.0.0.1", "203.0.113.9", "127.0.0.1"),
    ],
)
async def test_only_a_trusted_proxy_names_the_client(
    tmp_path: Path, peer: str, forwarded: str, counted: str
) -> None:
    service = make_service(tmp_path, rate_limit_per_minute=1, trusted_proxies="192.0.2.0/24")
    app = create_app(service)

    async def ask(peer: str, headers: dict[str, str]) -> int:
        transport = httpx2.ASGITransport(app, client=(peer, 1234))
        async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
            return (await client.get("/docs/start.js", headers=headers)).status_code

    assert await ask(peer, {"X-Forwarded-For": forwarded}) == 200
    assert await ask(counted, {}) == 429, "the request was counted for this client"
    await service.close()


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one_customer(host: str, client: str) -> None:
    assert client_of({"type": "http", "client": (host, 1)}) == client


@pytest.mark.parametrize("path", ["/api/forecasts", "/api/scheduler/runs"])
async def test_only_a_few_requests_for_values_are_in_progress_at_a_time(path: str, tmp_path: Path) -> None:
    at_once = most = 0
    go = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go.wait()
        at_once -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    settings = Settings.load(rate_limit_per_minute=0)
    bound = Admission(slow, settings, tokens_of(tmp_path, settings), at_once=2, most_waiting=5)
    transport = httpx2.ASGITransport(bound)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        asked = [asyncio.create_task(client.get(path)) for _ in range(20)]
        await until(lambda: sum(task.done() for task in asked) == 13)  # all that find no place to wait
        light = asyncio.create_task(client.get("/api/scheduler/status"))
        await until(lambda: most == 3)  # it does not wait for its turn
        go.set()
        answers = [await task for task in asked]
        await light
    found = sorted(answer.status_code for answer in answers)
    assert found == [200] * 7 + [503] * 13
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "10"
    assert most == 3, "two values and the status"


async def test_a_page_is_computed_once_for_all_who_ask_at_the_same_time(tmp_path: Path) -> None:
    computed: list[str] = []
    go = asyncio.Event()

    async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
        await go.wait()
        computed.append(scope["path"])
        await PlainTextResponse("computed")(scope, _receive, send)

    def kept(request: Request, *, busy: bool) -> CachedAnswer | None:
        known = request.url.path in computed and request.url.path != "/not-kept"
        return CachedAnswer(PlainTextResponse("kept"), outdated=False) if known else None

    settings = Settings.load(rate_limit_per_minute=0)
    bound = Admission(slow, settings, tokens_of(tmp_path, settings), cached=kept, at_once=1, most_waiting=2)
    transport = httpx2.ASGITransport(bound)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        asked = [asyncio.create_task(client.get("/sites/a")) for _ in range(20)]
        asked += [asyncio.create_task(client.get("/not-kept")) for _ in range(2)]
        await asyncio.sleep(0)
        go.set()
        answers = [await task for task in asked]
    assert {answer.status_code for answer in answers} == {200}, (
        "only the first of a page needs a place to wait"
    )
    assert computed == ["/sites/a", "/not-kept", "/not-kept"]
    assert sorted(answer.text for answer in answers) == ["computed"] * 3 + ["kept"] * 19


async def test_the_turns_are_free_while_the_body_of_a_form_is_awaited(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    go, awaited = asyncio.Event(), 0
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    async def body() -> AsyncIterator[bytes]:
        nonlocal awaited
        awaited += 1
        await go.wait()
        yield b"form=none"

    async with served(service) as client:
        forms = [
            asyncio.create_task(client.post(path, content=body(), headers=form))
            for path in ("/ops/jobs/collect_forecasts/run", "/ops/collect", "/ops/sign-out", "/ops/sign-in")
        ]
        await until(lambda: awaited == len(forms))
        values = await client.get("/api/forecasts")  # it would be refused after MOST_SECONDS
        go.set()
        answers = [await each for each in forms]
    assert len(forms) > AT_ONCE
    assert values.status_code == 200
    assert all(answer.status_code < 500 for answer in answers)


async def test_a_large_body_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Without BoundedProtocol, as below another server: the length is stated, or not."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MOST_REQUEST_BYTES:
            sent += 10_000
            yield b"a" * 10_000

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with served(make_service(tmp_path)) as client:
        for path in ("/ops/sign-in", "/ops/jobs/collect_forecasts/run"):
            sent = 0
            unstated = await client.post(path, content=endless(), headers=form)
            stated = await client.post(path, content=b"a" * (MOST_REQUEST_BYTES + 1), headers=form)
            assert (unstated.status_code, stated.status_code) == (413, 413)
            assert sent < 2 * MOST_REQUEST_BYTES


async def test_a_request_that_waits_too_long_for_its_turn_is_refused(tmp_path: Path) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def hangs(_scope: Scope, _receive: Receive, send: Send) -> None:
        started.set()
        await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    settings = Settings.load(rate_limit_per_minute=0)
    bound = Admission(hangs, settings, tokens_of(tmp_path, settings), at_once=1, most_seconds=0.01)
    transport = httpx2.ASGITransport(bound)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        first = asyncio.create_task(client.get("/api/forecasts"))
        await started.wait()
        second = await client.get("/api/forecasts")
        go.set()
        assert (await first).status_code == 200
    assert second.status_code == 503


async def test_a_short_token_turns_the_admin_routes_off_with_a_message(tmp_path: Path) -> None:
    short = "fifteen-letters"
    async with served(make_service(tmp_path, admin_token=short)) as client:
        headers = {"Authorization": f"Bearer {short}"}
        run = await client.post("/api/scheduler/jobs/collect_observations/run", headers=headers)
        values = await client.get("/api/forecasts", headers=headers)
        public = await client.get("/api/scheduler/status")
    for answer in (run, values):
        assert answer.status_code == 403
        assert "ADMIN_TOKEN has fewer than 16 characters" in answer.json()["detail"]
    assert public.status_code in {200, 503}


@pytest.mark.parametrize("value", ["localhost", "10.0.0.0/99", "*"])
def test_a_proxy_is_an_address_or_a_network(value: str) -> None:
    with pytest.raises(ConfigError, match=r"TRUSTED_PROXIES=.*is not an IP address or network"):
        Settings.load(trusted_proxies=value)
