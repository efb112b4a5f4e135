"""The text format of verif (github.com/WFRT/verif, 3-clause BSD): writing pairs, reading obs and fcst.

Comments come first: verif reads "# variable: " and "# units: ", and skips others with a warning each. The
next line has the column names, separated by blanks: `unixtime` (seconds since 1970, start of the run) or
`date` (YYYYMMDD) with `hour`; `leadtime` in hours; `location`, a number; `lat`, `lon` in degrees and
`altitude` in metres; `obs` and `fcst`. -999 is a missing value. `offset`, `id` and `elev` are older names.

verif's locations are numbers, ours have names. So exported files have a comment that maps them:
"# locations: 1=planfait,ffvl:2496 2=…". For a file of another tool this line can be added by hand; without
it, `location` must be the id of a site or station. "# model: arome_0025" optionally names the model of
`fcst`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self, TextIO

import polars as pl

from backend.core.parameters import RULES, Parameter
from backend.files.faults import FileRefusedError
from backend.files.tables import PIECE, ROW, bounded_lines

MISSING = -999.0
_MISSING_WORDS = frozenset({"na", "nan", "null", "none", "missing", "."})
_OLD_NAMES = {"offset": "leadtime", "id": "location", "elev": "altitude"}

UNITS = {
    Parameter.WIND_SPEED: "km/h",
    Parameter.WIND_GUST: "km/h",
    Parameter.WIND_DIRECTION: "degrees",
    Parameter.TEMPERATURE: "°C",
}
_SPELLINGS = {
    "km/h": "km/h",
    "degrees": "degrees",
    "degree": "degrees",
    "°C": "°C",
    "^oC": "°C",
    "degC": "°C",
}


class Location(NamedTuple):
    """Site and station of a number in the column `location`."""

    site: str
    station: str


class _Head(NamedTuple):
    """The lines above the rows; `first` is the number of the first line of rows, from 1."""

    parameter: str
    model: str | None
    locations: Mapping[str, Location]
    columns: Mapping[str, int]
    first: int


class VerifTable:
    """One of the two columns of values of a verif file as a table to import; missing values are left out."""

    def __init__(self, path: Path, side: str, model: str | None) -> None:
        self.path = path
        self._side = side
        self._head = _read_head(path, side)
        self._model = model or self._head.model
        if side == "fcst" and self._model is None:
            raise FileRefusedError(f'{path}: names no model: add --model, or a "# model: " line')

    @classmethod
    def forecasts(cls, path: Path, model: str | None) -> Self:
        """Return the column `fcst` of a file. Raises FileRefusedError."""
        return cls(path, "fcst", model)

    @classmethod
    def observations(cls, path: Path) -> Self:
        """Return the column `obs` of a file. Raises FileRefusedError."""
        return cls(path, "obs", None)

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Yield the rows with a value in this column.

        Raises FileRefusedError for a row with another number of cells.
        """
        names = ["station", "parameter", "time", "value"]
        if self._side == "fcst":
            names = ["model", "site", "parameter", "reference_time", "valid_time", "value"]
        schema = {ROW: pl.Int64, **dict.fromkeys(names, pl.String)}
        with _opened(self.path) as file:
            rows = self._rows(file)
            while some := list(islice(rows, PIECE)):
                yield pl.DataFrame(some, schema=schema, orient="row")

    def lines(self, rows: Sequence[int]) -> list[str]:
        """Return the numbers of lines: rows are counted by line here."""
        return [f"line {row + 1}" for row in rows]

    def _rows(self, file: TextIO) -> Iterator[tuple[int | str | None, ...]]:
        head, width = self._head, len(self._head.columns)
        for number, line in enumerate(bounded_lines(self.path, file), start=1):
            cells = line.split()
            if number < head.first or not cells or cells[0].startswith("#"):
                continue
            if len(cells) != width:
                raise FileRefusedError(
                    f"{self.path}, line {number}: has {len(cells)} cells: must have as many as the header,"
                    f" {width}"
                )
            row = {name: cells[index] for name, index in head.columns.items()}
            if _is_missing(row[self._side]):
                continue
            where = head.locations.get(row["location"]) or Location(row["location"], row["location"])
            run, valid = _times(row)
            if self._side == "fcst":
                yield number - 1, self._model, where.site, head.parameter, run, valid, row["fcst"]
            else:
                yield number - 1, where.station, head.parameter, valid, row["obs"]


def _is_missing(cell: str) -> bool:
    if cell.lower() in _MISSING_WORDS:
        return True
    try:
        return float(cell) == MISSING
    except ValueError:
        return False


def _times(row: Mapping[str, str]) -> tuple[str, str]:
    """Return reference time and valid time as ISO 8601; text that cannot be parsed stays as it is."""
    try:
        if "unixtime" in row:
            run = datetime.fromtimestamp(float(row["unixtime"]), UTC)
        else:
            run = datetime.strptime(row["date"], "%Y%m%d").replace(tzinfo=UTC)
            run += timedelta(hours=float(row.get("hour", "0")))
    except (ValueError, OverflowError, OSError):
        text = row.get("unixtime") or f"{row['date']} {row.get('hour', '')}".strip()
        return text, text
    try:
        # Decimal hours are seldom a whole number of seconds exactly.
        valid = (run + timedelta(seconds=round(3600 * float(row["leadtime"])))).isoformat()
    except (ValueError, OverflowError):
        valid = row["leadtime"]
    return run.isoformat(), valid


# --- Writing -----------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A location of a file to write: a site with its position, and the station of its pairs."""

    site: str
    station: str
    latitude: float
    longitude: float
    elevation: float


def write_verif(
    file: TextIO, parameter: Parameter, model: str, places: Sequence[Place], pairs: Iterable[pl.DataFrame]
) -> int:
    """Write the pairs of one model, parameter and view; return how many.

    The lead time of each hour is that of the view, so that verif's results for the whole file are those of
    the view.
    """
    numbers = {(place.site, place.station): number for number, place in enumerate(places, start=1)}
    where = " ".join(f"{number}={site},{station}" for (site, station), number in numbers.items())
    file.write(
        f"# variable: {parameter.value}\n# units: {UNITS[parameter]}\n"
        f"# model: {model}\n# locations: {where}\n"
        "unixtime leadtime location lat lon altitude obs fcst\n"
    )
    positions = {
        numbers[place.site, place.station]: f"{place.latitude:g} {place.longitude:g} {place.elevation:g}"
        for place in places
    }
    written = 0
    for frame in pairs:
        chosen = frame.select(
            "site",
            "station",
            pl.col("reference_time").dt.epoch("s"),
            "lead_minutes",
            "observation",
            "forecast",
        )
        for site, station, run, lead, observed, forecast in chosen.iter_rows():
            number = numbers[site, station]
            file.write(f"{run} {lead / 60:.10g} {number} {positions[number]} {observed:.6g} {forecast:.6g}\n")
        written += len(frame)
    return written


# --- Lines above the rows ----------------------------------------------------------------------------


def _opened(path: Path) -> TextIO:
    try:
        # Comments of other tools may have any encoding. The cells that are read here are ASCII.
        return path.open(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise FileRefusedError(f"{path}: no such file") from None
    except OSError as error:
        raise FileRefusedError(f"{path}: cannot be read: {error.strerror}") from error


def _read_head(path: Path, side: str) -> _Head:
    comments: dict[str, str] = {}
    with _opened(path) as file:
        for number, line in enumerate(bounded_lines(path, file), start=1):
            if line.startswith("#"):
                name, _, rest = line[1:].partition(":")
                comments[name.strip()] = rest.strip()
            elif line.strip():
                header, at = line.split(), number
                break
        else:
            raise FileRefusedError(f"{path}: contains no rows")
    columns = {_OLD_NAMES.get(name, name): index for index, name in enumerate(header)}
    missing = [name for name in ("leadtime", "location", side) if name not in columns]
    if "unixtime" not in columns and "date" not in columns:
        missing.insert(0, "unixtime")
    if missing:
        raise FileRefusedError(f"{path}, line {at}: the header has no {', '.join(missing)}")
    if len(columns) != len(header):
        raise FileRefusedError(f"{path}, line {at}: the header names a column twice")
    parameter = _parameter(path, comments)
    locations = {}
    for word in comments.get("locations", "").split():
        location, _, places = word.partition("=")
        site, _, station = places.partition(",")
        if not location or not site:
            raise FileRefusedError(
                f"{path}: locations: {word!r}: must be number=site,station, such as 1=planfait,ffvl:87"
            )
        locations[location] = Location(site, station or site)
    return _Head(parameter, comments.get("model"), locations, columns, at + 1)


def _parameter(path: Path, comments: Mapping[str, str]) -> str:
    """Return the parameter of a file; raise FileRefusedError for another variable or unit."""
    known = ", ".join(Parameter)
    name = comments.get("variable", "")
    if name not in RULES:
        raise FileRefusedError(
            f"{path}: variable = {name!r}: must be one of {known}: write it as # variable: …"
        )
    parameter = Parameter(name)
    units = comments.get("units", "").strip("$").replace("\\", "")
    if _SPELLINGS.get(units) != UNITS[parameter]:
        raise FileRefusedError(
            f"{path}: units = {comments.get('units', '')!r}: {name} must be in {UNITS[parameter]}:"
            " nothing is converted"
        )
    return parameter.value
