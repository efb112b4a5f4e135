"""docs/adding-a-source.md is true: its code, put into a copy of the tree, adds a model and a network.

The copy is a repository of its own. Its own tests run in it, and a script collects from the stand-ins of the
copy, scores, and asks the API.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "adding-a-source.md"
BLOCK = re.compile(r"<!-- (\S+?)(?:: ([^\n]+))? -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# Where the page puts a block into a file that exists: the place (a pattern) after which it goes.
PLACES = {
    "into OPEN_METEO": r"(?=    \),\n\)\n\nFFVL = )",
    "before SOURCES": r"(?=\nSOURCES = \()",
    "after pioupiou_spacing_seconds": r"    pioupiou_spacing_seconds: .*\n",
}
OPEN_METEO_PAGE = "docs/sources/open_meteo.md"

SCRIPT = '''
"""Collect from the stand-ins of this tree, score, and ask the API about the model and the network."""
import asyncio, sqlite3, sys
from datetime import timedelta
from pathlib import Path
from textwrap import indent
import httpx2, numpy as np, psycopg
from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import Payload, collect
from backend.collectors.grib.worker import Worker
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ForecastBatch
from backend.demo.server import upstream_apps
from backend.demo.world import UPSTREAMS, World
from backend.tests.support.score_store import constant, keep
from backend.tests.support.served import ADMIN, NOW, make_service, served
from backend.tests.support.worlds import HandClock

SITE = """
[[sites]]
id = "col"
name = "Col"
latitude = 45.9
longitude = 6.7
elevation = 1400
stations = ["valley:12"]
without = ["ffvl", "romma"]
"""
SPEED, GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST


async def main(folder: Path) -> None:
    urls = {f"{name}_url": f"http://{name.replace('_', '-')}.test" for name in UPSTREAMS}
    service = make_service(folder, sites=SITE, sources="valley", open_meteo_models="icon_eu,icon_d2", **urls)
    service.database.migrate()
    [site] = service.sites()
    service.store.save_sites([site])
    apps = {urls[f"{n}_url"]: app for n, app in upstream_apps(World(1, sites=(site,), now=NOW)).items()}

    async def fetch(request):
        url = httpx2.URL(request.url)
        transport = httpx2.ASGITransport(app=apps[f"http://{url.host}"])
        async with httpx2.AsyncClient(transport=transport) as client:
            answer = await client.get(url, params=request.params or None)
        answer.raise_for_status()
        return Payload(url=request.url, body=answer.content, fetched_at=NOW)

    wanted = CollectionRequest(now=NOW, since=NOW - timedelta(hours=12), sites=(site,))
    sources = [*forecast_sources(service.settings, Worker()), *observation_sources(service.settings)]
    collected = set()
    for source in sources:
        if source.opted_in and source.disabled is None:
            async for batch in collect(source, wanted, fetch):
                assert not batch.failures, batch.failures
                if isinstance(batch, ForecastBatch):
                    collected |= {record.model for record in batch.records}
                    service.store.add_forecasts(batch)
                else:
                    collected |= {record.station for record in batch.records}
                    service.store.add_observations(batch)
    assert {"icon_eu", "valley:12"} <= collected, collected

    days, noise = 40, np.random.default_rng(1).normal(0, 1, (40, 25))
    first = NOW.date() - timedelta(days=days - 1)
    values = {SPEED: constant(days, 21.0) + noise, GUST: constant(days, 35.0) + noise}
    models = {"icon_eu": values, "icon_d2": {SPEED: values[SPEED] + 3, GUST: values[GUST] + 3}}
    keep(service.database, site, first, models=models, stations={"valley:12": values})

    async with served(service) as client:
        async def get(path, **options):
            answer = await client.get(path, **options)
            assert answer.status_code == 200, answer.text
            return answer.json()

        models = {each["model"]: each for each in (await get("/api/v1/models"))["models"]}
        assert models["icon_eu"]["name"] == "ICON-EU"
        assert models["icon_eu"]["public"] is True
        assert models["icon_eu"]["attribution"].startswith("Open-Meteo.com")

        shown = await get("/api/observations?site=col")
        assert [each["source"] for each in shown["withheld"]] == ["valley"], shown
        assert shown["observations"] == []
        shown = await get("/api/observations?site=col", headers=ADMIN)
        assert {each["station"] for each in shown["observations"]} == {"valley:12"}
        assert shown["attribution"] == ["Source: Valley Weather"]

        speed = await get("/api/v1/sites/col/scores?parameter=wind_speed&hours=all", headers=ADMIN)
        scored = {each["model"]: each for each in speed["models"]}
        assert scored["icon_eu"]["name"] == "ICON-EU", scored
        assert scored["icon_eu"]["score"]["mae"] is not None, scored
        assert "Source: Valley Weather" in speed["attribution"]
        gust = await get("/api/v1/sites/col/verdict?parameter=wind_gust&hours=all", headers=ADMIN)
        assert any("ICON-EU: gusts of three hours" in note for note in gust["notes"]), gust["notes"]
    print("all holds")


asyncio.run(main(Path(sys.argv[1])))
'''


def blocks() -> list[tuple[str, str, str]]:
    """Return path, place ("" for a new file) and code of each block of the page."""
    found = [(path, place or "", code) for path, place, code in BLOCK.findall(PAGE.read_text())]
    assert len(found) == 7, "a block of the page was not read"
    return found


def add(tree: Path) -> tuple[set[str], set[str]]:
    """Add the code of the page to a tree; return the files touched for the model and for the network."""
    model, network = {OPEN_METEO_PAGE}, set()
    page = tree / OPEN_METEO_PAGE
    row = "| `gfs_global` |"
    page.write_text(page.read_text().replace(row, f"| `icon_eu` | ICON-EU (DWD) | | | | |\n{row}"))
    for path, place, code in blocks():
        if place == "into OPEN_METEO":
            model.add(path)
            code = indent(f"{code.rstrip()},\n", 8 * " ")
        else:
            network.add(path)
        file = tree / path
        if not place:
            assert not file.exists(), f"{path} exists"
            file.write_text(code)
            continue
        text = file.read_text()
        [match] = re.finditer(PLACES[place], text)
        text = text[: match.end()] + code + text[match.end() :]
        file.write_text(text.replace(" SLF),", " SLF, VALLEY),"))
    return model, network


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree without the additions."""
    copy = tmp_path_factory.mktemp("copy") / "tree"
    for folder in ("backend", "docs", "proofs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "sites.toml", ".env.example", "README.md"):
        shutil.copy(ROOT / file, copy / file)
    return copy


def run(tree: Path, *arguments: str) -> str:
    """Run Python on a tree; return what it printed, and fail with it where it failed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
    return ended.stdout


def test_a_model_and_a_network_added_as_documented_work_everywhere(tree: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}

    model, network = add(tree)

    touched = {path for path in tree.rglob("*") if path.is_file() and before.get(path) != path.read_bytes()}
    assert {path.relative_to(tree).as_posix() for path in touched} == model | network
    assert len(model) <= 4
    assert len(network) <= 6

    (tmp_path / "script.py").write_text(SCRIPT)
    assert "all holds" in run(tree, str(tmp_path / "script.py"), str(tmp_path))
    tests = (
        "backend/tests/collectors/test_valley.py",
        "backend/tests/core/test_registry.py",
        "backend/tests/core/test_config.py",
        "backend/tests/test_layers.py",
        "backend/tests/demo/test_upstreams.py",
        "backend/tests/collectors/test_open_meteo_models.py",
    )
    run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    run(tree, "-m", "ruff", "check", "--no-cache", *sorted(path for path in network if path.endswith(".py")))


def test_a_model_in_grib_files_needs_the_files_that_the_page_counts() -> None:
    section = PAGE.read_text().partition("## A model in GRIB files of its own: ")[2].partition("\n## ")[0]
    rows = "".join(re.findall(r"^\| `.*?\|", section, re.MULTILINE))
    files = re.findall(r"`([^`]+)`", rows)
    assert len(files) == int(section.split()[0])
    for name in files:
        text = (ROOT / name).read_text().casefold()
        assert "meteohub" in text or "icon_2i" in text, f"{name} does not have the example"
