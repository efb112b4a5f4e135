"""The service in a process of its own while its database is gone, or the disk is full."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.core.records import Site
from backend.scheduler.config import FORECASTS, JOBS
from backend.storage import schema as t
from backend.storage.database import Database
from backend.tests.support.commands import Environment, Running, StandIns, typed
from backend.tests.support.full_disk import disk_with_room_for
from backend.tests.support.postgres import PostgresServer
from backend.tests.support.serving import (
    ENDED,
    TOKEN,
    Values,
    client_of,
    ended_runs,
    run_by_hand,
    runs_of,
    serving,
    values_of,
)
from backend.tests.support.stores import forecast, forecasts, open_database, open_store, sqlite_url
from backend.tests.support.waiting import wait_for

COLLECTING = {"sources": "meteo_parapente", "admin_token": TOKEN, "log_format": "json"}


@pytest.fixture(scope="module")
def undisturbed(upstreams: StandIns, tmp_path_factory: pytest.TempPathFactory) -> Values:
    """The values of an undisturbed collection."""
    environment = upstreams.environment(tmp_path_factory.mktemp("undisturbed"), **COLLECTING)
    assert typed("collect forecasts --json", environment).exit_code == 0
    return values_of(environment)


@dataclass(frozen=True)
class Place:
    """A store, and the outages that can happen to it, each for as long as a context lasts."""

    url: str
    gone: Callable[[], AbstractContextManager[None]]
    shut: Callable[[], AbstractContextManager[None]]
    full: Callable[[], AbstractContextManager[None]]  # for processes that begin within it
    make_room: Callable[[Running], None]  # for such a process, after it


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store with its tables."""
    if request.param == "sqlite":
        return on_a_volume(tmp_path / "volume")
    server: PostgresServer = request.getfixturevalue("postgres")
    url: str = request.getfixturevalue("postgres_url")
    return Place(url, server.stopped, server.stopped, lambda: full_server(server, url), lambda _service: None)


ROOM = 250_000
"""How many bytes the log of a SQLite store may have: enough for some batches of a collection, not for all."""


def on_a_volume(volume: Path) -> Place:
    """A SQLite file in a folder of its own. No file is stopped: its volume is unmounted, or it is locked."""
    volume.mkdir()
    url = sqlite_url(volume)
    open_database(url).close()

    @contextmanager
    def gone() -> Iterator[None]:
        unmounted = volume.rename(volume.with_name("unmounted"))
        yield
        unmounted.rename(volume)

    @contextmanager
    def shut() -> Iterator[None]:
        path = Database(url).path
        assert path is not None
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            yield

    def make_room(service: Running) -> None:
        _, most = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (most, most))

    return Place(url, gone, shut, lambda: disk_with_room_for(ROOM), make_room)


@contextmanager
def full_server(server: PostgresServer, url: str) -> Iterator[None]:
    """Let the table of forecasts, made larger than a segment of the log (20 MB), grow no further."""
    store = open_store(url, Site("elsewhere", "Elsewhere", 44.0, 5.0, 500.0))
    store.add_forecasts(forecasts(forecast(20, site="elsewhere")))
    elsewhere = sa.select(t.site.c.id).where(t.site.c.slug == "elsewhere")
    table, hours = t.forecast, sa.func.generate_series(1, 240_000).table_valued("n").render_derived()
    again = [column + hours.c.n if column is table.c.valid_time else column for column in table.c]
    with store.database.write() as connection:
        many = sa.select(*again).select_from(table.join(hours, sa.true()))
        connection.execute(sa.insert(table).from_select(list(table.c.keys()), many))
        size = connection.execute(sa.select(sa.func.pg_relation_size(table.name))).scalar_one()
    with server.files_no_larger_than(size):
        yield
    with store.database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.site_id.in_(elsewhere)))
    store.database.close()


def a_slow_run(upstreams: StandIns, folder: Path, place: Place, **variables: object) -> Environment:
    """Return the environment of a service whose collection takes a few seconds."""
    return upstreams.environment(
        folder,
        database_url=place.url,
        meteo_parapente_spacing_seconds=0.3,
        **(COLLECTING | variables),
    )


def under_way(upstreams: StandIns, asked: int) -> None:
    wait_for(lambda: upstreams.requests("meteo_parapente") >= asked + 3, "a run under way")


def test_a_database_that_is_gone_during_a_run_costs_neither_the_run_nor_a_value(
    place: Place, upstreams: StandIns, undisturbed: Values, tmp_path: Path
) -> None:
    environment = a_slow_run(upstreams, tmp_path, place, lease_seconds=1)
    asked = upstreams.requests("meteo_parapente")
    with serving(environment) as service, client_of(service) as client:
        under_way(upstreams, asked)
        with place.gone():
            wait_for(lambda: client.get("/api/ready").status_code == 503, "the outage to be noticed")
            assert "the database is unreachable" in client.get("/api/ready").json()["detail"]
            assert client.get("/api/health").status_code == 200
            wait_for(lambda: service.has_logged(event="lease not renewed"), "more than a third of a lease")
        wait_for(lambda: service.has_logged(event="run ended", job=FORECASTS), "the end of the run")
        assert client.get("/api/ready").status_code == 200
        assert run_by_hand(client, service, FORECASTS)["status"] == "nothing_new"
        assert service.terminate() in ENDED
    run, _by_hand = runs_of(environment, job=FORECASTS)
    assert (run.status, run.attempt) == ("success", 1)
    assert values_of(environment) == undisturbed


def test_a_service_starts_without_its_database_reports_it_and_collects_once_it_is_there(
    place: Place, upstreams: StandIns, undisturbed: Values, tmp_path: Path
) -> None:
    environment = upstreams.environment(tmp_path, database_url=place.url, **COLLECTING)
    with ExitStack() as outage:
        outage.enter_context(place.shut())
        with serving(environment) as service, client_of(service) as client:
            assert client.get("/api/health").status_code == 200
            answer = client.get("/api/ready")
            assert answer.status_code == 503
            assert "the database is unreachable, and the scheduler is not running" in answer.json()["detail"]
            assert not service.has_logged(event="run started")
            outage.close()
            wait_for(lambda: ended_runs(service) == len(JOBS), "the first collections")
            assert client.get("/api/ready").status_code == 200
            assert service.terminate() in ENDED
    (run,) = runs_of(environment, job=FORECASTS)
    assert (run.status, run.attempt) == ("success", 1)
    assert values_of(environment) == undisturbed


def test_a_disk_that_fills_up_during_a_run_makes_it_no_success_and_the_next_run_stores_the_rest(
    place: Place, upstreams: StandIns, undisturbed: Values, tmp_path: Path
) -> None:
    environment = upstreams.environment(
        tmp_path, database_url=place.url, run_deadline_seconds=8, **COLLECTING
    )
    with ExitStack() as disk:
        disk.enter_context(place.full())
        with serving(environment) as service, client_of(service) as client:
            wait_for(lambda: past_its_deadline(service), "the deadline of the run")
            disk.close()
            place.make_room(service)
            wait_for(lambda: service.has_logged(event="run ended", job=FORECASTS), "the end of the run")
            (cut_short,) = runs_of(environment, job=FORECASTS)
            stored_before = values_of(environment)
            assert run_by_hand(client, service, FORECASTS)["status"] == "success"
            assert service.terminate() in ENDED
    assert cut_short.status in {"partial", "failed"}
    assert "stopped at its deadline of 8 s: the store does not answer: " in cut_short.note
    assert len(stored_before["parts"]) < len(undisturbed["parts"])
    assert values_of(environment) == undisturbed, "each part that counted as complete was complete"


def past_its_deadline(service: Running) -> bool:
    """Return whether a run was given up: it has ended, or its end waits for room like its batch before."""
    waiting = [event for event in service.events() if event["event"] == "stamina.retry_scheduled"]
    sources = {event.get("source") for event in waiting if event.get("job") == FORECASTS}
    ended = service.has_logged(event="run ended", job=FORECASTS)
    return "meteo_parapente" in sources and (ended or None in sources)
