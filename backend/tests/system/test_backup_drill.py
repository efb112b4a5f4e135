"""The drill: a backup during a collection, a restore elsewhere, and the next collection fills the gap."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store_copy import Tally
from backend.tests.support.commands import StandIns, ended, store_of
from backend.tests.support.serving import (
    ENDED,
    TOKEN,
    client_of,
    run_by_hand,
    runs_of,
    serving,
    values_of,
)
from backend.tests.support.waiting import wait_for

LIVING = {"job_run", "store_identity", "instance"}
"""Tables that a service goes on writing to while it waits: leases, heartbeats, and the time of a backup."""


def checksums(database: Database) -> dict[str, str]:
    """Return the checksum of every table that did not change during the backup."""
    tallies = {table: Tally() for table in t.metadata.sorted_tables if table.name not in LIVING}
    with database.read() as connection:
        for table, tally in tallies.items():
            tally.add(connection.execute(sa.select(table)).all())
    database.close()
    return {table.name: tally.checksum for table, tally in tallies.items()}


def test_a_backup_during_a_collection_is_restored_elsewhere_and_the_next_collection_fills_the_gap(
    upstreams: StandIns, make_url: Callable[[str], str], bare_url: str, tmp_path: Path
) -> None:
    here, elsewhere, file = tmp_path / "here", tmp_path / "elsewhere", tmp_path / "backup.tar.gz"
    here.mkdir()
    elsewhere.mkdir()
    kind = "sqlite" if bare_url.startswith("sqlite") else "postgresql"
    settings: dict[str, Any] = {"admin_token": TOKEN, "log_format": "json"}
    first = upstreams.environment(here, database_url=make_url(kind), **settings)
    second = upstreams.environment(elsewhere, database_url=make_url(kind), **settings)
    with serving(first | {"METEO_PARAPENTE_SPACING_SECONDS": "3600"}) as service:
        wait_for(lambda: service.has_logged(event="source done", source="arome"), "the other model")
        wait_for(lambda: service.has_logged(event="run ended", job=OBSERVATIONS), "the readings")
        made = ended("backup", str(file), environment=first)
        assert made.returncode == 0, made.stderr
        assert not service.has_logged(event="run ended", job=FORECASTS), "the backup is of a run under way"
        service.process.send_signal(signal.SIGKILL)
        service.wait()
    before = checksums(store_of(first))

    done = ended("restore", str(file), environment=second)
    assert done.returncode == 0, done.stderr
    assert checksums(store_of(second)) == before
    assert [run.status for run in runs_of(second, job=FORECASTS)] == ["running"]
    values = []
    for environment in (first, second):
        with serving(environment, "next") as service:
            wait_for(lambda: service.has_logged(event="run ended", job=FORECASTS), "the next collection")
            assert service.terminate() in ENDED
        assert [run.status for run in runs_of(environment, job=FORECASTS)] == ["success"]
        values.append(values_of(environment))
    assert values[0] == values[1]
    assert checksums(store_of(second))["forecast"] != before["forecast"], "there was a gap"


@pytest.mark.parametrize("in_place", [True, False])
def test_a_store_that_is_replaced_under_a_running_service_is_noticed_and_not_written(
    upstreams: StandIns, tmp_path: Path, in_place: bool
) -> None:
    environment = upstreams.environment(tmp_path, admin_token=TOKEN, log_format="json")
    environment |= {"SOURCES": "ffvl"}
    copy, store = tmp_path / "copy.sqlite3", tmp_path / "store.sqlite3"
    assert ended("db", "upgrade", environment=environment).returncode == 0
    copy.write_bytes(store.read_bytes())
    with serving(environment) as service, client_of(service) as client:
        wait_for(lambda: service.has_logged(event="run ended", job=OBSERVATIONS), "the readings")
        assert client.get("/api/ready").status_code == 200
        if in_place:
            with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(store)) as new:
                old.backup(new)
        else:
            copy.rename(store)
        answer = client.get("/api/ready")
        assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (503, "store_replaced")
        assert client.post(f"/api/scheduler/jobs/{OBSERVATIONS}/run").status_code == 503
        assert "the service answers again once" in client.get("/api/stations").json()["detail"]
        assert service.has_logged(event="the store was replaced under this process")
        service.terminate()
    if not in_place:
        for part in ("-wal", "-shm"):
            store.with_name(f"{store.name}{part}").unlink(missing_ok=True)
    with serving(environment, "again") as service, client_of(service) as client:
        assert run_by_hand(client, service, OBSERVATIONS)["status"] in ("success", "nothing_new")
