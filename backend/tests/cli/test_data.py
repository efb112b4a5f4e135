"""`meteo-score data`: an operator removes wrong values, sees the record, and takes it back."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.storage import schema as t
from backend.tests.support.commands import Environment, outside, store_of, typed
from backend.tests.support.stores import forecast, forecasts, observations, open_store, reading, sqlite_url

PERIOD = "--from 2026-07-15 --to 2026-07-15"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    store = open_store(sqlite_url(tmp_path))
    store.add_forecasts(forecasts(*(forecast(20.0, hours=hour) for hour in range(6))))
    store.add_observations(observations(reading(12.0), reading(13.0, minutes=10)))
    store.database.close()
    return outside() | {
        "DATABASE_URL": sqlite_url(tmp_path),
        "SITES_FROM": "database",
        "DATA_DIR": str(tmp_path),
    }


def answer(line: str, environment: Environment) -> Any:
    result = typed(f"{line} --json", environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def values(environment: Environment) -> int:
    database = store_of(environment)
    with database.read() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(t.forecast)).scalar_one()
    database.close()
    return int(count)


def test_values_are_removed_with_who_when_and_why_and_restored(environment: Environment) -> None:
    line = f"data remove --model arome_0025 {PERIOD} --yes --reason wrong-units"
    removal = answer(line, environment)
    assert (removal["id"], removal["rows"], removal["values"], removal["keptOut"]) == (1, 6, 6, True)
    assert (removal["removedBy"], removal["reason"]) == (getpass.getuser(), "wrong-units")
    assert removal["daysComputed"] >= 1
    assert values(environment) == 0
    listed = typed("data removed", environment).stdout
    assert "the runs of arome_0025 from 2026-07-15 00:00 to 2026-07-15 23:59 UTC: 6 values" in listed
    assert "wrong-units" in listed and "can be restored; kept out" in listed
    restored = typed("data restore 1", environment)
    assert restored.exit_code == 0 and "6 values are back" in restored.stdout
    assert values(environment) == 6
    assert answer("data removed", environment)[0]["restoredBy"] == getpass.getuser()


def test_vacuum_deletes_what_is_old_enough(environment: Environment) -> None:
    answer(f"data remove --station ffvl:2496 {PERIOD} --yes", environment)
    assert "nothing was deleted" in typed("data vacuum", environment).stdout
    (deleted,) = answer("data vacuum --older-than 0d", environment)
    assert (deleted["id"], deleted["valuesWaiting"]) == (1, 2)
    again = typed("data restore 1", environment)
    assert again.exit_code == 2 and "was vacuumed" in again.stderr
    assert "may be stored again" in typed("data allow 1", environment).stdout


def test_nothing_is_removed_by_accident(environment: Environment) -> None:
    for options, message in (
        (f"--model arome_0025 {PERIOD}", "6 values in 6 rows? Add --yes: nothing was removed"),
        (f"--model arome {PERIOD} --yes", "there is no model 'arome'"),
        (f"--station ffvl:9 {PERIOD} --yes", "there is no station 'ffvl:9'"),
        (f"--model arome_0025 --station ffvl:2496 {PERIOD} --yes", "give one of --model"),
        ("--model arome_0025 --from 2026-07-15 --yes", "both are needed"),
        ("--model arome_0025 --from 2026-07-15 --to 2026-07-14 --yes", "must not be later"),
        ("--model arome_0025 --from 2026-07-01 --to 2026-07-02 --yes", "nothing was removed"),
        ("--model arome_0025 --from 2026-07-15 --to 2999-01-01 --yes", "must be today"),
        ("--import 3 --yes", "there is no import 3"),
        (f"--import 3 {PERIOD} --yes", "as a whole"),
    ):
        result = typed(f"data remove {options}", environment)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert values(environment) == 6
    assert typed("data removed", environment).stdout == "Nothing was removed.\n"
    assert typed("data imports", environment).stdout == "Nothing was imported.\n"
    assert typed("data vacuum --older-than 3", environment).exit_code == 2


def test_an_import_has_a_number_and_is_removed_by_it(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text(
        "model,site,parameter,reference_time,valid_time,value\n"
        "other,planfait,wind_speed,2026-07-15T06:00:00Z,2026-07-15T09:00:00Z,41\n"
    )
    assert typed(f"import forecasts {file}", environment).exit_code == 0
    assert values(environment) == 7
    (imported,) = answer("data imports", environment)
    assert (imported["kind"], imported["file"]) == ("forecasts", str(file))
    answer(f"data remove --import {imported['id']} --yes --reason mistake", environment)
    assert values(environment) == 6
    refused = typed(f"import forecasts {file}", environment)
    assert refused.exit_code == 2 and "removal 1: mistake" in refused.stderr
