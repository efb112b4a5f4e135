"""In a process of its own: the CPU time of every question by HTTP, beside that of reading its days bare.

Milliseconds depend on the machine; the ratio of an answer to reading and unpacking the same stored days with
nothing but the driver and numpy does not.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx2
import numpy as np

from backend.core.config import Settings
from backend.main import Service, create_app
from backend.scheduler.config import SchedulerConfig
from backend.scoring.views import EVENING_BEFORE, LEAD_VIEWS, View
from backend.tests.support.served import OPENED
from backend.tests.support.worlds import HandClock
from proofs.bench.processes import answer, given
from proofs.bench.scored import Scored
from proofs.bench.world import NOW

QUESTIONS = (
    "verdict?parameter=wind_speed",
    "comparison?parameter=wind_speed",
    "scores?parameter=wind_speed&stratum=hour",
    "scores?parameter=wind_direction&stratum=hour",
    "bias?parameter=wind_speed",
    "bias?parameter=wind_direction",
    "events?limit=25",
    "series?parameter=wind_speed",
)
WARMING = 2
EPOCH = date(1970, 1, 1)
MOST_SITES = 20


async def main() -> None:
    """Answer with the median CPU milliseconds of each question and of its days read bare, over sites.

    Raises RuntimeError for a refused question.
    """
    task = given()
    shape = Scored(task["sites"], task["days"])
    with TemporaryDirectory() as folder:
        service = Service.make(
            Settings.load(
                database_url=task["url"],
                data_dir=Path(folder),
                sites_from="database",
                public_raw_sources=OPENED,  # a whole year of the days of now, as the operator is answered
            ),
            SchedulerConfig.load(scheduler_enabled=False),
            HandClock(NOW),
        )
        transport = httpx2.ASGITransport(create_app(service))
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench.example") as client:
            figures = {
                question: await _asked(client, question, shape, Path(task["url"].removeprefix("sqlite:///")))
                for question in QUESTIONS
            }
        await service.close()
    answer(figures)


async def _asked(client: httpx2.AsyncClient, question: str, shape: Scored, store: Path) -> dict[str, float]:
    answered, bare = [], []
    for number, site in enumerate(shape.list_sites()[: WARMING + MOST_SITES], start=1):
        began = time.process_time()
        response = await client.get(f"/api/v1/sites/{site.id}/{question}")
        answered.append(1000 * (time.process_time() - began))
        if response.status_code != 200:
            raise RuntimeError(f"{question}: {response.status_code} {response.text[:300]}")
        days = response.json()
        first, last = (
            date.fromisoformat(days[name]).toordinal() - EPOCH.toordinal() for name in ("firstDay", "lastDay")
        )
        views = [EVENING_BEFORE, *(LEAD_VIEWS if question.startswith("bias") else ())]
        bare.append(_read_bare(store, number, first, last, views))
    return {"answer": median(answered[WARMING:] or answered), "bare": median(bare[WARMING:] or bare)}


def _read_bare(store: Path, site_id: int, first: int, last: int, views: Sequence[View]) -> float:
    """Return the CPU milliseconds of reading the hours of a site's days and making one array of each view."""
    of_days = "site_id = ? AND day BETWEEN ? AND ?"
    queries = [f"SELECT hourly FROM forecast_day WHERE view = {view.number} AND {of_days}" for view in views]
    queries.append(f"SELECT hourly FROM observed_day WHERE {of_days}")
    began = time.process_time()
    with closing(sqlite3.connect(store)) as connection:
        for query in queries:
            rows = connection.execute(query, (site_id, first, last)).fetchall()
            hours = np.frombuffer(b"".join(row[0] for row in rows), "<i4").reshape(-1, 4, 25)
            if not len(hours):
                raise RuntimeError(f"site {site_id} has no days from {first} to {last}")
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    asyncio.run(main())
