"""The daily look for closed months in a process that runs on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backend.core.config import Settings
from backend.core.errors import StoreUnavailableError
from backend.files import month_removal
from backend.files.month_watch import watch_months
from backend.storage.database import Database
from backend.tests.support.stores import NOW, observations, open_store, reading, sqlite_url
from backend.tests.support.waiting import until

MONTH_LATER = NOW + timedelta(days=31)


async def test_a_closed_month_is_exported_also_after_a_look_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(sqlite_url(tmp_path))
    for moment in (NOW, MONTH_LATER):
        minutes = (NOW - moment) // timedelta(minutes=1)
        store.add_observations(observations(reading(9, minutes=minutes), collected_at=moment))
    look, looks = month_removal.look, list[datetime]()

    def failing_first(database: Database, rules: month_removal.Rules, now: datetime) -> None:
        looks.append(now)
        if len(looks) == 1:
            raise StoreUnavailableError("down")
        look(database, rules, now)

    monkeypatch.setattr(month_removal, "look", failing_first)
    folder = tmp_path / "months"
    with capture_logs() as logs:
        watch = asyncio.create_task(
            watch_months(
                store.database,
                Settings.load(months_dir=folder),
                folder,
                [],
                [timedelta(hours=48)],
                lambda: MONTH_LATER,
                every=timedelta(milliseconds=10),
            )
        )
        await until(lambda: len(looks) >= 3 or watch.done())
        watch.cancel()
        await asyncio.wait([watch])
    failures = [line["reason"] for line in logs if line["event"] == "closed months were not looked for"]
    assert failures == ["down"]
    assert list(folder.glob("kind=observation/month=2026-07/part-0001.parquet"))
