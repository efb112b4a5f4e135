"""The pages that describe the API, and the headers that every answer has."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from backend.api.problems import install_problem_handlers
from backend.api.security_headers import HEADERS
from backend.tests.support.served import make_service, served


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_the_description_loads_nothing_from_another_host(tmp_path: Path, page: str) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get(page)
        addresses = re.findall(r'(?:src|href|spec-url|data-description)="([^"]+)"', answer.text)
        bodies = {address: (await client.get(address)) for address in addresses}

    assert answer.status_code == 200
    assert len(addresses) >= 4
    assert all(address.startswith("/") and not address.startswith("//") for address in addresses)
    assert {body.status_code for body in bodies.values()} == {200}
    assert all(len(body.content) > 100 for body in bodies.values())
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text), "a script inside the page is not allowed"


async def test_only_the_files_of_the_two_pages_are_served(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        answers = [await client.get(f"/docs/{name}") for name in ("../main.py", "..%2fmain.py", "core.py")]

    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize(
    "path",
    ["/", "/ops", "/style.css", "/docs", "/docs/start.js", "/api/health", "/api/sites", "/api/nothing"],
)
async def test_every_response_has_the_security_headers(tmp_path: Path, path: str) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_a_500_response_has_the_security_headers_too() -> None:
    app = FastAPI()
    install_problem_handlers(app)

    @app.get("/fault")
    def fault() -> None:
        raise RuntimeError("a fault of ours")

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        answer = await client.get("/fault")

    assert answer.status_code == 500
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", ["/docs/", "/api/health/", "/api/sites/?limit=1"])
async def test_no_answer_names_the_host_that_the_client_named(tmp_path: Path, path: str) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get(path, headers={"Host": "evil.example"})

    assert "location" not in answer.headers
    assert "evil.example" not in repr(sorted(answer.headers.items()))
    assert answer.status_code == 404
