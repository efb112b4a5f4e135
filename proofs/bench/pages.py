"""Pages of pilots: the first answer with all its charts, the cached one, the bytes, and what visitors get."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from backend.core.local_time import local_day
from backend.scoring.days.rebuild import rebuild
from backend.storage import schema as t
from backend.storage.database import Database
from proofs.bench.crowded import bench_crowd
from proofs.bench.processes import measured
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.scored import Scored, filled
from proofs.bench.visited import bench_visits
from proofs.bench.world import NOW

MOST_COLD_MS, MOST_CACHED_MS = 250, 20
MOST_SITE_KB, MOST_HOME_KB = 150, 120
VERDICT = "the verdict as JSON"


async def bench_pages(
    work: Path, quiet: Quiet, *, rounds: int, shape: Scored, many: Scored, tiny: bool
) -> list[Figure]:
    """Measure on a copy of a store that was filled once; `many` is the store of the long list."""
    url = await asyncio.to_thread(_scored, work, shape)
    asked = partial(measured, "paged", url=url, sites=shape.sites, days=shape.days)
    found = [await quiet.measure(asked) for _ in range(rounds)]
    long = await measured(
        "paged",
        url=await asyncio.to_thread(_scored, work, many),
        sites=many.sites,
        days=many.days,
        kinds=["the list"],
    )
    return [
        *_figures(shape, found, many, long["the list"]),
        *await bench_visits(work, quiet, url, shape, rounds=rounds, tiny=tiny),
        *await bench_crowd(work, quiet, url, shape, tiny=tiny),
    ]


def _scored(work: Path, shape: Scored) -> str:
    """Return the address of a copy of the filled store, with its score days made by the present code."""
    source = filled(work, shape)
    store = work / f"paged-{shape.sites}x{shape.days}.sqlite3"
    for leftover in work.glob(f"{store.name}*"):
        leftover.unlink()
    shutil.copy(source, store)
    url = f"sqlite:///{store}"
    database = Database(url)
    database.migrate()  # the store may have been filled before the newest tables were made
    with database.read() as connection:
        numbers = list(connection.execute(sa.select(t.site.c.id)).scalars())
    database.close()
    rebuild(url, numbers, local_day(NOW), workers=2)
    return url


def _figures(
    shape: Scored, found: list[dict[str, Any]], many: Scored, long: list[dict[str, float]]
) -> list[Figure]:
    group = f"Pages of {shape.sites} sites × {shape.days} days × 2 models, at the server"

    def of(kind: str, part: str) -> list[float]:
        return [median(page[part] for page in run[kind]) for run in found]

    figures = []
    for kind in ("a site", "the list"):
        for suffix, unit in (("", "ms"), ("_cpu", "ms of CPU")):
            figures += [
                over_rounds(
                    group,
                    f"{kind}, asked for the first time",
                    unit,
                    of(kind, f"cold{suffix}"),
                    at_most=MOST_COLD_MS,
                    beside="a verdict as JSON, asked for the first time",
                    beside_value=median(of(VERDICT, f"cold{suffix}")),
                ),
                over_rounds(
                    group,
                    f"{kind}, from the cache",
                    unit,
                    of(kind, f"cached{suffix}"),
                    at_most=MOST_CACHED_MS,
                    beside="asked for the first time",
                    beside_value=median(of(kind, f"cold{suffix}")),
                ),
            ]
    first = "the first page of a process"
    figures.append(over_rounds(group, f"{first}, a small one", "ms of CPU", of(first, "cold_cpu")))
    sizes = {
        "a site": ([page for run in found for page in run["a site"]], MOST_SITE_KB),
        f"the list of {many.sites} sites": (long, MOST_HOME_KB),
    }
    for name, (pages, most) in sizes.items():
        figures.append(
            over_rounds(
                group,
                f"{name}, compressed",
                "kB",
                [page["kilobytes"] for page in pages],
                at_most=most,
                beside="not compressed",
                beside_value=median(page["plain_kilobytes"] for page in pages),
            )
        )
    return figures
