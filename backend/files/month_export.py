"""Closed months from the store into files, once; values that arrive later go to further files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from backend import __version__
from backend.core.utc_month import UtcMonth
from backend.files.columns import MONTH_FORECASTS, MONTH_OBSERVATIONS, Columns
from backend.files.dictionary import Origin, name_origins, withheld
from backend.files.export_values import site_frames, station_frames
from backend.files.month_files import (
    KINDS,
    SCHEMA,
    ColumnEntry,
    Kind,
    Manifest,
    MonthFolder,
    SourceEntry,
    drafts,
)
from backend.files.writing import new_file
from backend.storage import schema as t
from backend.storage.database import Connection, Database, from_epoch, to_epoch
from backend.storage.export_queries import model_names, months_with_values, site_series, station_codes
from backend.storage.retention import newest_value
from backend.storage.store_identity import store_identity

CLOSED_AFTER = timedelta(days=10)
"""Time after its end at which a month is closed. Forecasts arrive before the hour that they are for; networks
serve their readings for at most three days, and correct some of them a day later."""

_MARGIN = timedelta(days=2)

COLUMNS: Mapping[Kind, Columns] = {"forecast": MONTH_FORECASTS, "observation": MONTH_OBSERVATIONS}
OWNERS: Mapping[Kind, str] = {"forecast": "site", "observation": "station"}
TABLES: Mapping[Kind, sa.Table] = {"forecast": t.forecast, "observation": t.observation}

_KEYS: Mapping[Kind, Sequence[str]] = {
    "forecast": ("site_series", "model", "reference_time", "valid_time", "parameter"),
    "observation": ("time", "parameter"),
}
"""What distinguishes the values of one site or station."""

OnRows = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """The sources by their names and terms, and the imported ones that may be passed on (PUBLIC_IMPORTS)."""

    origins: Sequence[Origin]
    declared: Collection[str] = ()


def closed_after(*lookbacks: timedelta) -> timedelta:
    """Return the time after its end at which a month is closed: longer than any lookback of a collection."""
    return max(CLOSED_AFTER, *(lookback + _MARGIN for lookback in lookbacks))


def export_months(
    database: Database,
    path: Path,
    terms: Terms,
    now: datetime,
    closed: timedelta,
    *,
    later_values: bool = True,
    on_rows: OnRows = lambda _what, _rows: None,
) -> Iterator[Manifest]:
    """Export the closed months that are not in the folder yet; yield the manifest of each new file.

    With `later_values`, files that exist are compared with their checksums and with the store, and values
    that are in none of them go to a further file. Otherwise a month has one file, and has to be complete by
    the values of the store too. Raises MonthFileError, ConfigError, StoreUnavailableError.
    """
    folder = month_folder(database, path)
    with drafts(path) as work:
        for kind in KINDS:
            until = now if later_values else by_newest_value(database, kind, now)
            for month, owners in closed_months(database, kind, until, closed).items():
                if later_values or not folder.manifests(kind, month):
                    made = export_month(database, folder, kind, month, owners, terms, now, work, on_rows)
                    if made is not None:
                        yield made


def month_folder(database: Database, path: Path) -> MonthFolder:
    """Return the folder for the months of a store. Raises StoreUnavailableError."""
    with database.read() as connection:
        return MonthFolder(path.absolute(), store_identity(connection).store)


def closed_months(
    database: Database, kind: Kind, now: datetime, closed: timedelta
) -> dict[UtcMonth, list[int]]:
    """Return the closed months that the store has values of, with the ids of their sites or stations."""
    with database.read() as connection:
        found = months_with_values(connection, TABLES[kind])
    return {month: owners for month, owners in found.items() if month.end <= to_epoch(now - closed)}


def by_newest_value(database: Database, kind: Kind, now: datetime) -> datetime:
    """Return `now`, or the time of the newest value of its kind if that is earlier: a clock may be ahead."""
    with database.read() as connection:
        newest = newest_value(connection, TABLES[kind])
    return now if newest is None else min(now, from_epoch(newest))


def export_month(
    database: Database,
    folder: MonthFolder,
    kind: Kind,
    month: UtcMonth,
    owners: Sequence[int],
    terms: Terms,
    now: datetime,
    work: Path,
    on_rows: OnRows = lambda _what, _rows: None,
) -> Manifest | None:
    """Write the values of a month that are in none of its files; None if there are none. Raises as above."""
    earlier = folder.verified(kind, month)
    part, columns = len(earlier) + 1, COLUMNS[kind]
    span = month.first, month.end
    draft, contents = work / f"part-{part:04}.parquet", _Contents()
    with new_file(draft, columns, force=True) as writer, database.read() as connection:
        for frame in month_frames(connection, kind, span, owners, part):
            if not len(frame):  # rows whose values were all taken back
                continue
            fresh = frame
            if earlier:
                fresh = not_in(written_of(earlier, kind, frame[OWNERS[kind]][0]), frame)
            contents.add(fresh)
            on_rows("written", len(fresh))
            writer.write(fresh)
    if not contents.rows or contents.first is None or contents.last is None:
        draft.unlink()
        return None
    named = name_origins(contents.models, contents.stations, terms.origins, terms.declared)
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = Manifest(
        schema_version=SCHEMA,
        kind=kind,
        month=month.name,
        part=part,
        file=draft.name,
        rows=contents.rows,
        bytes=draft.stat().st_size,
        sha256=digest,
        public=not withheld(named),
        sources=[SourceEntry(each.name, each.terms, each.may_be_passed_on) for each in named],
        first_time=contents.first,
        last_time=contents.last,
        store=folder.store,
        program=__version__,
        exported_at=now.replace(microsecond=0),
        columns=[ColumnEntry(each.name, each.kind, each.unit, each.meaning) for each in columns],
    )
    folder.add(draft, manifest, month)
    return manifest


def month_frames(
    connection: Connection, kind: Kind, span: tuple[int, int], owners: Sequence[int], part: int = 0
) -> Iterator[pl.DataFrame]:
    """Yield the stored values from a moment to before another, by site or station."""
    chosen = set(owners)
    if kind == "observation":
        for station_id, code in station_codes(connection).items():
            if station_id in chosen:
                same: dict[str, str | int] = {"station": code, "part": part}
                yield from station_frames(connection, station_id, span, MONTH_OBSERVATIONS, same)
        return
    models = model_names(connection)
    for site_id, (slug, series) in site_series(connection).items():
        if site_id in chosen:
            same = {"site": slug, "site_series": series, "part": part}
            yield from site_frames(connection, site_id, span, models, MONTH_FORECASTS, same)


def written_of(files: Sequence[Path], kind: Kind, name: str) -> pl.DataFrame:
    """Return what these files have of a site or station: of several rows with one key, that of the last part.

    A value that was replaced and put back is in the first part alone: it has to be written again.
    """
    written = pl.scan_parquet(list(files), glob=False, hive_partitioning=False)
    of_owner = written.filter(pl.col(OWNERS[kind]) == name).collect()
    return of_owner if len(files) == 1 else of_owner.sort("part").unique(_KEYS[kind], keep="last")


def not_in(written: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that were not written; all columns count but `part`."""
    names = [name for name in frame.columns if name != "part"]
    return frame.join(written, on=names, how="anti", nulls_equal=True, maintain_order="left")


class _Contents:
    """What a file holds: rows, models, stations, and the times of its first and last value."""

    def __init__(self) -> None:
        self.rows = 0
        self.models: set[str] = set()
        self.stations: set[str] = set()
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, frame: pl.DataFrame) -> None:
        self.rows += len(frame)
        for name, names in (("model", self.models), ("station", self.stations)):
            if name in frame.columns:
                names |= set(frame[name].unique().to_list())
        times: list[datetime] = frame["valid_time" if "valid_time" in frame.columns else "time"].to_list()
        if times:
            self.first = min(times if self.first is None else (self.first, *times))
            self.last = max(times if self.last is None else (self.last, *times))
