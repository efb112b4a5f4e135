"""A forecast and an observation collection for few and for many sites, beside a plain decoding loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from backend.core.registry import DEFAULT_SOURCES
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from proofs.bench.processes import measured, running
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.world import NOW, arome_files, upstreams, write_sites

Found = dict[int, list[dict[str, Any]]]
"""The results of each fresh process, by the number of sites."""

# Addresses with a response for all stations or sites; any other is about one beacon or one cell.
_BULK = frozenset({"listing", "arome", "list", "releves_meteo", "releves_romma_xml.php", "status.php"})

_MOMENTS = (NOW, NOW + timedelta(minutes=10))


async def bench_collecting(
    work: Path, quiet: Quiet, *, rounds: int, counts: Sequence[int], full_grid: bool
) -> list[Figure]:
    """Measure collections for each number of sites."""
    async with upstreams(work, full_grid=full_grid) as standing_in:
        files = arome_files(work, full_grid=full_grid)
        paths = {count: write_sites(work, count) for count in counts}
        arome: Found = defaultdict(list)
        cold: list[dict[str, Any]] = []
        beacons: Found = defaultdict(list)
        loops: list[dict[str, Any]] = []

        async def collect(
            count: int, job: JobId, *sources: str, lookback: int = 7, warm: bool = True
        ) -> dict[str, Any]:
            moments = _MOMENTS if job == OBSERVATIONS else _MOMENTS[:1]
            task = {"sites": paths[count], "job": job, "sources": sources, "lookback": lookback, "warm": warm}
            with running(
                "collection",
                environment=standing_in.environment,
                moments=[moment.isoformat() for moment in moments],
                **task,
            ) as child:
                for moment in moments[1:]:
                    child.line()
                    await standing_in.set_clock(moment)
                    child.go_on()
                found = child.line()
            await standing_in.set_clock(NOW)
            return found

        for _ in range(rounds):
            decode = partial(measured, "decoding", files=files, sites=paths[counts[-1]])
            loops.append(await quiet.measure(decode))
            for count in counts:
                arome[count].append(await quiet.measure(partial(collect, count, FORECASTS, "arome")))
            first = partial(collect, counts[0], FORECASTS, "arome", warm=False)
            cold.append(await quiet.measure(first))
            for count in counts:
                both = partial(collect, count, OBSERVATIONS, "ffvl", "romma")
                beacons[count].append(await quiet.measure(both))
        # The requests of this model grow with the number of sites, and the spacing is switched off here.
        parapente = {
            count: [await quiet.measure(partial(collect, count, FORECASTS, "meteo_parapente", lookback=13))]
            for count in counts
            if count <= 50
        }
        whole = {
            count: [
                await quiet.measure(partial(collect, count, job, *DEFAULT_SOURCES, lookback=lookback))
                for job, lookback in ((FORECASTS, 13), (OBSERVATIONS, 7))
            ]
            for count in counts
            if count <= 50
        }
    _check_equal_work(arome[counts[-1]][-1], loops[-1])
    return [
        *_arome(arome, cold, [loop["seconds"] for loop in loops], [loop["cpu"] for loop in loops]),
        *_memory(arome),
        *_observations(beacons),
        *_parapente(parapente),
        *(
            over_rounds("All default sources", f"{_sites(count)}: {name}", "s", [sum(each)])
            for count, runs in whole.items()
            for name, each in (
                ("both jobs", _of(runs, "seconds")),
                ("of the processor", [run["service_cpu"] + run["decode_cpu"] for run in runs]),
            )
        ),
    ]


def _arome(
    found: Found, cold: list[dict[str, Any]], loop: list[float], loop_cpu: list[float]
) -> list[Figure]:
    group = "AROME, one run of nine files"
    fewest, most = min(found), max(found)
    figures = [over_rounds(group, "plain ecCodes loop over the same messages, in memory", "s", loop)]
    for count, runs in found.items():
        fetched = [run["rounds"][0]["fetched"] for run in runs]
        ratios = [seconds / beside for seconds, beside in zip(fetched, loop, strict=True)]
        figures += [
            over_rounds(
                group,
                f"{_sites(count)}: fetch, decode, extract",
                "s",
                fetched,
                beside="loop",
                beside_value=median(loop),
                aim="ratio ≤ 1.3",
                met=median(ratios) <= 1.3,
            ),
            over_rounds(group, f"{_sites(count)}: stored as well", "s", _of(runs, "seconds")),
            over_rounds(group, f"{_sites(count)}: requests", "", _of(runs, "requests")),
        ]
    figures.append(
        over_rounds(
            group,
            f"{_sites(fewest)}: fetch, decode, extract, and start the worker first",
            "s",
            _of(cold, "fetched"),
            beside="loop",
            beside_value=median(loop),
        )
    )
    few, many = (_of(found[count], "fetched") for count in (fewest, most))
    growth = [more / less for more, less in zip(many, few, strict=True)]
    requests = {median(_of(runs, "requests")) for runs in found.values()}
    return [
        *figures,
        over_rounds(group, f"{most} sites ÷ {_sites(fewest)}", "×", growth, at_most=1.2),
        Figure(
            group=group,
            name="different numbers of requests for different numbers of sites",
            value=len(requests),
            unit="",
            aim="1",
            met=len(requests) == 1,
        ),
        over_rounds(
            group,
            f"{_sites(most)}: share of downloading that happens while a file is decoded",
            "%",
            [100 * overlap(run["downloads"][1:], run["decodes"]) for run in found[most]],
            aim="the next file downloads while one decodes",
            met=all(overlap(run["downloads"][1:], run["decodes"]) > 0.5 for run in found[most]),
        ),
        over_rounds(
            group,
            f"{_sites(most)}: decoding alone, in the worker",
            "s",
            [sum(end - start for start, end in run["decodes"]) for run in found[most]],
            beside="loop",
            beside_value=median(loop),
        ),
        over_rounds(
            group,
            f"{_sites(most)}: decoding, of the processor",
            "s",
            [run["decode_cpu"] for run in found[most]],
            beside="loop",
            beside_value=median(loop_cpu),
        ),
        over_rounds(
            group,
            f"{_sites(most)}: downloading alone",
            "s",
            [sum(end - start for start, end in run["downloads"]) for run in found[most]],
        ),
    ]


def overlap(downloads: Sequence[Sequence[float]], decodes: Sequence[Sequence[float]]) -> float:
    """Return the share of the time spent downloading in which a file was being decoded."""
    total = sum(end - start for start, end in downloads)
    shared = sum(
        max(0.0, min(end, until) - max(start, since)) for start, end in downloads for since, until in decodes
    )
    return shared / total if total else 0.0


def _memory(found: Found) -> list[Figure]:
    group = "Peak memory (resident) while AROME is collected and stored"
    figures = []
    for count, runs in found.items():
        limit = 250 if count <= 100 else 600
        service, worker = ([run[f"{name}_megabytes"] for run in runs] for name in ("service", "worker"))
        figures += [
            over_rounds(group, f"{_sites(count)}: service", "MB", service, at_most=limit),
            over_rounds(group, f"{_sites(count)}: GRIB worker", "MB", worker, at_most=limit),
        ]
    return figures


def _observations(found: Found) -> list[Figure]:
    group = "Observations, FFVL and ROMMA with keys"
    figures = []
    for count, runs in found.items():
        for index, name in enumerate(("first, with 7 h of history", "ten minutes later")):
            rounds = [run["rounds"][index] for run in runs]
            figures += [
                over_rounds(group, f"{_sites(count)}, {name}", "s", [round_["seconds"] for round_ in rounds]),
                over_rounds(
                    group,
                    f"{_sites(count)}, {name}: requests for all beacons at once",
                    "",
                    [_bulk(round_) for round_ in rounds],
                ),
                over_rounds(
                    group,
                    f"{_sites(count)}, {name}: requests for one beacon",
                    "",
                    [round_["requests"] - _bulk(round_) for round_ in rounds],
                ),
            ]
    bulk = {(_bulk(run["rounds"][0]), _bulk(run["rounds"][1])) for runs in found.values() for run in runs}
    peak = max(run["service_megabytes"] for runs in found.values() for run in runs)
    return [
        *figures,
        Figure(
            group=group,
            name="different numbers of bulk requests for different numbers of sites",
            value=len(bulk),
            unit="",
            aim="1",
            met=len(bulk) == 1,
        ),
        Figure(
            group=group, name="service at its largest", value=peak, unit="MB", aim="≤ 250 MB", met=peak <= 250
        ),
    ]


def _parapente(found: dict[int, list[dict[str, Any]]]) -> list[Figure]:
    group = "MeteoParapente, spacing 0 instead of 1.5 s"
    figures = []
    for count, runs in found.items():
        requests = _of(runs, "requests")
        figures += [
            over_rounds(group, _sites(count), "s", _of(runs, "seconds")),
            over_rounds(group, f"{_sites(count)}: requests", "", requests),
            over_rounds(
                group,
                f"{_sites(count)}: per request",
                "ms",
                [1000 * run / asked for run, asked in zip(_of(runs, "seconds"), requests, strict=True)],
                beside="latency",
                beside_value=50,
            ),
        ]
    return figures


def _bulk(round_: dict[str, Any]) -> int:
    return sum(number for word, number in round_["asked"].items() if word in _BULK)


def _check_equal_work(collected: dict[str, Any], loop: dict[str, Any]) -> None:
    """Raise RuntimeError if the collection and the loop did not read the same numbers."""
    ours, theirs = collected["rounds"][0]["mean_temperature"], loop["mean_temperature"]
    if abs(ours - theirs) > 1e-6:
        raise RuntimeError(f"the collection read a mean temperature of {ours}, the plain loop {theirs}")


def _of(runs: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [run["rounds"][0][name] for run in runs]


def _sites(count: int) -> str:
    return "1 site" if count == 1 else f"{count} sites"
