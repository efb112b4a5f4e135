"""`meteo-score status`: exit codes for cron and Nagios, from a running service or from the store alone."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.core.clock import utc_now
from backend.storage.ledger import Ledger
from backend.storage.run_records import SourceRun
from backend.tests.support.commands import SITE, Environment, outside, store_of, typed
from backend.tests.support.receiver import receiving
from backend.tests.support.serving import address, client_of, serving
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import wait_for


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """The environment of a service that collects nothing by itself, on a port where no program listens."""
    (tmp_path / "sites.toml").write_text(SITE)
    with receiving() as freed:
        port = freed.port
    return outside() | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "SITES_FILE": str(tmp_path / "sites.toml"),
        "DATA_DIR": str(tmp_path),
        "SCHEDULER_ENABLED": "false",
        "PORT": str(port),
    }


@pytest.fixture
def ledger(environment: Environment) -> Iterator[Ledger]:
    database = store_of(environment)
    make_tables(database)
    yield Ledger(database)
    database.close()


def state(environment: Environment, options: str = "") -> tuple[int, dict[str, Any]]:
    """Return the exit code and the JSON."""
    result = typed(f"status --json {options}", environment)
    return result.exit_code, json.loads(result.stdout)


def codes(body: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in body["reasons"]]


def fail_three_times(ledger: Ledger) -> None:
    for _ in range(3):
        claim = ledger.claim("collect_observations", "cli", utc_now())
        assert claim is not None
        ledger.finish(
            claim, "failed", utc_now(), duration=1, sources=[SourceRun(source="ffvl", status="failed")]
        )


def test_a_running_service_is_asked_and_after_its_death_the_store(
    environment: Environment, ledger: Ledger
) -> None:
    with serving(environment) as service:
        port = address(service).rpartition(":")[2]
        with client_of(service) as client:
            wait_for(lambda: client.get("/api/ready").status_code == 200, "the service")
        there = environment | {"PORT": port}
        code, body = state(there)
        assert (code, body["status"], body["reasonsFrom"], body["noAnswer"]) == (0, "ready", "service", None)

        fail_three_times(ledger)
        code, body = state(there)
        assert (code, body["status"]) == (1, "degraded")
        assert codes(body) == ["job_failing"]
        text = typed("status", there)
        assert text.exit_code == 1
        first, *lines = text.stdout.splitlines()
        assert first == f"degraded: 1 reason (http://127.0.0.1:{port})"
        assert lines[0].startswith("job_failing: ")
        assert lines[1].startswith(f"instance 1: all, alive, process {service.process.pid} on ")
        assert len(lines) == 2

        service.process.send_signal(signal.SIGKILL)
        service.wait()
        code, body = state(there)
        assert (code, body["status"], body["reasonsFrom"]) == (2, "down", "store")
        assert "refused" in body["noAnswer"]
        assert codes(body) == ["job_failing"], "the store has the failures"
        assert [(one["id"], one["role"], one["state"]) for one in body["instances"]] == [(1, "all", "dead")]
        assert typed("status", there).stdout.startswith(
            f"down: no answer of the service at http://127.0.0.1:{port}: "
        )


def test_the_store_alone_is_well_degraded_or_cannot_be_read(environment: Environment, ledger: Ledger) -> None:
    assert state(environment, "--store")[0] == 0
    fail_three_times(ledger)
    code, body = state(environment, "--store")
    assert (code, body["status"], body["address"]) == (1, "degraded", None)

    missing = environment | {"DATABASE_URL": f"{environment['DATABASE_URL']}.none"}
    code, body = state(missing, "--store")
    assert (code, body["status"], codes(body)) == (2, "down", ["store_unusable"])
    assert not Path(missing["DATABASE_URL"].removeprefix("sqlite:///")).exists()

    away = environment | {"DATABASE_URL": "postgresql+psycopg://club@127.0.0.1:1/none"}
    code, body = state(away, "--store")
    assert (code, codes(body)) == (2, ["store_unreachable"])


def test_another_program_at_the_port_is_no_service(environment: Environment, ledger: Ledger) -> None:
    with receiving() as other:
        code, body = state(environment | {"PORT": str(other.port), "HOST": "0.0.0.0"})
    assert code == 2
    assert body["noAnswer"] == "HTTP 200, and not the answer of MétéoScore: another program is there"
    assert body["address"] == f"http://{other.address}"


def test_a_service_that_is_not_ready_is_down(environment: Environment, tmp_path: Path) -> None:
    # Its database cannot be reached, and its pages are served all the same.
    away = environment | {"DATABASE_URL": "postgresql+psycopg://club@127.0.0.1:1/none"}
    with serving(away | {"SITES_FROM": "file"}) as service:
        port = address(service).rpartition(":")[2]
        code, body = state(away | {"PORT": port})
    assert (code, body["reasonsFrom"], codes(body)) == (2, "service", ["store_unreachable"])
