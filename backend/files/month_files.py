"""The folder of closed months: Parquet files that are written once, each with a manifest.

    kind=forecast/month=2026-07/part-0001.parquet
    kind=forecast/month=2026-07/_part-0001.json

A file with a manifest is never written again. Names that begin with _ or . are passed over by Spark; DuckDB
and Polars read the pattern kind=forecast/*/*.parquet.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from backend.core.errors import MeteoScoreError
from backend.core.private_files import drafts_folder, make_private_folder, sync
from backend.core.utc_month import UtcMonth

SCHEMA = 1
"""Version of the columns: one more when their names, types or meanings change."""

Kind = Literal["forecast", "observation"]
KINDS: tuple[Kind, ...] = ("forecast", "observation")

_WORK = ".work"


class MonthFileError(MeteoScoreError):
    """A file of a closed month is missing, differs from its manifest, or cannot be written."""


class ColumnEntry(msgspec.Struct, frozen=True):
    """A column of a file; its unit is "" if it has none."""

    name: str
    type: str
    unit: str
    meaning: str


class SourceEntry(msgspec.Struct, frozen=True):
    """A model or network in a file: its credit line, and whether its raw values may be passed on."""

    name: str
    credit: str
    public: bool


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a file contains, and how to see that it is whole."""

    schema_version: int
    kind: Kind
    month: str
    part: int
    file: str
    rows: int
    bytes: int
    sha256: str
    public: bool
    """False: the file has raw values that may not be passed on."""
    sources: list[SourceEntry]
    first_time: datetime
    last_time: datetime
    store: str
    """Identity of the store that the values are from."""
    program: str
    exported_at: datetime
    columns: list[ColumnEntry]


@dataclass(frozen=True, slots=True)
class MonthFolder:
    """The folder, for the values of one store (its identity). Every method blocks."""

    path: Path
    store: str

    def place(self, kind: Kind, month: UtcMonth) -> Path:
        """Return the folder of a month."""
        return self.path / f"kind={kind}" / f"month={month.name}"

    def files(self, kind: Kind, month: UtcMonth) -> list[Path]:
        """Return the files of a month that have a manifest, in their order."""
        place = self.place(kind, month)
        return [place / manifest.file for manifest in self.manifests(kind, month)]

    def manifests(self, kind: Kind, month: UtcMonth) -> list[Manifest]:
        """Return the manifests of a month, in the order of its parts.

        Raises MonthFileError for one that cannot be read, is of a newer form or of another store.
        """
        found = []
        for number, path in enumerate(sorted(self.place(kind, month).glob("_part-*.json")), start=1):
            try:
                manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
            except (OSError, msgspec.DecodeError) as error:
                raise MonthFileError(f"{path}: cannot be read: {error}") from error
            if manifest.schema_version != SCHEMA:
                raise MonthFileError(
                    f"{path}: has schema version {manifest.schema_version}, this program writes {SCHEMA}:"
                    " name another folder"
                )
            if manifest.store != self.store:
                raise MonthFileError(f"{path}: is of another store: each store needs a folder of its own")
            if (manifest.kind, manifest.month, manifest.part) != (kind, month.name, number):
                raise MonthFileError(f"{path}: is not the manifest of part {number} of {kind} {month.name}")
            found.append(manifest)
        return found

    def require_removed(self, kind: Kind, floor: int) -> None:
        """Raise MonthFileError if no manifest is of a month from before `floor`, whose values were removed.

        A disk that is not mounted looks like an empty folder: what is written there is hidden afterwards.
        """
        names = (path.parent.name for path in self.path.glob(f"kind={kind}/month=*/_part-*.json"))
        if not any(name < f"month={UtcMonth.of(floor).name}" for name in names):
            raise MonthFileError(
                f"{self.path}: has no manifest of a {kind} month from before {UtcMonth.of(floor).name}, whose"
                " values were removed from the store: see that the disk of MONTHS_DIR is mounted, or put the"
                " files or their manifests back"
            )

    def verified(self, kind: Kind, month: UtcMonth) -> list[Path]:
        """Return the files of a month after a comparison with their checksums. Raises MonthFileError."""
        for manifest in self.manifests(kind, month):
            path = self.place(kind, month) / manifest.file
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise MonthFileError(
                    f"{path}: cannot be read ({error.strerror}), but its manifest exists: put the file back,"
                    " or remove the manifest if the store still has all values of that month"
                ) from error
            if found != manifest.sha256:
                raise MonthFileError(
                    f"{path}: differs from the checksum in its manifest: put back a copy of the file, or"
                    " remove file and manifest if the store still has all values of that month"
                )
        return self.files(kind, month)

    def add(self, draft: Path, manifest: Manifest, month: UtcMonth) -> None:
        """Give a complete draft its name, and write its manifest. Raises MonthFileError."""
        place = self.place(manifest.kind, month)
        noted = place / f"_{Path(manifest.file).stem}.json"
        encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        note = draft.with_suffix(".json")
        try:
            make_private_folder(place)
            note.write_bytes(encoded)
            for path in (draft, note):
                sync(path)
            # A file without a manifest is the rest of an export that was killed here: it is written again.
            draft.replace(place / manifest.file)
            note.replace(noted)
            for path in (place, place.parent, self.path):
                sync(path)
        except OSError as error:
            raise MonthFileError(f"{place}: cannot be written: {error.strerror}") from error


def drafts(folder: Path) -> AbstractContextManager[Path]:
    """Return the folder for drafts of months, for one process at a time. Raises ConfigError."""
    return drafts_folder(folder, _WORK, "another process exports months there")
