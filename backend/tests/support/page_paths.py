"""The addresses of all pages, for the tests in a browser and for screenshots."""

from __future__ import annotations

import httpx2
from fastapi.routing import APIRoute
from playwright.sync_api import BrowserContext

from backend.pages.routes import ROUTERS
from backend.tests.support.served import TOKEN

VALUES = {"{siteId}": "planfait", "{run_id}": "1"}
"""A value for each parameter of a path."""

MORE = ("/?s=planfait,petit-col&lim=20", "/sites/petit-col", "/sites/sans-balise", "/nothing-here")
"""Pages in states that the first site does not show."""


def page_paths() -> list[str]:
    """Return an address for every route of the pages, so that a new page is among them by itself."""
    paths = []
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
                path = route.path
                for name, value in VALUES.items():
                    path = path.replace(name, value)
                assert "{" not in path, f"{path}: give VALUES a value for its parameter"
                paths.append(path)
    return paths


def html_paths(address: str) -> list[str]:
    """Return those addresses that a running service answers with HTML, and MORE. An error is a failure."""
    with httpx2.Client(base_url=address, headers={"Accept": "text/html"}, trust_env=False) as client:
        form = client.get("/ops/sign-in")
        client.post("/ops/sign-in", data={"token": TOKEN})
        answers = {path: client.get(path) for path in page_paths()} | {"/ops/sign-in": form}
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code >= 400} == {}
    of_people = [
        path for path, answer in answers.items() if answer.headers["content-type"].startswith("text/html")
    ]
    return [*of_people, *MORE]


def sign_in(context: BrowserContext, address: str) -> None:
    """Give the tabs of a browser the session of the operator; the form itself is shown without one."""
    context.request.post(f"{address}/ops/sign-in", form={"token": TOKEN})
