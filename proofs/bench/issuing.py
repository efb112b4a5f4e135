"""Corrected forecasts: an evening of all sites, a site-year replayed, and the answer from the record."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from proofs.bench.issued import Shape, filled
from proofs.bench.processes import measured
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds


async def bench_issuing(work: Path, quiet: Quiet, *, rounds: int, shape: Shape) -> list[Figure]:
    """Measure on a copy of a store that was filled once."""
    source = filled(work, shape)
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        store = work / "issued.sqlite3"
        for leftover in work.glob(f"{store.name}*"):
            leftover.unlink()
        shutil.copy(source, store)
        task = {"url": f"sqlite:///{store}", "sites": shape.sites, "days": shape.days}
        found.append(await quiet.measure(partial(measured, "issuer", **task)))
    return _figures(shape, found)


def _figures(shape: Shape, found: list[dict[str, Any]]) -> list[Figure]:
    group = f"Forecasts issued for {shape.sites} sites × 4 parameters, {shape.days} days of history, 4 models"

    def of(name: str) -> list[float]:
        return [run[name] for run in found]

    return [
        over_rounds(
            group,
            f"an evening: two views, two audiences, {of('forecasts')[0]:.0f} rows",
            "s of CPU",
            of("issued"),
            at_most=3,
            beside="each site alone",
            beside_value=median(of("alone")),
        ),
        over_rounds(group, "that evening: memory at its largest", "MB", of("megabytes"), at_most=300),
        over_rounds(group, "a stored state", "kB", of("state_kilobytes")),
        over_rounds(
            group,
            "a site-year replayed from the store, one view, all parameters",
            "s of CPU",
            of("replay"),
            at_most=1,
            beside="with the interval of each day",
            beside_value=median(of("replay_with_intervals")),
        ),
        over_rounds(
            group,
            "the answer of a day, with chances from 90 days",
            "ms of CPU",
            of("asked"),
            at_most=10,
        ),
        over_rounds(
            group,
            "the first answer after new forecasts and readings",
            "ms of CPU",
            of("asked_after_new_data"),
            at_most=10,
            beside="the first answer after a start",
            beside_value=median(of("asked_first")),
        ),
        over_rounds(
            group,
            "the first answer after a start",
            "ms of CPU",
            of("asked_first"),
            beside="its rows read and decompressed bare",
            beside_value=median(of("bare")),
        ),
    ]
