"""Collection of a day again: what a source still offers of it, and until when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from backend.collectors.base import Source
from backend.core.local_time import date_of, day_number, local_day, local_moment
from backend.core.registry import NETWORKS
from backend.scheduler.config import JobId, SchedulerConfig
from backend.scheduler.orders import Selection

_SECOND = timedelta(seconds=1)


def selection_of_day(
    source: Source[Any],
    job: JobId,
    day: date,
    config: SchedulerConfig,
    now: datetime,
    sites: Collection[str] | None = None,
) -> Selection | None:
    """Return the selection that collects what is missing of a local day; None if nothing of it is offered.

    A source with an archive serves past days from there. Otherwise a plain collection reaches back as far as
    the lookback of its job and what the publisher still serves; a network without history has no past at all.
    """
    today = local_day(now)
    if source.disabled is not None or day > date_of(today):
        return None
    start, next_start = (
        datetime.fromtimestamp(local_moment(number), UTC) for number in (day_number(day), day_number(day) + 1)
    )
    if source.past is not None and day < date_of(today):
        # As for the command `backfill`, the archive is asked for days of UTC that are over.
        until = min(next_start, datetime.combine(now.astimezone(UTC).date(), time(), UTC)) - _SECOND
        oldest = source.past.start(now)
        if oldest is None or oldest <= until:
            since = start if oldest is None else max(start, oldest)
            return Selection(sources=(source.name,), sites=sites, since=since, until=until)
    network = NETWORKS.get(source.name)
    if network is not None and not network.history:
        return None
    reach = config.lookback(job)
    if source.serves is not None:
        reach = min(reach, source.serves)
    if next_start - _SECOND >= now - reach:
        return Selection(sources=(source.name,), sites=sites)
    return None


@dataclass(frozen=True, slots=True)
class Obtainable:
    """How long something missing can be collected: up to `until` (UTC); None: no end is known."""

    until: datetime | None

    def at(self, now: datetime) -> bool:
        """Return True if it can still be collected."""
        return self.until is None or self.until >= now


def obtainable(source: Source[Any], job: JobId, time: datetime, config: SchedulerConfig) -> Obtainable | None:
    """Return how long a run that starts, or a reading, at `time` can be collected; None: never afterwards.

    The limits are those of selection_of_day(): the reach of the archive, the lookback of the job, and what
    the publisher is known to serve.
    """
    if source.disabled is not None:
        return None
    ends: list[datetime | None] = []
    if source.past is not None and (source.past.since is None or source.past.since <= time):
        ends.append(None if source.past.reach is None else time + source.past.reach)
    network = NETWORKS.get(source.name)
    if network is None or network.history:
        lookback = config.lookback(job)
        ends.append(time + (lookback if source.serves is None else min(lookback, source.serves)))
    if not ends:
        return None
    return Obtainable(None if None in ends else max(end for end in ends if end is not None))
