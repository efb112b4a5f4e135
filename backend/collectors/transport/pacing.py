"""Limit the requests of a route to the rate that its publisher allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic

from aiolimiter import AsyncLimiter

from backend.collectors.base import B, Download, Fetch, Payload, Request, SourceRoute
from backend.core.records import CollectionRequest

# The portal allows 50 requests a minute per application: ten at once, then 40 a minute.
BURST, BURST_SECONDS = 10, 15.0


@dataclass(frozen=True, slots=True)
class PacedRoute(Generic[B]):
    """A route whose requests stay within the portal's limit per minute."""

    route: SourceRoute[B]

    @property
    def name(self) -> str:
        """Return the name of the wrapped route."""
        return self.route.name

    @property
    def rank(self) -> int:
        """Return the rank of the wrapped route."""
        return self.route.rank

    def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[B]:
        """Collect through a fetch that delays requests to stay within the limit."""
        return self.route.collect(needs, _PacedFetch(fetch, AsyncLimiter(BURST, BURST_SECONDS)))


@dataclass(frozen=True, slots=True)
class _PacedFetch:
    fetch: Fetch
    limiter: AsyncLimiter

    async def __call__(self, request: Request) -> Payload:
        await self.limiter.acquire()
        return await self.fetch(request)

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        await self.limiter.acquire()
        async with self.fetch.download(request) as download:
            yield download
