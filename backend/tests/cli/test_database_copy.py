"""`meteo-score db copy`: everything arrives as it was, or nothing does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import Result

from backend.core.records import Rejected
from backend.storage import schema as t
from backend.storage.alerts import AlertStore, Message
from backend.storage.database import Database
from backend.storage.imported_files import note_import
from backend.storage.instances import Instances
from backend.storage.ledger import Ledger
from backend.storage.queries import StoreQueries
from backend.storage.replaced import note_replaced
from backend.storage.store import Store
from backend.storage.store_copy import copy_store
from backend.tests.support.commands import typed
from backend.tests.support.filled_store import A_REPLACED_VALUE, DAY, JOB, MakeUrl, contents, fill
from backend.tests.support.stores import (
    GUST,
    NOW,
    PLANFAIT,
    RUN,
    WIND,
    forecast,
    forecasts,
    observations,
    open_database,
    reading,
    rows,
)


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
        connection.execute(sa.insert(t.run_task).values(run_id=1, source="arome", part=99))
        note_import(connection, kind="forecasts", file="new.csv", digest=b"", now=NOW, after=0)
        removal = {"kind": "model", "name": "arome", "removed_by": "marie", "reason": "a wrong unit"}
        nothing = dict.fromkeys(("removed_at", "row_count", "value_count"), 0)
        connection.execute(sa.insert(t.removal).values(**removal, **nothing, holds=False))
    Instances(store.database).beat("all")
    AlertStore(store.database).add_digest(NOW + DAY, NOW + DAY, ["another"], lambda _: Message("t", "b"))
    for name, table in contents(target).items():
        if "id" in t.metadata.tables[name].c and not name.startswith("alert_"):  # nothing alerts here
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
    left = contents(target)
    assert len(left.pop("store_identity")) == 1, "a new store has its own"
    assert not any(left.values())
