"""`meteo-score verify-record`: what is wrong with the record, where, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backend.core.parameters import Parameter
from backend.storage.database import Database
from backend.storage.issued import append_issued, head
from backend.tests.storage.test_issued import ISSUED, tamper
from backend.tests.support.commands import typed
from backend.tests.support.stores import make_tables, sqlite_url


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(sqlite_url(tmp_path), durable=False)
    make_tables(database)
    rows = [ISSUED, replace(ISSUED, parameter=Parameter.WIND_GUST), replace(ISSUED, site="passy")]
    with database.write() as connection:
        append_issued(connection, rows)
    return database


def checked(folder: Path, *options: str) -> tuple[int, str]:
    run = typed(" ".join(("verify-record", *options)), {"DATABASE_URL": sqlite_url(folder)})
    return run.exit_code, run.stdout


def test_a_whole_record_has_its_head_and_exit_code_0(database: Database, tmp_path: Path) -> None:
    with database.read() as connection:
        expected = head(connection)
    assert expected is not None
    code, text = checked(tmp_path)
    assert code == 0
    assert text.splitlines()[:3] == ["passy: 1 rows", "planfait: 2 rows", f"head: {expected.hex()}"]
    code, text = checked(tmp_path, "--json")
    assert (code, json.loads(text)["head"]) == (0, expected.hex())


def test_a_changed_row_is_named_with_its_site_and_exit_code_1(database: Database, tmp_path: Path) -> None:
    tamper(database, "UPDATE issued_forecast SET method = 'x' WHERE site = 'planfait' AND number = 2")
    code, text = checked(tmp_path)
    assert code == 1
    assert "planfait: number 2 differs from its hash" in text
    code, text = checked(tmp_path, "--json")
    assert code == 1
    assert [site["fault"] is None for site in json.loads(text)["sites"]] == [True, False]


def test_a_store_without_a_record_is_no_fault(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path), durable=False)
    make_tables(database)
    code, text = checked(tmp_path)
    assert (code, text.strip()) == (0, "head: nothing was issued yet")
