"""What every source is made of, and the one walk through it.

A source is an ordered tuple of routes to the same data. A route reads an index, chooses, fetches and
gives bytes to a pure `parse`; it opens no socket, file or clock and reads no environment.
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
"""Why a value is set aside that may be right the next time: a mark for "missing" is not among them."""

PLAUSIBLE_PLACE = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0), "elevation": (-500.0, 9000.0)}
"""Where a station can stand, in degrees and in metres above sea level."""

Kind = Literal["json", "xml", "html", "grib"]
"""What a body must be; checked by its first bytes, because HTTP 200 and a content type prove nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One GET. `secret_params` and `secret_headers` are sent, and never logged, stored or shown.

    `max_bytes` bounds the decoded body; `expected_bytes` is the exact size an index announced. `calls` is
    what the request counts for where its host has a quota. `known` is the version of the body that was
    downloaded before: if it is still that one, the download raises UnchangedError before the body comes.
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
    """Bytes as received, decompressed. `url` names where they came from, without any key."""

    url: str
    body: bytes
    fetched_at: datetime
    last_modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A body too large to hold: a file that is gone when the context that gave it ends.

    `version` is made of its length and its stamps; empty where the host sends none of them.
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
    """Counts what went over the network: requests, attempts included, and bytes as transferred."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MeteredFetch:
    """One source's way to the network in one collection, and what it cost."""

    fetch: Fetch
    meter: Meter


B = TypeVar("B", ForecastBatch, ObservationBatch)
B_co = TypeVar("B_co", ForecastBatch, ObservationBatch, covariant=True)


class Route(Protocol[B_co]):
    """One way to a source's data. Lower `rank` is better; equal ranks carry the same values."""

    @property
    def name(self) -> str:
        """Name the route in rows and outcomes: "winds_mobi"."""
        ...

    @property
    def rank(self) -> int:
        """Say how good the route is: 0 is the best."""
        ...

    def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B_co]:
        """Yield what is wanted, batch by batch.

        One request that fails is a Failure in a batch. A CollectorError raised here means that the
        route as a whole did not answer. Yielding nothing wanted ("not published yet") is no failure:
        a batch without records then only says how new the newest data are.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(Generic[B]):
    """What can still be had of the past: the routes to it, and how far back they go.

    `reach` is counted back from now, `since` is the start of the archive; None is no limit of this kind.
    """

    routes: tuple[Route[B], ...]
    reach: timedelta | None = None
    since: datetime | None = None

    def start(self, now: datetime) -> datetime | None:
        """Return the oldest time there is something of, or None where nobody set a limit."""
        limits = (self.since, now - self.reach if self.reach is not None else None)
        return max((limit for limit in limits if limit is not None), default=None)


NO_ARCHIVE = "its publisher serves no archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[B]):
    """Something we collect: its routes, best first, and what its publisher asks of us.

    `batch` is what its routes yield: forecasts or observations. `models` names the models they speak for.
    `disabled` says why nothing can be collected with the present settings. `max_age` is how old the
    newest data may be before the source counts as stale. `public` says whether raw values may be shown.
    `areas` holds the area of each model that has one: sites outside are not asked for.
    `past` is what a backfill may ask for, and `no_archive_reason` says why there is none.
    `opted_in` is False where nobody turned a source on that is off by default: it is listed nowhere then,
    and what it once brought stays as public as it was.
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

    Hundreds of thousands of values are looked at in a thread, for the service answers meanwhile.
    The next route is tried only when one failed as a whole: it raised, or it failed and kept nothing.
    What failed on the way is yielded too, so that nobody has to read logs to learn of it.
    A backfill asks every route to the past, since each may reach as far as no other does.
    """
    if needs.until is not None:
        async for batch in _collect_past(source, needs, fetch):
            yield batch
        return
    for route in source.routes:
        kept, failed = 0, False
        try:
            async for batch in route.collect(needs, fetch):
                kept += len(batch.records) + len(batch.rejected)
                failed = failed or bool(batch.failures)
                yield await asyncio.to_thread(set_aside_implausible, _cap_availability(batch))
        except CollectorError as error:
            failed = True
            yield failure_batch(source, route, error, needs.now)
        if kept or not failed:
            return


def _cap_availability(batch: B) -> B:
    """Return the batch with a run that could be had by the time it came: then, where its stamp is later.

    The publisher's clock may run ahead of ours by some minutes. That is not when a run could be had.
    """
    if isinstance(batch, ForecastBatch) and batch.run and batch.run.available_at > batch.collected_at:
        seen = replace(batch.run, available_at=batch.collected_at, published=False)
        return replace(batch, run=seen)
    return batch


async def _collect_past(source: Source[B], needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B]:
    """Yield what the archives of a source give, each batch labelled as backfilled.

    None of them says up to when nothing lacks: of what came between that past and now, it tells nothing.
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
"""How much of what a source said is kept with a failure or a rejected value: enough to recognise it."""

LONGEST_NAME, LONGEST_KIND, LONGEST_REMARKS = 100, 30, 2000
"""How many characters of what a network says of a station are kept."""

LONGEST_ID = 60
"""How many characters the id of a station may have; the longest of any network that is collected has 25."""

MOST_STATIONS = 10_000
"""How many stations one answer may name: ten times what the largest network that is collected has."""


def as_failure(route: str, error: CollectorError) -> Failure:
    """Turn an error into the value that a batch carries, and log it whole while its traceback is there."""
    if isinstance(error, IncompleteError):
        log.warning("run incomplete", route=route, url=error.url, reason=error.reason)
    elif not isinstance(error, PayloadMissingError):
        log.error("request failed", route=route, url=error.url, reason=error.reason, exc_info=error)
    reason = one_line(error.reason, LONGEST_TEXT)
    return Failure(route=route, url=error.url, reason=reason, error=type(error).__name__)


def failure_batch(source: Source[B], route: Route[B], error: CollectorError, now: datetime) -> B:
    """Return a batch that holds nothing but the failure of a whole route."""
    return source.batch(
        source=source.name,
        route=route.name,
        rank=route.rank,
        collected_at=now,
        failures=(as_failure(route.name, error),),
    )


def set_aside_implausible(batch: B) -> B:
    """Return the batch with what cannot be true moved to its rejected: values, and places of stations.

    It does not count as collected then, and is asked for again for as long as it is wanted, because the
    publisher may correct it. A file that is known by its version is read again only once it has another.
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
    kept = _withhold_completeness(replace(batch, records=tuple(good), rejected=tuple(bad)))
    return _without_impossible_places(kept) if isinstance(kept, ObservationBatch) else kept


def _withhold_completeness(batch: B) -> B:
    """Return the batch without the promise that nothing lacks where a value was set aside as doubtful."""
    doubtful = {value.subject for value in batch.rejected if value.reason_code in DOUBTFUL}
    if isinstance(batch, ObservationBatch):
        complete_until = {
            station: time for station, time in batch.complete_until.items() if station not in doubtful
        }
        return replace(batch, complete_until=complete_until)
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
    """Return the batch with texts of stations that can be printed, and without ids that cannot be one.

    Raises ParseError for more stations than any network has.
    """
    ids = {record.station for record in batch.records} | {station.id for station in batch.stations}
    ids |= {position.station for position in batch.positions}
    if len(ids) > MOST_STATIONS:
        raise ParseError(
            f"{len(ids)} stations in one answer: more than {MOST_STATIONS} are no network's list"
        )
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
            *(Rejected(code, None, None, code, "bad_id: no id of a station") for code in sorted(odd)),
        ),
    )


def _without_impossible_places(batch: ObservationBatch) -> ObservationBatch:
    stations: list[Station] = []
    bad: list[Rejected] = []
    for station in batch.stations:
        told = {name: getattr(station, name) for name in PLAUSIBLE_PLACE}
        wrong = [
            name for name, (low, high) in PLAUSIBLE_PLACE.items() if not low <= (told[name] or 0.0) <= high
        ]
        bad += [
            Rejected(station.id, None, None, repr(told[name]), f"no_such_place: no {name} on Earth")
            for name in wrong
        ]
        unknown: dict[str, Any] = dict.fromkeys(wrong)
        if _is_dummy(station):  # no place, as of a position: the store keeps the last good one
            unknown |= {"latitude": None, "longitude": None}
        stations.append(replace(station, **unknown))
    positions = tuple(map(_known_position, batch.positions))
    return replace(batch, stations=tuple(stations), positions=positions, rejected=(*batch.rejected, *bad))


DUMMY_DEGREES = 1.0
"""Within it of 0 N 0 E there is sea: a position there is a station that does not know its own."""


def _known_position(position: Position) -> Position:
    """Return a position without coordinates or a height that cannot be."""
    told = {name: getattr(position, name) for name in PLAUSIBLE_PLACE}
    unknown: dict[str, Any] = dict.fromkeys(
        name for name, (low, high) in PLAUSIBLE_PLACE.items() if not low <= (told[name] or 0.0) <= high
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
