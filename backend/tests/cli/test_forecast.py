"""`meteo-score forecast`: the hours within 80 columns, a line per day, and the same as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.core.clock import PARIS
from backend.core.local_time import day_number
from backend.core.sites import load_sites
from backend.storage.database import Database
from backend.storage.issued import append_issued
from backend.tests.support.commands import typed
from backend.tests.support.issued import an_issued_day
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, constant, keep
from backend.tests.support.served import FOUR_SOURCES, SITES
from backend.tests.support.stores import make_tables, sqlite_url

DAYS = 40
VALUES = np.array([*range(5, 25), *range(25, 20, -1)], float) - 6.5
"""Mean winds of the hours of a day, the strongest at 20:00; at 18:00 16.5 km/h."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return a store with a record of 38 days and of tomorrow, by the clock of this machine."""
    folder = tmp_path_factory.mktemp("forecast")
    sites = folder / "sites.toml"
    sites.write_text(SITES)
    site = load_sites(sites)[0]
    database = Database(sqlite_url(folder), durable=False)
    make_tables(database)
    today = datetime.now(UTC).astimezone(PARIS).date()
    observed = {SPEED: constant(DAYS, 20.0), GUST: constant(DAYS, 30.0)}
    keep(database, site, today - timedelta(days=DAYS), models={}, stations={"ffvl:901": observed})
    with database.write() as connection:
        past = [
            an_issued_day(site.id, day_number(today) - back, true, parameter=parameter)
            for back in range(2, DAYS)
            for parameter, true in ((SPEED, 20.0), (GUST, 30.0))
        ]
        coming = [
            an_issued_day(site.id, day_number(today) + 1, VALUES + more, parameter=parameter)
            for parameter, more in ((SPEED, 0.0), (GUST, 10.0))
        ]
        coming.append(an_issued_day(site.id, day_number(today) + 1, 358.0, parameter=DIRECTION))
        append_issued(connection, [*past, *coming])
    database.close()
    return {
        "DATABASE_URL": sqlite_url(folder),
        "SITES_FILE": str(sites),
        "DATA_DIR": str(folder),
        "SOURCES": FOUR_SOURCES,
    }


def test_the_hours_are_a_table_within_80_columns_and_each_day_is_a_line(environment: dict[str, str]) -> None:
    shown = typed("forecast grand-pre --limit 20", environment | {"COLUMNS": "80"})
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    rows = [line for line in lines if line[2:5] == ":00"]
    assert len(rows) in (23, 24, 25)
    assert max(map(len, [*rows, *lines[:2]])) <= 80
    winds = ["16", "12", "to", "20", "2", "%", "26", "22", "to", "30", "2", "%"]
    assert rows[-6].split() == ["18:00", *winds, "358°", "354°", "to", "2°"]
    assert rows[4].split()[-2:] == ["–", "–"], "the wind at 4 o'clock is light"
    assert "There is none with less than 10.8 km/h" in shown.stdout
    assert "Such intervals held here for 100 % of 9" in shown.stdout
    today = datetime.now(UTC).astimezone(PARIS).date()
    by_day = {line[:10]: line for line in lines if line[:3] == "202"}
    assert len(by_day) == 3
    assert by_day[str(today + timedelta(days=1))].endswith(
        "at 18:00 16 (12 to 20) km/h, gusts 26 (22 to 30); more than 20 or gusts above 35 at any hour from 10"
        " to 18: 2 %"
    )
    assert "No corrected forecast was issued" in by_day[str(today)]
    assert "of the record" in shown.stdout


def test_the_answer_is_json_too(environment: dict[str, str]) -> None:
    found = json.loads(typed("forecast grand-pre --json", environment).stdout)
    assert (found["windSpeed"]["state"], found["windGust"]["state"]) == ("shown", "shown")
    assert found["dayChance"]["nDays"] in (37, 38)


def test_a_site_without_a_station_says_why(environment: dict[str, str]) -> None:
    shown = typed("forecast sans-balise", environment)
    assert shown.exit_code == 0
    assert "No public model has values for this day." in shown.stdout
