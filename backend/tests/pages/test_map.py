"""The map page: only with tiles and the library, the list below it, and no other host anywhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.pages import assets
from backend.tests.support.page_store import page_service
from backend.tests.support.scored_site import get, parsed, text_of
from backend.tests.support.served import served

TILES = "https://tiles.example:8443/{z}/{x}/{y}.png?key=abc"
FILES = ("/map/leaflet.js", "/map/leaflet.css", "/map/map.js")


async def test_without_the_setting_there_is_no_map_and_no_link_to_it(tmp_path: Path) -> None:
    async with served(page_service(tmp_path, days=3)) as client:
        home = parsed(await get(client, "/"))
        answers = [await get(client, path) for path in ("/map", *FILES)]
        unknown = await get(client, "/nothing-here")
    assert not [link for link in home.css("a") if "/map" in (link.attributes["href"] or "")]
    assert [answer.status_code for answer in answers] == [404] * 4
    for answer in answers:
        assert "There is nothing here" in answer.text
        assert answer.headers["content-security-policy"] == unknown.headers["content-security-policy"]


async def test_without_the_library_there_is_no_map_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "js_lib_leaflet", None)  # as if it were not installed
    assets.leaflet.cache_clear()
    try:
        async with served(page_service(tmp_path, days=3, map_tiles_url=TILES)) as client:
            assert (await get(client, "/map")).status_code == 404
            assert "/map" not in (await get(client, "/")).text
    finally:
        assets.leaflet.cache_clear()


async def test_the_map_has_the_list_its_files_and_the_host_of_the_tiles(tmp_path: Path) -> None:
    service = page_service(
        tmp_path,
        days=3,
        map_tiles_url=TILES,
        map_tiles_attribution="© Carte <b>& Cie</b>, https://tiles.example/licence",
    )
    async with served(service) as client:
        home = await get(client, "/?lim=20")
        answer = await get(client, "/map?lim=20&hour=12")
        french = parsed(await get(client, "/map", "fr"))
        page = parsed(answer)
        linked = [
            node.attributes.get("src") or node.attributes["href"]
            for node in page.css("head [src], head [href]")
        ]
        files = [path for path in linked if path and path.startswith("/map/")]
        statuses = [(await client.get(path)).status_code for path in files]
    assert [path.partition("?")[0] for path in files] == [
        "/map/leaflet.css",
        "/map/leaflet.js",
        "/map/map.js",
    ]
    assert statuses == [200] * 3
    assert "img-src 'self' https://tiles.example:8443 data:;" in answer.headers["content-security-policy"]
    assert "tiles.example" not in home.headers["content-security-policy"]
    assert "tiles.example" not in home.text
    assert "/map?lim=20" in home.text
    first, second = parsed(home).css_first("table.home"), page.css_first("table.home")
    assert first is not None and second is not None
    assert first.text() == second.text()
    assert len(page.css("td[data-shown]")) == 3
    assert "Mean wind at 12:00 in km/h" in text_of(page)
    (source,) = page.css(".map-source")
    assert source.text() == "Map: © Carte <b>& Cie</b>, https://tiles.example/licence"
    assert [link.attributes["href"] for link in source.css("a")] == ["https://tiles.example/licence"]
    assert "Vent moyen à 14" in text_of(french)
    assert text_of(french, "h1") == "Demain sur la carte"


async def test_without_an_attribution_the_host_is_named(tmp_path: Path) -> None:
    async with served(page_service(tmp_path, days=3, map_tiles_url=TILES)) as client:
        assert "Map: tiles.example:8443" in text_of(parsed(await get(client, "/map")))
        assert (await get(client, "/map?hour=13")).status_code == 422


async def test_below_a_path_prefix_every_address_has_it(tmp_path: Path) -> None:
    service = page_service(
        tmp_path, days=3, map_tiles_url=TILES, root_path="/meteo", public_url="https://meteo.example/meteo"
    )
    async with served(service) as client:
        page = parsed(await get(client, "/meteo/map"))
    paths = [
        node.attributes.get("src") or node.attributes.get("href") or "" for node in page.css("[src], [href]")
    ]
    assert [path for path in paths if path.startswith("/") and not path.startswith("/meteo/")] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://tiles.example/{z}/{x}.png",
        "https://{s}.tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example/{z}/{x}/{y}/{r}.png",
        "ftp://tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example; script-src *//{z}/{x}/{y}.png",
        "https://user:secret@tiles.example/{z}/{x}/{y}.png",
        "/tiles/{z}/{x}/{y}.png",
    ],
)
def test_an_address_that_is_none_of_tiles_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="MAP_TILES_URL"):
        Settings.load(map_tiles_url=url)


def test_tiles_are_no_host_of_the_collection() -> None:
    settings = Settings.load(map_tiles_url=TILES)
    assert settings.map_tiles_origin == "https://tiles.example:8443"
    assert "tiles.example:8443" not in settings.hosts()
    assert Settings.load(map_tiles_url=" ").map_tiles_url is None
