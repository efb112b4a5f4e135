"""The score days that are due, as jobs of the queue: one for each group of sites."""

from __future__ import annotations

from datetime import datetime

from backend.core.local_time import local_day
from backend.storage import days
from backend.storage.database import Database
from backend.storage.queue import SCORES, QueueJob, defer, queued

SITES_TOGETHER = 50
"""Sites of a group, by their ids in the store."""


def sites_of_group(group: int) -> range:
    """Return the ids of the sites of a group."""
    return range(group * SITES_TOGETHER, (group + 1) * SITES_TOGETHER)


def queue_due_days(database: Database, now: datetime) -> int:
    """Queue each group with days that are due and that does not wait in the queue; return how many.

    A group that a worker has started is queued once more: its days may have changed since it read them.
    Raises StoreUnavailableError.
    """
    with database.read() as connection:
        due = days.due_sites(connection, local_day(now))
    groups = {site_id // SITES_TOGETHER for site_id in due}
    if not groups:
        return 0
    with database.write() as connection:
        waiting = {group for group, started in queued(connection, SCORES).items() if not started}
        groups -= waiting
        defer(connection, [QueueJob(SCORES, group, f"{SCORES}/{group}") for group in sorted(groups)])
    return len(groups)
