"""The record of issued forecasts: append-only, chained, the same on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.core.errors import NotFoundError
from backend.core.issued import (
    FIRST_HASH,
    LEVELS,
    GateReason,
    GateState,
    Input,
    IssuedForecast,
    IssuedHours,
    reason_text,
)
from backend.core.local_time import local_day
from backend.core.parameters import Parameter
from backend.scoring.views import EVENING_BEFORE, MORNING
from backend.storage.database import Database
from backend.storage.issued import append_issued, chains, head, issued_forecasts, withdraw_issued
from backend.storage.store_copy import copy_store
from backend.tests.support.stores import NOW, RUN, open_database, query_plans, sqlite_url

DAY = local_day(NOW) + 1
HOUR_OF_DAY = int(NOW.timestamp()) // 3600 * 3600

HOURS = IssuedHours(
    times=(HOUR_OF_DAY, HOUR_OF_DAY + 3600),
    values=(18_200, None),
    quantiles=tuple((level * 200, None) for level in LEVELS),
    weights={"arome_0025": (700, None), "mean": (300, None)},
    inputs=(Input("arome_0025", int(RUN.timestamp())),),
    station="ffvl:2496",
    days=41,
    state="shown",
)
ISSUED = IssuedForecast(
    site="planfait",
    audience="public",
    parameter=Parameter.WIND_SPEED,
    view=EVENING_BEFORE.number,
    day=DAY,
    method="1",
    decision_time=NOW,
    issued_at=NOW + timedelta(minutes=2),
    hours=HOURS,
)


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


def append(database: Database, *forecasts: IssuedForecast) -> int:
    with database.write() as connection:
        return append_issued(connection, forecasts)


def read(database: Database, *sites: str, view: int = EVENING_BEFORE.number) -> list[IssuedForecast]:
    with database.read() as connection:
        return issued_forecasts(connection, sites, audience="public", view=view, first=DAY, last=DAY)


def faults(database: Database) -> dict[str, str | None]:
    with database.read() as connection:
        return {chain.site: chain.fault for chain in chains(connection)}


def tamper(database: Database, statement: str) -> None:
    """Change a row as someone can who may also drop the triggers."""
    with database.write() as connection:
        if database.path is None:
            connection.exec_driver_sql("ALTER TABLE issued_forecast DISABLE TRIGGER USER")
        else:
            for change in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS issued_forecast_no_{change}")
        connection.exec_driver_sql(statement)


def test_an_issued_forecast_is_read_as_it_was_issued(database: Database) -> None:
    gust = replace(ISSUED, parameter=Parameter.WIND_GUST)
    assert append(database, ISSUED, gust) == 2
    first, second = read(database, "planfait")
    assert first == ISSUED.chained(1, FIRST_HASH)
    assert second == gust.chained(2, first.hash)
    assert faults(database) == {"planfait": None}


def test_the_reasons_of_the_gate_are_read_as_they_were_written(database: Database) -> None:
    reasons = (GateReason("coverage_off", 0.823, 0.8), GateReason("mae_not_better", None, 0.0))
    hours = replace_hours(state=GateState.CLOSED, reason=reason_text(reasons))
    append(database, replace(ISSUED, hours=hours))
    [found] = read(database, "planfait")
    assert (GateState(found.hours.state), found.hours.reasons) == (GateState.CLOSED, reasons)
    assert (reason_text(()), HOURS.reasons) == ("", ())


def test_a_field_that_is_new_and_empty_does_not_change_the_hash_of_older_rows() -> None:
    assert set(json.loads(HOURS.packed())) == {
        *("times", "values", "quantiles", "weights", "inputs", "station", "days", "state")
    }


def test_a_forecast_issued_more_than_15_minutes_after_its_decision_is_late() -> None:
    late = [replace(ISSUED, issued_at=NOW + timedelta(minutes=15, seconds=more)).is_late for more in (0, 1)]
    assert late == [False, True]


def test_a_decision_is_issued_once(database: Database) -> None:
    append(database, ISSUED)
    other = replace(ISSUED, hours=replace_hours(values=(25_000, None)))
    morning = replace(ISSUED, view=MORNING.number)
    assert append(database, other, morning, ISSUED) == 1
    assert [row.hours.values for row in read(database, "planfait")] == [(18_200, None)]
    assert [row.number for row in read(database, "planfait", view=MORNING.number)] == [2]
    assert faults(database) == {"planfait": None}


def replace_hours(**changes: object) -> IssuedHours:
    fields = {name: getattr(HOURS, name) for name in HOURS.__struct_fields__}
    return IssuedHours(**(fields | changes))


@pytest.mark.parametrize("change", ["UPDATE issued_forecast SET method = '2'", "DELETE FROM issued_forecast"])
def test_the_database_refuses_to_change_the_record(database: Database, change: str) -> None:
    append(database, ISSUED)
    with (
        pytest.raises(sa.exc.DBAPIError, match="is append-only"),
        database.engine.begin() as connection,
    ):
        connection.exec_driver_sql(change)
    assert len(read(database, "planfait")) == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE issued_forecast SET issued_at = issued_at - 600 WHERE number = 2", "number 2 differs"),
        (
            "UPDATE issued_forecast SET content ="
            " (SELECT content FROM issued_forecast AS o WHERE o.number = 1 AND o.site = 'planfait')"
            " WHERE number = 3 AND site = 'planfait'",
            "number 3 differs",
        ),
        ("DELETE FROM issued_forecast WHERE number = 2", "number 2 is missing"),
        (
            "UPDATE issued_forecast SET method = '0' WHERE number = 1 AND site = 'planfait'",
            "number 1 differs",
        ),
    ],
)
def test_a_changed_or_missing_row_is_noticed(database: Database, change: str, fault: str) -> None:
    def on(day: int, value: int) -> IssuedForecast:
        return replace(ISSUED, day=DAY + day, hours=replace_hours(values=(value, None)))

    append(database, *(on(day, 10_000 + day) for day in range(3)), replace(ISSUED, site="passy"))
    assert faults(database) == {"passy": None, "planfait": None}
    tamper(database, change)
    found = faults(database)
    assert found["passy"] is None
    assert (found["planfait"] or "").startswith(fault)


def test_a_cut_end_changes_the_published_head(database: Database) -> None:
    with database.read() as connection:
        assert head(connection) is None
    append(database, ISSUED, replace(ISSUED, site="passy"))
    until = ISSUED.issued_at + timedelta(seconds=1)
    with database.read() as connection:
        published = head(connection, until)
        assert published == head(connection)
        assert head(connection, ISSUED.issued_at) is None, "it was not issued before that time"
    append(database, replace(ISSUED, day=DAY + 1, issued_at=until))
    with database.read() as connection:
        assert head(connection, until) == published, "later rows do not change it"
        assert head(connection) != published
    tamper(database, "DELETE FROM issued_forecast WHERE site = 'passy'")
    assert faults(database) == {"planfait": None}, "no chain shows that another one is gone"
    with database.read() as connection:
        assert head(connection, until) != published


def test_a_withdrawal_hides_a_forecast_and_stays_in_the_chain(database: Database) -> None:
    append(database, ISSUED, replace(ISSUED, parameter=Parameter.WIND_GUST))
    with database.write() as connection:
        withdraw_issued(connection, "planfait", 1, NOW + timedelta(hours=1), "the beacon was moved")
    assert [row.number for row in read(database, "planfait")] == [2]
    assert faults(database) == {"planfait": None}
    for number in (1, 3, 9):
        with (
            pytest.raises(NotFoundError, match=f"no issued forecast of number {number}"),
            database.write() as connection,
        ):
            withdraw_issued(connection, "planfait", number, NOW, "again")


def test_a_copy_of_the_store_keeps_the_chains(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    append(database, ISSUED, replace(ISSUED, site="passy"))
    target = open_database(sqlite_url(tmp_path_factory.mktemp("copy")))
    copy_store(database, target, lambda _table, _rows: None)
    assert faults(target) == {"passy": None, "planfait": None}
    assert read(target, "passy", "planfait") == read(database, "passy", "planfait")


def test_a_withdrawal_is_looked_up_and_not_searched_for_in_the_whole_record(tmp_path: Path) -> None:
    database = open_database(sqlite_url(tmp_path))
    append(database, ISSUED)
    for plan in query_plans(database, lambda: read(database, "planfait")):
        assert "SEARCH withdrawal USING" in plan and "ix_issued_forecast_withdrawn" in plan, plan
