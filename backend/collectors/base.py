"""Sources and routes, and `collect`, which walks the routes of a source.

A source is an ordered tuple of routes to the same data. A route reads an index, chooses what to fetch, and
passes the bytes to a pure `parse`. It opens no socket or file, and reads neither clock nor environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec
import structlog

from backend.core.areas import Area
from backend.core.errors import CollectorError, IncompleteError, ParseError, PayloadMissingError
from backend.core.parameters import canonical, why_implausible
from backend.core.records import (
    BACKFILLED,
    CollectionRequest,
    Failure,
    Forecast,
    ForecastBatch,
    IncompletePart,
    Observation,
    ObservationBatch,
    Position,
    Rejected,
    Station,
)
from backend.core.registry import MODELS
from backend.core.terms import SourceTerms
from backend.core.text import one_line

log = structlog.get_logger()

DOUBTFUL = frozenset({"out_of_range", "not_a_number", "odd_row", "zero_mean", "zero_gust"})
"""Reason codes of rejected values that may be correct when read again; a mark for "missing" is not one."""

PLAUSIBLE_PLACE = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0), "elevation": (-500.0, 9000.0)}
"""Possible positions of a station, in degrees and in metres above sea level."""

Kind = Literal["json", "xml", "html", "grib"]
"""Kind of a body; its first bytes are checked, because HTTP 200 and a content type prove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One GET request. `secret_params` and `secret_headers` are never logged, stored or shown.

    `max_bytes` limits the decoded body; `expected_bytes` is the exact size in an index. `calls` is the number
    of calls that the request counts as in its host's quota. `known` is the version of the body that was
    downloaded before: if it has not changed, the download raises UnchangedError without reading the body.
    """

    url: str
    kind: Kind
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_bytes: int = 5_000_000
    expected_bytes: int | None = None
    calls: int = 0
    known: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Bytes as received, decompressed. `url` is their address without keys."""

    url: str
    body: bytes
    fetched_at: datetime
    last_modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A body in a file, too large for memory. The file is deleted when its context ends.

    `version` consists of its length and its stamps; empty if the host sends none of them.
    """

    url: str
    path: Path
    fetched_at: datetime
    last_modified: datetime | None = None
    version: str = ""


class Fetch(Protocol):
    """The only way to the network. Both raise FetchError for anything but a whole body of its kind."""

    async def __call__(self, request: Request) -> Payload:
        """Return the body in memory."""
        ...

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        """Give the body as a file for as long as the context lasts."""
        ...


class Meter(Protocol):
    """Counts network traffic: requests, with all attempts, and bytes as transferred."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MeteredFetch:
    """The Fetch of one source in one collection, and its meter."""

    fetch: Fetch
    meter: Meter


B = TypeVar("B", ForecastBatch, ObservationBatch)
B_co = TypeVar("B_co", ForecastBatch, ObservationBatch, covariant=True)


class Route(Protocol[B_co]):
    """One way to a source's data. Lower `rank` is better; equal ranks carry the same values."""

    @property
    def name(self) -> str:
        """Return the name in rows and outcomes: "winds_mobi"."""
        ...

    @property
    def rank(self) -> int:
        """Return the quality of the route: 0 is the best."""
        ...

    def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B_co]:
        """Yield the requested data, batch by batch.

        One failed request is a Failure in a batch. A CollectorError means that the whole route failed.
        Data that are not published yet are not a failure: a batch without records then has the time of the
        newest data.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(Generic[B]):
    """The routes to past data, and how far back they go.

    `reach` is counted back from now, `since` is the start of the archive; None: no such limit.
    """

    routes: tuple[Route[B], ...]
    reach: timedelta | None = None
    since: datetime | None = None

    def start(self, now: datetime) -> datetime | None:
        """Return the oldest time in the archive, or None without a limit."""
        limits = (self.since, now - self.reach if self.reach is not None else None)
        return max((limit for limit in limits if limit is not None), default=None)


NO_ARCHIVE = "its publisher serves no archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[B]):
    """A source: its routes, best first, and the terms of its publisher.

    `batch` is the class of its batches: forecasts or observations. `models` are the names of the models it
    collects. `disabled` is the reason why nothing can be collected with the present settings, if so. The
    source is stale when its newest data are older than `max_age`. `public` is True if raw values may be
    shown. `areas` has the area of each model that has one: nothing is requested for sites outside. `past` has
    the routes of a backfill; `no_archive_reason` is the reason if it is None.
    `opted_in` is False for an opt-in source that is off. It is not listed; data that it collected earlier
    keep their visibility.
    """

    name: str
    batch: type[B]
    routes: tuple[Route[B], ...]
    max_age: timedelta
    public: bool
    attribution: str
    models: tuple[str, ...] = ()
    areas: Mapping[str, Area] = field(default_factory=dict)
    disabled: str | None = None
    opted_in: bool = True
    past: Archive[B] | None = None
    no_archive_reason: str = NO_ARCHIVE

    @classmethod
    def of(
        cls,
        terms: SourceTerms,
        *,
        batch: type[B],
        routes: tuple[Route[B], ...],
        max_age: timedelta,
        disabled: str | None = None,
        past: Archive[B] | None = None,
        no_archive_reason: str = NO_ARCHIVE,
    ) -> Source[B]:
        """Return a source of the registry, with its terms under the settings."""
        return cls(
            name=terms.name,
            batch=batch,
            routes=routes,
            max_age=max_age,
            public=terms.public,
            attribution=terms.attribution,
            models=terms.models,
            areas={name: area for name in terms.models if (area := MODELS[name].area)},
            disabled=disabled,
            opted_in=terms.opted_in,
            past=past,
            no_archive_reason=no_archive_reason,
        )


async def collect(source: Source[B], needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B]:
    """Walk the routes of a source until one answers; yield its batches, implausible values set aside.

    The next route is tried only if one failed as a whole: it raised, or it had failures and no values. The
    failures of earlier routes are yielded too, so that they appear in the outcome and not only in logs.
    A backfill uses every route to the past, because each may have data that the others do not have.
    """
    if needs.until is not None:
        async for batch in _collect_past(source, needs, fetch):
            yield batch
        return
    for route in source.routes:
        values, failed = 0, False
        try:
            async for batch in route.collect(needs, fetch):
                values += len(batch.records) + len(batch.rejected)
                failed = failed or bool(batch.failures)
                # In a thread: a batch has hundreds of thousands of values, and the API must stay responsive.
                yield await asyncio.to_thread(set_aside_implausible, _cap_availability(batch))
        except CollectorError as error:
            failed = True
            yield failure_batch(source, route, error, needs.now)
        if values or not failed:
            return


def _cap_availability(batch: B) -> B:
    """Cap the run's availability time at the collection time; the publisher's clock may run ahead of ours."""
    if isinstance(batch, ForecastBatch) and batch.run and batch.run.available_at > batch.collected_at:
        seen = replace(batch.run, available_at=batch.collected_at, published=False)
        return replace(batch, run=seen)
    return batch


async def _collect_past(source: Source[B], needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B]:
    """Yield the batches of a source's archives, labelled as backfilled.

    Backfilled batches never advance `complete_until`: they do not cover the time up to now.
    """
    for route in source.past.routes if source.past else ():
        try:
            async for batch in route.collect(needs, fetch):
                yield _backfilled(await asyncio.to_thread(set_aside_implausible, batch))
        except CollectorError as error:
            yield _backfilled(failure_batch(source, route, error, needs.now))


def _backfilled(batch: B) -> B:
    labelled = replace(batch, route=f"{batch.route}{BACKFILLED}", newest=None)
    return replace(labelled, complete_until={}) if isinstance(labelled, ObservationBatch) else labelled


LONGEST_TEXT = 500
"""Characters of a source's text that are stored with a failure or a rejected value."""

LONGEST_NAME, LONGEST_KIND, LONGEST_REMARKS = 100, 30, 2000
"""Characters of a network's texts about a station that are stored."""

LONGEST_ID = 60
"""Longest accepted id of a station, in characters; the longest of all collected networks has 25."""

MOST_STATIONS = 10_000
"""Highest accepted number of stations in one answer: ten times the largest collected network."""


def as_failure(route: str, error: CollectorError) -> Failure:
    """Return an error as the Failure of a batch; log it here, where its traceback is available."""
    if isinstance(error, IncompleteError):
        log.warning("run incomplete", route=route, url=error.url, reason=error.reason)
    elif not isinstance(error, PayloadMissingError):
        log.error("request failed", route=route, url=error.url, reason=error.reason, exc_info=error)
    reason = one_line(error.reason, LONGEST_TEXT)
    return Failure(route=route, url=error.url, reason=reason, error=type(error).__name__)


def failure_batch(source: Source[B], route: Route[B], error: CollectorError, now: datetime) -> B:
    """Return a batch with nothing but the failure of a whole route."""
    return source.batch(
        source=source.name,
        route=route.name,
        rank=route.rank,
        collected_at=now,
        failures=(as_failure(route.name, error),),
    )


def set_aside_implausible(batch: B) -> B:
    """Return the batch with impossible values and positions moved to its rejected ones.

    These do not count as collected: as the publisher may correct them, later collections request them again.
    A file with a version is read again only after the version has changed.
    """
    if isinstance(batch, ObservationBatch):
        batch = _with_bounded_stations(batch)
    good: list[Any] = []
    bad = [
        replace(
            value,
            subject=one_line(value.subject, LONGEST_TEXT),
            raw=one_line(value.raw, LONGEST_TEXT),
            reason=one_line(value.reason, LONGEST_TEXT),
        )
        for value in batch.rejected
    ]
    for record in batch.records:
        reason = why_implausible(record.parameter, record.value)
        if reason:
            bad.append(_rejected(record, reason))
        elif record.value != (value := canonical(record.parameter, record.value)):
            good.append(msgspec.structs.replace(record, value=value))
        else:
            good.append(record)
    checked = _withhold_completeness(replace(batch, records=tuple(good), rejected=tuple(bad)))
    return _without_impossible_places(checked) if isinstance(checked, ObservationBatch) else checked


def _withhold_completeness(batch: B) -> B:
    """Do not mark a station or site complete if one of its values was rejected as implausible."""
    doubtful = {value.subject for value in batch.rejected if value.reason_code in DOUBTFUL}
    if isinstance(batch, ObservationBatch):
        complete_until = {
            station: time for station, time in batch.complete_until.items() if station not in doubtful
        }
        return replace(batch, complete_until=complete_until)
    # The part stays incomplete, so that a corrected file is read again.
    open_ = [site for site in batch.sites if batch.run and _subject(batch.run.model, site) in doubtful]
    again: list[IncompletePart] = [
        IncompletePart(part, site, "a value that cannot be true", batch.versions[part])
        for part in batch.parts
        for site in open_
        if batch.versions.get(part)
    ]
    sites = tuple(site for site in batch.sites if batch.run and site not in open_)
    return replace(batch, sites=sites, incomplete=(*batch.incomplete, *again))


def _subject(model: str, site: str) -> str:
    return f"{model} {site}"


def _with_bounded_stations(batch: ObservationBatch) -> ObservationBatch:
    """Return the batch with shortened, printable texts of stations, and without impossible ids.

    Raises ParseError for more stations than MOST_STATIONS.
    """
    ids = {record.station for record in batch.records} | {station.id for station in batch.stations}
    ids |= {position.station for position in batch.positions}
    if len(ids) > MOST_STATIONS:
        raise ParseError(f"{len(ids)} stations in one answer, the limit is {MOST_STATIONS}")
    odd = {code for code in ids if len(code) > LONGEST_ID or not code.isprintable()}
    stations = tuple(
        replace(
            station,
            name=one_line(station.name, LONGEST_NAME),
            kind=one_line(station.kind, LONGEST_KIND),
            remarks=one_line(station.remarks, LONGEST_REMARKS),
        )
        for station in batch.stations
        if station.id not in odd
    )
    if not odd:
        return replace(batch, stations=stations)
    return replace(
        batch,
        stations=stations,
        records=tuple(record for record in batch.records if record.station not in odd),
        positions=tuple(position for position in batch.positions if position.station not in odd),
        rejected=(
            *batch.rejected,
            *(Rejected(code, None, None, code, "bad_id: not a valid station id") for code in sorted(odd)),
        ),
    )


def _without_impossible_places(batch: ObservationBatch) -> ObservationBatch:
    stations: list[Station] = []
    bad: list[Rejected] = []
    for station in batch.stations:
        stated = {name: getattr(station, name) for name in PLAUSIBLE_PLACE}
        wrong = [
            name for name, (low, high) in PLAUSIBLE_PLACE.items() if not low <= (stated[name] or 0.0) <= high
        ]
        bad += [
            Rejected(station.id, None, None, repr(stated[name]), f"no_such_place: no {name} on Earth")
            for name in wrong
        ]
        unknown: dict[str, Any] = dict.fromkeys(wrong)
        if _is_dummy(station):  # treated as unknown, so that the store keeps the last good position
            unknown |= {"latitude": None, "longitude": None}
        stations.append(replace(station, **unknown))
    positions = tuple(map(_known_position, batch.positions))
    return replace(batch, stations=tuple(stations), positions=positions, rejected=(*batch.rejected, *bad))


DUMMY_DEGREES = 1.0
"""A position closer to 0 N 0 E is sea: stations without a position report 0 N 0 E."""


def _known_position(position: Position) -> Position:
    """Return the position without impossible coordinates or elevation."""
    stated = {name: getattr(position, name) for name in PLAUSIBLE_PLACE}
    unknown: dict[str, Any] = dict.fromkeys(
        name for name, (low, high) in PLAUSIBLE_PLACE.items() if not low <= (stated[name] or 0.0) <= high
    )
    if _is_dummy(position):
        unknown |= {"latitude": None, "longitude": None}
    return replace(position, name=one_line(position.name, LONGEST_NAME), **unknown)


def _is_dummy(place: Station | Position) -> bool:
    latitude, longitude = place.latitude, place.longitude
    return (
        latitude is not None and longitude is not None and max(abs(latitude), abs(longitude)) < DUMMY_DEGREES
    )


def _rejected(record: Forecast | Observation, reason: str) -> Rejected:
    if isinstance(record, Forecast):
        subject, time = _subject(record.model, record.site), record.valid_time
    else:
        subject, time = record.station, record.time
    return Rejected(
        subject=subject, parameter=record.parameter, time=time, raw=repr(record.value), reason=reason
    )
