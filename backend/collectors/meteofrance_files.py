"""Read a file of Météo-France's hourly stations: CSV with semicolons, compressed with gzip. Pure.

Such a file has every station and hour of a department in two to ten years, in about 200 columns: it is read
line by line, and only the wanted lines are split as a whole.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from backend.collectors.base import Payload
from backend.collectors.beacons.readings import (
    ODD_ROW,
    Network,
    Reading,
    Readings,
    Value,
    elevation,
    number,
    validate,
)
from backend.collectors.beacons.times import iso_time
from backend.collectors.transport.decoding import MAX_ODD_TEXT
from backend.core import registry
from backend.core.errors import ParseError
from backend.core.parameters import Parameter
from backend.core.records import Rejected, Station, number_of
from backend.core.units import ms_to_kmh

NETWORK = Network(name=registry.METEOFRANCE_HOURLY.name, cadence=timedelta(hours=1), averaging_minutes=10)

STATION, STAMP, NAME = "NUM_POSTE", "AAAAMMJJHH", "NOM_USUEL"
PLACE = ("LAT", "LON", "ALTI")
COLUMNS = {
    Parameter.WIND_SPEED: "FF",
    Parameter.WIND_DIRECTION: "DD",
    Parameter.WIND_GUST: "FXI",
    Parameter.TEMPERATURE: "T",
}
"""The column of each parameter; that of its quality code has the same name after a Q."""

GOOD, DOUBTFUL = frozenset({"", "0", "1", "9"}), "2"

LISTED_FOR = timedelta(days=10)
"""A station with a mean wind in these last days of a file is listed as a mast."""

LONGEST_LINE = 20_000
MOST_BYTES = 4_000_000_000
"""Of a decompressed file: ten years of a department have about one."""

_DIGITS = re.compile(rb"[0-9]{8}")
_STAMP = re.compile(r"[0-9]{10}")


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a file: the wanted readings, the stations with wind, and the numbers of all."""

    readings: Readings
    stations: tuple[Station, ...]
    numbers: frozenset[str]


def read(
    path: Path, payload: Payload, since: Mapping[str, datetime], until: datetime | None = None
) -> Content:
    """Read the stations in `since`, each later than its time, and up to `until`. Blocks.

    `payload` states the address and time of the download. Raises ParseError for a file that is cut, that has
    no rows or not the documented columns, or whose wanted rows are mostly odd.
    """
    try:
        return _File(path, payload, since, until).content()
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(f"not a whole gzip file: {error}", url=payload.url) from error


class _File:
    def __init__(
        self, path: Path, payload: Payload, since: Mapping[str, datetime], until: datetime | None
    ) -> None:
        self._path = path
        self._payload = payload
        self._since = {number_of(station).encode(): _stamp(time) for station, time in since.items()}
        self._after = dict(since)
        self._until = _stamp(until) if until is not None else None
        self._listed_since = _stamp(payload.fetched_at - LISTED_FOR)
        self._index: dict[str, int] = {}
        self._rows: list[Reading | Rejected] = []
        self._odd = 0
        self._stations: dict[bytes, Station] = {}

    def content(self) -> Content:
        lines = self._lines()
        header = next(lines, b"").decode("utf-8-sig", "replace").strip().split(";")
        self._index = {name: index for index, name in enumerate(header)}
        wanted = (STATION, STAMP, NAME, *PLACE, *COLUMNS.values(), *(f"Q{name}" for name in COLUMNS.values()))
        if absent := [name for name in wanted if name not in self._index]:
            raise ParseError(f"no column {', '.join(absent)}", url=self._payload.url)
        station_at, stamp_at = self._index[STATION], self._index[STAMP]
        enough = max(station_at, stamp_at) + 1
        numbers: set[bytes] = set()
        for line in lines:
            start = line.split(b";", enough)
            if len(start) <= enough:
                self._add_odd(start[0].strip().zfill(8), line)
                continue
            key = start[station_at].strip().zfill(8)
            numbers.add(key)
            if key in self._since:
                self._add(key, start[stamp_at].strip(), line)
            if key not in self._stations and start[stamp_at].strip() >= self._listed_since:
                self._list(key, line)
        if not any(_DIGITS.fullmatch(key) for key in numbers):
            raise ParseError("no row has the number of a station", url=self._payload.url)
        if 2 * self._odd > len(self._rows):
            raise ParseError(f"{self._odd} of {len(self._rows)} wanted rows are odd", url=self._payload.url)
        readings = validate(self._rows, self._payload.fetched_at, self._after)
        known = frozenset(key.decode() for key in numbers if _DIGITS.fullmatch(key))
        return Content(readings, tuple(self._stations.values()), known)

    def _lines(self) -> Iterator[bytes]:
        total = 0
        with gzip.open(self._path, "rb") as file:
            while line := file.readline(LONGEST_LINE):
                total += len(line)
                if total > MOST_BYTES:
                    raise ParseError(f"more than {MOST_BYTES} bytes", url=self._payload.url)
                if line.strip():
                    yield line

    def _add(self, key: bytes, stamp: bytes, line: bytes) -> None:
        # Stamps of ten digits sort as their times.
        if len(stamp) == len(self._since[key]) and (
            stamp < self._since[key] or (self._until is not None and stamp > self._until)
        ):
            return
        cells = _text(line).rstrip("\r\n").split(";")
        if len(cells) != len(self._index):
            self._add_odd(key, line)
            return
        station = f"{NETWORK.name}:{key.decode()}"
        text = cells[self._index[STAMP]].strip()
        if not _STAMP.fullmatch(text):
            self._rows.append(Rejected(station, None, None, text, "invalid_time"))
            return
        iso = f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:]}:00:00+00:00"
        time = iso_time(station, iso, self._payload.fetched_at)
        if isinstance(time, Rejected):
            self._rows.append(time)
            return
        self._rows.append(self._reading(station, time, cells))

    def _reading(self, station: str, time: datetime, cells: Sequence[str]) -> Reading:
        values: dict[Parameter, Value] = {}
        marked: dict[Parameter, str] = {}
        for parameter, column in COLUMNS.items():
            raw = cells[self._index[column]].strip()
            if not raw:
                continue
            value = number(raw)
            if value is not None and parameter in (Parameter.WIND_SPEED, Parameter.WIND_GUST):
                value = ms_to_kmh(value)
            values[parameter] = raw if value is None else value
            quality = cells[self._index[f"Q{column}"]].strip()
            if quality == DOUBTFUL:
                marked[parameter] = "doubtful: quality code 2"
            elif quality not in GOOD:
                marked[parameter] = f"unknown_quality: {quality!r} is not a documented code"
        if Parameter.WIND_SPEED not in values:
            values.pop(Parameter.WIND_DIRECTION, None)  # of no wind that is known
            marked.pop(Parameter.WIND_DIRECTION, None)
        return Reading(station=station, time=time, values=values, marked=marked, same_minutes=False)

    def _add_odd(self, key: bytes, line: bytes) -> None:
        if key in self._since:
            self._odd += 1
            station = f"{NETWORK.name}:{key.decode()}"
            reason = f"{ODD_ROW}: not {len(self._index)} columns"
            self._rows.append(Rejected(station, None, None, _text(line)[:MAX_ODD_TEXT].strip(), reason))

    def _list(self, key: bytes, line: bytes) -> None:
        cells = _text(line).rstrip("\r\n").split(";")
        if len(cells) != len(self._index) or not _DIGITS.fullmatch(key):
            return
        if number(cells[self._index["FF"]]) is None:
            return
        latitude, longitude = (number(cells[self._index[name]]) for name in ("LAT", "LON"))
        self._stations[key] = Station(
            id=f"{NETWORK.name}:{key.decode()}",
            name=cells[self._index[NAME]].strip(),
            latitude=latitude,
            longitude=longitude,
            elevation=elevation(cells[self._index["ALTI"]]),
        )


def _stamp(time: datetime) -> bytes:
    return f"{time:%Y%m%d%H}".encode()


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
