"""A damaged store is found out: by the check, and by any query that meets the damage."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from backend.core.errors import StoreDamagedError, StoreUnavailableError
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store import Store
from backend.storage.store_check import check_store, watch_store
from backend.tests.support.damage import overwrite_pages
from backend.tests.support.postgres import PostgresServer
from backend.tests.support.stores import NOW, forecast, forecasts, open_store, sqlite_url
from backend.tests.support.waiting import until


def a_store(url: str) -> Store:
    """Return a store with some hundred pages of forecasts."""
    store = open_store(url, clock=lambda: NOW)
    for day in range(40):
        run = NOW.replace(hour=0, minute=0) - timedelta(days=day)
        records = [forecast(20.0 + hour, hours=hour, run=run) for hour in range(48)]
        store.add_forecasts(forecasts(*records, run=run))
    return store


def file_of(database: Database) -> Path:
    assert database.path is not None
    return database.path


@pytest.mark.parametrize("whole", [False, True])
def test_a_sound_store_has_no_problem(database_url: str, whole: bool) -> None:
    database = a_store(database_url).database
    report = check_store(database, whole=whole)
    assert report.problems == ()
    assert report.covers.startswith("every ")
    assert database.damage is None


@pytest.mark.parametrize("whole", [False, True])
def test_sixty_overwritten_pages_are_found(tmp_path: Path, whole: bool) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    database.close()
    overwrite_pages(file_of(database), 60)
    report = check_store(database, whole=whole)
    assert report.problems
    assert database.damage is not None
    assert database.damage.since == NOW


def test_a_query_that_finds_damage_raises_and_records_it(tmp_path: Path) -> None:
    store = a_store(sqlite_url(tmp_path))
    store.database.close()
    overwrite_pages(file_of(store.database), 1, tables=("site",))
    assert store.stations() == (), "what is not damaged is still read"
    assert store.database.damage is None
    with pytest.raises(StoreDamagedError, match="the store is damaged: database disk image is malformed"):
        store.sites()
    damage = store.database.damage
    assert damage is not None
    assert damage.since == NOW


def test_a_file_that_is_no_database_any_more_is_damaged(tmp_path: Path) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    database.close()
    file_of(database).write_bytes(b"\x07" * 100_000)
    for leftover in file_of(database).parent.glob("*-wal"):
        leftover.unlink()
    with pytest.raises(StoreDamagedError, match="file is not a database"):
        database.migrate()


def test_only_a_whole_check_of_a_restored_store_removes_the_damage(tmp_path: Path) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    database.close()
    path = file_of(database)
    whole = path.read_bytes()
    overwrite_pages(path, 60)
    check_store(database, whole=False)
    database.close()
    path.write_bytes(whole)
    assert check_store(database, whole=False).problems == ()
    assert database.damage is not None
    check_store(database, whole=True)
    assert database.damage is None


def test_a_read_only_store_is_not_reported_as_damaged(tmp_path: Path) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.rollback()
    with pytest.raises(StoreUnavailableError, match="readonly database") as refused:
        check_store(database, whole=False)
    assert not isinstance(refused.value, StoreDamagedError)
    assert database.damage is None


def test_a_table_of_postgresql_whose_file_is_broken_is_found(
    postgres: PostgresServer, postgres_url: str
) -> None:
    store = a_store(postgres_url)
    with store.database.write() as connection:
        folder = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one())
        path = connection.execute(sa.select(sa.func.pg_relation_filepath("forecast"))).scalar_one()
    store.database.close()
    with postgres.stopped():
        file = folder / path
        content = bytearray(file.read_bytes())
        content[0:16] = b"\xff" * 16  # the head of the first page
        file.write_bytes(content)
    report = check_store(store.database, whole=False)
    assert any("invalid page" in problem for problem in report.problems), report
    assert store.database.damage is not None
    with pytest.raises(StoreDamagedError), store.database.read() as connection:
        connection.execute(sa.select(t.forecast)).all()


async def test_the_watch_checks_at_the_start_and_again_after_a_restore(tmp_path: Path) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    database.close()
    path = file_of(database)
    whole = path.read_bytes()
    overwrite_pages(path, 60)
    watch = asyncio.create_task(
        watch_store(database, every=timedelta(hours=1), again=timedelta(milliseconds=10))
    )
    await until(lambda: database.damage is not None)
    database.close()
    path.write_bytes(whole)
    await until(lambda: database.damage is None)
    watch.cancel()
    await asyncio.wait([watch])


async def test_damage_that_a_query_met_between_two_checks_is_checked_soon(tmp_path: Path) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    with capture_logs() as logs:
        watch = asyncio.create_task(
            watch_store(database, every=timedelta(hours=1), again=timedelta(milliseconds=10))
        )
        await until(lambda: bool(logs))
        database.note_damage("a query met it, and the store was restored since")
        await until(lambda: database.damage is None)
    watch.cancel()
    await asyncio.wait([watch])


async def test_one_check_a_day_is_whole_also_soon_after_each_start(tmp_path: Path) -> None:
    database = a_store(sqlite_url(tmp_path)).database
    short = timedelta(milliseconds=5)
    with capture_logs() as logs:
        watch = asyncio.create_task(watch_store(database, every=short, again=short))
        await until(lambda: len(logs) >= 6)
    watch.cancel()
    await asyncio.wait([watch])
    whole = [line["covers"] == "every page and index checked" for line in logs[:6]]
    assert whole == [False, True, False, False, False, True], (
        "every six hours, so that the fourth is a day later"
    )
