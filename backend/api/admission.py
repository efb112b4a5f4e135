"""How much one client, and all of them together, may ask: so that a crowd never starves a collection.

The middleware stands before the routes. Health and readiness are never held up, and neither is a request
with the admin token. An address alone exempts nothing: behind a proxy every client may have the same one.
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
"""How many requests for values are worked on at a time: the interpreter works on one, and a second waits for
the database meanwhile. More would take the processor and the connections that a collection needs."""

MOST_WAITING = 200
"""How many requests wait for their turn; the next one is refused at once."""

MOST_SECONDS = 20.0
"""How long one waits for its turn."""

WRONG_TOKENS = RateLimitItemPerMinute(10)
"""How many wrong admin tokens of one client are answered, and logged, one by one."""

_ALWAYS = frozenset({"/api/health", "/api/ready"})
_LIGHT = ("/style.css", "/docs", "/redoc", "/openapi.json", "/api/scheduler/status", "/api/scheduler/jobs")
"""Where answers begin that cost little: they wait for no turn."""


class Admission:
    """Refuses a client that asks too often (429), and requests for values beyond a bound (503)."""

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
        """Pass a request on, in its turn, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        shown = token_shown(self._settings, request.headers.get("authorization"))
        if shown is TokenShown.ADMIN:
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        wait = await self._too_often(request, shown, client)
        if wait is not None:
            detail = f"Too many requests from this address: ask again in {wait} seconds."
            refusal = problem_response(request, 429, detail, headers={"Retry-After": str(wait)})
            await refusal(scope, receive, send)
        elif scope["path"].startswith(_LIGHT):
            await self._app(scope, receive, send)
        else:
            await self._in_turn(request, receive, send)

    async def _too_often(self, request: Request, shown: TokenShown, client: str) -> int | None:
        """Return after how many seconds a client may ask again; None if it may ask now."""
        if shown is TokenShown.WRONG:
            if not await self._limiter.hit(WRONG_TOKENS, "wrong_token", client):
                return await self._seconds_left(WRONG_TOKENS, "wrong_token", client)
            log.warning("wrong admin token", client=client, path=request.url.path)
        if self._rate is not None and not await self._limiter.hit(self._rate, "request", client):
            return await self._seconds_left(self._rate, "request", client)
        return None

    async def _seconds_left(self, item: RateLimitItem, *key: str) -> int:
        window = await self._limiter.get_window_stats(item, *key)
        return max(1, math.ceil(window.reset_time - time.time()))

    async def _in_turn(self, request: Request, receive: Receive, send: Send) -> None:
        if self._waiting >= self._most_waiting:
            await self._refuse(request, receive, send, f"{self._waiting} requests wait already")
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
        log.warning("request refused: too much is asked", path=request.url.path, reason=reason)
        detail = "Too many requests at the same time: ask again in a moment."
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        await problem_response(request, 503, detail, headers=headers)(request.scope, receive, send)


def client_of(scope: Scope) -> str:
    """Return whom a request is counted for: an IPv4 address, or the /64 network of an IPv6 address.

    One customer of a provider has a whole such network.
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
