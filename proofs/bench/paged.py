"""In a process of its own: the pages of a scored store, asked for the first time and again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import httpx2
import psutil

from backend.answers.service import ReadingParts
from backend.main import create_app
from backend.pages.preparation import prepare_pages
from proofs.bench.page_service import page_service
from proofs.bench.processes import answer, given
from proofs.bench.scored import Scored

WARMING = 1
MOST_SITES = 10


async def main() -> None:
    """Answer with the figures of each page, by kind. Raises RuntimeError for a page that is refused."""
    task = given()
    shape = Scored(task["sites"], task["days"])
    with TemporaryDirectory() as folder:
        service = page_service(task["url"], Path(folder))
        sites = shape.list_sites()[: WARMING + MOST_SITES]
        transport = httpx2.ASGITransport(create_app(service))
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench.example") as client:
            await asyncio.to_thread(
                prepare_pages, cast(ReadingParts, service)
            )  # as the start of a service does
            figures: dict[str, list[dict[str, float]]] = {}
            for kind, paths in {
                "the first page of a process": ["/embed/sites/" + sites[0].id],
                "a site": [f"/sites/{site.id}" for site in sites],
                "the list": [f"/?lim={20 + number}" for number in range(len(sites))],
                "the verdict as JSON": [
                    f"/api/v1/sites/{site.id}/verdict?parameter=wind_gust" for site in sites
                ],
            }.items():
                if kind in task.get("kinds", [kind]):
                    asked = [await _asked(client, path) for path in paths]
                    figures[kind] = asked[WARMING:] or asked
        await service.close()
    answer(figures)


async def _asked(client: httpx2.AsyncClient, path: str) -> dict[str, float]:
    """Return the milliseconds and CPU milliseconds of the first and of a second answer, and the kilobytes."""
    found = {}
    for name in ("cold", "cached"):
        began, used = time.perf_counter(), _cpu_seconds()
        response = await client.get(path)
        found[f"{name}_cpu"] = 1000 * (_cpu_seconds() - used)
        found[name] = 1000 * (time.perf_counter() - began)
        if response.status_code != 200:
            raise RuntimeError(f"{path}: {response.status_code} {response.text[:300]}")
    found["kilobytes"] = int(response.headers["content-length"]) / 1000
    found["plain_kilobytes"] = len(response.content) / 1000
    return found


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the one that draws its charts."""
    drawing = [child.cpu_times() for child in psutil.Process().children()]
    return time.process_time() + sum(times.user + times.system for times in drawing)


if __name__ == "__main__":
    asyncio.run(main())
