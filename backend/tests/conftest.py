"""What every test stands on.

`sqlite3` and `psycopg` are imported before anything can import eccodes: its wheels load a SQLite of
their own, and the other order swaps it in or crashes at exit (see test_imports.py).
"""

from __future__ import annotations

import os
import signal
import sqlite3  # noqa: F401
import time
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import limits.aio.storage.memory
import limits.aio.strategies
import psycopg  # noqa: F401
import pytest
import pytest_asyncio
import structlog
from coverage import Coverage
from coverage.exceptions import CoverageWarning
from hypothesis import HealthCheck, settings

from backend.collectors.grib.worker import Worker
from backend.demo.world import World
from backend.storage.database import Database
from backend.tests.slow import SLOW_MODULES, UNMEASURED_MODULES
from backend.tests.support.commands import StandIns, stand_ins
from backend.tests.support.filled_store import MakeUrl
from backend.tests.support.postgres import PostgresServer, running_postgres
from backend.tests.support.stores import sqlite_url

if TYPE_CHECKING:  # it imports eccodes, which most tests do without
    from backend.tests.support.demo_client import Client

# No example is judged by wall time, nor is how fast examples are made: on a busy machine both are slow.
settings.register_profile("meteo-score", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("meteo-score")

# Tracebacks as plain text: structlog's own default draws every local variable, and takes its time.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer()])


# A shell starts what runs behind a script with SIGINT ignored, and every process that a test interrupts would
# inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent


def module_of(path: Path) -> str:
    """Return the name of a test module as slow.py lists it."""
    return path.relative_to(TESTS).with_suffix("").as_posix()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no slow module for `make check`: to import all of them takes longer than many fast tests."""
    left_out = config.getoption("markexpr") == "not slow" and module_of(collection_path) in SLOW_MODULES
    return left_out or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow the tests of these modules and those that need PostgreSQL.

    Mark as unmeasured the tests of those modules, and of a test on both databases the case on PostgreSQL.
    """
    for item in items:
        module = module_of(item.path)
        callspec = getattr(item, "callspec", None)
        values = callspec.params.values() if callspec else ()
        fixtures = getattr(item, "fixturenames", ())
        again = any(isinstance(value, str) and value == "postgresql" for value in values)
        if module in SLOW_MODULES or again or any("postgres" in name for name in fixtures):
            item.add_marker("slow")
        if module in UNMEASURED_MODULES or (again and not module.startswith("scheduler/")):
            item.add_marker("unmeasured")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage in an unmeasured test, its fixtures and its processes."""
    measuring = Coverage.current()
    if measuring is None or item.get_closest_marker("unmeasured") is None:
        return (yield)
    measuring.stop()
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    try:
        return (yield)
    finally:
        with warnings.catch_warnings(action="ignore", category=CoverageWarning):  # modules imported by then
            measuring.start()  # sets the variable again


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each test starts in an empty folder, so that no .env and no sites.toml of the developer is read."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture
def within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the request limits stands still in the middle of a minute.

    The library counts by the minutes of the system's clock, and a test that runs across the end of one would
    see one more request admitted.
    """
    now = time.time() // 60 * 60 + 30
    for module in (limits.aio.storage.memory, limits.aio.strategies):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL, started for the first test that asks for it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """A database on PostgreSQL that has the tables, to be copied and never to be connected to."""
    name = postgres.create()
    database = Database(postgres.url(name))
    database.migrate()
    database.close()
    return name


@pytest.fixture
def postgres_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The address of a database on PostgreSQL that has the tables and is this test's own."""
    with postgres.database(migrated_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of this test's own: the test runs on both kinds."""
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def bare_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """As `postgres_url`, but with no tables yet."""
    with postgres.database() as url:
        yield url


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


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """As `database_url`, but with no tables yet."""
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("bare_postgres_url")


# --- Stand-in upstreams, and the worker that reads their GRIB -----------------------------------------


@pytest.fixture(scope="module")
def upstreams() -> Iterator[StandIns]:
    """The stand-in upstreams behind sockets, with a clock that stands still."""
    with stand_ins() as serving:
        yield serving


@pytest.fixture
def world() -> World:
    """The world behind the stand-in upstreams, at noon of a day in July."""
    from backend.tests.support.demo_client import NOON

    return World(1, now=NOON)


@pytest.fixture
def client(world: World) -> Client:
    """A client of the stand-in upstreams of `world`, without a socket."""
    from backend.tests.support.demo_client import Client

    return Client(world)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[Worker]:
    """A worker for one test module: to start one takes a second.

    It has the priority of the tests: beside other work, one of lower priority gets a tenth of the CPU time.
    """
    worker = Worker(niceness=0)
    yield worker
    worker.close()
