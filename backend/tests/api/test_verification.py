"""`/api/v1/.../forecast/verification` and `meteo-score verify`: the same figures, public without a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.core.local_time import day_number
from backend.main import Service
from backend.scoring.days.update import update
from backend.storage.issued import append_issued, withdraw_issued
from backend.tests.support.commands import typed
from backend.tests.support.issued import an_issued_day
from backend.tests.support.score_store import SPEED, constant
from backend.tests.support.scored_site import AROME, DAYS, FFVL, FIRST, noise, scored_site
from backend.tests.support.served import FOUR_SOURCES, NOW, make_service, served

DAY = day_number(FIRST)
SITE = "/api/v1/sites/grand-pre/forecast/verification"


def verified(folder: Path, **options: Any) -> Service:
    observed = {FFVL: {SPEED: 20.0 + noise(1, size=3.0)}}
    service = scored_site(folder, {AROME: {SPEED: constant(DAYS, 20.0)}}, observed, **options)
    with service.database.write() as connection:
        append_issued(connection, [an_issued_day("grand-pre", DAY + day, 20.0) for day in range(DAYS)])
        append_issued(
            connection,
            [an_issued_day("grand-pre", DAY + day, 90.0, audience="operator") for day in range(DAYS)],
        )
    return service


@pytest.mark.parametrize("path", [SITE, "/api/v1/forecast/verification"])
async def test_the_verification_is_public_and_its_days_are_those_up_to_today(
    tmp_path: Path, path: str
) -> None:
    async with served(verified(tmp_path, public_raw_sources="")) as client:
        answer = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (answer.status_code, again.status_code) == (200, 304)
    found = answer.json()
    assert (found["lastDay"], found["nominalCoverage"], found["nSites"]) == (str(NOW.date()), 0.8, 1)
    [wind] = found["parameters"]
    assert (wind["parameter"], wind["mae"]["nDays"], wind["limit"]) == ("wind_speed", DAYS, 25.0)
    assert 2.0 < wind["mae"]["mean"] < 3.0, "the operator's 90 km/h are not in it"
    assert wind["coverage"]["low"] < wind["coverage"]["mean"] < wind["coverage"]["high"]
    assert [each["reference"] for each in wind["references"]] == ["yesterday"]
    assert sum(wind["pit"]) == pytest.approx(1.0)
    assert found["attribution"]


async def test_the_etag_changes_with_the_record(tmp_path: Path) -> None:
    service = verified(tmp_path)
    async with served(service) as client:
        before = await client.get(SITE)
        with service.database.write() as connection:
            withdraw_issued(connection, "grand-pre", 1, NOW, "a test")
        update(service.database, NOW)
        after = await client.get(SITE, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("view=lead_0_5", "view"),
        ("limit=0", "limit"),
        ("from=2026-07-02&to=2026-07-01", "from"),
        ("days=3", "days"),
    ],
)
async def test_a_wrong_query_is_named(tmp_path: Path, query: str, field: str) -> None:
    async with served(verified(tmp_path)) as client:
        answer = await client.get(f"{SITE}?{query}")
    assert answer.status_code == 422
    assert field in answer.text


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    verified(tmp_path)
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "SITES_FILE": str(tmp_path / "sites.toml"),
        "DATA_DIR": str(tmp_path),
        "SOURCES": FOUR_SOURCES,
    }


SPAN = f"--from {FIRST} --to {NOW.date()}"


def test_the_command_shows_how_often_intervals_held(environment: dict[str, str]) -> None:
    shown = typed(f"verify grand-pre {SPAN}", environment)
    assert (shown.exit_code, shown.stderr) == (0, "")
    first, *lines = shown.stdout.splitlines()
    assert first.startswith("Grand Pré, issued the evening before, 2026-06-06 to 2026-07-15, all hours")
    [held] = [line for line in lines if line.startswith("Intervals of 8.0 km/h held for ")]
    assert " of hours on 40 days (" in held
    assert any(line.startswith("MétéoScore (ours) 2.") for line in lines)
    assert any(line.startswith("Chance of more than 25 km/h: Brier 0.0") for line in lines)


async def test_the_command_and_the_api_give_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    shown = typed(f"verify grand-pre {SPAN} --json", environment)
    service = make_service(tmp_path)
    async with served(service) as client:
        answer = await client.get(f"{SITE}?from={FIRST}&to={NOW.date()}")
    assert json.loads(shown.stdout)["parameters"] == answer.json()["parameters"]


def test_a_site_without_issued_forecasts_says_so(environment: dict[str, str]) -> None:
    shown = typed(f"verify petit-col {SPAN}", environment)
    assert "No forecast that was issued for everyone and in time has a reading yet." in shown.stdout
