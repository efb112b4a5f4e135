"""What only PostgreSQL can do to us: connections that end, settings of its own, rights, its clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from backend.core.errors import JobBusyError, StoreUnavailableError
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.storage.postgres_copy import copy_rows
from backend.storage.store import Store
from backend.tests.support.postgres import PostgresServer
from backend.tests.support.stores import (
    GUST,
    NOW,
    PASSY,
    PLANFAIT,
    forecast,
    forecasts,
    open_database,
    open_store,
    rows,
)
from backend.tests.support.waiting import HANG_SECONDS

JOB = "collect_forecasts"
ELSEWHERE = "another-host:1/a-boot/4711/815"

OTHERS = " FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
END_ALL_OTHERS = f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}"
CANCEL_ALL_OTHERS = f"SELECT pg_cancel_backend(pid) {OTHERS}"


def administer(url: str, *statements: str) -> None:
    """Do what only an operator would, on a connection of one's own; {} is the name of the database."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.format(make_url(url).database))


def setting(database: Database, name: str) -> object:
    with database.engine.connect() as connection:
        return connection.exec_driver_sql(f"SHOW {name}").scalar_one()


# --- Connections ------------------------------------------------------------------------------------


def test_connections_that_the_server_closed_are_replaced_without_an_error(postgres_url: str) -> None:
    store = open_store(postgres_url)
    administer(postgres_url, END_ALL_OTHERS)
    assert store.sites() == (PASSY, PLANFAIT)
    administer(postgres_url, END_ALL_OTHERS)
    assert store.add_forecasts(forecasts(forecast(20))) == 1


@pytest.mark.parametrize("do", [END_ALL_OTHERS, CANCEL_ALL_OTHERS], ids=["ended", "cancelled"])
def test_a_copy_that_the_server_ends_leaves_nothing_and_can_be_done_again(postgres_url: str, do: str) -> None:
    database = open_database(postgres_url)

    def names() -> Iterator[tuple[int, str]]:
        for number in range(1, 100_000):
            if number == 5000:
                administer(postgres_url, do)
            yield number, f"model_{number}"

    with (
        pytest.raises(StoreUnavailableError, match="the store does not answer"),
        database.write() as connection,
    ):
        copy_rows(connection, t.model, names())
    assert rows(database, t.model, "name") == []
    with database.write() as connection:
        copy_rows(connection, t.model, [(1, "arome_0025")])
    assert rows(database, t.model, "name") == [("arome_0025",)]


def test_a_bug_in_a_copy_is_not_taken_for_a_server_that_does_not_answer(postgres_url: str) -> None:
    database = open_database(postgres_url)
    with pytest.raises(psycopg.errors.UniqueViolation), database.write() as connection:
        copy_rows(connection, t.model, [(1, "arome_0025"), (1, "arome_001")])
    assert rows(database, t.model, "name") == []


def test_columns_that_a_migration_put_last_get_the_values_that_are_theirs(postgres_url: str) -> None:
    store = open_store(postgres_url)
    administer(
        postgres_url,
        "ALTER TABLE forecast DROP COLUMN wind_speed",
        "ALTER TABLE forecast ADD COLUMN wind_speed integer",
    )
    store.add_forecasts(forecasts(forecast(20), forecast(31, GUST)))
    assert rows(store.database, t.forecast, "wind_speed", "wind_gust", "batch_id") == [(20000, 31000, 1)]


# --- Settings and rights ----------------------------------------------------------------------------


def test_a_store_that_is_to_be_durable_leaves_that_to_the_server(postgres_url: str) -> None:
    administer(postgres_url, "ALTER DATABASE {} SET synchronous_commit = on")
    assert setting(Database(postgres_url), "synchronous_commit") == "on"
    assert setting(Database(postgres_url, durable=False), "synchronous_commit") == "off"


def test_every_wait_for_a_lock_has_a_limit(postgres_url: str) -> None:
    assert setting(Database(postgres_url, busy_timeout=0.25), "lock_timeout") == "250ms"
    assert setting(Database(postgres_url, busy_timeout=0), "lock_timeout") == "1ms", "0 would be no limit"


def test_options_of_the_address_override_our_own(postgres_url: str) -> None:
    database = Database(
        f"{postgres_url}&connect_timeout=9&options=-c%20lock_timeout%3D7s%20-c%20work_mem%3D8MB"
    )
    assert (setting(database, "lock_timeout"), setting(database, "work_mem")) == ("7s", "8MB")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_with_any_isolation_of_the_server_exactly_one_of_two_threads_gets_a_slot(
    postgres_url: str, level: str
) -> None:
    """A writer that had to wait must see what the one before it wrote, not the state before the wait."""
    administer(postgres_url, f"ALTER DATABASE {{}} SET default_transaction_isolation = '{level}'")
    ledger, gate, outcomes = Ledger(open_database(postgres_url)), threading.Barrier(2), []

    def contend() -> None:
        for _ in range(10):
            gate.wait(HANG_SECONDS)
            try:
                outcomes.append(ledger.claim(JOB, "api", NOW, NOW))
            except JobBusyError:
                outcomes.append(None)

    threads = [threading.Thread(target=contend) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(outcomes), len([claim for claim in outcomes if claim])) == (20, 1)


def test_a_user_without_the_right_to_create_tables_gets_that_reason(bare_postgres_url: str) -> None:
    administer(
        bare_postgres_url,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT CONNECT ON DATABASE {} TO reader",
    )
    url = make_url(bare_postgres_url).set(username="reader").render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailableError, match="permission denied for schema public"):
        Database(url).migrate()


def test_tables_that_are_gone_are_a_store_that_does_not_answer(postgres_url: str) -> None:
    store = Store(open_database(postgres_url))
    administer(postgres_url, "DROP TABLE grid_point, site")
    with pytest.raises(StoreUnavailableError, match='relation "site" does not exist'):
        store.sites()


# --- Clock ------------------------------------------------------------------------------------------


def test_a_lease_is_measured_by_the_clock_of_the_database(postgres_url: str) -> None:
    """Two hosts whose clocks differ must agree on when a lease ends: this database's is an hour ahead."""
    administer(
        postgres_url,
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        " AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''",
        "ALTER DATABASE {} SET search_path = public, pg_catalog",
    )
    database = open_database(postgres_url)
    claim = Ledger(database, owner=ELSEWHERE, lease=600).claim(JOB, "schedule", NOW, NOW)
    assert claim is not None
    with pytest.raises(JobBusyError):
        Ledger(database).claim(JOB, "schedule", NOW, NOW)

    with database.write() as connection:  # a lease that has half an hour to go by our clock
        connection.execute(sa.update(t.job_run).values(lease_until=time.time() + 1800))
    again = Ledger(database).claim(JOB, "schedule", NOW, NOW)
    assert again is not None and again.epoch == 2


# --- A writer that stops responding -----------------------------------------------------------------


def test_a_writer_that_falls_silent_is_ended_so_that_others_can_write(postgres_url: str) -> None:
    """A frozen process would keep every other one from writing for as long as it is frozen."""
    silent, other = Database(postgres_url, idle_timeout=0.1), open_store(postgres_url)
    stored = 0
    with pytest.raises(StoreUnavailableError), silent.write() as connection:
        connection.execute(sa.update(t.site).values(name="half written"))
        stored = other.add_forecasts(forecasts(forecast(20)))  # waits for its turn, as ever
        connection.execute(sa.select(t.site))
    assert stored == 1
    assert {site.name for site in other.sites()} == {"Planfait", "Passy Plaine-Joux"}


# --- A server that goes and comes back ---------------------------------------------------------------


def test_after_a_restart_of_the_server_all_stored_data_are_there(
    postgres: PostgresServer, postgres_url: str
) -> None:
    store = open_store(postgres_url)
    assert store.add_forecasts(forecasts(forecast(20))) == 1
    with postgres.stopped(), pytest.raises(StoreUnavailableError, match="the store does not answer"):
        store.add_forecasts(forecasts(forecast(18, hours=7)))
    assert store.add_forecasts(forecasts(forecast(18, hours=7))) == 1
    assert store.add_forecasts(forecasts(forecast(20))) == 0
