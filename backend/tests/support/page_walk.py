"""A walk through all public pages of a service: each route, its views, and the links and forms in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2
import pytest
from fastapi.routing import APIRoute
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.main import Service
from backend.tests.support.page_paths import ROUTES
from backend.tests.support.served import served

MOST_LINKED = 25
"""Number of further addresses of a route that are visited from links: each page may link to a next one."""

MOST_TRIES = 5

BASE = "http://meteo.example"

SAME_VIEW = frozenset({"lang"})
"""Parameters that the walk follows from the first address of a route only, as each page links to them."""


@dataclass
class Walk:
    """What a walk found: the answers by address, and the specifications handed to the renderer of charts."""

    answers: dict[str, httpx2.Response] = field(default_factory=dict)
    drawn: list[Any] = field(default_factory=list)


def path_values(service: Service) -> dict[str, list[str]]:
    """Return values for the parameters in the paths of the routes."""
    today = service.clock().date()
    return {
        "site_id": [site.id for site in service.sites()],
        "siteId": [site.id for site in service.sites()],
        "day": [today.isoformat()],
        "run_id": ["1"],
    }


def query_variants(route: APIRoute, service: Service) -> Iterator[dict[str, str]]:
    """Yield the queries of a route: each choice of each parameter once, the others at their defaults."""
    sites = ",".join(site.id for site in service.sites())
    usual = {"s": sites}
    yield usual
    yield {}
    yield {**usual, "lang": "en", "u": "ms"}
    yield {**usual, "lang": "fr", "u": "kt", "lim": "15", "glim": "20"}
    for name, annotation in parameters(route):
        if name not in {"lang", "u", "s"}:
            for choice in choices(annotation):
                yield {**usual, name: choice}


def parameters(route: APIRoute) -> Iterator[tuple[str, Any]]:
    """Yield the names and types of the query parameters of a route, those of a model each by itself."""
    pending = [route.dependant]
    while pending:
        dependant = pending.pop()
        pending += dependant.dependencies
        for parameter in dependant.query_params:
            fields = getattr(parameter.field_info.annotation, "model_fields", None)
            if fields is None:
                yield parameter.alias, parameter.field_info.annotation
            else:
                yield from ((one.alias or name, one.annotation) for name, one in fields.items())


def choices(annotation: Any) -> Iterator[str]:
    """Yield the choices of a parameter, none where any text or number is allowed."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) is Annotated:
        yield from choices(get_args(annotation)[0])
    elif get_args(annotation):
        for part in get_args(annotation):
            yield from choices(part)
    elif hasattr(annotation, "__members__"):
        yield from (str(member.value) for member in annotation)
    elif annotation is bool:
        yield from ("true", "false")


def first_addresses(service: Service) -> Iterator[str]:
    """Yield the addresses of every route, with its views."""
    for route in ROUTES:
        paths = [route.path]
        for parameter in route.dependant.path_params:
            values = path_values(service)[
                parameter.alias
            ]  # KeyError: give the walk values for a new parameter
            name = parameter.alias
            paths = [
                path.replace(f"{{{name}:path}}", one).replace(f"{{{name}}}", one)
                for path in paths
                for one in values
            ]
        for path in paths:
            for query in query_variants(route, service):
                yield path + (f"?{urlencode(query, safe=',')}" if query else "")


def links(address: str, page: LexborHTMLParser) -> Iterator[str]:
    """Yield what a page links to, and what its forms ask for with each of their choices."""
    for node in page.css("[href], [src]"):
        yield _attribute(node, "href") or _attribute(node, "src")
    for form in page.css("form"):
        if _attribute(form, "method").lower() == "post":
            continue
        target = _attribute(form, "action") or urlsplit(address).path
        fixed = {_attribute(one, "name"): _attribute(one, "value") for one in form.css("input[type=hidden]")}
        for select in form.css("select[name]"):
            for option in select.css("option"):
                choice = {_attribute(select, "name"): _attribute(option, "value")}
                yield f"{target}?{urlencode(fixed | choice)}"
        for box in form.css("input[type=radio], input[type=checkbox]"):
            choice = {_attribute(box, "name"): _attribute(box, "value") or "on"}
            yield f"{target}?{urlencode(fixed | choice)}"


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def route_of(address: str) -> APIRoute | None:
    """Return the route of the pages that answers an address of this service."""
    parts = urlsplit(urljoin(BASE, address))
    if parts.netloc != urlsplit(BASE).netloc:
        return None
    return next((route for route in ROUTES if route.path_regex.match(parts.path)), None)


async def walk(service: Service, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Visit all public pages, and record what is drawn in them."""
    found = Walk()
    dumps = json.dumps

    def recorded(value: Any, **options: Any) -> str:
        if isinstance(value, dict) and "config" in value:
            found.drawn.append(value)
        return dumps(value, **options)

    monkeypatch.setattr(json, "dumps", recorded)  # charts are drawn in another process, from JSON
    pending = [(address, False) for address in first_addresses(service)]
    linked: Counter[str] = Counter()
    async with served(service) as client:
        while pending:
            address, is_linked = pending.pop(0)
            route = route_of(address)
            if route is None or address in found.answers:
                continue
            linked[route.path] += is_linked
            if linked[route.path] > MOST_LINKED:
                continue
            for _ in range(MOST_TRIES):
                answer = await client.get(address, headers={"Accept": "text/html, */*"})
                if answer.status_code != 503:  # a busy machine may not draw all charts of a page in time
                    break
            found.answers[address] = answer
            if answer.headers.get("content-type", "").startswith("text/html"):
                for link in links(address, LexborHTMLParser(answer.text)):
                    parts = urlsplit(urljoin(BASE + address, link))
                    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in SAME_VIEW]
                    target = parts.path + (f"?{urlencode(query, safe=',')}" if query else "")
                    if parts.netloc == urlsplit(BASE).netloc and target not in found.answers:
                        pending.append((target, True))
    return found
