"""Imported files, and which batches each of them made: what an import stored can be found again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.core.errors import NotFoundError
from backend.storage import schema as t
from backend.storage.database import from_epoch, inserted_id, to_epoch

BATCHES = {"forecasts": t.forecast_batch, "observations": t.observation_batch}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """An import that stored something. `file` is empty for one of before these were recorded."""

    id: int
    kind: str
    file: str
    imported_at: datetime
    first_batch: int
    last_batch: int


def newest_batch(connection: sa.Connection, kind: str) -> int:
    """Return the newest batch of a kind; 0: none yet."""
    return connection.execute(sa.select(sa.func.max(BATCHES[kind].c.id))).scalar() or 0


def note_import(
    connection: sa.Connection, *, kind: str, file: str, digest: bytes, now: datetime, after: int
) -> int | None:
    """Record an import by its batches: all after this one. None if it stored nothing.

    It is the only writer of its transaction, so that no other batch lies between them.
    """
    batch = BATCHES[kind].c.id
    first, last = connection.execute(
        sa.select(sa.func.min(batch), sa.func.max(batch)).where(batch > after)
    ).one()
    if first is None:
        return None
    return inserted_id(
        connection,
        sa.insert(t.imported_file).values(
            kind=kind,
            file=file,
            hash=digest,
            imported_at=to_epoch(now),
            first_batch=first,
            last_batch=last,
        ),
    )


def imported_file(connection: sa.Connection, number: int) -> ImportedFile:
    """Return an import. Raises NotFoundError."""
    row = connection.execute(sa.select(t.imported_file).where(t.imported_file.c.id == number)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no import {number}: see meteo-score data imports")
    return _record(row)


def imported_files(connection: sa.Connection) -> list[ImportedFile]:
    """Return all imports, newest first."""
    query = sa.select(t.imported_file).order_by(
        t.imported_file.c.imported_at.desc(), t.imported_file.c.id.desc()
    )
    return [_record(row) for row in connection.execute(query)]


def _record(row: Any) -> ImportedFile:
    return ImportedFile(
        id=row.id,
        kind=row.kind,
        file=row.file,
        imported_at=from_epoch(row.imported_at),
        first_batch=row.first_batch,
        last_batch=row.last_batch,
    )
