"""One service in a process of its own: started, stopped, killed, frozen, and started again."""

from __future__ import annotations

import gzip
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from backend.core.errors import StoreUnavailableError
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS
from backend.storage import schema as t
from backend.storage.database import Database
from backend.tests.support.commands import Environment, Running, StandIns, contents, running, store_of
from backend.tests.support.serving import (
    ENDED,
    TOKEN,
    UVICORN,
    client_of,
    ended_runs,
    run_by_hand,
    runs_of,
    serving,
)
from backend.tests.support.waiting import HANG_SECONDS, wait_for

KEYS = ("demo-meteofrance", "demo-ffvl", "demo-romma", TOKEN)


@pytest.fixture
def environment(upstreams: StandIns, bare_url: str, tmp_path: Path) -> Environment:
    return upstreams.environment(tmp_path, database_url=bare_url, admin_token=TOKEN, log_format="json")


# --- Start and restart ------------------------------------------------------------------------------


def test_a_first_start_collects_at_once_a_restart_runs_no_slot_twice_and_no_key_is_shown(
    environment: Environment, upstreams: StandIns
) -> None:
    answers: list[str] = []
    with serving(environment, "first") as service, client_of(service) as client:
        wait_for(lambda: ended_runs(service) == 2, "the first collections")
        answers += [client.get(path).text for path in ("/", "/api/scheduler/status", "/api/stations")]
        assert client.get("/api/ready").status_code == 200
        status = client.get("/api/scheduler/status").json()
        assert status["lastForecastCollection"]["status"] == "success"
        assert status["lastObservationCollection"]["status"] == "success"
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
    for text in (*answers, *everything_written_by(environment)):
        assert not [key for key in KEYS if key in text]


def no_line_of_a_run_is_without_its_id(events: list[dict[str, Any]]) -> None:
    of_runs = [event for event in events if "job" in event or "source" in event]
    assert {"run started", "source done", "request failed", "run ended"} <= {
        event["event"] for event in of_runs
    }
    assert [event for event in of_runs if not isinstance(event.get("run"), int)] == []
    assert all("Traceback" in event["exception"] for event in of_runs if event["level"] == "error")


def everything_written_by(environment: Environment) -> Iterator[str]:
    """Yield everything that the service wrote, its logs, its store and its payloads, as text."""
    kept = [path for path in Path(environment["DATA_DIR"]).rglob("*") if path.is_file()]
    assert {".gz", ".log"} <= {path.suffix for path in kept}
    for path in kept:
        content = path.read_bytes()
        yield (gzip.decompress(content) if path.suffix == ".gz" else content).decode(errors="replace")
    database = store_of(environment)
    with database.read() as connection:
        for table in t.metadata.sorted_tables:
            yield str(connection.execute(sa.select(table)).all())
    database.close()


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


def test_a_run_beyond_the_grace_of_a_stop_is_cancelled_and_keeps_its_batches(
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
    assert run.stored == sum(source.stored for source in sources.values())
    assert sources["arome"].stored > 0


def test_a_killed_run_is_repeated_as_a_second_attempt_and_leaves_no_process_behind(
    environment: Environment, upstreams: StandIns
) -> None:
    with upstreams.faults(meteo_parapente="hang"), serving(environment, "killed") as service:
        wait_for(lambda: service.has_logged(event="source done", source="arome"), "the other model")
        beside_it = psutil.Process(service.process.pid).children(recursive=True)
        assert beside_it, "GRIB is decoded in a process of its own"
        service.process.send_signal(signal.SIGKILL)
        service.wait()
        _, alive = psutil.wait_procs(beside_it, timeout=HANG_SECONDS)
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


# --- Frozen -----------------------------------------------------------------------------------------


def test_a_frozen_process_is_taken_over_after_its_lease_and_once_thawed_it_writes_nothing_and_lives_on(
    environment: Environment, upstreams: StandIns
) -> None:
    environment |= {"SOURCES": "meteo_parapente", "LEASE_SECONDS": "1"}
    slow = environment | {"METEO_PARAPENTE_SPACING_SECONDS": "0.3"}
    asked = upstreams.requests("meteo_parapente")
    with serving(slow, "frozen") as frozen:
        wait_for(lambda: upstreams.requests("meteo_parapente") >= asked + 2, "a run under way")
        freeze(frozen, environment)
        (run,) = runs_of(environment, job=FORECASTS)
        assert (run.status, run.attempt) == ("running", 1)
        wait_for(lambda: lease_is_over(environment), "the end of the lease")
        with serving(environment, "other") as other:
            kept_up = {"event": "scores updated", "job": FORECASTS}  # the last thing that a run sees to
            wait_for(lambda: other.has_logged(**kept_up), "the second attempt")
            taken = runs_of(environment)
            kept = contents(environment)
            frozen.process.send_signal(signal.SIGCONT)
            wait_for(lambda: frozen.has_logged(event="run lost"), "the refusal")
            assert (runs_of(environment), contents(environment)) == (taken, kept)
            with client_of(frozen) as client:
                assert client.get("/api/ready").status_code == 200
                assert run_by_hand(client, frozen, FORECASTS)["status"] == "nothing_new"
            assert {service.terminate() in ENDED for service in (frozen, other)} == {True}
    (again,) = (run for run in taken if run.job == FORECASTS)
    assert (again.id, again.status, again.attempt) == (run.id, "success", 2)
    assert "attempt 1 was interrupted: its lease ran out" in again.note
    assert not frozen.has_logged(level="error", job=FORECASTS), "a refused write is no error of a source"


def freeze(service: Running, environment: Environment) -> None:
    """Stop a process, but not within a transaction: no other process could take the lock of a SQLite file.

    PostgreSQL may still give the stopped process a lock that it waits for, so the check writes twice.
    """
    hasty, patient = Database(environment["DATABASE_URL"], busy_timeout=0.5), store_of(environment)
    for _ in range(20):
        service.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: stands_still(service), "the last of its threads to stop")
        try:
            for _ in range(2):
                with hasty.write():
                    pass
            break
        except StoreUnavailableError:
            service.process.send_signal(signal.SIGCONT)
            with patient.write():  # once the transaction has come to its end
                continue
    else:
        raise AssertionError("it is always within a transaction")
    hasty.close()
    patient.close()


def stands_still(service: Running) -> bool:
    threads = psutil.Process(service.process.pid).threads()
    return {psutil.Process(thread.id).status() for thread in threads} == {psutil.STATUS_STOPPED}


def lease_is_over(environment: Environment) -> bool:
    database = store_of(environment)
    with database.read() as connection:
        until = connection.execute(
            sa.select(sa.func.max(t.job_run.c.lease_until)).where(t.job_run.c.status == "running")
        ).scalar_one()
    database.close()
    return bool(until < time.time())


# --- Settings ---------------------------------------------------------------------------------------


def test_a_server_that_makes_the_service_itself_refuses_bad_settings_in_one_line(
    upstreams: StandIns, tmp_path: Path
) -> None:
    environment = upstreams.environment(tmp_path, scheduler_forecast_hours="25")
    with running(*UVICORN, "backend.main:create_app", environment=environment) as server:
        assert server.wait() == 2
        assert server.text() == (
            "meteo-score: SCHEDULER_FORECAST_HOURS='25':"
            " must be different hours from 0 to 23, separated by commas\n"
        )
