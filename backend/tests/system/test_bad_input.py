"""Bad input, line by line: it is reported, and everything else goes on.

Each heading is a row of the table in the specification. It names what other modules test, which is not
repeated here: parsers, client and store have tests of their own for their kinds of bad input.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from backend.collectors import romma
from backend.collectors.base import MeteredFetch
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.config import Settings
from backend.core.records import CollectionRequest, ForecastBatch
from backend.main import Service
from backend.scheduler.config import FORECASTS, OBSERVATIONS, SchedulerConfig
from backend.storage import schema as t
from backend.storage.run_records import JobRun
from backend.tests.support.commands import outside, typed
from backend.tests.support.loopback import (
    Answer,
    Loopback,
    hangs,
    redirects,
    resets,
    says,
    sends,
    unused_port,
)
from backend.tests.support.served import ADMIN, NOW, TOKEN, make_service, served, with_sources
from backend.tests.support.waiting import HANG_SECONDS, skip, until
from backend.tests.support.worlds import (
    NOON,
    HandClock,
    World,
    a_run,
    brings_a_reading,
    brings_a_run,
    fails,
    forecast_source,
    make_world,
    observation_source,
)

KEY = "a-key-of-romma"

# --- A setting that can never be used: the service refuses to start ---------------------------------
#
# Each rule: test_config.py and test_scheduler.py. Other commands than `serve`, and a sites file that cannot
# be used: test_cli.py. A server that makes the service itself: test_processes.py. The database's address:
# test_database.py. The good words for yes and no: test_scheduler.py, test_config.py.

HOURS = "must be different hours from 0 to 23, separated by commas"
NUMBERS = "must be whole numbers separated by commas"
SOURCES = "choose from meteo_parapente, arome, geosphere, ffvl, romma"
URL = "must be an http or https address without a query, such as https://example.org/api"


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("SCHEDULER_FORECAST_HOURS", "25", HOURS),
        ("SCHEDULER_FORECAST_HOURS", "6,x", NUMBERS),
        ("SCHEDULER_FORECAST_HOURS", "6,6", HOURS),
        ("SCHEDULER_FORECAST_HOURS", "", NUMBERS),
        ("SCHEDULER_OBSERVATION_HOURS", "8;10", NUMBERS),
        ("SCHEDULER_FORECAST_CRON", "0 6 * *", "must be a crontab line of five fields"),
        ("SCHEDULER_OBSERVATION_CRON", "*/10 * * * 1-5", "must name weekdays (mon, tue, …)"),
        ("SCHEDULER_OBSERVATION_CRON", "99 * * * *", "is not a crontab line"),
        ("SCHEDULER_ENABLED", "maybe", "must be one of true, false, 1, 0, yes, no, on, off"),
        ("FFVL_HTML", "", "must be one of true, false, 1, 0, yes, no, on, off"),
        ("SOURCES", "romma,foo", f"unknown source 'foo': {SOURCES}"),
        ("ROMMA_URL", "www.romma.fr", URL),
        ("FFVL_URL", "ftp://data.ffvl.fr", URL),
        ("DATABASE_URL", "scores", "is not a database address such as sqlite:///scores.sqlite3"),
        ("DATABASE_URL", "mysql://localhost/scores", "must start with sqlite:/// or postgresql+psycopg://"),
        ("DATABASE_URL", "sqlite:////proc/none/scores.sqlite3", "cannot be written"),
        ("DATABASE_URL", "sqlite:///sites.toml", "is a file, but not a SQLite database"),
    ],
)
def test_the_service_refuses_to_start_with_one_line_that_names_variable_value_and_rule(
    variable: str, value: str, rule: str
) -> None:
    Path("sites.toml").write_text("# no sites yet\n")
    environment = outside() | {"DATABASE_URL": "sqlite:///store.sqlite3", variable: value}
    result = typed("serve", environment)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"meteo-score: {variable}={value!r}: ")
    assert rule in line


@pytest.mark.parametrize(
    "url",
    ["mysql://me:s3cret@localhost/scores", "postgresql://me:s3cret@localhost/scores", "x://me:s3cret@["],
)
def test_the_password_of_an_address_that_is_refused_is_not_shown(url: str) -> None:
    result = typed("serve", outside() | {"DATABASE_URL": url})
    assert result.exit_code == 2
    assert result.stderr.startswith("meteo-score: DATABASE_URL='")
    assert "s3cret" not in result.output


# --- SCHEDULER_ENABLED=false ------------------------------------------------------------------------
#
# A collection from the command line: test_cli.py.


async def test_with_the_schedule_off_the_service_shows_it_and_collects_on_request(
    tmp_path: Path,
) -> None:
    service = with_sources(
        make_service(tmp_path, enabled=False), observations=[observation_source(brings_a_reading)]
    )
    async with served(service, live=True) as client:
        await until(lambda: is_ready(client))
        assert (await client.get("/api/ready")).json()["scheduler"] == "off"
        status = (await client.get("/api/scheduler/status")).json()
        assert (status["enabled"], status["running"]) == (False, False)
        answer = await client.post(f"/api/scheduler/jobs/{OBSERVATIONS}/run", headers=ADMIN)
        assert answer.status_code == 202
        await until(lambda: last_status(client, "lastObservationCollection"))
        assert await last_status(client, "lastObservationCollection") == "success"
        (run,) = service.ledger.runs()
        assert (run.id, run.trigger) == (answer.json()["runId"], "api")


async def is_ready(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/api/ready")).status_code == 200


def is_logged(logs: Sequence[Any], event: str, reason: str) -> bool:
    """Whether the service logged an event whose reason contains a text."""
    return any(entry["event"] == event and reason in entry.get("reason", "") for entry in logs)


async def last_status(client: httpx2.AsyncClient, job: str) -> str | None:
    answer = await client.get("/api/scheduler/status")
    last = answer.json()[job] if answer.status_code == 200 else None
    return last and last["status"]


# --- An upstream that is down, hangs, refuses, or sends a wrong response ----------------------------
#
# The client: test_http.py, test_http_retries.py. Each format: test_romma.py, test_ffvl_keyed.py,
# test_winds_mobi.py, test_balisemeteo.py, test_meteo_parapente.py, test_arome.py, test_arome_portal.py,
# test_open_meteo.py, test_grib.py.

FEED = """<releves><releve><id>301</id><station>Essai</station><valide>1</valide>
<latitude>45.8</latitude><longitude>6.2</longitude><altitude>1150</altitude><date>{date}</date>
<temperature>{temperature}</temperature><vent_moyen_10>{speed}</vent_moyen_10><direction>OSO</direction>
<rafale_maxi>39</rafale_maxi></releve></releves>"""
GOOD = FEED.format(date="15-07-2026 13:55", temperature="19.7", speed="13").encode()  # 11:55 UTC
LONG_LIMITS = HttpLimits(connect=HANG_SECONDS, read=HANG_SECONDS, payload=HANG_SECONDS, attempts=1)
SHORT_LIMITS = replace(LONG_LIMITS, read=0.2)  # for a host that sends nothing


async def collected_from(url: str, tmp_path: Path, limits: HttpLimits = LONG_LIMITS) -> JobRun:
    """Collect beacons of ROMMA from an address, beside a source that is well; return the run."""
    settings = Settings.load(romma_url=url, romma_key=KEY)
    async with HttpClient.from_settings(settings, HandClock(NOON), limits=limits) as client:

        def channel_for(_run: int, _source: str) -> MeteredFetch:
            counted = client.counted()
            return MeteredFetch(counted, counted)

        world = make_world(
            tmp_path,
            observations=[observation_source(brings_a_reading), romma.build(settings)],
            channel_for=channel_for,
        )
        run = await world.runner.run(OBSERVATIONS, "schedule", NOON)
    assert run is not None
    return run


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hangs, "no data received for 0.2 s"),
        (resets, "connection cut"),
        (says(b"no", "401 Unauthorized"), "HTTP 401 Unauthorized: 'no'"),
        (says(b"gone", "404 Not Found"), "HTTP 404 Not Found: 'gone'"),
        (says(b"slower", "429 Too Many Requests", Retry_After="60"), "HTTP 429 Too Many Requests: 'slower'"),
        (says(b"oh", "500 Internal Server Error"), "HTTP 500 Internal Server Error: 'oh'"),
        (says(b"later", "503 Service Unavailable"), "HTTP 503 Service Unavailable: 'later'"),
        (says(b'{"releves": []}', Content_Type="text/xml"), "expected XML"),
        (says(b"<html><body>Maintenance</body></html>"), "expected XML, got HTML"),
        (says(GOOD[:200]), "not well-formed XML"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + GOOD[:200]), "connection cut"),
        (says(b""), "empty body"),
        (says(b"<releves></releves>"), "an empty document"),
        (redirects("https://elsewhere.example/login"), "refused a redirect to elsewhere.example"),
        (sends(b"SSH-2.0-x\r\n"), "connection cut"),
    ],
    ids=[
        *("hanging", "reset", "401", "404", "429", "500", "503", "wrong type", "error in a 200"),
        *("truncated", "cut", "empty", "an error for a document", "redirected", "no http"),
    ],
)
async def test_a_request_that_fails_is_reported_with_its_reason_and_costs_nothing_else(
    tmp_path: Path, answer: Answer, reason: str
) -> None:
    async with Loopback(answer) as upstream:
        run = await collected_from(upstream.url, tmp_path, SHORT_LIMITS if answer is hangs else LONG_LIMITS)
    assert_only_romma_failed(run, reason)


async def test_an_upstream_that_is_down_is_reported_and_costs_nothing_else(tmp_path: Path) -> None:
    run = await collected_from(f"http://127.0.0.1:{unused_port()}", tmp_path)
    assert_only_romma_failed(run, "no connection")


def assert_only_romma_failed(run: JobRun, reason: str) -> None:
    ffvl, broken = run.sources
    assert (run.status, run.stored) == ("partial", 1)
    assert (ffvl.status, ffvl.stored) == ("success", 1)
    assert (broken.status, broken.collected, broken.failed) == ("failed", 0, 1)
    assert broken.failures[0].reason.startswith(reason)
    assert broken.reason.startswith(broken.failures[0].reason)  # Followed by what is known of the source.
    assert KEY not in repr(run)


# --- An upstream or the database is down at the start: the service starts, reports it, and recovers ---


async def test_upstreams_that_are_down_at_the_start_are_reported_and_collected_once_they_are_back(
    tmp_path: Path,
) -> None:
    up = asyncio.Event()

    async def when_up(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        async for batch in brings_a_run(needs) if up.is_set() else fails(needs):
            yield batch

    service = with_sources(make_service(tmp_path, enabled=True), forecasts=[forecast_source(when_up)])
    async with served(service, live=True) as client:
        await until(lambda: last_status(client, "lastForecastCollection"))
        assert (await client.get("/api/health")).status_code == 200
        assert await is_ready(client), "missing data are no reason for a restart"
        status = (await client.get("/api/scheduler/status")).json()
        last = status["lastForecastCollection"]
        assert (last["status"], last["errors"][0]["reason"]) == ("failed", "HTTP 503")
        up.set()
        await client.post(f"/api/scheduler/jobs/{FORECASTS}/run", headers=ADMIN)
        await until(lambda: succeeded(client))


async def succeeded(client: httpx2.AsyncClient) -> bool:
    return await last_status(client, "lastForecastCollection") == "success"


def made(tmp_path: Path, database_url: str, **options: Any) -> Service:
    """Return a service on this database, with sources that are well."""
    (tmp_path / "sites.toml").write_text(SITE)
    service = Service.make(
        Settings.load(
            database_url=database_url,
            data_dir=tmp_path,
            sites_file=tmp_path / "sites.toml",
            admin_token=TOKEN,
        ),
        SchedulerConfig.load(shutdown_grace_seconds=0),
        HandClock(NOW),
        durable=False,
        **options,
    )
    return with_sources(service, [forecast_source(brings_a_run)], [observation_source(brings_a_reading)])


SITE = """
[[sites]]
id = "planfait"
name = "Planfait"
latitude = 45.85
longitude = 6.22
elevation = 950
stations = ["ffvl:2496"]
without = ["romma"]
"""


async def test_a_database_server_that_is_down_at_the_start_is_waited_for(tmp_path: Path) -> None:
    service = made(tmp_path, f"postgresql+psycopg://me:s3cret@127.0.0.1:{unused_port()}/scores")
    with capture_logs() as logs:
        async with served(service, live=True) as client:
            await until(lambda: is_logged(logs, "waiting for the store", "the store does not answer"))
            assert (await client.get("/api/health")).status_code == 200
            ready = await client.get("/api/ready")
            assert (ready.status_code, ready.headers["Content-Type"]) == (503, "application/problem+json")
            assert "the database is unreachable" in ready.json()["detail"]
            assert int(ready.headers["Retry-After"]) > 0
            status = await client.get("/api/scheduler/status")
            assert status.status_code == 503
            for text in (ready.text, status.text, repr(logs)):
                assert "s3cret" not in text


async def test_a_database_that_is_locked_at_the_start_is_waited_for_and_then_collected_into(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite3"
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("CREATE TABLE of_another_program (x)")
    lock.execute("BEGIN EXCLUSIVE")
    service = made(tmp_path, f"sqlite:///{path}", busy_timeout=0.05)
    with capture_logs() as logs:
        async with served(service, live=True) as client:
            await until(lambda: is_logged(logs, "waiting for the store", "database is locked"))
            assert (await client.get("/api/health")).status_code == 200
            assert not await is_ready(client)
            lock.execute("ROLLBACK")
            lock.close()
            await until(lambda: is_ready(client))
            await until(lambda: succeeded(client))


async def test_a_database_of_a_newer_version_found_late_is_reported_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    other.execute("INSERT INTO alembic_version VALUES ('9999')")
    other.execute("BEGIN EXCLUSIVE")
    service = made(tmp_path, f"sqlite:///{path}", busy_timeout=0.05)
    with capture_logs() as logs:
        async with served(service, live=True) as client:
            await until(lambda: is_logged(logs, "waiting for the store", "database is locked"))
            other.execute("ROLLBACK")
            other.close()
            await until(
                lambda: is_logged(logs, "the store cannot be used", "was made by a newer meteo-score")
            )
            assert not await is_ready(client)
            assert (await client.get("/api/health")).status_code == 200


# --- An implausible value, an impossible time, a sensor's mark for missing --------------------------
#
# Every mark and every time of each format: the tests of the parsers. The rules: test_core.py.


@pytest.mark.parametrize(
    ("fields", "reason", "raw", "kept"),
    [
        ({"speed": "999"}, "out_of_range", "999.0", {"temperature": 19_700}),
        ({"temperature": "--.-"}, "missing", "--.-", {"wind_speed": 13_000}),
        ({"temperature": "warm"}, "not_a_number", "warm", {"wind_speed": 13_000}),
        ({"date": "15-07-2026 15:55"}, "future", "15-07-2026 15:55", {}),
        ({"date": "yesterday"}, "invalid_time", "yesterday", {}),
        ({"date": "29-03-2026 02:30"}, "missing_hour", "29-03-2026 02:30", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_bad_value_is_set_aside_with_its_text_and_the_rest_is_kept(
    tmp_path: Path, fields: dict[str, str], reason: str, raw: str, kept: dict[str, int]
) -> None:
    good = {"date": "15-07-2026 13:55", "temperature": "19.7", "speed": "13"}
    async with Loopback(says(FEED.format(**good | fields).encode())) as upstream:
        run = await collected_from(upstream.url, tmp_path)
    source = run.sources[1]
    assert source.rejected_reasons == {reason: source.rejected}
    assert (source.status, source.failed) == ("success" if kept else "failed", 0)
    with sqlite3.connect(tmp_path / "world.sqlite3") as store:
        rejected_rows = store.execute("SELECT raw, reason FROM rejected WHERE source = 'romma'").fetchall()
        rows = store.execute(
            "SELECT wind_speed, temperature FROM observation JOIN station ON station.id = station_id"
            " WHERE code = 'romma:301'"
        ).fetchall()
    store.close()
    assert {(text, why.partition(":")[0]) for text, why in rejected_rows} == {(raw, reason)}
    stored = [{"wind_speed": speed, "temperature": degrees} for speed, degrees in rows]
    for name, value in kept.items():
        assert stored[0][name] == value
    assert bool(stored) == bool(kept)


# --- The database is locked, full or gone during a run ----------------------------------------------
#
# Locked: test_scheduler.py. One batch on a full disk, and nothing half written: test_store.py.


def world_with(tmp_path: Path, act: Any, **options: Any) -> World:
    return make_world(tmp_path, forecasts=[forecast_source(act)], busy_timeout=0.02, **options)


def stored_speeds(world: World) -> Sequence[int | None]:
    with world.database.read() as connection:
        return connection.execute(sa.select(t.forecast.c.wind_speed)).scalars().all()


def failed_tries(logs: Sequence[Mapping[str, Any]]) -> int:
    """Return how often a write to the store failed and will be tried again."""
    return sum(line["event"] == "stamina.retry_scheduled" for line in logs)


class Disk:
    """How many pages the database may have, by the connection: None is no limit."""

    def __init__(self, world: World) -> None:
        self.pages = self.most = 2**30
        sa.event.listen(world.database.engine, "checkout", self._limit)
        with world.database.read() as connection:
            self.used: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def fill(self) -> None:
        self.pages = self.used

    def clear(self) -> None:
        self.pages = self.most

    def _limit(self, connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={self.pages}")


def many(needs: CollectionRequest) -> ForecastBatch:
    """Return a batch that needs room: a value for each of 2 000 half hours."""
    batch = a_run(needs)
    (first,) = batch.records
    half_hour = timedelta(minutes=30)
    records = [
        msgspec.structs.replace(first, valid_time=first.valid_time + i * half_hour) for i in range(2000)
    ]
    return replace(batch, records=records)


async def test_batches_wait_in_memory_while_the_disk_is_full(tmp_path: Path) -> None:
    disks: list[Disk] = []

    async def onto_a_full_disk(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        disks[0].fill()
        yield many(needs)

    world = world_with(tmp_path, onto_a_full_disk)
    disks.append(Disk(world))
    with capture_logs() as logs:
        task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
        await until(lambda: failed_tries(logs))
        disks[0].clear()
        run = await task
    assert run is not None
    assert (run.status, run.stored, len(stored_speeds(world))) == ("success", 2000, 2000)


async def test_a_disk_that_stays_full_fails_the_run_at_its_deadline_with_nothing_half_written(
    tmp_path: Path,
) -> None:
    disks: list[Disk] = []

    async def onto_a_full_disk(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        yield a_run(needs)
        disks[0].fill()
        yield many(needs)

    world = world_with(tmp_path, onto_a_full_disk, run_deadline_seconds=3600)
    disks.append(Disk(world))
    with capture_logs() as logs:
        task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
        await until(lambda: failed_tries(logs))
        before = failed_tries(logs)
        skip(3600)
        await until(lambda: task.done() or failed_tries(logs) > before)  # the end of the run may need room
        disks[0].clear()
        run = await task
    assert run is not None
    assert (run.status, run.stored, stored_speeds(world)) == ("partial", 1, [20_000])
    assert "deadline" in run.note
    assert "database or disk is full" in run.note


async def test_batches_wait_in_memory_while_the_store_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()

    async def while_gone(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        folder.rename(tmp_path / "elsewhere")
        yield a_run(needs)

    world = world_with(folder, while_gone)
    with capture_logs() as logs:
        task = asyncio.create_task(world.runner.run(FORECASTS, "schedule", NOON))
        await until(lambda: failed_tries(logs))
        (tmp_path / "elsewhere").rename(folder)
        run = await task
    assert run is not None
    assert (run.status, run.stored) == ("success", 1)


# --- SIGTERM during a run ---------------------------------------------------------------------------
#
# Within the grace and beyond it: test_scheduler.py, and with real processes test_processes.py. A collection
# by hand: test_cli.py.
