"""The list of sites: parsing of TOML and CSV, rules for the whole list, and moves of take-offs.

Coordinates belong to a series: values of different positions are never mixed. After a move, the take-off has
a second entry with the same id and `valid_from`.
"""

from __future__ import annotations

import csv
import io
import re
import sysconfig
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from backend.core.errors import ConfigError
from backend.core.records import Site
from backend.core.site_entry import KEYS, REQUIRED_KEYS, site_from_entry, site_from_row

_ENTRY_HEADER = re.compile(r"\s*\[\[\s*sites\s*\]\]")
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae"})
_ALWAYS = datetime.min.replace(tzinfo=UTC)

# Positions closer than this are the same: rounding, or a corrected measurement of the same place.
_SAME_DEGREES = 1e-5
_SAME_METRES = 1.0


class Located(NamedTuple):
    """A site and the place of its entry ("sites.toml, line 12 (planfait)"), for error messages."""

    site: Site
    where: str


# --- Files -------------------------------------------------------------------------------------------

PACKAGED_SITES = Path(sysconfig.get_path("data")) / "share" / "meteo-score" / "sites.toml"
"""The list of sites that a wheel installs. Each installation of a newer one replaces it."""


def default_sites_file() -> Path:
    """Return `sites.toml` of the working directory, else of the source tree, else of the package."""
    here = Path("sites.toml")
    tree = Path(__file__).parents[2] / "sites.toml"
    return next((path for path in (here, tree, PACKAGED_SITES) if path.exists()), here)


def load_sites(path: Path) -> tuple[Site, ...]:
    """Read and check a sites file; raise ConfigError with file, line or key, and rule."""
    entries = parse_toml(read_text(path), str(path))
    check_series(entries)
    return tuple(entry.site for entry in entries)


def read_text(path: Path) -> str:
    """Return the text of a file, line ends as they are; raise ConfigError if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")  # some editors write a byte order mark
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file: check the path (SITES_FILE names the sites file)") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: is not UTF-8: save the file with that encoding") from error


def parse_toml(text: str, name: str) -> tuple[Located, ...]:
    """Parse the entries of a sites file `name`, and check each by itself. An empty file has none."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not valid TOML: {error}") from error
    for key in data:
        if key != "sites":
            raise ConfigError(f"{name}: {key}: unknown key: a sites file has only [[sites]] entries")
    # tomllib gives no line numbers: the headers of entries are counted in the text.
    lines = entry_lines(text)
    if "sites" in data and (not lines or len(data["sites"]) != len(lines)):
        raise ConfigError(f"{name}: sites: write each site under a [[sites]] line of its own")
    entries = []
    for line, entry in zip(lines, data.get("sites", ()), strict=True):
        where = f"{name}, line {line}" + (f" ({entry['id']})" if "id" in entry else "")
        entries.append(Located(site_from_entry(entry, where), where))
    return tuple(entries)


def entry_lines(text: str) -> tuple[int, ...]:
    """Return the numbers, from 1, of the lines that start an entry."""
    numbered = enumerate(text.split("\n"), start=1)
    return tuple(number for number, line in numbered if _ENTRY_HEADER.match(line))


def parse_csv(text: str, name: str) -> tuple[Located, ...]:
    """Parse the rows of a CSV file `name`, and check each by itself; the header has the keys."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    entries = []
    try:
        header = reader.fieldnames or ()
        columns = set(header)
        if columns - set(KEYS) or set(REQUIRED_KEYS) - columns or len(columns) != len(header):
            raise ConfigError(
                f"{name}, line 1: the header is {','.join(header)!r}: must be {','.join(KEYS[:-2])}"
                f" ({' and '.join(KEYS[-2:])} may follow)"
            )
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if None in row or None in row.values():
                raise ConfigError(f"{where}: must have as many cells as the header")
            entries.append(Located(site_from_row(row, where), where))
    except csv.Error as error:
        # The inner reader has counted the invalid line; `reader` has not.
        raise ConfigError(f"{name}, line {reader.reader.line_num}: not valid CSV: {error}") from error
    return tuple(entries)


# --- Several series of one site ----------------------------------------------------------------------


def check_series(entries: Iterable[Located]) -> None:
    """Refuse an id that is used twice, except for a later series of the same site, in order."""
    latest: dict[str, Located] = {}
    for entry in entries:
        before = latest.get(entry.site.id)
        if before and _opened(entry.site) <= _opened(before.site):
            raise ConfigError(
                f"{entry.where}: id = {entry.site.id!r}: is used already ({before.where}): choose another id,"
                " or, if the take-off moved, give the second entry a later valid_from"
            )
        latest[entry.site.id] = entry


def check_positions(sites: Sequence[Site], known: Sequence[Site]) -> None:
    """Refuse a site whose position is not that of its stored data.

    `known` are the stored series. A new position needs a new id, or a `valid_from` later than the known one;
    differences within 1e-5 degrees and 1 m do not count. Raises ConfigError.
    """
    newest = {site.id: site for site in sorted(sites, key=_opened)}
    latest = {site.id: site for site in sorted(known, key=_opened)}
    series = {(site.id, site.valid_from): site for site in known}
    for site in sites:
        before = series.get((site.id, site.valid_from))
        if before is None and site is newest[site.id]:
            before = latest.get(site.id)
        if before is None or same_position(site, before) or _opened(site) > _opened(before):
            continue
        last = latest[site.id].valid_from
        raise ConfigError(
            f"site {site.id!r}: is now at {_position(site)}, but its stored data were collected for"
            f" {_position(before)}: give the new position a new id, or keep the old entry and add a second"
            " with the same id, the new position and valid_from = the day it moved"
            + (f" (after {last:%Y-%m-%d})" if last else "")
        )


def active(sites: Sequence[Site], now: datetime) -> tuple[Site, ...]:
    """Return one series per id: the newest that has started at `now` (aware, UTC), in the given order."""
    started = {site.id: site for site in sorted(sites, key=_opened) if _opened(site) <= now}
    return tuple(site for site in sites if site is started.get(site.id))


def slugify(name: str) -> str:
    """Return an id derived from a name: "Puy de Dôme" gives "puy-de-dome"; may be empty."""
    # NFKD separates a letter from its accent, which is then dropped.
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_LIGATURES))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")


def _opened(site: Site) -> datetime:
    return site.valid_from or _ALWAYS


def same_position(one: Site, other: Site) -> bool:
    """Return True if two positions differ by at most 1e-5 degrees and 1 m."""
    degrees = max(abs(one.latitude - other.latitude), abs(one.longitude - other.longitude))
    metres = abs(one.elevation - other.elevation)
    # Without rounding, 45.85324 - 45.85323 is more than 1e-5.
    return round(degrees, 9) <= _SAME_DEGREES and round(metres, 9) <= _SAME_METRES


def _position(site: Site) -> str:
    return f"{site.latitude:.5f}, {site.longitude:.5f}, {site.elevation:g} m"
