"""Limits of requests, per client and in total, so that many requests cannot slow a collection down.

The middleware runs before the routes. It never delays health, readiness, or a request with a valid token.
No address is exempt: behind a proxy all clients can have the same one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.prefix import path_of
from backend.api.problems import RETRY_AFTER_SECONDS, problem_response
from backend.api.sessions import Sessions
from backend.api.tokens import Tokens, has_token
from backend.core.config import Settings
from backend.core.errors import StoreUnavailableError

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
_LIGHT = (
    *("/style.css", "/pages.js", "/worker.js", "/icon.svg", "/site.webmanifest", "/robots.txt"),
    *("/docs", "/redoc", "/openapi.json", "/api/scheduler/status", "/api/scheduler/jobs", "/ops"),
)
"""Prefixes of addresses with cheap answers, which do not wait for a turn.

Without a session, the operator's pages only redirect; a form would hold a turn until its body has arrived.
"""


_Key = tuple[str, str, str]


class RequestCounts:
    """Requests and wrong admin tokens of each client in the last minute."""

    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, item: RateLimitItem, kind: str, client: str) -> int | None:
        """Count one of a client; return the seconds until it may send another if it has sent too many."""
        if await self._limiter.hit(item, kind, client):
            return None
        window = await self._limiter.get_window_stats(item, kind, client)
        return max(1, math.ceil(window.reset_time - time.time()))

    async def count_wrong_token(self, client: str, path: str) -> int | None:
        """Count and log a wrong admin token; return the seconds to wait after too many.

        A limit of its own, so that no client can guess tokens quickly or fill the log.
        """
        wait = await self.count(WRONG_TOKENS, "wrong_token", client)
        if wait is None:
            log.warning("wrong admin token", client=client, path=path)
        return wait


class CachedAnswer(NamedTuple):
    """An answer that needs no turn; `outdated` if a new one is to be computed for the next request."""

    response: Response
    outdated: bool


class CachedAnswers(Protocol):
    """A cache of answers."""

    def __call__(self, request: Request, *, busy: bool) -> CachedAnswer | None:
        """Return the present answer, or an outdated one while the service is `busy` with others."""
        ...


class Admission:
    """Middleware that refuses clients with too many requests (429) and too many requests for values (503)."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        tokens: Tokens,
        *,
        counts: RequestCounts | None = None,
        sessions: Sessions | None = None,
        shown: Callable[[Request, Response], Response] = lambda _, refusal: refusal,
        cached: CachedAnswers = lambda _, busy: None,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        """`shown` returns a refusal in the form that suits the request: a page for a browser.

        `cached` returns answers that are there already: these requests wait for no turn.
        """
        self._app = app
        self._shown = shown
        self._tokens = tokens
        self._counts = counts or RequestCounts()
        self._sessions = sessions
        per_minute = settings.rate_limit_per_minute
        self._rate = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._turns = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._most_seconds = most_seconds
        self._waiting = 0
        self._working = 0
        self._cached = cached
        self._computed: dict[_Key, asyncio.Future[None]] = {}
        self._outdated: dict[_Key, Scope] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its turn, or refuse it."""
        path = path_of(scope) if scope["type"] == "http" else ""
        if scope["type"] != "http" or path in _ALWAYS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        authorization = request.headers.get("authorization")
        shows_token = authorization is not None and has_token(authorization)
        try:
            known = shows_token and await self._tokens.access(authorization or "") is not None
        except StoreUnavailableError:  # it is not known yet whether the token is wrong; the route refuses it
            known, shows_token = False, False
        if known or (self._sessions is not None and self._sessions.of(request)):
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        wait = None
        if shows_token:
            wait = await self._counts.count_wrong_token(client, request.url.path)
        if wait is None and self._rate:
            wait = await self._counts.count(self._rate, "request", client)
        if wait is not None:
            detail = f"Too many requests from this address: retry in {wait} seconds."
            refusal = problem_response(request, 429, detail, headers={"Retry-After": str(wait)})
            await self._shown(request, refusal)(scope, receive, send)
        elif path.startswith(_LIGHT):
            await self._app(scope, receive, send)
        elif (cached := self._cached(request, busy=self._working > 0)) is not None:
            if cached.outdated:
                self._renew_later(request)
            await cached.response(scope, receive, send)
        elif request.method == "GET" and not path.startswith("/api/"):
            await self._once(request, receive, send)
        else:
            await self._in_turn(request, receive, send)

    async def _once(self, request: Request, receive: Receive, send: Send) -> None:
        """Compute a page for all who ask for it at the same time: the first takes a turn, the others wait."""
        key = _key(request)
        if (first := self._computed.get(key)) is not None:
            await asyncio.wait([first])
            if (cached := self._cached(request, busy=True)) is not None:
                if cached.outdated:
                    self._renew_later(request)
                await cached.response(request.scope, receive, send)
            else:  # an answer that is not kept, such as an error
                await self._in_turn(request, receive, send)
            return
        done = self._computed[key] = asyncio.get_running_loop().create_future()
        try:
            await self._in_turn(request, receive, send)
        finally:
            del self._computed[key]
            done.set_result(None)

    def _renew_later(self, request: Request) -> None:
        """Have an outdated answer computed, in its turn after those before it: they use one turn together."""
        self._outdated.setdefault(_key(request), {**request.scope})
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(), name="renew outdated answers")

    async def _renew(self) -> None:
        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def unsent(_message: Message) -> None:
            """Send no answer: it is in the cache now."""

        while self._outdated:
            key = next(iter(self._outdated))
            async with self._turns:
                self._working += 1
                answer = asyncio.ensure_future(self._app(self._outdated[key], nothing, unsent))
                try:
                    await asyncio.wait([answer])
                finally:
                    self._working -= 1
                    del self._outdated[key]
            if (error := answer.exception()) is not None:  # the next request for it meets the same error
                log.error("outdated answer not renewed", path=key[0], exc_info=error)

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
        self._working += 1
        try:
            await self._app(request.scope, receive, send)
        finally:
            self._working -= 1
            self._turns.release()

    async def _refuse(self, request: Request, receive: Receive, send: Send, reason: str) -> None:
        log.warning("request refused: too many requests", path=request.url.path, reason=reason)
        detail = "Too many requests at the same time: retry in a moment."
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        refusal = problem_response(request, 503, detail, headers=headers)
        await self._shown(request, refusal)(request.scope, receive, send)


def _key(request: Request) -> _Key:
    """Return what an answer to everyone depends on: address, query and language."""
    return request.url.path, request.url.query, request.headers.get("accept-language", "")


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
