"""Counts of the layout: how many functions one answer passes, and how the rooms depend on each other."""

from __future__ import annotations

from backend.tests.support.house_counts import Count, structure, walked
from proofs.bench.report import Figure


def bench_layout() -> list[Figure]:
    """Return the counts of docs/architecture.md. They are the same on every machine."""
    return [
        *(_figure("`score SITE`, counted by a trace", count) for count in walked()),
        *(_figure("Layout", count) for count in structure()),
    ]


def _figure(group: str, count: Count) -> Figure:
    aim = "" if count.aim is None else f"≤ {count.aim}{count.unit}"
    met = None if count.aim is None else count.value <= count.aim
    return Figure(group=group, name=count.name, value=count.value, unit=count.unit.strip(), aim=aim, met=met)
