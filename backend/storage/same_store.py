"""Detection of a store that was replaced under a running process: by another one, or by an older state."""

from __future__ import annotations

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.run_records import Claim


class SameStore:
    """Compares the store with what this process saw and wrote in it before.

    `Database` itself notices another file under the name of a SQLite store. This class also notices a file
    that was overwritten in place, and a database that was loaded from a dump: its identity is another one, or
    the last run of this process is not in it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store: str | None = None
        self._last: Claim | None = None

    def note(self, claim: Claim) -> None:
        """Remember the last run that this process has claimed and stored."""
        self._last = claim

    def require(self, connection: sa.Connection) -> None:
        """Raise StoreReplacedError if the store is not the one of before; two look-ups by key."""
        store = connection.scalar(sa.select(t.store_identity.c.store))
        if self._store is None:
            self._store = store
        elif store != self._store:
            raise self._database.replaced_by("it has another identity")
        if self._last is None:
            return
        run = t.job_run.c
        row = connection.execute(sa.select(run.owner, run.epoch).where(run.id == self._last.run_id)).first()
        # A higher epoch is a takeover by another process.
        if row is None or (row.owner != self._last.owner and row.epoch <= self._last.epoch):
            raise self._database.replaced_by(f"run {self._last.run_id} of this process is not in it")
