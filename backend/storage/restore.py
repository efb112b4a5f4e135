"""Restore of a backup into an empty place, verified before anything appears there."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from backend.core.errors import ConfigError, StoreDamagedError
from backend.core.private_files import sync
from backend.storage.backup import open_copy, settle, tables_of, work_folder
from backend.storage.backup_file import STORE, BackupError, Manifest, read_backup, read_manifest
from backend.storage.database import Database, revisions
from backend.storage.issued import chains, head
from backend.storage.store_check import check_store
from backend.storage.store_copy import copy_store

_BESIDE = ("", "-wal", "-shm", "-journal")


class Restored(NamedTuple):
    """What was restored: the manifest, the files besides the store, and what is wrong with the record."""

    manifest: Manifest
    texts: dict[str, bytes]
    record_faults: Sequence[str]


def restore_backup(path: Path, target: Database, scratch: Path) -> Restored:
    """Restore the store of a backup into an empty database; verify checksums, rows, pages and the record.

    A SQLite store appears under its name as the last step, and a PostgreSQL store in one transaction.
    `scratch` is a folder for drafts of the latter. The tables are upgraded to this version. Faults in the
    record of issued forecasts that the store had before its backup are returned.

    Raises ConfigError for a place that is not empty or in use and for a backup of a newer version,
    BackupError for a damaged one, StoreUnavailableError.
    """
    manifest = read_manifest(path)
    if manifest.revision not in revisions():
        raise ConfigError(
            f"{path}: has tables of version {manifest.revision}, and this program knows versions up to"
            f" {revisions()[-1]}: use meteo-score {manifest.program}, which made it, or later"
        )
    _require_empty(target)
    with work_folder(scratch if target.path is None else target.path.parent) as work:
        draft = work / STORE
        manifest, texts = read_backup(path, draft)
        rows = tables_of(draft)
        if rows != manifest.rows:
            differing = sorted(name for name, _ in rows.items() ^ manifest.rows.items())
            raise BackupError(f"{path}: the numbers of rows differ in {', '.join(differing)}")
        faults = _upgraded_and_checked(path, draft, manifest)
        if target.path is None:
            target.migrate()
            with closing(open_copy(draft)) as source:
                copy_store(source, target, lambda _table, _rows: None)
        else:
            _require_empty(target)
            sync(draft)  # its upgrade was written without waiting for the disk
            draft.replace(target.path)
            sync(target.path.parent)
    return Restored(manifest, texts, faults)


def _upgraded_and_checked(path: Path, draft: Path, manifest: Manifest) -> list[str]:
    """Upgrade an unpacked store and check it; return the faults of its record."""
    with closing(open_copy(draft)) as store:
        store.migrate()
        report = check_store(store, whole=True)
        if report.problems:
            raise StoreDamagedError(f"{path}: the store in it is damaged: {report.damage}")
        with store.read() as connection:
            record = head(connection)
            if manifest.record_head is not None and (record is None or record.hex() != manifest.record_head):
                raise BackupError(f"{path}: the record of issued forecasts differs from the manifest")
            faults = [f"{chain.site}: {chain.fault}" for chain in chains(connection) if chain.fault]
    settle(draft)
    return faults


def _require_empty(target: Database) -> None:
    """Raise ConfigError if there is a store, a part of one, or a process that uses it."""
    if target.path is None:
        with target.read() as connection:
            others = connection.exec_driver_sql(_OTHER_CONNECTIONS).scalar_one()
        if others:
            raise ConfigError(
                f"DATABASE_URL={target.name!r}: {others} other connections are open to it: stop the service"
            )
        return
    parts = [target.path.with_name(f"{target.path.name}{end}") for end in _BESIDE]
    parts = [part for part in parts if part.exists() and (part != target.path or part.stat().st_size)]
    if any(_is_held(part) for part in parts):
        raise ConfigError(
            f"DATABASE_URL={target.name!r}: a running service holds this store: stop it, move"
            f" {', '.join(part.name for part in parts)} away, and restore then"
        )
    if parts:
        raise ConfigError(
            f"DATABASE_URL={target.name!r}: is not empty, and a backup is restored into an empty place only."
            f" Stop the service, move all of {', '.join(part.name for part in parts)} away, and restore then"
        )


def _is_held(part: Path) -> bool:
    """Return True if another process has a lock on a file of a store: every open connection has one."""
    try:
        with part.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # not ours to write: it is reported as not empty
    return False


_OTHER_CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
