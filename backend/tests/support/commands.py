"""The command as an operator types it: run in this process or in one of its own, on stand-in upstreams."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from typer.testing import CliRunner, Result

from backend.cli.app import app
from backend.core.clock import utc_now
from backend.core.config import Settings
from backend.demo.process import Upstreams
from backend.scheduler.config import SchedulerConfig
from backend.storage import schema as t
from backend.storage.database import Database
from backend.tests.support.waiting import HANG_SECONDS

METEO_SCORE = Path(sys.executable).with_name("meteo-score")

VARIABLES = frozenset(name.upper() for name in (*Settings.model_fields, *SchedulerConfig.model_fields))
"""Every variable that a service reads. None of the developer's own may reach a service under test."""

# One of the stand-ins' own sites, so that a collection is over soon.
SITE = """
[[sites]]
id = "planfait"
name = "Planfait"
latitude = 45.857
longitude = 6.224
elevation = 930
stations = ["ffvl:9001", "romma:901"]
"""

Environment = dict[str, str]


class StandIns:
    """The stand-in upstreams for tests that are not asynchronous themselves."""

    def __init__(self, runner: asyncio.Runner, upstreams: Upstreams) -> None:
        self._runner = runner
        self._upstreams = upstreams

    def environment(self, folder: Path, **variables: object) -> Environment:
        """Return the environment of a service that collects from here, for one site, into `folder`."""
        sites = folder / "sites.toml"
        sites.write_text(SITE)
        ours = {
            **self._upstreams.environment,
            "sites_file": sites,
            "database_url": f"sqlite:///{folder / 'store.sqlite3'}",
            "data_dir": folder,
            "arome_runs": "0,12",
            "arome_max_lead": 6,
            "forecast_lookback_hours": 24,
            "observation_lookback_hours": 6,
        }
        settings = {name.upper(): str(value) for name, value in (ours | variables).items()}
        return outside() | settings

    @contextmanager
    def faults(self, **faults: str) -> Iterator[None]:
        """Make upstreams suffer for as long as the context lasts: faults(ffvl="hang")."""
        self.set_faults(**faults)
        try:
            yield
        finally:
            self.set_faults(**dict.fromkeys(faults))

    def set_faults(self, **faults: str | None) -> None:
        self._runner.run(self._upstreams.set_faults(faults))

    def set_clock(self, now: datetime) -> None:
        """Move the time of the upstreams."""
        self._runner.run(self._upstreams.set_clock(now))

    def requests(self, upstream: str) -> int:
        """Return the number of requests to an upstream so far."""
        return self._runner.run(self._upstreams.counts())[upstream]["requests"]


@contextmanager
def stand_ins(now: datetime | None = None, *, dates: bool = False) -> Iterator[StandIns]:
    """Give stand-in upstreams that live as long as the context; their time stands still, at the
    present by default, so that a second collection finds nothing new.
    """
    with asyncio.Runner() as runner:
        upstreams = Upstreams(now=now or utc_now(), dates=dates, deadline=HANG_SECONDS)
        runner.run(upstreams.__aenter__())
        try:
            yield StandIns(runner, upstreams)
        finally:
            runner.run(upstreams.__aexit__(None, None, None))


def outside() -> Environment:
    """Return the environment of the test run, without the settings of MétéoScore."""
    return {name: value for name, value in os.environ.items() if name.upper() not in VARIABLES}


# --- Typed in this process ---------------------------------------------------------------------------


def typed(line: str, environment: Mapping[str, str]) -> Result:
    """Return the result of a `meteo-score` line, in an environment that has these settings only."""
    hidden = {name: None for name in os.environ if name.upper() in VARIABLES}
    with logging_put_back():
        result = CliRunner().invoke(app, line.split(), env={**hidden, **environment})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def logging_put_back() -> Iterator[None]:
    """Undo what a command does to the logging of its process."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**config)


# --- In processes of their own -----------------------------------------------------------------------


def ended(*arguments: str, environment: Environment) -> subprocess.CompletedProcess[str]:
    """Run `meteo-score` in a process of its own to its end."""
    return subprocess.run(
        [METEO_SCORE, *arguments],
        env=environment,
        cwd=environment["DATA_DIR"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


class Running:
    """A process whose output goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    def text(self) -> str:
        """Return its output so far."""
        return self.output.read_text()

    def events(self) -> list[dict[str, Any]]:
        """Return its JSON log lines so far; a broken one is an error.

        A line without its line break is left for the next call: the process is still writing it.
        """
        lines = self.text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def has_logged(self, **values: object) -> bool:
        """Return whether a line has all these values."""
        return self.count(**values) > 0

    def count(self, **values: object) -> int:
        """Return how many lines have all these values."""
        return sum(values.items() <= event.items() for event in self.events())

    def wait(self) -> int:
        """Return its exit code."""
        return self.process.wait(HANG_SECONDS)

    def terminate(self) -> int:
        """Ask it to end, as a service manager does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


@contextmanager
def running(*command: str | Path, environment: Environment, name: str = "output") -> Iterator[Running]:
    """Run a command for as long as the context lasts; its output goes to a file of this name.

    At the end its whole process group is killed: a killed server would leave its workers behind.
    """
    folder = Path(environment["DATA_DIR"])
    environment = {"LOG_LEVEL": "DEBUG"} | environment  # tests wait for lines about single sources
    output = folder / f"{name}.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(process, output)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# --- What is in the store ----------------------------------------------------------------------------


def store_of(environment: Environment) -> Database:
    return Database(environment["DATABASE_URL"])


def contents(environment: Environment) -> dict[str, int]:
    """Return how many rows each table of a store has; an unmade store has none.

    The row by which any new store identifies itself does not count.
    """
    database = store_of(environment)
    try:
        with database.read() as connection:
            made = sa.inspect(connection).get_table_names()
            return {
                table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                if table.name in made
                else 0
                for table in t.metadata.sorted_tables
                if table is not t.store_identity
            }
    finally:
        database.close()
