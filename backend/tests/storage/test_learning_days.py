"""What the corrected forecast learned from, and the decisions of its gate: append-only on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from backend.core.columns import Ints
from backend.core.issued import GateReason
from backend.core.parameters import ABSENT, Parameter
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.gate_decisions import GateDecision, Grounds, append_decision, decisions
from backend.storage.learning_days import (
    Extent,
    ModelsOfDay,
    Question,
    ReadingsOfDay,
    SavedState,
    append_learning,
    extents,
    learning_days,
    save_states,
    saved_states,
)
from backend.tests.support.stores import NOW, open_database

WIND = Question("public", 3, Parameter.WIND_SPEED)
DAY, EVENING = 20_650, 1_784_134_800


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


def hours(value: int) -> Ints:
    return np.append(np.full(24, value, np.int32), ABSENT)


def models(day: int, station: str = "ffvl:1", site: str = "planfait", **values: int) -> ModelsOfDay:
    of_models = {name: hours(value) for name, value in (values or {"arome": 12_000}).items()}
    return ModelsOfDay(site, station, day, EVENING, of_models)


def readings(day: int, value: int = 9_000, station: str = "ffvl:1", site: str = "planfait") -> ReadingsOfDay:
    return ReadingsOfDay(site, station, day, EVENING + 86_400, hours(value))


def append(database: Database, *parts: ModelsOfDay | ReadingsOfDay, question: Question = WIND) -> None:
    with database.write() as connection:
        append_learning(connection, question, parts)


def test_learning_days_are_read_as_they_were_appended(database: Database) -> None:
    other = WIND._replace(audience="operator")
    append(database, models(DAY), question=other)
    append(database, models(DAY, arome=12_000, icon=ABSENT), models(DAY + 1), readings(DAY))
    with database.read() as connection:
        first, second = learning_days(connection, WIND, ["planfait", "passy"])["planfait", "ffvl:1"]
        later = learning_days(connection, WIND, ["planfait"], first=DAY + 1)["planfait", "ffvl:1"]
        assert learning_days(connection, WIND._replace(view=1), ["planfait"]) == {}
    assert first.readings is not None
    np.testing.assert_array_equal(first.readings.observed, hours(9_000))
    assert (first.models.decided_at, first.readings.decided_at) == (EVENING, EVENING + 86_400)
    assert list(first.models.models) == ["arome", "icon"]
    np.testing.assert_array_equal(first.models.models["icon"], hours(ABSENT))
    assert (second.models.day, second.readings) == (DAY + 1, None)
    assert [day.models.day for day in later] == [DAY + 1]


def test_a_part_of_a_day_stays_as_it_was_appended_first(database: Database) -> None:
    append(database, models(DAY), readings(DAY))
    append(database, models(DAY, arome=1), readings(DAY, 1))
    with database.read() as connection:
        [day] = learning_days(connection, WIND, ["planfait"])["planfait", "ffvl:1"]
    assert day.readings is not None
    assert (int(day.models.models["arome"][0]), int(day.readings.observed[0])) == (12_000, 9_000)


def test_the_extent_of_each_station_is_known(database: Database) -> None:
    append(database, models(DAY), models(DAY + 1), models(DAY + 2, "ffvl:2"), readings(DAY))
    with database.read() as connection:
        assert extents(connection, WIND, ["planfait"]) == {
            "planfait": {"ffvl:1": Extent(DAY, DAY + 1, 1), "ffvl:2": Extent(DAY + 2, DAY + 2, 0)}
        }


DECISION = GateDecision(
    audience="public",
    view=3,
    parameter=Parameter.WIND_SPEED,
    method="boa-1",
    decided_at=NOW,
    open=False,
    grounds=Grounds(
        days=31,
        failures=2,
        reasons=(GateReason("mae_not_better", 0.2, 0.0), GateReason("crps_not_better", None, 0.0)),
        pooled_gain=0.4,
        vetoes={"passy": GateReason("site_no_gain", -0.1, 0.0)},
    ),
)


def test_decisions_are_read_newest_first(database: Database) -> None:
    later = replace(DECISION, decided_at=NOW + timedelta(days=7), open=True)
    with database.write() as connection:
        assert append_decision(connection, DECISION)
        assert append_decision(connection, later)
        assert not append_decision(connection, replace(DECISION, open=True)), "a decision stays"
        assert append_decision(connection, replace(DECISION, method="boa-2"))
    with database.read() as connection:
        asked = {"audience": "public", "view": 3, "parameter": Parameter.WIND_SPEED, "method": "boa-1"}
        assert decisions(connection, **asked, limit=9) == [later, DECISION]  # type: ignore[arg-type]
        assert decisions(connection, **asked) == [later]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE forecast_learning SET decided_at = 0",
        "DELETE FROM forecast_learning",
        "UPDATE gate_decision SET state = 'open'",
        "DELETE FROM gate_decision",
    ],
)
def test_the_database_refuses_to_change_what_was_learned_and_decided(database: Database, change: str) -> None:
    append(database, models(DAY), readings(DAY))
    with database.write() as connection:
        append_decision(connection, DECISION)
    with (
        pytest.raises(sa.exc.DBAPIError, match="is append-only"),
        database.engine.begin() as connection,
    ):
        connection.exec_driver_sql(change)


def test_a_saved_state_replaces_the_one_before(database: Database) -> None:
    state = SavedState("planfait", "ffvl:1", "boa-1", DAY, 3, b"\x00state")
    newer = replace(state, days=4, content=b"newer")
    with database.write() as connection:
        save_states(connection, WIND, [state, replace(state, site="passy")])
        save_states(connection, WIND, [newer])
        save_states(connection, WIND._replace(view=1), [])
    with database.read() as connection:
        saved = saved_states(connection, WIND.view, WIND.parameter, ["planfait", "other"])
    assert saved == {"public": {"planfait": newer}, "operator": {}}


@pytest.mark.parametrize("after", ["same", "newer", "deleted"])
def test_a_state_that_is_public_is_stored_once_and_read_while_the_public_one_is_there(
    database: Database, after: str
) -> None:
    state = SavedState("planfait", "ffvl:1", "boa-1", DAY, 3, b"a state of many bytes" * 9)
    public = state if after == "same" else replace(state, content=b"newer" * 30)
    shared = replace(state, days=4, is_public=True)
    with database.write() as connection:
        save_states(connection, WIND, [state])
        save_states(connection, WIND._replace(audience="operator"), [shared])
        save_states(connection, WIND, [public])
        if after == "deleted":
            connection.execute(sa.delete(t.learning_state).where(t.learning_state.c.audience == "public"))
        sizes = connection.scalars(sa.select(sa.func.length(t.learning_state.c.content))).all()
    assert sum(sizes) < len(public.content) + 40
    with database.read() as connection:
        saved = saved_states(connection, WIND.view, WIND.parameter, ["planfait"])
    assert saved["operator"] == ({"planfait": shared} if after == "same" else {})
