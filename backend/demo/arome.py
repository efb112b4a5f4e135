"""Files of AROME and ARPEGE: package SP1 and the file with the model elevations, by run, with their content.

A run's files are published one after the other, the last 40 to 65 minutes after the first. The object storage
(upstreams/arome_storage.py) and the portal (upstreams/arome_portal.py) serve the same files.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from backend.demo.faults import Fault
from backend.demo.grib import GROUND, GUSTS, TEMPERATURE, WIND_EAST, Writer, parts, replace_values, without
from backend.demo.weather import HOUR
from backend.demo.world import View, World, utc

GRIDS = ("001", "0025", "ifs_0025", "arpege_01")
"""AROME's two, AROME-IFS on the coarser one, and ARPEGE's over Europe, in the order of their keys."""

PACKAGE = "SP1"
GROUNDS = {
    "001": ("SP3", "00H"),
    "0025": ("SP2", "00H06H"),
    "ifs_0025": ("SP2", "00H06H"),
    "arpege_01": ("SP2", "000H012H"),
}
"""Package and part with the model elevations; these packages have no other files here."""

_FOLDERS = {"ifs_0025": ("aromeifs", "0025"), "arpege_01": ("arpege", "01")}
_CYCLES = {"ifs_0025": (0, 6, 12, 18), "arpege_01": (0, 6, 12, 18)}

# Minutes from the start of a run to its first and its last file, per cycle: 0.01 degrees, then 0.025.
DELAYS: dict[str, dict[int, tuple[int, int]]] = {
    "001": {
        0: (116, 167),
        3: (107, 158),
        6: (257, 302),
        9: (203, 251),
        12: (181, 235),
        15: (181, 230),
        18: (251, 302),
        21: (197, 248),
    },
    "0025": {
        0: (118, 175),
        3: (113, 165),
        6: (260, 312),
        9: (208, 255),
        12: (189, 254),
        15: (185, 236),
        18: (257, 306),
        21: (203, 254),
    },
    "ifs_0025": {0: (392, 440), 6: (398, 452), 12: (393, 444), 18: (399, 455)},
    "arpege_01": {0: (170, 210), 6: (223, 259), 12: (170, 212), 18: (223, 257)},
}
STORAGE_DAYS = 15
PORTAL_DAYS = 4
_CYCLE = 3 * HOUR
_CACHE_BYTES = 400_000_000  # composed files in memory: one run of the full grid, or any number of cuts


def published_at(grid: str, run: datetime, part: str) -> datetime:
    """Return the time of publication of one file of a run ("00H06H", or "06H")."""
    first, last = DELAYS[grid][run.hour]
    names = list(parts(grid))
    share = names.index(part) / (len(names) - 1)
    return run + timedelta(seconds=round(60 * (first + (last - first) * share)))


def complete_at(grid: str, run: datetime) -> datetime:
    """Return the time of publication of the last file of a run."""
    return published_at(grid, run, list(parts(grid))[-1])


def runs(now: float, days: float) -> list[datetime]:
    """Return the runs started within the last `days`, oldest first, published or not."""
    newest = int(now // _CYCLE * _CYCLE)
    return [utc(start) for start in range(newest, int(now - days * 24 * HOUR), -int(_CYCLE))][::-1]


def stamp(run: datetime) -> str:
    """Format the start of a run as Météo-France does."""
    return f"{run:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a run."""

    grid: str
    run: datetime
    part: str
    package: str = PACKAGE

    @property
    def name(self) -> str:
        """Return the name of the file."""
        product, code = self._folder
        return f"{product}__{code}__{self.package}__{self.part}__{stamp(self.run)}.grib2"

    @property
    def key(self) -> str:
        """Return its key in the object storage."""
        product, code = self._folder
        return f"pnt/{stamp(self.run)}/{product}/{code}/{self.package}/{self.name}"

    @property
    def _folder(self) -> tuple[str, str]:
        return _FOLDERS.get(self.grid, ("arome", self.grid))

    @property
    def published_at(self) -> datetime:
        """Return its time of publication."""
        return published_at(self.grid, self.run, self.part)


_LEFT_OUT = {
    Fault.MISSING_FIELDS: (WIND_EAST,),
    Fault.NO_TEMPERATURE: (TEMPERATURE,),
    Fault.NO_GUSTS: GUSTS,
}
_IN_FILES = {*_LEFT_OUT, Fault.ABSURD, Fault.FUTURE, Fault.NAN}
"""Faults in the content of a file."""


class Archive:
    """The published files; each is composed at its first request."""

    def __init__(
        self,
        world: World,
        *,
        full_grid: bool = False,
        cache_bytes: int = _CACHE_BYTES,
        folder: Path | None = None,
    ) -> None:
        """`folder` stores composed files for the next process with the same seed, sites and grid."""
        self._world = world
        self._folder = folder
        self._cache_bytes = cache_bytes
        self._full_grid = full_grid
        self._writers: dict[str, Writer] = {}
        self._composed: OrderedDict[tuple[File, Fault | None], bytes] = OrderedDict()
        self._cached_bytes = 0

    def published(self, now: float, days: int, prefix: str = "") -> Iterator[File]:
        """Yield the published files whose key starts with `prefix`, in the order of their keys."""
        for run in runs(now, days):
            folder = f"pnt/{stamp(run)}/"
            if not (folder.startswith(prefix) or prefix.startswith(folder)):
                continue
            for grid in GRIDS:
                if run.hour not in _CYCLES.get(grid, DELAYS[grid]):
                    continue
                package, part = GROUNDS[grid]
                files = [File(grid, run, name) for name in parts(grid)]
                for file in (*files, File(grid, run, part, package)):
                    if file.key.startswith(prefix) and file.published_at.timestamp() <= now:
                        yield file

    def body(self, view: View, file: File) -> bytes:
        """Return the file's bytes."""
        fault = view.fault if view.fault in _IN_FILES else None
        key = (file, fault)
        body = self._composed.pop(key, None)
        if body is None:
            body = self._compose(view, file) if fault else self._stored(view, file)
            self._cached_bytes += len(body)
        self._composed[key] = body
        while self._cached_bytes > self._cache_bytes:
            self._cached_bytes -= len(self._composed.popitem(last=False)[1])
        return body

    def _compose(self, view: View, file: File) -> bytes:
        steps = parts(file.grid)[file.part]
        run = file.run + timedelta(seconds=view.ahead)
        if file.package != PACKAGE:
            body = self._writer(file.grid).compose_ground(run, steps)
            return without(body, GROUND) if view.fault is Fault.MISSING_FIELDS else body
        body = self._writer(file.grid).compose(view.weather, run, steps)
        if view.fault is Fault.NAN:
            return replace_values(body, WIND_EAST, math.nan)
        return without(body, *_LEFT_OUT[view.fault]) if view.fault in _LEFT_OUT else body

    def _stored(self, view: View, file: File) -> bytes:
        """Return a file from the folder, if one is given; compose and store it first if it is missing."""
        if self._folder is None:
            return self._compose(view, file)
        path = self._folder / file.name
        if not path.exists():
            half = path.with_suffix(".half")  # a process killed here leaves no half file under the final name
            half.write_bytes(self._compose(view, file))
            half.replace(path)
        return path.read_bytes()

    def _writer(self, grid: str) -> Writer:
        if grid not in self._writers:
            self._writers[grid] = Writer(grid, self._world.sites, full_grid=self._full_grid)
        return self._writers[grid]
