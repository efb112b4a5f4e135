"""`HEAD` answers as `GET` does, without the body, on every route there is."""

from __future__ import annotations

from pathlib import Path

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from backend.api.routes import ROUTERS
from backend.main import create_app
from backend.pages.routes import ROUTERS as PAGES
from backend.tests.support.commands import StandIns
from backend.tests.support.operator import sign_in
from backend.tests.support.served import ADMIN, fill, make_service, served
from backend.tests.support.serving import address, serving

GIVEN = {"{runId}": "1", "{run_id}": "1", "{siteId}": "grand-pre", "{asset}": "swagger-ui.css"}


def paths(app: FastAPI) -> list[str]:
    """Return an address for every path that answers GET: API, pages, style sheet and documentation."""
    routes = [*app.routes, *(route for router in (*ROUTERS, *PAGES) for route in router.routes)]
    found = {
        route.path
        for route in routes
        if isinstance(route, Route | APIRoute) and "GET" in (route.methods or ())
    }
    found |= {path for path, operations in app.openapi()["paths"].items() if "get" in operations}
    return sorted(_filled_in(path) for path in found)


def _filled_in(path: str) -> str:
    for name, value in GIVEN.items():
        path = path.replace(name, value)
    assert "{" not in path, f"{path}: give the test a value for its parameter"
    return path


async def test_head_has_the_status_and_headers_of_get_and_no_body_on_every_route(tmp_path: Path) -> None:
    tiles = "https://tiles.example/{z}/{x}/{y}.png"  # without the setting there is no map
    service = make_service(tmp_path, public_url="https://meteo.example", map_tiles_url=tiles)
    fill(service)
    known = paths(create_app(service))
    assert {"/", "/ops/sign-in", "/style.css", "/docs", "/openapi.json", "/api/health", "/api/ready"} <= set(
        known
    )
    assert "/api/scheduler/runs/1" in known
    async with served(service) as client:
        await sign_in(client)
        for path in known:
            # The token for the state of the operation; the cookie for the pages of the operator.
            got, head = [await ask(path, headers=ADMIN) for ask in (client.get, client.head)]
            assert got.status_code == (303 if path == "/ops/sign-in" else 200), path
            assert (head.status_code, head.content) == (got.status_code, b""), path
            changing = {"date", "etag"}
            if path == "/metrics":  # its figures, as that of the CPU time, may grow by a digit in between
                changing.add("content-length")
            assert {k: v for k, v in head.headers.items() if k not in changing} == {
                k: v for k, v in got.headers.items() if k not in changing
            }, path


async def test_head_is_refused_like_get_for_unknown_paths_and_post_routes(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        assert (await client.head("/nothing")).status_code == 404
        answer = await client.head("/api/scheduler/jobs/collect_forecasts/run")
        assert (answer.status_code, answer.content) == (405, b"")


def test_a_real_server_answers_head_and_keeps_the_connection_usable(
    upstreams: StandIns, tmp_path: Path
) -> None:
    environment = upstreams.environment(tmp_path, scheduler_enabled="false")
    with serving(environment) as service, httpx2.Client(base_url=address(service), trust_env=False) as client:
        for path in ("/api/health", "/", "/docs", "/api/sites"):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == got.headers["content-length"]
