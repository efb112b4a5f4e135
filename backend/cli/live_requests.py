"""The requests of `doctor --live`: one site or station and one part of one run, watched and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from backend.collectors.base import Download, Fetch, Payload, Request, Source
from backend.core.errors import CollectorError, FetchError
from backend.core.records import CollectionRequest, Site, network_of

PERIOD = timedelta(hours=24)
"""How far back runs are looked for: the newest complete run may be a day old."""
MOST_REQUESTS = 30
"""Requests to one route at most: a listing may have no end."""


@dataclass(frozen=True, slots=True)
class OnePart(CollectionRequest):
    """A request in which one part of one run is missing for each model: the first that a route asks for."""

    first: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    def missing(
        self, model: str, reference_time: datetime, part: str, rank: int, version: str = ""
    ) -> tuple[Site, ...]:
        """Return the sites for the first part that is asked for, and none for any other part."""
        if not self.sites:
            return ()
        return (
            self.sites
            if self.first.setdefault(model, (reference_time, part)) == (reference_time, part)
            else ()
        )


class WatchedFetch:
    """A Fetch that notes each host and the error of each request."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.hosts: dict[str, None] = {}
        self.errors: list[CollectorError] = []
        self._requests = 0

    async def __call__(self, request: Request) -> Payload:
        """Return the answer to a request, and note its host and its error."""
        self._note(request)
        try:
            return await self._fetch(request)
        except CollectorError as error:
            self.errors.append(error)
            raise

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        """Download a file, and note its host and its error."""
        self._note(request)
        try:
            async with self._fetch.download(request) as download:
                yield download
        except FetchError as error:
            self.errors.append(error)
            raise

    def _note(self, request: Request) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            reason = f"doctor --live makes at most {MOST_REQUESTS} requests by one route"
            raise CollectorError(reason, url=request.url)
        self.hosts[urlsplit(request.url).netloc.rpartition("@")[2].lower()] = None


def one_place(source: Source[Any], now: datetime, sites: Sequence[Site]) -> tuple[CollectionRequest, str]:
    """Return a request for one site or one station, and its name; an empty name if there is none."""
    since = now - PERIOD
    if source.models:
        inside = [site for site in sites if all(area.holds(site) for area in source.areas.values())]
        chosen = tuple(inside[:1])
        return OnePart(now=now, since=since, sites=chosen), chosen[0].id if chosen else ""
    for site in sites:
        for code in site.stations:
            if network_of(code) == source.name:
                one = replace(site, stations=(code,))
                # Complete up to now: no history is requested.
                return (
                    CollectionRequest(now=now, since=since, sites=(one,), complete_until={code: now}),
                    code,
                )
    return CollectionRequest(now=now, since=since), ""
