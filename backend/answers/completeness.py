"""What was received of what is expected: runs of models and hours with readings, by site and local day.

The operator reads it, so withheld sources are included: it contains counts and no values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.service import ServiceParts
from backend.core.local_time import HOUR, date_of, local_day, local_moment
from backend.core.records import Site, network_of
from backend.core.registry import AROME, MODELS, NETWORKS
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, JobId
from backend.scheduler.past_days import obtainable, selection_of_day
from backend.storage.database import from_epoch, to_epoch
from backend.storage.gaps import Configured, configured
from backend.storage.operator_queries import OperatorQueries
from backend.storage.removals import Held, held

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
    offered_until: list[datetime | None] = Field(
        description="for each of these days, until when the last of it is offered; null: no end is known"
    )


@dataclass(frozen=True, slots=True)
class DayCount:
    """What was received of what a site expects of a source on a local day (counted from 1970).

    `last_missing` is the start of the last expected hour or run that is not there, or not whole; None: all
    are. What came from before the site or the source was configured counts as expected.
    """

    day: int
    received: int
    expected: int
    incomplete: int = 0
    last_missing: datetime | None = None


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """The days of one model or network (`model` is None), by site."""

    job: JobId
    source: Any
    model: str | None
    sites: Mapping[str, Sequence[DayCount]]


def completeness(service: ServiceParts, sites: Sequence[Site]) -> list[SourceCompleteness]:
    """Return the completeness of each enabled source at these sites. Raises StoreUnavailableError."""
    today = local_day(service.clock())
    return [
        _table(service, counts, sites)
        for counts in count_received(service, sites, range(today - DAYS + 1, today + 1))
    ]


def count_received(service: ServiceParts, sites: Sequence[Site], days: range) -> list[SourceCounts]:
    """Count what was received on local days at these sites. Raises StoreUnavailableError.

    Nothing is expected from before a site, its station or the source was configured, nor of a source that
    cannot be collected with the present settings.
    """
    now = service.clock()
    start = datetime.fromtimestamp(local_moment(days[0]), UTC)
    end = min(datetime.fromtimestamp(local_moment(days[-1] + 1), UTC), now)
    queries = OperatorQueries(service.database)
    known = configured(
        service.database,
        {site.id: site.valid_from for site in sites},
        [source.name for job in JOBS for source in service.sources.of(job) if source.disabled is None],
    )
    stations = {code for site in sites for code in site.stations}
    stations |= {code for of_site in known.mappings.values() for each in of_site for code in each.stations}
    hours = queries.hours_with_readings(stations, start, end)
    runs = queries.received_runs({site.id for site in sites}, start, now)
    with service.database.read() as connection:
        periods = held(connection)
    # Where a model has no forecasts none is expected: such a site would be a gap that nothing fills.
    outside = {(one.site, one.model) for one in service.store.outside(now)}
    counts: list[SourceCounts] = []
    for source in service.sources.of(OBSERVATIONS):
        of_network = {
            site.id: [_hours(service, source.name, site.id, known, hours, periods, day) for day in days]
            for site in sites
            if _has_station(source.name, site, known, to_epoch(start))
        }
        counts.append(SourceCounts(OBSERVATIONS, source, None, of_network))
    for source in service.sources.of(FORECASTS):
        for model in source.models:
            area, starts = source.areas.get(model), run_hours(service, model)
            of_model = {
                site.id: [
                    _runs(
                        runs.get((site.id, model), {}),
                        starts,
                        known.since(source.name, site.id),
                        [span for span, _ in periods.models.get(model, ())],
                        day,
                        now,
                    )
                    for day in days
                ]
                for site in sites
                if (site.id, model) not in outside and (area is None or area.holds(site))
            }
            counts.append(SourceCounts(FORECASTS, source, model, of_model))
    return counts


def run_hours(service: ServiceParts, model: str) -> tuple[int, ...]:
    """Return the hours (UTC) of a model's runs that are collected with the present settings."""
    if model in {info.name for info in AROME.models}:
        return service.settings.arome_runs
    return MODELS[model].run_hours if model in MODELS else ()


def _table(service: ServiceParts, counts: SourceCounts, sites: Sequence[Site]) -> SourceCompleteness:
    source, job = counts.source, counts.job
    found = {
        site: [
            ReceivedDay(
                day=date_of(count.day),
                received=count.received,
                expected=count.expected,
                incomplete=count.incomplete,
            )
            for count in days
        ]
        for site, days in counts.sites.items()
    }
    now = service.clock()
    last_missing: dict[int, datetime] = {}
    for days in counts.sites.values():
        for count in days:
            if count.last_missing is not None:
                last = last_missing.get(count.day, count.last_missing)
                last_missing[count.day] = max(last, count.last_missing)
    offers = {
        date_of(day): offer.until
        for day, last in sorted(last_missing.items())
        if (offer := obtainable(source, job, last, service.config)) is not None
        and offer.at(now)
        and selection_of_day(source, job, date_of(day), service.config, now) is not None
    }
    return SourceCompleteness(
        source=source.name,
        job=job,
        model=counts.model,
        unit="hours" if counts.model is None else "runs",
        disabled=source.disabled,
        sites=[
            ReceivedSite(site=site.id, name=site.name, days=found[site.id])
            for site in sites
            if site.id in found
        ],
        has_gaps=bool(last_missing),
        offered=list(offers),
        offered_until=list(offers.values()),
    )


def _has_station(network: str, site: Site, known: Configured, since: int) -> bool:
    """Return True if a site lists a station of a network now, or did at some time since then."""
    mappings = known.mappings.get(site.id, ())
    codes = {*site.stations, *known.stations(site.id, since)}
    codes.update(code for mapping in mappings if mapping.since > since for code in mapping.stations)
    return any(network_of(code) == network for code in codes)


def _hours(
    service: ServiceParts,
    network: str,
    site: str,
    known: Configured,
    hours: Mapping[str, frozenset[int]],
    periods: Held,
    day: int,
) -> DayCount:
    """Count the hours of a local day that are over and in which a station of a network has a reading.

    Of a network without history, no more hours are expected than there were collections in these hours.
    """
    over = range(local_moment(day), min(local_moment(day + 1), to_epoch(service.clock()) - HOUR + 1), HOUR)
    since = known.since(network, site)
    received, due = set(), []
    for hour in over:
        codes = [
            code
            for code in known.stations(site, hour)
            if network_of(code) == network and periods.of_station(code, hour) is None
        ]
        if any(hour in hours.get(code, ()) for code in codes):
            received.add(hour)
        if codes and since is not None and hour >= since:
            due.append(hour)
    info = NETWORKS.get(network)
    if info is not None and not info.history and due:
        # `slots` has its end in it and not its start: a collection at o'clock belongs to the hour it begins.
        before = timedelta(microseconds=1)
        first, end = (datetime.fromtimestamp(each, UTC) - before for each in (due[0], due[-1] + HOUR))
        expected = min(len(due), sum(1 for _ in service.config.slots(OBSERVATIONS, first, end)))
    else:
        due = sorted(received.union(due))
        expected = len(due)
    missing = [hour for hour in due if hour not in received]
    # A manual collection in an hour without a slot may receive more than is expected.
    count = min(len(received), expected)
    return DayCount(
        day, count, expected, last_missing=from_epoch(missing[-1]) if missing and count < expected else None
    )


def _runs(
    found: Mapping[datetime, bool],
    run_hours: Sequence[int],
    since: int | None,
    held_spans: Sequence[tuple[int, int]],
    day: int,
    now: datetime,
) -> DayCount:
    """Count the runs that started on a local day, from `since` on, and can be published by now.

    Runs in `held_spans` were removed, and are not expected.
    """
    first, end = (datetime.fromtimestamp(local_moment(number), UTC) for number in (day, day + 1))
    midnight = first.replace(hour=0)
    starts = {midnight + timedelta(days=days, hours=hour) for days in (0, 1) for hour in run_hours}
    starts = {
        start for start in starts if not any(span[0] <= to_epoch(start) <= span[1] for span in held_spans)
    }
    expected = {
        start
        for start in starts
        if first <= start < end
        and start + PUBLICATION <= now
        and since is not None
        and to_epoch(start) >= since
    }
    received = {start for start in found if start in starts and first <= start < end}
    incomplete = {start for start in received if not found[start]}
    return DayCount(
        day,
        len(received),
        len(expected | received),
        len(incomplete),
        max(expected - received | incomplete, default=None),
    )
