"""How soon the API answers while the service works, beside how soon it answers when it does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from proofs.bench.processes import measured, running
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds, percentile
from proofs.bench.values import Shape
from proofs.bench.world import upstreams, write_sites

STATUS = "/api/scheduler/status"
REQUESTS_PER_SECOND = 100
IDLE = "idle"


async def bench_answering(
    work: Path,
    quiet: Quiet,
    *,
    rounds: int,
    seconds: float,
    counts: Sequence[int],
    shape: Shape,
    full_grid: bool,
) -> list[Figure]:
    """Measure the status route: idle, while AROME is collected, and while batches are stored."""
    sizes = {"sites": shape.sites, "hours": shape.hours}
    loads: dict[str, dict[str, Any]] = {
        IDLE: {"load": "idle"},
        **{f"AROME for {count} sites": {"load": "decode", "count": count} for count in counts},
        f"batches of {shape.values} values": {"load": "store", "shape": sizes, "batches": 4},
    }
    late: dict[str, list[list[float]]] = {name: [] for name in loads}
    jobs: dict[str, list[float]] = {name: [] for name in loads}
    async with upstreams(work, full_grid=full_grid) as standing_in:

        async def ask(load: dict[str, Any]) -> tuple[list[float], int]:
            sites = write_sites(work, load.get("count", 1))
            with running("server", environment=standing_in.environment, sites=sites, **load) as server:
                port = server.line()["port"]
                requests = {"port": port, "paths": [STATUS], "rate": REQUESTS_PER_SECOND, "seconds": seconds}
                asked = await measured("client", **requests)
                if asked["refused"]:
                    raise RuntimeError(f"not answered: {asked['refused']}")
                return asked["late"], server.ended()["jobs"]

        for _ in range(rounds):
            for name, load in loads.items():
                found, done = await quiet.measure(partial(ask, load))
                late[name].append(found)
                jobs[name].append(done)
    return _figures(late, jobs)


def _figures(late: dict[str, list[list[float]]], jobs: dict[str, list[float]]) -> list[Figure]:
    group = f"GET {STATUS}, {REQUESTS_PER_SECOND} a second"
    figures = []
    idle = {share: _each(late[IDLE], share) for share in (0.5, 0.99)}
    for name, rounds in late.items():
        allowed = 15 if name.startswith("batches") else 5
        for share, beside in idle.items():
            found = _each(rounds, share)
            compared: dict[str, Any] = {}
            if name != IDLE:
                compared = {"beside": IDLE, "beside_value": median(beside)}
                if share == 0.99:
                    compared |= {
                        "aim": f"idle + {allowed} ms",
                        "met": median(found) <= median(beside) + allowed,
                    }
            figures.append(over_rounds(group, f"{name}: p{100 * share:.0f}", "ms", found, **compared))
        if name != IDLE:
            figures.append(over_rounds(group, f"{name}: completed in that time", "times", jobs[name]))
    return figures


def _each(rounds: list[list[float]], share: float) -> list[float]:
    return [percentile(late, share) for late in rounds]
