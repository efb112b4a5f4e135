"""In a process of its own: every question about a site by HTTP, asked for the first time, in turn."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx2

from backend.core.config import Settings
from backend.main import Service, create_app
from backend.scheduler.config import SchedulerConfig
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
MOST_SITES = 20


async def main() -> None:
    """Ask, and print the median milliseconds per question over sites; raise RuntimeError for a refusal."""
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
            found = {question: await _asked(client, question, shape) for question in QUESTIONS}
        await service.close()
    answer(found)


async def _asked(client: httpx2.AsyncClient, question: str, shape: Scored) -> float:
    spent = []
    sites = shape.list_sites()
    for site in [*sites[:WARMING], *sites[WARMING : WARMING + MOST_SITES]]:
        began = time.monotonic()
        found = await client.get(f"/api/v1/sites/{site.id}/{question}")
        spent.append(1000 * (time.monotonic() - began))
        if found.status_code != 200:
            raise RuntimeError(f"{question}: {found.status_code} {found.text[:300]}")
    return median(spent[WARMING:] or spent)


if __name__ == "__main__":
    asyncio.run(main())
