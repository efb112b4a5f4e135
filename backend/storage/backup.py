"""Backups of the store while the service collects, and how many of them a folder keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from backend import __version__
from backend.core.errors import ConfigError, StoreDamagedError, StoreUnavailableError
from backend.core.private_files import drafts_folder, sync
from backend.storage.backup_file import (
    STORE,
    BackupError,
    FileEntry,
    Manifest,
    entry_of,
    read_backup,
    read_manifest,
    write_backup,
)
from backend.storage.database import Database, revisions
from backend.storage.issued import head
from backend.storage.sqlite_copy import copy_sqlite, settle_sqlite
from backend.storage.store_check import check_store
from backend.storage.store_copy import copy_store
from backend.storage.store_identity import note_backup

_NAME = "meteo-score-{:%Y%m%dT%H%M%SZ}.tar.gz"
_PATTERN = "meteo-score-*.tar.gz"
_WORK = ".meteo-score-backup"


class Backup(NamedTuple):
    """A whole backup: its file, and what it contains."""

    path: Path
    manifest: Manifest


def backup_name(now: datetime) -> str:
    """Return the name of a backup in a folder of backups."""
    return _NAME.format(now)


def make_backup(database: Database, place: Path, now: datetime, texts: Mapping[str, bytes]) -> Backup:
    """Write a backup of the store and of `texts` to a new file, while others write to the store.

    The file appears under its name when it is whole and was read back. `now` is the time of the snapshot.
    Raises ConfigError for a place that cannot be used, StoreDamagedError for a store that a backup must not
    preserve, StoreUnavailableError, BackupError.
    """
    if place.exists():
        raise ConfigError(f"{place}: there is a file already: name a new one, or a folder")
    try:
        with work_folder(place.parent) as work:
            copy, draft = work / STORE, work / "backup.tar.gz"
            if database.path is None:  # on a server: its state at this moment, as a SQLite file
                database.require_current()
                copy.touch(0o600)
                with closing(open_copy(copy)) as target:
                    target.migrate()
                    copy_store(database, target, lambda _table, _rows: None)
                settle(copy)
            else:
                copy_sqlite(database.path, copy)
            manifest = _manifest(copy, database, now, texts)
            write_backup(draft, manifest, copy, texts)
            read_backup(draft)
            draft.rename(place)
            sync(place.parent)
    except OSError as error:
        raise BackupError(f"{place}: the backup cannot be written: {error.strerror or error}") from error
    if manifest.revision == revisions()[-1]:
        try:
            with database.write() as connection:
                note_backup(connection, now)
        except StoreUnavailableError as error:
            raise BackupError(f"{place}: is whole, but the store does not record it: {error}") from error
    return Backup(place, manifest)


def backups(folder: Path, store: str | None) -> list[Backup]:
    """Return the backups of one store in a folder, oldest first; files that cannot be read are left out."""
    found = []
    for path in folder.glob(_PATTERN):
        try:
            manifest = read_manifest(path)
        except (BackupError, ConfigError):
            continue  # damaged, of a newer form, or of another program: it is never removed
        if manifest.store == store:
            found.append(Backup(path, manifest))
    return sorted(found, key=lambda backup: (backup.manifest.made_at, backup.path))


def prune_backups(newest: Backup, keep: int) -> list[Path]:
    """Remove all but `keep` backups of the same store beside a new one, oldest first; return the removed.

    The new backup was read back, so that a whole one is always left. Files whose manifest cannot be read,
    those of other stores and those of a clock that was ahead stay. Raises BackupError.
    """
    older = [
        backup
        for backup in backups(newest.path.parent, newest.manifest.store)
        if backup.manifest.made_at < newest.manifest.made_at
    ]
    removed = [backup.path for backup in older[: max(0, len(older) - (keep - 1))]]
    for path in removed:
        try:
            path.unlink()
        except OSError as error:
            raise BackupError(f"{path}: the old backup cannot be removed: {error.strerror}") from error
    return removed


def work_folder(parent: Path) -> AbstractContextManager[Path]:
    """Return the folder for the drafts of backups and restores in a folder. Raises ConfigError."""
    return drafts_folder(parent, _WORK, "another backup, restore or export is under way there")


def open_copy(path: Path) -> Database:
    """Return a SQLite file that belongs to this process alone as a database."""
    return Database(f"sqlite:///{path}", setting=str(path), durable=False, make=None)


def settle(path: Path) -> None:
    """Close a SQLite file that was opened as a database, so that the file itself is complete."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        settle_sqlite(connection)


def tables_of(path: Path) -> dict[str, int]:
    """Return the number of rows of each table in a SQLite file, of any version."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        counts = {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - our tables
            for (name,) in names
        }
    return {name: rows for name, rows in counts.items() if name != "alembic_version"}


def _manifest(copy: Path, database: Database, now: datetime, texts: Mapping[str, bytes]) -> Manifest:
    with closing(open_copy(copy)) as opened:
        report = check_store(opened, whole=True)
        if report.problems:
            raise StoreDamagedError(
                f"the store is damaged, and no backup was made: {report.damage}. Keep the older backups, and"
                " see store_damaged in docs/operations.md"
            )
        with opened.read() as connection:
            known = sa.inspect(connection).get_table_names()
            if "alembic_version" not in known:
                raise ConfigError(f"{database.name}: has no tables of meteo-score")
            revision = str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))
            has_identity, has_record = "store_identity" in known, revision == revisions()[-1]
            store = connection.scalar(sa.text("SELECT store FROM store_identity")) if has_identity else None
            record = head(connection) if has_record else None
    settle(copy)
    return Manifest(
        made_at=now,
        program=__version__,
        revision=revision,
        store=store,
        database="postgresql" if database.path is None else "sqlite",
        rows=tables_of(copy),
        record_head=record.hex() if record else None,
        files={
            STORE: entry_of(copy),
            **{name: FileEntry.of(content) for name, content in texts.items()},
        },
    )
