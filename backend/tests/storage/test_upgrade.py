"""Upgrades: the store of every released version, the copy before it, and what an older program refuses."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.core.clock import utc_now
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.private_files import open_to_others
from backend.scoring.days.update import update
from backend.storage import schema as t
from backend.storage.backup import tables_of
from backend.storage.database import Database, revisions
from backend.storage.instances import Instances
from backend.storage.ledger import Ledger
from backend.storage.process_identity import this_process
from backend.storage.store import Store
from backend.storage.store_check import check_store
from backend.storage.store_copy import copy_store
from backend.tests.support.commands import typed
from backend.tests.support.released_stores import RELEASES, STORES, unpacked
from backend.tests.support.stores import NOW, RUN, set_back, sqlite_url

VALUES = ("forecast", "observation", "collected_part", "job_run", "source_run", "station", "model", "site")


def test_every_released_version_has_a_store() -> None:
    kept = {path.name.removesuffix(".sqlite3.gz") for path in STORES.iterdir()}
    assert kept == set(RELEASES)
    assert sum(path.stat().st_size for path in STORES.iterdir()) < 100_000 * len(RELEASES)


@pytest.mark.parametrize("version", RELEASES)
def test_the_store_of_a_released_version_is_upgraded_whole_and_goes_on(version: str, tmp_path: Path) -> None:
    path = unpacked(version, tmp_path)
    before, rows = path.read_bytes(), tables_of(path)
    assert all(rows[name] for name in VALUES)
    database = Database(sqlite_url(tmp_path))
    assert not database.migrate()
    database.require_current()
    after = tables_of(path)
    assert {name: after[name] for name in VALUES} == {name: rows[name] for name in VALUES}
    assert check_store(database, whole=True).problems == ()

    assert database.copied_to == tmp_path / f"scores.sqlite3.before-{revisions()[-1]}"
    assert tables_of(database.copied_to) == rows
    assert not open_to_others(database.copied_to)
    with closing(sqlite3.connect(database.copied_to)) as copy, closing(sqlite3.connect(":memory:")) as old:
        old.deserialize(before)
        assert list(copy.iterdump()) == list(old.iterdump())

    assert Ledger(database).claim("collect_forecasts", "schedule", NOW, RUN + timedelta(days=1)) is not None
    assert len(Store(database).sites()) == 1
    assert update(database, utc_now()).days, "the days of the store are computed again"
    database.close()


@pytest.mark.parametrize("version", RELEASES)
def test_it_is_upgraded_on_postgresql_after_confirmation_only(
    version: str, bare_postgres_url: str, tmp_path: Path
) -> None:
    source = Database(sqlite_url(unpacked(version, tmp_path).parent), durable=False)
    source.migrate()
    revision = {"0.1.0": "0014", "0.2.0": "0016"}[version]
    Database(bare_postgres_url).migrate()
    target = Database(bare_postgres_url)
    copy_store(source, target, lambda _table, _rows: None)
    with target.write() as connection:
        set_back(connection, revision)
    environment = {"DATABASE_URL": bare_postgres_url, "DATA_DIR": str(tmp_path)}
    for line in ("db upgrade", "collect observations", "serve --port 0"):
        refused = typed(line, environment)
        assert refused.exit_code == 2, line
        assert f"is of version {revision}" in refused.stderr
        assert "meteo-score db upgrade --yes" in refused.stderr
    with target.read() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == revision
    assert typed("db upgrade --yes", environment).exit_code == 0
    target.require_current()
    with target.read() as connection:
        assert (
            connection.scalar(sa.select(sa.func.count()).select_from(t.forecast))
            == tables_of(tmp_path / "scores.sqlite3")["forecast"]
        )


def test_a_store_that_processes_use_is_not_upgraded_on_postgresql(
    bare_postgres_url: str, tmp_path: Path
) -> None:
    database = Database(bare_postgres_url)
    database.migrate()
    api = Instances(database, owner="another-host/boot/1/1")
    api.beat("api")
    Instances(database, owner=f"{this_process()}0").beat("worker")  # a dead one of this machine
    with database.write() as connection:
        set_back(connection, revisions()[-2])
    environment = {"DATABASE_URL": bare_postgres_url, "DATA_DIR": str(tmp_path)}
    refused = typed("db upgrade --yes", environment)
    assert (refused.exit_code, "the store is in use: stop api (process " in refused.stderr) == (2, True)
    assert "worker" not in refused.stderr
    api.stop()
    assert typed("db upgrade --yes", environment).exit_code == 0
    api.beat("api")
    assert typed("db upgrade --yes", environment).exit_code == 0, "there is nothing to upgrade"
    database.close()


def test_a_store_without_room_for_its_copy_is_not_upgraded(tmp_path: Path) -> None:
    path = unpacked("0.1.0", tmp_path)
    before = tables_of(path)
    draft = tmp_path / f"scores.sqlite3.before-{revisions()[-1]}.draft"
    draft.mkdir()  # stands for any reason that no copy can be written
    with pytest.raises(StoreUnavailableError, match="cannot be copied"):
        Database(sqlite_url(tmp_path)).migrate()
    assert tables_of(path) == before


def test_a_copy_that_found_no_room_is_removed(tmp_path: Path) -> None:
    path = unpacked("0.1.0", tmp_path)
    before = tables_of(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(StoreUnavailableError, match="cannot be copied"):
            Database(sqlite_url(tmp_path)).migrate()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [each.name for each in tmp_path.iterdir() if "before" in each.name] == []
    assert tables_of(path) == before


def test_the_command_prints_where_the_copy_is(tmp_path: Path) -> None:
    unpacked("0.1.0", tmp_path)
    environment = {"DATABASE_URL": sqlite_url(tmp_path), "DATA_DIR": str(tmp_path)}
    result = typed("db upgrade", environment)
    copy = tmp_path / f"scores.sqlite3.before-{revisions()[-1]}"
    assert f"As it was before: {copy}" in result.stderr
    assert "before" not in typed("db upgrade", environment).stderr


def test_an_older_program_names_the_version_that_a_newer_store_needs(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("UPDATE store_identity SET program = '7.0.1'")
    for use in (database.migrate, database.require_current):
        with pytest.raises(ConfigError, match=r"use meteo-score 7\.0\.1 or later"):
            use()
