"""One service as several processes on PostgreSQL: a schedule, the API, and two workers; one is killed."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from backend.scheduler.config import JOBS, OBSERVATIONS
from backend.storage import schema as t
from backend.tests.support.commands import METEO_SCORE, Running, StandIns, ended, running, store_of
from backend.tests.support.serving import (
    TOKEN,
    client_of,
    ended_runs,
    run_by_hand,
    runs_of,
    serving,
    values_of,
)
from backend.tests.support.stores import sqlite_url
from backend.tests.support.waiting import wait_for


def test_workers_store_what_one_process_would_also_if_one_of_them_is_killed(
    upstreams: StandIns, bare_postgres_url: str, tmp_path: Path
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
    options = {"admin_token": TOKEN, "log_format": "json", "lease_seconds": 15}
    environment = upstreams.environment(
        together, database_url=bare_postgres_url, months_dir=tmp_path / "months", **options
    )
    with ExitStack() as processes:

        def started(role: str, name: str, *arguments: str) -> Running:
            variables = environment | {"METEO_SCORE_ROLE": role}
            return processes.enter_context(
                running(METEO_SCORE, "serve", *arguments, environment=variables, name=name)
            )

        with upstreams.faults(meteo_parapente="hang"):
            workers = [started("worker", f"worker-{number}") for number in range(2)]
            schedule = started("scheduler", "scheduler")
            hanging = {"event": "task started", "source": "meteo_parapente"}
            wait_for(lambda: any(worker.has_logged(**hanging) for worker in workers), "the task that hangs")
            killed = next(worker for worker in workers if worker.has_logged(**hanging))
            killed.process.send_signal(signal.SIGKILL)
            killed.wait()
        (other,) = (worker for worker in workers if worker is not killed)
        wait_for(lambda: sum(map(ended_runs, workers)) == 2, "the first collections")
        assert other.has_logged(**hanging), "the task of the killed worker, again"

        api = started("api", "api", "--port", "0")
        with client_of(api) as client:
            wait_for(lambda: client.get("/api/ready").status_code == 200, "the store")
            status = client.get("/api/scheduler/status").json()
            assert status["running"], "in another process"
            assert {(one["role"], one["state"]) for one in status["instances"]} == {
                *(("api", "alive"), ("scheduler", "alive"), ("worker", "alive"), ("worker", "dead"))
            }
            answer = client.post(f"/api/scheduler/jobs/{OBSERVATIONS}/run")
            assert answer.status_code == 202, answer.text
            wait_for(
                lambda: other.has_logged(event="run ended", run=answer.json()["runId"]), "the run by hand"
            )
        assert not api.has_logged(event="scheduler started")
        assert not [worker for worker in workers if worker.has_logged(event="scheduler started")]
        assert {process.terminate() for process in (schedule, other)} == {0}
        assert not other.has_logged(level="error")

    with store_of(environment).read() as connection:
        assert connection.scalar(sa.select(t.retention.c.looked_at)), "closed months were looked for"
    runs = runs_of(environment)
    assert [(run.job, run.status, run.attempt) for run in runs[:2]] == [(job, "success", 1) for job in JOBS]
    assert runs[2].trigger == "api"
    assert {source.source: source.status for source in runs[0].sources}["meteo_parapente"] == "success"

    by_itself = upstreams.environment(alone, database_url=sqlite_url(alone), **options)
    with serving(by_itself) as service, client_of(service) as client:
        wait_for(lambda: ended_runs(service) == 2, "the first collections of one process")
        run_by_hand(client, service, OBSERVATIONS)
        service.terminate()
    assert values_of(environment) == values_of(by_itself)


def test_a_role_without_postgresql_is_refused_with_what_to_do(upstreams: StandIns, tmp_path: Path) -> None:
    for role in ("api", "scheduler", "worker"):
        environment = upstreams.environment(tmp_path, meteo_score_role=role)
        result = ended("serve", environment=environment)
        assert (result.returncode, result.stdout) == (2, "")
        assert f"METEO_SCORE_ROLE={role}" in result.stderr
        assert "meteo-score db copy" in result.stderr
        assert "Traceback" not in result.stderr
