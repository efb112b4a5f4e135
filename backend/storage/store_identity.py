"""The identity of a store: a random id that its copies and backups share, and its newest backup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import from_epoch, maybe_time, to_epoch


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """The row of a store about itself. `backed_up_at` is the snapshot of its newest backup, None without."""

    store: str
    made_at: datetime
    program: str
    backed_up_at: datetime | None


def store_identity(connection: sa.Connection) -> StoreIdentity:
    """Return the identity of a store of this version."""
    row = connection.execute(sa.select(t.store_identity)).one()
    return StoreIdentity(row.store, from_epoch(row.made_at), row.program, maybe_time(row.backed_up_at))


def note_backup(connection: sa.Connection, snapshot: datetime) -> None:
    """Record the time of the snapshot of a whole backup."""
    connection.execute(sa.update(t.store_identity).values(backed_up_at=to_epoch(snapshot)))
