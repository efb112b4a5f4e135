"""Limits of requests, per client and in total, so that many requests cannot slow a collection down.

The middleware runs before the routes. It never delays health, readiness, or a request with the admin token.
No address is exempt: behind a proxy all clients can have the same one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.dependencies import TokenShown, token_shown
from backend.api.problems import RETRY_AFTER_SECONDS, problem_response
from backend.core.config import Settings

log = structlog.get_logger()

AT_ONCE = 2
"""Number of requests for values in progress: one uses the interpreter while a second waits for the database.
More would take processor time and connections from a collection."""

MOST_WAITING = 200
"""Number of requests that may wait for their turn; further ones are refused at once."""

MOST_SECONDS = 20.0
"""Time that a request waits for its turn."""

WRONG_TOKENS = RateLimitItemPerMinute(10)
"""Number of wrong admin tokens of a client per minute that are answered and logged."""

_ALWAYS = frozenset({"/api/health", "/api/ready"})
_LIGHT = ("/style.css", "/docs", "/redoc", "/openapi.json", "/api/scheduler/status", "/api/scheduler/jobs")
"""Prefixes of addresses with cheap answers, which do not wait for a turn."""


class Admission:
    """Middleware that refuses clients with too many requests (429) and too many requests for values (503)."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        self._app = app
        self._settings = settings
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        per_minute = settings.rate_limit_per_minute
        self._rate = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._turns = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._most_seconds = most_seconds
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its turn, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        shown = token_shown(self._settings, request.headers.get("authorization"))
        if shown is TokenShown.ADMIN:
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        wait = None
        if shown is TokenShown.WRONG:
            # A limit of its own, so that no client can guess tokens quickly or fill the log.
            if await self._limiter.hit(WRONG_TOKENS, "wrong_token", client):
                log.warning("wrong admin token", client=client, path=request.url.path)
            else:
                wait = await self._seconds_left(WRONG_TOKENS, "wrong_token", client)
        if wait is None and self._rate and not await self._limiter.hit(self._rate, "request", client):
            wait = await self._seconds_left(self._rate, "request", client)
        if wait is not None:
            detail = f"Too many requests from this address: retry in {wait} seconds."
            refusal = problem_response(request, 429, detail, headers={"Retry-After": str(wait)})
            await refusal(scope, receive, send)
        elif scope["path"].startswith(_LIGHT):
            await self._app(scope, receive, send)
        else:
            await self._in_turn(request, receive, send)

    async def _seconds_left(self, item: RateLimitItem, *key: str) -> int:
        window = await self._limiter.get_window_stats(item, *key)
        return max(1, math.ceil(window.reset_time - time.time()))

    async def _in_turn(self, request: Request, receive: Receive, send: Send) -> None:
        # In a longer queue, requests would get their turn after the client has given up.
        if self._waiting >= self._most_waiting:
            await self._refuse(request, receive, send, f"{self._waiting} requests are waiting")
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(self._most_seconds):
                await self._turns.acquire()
        except TimeoutError:
            await self._refuse(request, receive, send, f"no turn within {self._most_seconds:g} seconds")
            return
        finally:
            self._waiting -= 1
        try:
            await self._app(request.scope, receive, send)
        finally:
            self._turns.release()

    async def _refuse(self, request: Request, receive: Receive, send: Send, reason: str) -> None:
        log.warning("request refused: too many requests", path=request.url.path, reason=reason)
        detail = "Too many requests at the same time: retry in a moment."
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        await problem_response(request, 503, detail, headers=headers)(request.scope, receive, send)


def client_of(scope: Scope) -> str:
    """Return the client that a request counts for: an IPv4 address, or the /64 network of an IPv6 address.

    Providers give a whole /64 network to one customer.
    """
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
