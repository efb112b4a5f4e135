"""Pages as visitors get them: in Chromium over slow 4G, and by Lighthouse."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from backend.tests.support.browser import CHROMIUM
from proofs.bench.lighthoused import CATEGORIES, points
from proofs.bench.npm import node_modules
from proofs.bench.processes import measured, running
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.scored import Scored

LEAST_POINTS = 95
SLOWLY = "in Chromium over slow 4G (1.6 Mbit/s, 150 ms), its processor not slowed down"

HOME_SENTENCE, SITE_SENTENCE, CARD_SENTENCE = "main tbody tr", "main .headline", "body p"


async def bench_visits(
    work: Path, quiet: Quiet, url: str, shape: Scored, *, rounds: int, tiny: bool
) -> list[Figure]:
    """Measure against the service in a process of its own; what is not installed is left out, and named."""
    if CHROMIUM is None:
        print("no Chromium is installed (Debian package chromium): pages in a browser are left out")
        return []
    modules = node_modules(work, install=not tiny)
    with running("page_server", url=url) as server:
        port = server.line()["port"]
        figures = await _in_chromium(quiet, port, shape, rounds)
        if modules is not None:
            figures += await _by_lighthouse(quiet, modules, port, shape)
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
