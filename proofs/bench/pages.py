"""Pages of pilots: the first answer with all its charts, the cached one, and the bytes."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from proofs.bench.processes import measured
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.scored import Scored, filled

COLD, CACHED, KILOBYTES = range(3)
MOST_KILOBYTES = {"a site": 150, "the list": 120}


async def bench_pages(work: Path, quiet: Quiet, *, rounds: int, shape: Scored) -> list[Figure]:
    """Measure on a copy of a store that was filled once."""
    source = filled(work, shape)
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        store = work / "paged.sqlite3"
        for leftover in work.glob(f"{store.name}*"):
            leftover.unlink()
        shutil.copy(source, store)
        task = {"url": f"sqlite:///{store}", "sites": shape.sites, "days": shape.days}
        found.append(await quiet.measure(partial(measured, "paged", **task)))
    group = f"Pages of {shape.sites} sites × {shape.days} days × 2 models"
    figures = []

    def of(kind: str, part: int) -> list[float]:
        return [median(page[part] for page in run[kind]) for run in found]

    verdict = median(of("the verdict as JSON", COLD))
    for kind, most in MOST_KILOBYTES.items():
        figures += [
            over_rounds(
                group,
                f"{kind}, asked for the first time",
                "ms",
                of(kind, COLD),
                at_most=250,
                beside="a verdict as JSON, asked for the first time",
                beside_value=verdict,
            ),
            over_rounds(group, f"{kind}, from the cache", "ms", of(kind, CACHED), at_most=20),
            over_rounds(group, f"{kind}, compressed", "kB", of(kind, KILOBYTES), at_most=most),
        ]
    return figures
