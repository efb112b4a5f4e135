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


ROUTES = [
    route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and "GET" in (route.methods or ())
]
"""Every route that answers with a page or a part of one, so that a new one is among them by itself."""

SIGN_IN = "/ops/sign-in"


def page_paths() -> list[str]:
    """Return an address for every route of the pages. Those of the map need a service with tiles."""
    paths = []
    for route in ROUTES:
        path = route.path
        for name, value in VALUES.items():
            path = path.replace(name, value)
        assert "{" not in path, f"{path}: give VALUES a value for its parameter"
        paths.append(path)
    return paths


def html_paths(address: str) -> list[str]:
    """Return those addresses that a running service answers with HTML, and MORE. An error is a failure."""
    with httpx2.Client(base_url=address, headers={"Accept": "text/html"}, trust_env=False) as client:
        form = client.get(SIGN_IN)
        client.post(SIGN_IN, data={"token": TOKEN})
        answers = {path: client.get(path) for path in page_paths()} | {SIGN_IN: form}
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code >= 400} == {}
    of_people = [
        path for path, answer in answers.items() if answer.headers["content-type"].startswith("text/html")
    ]
    return [*of_people, *MORE]


def give_session(context: BrowserContext, address: str, path: str) -> None:
    """Sign the tabs of a browser in for the operator's pages, and out for all others and the form itself."""
    context.clear_cookies()
    if path.startswith("/ops") and path != SIGN_IN:
        context.request.post(address + SIGN_IN, form={"token": TOKEN})
