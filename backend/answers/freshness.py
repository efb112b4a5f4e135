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
"""How long a collection may take before its data are missed, unless the next one is due sooner."""


class SourceFreshness(ApiModel):
    """How old the newest data of a source are; null where it has shown none yet."""

    source: str
    kind: Kind
    newest_data: datetime | None
    age_seconds: float | None
    max_age_seconds: float
    last_due: datetime = Field(description="the last scheduled time, half an hour of collecting allowed")
    stale: bool | None = Field(description="older than maxAgeSeconds at lastDue")
    disabled: str | None = Field(description="why nothing is collected with the present settings")
    public: bool = Field(description="whether raw values are shown without the admin token")
    attribution: str


def freshness(service: ServiceParts, newest: Mapping[str, datetime]) -> list[SourceFreshness]:
    """Return, per source, how old the newest data are that it ever showed: `newest`, as the ledger has it."""
    now = service.clock()
    found = []
    for job in JOBS:
        due = last_due(service, job, now)
        for source in service.sources.of(job):
            seen = newest.get(source.name)
            if seen is not None and seen > now + CLOCK_TOLERANCE:
                seen = None  # written under a clock that was ahead: the age of the data is unknown
            found.append(
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
    return found


def last_due(service: ServiceParts, job: JobId, now: datetime) -> datetime:
    """Return the last scheduled time from which a collection should be through by now."""
    allowance = min(_A_COLLECTION, service.config.shortest_interval(job))
    settled = now - allowance
    return service.config.latest_slot(job, settled) or settled


def is_stale(newest: datetime, due: datetime, max_age: timedelta) -> bool:
    """Say whether data were too old when they were last due: between two collections all data age."""
    return due - newest > max_age
