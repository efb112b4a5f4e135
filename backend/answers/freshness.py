"""How old the newest data of each source are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.service import ServiceParts
from backend.core.clock import CLOCK_TOLERANCE
from backend.scheduler.config import FORECASTS, JOBS, JobId

Kind = Literal["forecasts", "observations"]

_A_COLLECTION = timedelta(minutes=30)
"""Time that a collection may take before its data count as missing; less if the next one is due sooner."""


class SourceFreshness(ApiModel):
    """The age of the newest data of a source; null before the first data."""

    source: str
    kind: Kind
    newest_data: datetime | None
    age_seconds: float | None
    max_age_seconds: float
    last_due: datetime = Field(
        description="the last scheduled time whose collection should be over: half an hour after it,"
        " or the shortest interval of the schedule"
    )
    stale: bool | None = Field(description="older than maxAgeSeconds at lastDue")
    disabled: str | None = Field(description="why the source is not collected with the current settings")
    public: bool = Field(description="whether raw values are shown without the admin token")
    attribution: str


def freshness(service: ServiceParts, newest: Mapping[str, datetime]) -> list[SourceFreshness]:
    """Return the age of the newest data of each source; `newest` is their time by source, from the ledger."""
    now = service.clock()
    ages = []
    for job in JOBS:
        due = last_due(service, job, now)
        for source in service.sources.of(job):
            seen = newest.get(source.name)
            if seen is not None and seen > now + CLOCK_TOLERANCE:
                seen = None  # stored while the clock was ahead: the age of the data is unknown
            ages.append(
                SourceFreshness(
                    source=source.name,
                    kind="forecasts" if job == FORECASTS else "observations",
                    newest_data=seen,
                    age_seconds=None if seen is None else (now - seen).total_seconds(),
                    max_age_seconds=source.max_age.total_seconds(),
                    last_due=due,
                    stale=None if seen is None else is_stale(seen, due, source.max_age),
                    disabled=source.disabled,
                    public=source.public,
                    attribution=source.attribution,
                )
            )
    return ages


def last_due(service: ServiceParts, job: JobId, now: datetime) -> datetime:
    """Return the last scheduled time whose collection should have ended by now."""
    # With an allowance longer than the interval, the newest slot would never be judged.
    allowance = min(_A_COLLECTION, service.config.shortest_interval(job))
    settled = now - allowance
    return service.config.latest_slot(job, settled) or settled


def is_stale(newest: datetime, due: datetime, max_age: timedelta) -> bool:
    """Return whether data were too old at the last due time. Between two collections all data get older."""
    return due - newest > max_age
