"""The head of the record of issued forecasts, which is published once a day."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from backend.answers.base import ApiModel
from backend.core.local_time import local_day, local_moment
from backend.storage.database import Database, from_epoch
from backend.storage.issued import head


class RecordHead(ApiModel):
    """One SHA-256 over the record of issued forecasts, in hexadecimal digits."""

    head: str = Field(description="changes if a row that was issued before then is changed or removed")
    before: datetime = Field(description="the last local midnight: later rows do not count")


def record_head(database: Database, now: datetime) -> RecordHead | None:
    """Return the head of the day, or None before the first one. Raises StoreUnavailableError."""
    before = from_epoch(local_moment(local_day(now)))
    with database.read() as connection:
        found = head(connection, before)
    return None if found is None else RecordHead(head=found.hex(), before=before)
