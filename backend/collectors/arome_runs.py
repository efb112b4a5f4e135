"""What a run of AROME is made of, whichever route it comes by: its grid, its parts, its files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self

from backend.collectors.areas import Area
from backend.collectors.base import Fetch, Request
from backend.core.records import Site, Wanted

NAME = "arome"
PACKAGE = "SP1"
"""The package of files that holds wind, gust and temperature near the ground."""

LONGEST_LEAD = 51
"""How far every run goes, in hours."""

MAX_FILE_BYTES = 500_000_000
"""Ten times what the largest file had in 2026."""

_HOUR = timedelta(hours=1)
_GROUP = re.compile(r"(\d{2,3})H(?:(\d{2,3})H)?")


_AREA = Area(south=37.5, west=-12.0, north=55.4, east=16.0)


@dataclass(frozen=True, slots=True)
class AromeGrid:
    """One of the grids that AROME and its siblings are published on; `degrees` between cells.

    `source` collects it, `product` is what its files are called, and `process` tells in GRIB whose they are.
    `area` is that of its grid, of which a sixth near the edges is masked.
    `ground` names the file that holds the height of the model's ground: its package and its part.
    """

    code: str
    degrees: float
    ground: tuple[str, str]
    source: str = NAME
    area: Area = _AREA
    product: str = "arome"
    process: int = 204

    @property
    def model(self) -> str:
        """Return the model's name in our records: each grid is scored as a model of its own."""
        return f"{self.source}_{self.code}"


_GROUND_0025, _GROUND_001 = ("SP2", "00H06H"), ("SP3", "00H")
GRIDS = {
    grid.code: grid for grid in (AromeGrid("0025", 0.025, _GROUND_0025), AromeGrid("001", 0.01, _GROUND_001))
}
AROME_IFS = AromeGrid("0025", 0.025, _GROUND_0025, source="arome_ifs", product="aromeifs", process=254)
"""The same model started from ECMWF's analysis and not from ARPEGE's."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A piece of a run: the lead times from `first` to `last`, in hours, both included, every `step`."""

    first: int
    last: int
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read "06H" or "00H06H"; None for anything else."""
        match = _GROUP.fullmatch(text)
        if not match:
            return None
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        return cls(first, last) if first <= last else None

    @property
    def name(self) -> str:
        """Return what the part is called in files and records."""
        return f"{self.first:02}H" if self.first == self.last else f"{self.first:02}H{self.last:02}H"

    @property
    def leads(self) -> range:
        """Return its lead times in hours."""
        return range(self.first, self.last + 1, self.step)

    def until(self, max_lead: int) -> Self:
        """Return what is left of it up to `max_lead`.

        The name says how far that goes, so that a part once cut short is collected again, whole, after
        the setting was raised.
        """
        return type(self)(self.first, min(self.last, max_lead), self.step)


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A published file: the part of the run that we want of it, and how to ask for it.

    `version` is its size and stamp in the listing; empty where the listing has none.
    """

    part: Part
    request: Request
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """A run and the files that are there; `absent` are the parts of which there is no file.

    `available_at` is None where the publisher does not say.
    """

    reference_time: datetime
    files: tuple[PackageFile, ...]
    seen_at: datetime
    absent: tuple[Part, ...] = ()
    available_at: datetime | None = None


class Catalogue(Protocol):
    """Where a route's runs are listed. Raises CollectorError where the listing cannot be read."""

    async def candidates(self, cycles: Sequence[datetime], fetch: Fetch) -> Sequence[datetime]:
        """Return those of the cycles, newest first, that are worth a look."""
        ...

    async def find(self, reference_time: datetime, fetch: Fetch) -> PublishedRun:
        """Return a run with the files that are there: all, some or none of them."""
        ...

    def ground(self, reference_time: datetime) -> Request:
        """Return how to ask for the file of a run that holds the height of the model's ground."""
        ...


def cycles(wanted: Wanted, hours: Collection[int]) -> list[datetime]:
    """Return the reference times at the given hours (UTC) that are still wanted, newest first."""
    newest = wanted.now if wanted.until is None else min(wanted.now, wanted.until)
    moment = newest.replace(minute=0, second=0, microsecond=0)
    found = []
    while moment > wanted.since:
        if moment.hour in hours:
            found.append(moment)
        moment -= _HOUR
    return found


def parts_of(grid: AromeGrid, max_lead: int) -> list[Part]:
    """Return the parts as Météo-France cuts them, for a route that does not: seven hours, sixes, three."""
    last = range(LONGEST_LEAD + 1) if grid.code == "001" else (*range(6, LONGEST_LEAD, 6), LONGEST_LEAD)
    first = (0, *(hour + 1 for hour in last[:-1]))
    whole = (Part(start, end) for start, end in zip(first, last, strict=True))
    return [part.until(max_lead) for part in whole if part.first <= max_lead]


def absent_parts(grid: AromeGrid, there: Iterable[Part], max_lead: int) -> tuple[Part, ...]:
    """Return the parts up to `max_lead` with an hour that no part holds of those that are there."""
    held = {lead for part in there for lead in part.leads}
    return tuple(part for part in parts_of(grid, max_lead) if not held.issuperset(part.leads))


_NO_VERSIONS: Mapping[Part, str] = {}


def parts_by_missing_sites(
    wanted: Wanted,
    model: str,
    reference_time: datetime,
    parts: Iterable[Part],
    rank: int,
    versions: Mapping[Part, str] = _NO_VERSIONS,
) -> dict[tuple[Site, ...], list[Part]]:
    """Return which parts of a run are missing for which sites; as a rule there is one such set of sites.

    A part whose file was read before in the version that it has now is not missing, complete or not.
    """
    missing: dict[tuple[Site, ...], list[Part]] = {}
    for part in parts:
        if sites := wanted.missing(model, reference_time, part.name, rank, versions.get(part, "")):
            missing.setdefault(sites, []).append(part)
    return missing


def timestamp(moment: datetime) -> str:
    """Write a time (UTC) as Météo-France does in names and queries: 2026-08-09T15:00:00Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
