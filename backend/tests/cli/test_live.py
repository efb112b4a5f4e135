"""`doctor --live` on stand-in upstreams: what it reports, what it costs, and that it stores nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.cli.live import named_sources
from backend.cli.live_checks import check_licence, check_place, if_gone
from backend.cli.live_requests import one_place
from backend.core.clock import utc_now
from backend.core.config import KEY_SETTINGS, Settings
from backend.core.records import ForecastBatch, Outside, Site
from backend.core.registry import GEOSPHERE, SOURCES
from backend.core.source_info import SourceInfo
from backend.main import Service
from backend.tests.support.commands import Environment, StandIns, stand_ins, typed
from backend.tests.support.fakes import ScriptedFetch

SITE = Site("planfait", "Planfait", 45.857, 6.224, 930, stations=("ffvl:9001",))


@pytest.fixture(scope="module")
def dated() -> Iterator[StandIns]:
    """Stand-ins that state their time in each answer."""
    with stand_ins(dates=True) as upstreams:
        yield upstreams


@pytest.fixture
def ours(dated: StandIns, tmp_path: Path) -> Environment:
    dated.set_clock(utc_now())
    environment = dated.environment(tmp_path)
    sites = tmp_path / "sites.toml"
    mast = '"ffvl:9001", "meteofrance_hourly:74000001"'
    sites.write_text(sites.read_text().replace('"ffvl:9001"', mast))
    return environment


def report(line: str, environment: Environment) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    result = typed(f"doctor --live --json {line}", environment)
    assert result.stderr == ""
    return result.exit_code, {one["source"]: one["checks"] for one in json.loads(result.stdout)}


def of(checks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(check for check in checks if check["name"] == name)


def test_every_default_source_is_read_by_its_own_parser_and_nothing_is_stored(
    ours: Environment, tmp_path: Path
) -> None:
    code, sources = report("", ours)
    assert code == 0
    assert set(sources) == {source.name for source in SOURCES if source.default}
    for checks in sources.values():
        for name in ("address", "payload", "clock"):
            assert of(checks, name)["verdict"] == "ok", checks
        place = "area" if "area" in {check["name"] for check in checks} else "station"
        assert of(checks, place)["verdict"] == "ok", checks
    assert [path.name for path in tmp_path.iterdir()] == ["sites.toml"]


def test_it_makes_few_requests(dated: StandIns, ours: Environment) -> None:
    limits = {"arome": 4, "geosphere": 2, "meteo_parapente": 2, "ffvl": 2, "winds_mobi": 1, "romma": 2}
    before = {name: dated.requests(name) for name in limits}
    assert report("", ours)[0] == 0
    spent = {name: dated.requests(name) - before[name] for name in limits}
    assert all(0 < spent[name] <= limits[name] for name in limits), spent


def test_the_report_fits_80_columns_also_with_errors(dated: StandIns, ours: Environment) -> None:
    with dated.faults(arome="404", geosphere="cut", romma="refuse", ffvl="stale"):
        result = typed("doctor --live", ours)
    assert result.exit_code == 1
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "AROME_URL" in result.stdout  # what is known about a move


@pytest.mark.parametrize(
    ("source", "fault", "check"),
    [
        ("romma", "refuse", "address"),
        ("geosphere", "404", "address"),
        ("meteo_parapente", "cut", "payload"),
        ("ffvl", "stale", "newest data"),
        ("ffvl", "future", "newest data"),
    ],
)
def test_a_fault_of_one_source_is_its_own(
    dated: StandIns, ours: Environment, source: str, fault: str, check: str
) -> None:
    with dated.faults(**{source: fault}):
        code, sources = report("--source pioupiou --source " + source, ours)
    assert code == 1
    found = of(sources[source], check)
    assert found["verdict"] == "differs", sources[source]
    assert found["expected"]
    assert found["seen"]
    assert found["to_do"]
    assert all(each["verdict"] != "differs" for each in sources["pioupiou"])


def test_a_wrong_clock_is_reported_and_does_not_make_the_data_old(dated: StandIns, ours: Environment) -> None:
    dated.set_clock(utc_now() - timedelta(hours=1))
    code, sources = report("--source pioupiou", ours)
    assert code == 1
    assert of(sources["pioupiou"], "clock")["verdict"] == "differs"
    assert of(sources["pioupiou"], "newest data")["verdict"] == "ok"


def test_an_unknown_source_is_refused(ours: Environment) -> None:
    result = typed("doctor --live --source nowhere", ours)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "choose from" in result.stderr
    assert typed("doctor --source ffvl", ours).exit_code == 2


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    keys = dict.fromkeys(KEY_SETTINGS, "a-key-of-twenty-letters")
    settings = Settings.load(
        contact="pilot@example.org", data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/s", **keys
    )
    made = Service.make(settings, make_store=False)
    yield made
    made.worker.close()
    made.database.close()


@pytest.mark.parametrize("info", SOURCES, ids=lambda source: source.name)
def test_every_source_of_the_registry_has_live_checks(info: SourceInfo, service: Service) -> None:
    [source] = named_sources(service.settings, [info.name], service)
    assert source.disabled is None
    assert source.routes
    assert source.live.if_gone
    assert source.live.if_gone in if_gone(source, info)
    assert bool(source.live.licence_page) == bool(source.live.licence_words)


def test_a_point_that_the_server_refuses_in_the_declared_area_differs(service: Service) -> None:
    [source] = named_sources(service.settings, [GEOSPHERE.name], service)
    needs, where = one_place(source, utc_now(), [SITE])
    refused = ForecastBatch(
        source=source.name,
        route="timeseries",
        rank=0,
        collected_at=needs.now,
        outside=(Outside(source.models[0], SITE.id, "400: the point is outside"),),
    )
    check = check_place(source, needs, [refused], [SITE], where)
    assert (check.verdict, check.expected) == ("differs", "planfait inside")
    far = Site("far", "Far", 0.0, 0.0, 0)
    needs, where = one_place(source, utc_now(), [far])
    assert (where, check_place(source, needs, [], [far], where).verdict) == ("", "not checked")


async def test_the_licence_is_looked_for_on_its_page(service: Service) -> None:
    [source] = named_sources(service.settings, [GEOSPHERE.name], service)
    page = source.live.licence_page
    for body, verdict in ((b"<p>Licence:\n<b>CC BY</b> 4.0</p>", "ok"), (b"<p>All rights</p>", "differs")):
        fetch = ScriptedFetch({page: body}, now=utc_now())
        assert (await check_licence(source, GEOSPHERE, ["data.example"], fetch)).verdict == verdict
    assert (await check_licence(source, GEOSPHERE, ["127.0.0.1:1"], fetch)).verdict == "not checked"
