"""The service in processes of its own: how tests start it, send requests to it and read its store."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from backend.storage.ledger import Ledger
from backend.storage.run_records import JobRun
from backend.tests.support.commands import METEO_SCORE, Environment, Running, running, store_of
from backend.tests.support.waiting import HANG_SECONDS, wait_for
from proofs.crash import contents

TOKEN = "the-admin-token-of-tests"
UVICORN = (sys.executable, "-m", "uvicorn", "--port", "0", "--factory")
ENDED = {0, -signal.SIGTERM}  # the server drains, and then lets the signal do what it does

Values = dict[str, list[tuple[Any, ...]]]


@contextmanager
def serving(environment: Environment, name: str = "serve") -> Iterator[Running]:
    """Run `meteo-score serve` for as long as the context lasts; its output goes to a file of this name."""
    with running(METEO_SCORE, "serve", "--port", "0", environment=environment, name=name) as service:
        yield service


def address(service: Running) -> str:
    """Return the address of a service, as soon as it listens."""
    found: list[str] = []

    def listens() -> bool:
        assert service.process.poll() is None, service.text()
        found.extend(re.findall(r"running on (http://127\.0\.0\.1:\d+)\s", service.text()))
        return bool(found)

    wait_for(listens, "the server")
    return found[0]


def client_of(service: Running) -> httpx2.Client:
    """Return a client of a service's API that shows the admin token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.Client(base_url=address(service), headers=headers, trust_env=False, timeout=HANG_SECONDS)


def run_by_hand(client: httpx2.Client, service: Running, job: str) -> dict[str, Any]:
    """Start a run through the API, and return the API's entry of it after its end."""
    answer = client.post(f"/api/scheduler/jobs/{job}/run")
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["runId"]
    wait_for(lambda: service.has_logged(event="run ended", run=run_id), "the run by hand")
    run: dict[str, Any] = client.get(f"/api/scheduler/runs/{run_id}").json()
    return run


def runs_of(environment: Environment, **wanted: Any) -> tuple[JobRun, ...]:
    """Return the runs in the store, oldest first."""
    database = store_of(environment)
    try:
        return Ledger(database).runs(limit=100, **wanted)[::-1]
    finally:
        database.close()


def values_of(environment: Environment) -> Values:
    """Return every forecast and reading in the store, and which parts of runs count as complete."""
    return {name: rows for name, rows in contents(environment["DATABASE_URL"]).items() if name != "slots"}


def ended_runs(service: Running) -> int:
    return service.count(event="run ended")
