"""The file of a backup: a gzipped tar with a manifest, the store as one SQLite file, sites and settings.

The manifest comes first, so that the backups of a folder can be listed without reading the stores in them.
A backup of a PostgreSQL store contains a SQLite file too: each kind can be restored into the other.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Self

import msgspec

from backend.core.errors import ConfigError, MeteoScoreError

FORMAT = 1
MANIFEST, STORE, SITES, SETTINGS = "manifest.json", "store.sqlite3", "sites.toml", "settings.env"

_LEVEL = 6  # of gzip; docs/operations.md has the measurement
_PIECE = 1 << 20
_MOST_MANIFEST_BYTES = 1 << 20


class BackupError(MeteoScoreError):
    """A backup could not be written, or a file is not a whole backup."""


class FileEntry(msgspec.Struct, frozen=True):
    """Size in bytes and SHA-256 (hexadecimal) of a file in a backup."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return size and checksum of a content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup contains, and from which store it is."""

    format: int = FORMAT
    made_at: datetime
    """Time of the snapshot, UTC."""
    program: str
    """Version of meteo-score that made the backup."""
    revision: str
    """Version of the tables of the store in the backup."""
    store: str | None
    """Identity of the store; None for a store from before the tables had one."""
    database: str
    """"sqlite" or "postgresql": the kind of the store that was backed up."""
    rows: dict[str, int]
    """Number of rows per table."""
    record_head: str | None
    """Hash over the record of issued forecasts (hexadecimal); None without a record."""
    files: dict[str, FileEntry]


class _Form(msgspec.Struct):
    format: int
    program: str


def write_backup(path: Path, manifest: Manifest, store: Path, texts: Mapping[str, bytes]) -> None:
    """Write the file of a backup: the manifest, the store, and the other files by their names."""
    path.touch(0o600)
    with tarfile.open(path, "w:gz", compresslevel=_LEVEL, format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, size: int, content: IO[bytes]) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = size, 0o600, int(manifest.made_at.timestamp())
            archive.addfile(entry, content)

        encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        add(MANIFEST, len(encoded), io.BytesIO(encoded))
        with store.open("rb") as file:
            add(STORE, store.stat().st_size, file)
        for name, content in texts.items():
            add(name, len(content), io.BytesIO(content))
    with path.open("rb") as file:
        os.fsync(file.fileno())


def entry_of(path: Path) -> FileEntry:
    """Return size and checksum of a file."""
    with path.open("rb") as file:
        return FileEntry(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a backup without reading the rest. Raises BackupError."""
    with _opened(path) as archive:
        return _first(path, archive)


def read_backup(path: Path, store: Path | None = None) -> tuple[Manifest, dict[str, bytes]]:
    """Read a whole backup and compare every checksum; return its manifest, and its files except the store.

    The store is written to the file `store` unless that is None. Raises BackupError for a file that is not a
    backup, is cut off or differs from its checksums, ConfigError for one of a newer form.
    """
    texts: dict[str, bytes] = {}
    with _opened(path) as archive:
        manifest = _first(path, archive)
        seen = set()
        while (member := archive.next()) is not None:
            expected = manifest.files.get(member.name)
            content = archive.extractfile(member)
            if expected is None or content is None:
                raise BackupError(f"{path}: has a file that its manifest does not name: {member.name}")
            if member.name == STORE:
                found = _copied(content, store)
            else:
                texts[member.name] = content.read()
                found = FileEntry.of(texts[member.name])
            if found != expected:
                raise BackupError(f"{path}: {member.name} differs from its checksum: the backup is damaged")
            seen.add(member.name)
        if missing := manifest.files.keys() - seen:
            raise BackupError(f"{path}: {', '.join(sorted(missing))} is missing: the backup is not whole")
    return manifest, texts


def _copied(content: IO[bytes], target: Path | None) -> FileEntry:
    digest, size = hashlib.sha256(), 0
    if target is not None:
        target.touch(0o600)
    with (target or Path(os.devnull)).open("wb") as file:
        while piece := content.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        if target is not None:
            os.fsync(file.fileno())
    return FileEntry(size, digest.hexdigest())


def _first(path: Path, archive: tarfile.TarFile) -> Manifest:
    member = archive.next()
    content = archive.extractfile(member) if member is not None and member.name == MANIFEST else None
    if content is None:
        raise BackupError(f"{path}: is not a backup of meteo-score")
    encoded = content.read(_MOST_MANIFEST_BYTES)
    try:
        form = msgspec.json.decode(encoded, type=_Form)
        if form.format > FORMAT:
            raise ConfigError(
                f"{path}: has a newer form: use meteo-score {form.program}, which made it, or later"
            )
        return msgspec.json.decode(encoded, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"{path}: its manifest cannot be read: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            yield archive
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BackupError(f"{path}: is not a whole backup of meteo-score: {error}") from error
    except OSError as error:  # also gzip.BadGzipFile, and a disk without room for the store
        raise BackupError(f"{path}: cannot be read and unpacked: {error.strerror or error}") from error
