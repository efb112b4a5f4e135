"""The only code that uses the network: a request in, a whole body of its kind out, or a FetchError.

One `HttpClient` lives as long as the process, so that the limits per host (hosts.py) hold for all requests
to that host. Every error text passes a mask, because URLs and bodies may contain keys.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Self

import httpx2

from backend.collectors.base import Download, Meter, Payload, Request
from backend.collectors.transport.addresses import address, secrets_of
from backend.collectors.transport.bodies import HEAD_BYTES, BodySummary, find_problem, start_of_text
from backend.collectors.transport.headers import (
    body_version,
    declared_bytes,
    encoded,
    entity_tag,
    host_name,
    last_modified,
    retry_after,
    stated_time,
    user_agent,
)
from backend.collectors.transport.hosts import CircuitOpenError, Host, HttpLimits, Pace, own_pace
from backend.collectors.transport.quota import Quota, QuotaSpentError
from backend.collectors.transport.sinks import DiskError, MemorySink, Sink, temporary_file
from backend.core.clock import Clock, utc_now
from backend.core.clock_watch import ClockWatch
from backend.core.config import Settings
from backend.core.errors import FetchError, UnchangedError
from backend.core.masking import Mask, mask_of

MAX_REDIRECTS = 5

_RETRYABLE_STATUS = frozenset({408, 425, 429, *range(500, 600)})
_RETRYABLE_ERRORS = (
    httpx2.TimeoutException,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
    httpx2.ProxyError,
)
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


class HttpClient:
    """A Fetch. Close it with `aclose()` or use it with `async with`."""

    def __init__(
        self,
        *,
        clock: Clock = utc_now,
        contact: str = "",
        hosts: Collection[str] = (),
        spacing: Mapping[str, timedelta] | None = None,
        quotas: Mapping[str, Quota] | None = None,
        secrets: Collection[str] = (),
        limits: HttpLimits | None = None,
        clock_watch: ClockWatch | None = None,
        folder: Path | None = None,
        pace_of: Callable[[str, timedelta], Pace] = own_pace,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Make a client; it opens no connection before the first request.

        `hosts` are the hosts (with ports) that a redirect may lead to, `spacing` is the least time between
        the starts of two requests to a host, `quotas` the quota of each host, and `secrets` are values to
        mask in addition to the secrets of a request. `clock_watch` receives the time that each host states
        in its answers. `folder` holds downloads while they are in use (default: the system's temporary
        folder), `pace_of` returns the pace of a host with a spacing, and `transport` replaces the real
        network.
        """
        self._clock = clock
        self._clock_watch = clock_watch
        self._allowed_hosts = frozenset(_normal(host) for host in hosts)
        self._spacing: dict[str, timedelta] = {}
        for host, gap in (spacing or {}).items():  # two spellings of one host: the longest spacing holds
            self._spacing[_normal(host)] = max(gap, self._spacing.get(_normal(host), gap))
        self._quotas = {_normal(host): quota for host, quota in (quotas or {}).items()}
        self._secrets = tuple(secrets)
        self._limits = limits or HttpLimits()
        self._folder = folder
        self._pace_of = pace_of
        self._hosts: dict[str, Host] = {}
        self._client = httpx2.AsyncClient(
            headers=encoded({"User-Agent": user_agent(contact), "Accept-Encoding": "gzip"}),
            timeout=httpx2.Timeout(self._limits.read, connect=self._limits.connect),
            transport=transport,
            # The environment may set a proxy; requests to this machine bypass it.
            mounts=dict.fromkeys(_LOOPBACK),
        )
        # At INFO and DEBUG these loggers write the address of each request, key included.
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        clock: Clock = utc_now,
        *,
        limits: HttpLimits | None = None,
        clock_watch: ClockWatch | None = None,
        folder: Path | None = None,
        pace_of: Callable[[str, timedelta], Pace] = own_pace,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> Self:
        """Make the client that the settings describe."""
        return cls(
            clock=clock,
            contact=settings.contact,
            hosts=settings.hosts(),
            spacing=settings.spacing(),
            quotas={
                host: Quota(host, allowance, settings.data_dir / "quota", clock)
                for host, allowance in settings.quotas().items()
            },
            secrets=settings.secrets(),
            limits=limits,
            clock_watch=clock_watch,
            folder=folder,
            pace_of=pace_of,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def __call__(self, request: Request) -> Payload:
        """Return the body in memory."""
        return await self.counted()(request)

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        """Give the body as a file for as long as the context lasts."""
        return self.counted().download(request)

    def counted(self) -> CountedFetch:
        """Return a Fetch through this client with a meter of its own."""
        return CountedFetch(self)

    async def payload(self, request: Request, meter: Meter) -> Payload:
        """Return the body in memory, and add its requests and bytes to `meter`."""
        sink = MemorySink()
        headers = await self._run(self._exchange(request, sink, self._limits.payload, meter))
        return Payload(
            url=address(request),
            body=bytes(sink.body),
            fetched_at=self._clock(),
            last_modified=last_modified(headers),
        )

    @asynccontextmanager
    async def file(self, request: Request, meter: Meter) -> AsyncIterator[Download]:
        """Give the body as a file for as long as the context lasts, and add its cost to `meter`.

        Raises UnchangedError if the version of the body is `request.known`.
        """
        async with AsyncExitStack() as stack:
            try:
                sink = await stack.enter_async_context(temporary_file(self._folder))
            except DiskError as error:
                raise FetchError(str(error), url=address(request)) from error
            headers = await self._run(self._exchange(request, sink, self._limits.download, meter))
            if _is_known(request, headers):
                raise UnchangedError(f"still of the version {request.known!r}", url=address(request))
            yield Download(
                url=address(request),
                path=sink.path,
                fetched_at=self._clock(),
                last_modified=last_modified(headers),
                version=body_version(headers),
            )

    def _exchange(self, request: Request, sink: Sink, bound: float, meter: Meter) -> _Exchange:
        return _Exchange(request, sink, bound, meter, mask_of((*self._secrets, *secrets_of(request))))

    async def _run(self, exchange: _Exchange) -> httpx2.Headers:
        """Put the checked body into the sink and return the headers it came with."""
        target = exchange.first_target()
        for _ in range(MAX_REDIRECTS + 1):
            name = host_name(target.url)
            if name not in self._hosts:
                spacing = self._spacing.get(name)
                pace = self._pace_of(name, spacing) if spacing else None
                self._hosts[name] = Host(self._limits, pace, self._quotas.get(name))
            try:
                attempt = partial(self._attempt, exchange, target)
                response = await self._hosts[name].call(attempt, exchange.bound, exchange.request.calls)
            except CircuitOpenError as error:
                raise exchange.error(str(error), retryable=True, retry_after=error.wait) from error
            except QuotaSpentError as error:
                raise exchange.error(str(error)) from error
            if not response.has_redirect_location:
                return response.headers
            # Redirects are followed here and not by the library: each host has limits of its own.
            target = self._next_target(exchange, target, response.headers["Location"])
        raise exchange.error(f"redirected more than {MAX_REDIRECTS} times")

    async def _attempt(self, exchange: _Exchange, target: _Target) -> httpx2.Response:
        """Make one attempt; convert every low-level error into a FetchError."""
        try:
            async with asyncio.timeout(exchange.bound):
                return await self._send(exchange, target)
        except TimeoutError as error:
            raise exchange.error(f"not complete within {exchange.bound:g} s", retryable=True) from error
        except DiskError as error:
            raise exchange.error(str(error)) from error
        except httpx2.RequestError as error:
            # A traceback also shows the cause, so leave out a cause that quotes a key.
            cause = error if exchange.mask(str(error)) == str(error) else None
            retryable = isinstance(error, _RETRYABLE_ERRORS)
            reason = str(error) or type(error).__name__
            match error:
                case httpx2.ConnectTimeout():
                    reason = f"no connection within {self._limits.connect:g} s"
                case httpx2.TimeoutException():
                    reason = f"no data received for {self._limits.read:g} s"
                case httpx2.ConnectError() | httpx2.ProxyError():
                    reason = f"no connection: {reason}"
                case httpx2.NetworkError() | httpx2.RemoteProtocolError():
                    reason = f"connection cut: {reason}"
                case httpx2.DecodingError():
                    reason = f"body cannot be decompressed: {reason}"
                case _:
                    reason = f"{type(error).__name__}: {reason}"
            raise exchange.error(reason, retryable=retryable) from cause

    async def _send(self, exchange: _Exchange, target: _Target) -> httpx2.Response:
        """Put the body into the sink; raise FetchError if it is too large, cut, or of the wrong kind."""
        request, sink = exchange.request, exchange.sink
        message = self._client.build_request("GET", target.url, headers=encoded(target.headers))
        exchange.meter.requests += 1
        response = await self._client.send(message, stream=True)
        status = response.status_code
        stated = stated_time(response.headers)
        if stated is not None and self._clock_watch is not None:
            self._clock_watch.note(host_name(target.url), stated)
        try:
            if status == httpx2.codes.NOT_MODIFIED and request.known:
                raise UnchangedError(f"still of the version {request.known!r}", url=address(request))
            if status != httpx2.codes.OK and not response.has_redirect_location:
                raise await self._refusal(exchange, response)
            if status == httpx2.codes.OK and not _is_known(request, response.headers):
                body = BodySummary()
                await sink.restart()
                async with aclosing(response.aiter_bytes()) as chunks:  # decompressed, 1 MiB at most
                    async for chunk in chunks:
                        body.add(chunk)
                        if body.size > request.max_bytes:
                            raise exchange.error(f"body larger than {request.max_bytes} bytes", status=status)
                        await sink.write(chunk)
                await sink.finish()
                if flaw := find_problem(request, body, declared_bytes(response.headers), exchange.mask):
                    raise exchange.error(flaw.reason, status=status, retryable=flaw.retryable)
        finally:
            exchange.meter.bytes += response.num_bytes_downloaded
            await response.aclose()
        return response

    async def _refusal(self, exchange: _Exchange, response: httpx2.Response) -> FetchError:
        """Return the error for a status other than 200, with the start of the body as the explanation."""
        head = bytearray()
        with suppress(httpx2.RequestError):  # a cut body is accepted: the status is the error to report
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    head += chunk
                    if len(head) >= HEAD_BYTES:
                        break
        status, longest = response.status_code, self._limits.longest_retry_after
        reason = f"HTTP {status} {response.reason_phrase}".rstrip()
        if text := start_of_text(bytes(head[:HEAD_BYTES]), exchange.mask):
            reason += f": {text!r}"
        if status not in _RETRYABLE_STATUS:
            return exchange.error(reason, status=status)
        wait = retry_after(response.headers, self._clock())
        if wait is not None and wait > longest:
            reason += f"; Retry-After is {wait:.0f} s, the longest wait is {longest:g} s"
        return exchange.error(reason, status=status, retryable=True, retry_after=wait)

    def _next_target(self, exchange: _Exchange, target: _Target, location: str) -> _Target:
        """Return the target of a redirect, or raise FetchError if it is not allowed.

        A redirect to another host drops the secret headers.
        """
        try:
            url = target.url.join(location)
        except httpx2.InvalidURL:
            raise exchange.error(f"redirected to {location!r}, which is not a valid URL") from None
        host = host_name(url)
        if url.scheme not in {"https", target.url.scheme}:
            raise exchange.error(f"refused a redirect from {target.url.scheme} to {url.scheme} (host {host})")
        if host == host_name(target.url):
            return replace(target, url=url)
        if host not in self._allowed_hosts:
            raise exchange.error(f"refused a redirect to {host}, which is not one of the configured hosts")
        # A host may repeat our query in its redirect: another host must not get the key by it.
        if exchange.mask(str(url)) != str(url):
            raise exchange.error(f"refused a redirect to {host}: its address contains our key")
        return _Target(url, exchange.request.headers)


class CountedFetch:
    """A Fetch through a shared client that is its own meter.

    `requests` includes attempts and redirects. `bytes` are those of the bodies as transferred: compressed,
    with failed attempts, without headers.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.requests = 0
        self.bytes = 0

    async def __call__(self, request: Request) -> Payload:
        """Return the body in memory."""
        return await self._client.payload(request, self)

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        """Give the body as a file for as long as the context lasts."""
        return self._client.file(request, self)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request with all its attempts and redirects."""

    request: Request
    sink: Sink
    bound: float
    meter: Meter
    mask: Mask

    def first_target(self) -> _Target:
        """Return the first address of the request, secrets included."""
        params = {**self.request.params, **self.request.secret_params}
        try:
            url = httpx2.URL(self.request.url)
        except httpx2.InvalidURL as error:
            raise self.error(f"not a valid URL: {error}") from error
        headers = {**self.request.headers, **self.request.secret_headers}
        if tag := entity_tag(self.request.known):
            headers["If-None-Match"] = tag
        return _Target(url.copy_merge_params(params) if params else url, headers)

    def error(
        self,
        reason: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> FetchError:
        """Return a FetchError of this request, with its secrets masked."""
        return FetchError(
            self.mask(reason),
            url=self.mask(address(self.request)),
            status=status,
            retryable=retryable,
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """An address, and the headers that may be sent to it; both may contain a key."""

    url: httpx2.URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def _is_known(request: Request, headers: httpx2.Headers) -> bool:
    return bool(request.known) and body_version(headers) == request.known


def _normal(netloc: str) -> str:
    return host_name(httpx2.URL(f"//{netloc}"))
