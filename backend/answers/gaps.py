"""Gaps: what is missing, by site, local day and source, and until when it can still be collected."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from backend.answers.completeness import SourceCounts, count_received
from backend.answers.service import ServiceParts
from backend.core.local_time import date_of
from backend.core.records import Site
from backend.scheduler.config import JobId
from backend.scheduler.past_days import Obtainable, obtainable


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is missing of a source at a site on a local day: hours with a reading, or runs (with a `model`).

    `offer` is None if the source never serves what a collection missed.
    """

    day: date
    site: str
    source: str
    job: JobId
    model: str | None
    received: int
    expected: int
    incomplete: int
    offer: Obtainable | None

    @property
    def missing(self) -> int:
        """Return how many hours or runs are missing, or not whole."""
        return self.expected - self.received + self.incomplete


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps of a period, by day, source and site, and how many hours and runs were expected."""

    gaps: tuple[Gap, ...]
    expected_hours: int
    expected_runs: int


def find_gaps(
    service: ServiceParts, sites: Sequence[Site], days: range, names: Collection[str] | None = None
) -> Gaps:
    """Return the gaps of local days (counted from 1970) at these sites; `names`: of sources or models.

    A source that is off with the present settings has no gaps. Raises StoreUnavailableError.
    """
    counted = [
        counts
        for counts in count_received(service, sites, days)
        if counts.source.disabled is None and (names is None or {counts.source.name, counts.model} & {*names})
    ]
    gaps = [gap for counts in counted for gap in _gaps_of(service, counts)]
    order = {site.id: number for number, site in enumerate(sites)}
    gaps.sort(key=lambda gap: (gap.day, gap.job, gap.source, gap.model or "", order[gap.site]))
    return Gaps(
        tuple(gaps),
        sum(_expected(counts) for counts in counted if counts.model is None),
        sum(_expected(counts) for counts in counted if counts.model is not None),
    )


def _expected(counts: SourceCounts) -> int:
    return sum(count.expected for days in counts.sites.values() for count in days)


def _gaps_of(service: ServiceParts, counts: SourceCounts) -> list[Gap]:
    source: Any = counts.source
    return [
        Gap(
            day=date_of(count.day),
            site=site,
            source=source.name,
            job=counts.job,
            model=counts.model,
            received=count.received,
            expected=count.expected,
            incomplete=count.incomplete,
            offer=obtainable(source, counts.job, count.last_missing, service.config),
        )
        for site, days in counts.sites.items()
        for count in days
        if count.last_missing is not None
    ]


def still_offered(gaps: Sequence[Gap], now: datetime) -> list[Gap]:
    """Return the gaps that a collection can fill now, at least in part."""
    return [gap for gap in gaps if gap.offer is not None and gap.offer.at(now)]
