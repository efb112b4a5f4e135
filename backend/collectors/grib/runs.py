"""Grid, parts and files of a run, the same on all routes; the grids of AROME and ARPEGE."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from backend.collectors.base import Fetch, Request
from backend.collectors.runs import Part
from backend.core import registry
from backend.core.areas import Area

NAME = registry.AROME.name
PACKAGE = "SP1"
"""The package of files that holds wind, gust and temperature near the ground."""

LONGEST_LEAD = 51
"""Lead time of the last hour of every run, in hours."""

MAX_FILE_BYTES = 500_000_000
"""Ten times the largest file of 2026."""


TOULOUSE = (84, 85)
GUST_COMPONENTS, GUST_SPEED = ("gust_east", "gust_north"), ("gust_speed",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGrid:
    """A grid that a model is published on, and what identifies its files; `degrees` between its rows.

    `source` collects it, and `product` is its name in addresses and messages. `centres` and `process` are
    numbers of GRIB for the origin of a message; empty and None are not compared, where they are not known.
    `gust` are the fields of its gust: two components, or the speed alone.
    """

    code: str
    degrees: float
    source: str
    product: str
    process: int | None
    centres: Collection[int]
    gust: Sequence[str]

    @property
    def model(self) -> str:
        """Return the model's name in our records: each grid is scored as a model of its own."""
        return f"{self.source}_{self.code}"

    @property
    def area(self) -> Area | None:
        """Return the area of the grid."""
        return registry.MODELS[self.model].area


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageGrid(ModelGrid):
    """One of the grids that AROME, its sibling and ARPEGE are published on, in packages of many fields.

    `elevation_file` names the file that holds the height of the model's ground: its package and its part.
    A run reaches `longest_lead` hours. A file has `file_hours` hours; if these are several, the first file
    has hour 0 as well.
    """

    elevation_file: tuple[str, str]
    source: str = NAME
    product: str = "arome"
    process: int | None = 204
    centres: Collection[int] = TOULOUSE
    gust: Sequence[str] = GUST_COMPONENTS
    longest_lead: int = LONGEST_LEAD
    file_hours: int = 6


_GROUND_0025, _GROUND_001 = ("SP2", "00H06H"), ("SP3", "00H")
GRIDS = {
    grid.code: grid
    for grid in (
        PackageGrid(code="0025", degrees=0.025, elevation_file=_GROUND_0025),
        PackageGrid(code="001", degrees=0.01, elevation_file=_GROUND_001, file_hours=1),
    )
}
AROME_IFS = PackageGrid(
    code="0025",
    degrees=0.025,
    elevation_file=_GROUND_0025,
    source=registry.AROME_IFS.name,
    product="aromeifs",
    process=254,
)
"""The same model started from ECMWF's analysis and not from ARPEGE's."""

ARPEGE = PackageGrid(
    code="01",
    degrees=0.1,
    elevation_file=("SP2", "000H012H"),
    source=registry.ARPEGE.name,
    product="arpege",
    process=211,
    longest_lead=102,
    file_hours=12,
)
"""The global model that drives AROME, on its European grid."""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A published file of a part of a run, and the names of the fields to read from it; none stands for all.

    `version` is its size and stamp in the listing; empty if the listing has none.
    """

    request: Request
    version: str = ""
    fields: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class PublishedPart:
    """A part of a run and its published files: one with all its fields, or several with some fields each."""

    part: Part
    files: tuple[PublishedFile, ...]

    @property
    def version(self) -> str:
        """Return the versions of its files; empty if one of them has none."""
        versions = [file.version for file in self.files]
        return "; ".join(versions) if all(versions) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """A run and its published parts; `absent` are the parts with a file that is not published.

    A part may be in both: then only some of its files are published. `available_at` is None where the
    publisher states no time, and an estimate if `stated` is False. `listed` are the names in the listing, for
    the message about a missing file.
    """

    reference_time: datetime
    parts: tuple[PublishedPart, ...]
    seen_at: datetime
    absent: tuple[Part, ...] = ()
    available_at: datetime | None = None
    stated: bool = True
    listed: tuple[str, ...] = ()


class Catalogue(Protocol):
    """The listing of a route's runs. Methods raise CollectorError if the listing cannot be read."""

    async def candidates(self, cycles: Sequence[datetime], fetch: Fetch) -> Sequence[datetime]:
        """Return those of the cycles, newest first, that may be listed."""
        ...

    async def find(self, reference_time: datetime, fetch: Fetch) -> PublishedRun:
        """Return a run with its published parts: all, some or none of them."""
        ...

    async def elevation_request(self, reference_time: datetime, fetch: Fetch) -> Request:
        """Return the request for the file of a run with the model elevations."""
        ...


def parts_of(grid: PackageGrid, max_lead: int) -> list[Part]:
    """Return the parts as Météo-France cuts them, for a route that does not.

    The coarse grid of AROME has one part of seven hours, parts of six, and a last one of three; its fine grid
    has one part per hour. ARPEGE has one part of thirteen hours, parts of twelve, and a last one of six.
    """
    hours, longest = grid.file_hours, grid.longest_lead
    last = range(longest + 1) if hours == 1 else (*range(hours, longest, hours), longest)
    first = (0, *(hour + 1 for hour in last[:-1]))
    whole = (Part(start, end) for start, end in zip(first, last, strict=True))
    return [part.until(max_lead) for part in whole if part.first <= max_lead]


def absent_parts(grid: PackageGrid, published: Iterable[Part], max_lead: int) -> tuple[Part, ...]:
    """Return the parts up to `max_lead` with an hour that is in no published part."""
    leads = {lead for part in published for lead in part.leads}
    return tuple(part for part in parts_of(grid, max_lead) if not leads.issuperset(part.leads))


def timestamp(moment: datetime) -> str:
    """Format a time (UTC) for Météo-France's names and queries: 2026-08-09T15:00:00Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
