"""A run does not fail because of its score days: they stay due."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backend.core.errors import StoreUnavailableError
from backend.core.local_time import local_day
from backend.scoring.days.after_run import queue_scores, update_scores
from backend.storage.database import Database
from backend.storage.days import due_sites
from backend.tests.support.stores import NOW, forecast, forecasts, open_store, sqlite_url


def due(database: Database) -> dict[int, int]:
    with database.read() as connection:
        return due_sites(connection, local_day(NOW))


def test_the_days_of_a_run_are_made_and_those_of_an_unreachable_store_stay_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(sqlite_url(tmp_path))
    store.add_forecasts(forecasts(forecast(10)))
    assert due(store.database)

    def unreachable(self: Database) -> None:
        raise StoreUnavailableError("down")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(Database, "read", unreachable)
        update_scores(store.database, NOW)
        queue_scores(store.database, NOW)
    assert [(line["log_level"], line["event"], line["reason"]) for line in logs] == [
        ("warning", "scores not updated yet", "down"),
        ("warning", "scores not queued yet", "down"),
    ]
    assert due(store.database)
    update_scores(store.database, NOW)
    assert not due(store.database)
