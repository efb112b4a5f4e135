"""Scripts of other sites read nothing by default, and the API alone where `CORS_ORIGINS` names their site."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.tests.support.served import TOKEN, fill, make_service, served

CLUB = "https://club.example"
ALLOWED = "access-control-allow-origin"


def preflight(method: str, *headers: str, origin: str = CLUB) -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return asked | ({"Access-Control-Request-Headers": ", ".join(headers)} if headers else {})


def allowed(answer: httpx2.Response) -> str | None:
    value: str | None = answer.headers.get(ALLOWED)
    return value


async def test_by_default_no_other_site_may_read_an_answer(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        answer = await client.get("/api/sites", headers={"Origin": CLUB})
        before = await client.options("/api/sites", headers=preflight("GET"))
    assert answer.status_code == 200
    assert allowed(answer) is None
    assert allowed(before) is None


async def test_a_named_site_may_read_the_api_and_another_may_not(tmp_path: Path) -> None:
    service = make_service(tmp_path, cors_origins=f"{CLUB},https://other.example")
    fill(service)
    async with served(service) as client:
        answer = await client.get("/api/sites", headers={"Origin": CLUB})
        again = await client.options("/api/sites", headers=preflight("GET", "If-None-Match"))
        stranger = await client.get("/api/sites", headers={"Origin": "https://club.example.org"})
        page = await client.get("/", headers={"Origin": CLUB, "Accept": "text/html"})
        operator = await client.get("/ops/sign-in", headers={"Origin": CLUB, "Accept": "text/html"})
    assert allowed(answer) == CLUB
    assert "Origin" in answer.headers["vary"]
    assert again.status_code == 200
    assert [allowed(stranger), allowed(page), allowed(operator)] == [None, None, None]


async def test_a_script_of_another_site_can_neither_write_nor_show_the_admin_token(tmp_path: Path) -> None:
    service = make_service(tmp_path, admin_token=TOKEN, cors_origins="*")
    fill(service)
    path = "/api/scheduler/jobs/collect_forecasts/pause"
    async with served(service) as client:
        writes = await client.options(path, headers=preflight("POST"))
        shows = await client.options("/api/sites", headers=preflight("GET", "Authorization"))
        reads = await client.get("/api/sites", headers={"Origin": CLUB})
    assert writes.status_code == 400
    assert shows.status_code == 400
    assert allowed(reads) == "*"
    assert "access-control-allow-credentials" not in reads.headers


async def test_a_refusal_for_too_many_requests_can_be_read_too(tmp_path: Path) -> None:
    service = make_service(tmp_path, cors_origins=CLUB, rate_limit_per_minute=1)
    fill(service)
    async with served(service) as client:
        answers = [await client.get("/api/sites", headers={"Origin": CLUB}) for _ in range(4)]
    assert answers[-1].status_code == 429
    assert allowed(answers[-1]) == CLUB
    assert "Retry-After" in answers[-1].headers["access-control-expose-headers"]


async def test_below_a_path_prefix_the_api_is_still_the_api(tmp_path: Path) -> None:
    service = make_service(tmp_path, cors_origins=CLUB, root_path="/meteo")
    fill(service)
    async with served(service) as client:
        answer = await client.get("/meteo/api/sites", headers={"Origin": CLUB})
    assert allowed(answer) == CLUB


@pytest.mark.parametrize("value", ["club.example", "https://club.example/", "https://Club.example", "null"])
def test_what_is_not_an_origin_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="is not an origin"):
        Settings.load(cors_origins=value)
