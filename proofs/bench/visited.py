"""Pages as visitors get them: in Chromium over slow 4G, by Lighthouse, and 200 requests a second."""

from __future__ import annotations

import asyncio
import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from backend.tests.support.browser import CHROMIUM
from backend.tests.support.waiting import HANG_SECONDS
from proofs.bench.lighthoused import CATEGORIES, points
from proofs.bench.npm import node_modules
from proofs.bench.page_service import mixed_paths
from proofs.bench.processes import measured, running
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.scored import Scored
from proofs.bench.world import upstreams

RATE, CONNECTIONS = 200, 100
LEAST_POINTS = 95
SLOWLY = "in Chromium over slow 4G (1.6 Mbit/s, 150 ms), its processor not slowed down"

HOME_SENTENCE, SITE_SENTENCE, CARD_SENTENCE = "main tbody tr", "main .headline", "body p"


async def bench_visits(
    work: Path, quiet: Quiet, url: str, shape: Scored, *, rounds: int, tiny: bool
) -> list[Figure]:
    """Measure against the service in a process of its own; what is not installed is left out, and named."""
    figures: list[Figure] = []
    modules = node_modules(work, install=not tiny)
    if CHROMIUM is None:
        print("no Chromium is installed (Debian package chromium): pages in a browser are left out")
    else:
        with running("page_server", url=url) as server:
            port = server.line()["port"]
            figures += await _in_chromium(quiet, port, shape, rounds)
            if modules is not None:
                figures += await _by_lighthouse(quiet, modules, port, shape)
    if modules is not None:
        figures += await _under_load(work, quiet, modules, url, shape, seconds=5 if tiny else 30, tiny=tiny)
    return figures


async def _in_chromium(quiet: Quiet, port: int, shape: Scored, rounds: int) -> list[Figure]:
    sites = shape.list_sites()
    names: dict[str, list[dict[str, float]]] = {"the list": [], "a site": [], "a card of /embed": []}
    for turn in range(rounds):
        site = sites[-1 - turn % len(sites)]  # one that has not been asked for yet
        pages = {
            f"/?lim={31 + turn}": HOME_SENTENCE,
            f"/sites/{site.id}": SITE_SENTENCE,
            f"/embed/sites/{site.id}": CARD_SENTENCE,
        }
        found = await quiet.measure(partial(measured, "browsed", port=port, pages=pages))
        for name, of_page in zip(names, found.values(), strict=True):
            names[name].append(of_page)

    def of(name: str, part: str) -> list[float]:
        return [each[part] for each in names[name]]

    card = names.pop("a card of /embed")
    return [
        over_rounds(
            f"Pages {SLOWLY}",
            f"{name}, asked for the first time: {words}",
            "ms",
            of(name, part),
            at_most=most,
            beside="a card of /embed, the same",
            beside_value=sorted(each[part] for each in card)[len(card) // 2],
        )
        for name in names
        for part, words, most in (("sentence", "first sentence", 1500), ("whole", "whole page", 3000))
    ]


async def _by_lighthouse(quiet: Quiet, modules: Path, port: int, shape: Scored) -> list[Figure]:
    figures = []
    for name, path in {"the list": "/", "a site": f"/sites/{shape.list_sites()[0].id}"}.items():
        address = f"http://127.0.0.1:{port}{path}"
        found = await quiet.measure(partial(asyncio.to_thread, points, modules, address))
        figures += [
            Figure(
                group="Lighthouse, its phone on slow 4G, the processor four times slower",
                name=f"{name}: {category}",
                value=found[category],
                unit="points",
                aim=f"≥ {LEAST_POINTS} points",
                met=found[category] >= LEAST_POINTS,
            )
            for category in CATEGORIES
        ]
    return figures


async def _under_load(
    work: Path, quiet: Quiet, modules: Path, url: str, shape: Scored, *, seconds: int, tiny: bool
) -> list[Figure]:
    paths = mixed_paths(shape.list_sites())

    async def ask(
        environment: dict[str, Any] | None, *, asked_before: bool
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        with running("page_server", url=url, environment=environment) as server:
            address = f"http://127.0.0.1:{server.line()['port']}"
            if asked_before:
                await _ask_each(address, paths)
            task = {"url": address, "paths": paths, "rate": RATE}
            task |= {"seconds": seconds, "connections": CONNECTIONS}
            result = await asyncio.to_thread(_autocannon, modules, task)
            return result, await asyncio.to_thread(server.ended)

    async with upstreams(work, full_grid=not tiny) as standing_in:
        collecting = standing_in.environment
        idle, _ = await quiet.measure(partial(ask, None, asked_before=True))
        busy, end = await quiet.measure(partial(ask, collecting, asked_before=True))
        cold, _ = await quiet.measure(partial(ask, collecting, asked_before=False))
    group = f"{RATE} requests a second of {len(paths)} mixed pages, {CONNECTIONS} connections"
    figures = []
    for share in ("p50", "p99"):
        aim: dict[str, Any] = {"at_most": 100} if share == "p99" else {}
        for name, result in (("asked for before", busy), ("none asked for before", cold)):
            figures.append(
                over_rounds(
                    group,
                    f"while AROME is collected for {shape.sites} sites, {name}: {share}",
                    "ms",
                    [result["latency"][share]],
                    beside="asked for before, without a collection",
                    beside_value=idle["latency"][share],
                    **aim,
                )
            )
    for name, result in (("asked for before", busy), ("none asked for before", cold)):
        wrong = result["errors"] + result["timeouts"] + result["non2xx"]
        answered = result["2xx"] / result["duration"]
        figures += [
            over_rounds(group, f"{name}: errors", "", [wrong], at_most=0),
            Figure(
                group=group,
                name=f"{name}: answers a second",
                value=answered,
                unit="",
                beside="asked for",
                beside_value=RATE,
                aim=f"≥ {0.98 * RATE:g}",
                met=answered >= 0.98 * RATE,
            ),
        ]
    return [
        *figures,
        over_rounds(group, "collections completed in that time", "times", [end["collections"]]),
    ]


async def _ask_each(address: str, paths: list[str]) -> None:
    """Ask for each page once, as the visitors of the minutes before did."""
    async with httpx2.AsyncClient(base_url=address, timeout=HANG_SECONDS, trust_env=False) as client:
        for path in paths:
            (await client.get(path, headers={"Accept-Language": "en"})).raise_for_status()


def _autocannon(modules: Path, task: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        ("node", str(Path(__file__).with_name("load.cjs")), json.dumps(task)),
        env={"PATH": "/usr/bin:/bin", "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=task["seconds"] + 120,
    )
    if done.returncode:
        raise RuntimeError(f"autocannon: {done.stderr[-1000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
