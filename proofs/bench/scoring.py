"""Scores: all days rebuilt, updated after one collection, and the same strata by pandas."""

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


async def bench_scoring(work: Path, quiet: Quiet, *, rounds: int, shape: Scored) -> list[Figure]:
    """Measure on a copy of a store that was filled once."""
    source = filled(work, shape)
    rebuilt: list[dict[str, Any]] = []
    asked: list[dict[str, dict[str, float]]] = []
    verified: list[dict[str, Any]] = []
    verif = shutil.which("verif")
    if verif is None:
        print("verif is not on the PATH: the comparison with it is left out (docs/lab/performance.md)")
    for _ in range(rounds):
        store = work / "scored.sqlite3"
        for leftover in work.glob(f"{store.name}*"):
            leftover.unlink()
        shutil.copy(source, store)
        task = {"url": f"sqlite:///{store}", "sites": shape.sites, "days": shape.days}
        rebuilt.append(await quiet.measure(partial(measured, "scorer", **task)))
        asked.append(await quiet.measure(partial(measured, "asked", **task)))
        if verif is not None:
            verified.append(await quiet.measure(partial(measured, "verified", verif=verif, **task)))
    return [*_figures(shape, rebuilt), *_beside_verif(shape, verified), *_answers(asked)]


def _beside_verif(shape: Scored, found: list[dict[str, Any]]) -> list[Figure]:
    if not found:
        return []
    return [
        over_rounds(
            _group(shape),
            "MAE of the wind speed at 10 sites, seen the evening before, from the stored days",
            "s",
            [run["ours"] for run in found],
            beside="verif, from the file we write",
            beside_value=median(run["verif"] for run in found),
        )
    ]


def _answers(rounds: list[dict[str, dict[str, float]]]) -> list[Figure]:
    group = "GET /api/v1/sites/{id}/…, asked for the first time, a year"
    return [
        over_rounds(
            group,
            question,
            "ms of CPU",
            [of_round[question]["answer"] for of_round in rounds],
            beside="its stored days, read and unpacked bare",
            beside_value=median(of_round[question]["bare"] for of_round in rounds),
        )
        for question in rounds[0]
    ]


def _group(shape: Scored) -> str:
    return f"Scores of {shape.sites} sites × {shape.days} days × 2 models"


def _figures(shape: Scored, found: list[dict[str, Any]]) -> list[Figure]:
    group = _group(shape)

    def of(name: str) -> list[float]:
        return [run[name] for run in found]

    hours = f"{shape.forecast_hours / 1e6:.1f} million forecast hours"
    return [
        over_rounds(group, f"rebuild: {hours}, two processes", "s", of("rebuild"), at_most=60),
        over_rounds(
            group, "rebuild: memory of all processes at their largest", "MB", of("megabytes"), at_most=2000
        ),
        over_rounds(group, "update after one collection of all sites", "s", of("update"), at_most=2),
        over_rounds(group, "days on disk, a site and year", "MB", of("disk_megabytes")),
        over_rounds(
            group,
            "mean error, MAE, RMSE by model, view and hour: 10 sites, from the stored days",
            "s",
            of("strata"),
            beside="pandas, pairs in memory",
            beside_value=median(of("strata_pandas")),
        ),
        over_rounds(group, "verdict of a site and year, wind speed", "ms", of("verdict"), at_most=50),
    ]
