"""`meteo-score db copy`: everything arrives as it was, or nothing does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import Result

from backend.core.columns import MOST_REASONS, ForecastDays, ObservedDays
from backend.core.local_time import month_number
from backend.core.records import Failure, GridPoint, IncompletePart, Outside, Rejected, Station
from backend.storage import days, published_months, quality_state
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.storage.queries import StoreQueries
from backend.storage.replaced import Measure, Replaced, note_replaced
from backend.storage.run_records import SourceRun
from backend.storage.store import Store
from backend.storage.store_copy import copy_store
from backend.tests.support.commands import typed
from backend.tests.support.postgres import PostgresServer
from backend.tests.support.stores import (
    GUST,
    NOW,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    observations,
    open_database,
    open_store,
    reading,
    rows,
    sqlite_url,
)

JOB = "collect_forecasts"
DAY = timedelta(days=1)

MakeUrl = Callable[[str], str]


@pytest.fixture
def make_url(tmp_path: Path, request: pytest.FixtureRequest) -> MakeUrl:
    """Return the address of a new database without tables, of the kind of the test."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            folder = tmp_path / f"store-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return sqlite_url(folder)
        server: PostgresServer = request.getfixturevalue("postgres")
        database = server.database()
        request.addfinalizer(lambda: database.__exit__(None, None, None))
        return database.__enter__()

    return make


A_REPLACED_VALUE = Replaced(
    replaced_at=NOW,
    file="relevés d'été.csv",
    name="my_wrf",
    site="planfait",
    parameter="wind_gust",
    reference_time=RUN,
    time=NOW,
    old=Measure(value=12_500, available_at=1),
    new=Measure(value=-1, averaging_minutes=10, direction_resolution=22.5),
)


def fill(url: str) -> None:
    """Put rows into every table, more of them than are copied at a time, and text of all kinds."""
    store = open_store(url, PLANFAIT)
    store.save_sites(
        (PLANFAIT, replace(PLANFAIT, name="Planfait <déplacé> 🪂", latitude=45.9, valid_from=NOW))
    )
    ledger = Ledger(store.database)
    ledger.note_schedule(JOB, "0 6 * * *", NOW - DAY)
    ledger.pause(JOB, "api 192.0.2.7", NOW)
    ledger.resume(JOB, "cli marie", NOW)
    ledger.note_missed(JOB, [RUN - DAY], "the service was off; no process ran it")
    claim = ledger.claim(JOB, "schedule", NOW, RUN)
    assert claim is not None
    point = GridPoint("arome_0025", "planfait", "12,7", model_elevation=912.3, height=None)
    many = (forecast(step % 250 / 7, hours=step / 60) for step in range(12_000))
    store.add_forecasts(
        forecasts(
            *many,
            forecast(0, GUST),
            grid_points=(point,),
            parts=("whole",),
            sites=("planfait",),
            incomplete=(IncompletePart("late", "planfait", "no file", ""),),
            outside=(Outside("icon_d2", "planfait", "no cell «ici»"),),
        ),
        claim,
    )
    beacon = Station("ffvl:2496", "Planfait\nl'été\t«\\N»", 45.85, 6.22, 950.1, "FFVL", "")
    store.add_observations(
        observations(
            *(reading(0.1, minutes=10), reading(-3.4567, WIND), reading(3, station="romma:241")),
            stations=(beacon,),
            listed="ffvl",
            complete_until={"ffvl:2496": NOW},
            averaging_minutes=10,
            direction_resolution=22.5,
            rejected=(Rejected("ffvl:2496", WIND, None, '9999 "x"', "out_of_range: high"),),
        )
    )
    # What comes later to the same hour and moment has a batch of its own.
    store.add_forecasts(forecasts(forecast(14, TEMPERATURE), collected_at=NOW + DAY))
    store.add_observations(observations(reading(21, TEMPERATURE, minutes=10), collected_at=NOW + DAY))
    with store.database.write() as connection:
        note_replaced(connection, [A_REPLACED_VALUE])
    failure = Failure("page", "https://beacons.example/1", "HTTP 500", "FetchError")
    source = SourceRun(source="arome", status="partial", failures=(failure,), bytes=5_000_000_000, newest=RUN)
    ledger.finish(claim, "partial", NOW, duration=60.25, sources=(source,))
    with store.database.write() as connection:
        fill_days(connection)
        fill_the_rest(connection)
    store.database.close()


def fill_days(connection: sa.Connection) -> None:
    """Put in a day of every kind, with bytes that no text could hold."""
    one, day, hourly = np.array([1]), np.array([20_000]), np.full((1, 4, 25), -2, np.int32)
    forecast = ForecastDays(one, day, hourly, np.full((1, 25), -1, np.int16), np.array([2]), hourly)
    offsets = np.full((1, 25), -128, np.int8)
    counts = np.full((1, 4, MOST_REASONS), 65_535, np.int64)
    measured = ObservedDays(one, day, hourly, offsets, np.array([144]), (22.5,), hourly + 1, counts)
    days.write_forecast_days(connection, 1, range(20_000, 20_001), {3: forecast})
    doubts = [(1, 1_728_000_000, 0, "stuck")]
    days.write_observed_days(connection, 1, range(20_000, 20_001), [measured], doubts)
    quality_state.write_limits(connection, 1, {24_000: np.full((4, 3), 7, np.int32)})
    month, later = month_number(20_001), day + 1
    published_months.publish_forecast_month(connection, 1, month, 1, {3: replace(forecast, day=later)})
    published_months.publish_observed_month(connection, 1, month, 1, replace(measured, day=later))


def fill_the_rest(connection: sa.Connection) -> None:
    """Put a row of its own into every table that has none yet."""
    for number, table in enumerate(t.metadata.sorted_tables, start=1):
        if connection.execute(sa.select(table).limit(1)).first() is None:
            values = {
                int: number,
                float: number / 2,
                str: f"l'été {number}\t",
                bytes: bytes([0, 255, number]),
            }
            kinds = {
                column.name: str if isinstance(column.type, t.SafeString) else column.type.python_type
                for column in table.c
            }
            row = {name: values.get(kind, True) for name, kind in kinds.items()}
            connection.execute(sa.insert(table).values(row))


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    database = Database(url)
    return {table.name: rows(database, table, *table.c.keys()) for table in t.metadata.sorted_tables}


def copied(source: str, target: str, **environment: str) -> Result:
    return typed(f"db copy {source} {target}", environment)


# --- Everything -------------------------------------------------------------------------------------

KINDS = ("sqlite", "postgresql")


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_everything_arrives_as_it_was(make_url: MakeUrl, kind: str, to: str) -> None:
    source, target = make_url(kind), make_url(to)
    fill(source)
    before = contents(source)
    assert all(before.values()), "a table that nothing is written into here is not shown to arrive"

    result = copied(source, target)
    assert (result.exit_code, result.stderr) == (0, "")
    assert contents(target) == before == contents(source)
    assert result.stdout.count("the same") == len(before)
    assert "12000" in result.stdout
    assert "Now set DATABASE_URL to the address of the target" in result.stdout


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_afterwards_the_store_goes_on_in_the_target(make_url: MakeUrl, kind: str, to: str) -> None:
    source, target = make_url(kind), make_url(to)
    fill(source)
    assert copied(source, target).exit_code == 0
    last = {name: table[-1][0] for name, table in contents(target).items()}

    store = Store(open_database(target))
    ledger = Ledger(store.database)
    assert ledger.claim(JOB, "catch_up", NOW, RUN) is None, "that slot was dealt with"
    claim = ledger.claim(JOB, "schedule", NOW, RUN + DAY)
    assert claim is not None and claim.run_id == last["job_run"] + 1
    ledger.pause(JOB, "cli marie", NOW)
    store.save_sites((*store.sites(), replace(PLANFAIT, id="semnoz", name="Semnoz")))
    assert store.add_forecasts(forecasts(forecast(20, model="new"), model="new"), claim) == 1
    assert store.add_forecasts(forecasts(forecast(20, hours=1 / 60), forecast(8, GUST, hours=5)), claim) == 1
    new = Rejected("ffvl:9", WIND, NOW, "-1", "out_of_range: low")
    assert store.add_observations(observations(reading(9, station="ffvl:9"), rejected=(new,))) == 1
    with store.database.write() as connection:
        note_replaced(connection, [A_REPLACED_VALUE])
    for name, table in contents(target).items():
        if "id" in t.metadata.tables[name].c:
            assert table[-1][0] > last[name]
    values, _ = StoreQueries(store.database).forecasts(parameter=GUST)
    assert [(row.lead_minutes, row.value) for row in values] == [(300, 8), (360, 0)]


def test_a_copy_of_a_copy_has_the_same_checksums(make_url: MakeUrl) -> None:
    first, second, third = make_url("sqlite"), make_url("postgresql"), make_url("sqlite")
    fill(first)
    outputs = [
        json.loads(typed(f"db copy --json {source} {target}", {}).stdout)
        for source, target in ((first, second), (second, third))
    ]
    assert outputs[0] == outputs[1]
    by_name = {table["table"]: table for table in outputs[0]}
    assert by_name.keys() == t.metadata.tables.keys()
    forecasts_copied = by_name["forecast"]
    assert forecasts_copied == {
        "table": "forecast",
        "rows": 12_000,
        "checksum": forecasts_copied["checksum"],
        "rowsInTarget": 12_000,
        "checksumInTarget": forecasts_copied["checksum"],
        "same": True,
    }
    assert len({table["checksum"] for table in outputs[0]}) == len(by_name)


def test_what_is_written_meanwhile_stays_behind_and_spoils_nothing(make_url: MakeUrl) -> None:
    source, target = make_url("sqlite"), make_url("postgresql")
    fill(source)
    store, moved = Store(open_database(source)), open_database(target)
    late = iter(range(1000))

    def write_one_more(_table: str, _rows: int) -> None:
        store.add_observations(observations(reading(1, minutes=-next(late) - 1)))

    tables = copy_store(store.database, moved, write_one_more)
    assert next(late) > 10
    assert all(table.same for table in tables)
    assert len(rows(moved, t.observation, "time")) == 3


def test_a_terminal_shows_the_progress(make_url: MakeUrl) -> None:
    source = make_url("sqlite")
    fill(source)
    result = copied(source, make_url("sqlite"), FORCE_COLOR="1")
    assert "100%" in result.stderr


# --- Nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_that_holds_anything_is_refused_and_left_alone(make_url: MakeUrl, kind: str) -> None:
    source, target = make_url("sqlite"), make_url(kind)
    fill(source)
    Ledger(open_database(target)).note_schedule(JOB, "0 6 * * *", NOW)
    before = contents(target)
    result = copied(source, target)
    assert result.exit_code == 2
    assert f"TARGET='{Database(target).name}': is not empty, there are rows in job: give" in result.stderr
    assert contents(target) == before


def test_a_database_is_not_copied_onto_itself_by_whatever_address(make_url: MakeUrl, tmp_path: Path) -> None:
    file, server = make_url("sqlite"), make_url("postgresql")
    (tmp_path / "link").symlink_to(Path(file.removeprefix("sqlite:///")).parent)
    for source, target in (
        (file, f"sqlite:///{tmp_path / 'link' / 'scores.sqlite3'}"),
        (server, f"{server}&application_name=another"),
    ):
        open_database(source).close()
        result = copied(source, target)
        assert result.exit_code == 2
        assert f"TARGET='{Database(target).name}': is the SOURCE itself" in result.stderr


def test_a_file_that_is_not_there_is_no_source_and_is_not_made(make_url: MakeUrl) -> None:
    source = make_url("sqlite")
    result = copied(source, make_url("sqlite"))
    assert result.exit_code == 2
    assert f"SOURCE='{source}': there is no such file" in result.stderr
    assert not Path(source.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_of_somebody_else_is_no_source_and_gets_no_tables(make_url: MakeUrl, kind: str) -> None:
    source = make_url(kind)
    database = Database(source)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE invoice (id integer)")
    result = copied(source, make_url(kind))
    assert result.exit_code == 2
    assert f"SOURCE='{database.name}': has no tables of meteo-score" in result.stderr
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["invoice"]


def test_a_source_that_a_newer_version_made_is_refused_by_name(make_url: MakeUrl) -> None:
    source = make_url("sqlite")
    with open_database(source).write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    result = copied(source, make_url("sqlite"))
    assert result.exit_code == 2
    assert f"SOURCE='{source}': was made by a newer meteo-score" in result.stderr


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("postgresql+psycopg://me:hush@127.0.0.1:9/scores", 1, "the store does not answer"),
        ("postgresql+psycopg://me@127.0.0.1:9/scores?password=hush", 1, "the store does not answer"),
        ("mysql://me:hush@127.0.0.1/scores", 2, "='mysql://me:***@127.0.0.1/scores': must start with"),
        ("postgres//me:hush@127.0.0.1/scores", 2, "='***@127.0.0.1/scores': is not a database address"),
    ],
)
def test_a_password_is_never_shown(make_url: MakeUrl, url: str, code: int, message: str) -> None:
    store = make_url("sqlite")
    open_database(store).close()
    for source, target in ((url, store), (store, url)):
        result = copied(source, target)
        assert result.exit_code == code
        assert message in result.stderr
        assert "hush" not in result.output


BREAKS_IT = {
    "sqlite": (
        "CREATE TRIGGER spoil AFTER INSERT ON observation BEGIN"
        " UPDATE observation SET wind_speed = 0 WHERE wind_speed = 100; END",
    ),
    "postgresql": (
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN NEW.wind_speed := 0; RETURN NEW; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON observation FOR EACH ROW"
        " WHEN (NEW.wind_speed = 100) EXECUTE FUNCTION spoil()",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_different_value_is_detected_and_nothing_is_stored(make_url: MakeUrl, kind: str) -> None:
    source, target = make_url("sqlite"), make_url(kind)
    fill(source)
    database = open_database(target)
    with database.write() as connection:
        for statement in BREAKS_IT[kind]:
            connection.exec_driver_sql(statement)
    result = copied(source, target)
    assert result.exit_code == 1
    assert "meteo-score: the copy differs in observation: nothing was stored in the target" in result.stderr
    assert result.stdout.count("the same") == len(t.metadata.tables) - 1
    assert not any(contents(target).values())
