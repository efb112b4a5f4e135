"""Stores for tests, and records to fill them with: by default one site, one model, one station."""

from __future__ import annotations

import multiprocessing
import re
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from backend.core.errors import ConfigError
from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.storage import schema as t
from backend.storage.database import MIGRATIONS, Database
from backend.storage.store import Store
from backend.tests.support.waiting import HANG_SECONDS

NOW = datetime(2026, 7, 15, 12, 10, tzinfo=UTC)
RUN = datetime(2026, 7, 15, 6, tzinfo=UTC)

WIND, GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST
DIRECTION, TEMPERATURE = Parameter.WIND_DIRECTION, Parameter.TEMPERATURE

PLANFAIT = Site(
    "planfait", "Planfait", 45.85, 6.22, 950.0, ("W", "NW"), ("ffvl:2496", "romma:241"), valid_from=None
)
PASSY = Site("passy", "Passy Plaine-Joux", 45.95, 6.74, 1340.0, ("S",), ("romma:77",), ("ffvl",))


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'scores.sqlite3'}"


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder)), durable=False)
        database.migrate()
        database.close()
        return Path(folder, "scores.sqlite3").read_bytes()


def make_tables(database: Database) -> None:
    """Do what `Database.migrate` does, at a tenth of the CPU time.

    The migrations run once in a process: a new SQLite store is a copy of their file with an identity of its
    own. A store that has the tables already is left as it is.
    """
    if database.path is not None and not (database.path.exists() and database.path.stat().st_size):
        database.path.write_bytes(_migrated_file())
        own = {"store": uuid.uuid4().hex, "made_at": int(time.time())}
        with database.write() as connection:
            connection.execute(sa.update(t.store_identity).values(own))
        return
    try:
        database.require_current()
    except ConfigError:
        database.migrate()


def open_database(url: str, *, busy_timeout: float = HANG_SECONDS, **options: Any) -> Database:
    database = Database(url, durable=False, busy_timeout=busy_timeout, **options)
    make_tables(database)
    return database


def open_store(url: str, *sites: Site, **options: Any) -> Store:
    """Return the store of a database, with the sites given (or Planfait and Passy) on its list."""
    store = Store(open_database(url, **options))
    store.save_sites(sites or (PLANFAIT, PASSY))
    return store


def set_back(connection: sa.Connection, revision: str) -> None:
    """Drop the tables, columns and indexes that migrations after `revision` add."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS.as_posix().replace("%", "%%"))
    engine = sa.create_engine("sqlite://")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, revision)
        known = sa.MetaData()
        known.reflect(old)
    for table in reversed(t.metadata.sorted_tables):
        before = known.tables.get(table.name)
        if before is None:
            table.drop(connection)
            continue
        names = {index.name for index in before.indexes}
        for index in [each for each in table.indexes if each.name not in names]:
            index.drop(connection)
        for column in set(table.c.keys()) - set(before.c.keys()):
            connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP COLUMN {column}")
    connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def forecast(
    value: float,
    parameter: Parameter = WIND,
    hours: float = 6,
    site: str = "planfait",
    run: datetime = RUN,
    model: str = "arome_0025",
) -> Forecast:
    """Return a value `hours` after the start of the run, by default at 12:00 UTC."""
    return Forecast(model, site, parameter, run, run + timedelta(hours=hours), value)


def forecasts(
    *records: Forecast,
    run: datetime = RUN,
    model: str = "arome_0025",
    rank: int = 0,
    route: str = "",
    **fields: Any,
) -> ForecastBatch:
    made: dict[str, Any] = {
        "source": model.partition("_00")[0],
        "route": route or f"route_{rank}",
        "rank": rank,
        "collected_at": NOW,
        "run": Run(model, run, run + timedelta(hours=4), published=True),
        "records": records,
    }
    return ForecastBatch(**(made | fields))


def reading(
    value: float, parameter: Parameter = WIND, minutes: float = 0, station: str = "ffvl:2496"
) -> Observation:
    """Return a value measured `minutes` before 12:00 UTC."""
    return Observation(station, parameter, NOW.replace(minute=0) - timedelta(minutes=minutes), value)


def observations(*records: Observation, rank: int = 0, route: str = "", **fields: Any) -> ObservationBatch:
    made: dict[str, Any] = {
        "source": "ffvl",
        "route": route or f"route_{rank}",
        "rank": rank,
        "collected_at": NOW,
        "records": records,
    }
    return ObservationBatch(**(made | fields))


def rows(database: Database, table: sa.Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return what a table holds, in the order of its key."""
    query = sa.select(*(table.c[name] for name in columns)).order_by(*table.primary_key)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def written(database: Database) -> int:
    """Return how many bytes have gone into a database's log, also for batches not committed yet."""
    if database.path is not None:
        return database.path.with_name(f"{database.path.name}-wal").stat().st_size
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - '0/0'").scalar_one())


def start_process(work: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start `work` in a process of its own, made from scratch as a second service would be."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    return process


def query_plans(database: Database, ask: Callable[[], object]) -> list[str]:
    """Return the database's plan for each query of our tables that `ask` makes."""
    asked: list[tuple[str, Any]] = []

    def remember(_c: object, _k: object, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.startswith("SELECT") and "FROM" in statement:
            asked.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", remember)
    try:
        ask()
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", remember)
    assert asked, "nothing was asked of the database"
    sqlite = database.path is not None
    if not sqlite:  # which plans by what it knows of the tables' contents
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    explain, column = ("EXPLAIN QUERY PLAN", 3) if sqlite else ("EXPLAIN (COSTS OFF)", 0)
    with database.read() as connection:
        plans = [
            connection.exec_driver_sql(f"{explain} {statement}", parameters)
            for statement, parameters in asked
        ]
        return ["; ".join(row[column].strip() for row in plan) for plan in plans]


def looks_up(plan: str, table: sa.Table) -> bool:
    """Return whether a plan finds rows of a table by the first column of its primary key, or by more."""
    first = table.primary_key.columns[0].name
    in_sqlite = f"SEARCH {table} USING PRIMARY KEY ({first}=?"
    in_postgres = rf"using pk_{table} on {table}; Index Cond: \(+{first} = "
    return in_sqlite in plan or re.search(in_postgres, plan) is not None


def walks(plan: str, *tables: sa.Table) -> bool:
    """Return whether a plan reads all rows of one of these tables."""
    names = "|".join(table.name for table in tables)
    return re.search(rf"(SCAN|Seq Scan on) ({names})\b", plan) is not None
