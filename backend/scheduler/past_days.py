"""Collection of a day again: what a source still offers of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from backend.collectors.base import Source
from backend.scheduler.config import JobId, SchedulerConfig
from backend.scheduler.runner import Selection


def selection_of_day(
    source: Source[Any],
    job: JobId,
    day: date,
    config: SchedulerConfig,
    now: datetime,
    sites: Collection[str] | None = None,
) -> Selection | None:
    """Return the selection that collects what is missing of a day (UTC); None if the source has it no more.

    A source with an archive serves past days from there. Otherwise a plain collection reaches back as far as
    the lookback of its job.
    """
    if source.disabled is not None or day > now.date():
        return None
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1) - timedelta(seconds=1)
    if source.past is not None and day < now.date():
        oldest = source.past.start(now)
        if oldest is None or oldest <= end:
            since = start if oldest is None else max(start, oldest)
            return Selection(sources=(source.name,), sites=sites, since=since, until=end)
    if end >= now - config.lookback(job):
        return Selection(sources=(source.name,), sites=sites)
    return None
