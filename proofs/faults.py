"""The fault matrix: every source and route under every fault, by the real runner on a real store.

    python -m proofs.faults [--route ffvl/page] [--fault hang] [--markdown]

Each fault strikes twice: all responses of an upstream, and one response of several. Each cell asserts that
the source is not successful if data were removed; that no wrong value is stored; that the other source of
the job is successful and on time; that the API and the command line show the reason; and that all values
that the source still offers are stored after the fault. docs/lab/reliability.md has the table.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from backend.core.config import Settings
from backend.core.logs import configure_logging
from backend.demo.faults import Fault
from proofs.fault_bench import MARCH, OCTOBER, SUMMER, Bench, Judged, References, Way
from proofs.fault_sensors import DeadSensor, Death

LANES = 4
"""How many benches run in parallel: most of a cell is waiting, or the work of other processes."""

WORDS = 72  # of a reason

METEO_PARAPENTE = Way("meteo_parapente", "api", ("meteo_parapente",), one="location=45.81400")
STORAGE = Way("arome", "object_storage", ("arome",), one="__07H12H__")
PORTAL = Way("arome", "portal", ("meteofrance_api",), one="time=07H12H")
OPEN_METEO = Way("arome", "open_meteo", ("open_meteo", "open_meteo_single_runs"), one="/v1/forecast")
FFVL = Way("ffvl", "keyed", ("ffvl",), one="idbalise=9002")
WINDS_MOBI = Way("ffvl", "winds_mobi", ("winds_mobi",), one="ffvl-9002/historic")
FFVL_PAGE = Way("ffvl", "page", ("balisemeteo",), one="idBalise=9002")
ROMMA = Way("romma", "keyed", ("romma",), own="/releves_romma_xml.php")
ROMMA_PAGE = Way("romma", "page", ("romma",), one="id=902")
PIOUPIOU = Way("pioupiou", "live", ("pioupiou",), one="/archive/8002")
METEOFRANCE = Way("meteofrance", "portal", ("meteofrance_api",), one="id_station=74000002")
MASTS = Way("meteofrance_hourly", "files", ("meteofrance_hourly",))
METEOSWISS = Way("meteoswiss", "winds_mobi", ("winds_mobi",), one="meteoswiss-DEM2", own="meteoswiss")
SLF = Way("slf", "winds_mobi", ("winds_mobi",), one="slf-DEM2", own="slf")
IFS = Way("arome_ifs", "object_storage", ("arome",), one="aromeifs__0025__SP1__07H12H", own="/aromeifs/")
ARPEGE = Way("arpege", "object_storage", ("arome",), one="arpege__01__SP1__000H012H", own="/arpege/")
METEOHUB = Way("meteohub", "folders", ("meteohub",), one="U_10M/", later=timedelta(hours=6))
MODELS = Way("open_meteo", "single_runs", ("open_meteo", "open_meteo_single_runs"), one="models=ecmwf_ifs025")
GEOSPHERE = Way("geosphere", "timeseries", ("geosphere",), one="forecast_offset=1")
WAYS = (
    *(METEO_PARAPENTE, STORAGE, PORTAL, OPEN_METEO, FFVL, WINDS_MOBI, FFVL_PAGE, ROMMA, ROMMA_PAGE),
    *(PIOUPIOU, METEOFRANCE, MASTS, METEOSWISS, SLF, MODELS, IFS, ARPEGE, METEOHUB, GEOSPHERE),
)

DOUBLED_HOUR = "doubled_hour"
"""No fault: the second 02:35 of a night in October has to become the right instant."""

FAULTS = (*(fault.value for fault in Fault), DOUBLED_HOUR)
MOMENTS = {Fault.MISSING_HOUR: MARCH, DOUBLED_HOUR: OCTOBER}

HARMLESS = {Fault.LATIN_1, Fault.MOVED, DOUBLED_HOUR}
"""Faults that a parser may read without a loss, so that they leave no trace."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A route under a fault, which strikes all responses or one only."""

    way: Way
    fault: str
    one: bool = False

    @property
    def strikes(self) -> dict[str, str]:
        """Return the faults by upstream."""
        if self.fault == DOUBLED_HOUR:
            return {}
        if self.one:
            return {self.way.upstreams[-1]: f"{self.fault}@{self.way.one}"}
        return dict.fromkeys(self.way.upstreams, self.fault)

    @property
    def moment(self) -> datetime:
        """Return when it strikes."""
        return MOMENTS.get(self.fault, SUMMER) + self.way.later

    @property
    def name(self) -> str:
        """Return its name in the tables."""
        return f"{self.way.name:<24} {self.fault:<15} {'one answer' if self.one else 'everything'}"

    async def judge(self, bench: Bench) -> Judged:
        """Collect, and judge the source."""
        return await bench.judge(self.way, self.strikes, self.moment, harmless=self.fault in HARMLESS)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Routes of one source, best first: all but the last are down, and then come back.

    `replaced` is True if values of the best route must replace those of the last one.
    """

    ways: tuple[Way, ...]
    replaced: bool = True

    @property
    def name(self) -> str:
        """Return its name in the tables."""
        best, *_, last = self.ways
        return f"{best.name:<24} {'down':<15} by {last.route}"

    async def judge(self, bench: Bench) -> Judged:
        """Collect, and judge the source."""
        return await bench.judge_fallback(self.ways, replaced=self.replaced)


@dataclass(frozen=True, slots=True)
class Moved:
    """A route whose beacons state another position for good: the series of their sites end there."""

    way: Way

    @property
    def name(self) -> str:
        """Return its name in the tables."""
        return f"{self.way.name:<24} {'moved':<15} for good"

    async def judge(self, bench: Bench) -> Judged:
        """Collect, and judge the source."""
        return await bench.judge_move(self.way)


Case = Cell | Fallback | DeadSensor | Moved

SENSORS = tuple(map(DeadSensor, Death))

FALLBACKS = (
    Fallback((STORAGE, PORTAL), replaced=False),  # the same files
    Fallback((STORAGE, PORTAL, OPEN_METEO)),
    Fallback((FFVL, WINDS_MOBI)),
    Fallback((FFVL, WINDS_MOBI, FFVL_PAGE)),
    Fallback((ROMMA, ROMMA_PAGE)),
)

MOVES = tuple(Moved(way) for way in (FFVL, WINDS_MOBI, ROMMA, PIOUPIOU, METEOFRANCE, MASTS, SLF))

_PARIS = {FFVL, FFVL_PAGE, ROMMA, ROMMA_PAGE}
_BY_WINDS_MOBI = {WINDS_MOBI, METEOSWISS, SLF}
_ROWS = {FFVL, *_BY_WINDS_MOBI, ROMMA, PIOUPIOU, METEOFRANCE, MASTS}
_GUSTS = {FFVL, *_BY_WINDS_MOBI, FFVL_PAGE, ROMMA_PAGE, PIOUPIOU, METEOFRANCE}
_GRIB = {STORAGE, PORTAL, IFS, ARPEGE, METEOHUB}
_GROUPED = {OPEN_METEO, MODELS, GEOSPHERE}


def why_not(cell: Cell) -> str | None:
    """Return why a cell is not applicable, or None."""
    way, one = cell.way, cell.one
    match cell.fault:
        case Fault.MISSING_HOUR | "doubled_hour" if way not in _PARIS:
            return "its times are UTC"
        case "doubled_hour" if one:
            return "it is the same for every response"
        case Fault.STALE if way is MASTS:
            return "rows two days old are usual there: the source is stale after six days"
        case Fault.STALE if one:
            return "age is judged by source; a single silent station is shown by meteo-score doctor"
        case Fault.FUTURE if one and way is METEO_PARAPENTE:
            return "a sounding carries no stamp of its own"
        case Fault.ZERO_MEAN if way is MASTS:
            return "its gust is of an hour, its mean of ten minutes: a calm beside a gust is plausible"
        case Fault.ZERO_MEAN if way not in _GUSTS:
            return "its readings have no gusts"
        case Fault.NO_GUSTS if way not in {*_GRIB, *_GROUPED}:
            return "it has no model gusts"
        case Fault.NO_GUSTS | Fault.NO_TEMPERATURE if one and way is METEOHUB:
            return "the file of the wind has no other field"
        case Fault.NO_PLACE if way not in _GROUPED:
            return "none of its responses covers several sites"
        case Fault.MOVED if way not in _ROWS or one:
            return "no position is stated there"
        case Fault.ODD_ROW if way not in _ROWS:
            return "its responses are not rows of stations"
        case Fault.LATIN_1 if way is MASTS:
            return "a compressed file is not text; its parser reads both encodings"
        case Fault.LATIN_1 if one and way in _GRIB:
            return "a GRIB file is not text"
        case Fault.NO_TEMPERATURE if way in {*_BY_WINDS_MOBI, FFVL_PAGE, ROMMA_PAGE} or (one and way is FFVL):
            return "a station without a thermometer looks the same"
        case Fault.NO_TEMPERATURE if way is PIOUPIOU:
            return "it measures wind only"
    return None if way.one or not one else "one request returns everything"


def all_cells() -> Iterator[Cell]:
    """Yield each combination of fault, extent and route."""
    return (Cell(way, fault, one) for fault in FAULTS for one in (False, True) for way in WAYS)


@dataclass
class Report:
    """The cases judged so far."""

    judged: dict[Case, Judged] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Return how many cases have problems."""
        return sum(bool(judged.problems) for judged in self.judged.values())

    def line(self, case: Case) -> str:
        """Return a case as a line of the table: its outcome, the reason, and the problems."""
        outcome, problems = self.judged[case].outcome, self.judged[case].problems
        rejected = ", ".join(f"{count} {word}" for word, count in outcome.rejected_reasons.items())
        words = outcome.reason or (f"rejected {rejected}" if rejected else "")
        line = f"{case.name:<52} {outcome.status:<11} {words[:WORDS]}".rstrip()
        return "\n".join((line, *(f"    WRONG: {problem}" for problem in problems)))

    def markdown(self) -> Iterator[str]:
        """Yield the matrix for docs/lab/reliability.md: all responses struck / one response struck.

        Faults with the same outcomes share a row.
        """
        yield f"| fault | {' | '.join(f'`{way.name}`' for way in WAYS)} |"
        yield f"| --- |{' --- |' * len(WAYS)}"
        rows: dict[str, list[str]] = {}
        for fault in FAULTS:
            pairs = ([self._status(Cell(way, fault, one)) for one in (False, True)] for way in WAYS)
            rows.setdefault(" | ".join(" / ".join(pair) for pair in pairs), []).append(f"`{fault}`")
        for outcomes, faults in rows.items():
            yield f"| {', '.join(faults)} | {outcomes} |"

    def _status(self, cell: Cell) -> str:
        return self.judged[cell].outcome.status if cell in self.judged else "–"


async def judge_all(cases: Sequence[Case], folder: Path, lanes: int, report: Report) -> None:
    """Judge every case, several at a time."""
    references: References = {}
    waiting = iter(cases)
    columns = (TextColumn("{task.description:<60}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)

    async def lane(number: int) -> None:
        async with Bench(folder / str(number), references) as bench:
            for case in waiting:
                report.judged[case] = await case.judge(bench)
                bar.update(task, advance=1, description=case.name)

    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(cases))
        async with asyncio.TaskGroup() as group:
            for number in range(lanes):
                group.create_task(lane(number))


def main() -> None:
    """Print the table, and exit with 1 if a cell failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--route", default="", help="only routes whose name contains this")
    parser.add_argument(
        "--fault",
        choices=(*FAULTS, *(death.value for death in Death)),
        help="only this fault, and no fallbacks",
    )
    parser.add_argument("--lanes", type=int, default=LANES, help="how many benches run in parallel")
    parser.add_argument("--markdown", action="store_true", help="print the matrix of the documentation too")
    options = parser.parse_args()
    chosen = [
        cell for cell in all_cells() if options.route in cell.way.name and options.fault in {None, cell.fault}
    ]
    cells = [cell for cell in chosen if not why_not(cell)]
    fallbacks = [
        fallback
        for fallback in FALLBACKS
        if not options.fault and any(options.route in way.name for way in fallback.ways)
    ]
    sensors = [sensor for sensor in SENSORS if options.fault in {None, sensor.death} and not options.route]
    moves = [
        move for move in MOVES if options.fault in {None, Fault.MOVED} and options.route in move.way.name
    ]
    began, report = time.monotonic(), Report()
    cases: list[Case] = [*cells, *fallbacks, *sensors, *moves]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # without the .env of the developer
        configure_logging(Settings.load(), level="CRITICAL")
        asyncio.run(judge_all(cases, Path(folder), options.lanes, report))
    for case in cases:
        print(report.line(case))
    for cell in chosen:
        if reason := why_not(cell):
            print(f"{cell.name:<52} {'–':<11} not applicable: {reason}")
    if options.markdown:
        print("\n".join(("", *report.markdown(), "")))
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{len(report.judged) - report.failed} passed, {report.failed} failed")
    sys.exit(bool(report.failed))


if __name__ == "__main__":
    main()
