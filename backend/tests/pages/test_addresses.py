"""Addresses of the pages: below a path prefix, for search engines, and never by the Host header."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from selectolax.lexbor import LexborHTMLParser
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.main import create_app
from backend.pages.score_choices import ScoreChoices
from backend.tests.support.operator import HTML, form_token, sign_in
from backend.tests.support.page_paths import ROUTES, page_paths
from backend.tests.support.page_store import page_service
from backend.tests.support.served import ADMIN, TOKEN, fill, make_service, served
from backend.tests.support.tiles import map_settings

PREFIX = "/meteo"
PUBLIC = "https://score.example/meteo"
PAGES = ("/", "/sites/grand-pre", "/methodology", "/about-data")
OF_ADDRESSES = re.compile(r'(?:href|src|action)="([^"#][^"]*)"')


def stripping(app: ASGIApp) -> ASGIApp:
    """Stand in for a proxy that serves the application below the prefix and strips it."""

    async def strip(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith(PREFIX), "the proxy serves nothing else"
            scope = {**scope, "path": scope["path"].removeprefix(PREFIX) or "/"}
        await app(scope, receive, send)

    return strip


def by_server(app: ASGIApp) -> ASGIApp:
    """Stand in for `uvicorn --root-path`, which puts the prefix into the scope and before the path."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": PREFIX}, receive, send)

    return serve


@asynccontextmanager
async def below(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        yield client


@pytest.mark.parametrize("way", ["proxy strips it", "proxy keeps it", "server option"])
async def test_every_link_and_header_works_below_a_prefix(tmp_path: Path, way: str) -> None:
    service = make_service(tmp_path, root_path="" if way == "server option" else PREFIX)
    fill(service)
    app = create_app(service)
    served_app: ASGIApp = app
    if way != "proxy keeps it":
        served_app = stripping(app) if way == "proxy strips it" else by_server(app)
    async with below(served_app) as client:
        found: set[str] = set()
        for path in (*PAGES, "/nothing-here", "/ops/sign-in", "/docs", "/redoc"):
            answer = await client.get(PREFIX + path, headers=HTML)
            assert answer.status_code == (404 if path == "/nothing-here" else 200), path
            addresses = OF_ADDRESSES.findall(answer.text)
            addresses += re.findall(r'(?:spec-url|data-description)="([^"]+)"', answer.text)
            inner = {
                address for address in addresses if not address.startswith(("https://", "data:", "mailto:"))
            }
            assert [address for address in inner if not address.startswith(f"{PREFIX}/")] == [], path
            found |= inner
        for address in sorted(found):
            if "?lang=" not in address or "nothing-here" not in address:
                answer = await client.get(address.replace("&amp;", "&"), headers=HTML)
                assert answer.status_code == 200, address
        page = await client.get(f"{PREFIX}/api/forecasts?limit=5")
        (link,) = re.findall(r"<([^>]+)>; rel=\"next\"", page.headers["link"])
        assert link.startswith(f"{PREFIX}/api/forecasts?")
        assert (await client.get(link)).status_code == 200
        missing = (await client.get(f"{PREFIX}/api/nothing")).json()
        assert missing["instance"] == f"{PREFIX}/api/nothing"
        assert f"{PREFIX}/docs lists" in missing["detail"]
        started = await client.post(f"{PREFIX}/api/scheduler/jobs/collect_observations/pause", headers=ADMIN)
        assert started.status_code == 200
        document = (await client.get(f"{PREFIX}/openapi.json")).json()
        assert document["servers"] == [{"url": PREFIX}]
        manifest = (await client.get(f"{PREFIX}/site.webmanifest")).json()
        assert {manifest["start_url"], manifest["scope"]} == {f"{PREFIX}/"}
        assert f"Disallow: {PREFIX}/ops" in (await client.get(f"{PREFIX}/robots.txt")).text
    await service.close()


async def test_the_operator_signs_in_below_a_prefix(tmp_path: Path) -> None:
    service = make_service(tmp_path, root_path=PREFIX)
    fill(service)
    async with below(stripping(create_app(service))) as client:
        first = await client.get(f"{PREFIX}/ops", headers=HTML)
        answer = await client.post(f"{PREFIX}/ops/sign-in", data={"token": TOKEN}, headers=HTML)
        page = await client.get(f"{PREFIX}/ops", headers=HTML)
        token = form_token(LexborHTMLParser(page.text))
        out = await client.post(f"{PREFIX}/ops/sign-out", data={"form": token}, headers=HTML)
    assert first.headers["location"] == f"{PREFIX}/ops/sign-in"
    assert answer.headers["location"] == f"{PREFIX}/ops"
    assert "Path=/meteo/ops;" in answer.headers["set-cookie"]
    assert page.status_code == 200
    assert out.headers["location"] == f"{PREFIX}/ops/sign-in"
    await service.close()


def test_a_prefix_that_is_an_address_of_the_service_is_refused(tmp_path: Path) -> None:
    for prefix in ("/ops", "/api", "/sites"):
        with pytest.raises(ConfigError, match="ROOT_PATH"):
            create_app(make_service(tmp_path, root_path=prefix))


@pytest.mark.parametrize("value", ["meteo", "/a b", "/é", "/a//b", "/../x", "/x?y", "//evil.example"])
def test_a_prefix_that_is_not_a_plain_path_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="ROOT_PATH="):
        Settings.load(root_path=value)


def test_the_public_address_ends_in_the_prefix() -> None:
    assert Settings.load(root_path="/meteo/", public_url=f"{PUBLIC}/").public_url == PUBLIC
    assert Settings.load(public_url=" ").public_url is None
    with pytest.raises(ConfigError, match=r"PUBLIC_URL=.*must end in ROOT_PATH \(/meteo\)"):
        Settings.load(root_path="/meteo", public_url="https://score.example")
    with pytest.raises(ConfigError, match=r"PUBLIC_URL=.*must have no path"):
        Settings.load(public_url=PUBLIC)
    assert "score.example" not in Settings.load(root_path="/meteo", public_url=PUBLIC).hosts()


# --- Search engines and shared links -----------------------------------------------------------------


def links_of(page: LexborHTMLParser, rel: str) -> dict[str, str]:
    return {
        str(node.attributes.get("hreflang")): str(node.attributes["href"])
        for node in page.css(f"link[rel={rel}]")
    }


async def test_a_page_names_its_public_address_in_each_language(tmp_path: Path) -> None:
    service = make_service(tmp_path, root_path=PREFIX, public_url=PUBLIC)
    fill(service)
    async with below(stripping(create_app(service))) as client:
        answer = await client.get(
            f"{PREFIX}/sites/grand-pre?lang=en&lim=20", headers=HTML | {"Host": "evil.example"}
        )
        plain = await client.get(f"{PREFIX}/", headers=HTML)
    page = LexborHTMLParser(answer.text)
    address = f"{PUBLIC}/sites/grand-pre"
    assert links_of(page, "canonical") == {"None": f"{address}?lang=en"}
    assert links_of(page, "alternate") == {
        **{"fr": f"{address}?lang=fr", "en": f"{address}?lang=en"},
        "x-default": address,
    }
    (url,) = page.css("meta[property='og:url']")
    assert url.attributes["content"] == f"{address}?lang=en"
    assert "evil.example" not in answer.text
    assert links_of(LexborHTMLParser(plain.text), "canonical") == {"None": f"{PUBLIC}/?lang=fr"}
    await service.close()


async def test_without_a_public_address_a_page_names_none(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        answer = await client.get("/", headers=HTML | {"Host": "evil.example"})
        sitemap = await client.get("/sitemap.xml")
        robots = await client.get("/robots.txt")
    assert "canonical" not in answer.text and "og:" not in answer.text
    assert "evil.example" not in answer.text and "meteo.example" not in answer.text
    assert sitemap.status_code == 404
    assert robots.text.splitlines() == ["User-agent: *", "Disallow: /api/", "Disallow: /ops", "Allow: /"]


async def test_errors_and_the_pages_of_the_operator_are_not_for_search_engines(tmp_path: Path) -> None:
    service = make_service(tmp_path, public_url="https://score.example")
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        for path in ("/nothing-here", "/ops"):
            page = LexborHTMLParser((await client.get(path, headers=HTML)).text)
            (robots,) = page.css("meta[name=robots]")
            assert robots.attributes["content"] == "noindex", path
            assert page.css("link[rel=canonical]") == [], path


async def test_the_sitemap_lists_the_pages_in_each_language(tmp_path: Path) -> None:
    service = make_service(tmp_path, root_path=PREFIX, public_url=PUBLIC)
    fill(service)
    async with below(stripping(create_app(service))) as client:
        answer = await client.get(f"{PREFIX}/sitemap.xml")
        robots = await client.get(f"{PREFIX}/robots.txt")
        tree = ElementTree.fromstring(answer.text)
        name = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"
        listed = [str(node.text) for node in tree.iter(name)]
        for url in listed:
            assert (
                await client.get(url.removeprefix("https://score.example"), headers=HTML)
            ).status_code == 200
    assert answer.headers["content-type"] == "application/xml"
    assert len(listed) == len(set(listed)) == 2 * (3 + 3)
    assert f"{PUBLIC}/sites/petit-col?lang=fr" in listed
    assert f"Sitemap: {PUBLIC}/sitemap.xml" in robots.text
    assert 'hreflang="en"' in answer.text
    await service.close()


async def test_every_page_has_its_own_title_and_a_description_in_each_language(tmp_path: Path) -> None:
    service = page_service(tmp_path, **map_settings("https://tiles.example"))
    async with served(service) as client:
        titles: dict[str, dict[str, str]] = {"fr": {}, "en": {}}
        descriptions: dict[str, dict[str, str]] = {"fr": {}, "en": {}}
        for path in page_paths():
            if path.startswith("/embed/"):
                continue  # a part of another site's page
            for lang, found in titles.items():
                answer = await client.get(path, headers=HTML, params={"lang": lang})
                if not answer.headers.get("content-type", "").startswith("text/html"):
                    continue
                page = LexborHTMLParser(answer.text)
                title, meta = page.css_first("title"), page.css_first("meta[name=description]")
                assert title is not None and meta is not None, path
                descriptions[lang][path] = str(meta.attributes["content"])
                found[path] = " ".join(title.text().split())
    for found in titles.values():
        assert len(found) >= 5
        assert len(set(found.values())) == len(found), found
    for path, description in descriptions["fr"].items():
        assert len(description) > 30 and len(descriptions["en"][path]) > 30, path
        assert description != descriptions["en"][path], path


async def test_the_manifest_and_the_icon_are_our_own(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        page = LexborHTMLParser((await client.get("/?lang=fr", headers=HTML)).text)
        (link,) = page.css("link[rel=manifest]")
        answer = await client.get(str(link.attributes["href"]))
        manifest: dict[str, Any] = json.loads(answer.text)
        (icon,) = page.css("link[rel=icon]")
        for address in (manifest["icons"][0]["src"], str(icon.attributes["href"])):
            svg = await client.get(address)
            assert svg.headers["content-type"] == "image/svg+xml"
            assert svg.text.startswith("<svg ") and len(svg.text) < 1000
    assert answer.headers["content-type"] == "application/manifest+json"
    assert manifest["lang"] == "fr" and manifest["description"].startswith("Quelle prévision")


# --- Proxies -----------------------------------------------------------------------------------------


async def test_forwarded_headers_of_others_change_no_address(tmp_path: Path) -> None:
    service = make_service(tmp_path, trusted_proxies="192.0.2.0/24", public_url="https://score.example")
    fill(service)
    forged = {
        **{"X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp"},
        **{"Forwarded": "host=evil.example;proto=https", "X-Script-Name": "/evil"},
    }
    for peer in ("198.51.100.4", "192.0.2.7"):
        transport = httpx2.ASGITransport(create_app(replace(service)), client=(peer, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
            answer = await client.get("/sites/grand-pre", headers=HTML | forged)
            assert answer.status_code == 200
            assert "evil" not in answer.text
            assert "evil" not in repr(answer.headers)
    await service.close()


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.0, br", None),
        ("br", None),
    ],
)
async def test_a_page_is_compressed_for_those_who_take_it(
    tmp_path: Path, accepted: str, encoding: str | None
) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get("/about-data", headers={**HTML, "Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == encoding
        assert "<h1>" in answer.text


def parameters_of(asked: Dependant) -> set[str]:
    """Return the names that a route reads from the query, also those of its dependencies."""
    names = {name for each in asked.dependencies for name in parameters_of(each)}
    for field in asked.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= set(kind.model_fields)
        else:
            names.add(field.alias)
    return names


def test_every_parameter_of_an_address_is_documented() -> None:
    lines = (Path(__file__).parents[3] / "docs/pages.md").read_text().splitlines()
    tables = [line.split("|")[1] for line in lines if line.startswith("| `")]
    documented = {name for names in tables for name in re.findall(r"`(\w+)`", names)}
    pages = [route for route in ROUTES if not route.path.startswith("/ops")]
    asked = set(ScoreChoices.model_fields).union(*(parameters_of(route.dependant) for route in pages))
    assert {"s", "lim", "within", "view", "a"} <= asked
    assert asked - documented == set()
