"""In a process of its own: the pages of a scored store, asked for the first time and again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import sqlalchemy as sa

from backend.core.config import Settings
from backend.core.local_time import local_day
from backend.main import Service, create_app
from backend.scheduler.config import SchedulerConfig
from backend.scoring.days.rebuild import rebuild
from backend.storage import schema as t
from backend.tests.support.served import OPENED
from backend.tests.support.worlds import HandClock
from proofs.bench.processes import answer, given
from proofs.bench.scored import Scored
from proofs.bench.world import NOW

WARMING = 1
MOST_SITES = 10


async def main() -> None:
    """Answer with the milliseconds (cold, cached) and the compressed kilobytes of each kind of page.

    Raises RuntimeError for a page that is refused.
    """
    task = given()
    shape = Scored(task["sites"], task["days"])
    with TemporaryDirectory() as folder:
        service = Service.make(
            Settings.load(
                database_url=task["url"],
                data_dir=Path(folder),
                sites_from="database",
                public_raw_sources=OPENED,
            ),
            SchedulerConfig.load(scheduler_enabled=False),
            HandClock(NOW),
        )
        service.database.migrate()
        with service.database.read() as connection:
            numbers = list(connection.execute(sa.select(t.site.c.id)).scalars())
        rebuild(task["url"], numbers, local_day(NOW), workers=2)
        sites = shape.list_sites()[: WARMING + MOST_SITES]
        transport = httpx2.ASGITransport(create_app(service))
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench.example") as client:
            figures: dict[str, list[tuple[float, float, float]]] = {}
            for kind, paths in {
                "a site": [f"/sites/{site.id}" for site in sites],
                "the list": [f"/?lim={20 + number}" for number in range(len(sites))],
                "the verdict as JSON": [
                    f"/api/v1/sites/{site.id}/verdict?parameter=wind_gust" for site in sites
                ],
            }.items():
                figures[kind] = [await _asked(client, path) for path in paths][WARMING:]
        await service.close()
    answer(figures)


async def _asked(client: httpx2.AsyncClient, path: str) -> tuple[float, float, float]:
    """Return the milliseconds of the first and of a second answer, and the kilobytes as sent."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        response = await client.get(path)
        times.append(1000 * (time.perf_counter() - began))
        if response.status_code != 200:
            raise RuntimeError(f"{path}: {response.status_code} {response.text[:300]}")
    return times[0], times[1], int(response.headers["content-length"]) / 1000


if __name__ == "__main__":
    asyncio.run(main())
