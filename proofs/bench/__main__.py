"""The bench's command."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from proofs import bench
from proofs.bench.answering import bench_answering
from proofs.bench.collecting import bench_collecting
from proofs.bench.issued import Shape as IssuingShape
from proofs.bench.issuing import bench_issuing
from proofs.bench.layout import bench_layout
from proofs.bench.pages import bench_pages
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, as_json, as_markdown, machine, show
from proofs.bench.scored import Scored
from proofs.bench.scoring import bench_scoring
from proofs.bench.starting import bench_starting
from proofs.bench.storing import bench_storing
from proofs.bench.values import Shape

BENCHES = ("collecting", "answering", "storing", "scoring", "issuing", "pages", "starting", "layout")
SITES, FEW_SITES = (1, 50, 1000), (1, 3)
FULL, TINY = Shape(), Shape(sites=200, hours=20)
YEAR, FORTNIGHT = Scored(), Scored(sites=2, days=15)
MANY, SOME = Scored(sites=1000, days=3), Scored(sites=40, days=2)


async def measure(only: Sequence[str], work: Path, quiet: Quiet, *, rounds: int, tiny: bool) -> list[Figure]:
    """Run the chosen benches, one after the other."""
    counts, shape = (FEW_SITES, TINY) if tiny else (SITES, FULL)
    figures: list[Figure] = []
    if "collecting" in only:
        figures += await bench_collecting(work, quiet, rounds=rounds, counts=counts, full_grid=not tiny)
    if "answering" in only:
        figures += await bench_answering(
            work,
            quiet,
            rounds=rounds,
            seconds=0.5 if tiny else 10,
            counts=counts[1:],
            shape=shape,
            full_grid=not tiny,
        )
    if "storing" in only:
        held = 50_000 if tiny else 10_000_000
        figures += await bench_storing(work, quiet, rounds=rounds, shape=shape, held=held)
    if "scoring" in only:
        figures += await bench_scoring(work, quiet, rounds=rounds, shape=FORTNIGHT if tiny else YEAR)
    if "issuing" in only:
        figures += await bench_issuing(
            work, quiet, rounds=rounds, shape=IssuingShape(sites=3, days=120) if tiny else IssuingShape()
        )
    if "pages" in only:
        figures += await bench_pages(
            work,
            quiet,
            rounds=rounds,
            shape=FORTNIGHT if tiny else YEAR,
            many=SOME if tiny else MANY,
            tiny=tiny,
        )
    if "starting" in only:
        figures += await bench_starting(work, quiet, rounds=rounds, days=15 if tiny else 365)
    if "layout" in only:
        figures += bench_layout()
    return figures


def main() -> None:
    """Measure, print the table, write the figures; the exit code is 1 where an aim is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs.bench",
        description=bench.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("only", nargs="*", help=f"{', '.join(BENCHES)}; all if none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, whose figures have no meaning")
    parser.add_argument("--work", type=Path, default=Path(".bench"), help="a folder for files and stores")
    parser.add_argument("--json", type=Path, help="where the figures go (WORK/figures.json)")
    parser.add_argument(
        "--quiet",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="seconds that each measure waits for a quiet machine; disturbed measures are repeated",
    )
    options = parser.parse_args()
    if unknown := set(options.only) - set(BENCHES):
        parser.error(f"knows no bench {min(unknown)!r}: choose from {', '.join(BENCHES)}")
    work: Path = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    about = machine()
    quiet = Quiet(options.quiet)
    only = options.only or BENCHES
    figures = asyncio.run(measure(only, work, quiet, rounds=options.rounds, tiny=options.tiny))
    show(figures, Console(width=150))
    path = options.json or work / "figures.json"
    path.write_text(
        json.dumps(as_json(figures, {**about, "quiet": asdict(quiet), "rounds": options.rounds}), indent=1)
        + "\n"
    )
    (work / "figures.md").write_text(as_markdown(figures))
    missed = [figure for figure in figures if figure.met is False]
    passed = sum(figure.met is True for figure in figures)
    print(f"{len(figures)} figures in {path}; aims: {passed} passed, {len(missed)} failed")
    for figure in missed:
        print(f"  failed: {figure.group}: {figure.name}: {figure.value:.3g} {figure.unit}, aim {figure.aim}")
    sys.exit(bool(missed) and not options.tiny)


if __name__ == "__main__":
    main()
