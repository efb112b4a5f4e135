"""200 requests a second for mixed pages, beside a response of fixed bytes from the same server."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from backend.tests.support.waiting import HANG_SECONDS, until
from proofs.bench.page_service import BARE, mixed_paths
from proofs.bench.processes import Child, measured, running
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds, percentile
from proofs.bench.scored import Scored
from proofs.bench.world import upstreams

RATE = 200
MOST_P99_MS = 100
HEADERS = {"Accept-Encoding": "gzip", "Accept-Language": "en"}
WARM, COLD = "asked for before", "none asked for before"

Load = dict[str, Any]
"""How late the answers were (`late`, ms), how many requests were `refused` and why, and the CPU time."""


async def bench_crowd(work: Path, quiet: Quiet, url: str, shape: Scored, *, tiny: bool) -> list[Figure]:
    """Measure the service in a process of its own: idle, and while it collects AROME for all sites."""
    paths = mixed_paths(shape.list_sites())
    seconds = 3 if tiny else 30
    async with upstreams(work, full_grid=not tiny) as standing_in:
        there = standing_in.environment
        idle = await quiet.measure(partial(_loaded, url, paths, seconds, None, warm=True))
        busy = await quiet.measure(partial(_loaded, url, paths, seconds, there, warm=True))
        cold = await quiet.measure(partial(_loaded, url, paths, seconds, there, warm=False))
    group = f"{RATE} requests a second of {len(paths)} mixed pages, of visitors independent of each other"
    return [
        *_latencies(group, f"{WARM}, without a collection", idle),
        *_latencies(group, f"{WARM}, while AROME is collected for {shape.sites} sites", busy, aim=True),
        *_latencies(group, f"{COLD}, while AROME is collected for {shape.sites} sites", cold, aim=True),
        over_rounds(
            group,
            f"{WARM}, without a collection: an answer",
            "ms of CPU",
            [1000 * idle["pages"]["cpu"] / len(idle["pages"]["late"])],
            beside="as many fixed bytes",
            beside_value=1000 * idle["bare"]["cpu"] / len(idle["bare"]["late"]),
        ),
        *(
            over_rounds(
                group,
                f"{name}, while AROME is collected: requests without a page",
                "",
                [sum(found["pages"]["refused"].values())],
                at_most=0,
                beside="with a page",
                beside_value=len(found["pages"]["late"]),
            )
            for name, found in ((WARM, busy), (COLD, cold))
        ),
        over_rounds(group, f"{WARM}: collections completed in that time", "times", [busy["collections"]]),
    ]


async def _loaded(
    url: str, paths: list[str], seconds: float, environment: Load | None, *, warm: bool
) -> dict[str, Any]:
    """Return the loads with `pages` and with `bare` responses of their median size, one after the other."""
    with running("page_server", url=url, environment=environment) as server:
        port = server.line()["port"]
        size = await _asked_once(port, paths if warm else paths[:1])
        pages = await _ask(server, port, paths, seconds)
        bare = await _ask(server, port, [f"{BARE}?bytes={size}"], seconds / 3)
        end = await asyncio.to_thread(server.ended)
    return {"pages": pages, "bare": bare, **end}


async def _ask(server: Child, port: int, paths: list[str], seconds: float) -> Load:
    used = server.cpu_seconds()
    load = await measured(
        "client", port=port, paths=paths, rate=RATE, seconds=seconds, independent=True, headers=HEADERS
    )
    return {**load, "cpu": server.cpu_seconds() - used}


async def _asked_once(port: int, paths: list[str]) -> int:
    """Ask for each page, as the visitors of the minutes before did; return the median of their bytes."""
    sizes = []
    address = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient(base_url=address, timeout=HANG_SECONDS, trust_env=False) as client:

        async def store_is_open() -> bool:
            return (await client.get(paths[0], headers=HEADERS)).status_code != 503

        await until(store_is_open)
        for path in paths:
            response = await client.get(path, headers=HEADERS)
            response.raise_for_status()
            sizes.append(int(response.headers["content-length"]))
    return round(median(sizes))


def _latencies(group: str, name: str, found: dict[str, Any], *, aim: bool = False) -> list[Figure]:
    figures = []
    for share in (0.5, 0.99):
        at_most = MOST_P99_MS if aim and share == 0.99 else None
        figures.append(
            over_rounds(
                group,
                f"{name}: p{100 * share:.0f} of the answers",
                "ms",
                [percentile(found["pages"]["late"], share)],
                at_most=at_most,
                beside="as many fixed bytes",
                beside_value=percentile(found["bare"]["late"], share),
            )
        )
    return figures
