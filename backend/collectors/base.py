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
from typing import Generic, Literal, Protocol, TypeVar

import structlog

from backend.collectors.set_aside import LONGEST_TEXT, set_aside_implausible
from backend.core.areas import Area
from backend.core.errors import CollectorError, IncompleteError, PayloadMissingError
from backend.core.records import (
    BACKFILLED,
    CollectionRequest,
    Failure,
    ForecastBatch,
    ObservationBatch,
)
from backend.core.registry import MODELS
from backend.core.terms import SourceTerms
from backend.core.text import one_line

log = structlog.get_logger()

Kind = Literal["json", "xml", "html", "grib", "gzip"]
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


class SourceRoute(Protocol[B_co]):
    """One way to a source's data; not an address of the API, which is called a route too.

    Lower `rank` is better; equal ranks carry the same values.
    """

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

    routes: tuple[SourceRoute[B], ...]
    reach: timedelta | None = None
    since: datetime | None = None

    def start(self, now: datetime) -> datetime | None:
        """Return the oldest time in the archive, or None without a limit."""
        limits = (self.since, now - self.reach if self.reach is not None else None)
        return max((limit for limit in limits if limit is not None), default=None)


NO_ARCHIVE = "its publisher serves no archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """What `doctor --live` compares with and states about a source; a source without them gets the default.

    `licence_page` is a page that states the licence, `licence_words` the words of it there. `if_gone` is what
    is known about a move or an end of the source.
    """

    licence_page: str = ""
    licence_words: str = ""
    licence_kind: Kind = "html"
    if_gone: str = ""


NO_FACTS = LiveFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[B]):
    """A source: its routes, best first, and the terms of its publisher.

    `batch` is the class of its batches: forecasts or observations. `models` are the names of the models it
    collects. `disabled` is the reason why nothing can be collected with the present settings, if so. The
    source is stale when its newest data are older than `max_age`. `public` is True if raw values may be
    shown. `areas` has the area of each model that has one: nothing is requested for sites outside. `past` has
    the routes of a backfill; `no_archive_reason` is the reason if it is None.
    `serves` is how long the publisher serves data to a plain collection, if shorter than the lookback.
    `by_site` is True if each site is requested by itself, so that several workers can share the sites.
    `opted_in` is False for an opt-in source that is off. It is not listed; data that it collected earlier
    keep their visibility.
    """

    name: str
    batch: type[B]
    routes: tuple[SourceRoute[B], ...]
    max_age: timedelta
    public: bool
    attribution: str
    models: tuple[str, ...] = ()
    areas: Mapping[str, Area] = field(default_factory=dict)
    disabled: str | None = None
    opted_in: bool = True
    past: Archive[B] | None = None
    no_archive_reason: str = NO_ARCHIVE
    serves: timedelta | None = None
    by_site: bool = False
    live: LiveFacts = NO_FACTS

    @classmethod
    def of(
        cls,
        terms: SourceTerms,
        *,
        batch: type[B],
        routes: tuple[SourceRoute[B], ...],
        max_age: timedelta,
        disabled: str | None = None,
        past: Archive[B] | None = None,
        no_archive_reason: str = NO_ARCHIVE,
        serves: timedelta | None = None,
        by_site: bool = False,
        live: LiveFacts = NO_FACTS,
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
            serves=serves,
            by_site=by_site,
            live=live,
        )


async def collect(source: Source[B], needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B]:
    """Walk the routes of a source until one answers; yield its batches, implausible values set aside.

    The next route is tried only if one failed as a whole: it raised, or it had failures and no values. The
    failures of earlier routes are yielded too, so that they appear in the outcome and not only in logs.
    A backfill uses every route to the past, because each may have data that the others do not have.
    """
    if needs.until is not None:
        # Backfilled batches never advance `complete_until`: they do not cover the time up to now.
        for route in source.past.routes if source.past else ():
            try:
                async for batch in route.collect(needs, fetch):
                    yield _backfilled(await asyncio.to_thread(set_aside_implausible, batch))
            except CollectorError as error:
                yield _backfilled(failure_batch(source, route, error, needs.now))
        return
    for route in source.routes:
        values, failed = 0, False
        try:
            async for batch in route.collect(needs, fetch):
                values += len(batch.records) + len(batch.rejected)
                failed = failed or bool(batch.failures)
                run = batch.run if isinstance(batch, ForecastBatch) else None
                if run and run.available_at > batch.collected_at:  # the publisher's clock runs ahead of ours
                    run = replace(run, available_at=batch.collected_at, published=False)
                    batch = replace(batch, run=run)
                # In a thread: a batch has hundreds of thousands of values, and the API must stay responsive.
                yield await asyncio.to_thread(set_aside_implausible, batch)
        except CollectorError as error:
            failed = True
            yield failure_batch(source, route, error, needs.now)
        # Without failures and values the route has nothing new: a worse route would have nothing newer.
        if values or not failed:
            return


def _backfilled(batch: B) -> B:
    labelled = replace(batch, route=f"{batch.route}{BACKFILLED}", newest=None)
    return replace(labelled, complete_until={}) if isinstance(labelled, ObservationBatch) else labelled


def as_failure(route: str, error: CollectorError) -> Failure:
    """Return an error as the Failure of a batch; log it here, where its traceback is available."""
    if isinstance(error, IncompleteError):
        log.debug("run incomplete", route=route, url=error.url, reason=error.reason)
    elif not isinstance(error, PayloadMissingError):
        # Expected, and many in an outage: the line about the source has the reason.
        log.debug("request failed", route=route, url=error.url, reason=error.reason, exc_info=error)
    reason = one_line(error.reason, LONGEST_TEXT)
    return Failure(route=route, url=error.url, reason=reason, error=type(error).__name__)


def failure_batch(source: Source[B], route: SourceRoute[B], error: CollectorError, now: datetime) -> B:
    """Return a batch with nothing but the failure of a whole route."""
    return source.batch(
        source=source.name,
        route=route.name,
        rank=route.rank,
        collected_at=now,
        failures=(as_failure(route.name, error),),
    )
