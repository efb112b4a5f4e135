"""What was received of what is expected: runs of models and hours with readings, by site and local day.

The operator reads it, so withheld sources are included: it contains counts and no values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.service import ServiceParts
from backend.core.local_time import HOUR, date_of, local_day, local_moment
from backend.core.records import Site, network_of
from backend.core.registry import AROME, MODELS, NETWORKS
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scheduler.past_days import selection_of_day
from backend.storage.operator_queries import OperatorQueries

DAYS = 7
"""Number of local days, today included, for which completeness is shown."""

PUBLICATION = timedelta(hours=8)
"""Time from the start of a run after which it is expected: publication, and the next collection."""


class ReceivedDay(ApiModel):
    """What a source delivered for a site on a local day."""

    day: date
    received: int
    expected: int = Field(description="so far, for the present day; 0: nothing is expected")
    incomplete: int = Field(description="received runs with missing parts")

    @property
    def missing(self) -> bool:
        """Whether something expected is not there, or not whole."""
        return self.received < self.expected or self.incomplete > 0


class ReceivedSite(ApiModel):
    """The days of a site, oldest first."""

    site: str
    name: str
    days: list[ReceivedDay]


class SourceCompleteness(ApiModel):
    """Completeness of one model or network."""

    source: str
    job: JobId
    model: str | None = Field(description="null for a network of stations")
    unit: Literal["runs", "hours"]
    disabled: str | None
    sites: list[ReceivedSite]
    has_gaps: bool
    offered: list[date] = Field(description="days with a gap that the source can still deliver")


def completeness(service: ServiceParts, sites: Sequence[Site]) -> list[SourceCompleteness]:
    """Return the completeness of each enabled source at these sites. Raises StoreUnavailableError."""
    now = service.clock()
    today = local_day(now)
    days = range(today - DAYS + 1, today + 1)
    start = datetime.fromtimestamp(local_moment(days[0]), UTC)
    queries = OperatorQueries(service.database)
    hours = queries.hours_with_readings({code for site in sites for code in site.stations}, start, now)
    runs = queries.received_runs({site.id for site in sites}, start, now)
    outside = {(one.site, one.model) for one in service.store.outside(now)}
    tables = []
    for source in service.sources.of(OBSERVATIONS):
        wanted = [(day, *_expected_hours(service, source.name, day)) for day in days]
        found = {
            site.id: [_hours(codes, hours, *day) for day in wanted]
            for site in sites
            if (codes := [code for code in site.stations if network_of(code) == source.name])
        }
        tables.append(_table(service, OBSERVATIONS, source, None, sites, found))
    for source in service.sources.of(FORECASTS):
        for model in source.models:
            area, starts = source.areas.get(model), run_hours(service, model)
            found = {
                site.id: [_runs(runs.get((site.id, model), {}), starts, day, now) for day in days]
                for site in sites
                if (site.id, model) not in outside and (area is None or area.holds(site))
            }
            tables.append(_table(service, FORECASTS, source, model, sites, found))
    return tables


def run_hours(service: ServiceParts, model: str) -> tuple[int, ...]:
    """Return the hours (UTC) of a model's runs that are collected with the present settings."""
    if model in {info.name for info in AROME.models}:
        return service.settings.arome_runs
    return MODELS[model].run_hours if model in MODELS else ()


def _table(
    service: ServiceParts,
    job: JobId,
    source: Any,
    model: str | None,
    sites: Sequence[Site],
    found: Mapping[str, list[ReceivedDay]],
) -> SourceCompleteness:
    gaps = {day.day for days in found.values() for day in days if day.missing}
    now = service.clock()
    return SourceCompleteness(
        source=source.name,
        job=job,
        model=model,
        unit="hours" if model is None else "runs",
        disabled=source.disabled,
        sites=[
            ReceivedSite(site=site.id, name=site.name, days=found[site.id])
            for site in sites
            if site.id in found
        ],
        has_gaps=bool(gaps),
        offered=[day for day in sorted(gaps) if selection_of_day(source, job, day, service.config, now)],
    )


def _expected_hours(service: ServiceParts, network: str, day: int) -> tuple[range, int]:
    """Return the hours of a local day that are over, and how many of them should have a reading.

    Of a network without history, no more hours are expected than there were collections in these hours.
    """
    now = int(service.clock().timestamp())
    over = range(local_moment(day), min(local_moment(day + 1), now - HOUR + 1), HOUR)
    info = NETWORKS.get(network)
    if info is None or info.history or not over:
        return over, len(over)
    # `slots` has its end in it and not its start: a collection at o'clock belongs to the hour that it begins.
    before = timedelta(microseconds=1)
    since, until = (datetime.fromtimestamp(each, UTC) - before for each in (over[0], over[-1] + HOUR))
    return over, min(len(over), sum(1 for _ in service.config.slots(OBSERVATIONS, since, until)))


def _hours(
    codes: Sequence[str], hours: Mapping[str, frozenset[int]], day: int, over: range, expected: int
) -> ReceivedDay:
    """Count the hours in which any of these stations has a reading."""
    received = len(set().union(*(hours.get(code, frozenset()) for code in codes)).intersection(over))
    return ReceivedDay(day=date_of(day), received=min(received, expected), expected=expected, incomplete=0)


def _runs(found: Mapping[datetime, bool], run_hours: Sequence[int], day: int, now: datetime) -> ReceivedDay:
    """Count the runs that started on a local day and can be published by now."""
    first, end = (datetime.fromtimestamp(local_moment(number), UTC) for number in (day, day + 1))
    midnight = first.replace(hour=0)
    starts = {midnight + timedelta(days=days, hours=hour) for days in (0, 1) for hour in run_hours}
    expected = {start for start in starts if first <= start < end and start + PUBLICATION <= now}
    received = {start for start in found if start in starts and first <= start < end}
    return ReceivedDay(
        day=date_of(day),
        received=len(received),
        expected=len(expected | received),
        incomplete=sum(not found[start] for start in received),
    )
