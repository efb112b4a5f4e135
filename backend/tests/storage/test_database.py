"""The database: its address, its tables, and its errors."""

from __future__ import annotations

import re
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from backend.core.errors import ConfigError, StoreDamagedError, StoreUnavailableError
from backend.core.parameters import Parameter
from backend.core.private_files import open_to_others
from backend.core.records import Rejected
from backend.storage import schema as t
from backend.storage.database import MIGRATIONS, Database, revisions, to_epoch
from backend.storage.store import Store
from backend.tests.support.stores import NOW, observations, open_database, rows, sqlite_url, start_process
from backend.tests.support.waiting import HANG_SECONDS


def pragma(database: Database, name: str) -> object:
    with database.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


# --- The address ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "DATABASE_URL='': is not a database address such as sqlite:///scores.sqlite3"),
        ("scores.sqlite3", "DATABASE_URL='scores.sqlite3': is not a database address"),
        ("mysql://me:hush@host/scores", r"DATABASE_URL='mysql://me:\*\*\*@host/scores': must start with"),
        ("postgresql://host/scores", r"must start with sqlite:/// or postgresql\+psycopg://"),
        ("postgresql+psycopg//me:hush@host/scores", r"DATABASE_URL='\*\*\*@host/scores': is not a database"),
        ("postgresql+psycopg://me:hush@host:port/scores", r"DATABASE_URL='\*\*\*@host:port/scores': is no"),
        ("mysql://host/scores?password=hush", "DATABASE_URL='mysql://host/scores': must start with"),
        (
            "postgresql+psycopg://me:hu@sh-hush@host/scores",
            r"DATABASE_URL='\*\*\*@host/scores': an @ in a user name or password must be written %40",
        ),
        ("postgresql+psycopg://me:a@hush/hush@host/scores", r"'\*\*\*@host/scores': an @ in .* written %40"),
        ("postgresql+psycopg://me:hu@hush:1@host:5/scores", r"'\*\*\*@host:5/scores': .* written %40"),
        (
            "postgresql+psycopg://me:hush@host/scores?ssl_mode=require",
            r"'postgresql\+psycopg://me:\*\*\*@host/scores': 'ssl_mode' is not a connection option",
        ),
        ("postgresql+psycopg://host/scores?autocommit=1", "'autocommit' is not a connection option"),
        ("postgresql+psycopg://host/s?conninfo=hush", "'conninfo' is not a connection option"),
        ("postgresql+psycopg://host/s?connect_timeout=soon", "cannot be used: bad value for connect_timeout"),
        ("postgresql+psycopg://host/s?port=five", "cannot be used: Received non-integer port"),
        ("postgresql+psycopg://host/s?host=a,b&port=1,2,3", "cannot be used: number of hosts and ports"),
        ("postgresql+psycopg://host/s?user=me&user=hush", "gives the option 'user' more than once"),
        (
            "sqlite://",
            "DATABASE_URL='sqlite://': must name a file, because several processes share the store",
        ),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///scores.sqlite3?mode=ro", "must be sqlite:/// and the path of a file, without options"),
        ("sqlite:///file:scores.sqlite3", "without options"),
        (
            "sqlite:////proc/scores/s.sqlite3",
            "DATABASE_URL='sqlite:////proc/scores/s.sqlite3': cannot be written",
        ),
        ("sqlite:///notes.txt", "DATABASE_URL='sqlite:///notes.txt': is a file, but not a SQLite database"),
        ("sqlite:///folder", "DATABASE_URL='sqlite:///folder': cannot be written: Is a directory"),
    ],
)
def test_an_address_that_can_never_work_is_refused_by_name_value_and_rule(url: str, message: str) -> None:
    Path("notes.txt").write_text("Wednesday: north-westerly, cloud base 1900 m")
    Path("folder").mkdir()
    with pytest.raises(ConfigError, match=message) as refused:
        Database(url)
    text = "".join(traceback.format_exception_only(refused.value))
    assert "hush" not in text and text.count("\n") == 1
    assert Path("notes.txt").read_text().startswith("Wednesday")


def test_the_folder_of_a_new_store_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "été 100 %?#"
    database = Database(f"sqlite:///{folder.as_posix().replace('?', '%3F')}/scores.sqlite3")
    database.migrate()
    assert database.path is not None and database.path.exists()


def test_without_make_neither_a_folder_nor_a_file_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'share' / 'scores.sqlite3'}"
    assert Database(url, make=None).path == tmp_path / "share" / "scores.sqlite3"
    with pytest.raises(ConfigError, match="there is no such file"):
        Database(url, make=False)
    with pytest.raises(ConfigError, match="cannot be written: File name too long"):
        Database(f"sqlite:///{tmp_path / ('s' * 300)}", make=None)
    assert list(tmp_path.iterdir()) == []


def test_a_new_store_is_for_the_user_of_the_service_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'share' / 'scores.sqlite3'}")
    database.migrate()
    with database.read():
        files = [tmp_path / "share", *(tmp_path / "share").iterdir()]
        assert {path.name for path in files} == {
            *("share", "scores.sqlite3", "scores.sqlite3-wal", "scores.sqlite3-shm")
        }
        assert [path for path in files if open_to_others(path)] == []


def test_a_relative_address_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///scores.sqlite3")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    database.migrate()
    assert database.path == tmp_path / "scores.sqlite3"
    assert list(Path().iterdir()) == []


def test_a_server_that_is_down_is_no_reason_to_refuse_the_start() -> None:
    database = Database("postgresql+psycopg://me:hush@127.0.0.1:9/scores", busy_timeout=1)
    assert database.name == "postgresql+psycopg://me:***@127.0.0.1:9/scores"
    with pytest.raises(StoreUnavailableError, match="the store does not answer: connection") as unavailable:
        database.migrate()
    assert "hush" not in str(unavailable.value)


# --- The tables -------------------------------------------------------------------------------------


def _migrated(url: str) -> Database:
    database = Database(url, durable=False, busy_timeout=HANG_SECONDS)
    database.migrate()
    return database


def test_a_migrated_database_has_exactly_the_tables_that_the_program_knows(bare_url: str) -> None:
    database = _migrated(bare_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []


# Triggers are not part of SQLAlchemy's metadata; test_issued.py shows what they refuse.
IN_SQLITE = """
    SELECT name, sql FROM sqlite_master
    WHERE name NOT LIKE 'alembic%' AND sql != '' AND type != 'trigger'
"""
IN_POSTGRES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indexrelid::regclass::text !~ '^(alembic|pg_)'
    UNION SELECT conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE contype != 'n' AND conrelid::regclass::text !~ '^(alembic|pg_|information_schema)'
    UNION SELECT table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ '^alembic'
"""


def test_the_migrated_tables_are_defined_as_the_schema_defines_them(bare_url: str) -> None:
    """Alembic compares neither key order nor conditions, and both decide what is fast and what is allowed."""

    def definitions(connection: sa.Connection) -> dict[str, list[str]]:
        found = connection.exec_driver_sql(IN_SQLITE if "sqlite" in bare_url else IN_POSTGRES).all()
        assert len(found) > 20
        # SQLite puts a column that was added later behind a comma on the last line, not on its own.
        parts = {name: re.split(r",\s+(?![^()]*\))|\n", sql) for name, sql in found}
        return {name: sorted(part.strip() for part in split) for name, split in parts.items()}

    database = Database(bare_url)
    with database.write() as connection:
        t.metadata.create_all(connection)
        as_defined = definitions(connection)
        t.metadata.drop_all(connection)
    database.migrate()
    with database.read() as connection:
        assert definitions(connection) == as_defined


def test_migrating_again_changes_nothing(bare_url: str) -> None:
    database = _migrated(bare_url)
    with database.write() as connection:
        connection.execute(sa.insert(t.model).values(name="arome_0025"))
    database.migrate()
    assert rows(database, t.model, "name") == [("arome_0025",)]


def test_an_upgrade_recognises_rejected_values_by_the_code_of_their_reason(bare_url: str) -> None:
    database, config = Database(bare_url), Config()
    config.set_main_option("script_location", MIGRATIONS.as_posix())
    value = Rejected("ffvl:87", Parameter.WIND_SPEED, NOW, "9999", "out_of_range: as worded now")
    missing = replace(value, raw="-", reason="missing")
    row = {
        "source": "ffvl",
        "route": "data.ffvl.fr",
        "subject": value.subject,
        "parameter": value.parameter,
        "collected_at": 0,
    }
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0014")
        for fingerprint, raw, reason, time in (
            ("a", "9999", "out_of_range: as worded once", to_epoch(NOW)),
            ("b", "9999", "out_of_range: as worded later", to_epoch(NOW)),
            ("c", "9999", "out_of_range: as worded once", to_epoch(NOW) + 600),
            ("d", "-", "missing", to_epoch(NOW) - 600),
        ):
            field = {"fingerprint": fingerprint, "raw": raw, "reason": reason, "time": time}
            connection.execute(sa.insert(t.rejected).values(row | field))
    database.migrate(confirmed=True)
    Store(database).add_observations(observations(rejected=(value, missing)))

    assert rows(database, t.rejected, "reason", "time") == [
        ("out_of_range: as worded once", to_epoch(NOW)),
        ("out_of_range: as worded once", to_epoch(NOW) + 600),
        ("missing", to_epoch(NOW) - 600),
    ]


def _migrate(url: str) -> None:
    _migrated(url).close()


def test_four_processes_may_migrate_at_once(bare_url: str) -> None:
    processes = [start_process(_migrate, bare_url) for _ in range(4)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert rows(open_database(bare_url), t.model, "name") == []


def test_threads_may_open_a_new_store_at_once(bare_url: str) -> None:
    gate, failed = threading.Barrier(8), []

    def open_it() -> None:
        gate.wait()
        try:
            _migrate(bare_url)
        except StoreUnavailableError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_threads_may_create_different_stores_at_once(tmp_path: Path) -> None:
    addresses = [f"sqlite:///{tmp_path / f'{number}.sqlite3'}" for number in range(6)]
    gate = threading.Barrier(len(addresses))

    def create(address: str) -> bool:
        gate.wait()
        database = Database(address, durable=False)
        is_new = database.migrate()
        database.close()
        return is_new

    with ThreadPoolExecutor(len(addresses)) as threads:
        assert list(threads.map(create, addresses)) == [True] * len(addresses)


def test_a_database_from_a_newer_version_is_refused_and_left_alone(database_url: str) -> None:
    database = open_database(database_url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"DATABASE_URL='\w+.*': was made by a newer meteo-score"):
        database.migrate()
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"


# --- How it is used ---------------------------------------------------------------------------------


def test_readers_and_a_writer_share_the_file_and_writers_wait_their_turn(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "busy_timeout") == 5000
    assert pragma(database, "synchronous") == 2, "full: a batch that was stored survives a power loss"
    assert pragma(database, "foreign_keys") == 1
    assert pragma(open_database(sqlite_url(tmp_path), busy_timeout=0.25), "busy_timeout") == 250


def test_a_reader_sees_one_state_while_another_writes(database_url: str) -> None:
    database = open_database(database_url)
    names = sa.select(t.model.c.name)
    with database.read() as reader:
        assert reader.execute(names).all() == []
        with database.write() as writer:
            writer.execute(sa.insert(t.model).values(name="arome_0025"))
        assert reader.execute(names).all() == []
    assert rows(database, t.model, "name") == [("arome_0025",)]


def test_a_bug_is_not_taken_for_a_database_that_does_not_answer(database_url: str) -> None:
    database = open_database(database_url)
    twice = [{"name": "arome_0025"}, {"name": "arome_0025"}]
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(sa.insert(t.model), twice)
    assert rows(database, t.model, "name") == []


def test_a_damaged_file_is_not_one_that_is_out_of_reach(tmp_path: Path) -> None:
    open_database(sqlite_url(tmp_path)).close()
    path = tmp_path / "scores.sqlite3"
    path.write_bytes(path.read_bytes()[:4096] + b"\x55" * 40_000)
    database = Database(sqlite_url(tmp_path))
    with pytest.raises(StoreDamagedError, match=r"the store is damaged: .*malformed"):
        rows(database, t.model, "name")


def test_more_readers_than_connections_get_that_reason_and_are_served_later(database_url: str) -> None:
    database = open_database(database_url, busy_timeout=0.05)
    held = [database.engine.connect() for _ in range(15)]
    with pytest.raises(StoreUnavailableError, match="all its connections are in use"):
        rows(database, t.model, "name")
    for connection in held:
        connection.close()
    assert rows(database, t.model, "name") == []


def test_the_file_names_of_the_migrations_give_the_revisions_of_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    chain = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions() == chain[::-1]
