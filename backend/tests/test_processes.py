"""The service in processes of its own: started, stopped, killed, started again, and two at a time."""

from __future__ import annotations

import gzip
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS
from backend.storage.ledger import Ledger
from backend.storage.runs import JobRun
from backend.tests.commands import (
    METEO_SCORE,
    Environment,
    Running,
    StandIns,
    contents,
    running,
    stand_ins,
    store_of,
    wait_for,
)

TOKEN = "the-admin-token"
KEYS = ("demo-meteofrance", "demo-ffvl", "demo-romma", TOKEN)
UVICORN = (sys.executable, "-m", "uvicorn", "--factory", "backend.main:create_app", "--port", "0")
ENDED = {0, -signal.SIGTERM}  # the server drains, and then lets the signal do what it does


@pytest.fixture(scope="module")
def upstreams() -> Iterator[StandIns]:
    with stand_ins() as serving:
        yield serving


@pytest.fixture
def environment(upstreams: StandIns, tmp_path: Path) -> Environment:
    return upstreams.environment(tmp_path, admin_token=TOKEN, log_format="json")


@contextmanager
def serving(environment: Environment, name: str = "serve") -> Iterator[Running]:
    with running(METEO_SCORE, "serve", "--port", "0", environment=environment, name=name) as service:
        yield service


def address(service: Running) -> str:
    """Return where a service listens, as soon as it does."""
    found: list[str] = []

    def listens() -> bool:
        assert service.process.poll() is None, service.text()
        found.extend(re.findall(r"running on (http://127\.0\.0\.1:\d+)", service.text()))
        return bool(found)

    wait_for(listens, "the server")
    return found[0]


def client_of(service: Running) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.Client(base_url=address(service), headers=headers, trust_env=False, timeout=10)


def runs_of(environment: Environment, **wanted: Any) -> tuple[JobRun, ...]:
    """Return the runs in the store, oldest first."""
    database = store_of(environment)
    try:
        return Ledger(database).runs(limit=100, **wanted)[::-1]
    finally:
        database.close()


def ended_runs(service: Running) -> int:
    return sum(event["event"] == "run ended" for event in service.events())


def has_begun(service: Running, job: str) -> bool:
    return service.has_logged(event="run started", job=job)


# --- Start and restart ------------------------------------------------------------------------------


def test_a_first_start_collects_at_once_a_restart_does_no_slot_twice_and_no_key_is_told(
    environment: Environment, upstreams: StandIns
) -> None:
    answers: list[str] = []
    with serving(environment, "first") as service, client_of(service) as client:
        wait_for(lambda: ended_runs(service) == 2, "the first collections")
        answers += [client.get(path).text for path in ("/", "/api/scheduler/status", "/api/stations")]
        assert client.get("/api/ready").status_code == 200
        assert service.terminate() in ENDED
        first = service
    before = runs_of(environment)
    assert {(run.job, run.trigger, run.status, run.attempt) for run in before} == {
        (job, "catch_up", "success", 1) for job in JOBS
    }
    assert all(run.slot is not None for run in before)
    kept = contents(environment)

    with (
        upstreams.faults(romma="error_in_200"),
        serving(environment, "second") as service,
        client_of(service) as client,
    ):
        wait_for(lambda: client.get("/api/ready").status_code == 200, "the schedule")
        answer = client.post(f"/api/scheduler/jobs/{OBSERVATIONS}/run")
        assert answer.status_code == 202, answer.text
        wait_for(lambda: ended_runs(service) == 1, "the run by hand")
        run_id = answer.json()["runId"]
        paths = ("/", "/api/scheduler/status", f"/api/scheduler/runs/{run_id}", "/api/scheduler/runs")
        answers += [client.get(path).text for path in paths]
        assert service.terminate() in ENDED
        second = service
    by_hand = runs_of(environment)[len(before) :]
    assert [(run.id, run.trigger, run.status, run.slot) for run in by_hand] == [
        (run_id, "api", "partial", None)
    ]
    assert contents(environment)["forecast"] == kept["forecast"]

    no_line_of_a_run_is_without_its_id([*first.events(), *second.events()])
    assert second.has_logged(event="request failed", source="romma", run=run_id)
    for told in (*answers, *everything_kept_in(Path(environment["DATA_DIR"]))):
        assert not [key for key in KEYS if key in told]


def no_line_of_a_run_is_without_its_id(events: list[dict[str, Any]]) -> None:
    of_runs = [event for event in events if "job" in event or "source" in event]
    assert {"run started", "source done", "request failed", "run ended"} <= {
        event["event"] for event in of_runs
    }
    assert [event for event in of_runs if not isinstance(event.get("run"), int)] == []
    assert all("Traceback" in event["exception"] for event in of_runs if event["level"] == "error")


def everything_kept_in(folder: Path) -> Iterator[str]:
    """Yield every file that the service wrote, its logs, its store and its payloads, as text."""
    kept = [path for path in folder.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in kept}
    assert {".gz", ".log", ".sqlite3"} <= kinds, kinds
    for path in kept:
        content = path.read_bytes()
        yield (gzip.decompress(content) if path.suffix == ".gz" else content).decode(errors="replace")


# --- The end ----------------------------------------------------------------------------------------


def test_a_run_that_ends_within_the_grace_of_a_stop_is_a_success(
    environment: Environment, upstreams: StandIns
) -> None:
    environment |= {"SOURCES": "meteo_parapente", "METEO_PARAPENTE_SPACING_SECONDS": "0.3"}
    asked = upstreams.requests("meteo_parapente")
    with serving(environment) as service:
        wait_for(lambda: upstreams.requests("meteo_parapente") >= asked + 2, "a run under way")
        assert not service.has_logged(event="run ended", job=FORECASTS)
        assert service.terminate() in ENDED
        assert service.has_logged(event="waiting for runs to end")
    (run,) = runs_of(environment, job=FORECASTS)
    assert (run.status, run.note) == ("success", "")
    assert run.stored > 100


def test_a_run_beyond_the_grace_of_a_stop_is_cancelled_and_keeps_what_it_had(
    environment: Environment, upstreams: StandIns
) -> None:
    environment |= {"SHUTDOWN_GRACE_SECONDS": "0.2"}
    with upstreams.faults(meteo_parapente="hang"), serving(environment) as service:
        wait_for(lambda: service.has_logged(event="source done", source="arome"), "the other model")
        assert service.terminate() in ENDED
    (run,) = runs_of(environment, job=FORECASTS)
    sources = {source.source: source for source in run.sources}
    assert run.status == "cancelled"
    assert "shut down" in run.note
    assert (sources["arome"].status, sources["meteo_parapente"].status) == ("success", "failed")
    assert run.stored == sources["arome"].stored > 0


def test_a_killed_run_is_done_again_as_a_second_attempt_and_leaves_no_process_behind(
    environment: Environment, upstreams: StandIns
) -> None:
    with upstreams.faults(meteo_parapente="hang"), serving(environment, "killed") as service:
        wait_for(lambda: service.has_logged(event="source done", source="arome"), "the other model")
        beside_it = psutil.Process(service.process.pid).children(recursive=True)
        assert beside_it, "GRIB is decoded in a process of its own"
        service.process.send_signal(signal.SIGKILL)
        service.wait()
        _, alive = psutil.wait_procs(beside_it, timeout=10)
        assert alive == []
    (killed,) = runs_of(environment, job=FORECASTS)
    assert (killed.status, killed.attempt) == ("running", 1)
    kept = contents(environment)["forecast"]
    assert kept > 0  # the batches that were whole

    with serving(environment, "again") as service:
        wait_for(lambda: service.has_logged(event="run ended", job=FORECASTS), "the second attempt")
        assert service.has_logged(event="run started", job=FORECASTS, run=killed.id, attempt=2)
        assert service.terminate() in ENDED
    (again,) = runs_of(environment, job=FORECASTS)
    assert (again.id, again.slot, again.status, again.attempt) == (killed.id, killed.slot, "success", 2)
    assert "attempt 1 was interrupted: its process died" in again.note
    assert {source.source: source.status for source in again.sources}["arome"] == "nothing_new"
    assert contents(environment)["forecast"] > kept


# --- Several at a time ------------------------------------------------------------------------------


def test_several_processes_on_one_store_do_each_slot_once(environment: Environment) -> None:
    workers = (*UVICORN, "--workers", "2")
    with (
        serving(environment, "one") as one,
        running(*workers, environment=environment, name="workers") as others,
    ):
        everyone = (one, others)
        wait_for(lambda: sum(map(ended_runs, everyone)) == 2, "one collection of each job")
        wait_for(lambda: others.text().count("scheduler started") == 2, "the schedules of both workers")
        assert one.has_logged(event="scheduler started")
        with client_of(one) as here, client_of(others) as there:
            told = [client.get("/api/scheduler/runs").json()["runs"] for client in (here, there)]
        assert told[0] == told[1]
        assert sum(service.text().count('"run started"') for service in everyone) == 2
        assert {service.terminate() in ENDED for service in everyone} == {True}
    assert sorted((run.job, run.status, run.attempt) for run in runs_of(environment)) == [
        (FORECASTS, "success", 1),
        (OBSERVATIONS, "success", 1),
    ]


def test_a_server_that_makes_the_service_itself_refuses_bad_settings_in_one_line(
    environment: Environment,
) -> None:
    environment |= {"SCHEDULER_FORECAST_HOURS": "25"}
    with running(*UVICORN, environment=environment) as server:
        assert server.wait() == 2
        assert server.text() == (
            "meteo-score: SCHEDULER_FORECAST_HOURS='25':"
            " must be different hours from 0 to 23, separated by commas\n"
        )
