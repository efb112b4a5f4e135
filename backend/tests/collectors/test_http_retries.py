"""When the client tries again, counted by what a server on loopback saw."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest

from backend.collectors.base import Request
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.errors import FetchError
from backend.tests.support.loopback import (
    JSON,
    Answer,
    Loopback,
    drips,
    hangs,
    redirects,
    resets,
    says,
    says_gzipped,
    sends,
    unused_port,
)
from backend.tests.support.waiting import HANG_SECONDS, skip, until

AT_ONCE = HttpLimits(backoff=0, jitter=0)


async def failure_and_attempts(answer: Answer, limits: HttpLimits = AT_ONCE) -> tuple[FetchError, int]:
    """Ask a server that always gives this answer."""
    async with Loopback(answer) as server, HttpClient(limits=limits) as client:
        with pytest.raises(FetchError) as caught:
            await client(server.asks())
        return caught.value, len(server.heads)


@pytest.mark.parametrize(
    "status",
    [
        "408 Request Timeout",
        "425 Too Early",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "599 Odd",
    ],
)
async def test_a_status_that_may_pass_is_tried_three_times(status: str) -> None:
    error, attempts = await failure_and_attempts(says(b"later", status))
    assert attempts == 3
    assert error.status == int(status[:3])
    assert error.retryable
    assert error.reason == f"HTTP {status}: 'later'"


@pytest.mark.parametrize(
    "status",
    [
        "204 No Content",
        "206 Partial Content",
        "304 Not Modified",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 Method Not Allowed",
        "410 Gone",
        "422 Unprocessable Content",
    ],
)
async def test_any_other_status_is_final(status: str) -> None:
    error, attempts = await failure_and_attempts(says(b"", status))
    assert attempts == 1
    assert error.status == int(status[:3])
    assert not error.retryable
    assert error.reason == f"HTTP {status}"


async def test_the_text_of_a_refusal_is_quoted_even_if_it_is_cut() -> None:
    error, attempts = await failure_and_attempts(
        sends(b"HTTP/1.1 404 Not Found\r\nContent-Length: 500\r\n\r\ndonnee indisponible")
    )
    assert attempts == 1
    assert error.reason == "HTTP 404 Not Found: 'donnee indisponible'"


async def test_a_long_refusal_is_read_no_further_than_needed() -> None:
    error, _ = await failure_and_attempts(says(b"no " * 100_000, "403 Forbidden"))
    assert error.reason == f"HTTP 403 Forbidden: {('no ' * 27)[:80]!r}"


async def test_a_refused_connection_is_tried_three_times() -> None:
    async with HttpClient(limits=AT_ONCE) as client:
        counted = client.counted()
        with pytest.raises(FetchError, match="no connection: ") as caught:
            await counted(Request(url=f"http://127.0.0.1:{unused_port()}/", kind="json"))
        assert counted.requests == 3
        assert caught.value.retryable
        assert caught.value.status is None


async def test_a_host_that_hangs_is_tried_three_times() -> None:
    error, attempts = await failure_and_attempts(hangs, replace(AT_ONCE, read=0.05))
    assert attempts == 3
    assert error.reason == "no data received for 0.05 s"
    assert error.retryable


async def test_a_body_that_drips_is_bounded_by_the_total_time_and_tried_again() -> None:
    limits = replace(AT_ONCE, payload=600, attempts=2)
    async with Loopback(drips) as server, HttpClient(limits=limits) as client:
        asking = asyncio.create_task(client(server.asks()))
        for attempt in (1, 2):
            await until(lambda: len(server.heads) == attempt)  # noqa: B023 - awaited within the loop
            skip(600)
        with pytest.raises(FetchError) as caught:
            await asking
    assert caught.value.reason == "not complete within 600 s"
    assert caught.value.retryable


async def test_no_attempt_starts_after_twice_the_total_time() -> None:
    _, attempts = await failure_and_attempts(drips, replace(AT_ONCE, payload=0.1, attempts=50))
    assert attempts <= 3


async def test_a_connection_reset_within_the_body_is_tried_three_times() -> None:
    error, attempts = await failure_and_attempts(resets)
    assert attempts == 3
    assert error.reason.startswith("connection cut: ")


async def test_a_body_shorter_than_announced_is_tried_three_times() -> None:
    error, attempts = await failure_and_attempts(says(JSON, Content_Length="1000"))
    assert attempts == 3
    assert error.reason.startswith("connection cut: ")


async def test_a_connection_closed_without_an_answer_is_tried_three_times() -> None:
    error, attempts = await failure_and_attempts(sends(b""))
    assert attempts == 3
    assert error.reason.startswith("connection cut: ")


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf", b" \r\n"])
async def test_an_empty_answer_is_tried_three_times(body: bytes) -> None:
    error, attempts = await failure_and_attempts(says(body))
    assert attempts == 3
    assert error.reason == "empty body"
    assert error.status == 200


async def test_a_body_of_the_wrong_kind_is_final() -> None:
    error, attempts = await failure_and_attempts(says(b"<html><body>error#2</body></html>"))
    assert attempts == 1
    assert error.reason == "expected JSON, got HTML: '<html><body>error#2</body></html>'"
    assert not error.retryable


async def test_a_body_that_cannot_be_decompressed_is_final() -> None:
    error, attempts = await failure_and_attempts(says(JSON, Content_Encoding="gzip"))
    assert attempts == 1
    assert error.reason.startswith("body cannot be decompressed: ")


async def test_a_body_that_is_too_large_is_final() -> None:
    async with Loopback(says(b"[" + b" " * 5000 + b"]")) as server, HttpClient(limits=AT_ONCE) as client:
        with pytest.raises(FetchError, match="body larger than 1000 bytes"):
            await client(replace(server.asks(), max_bytes=1000))
        assert len(server.heads) == 1


async def test_a_refused_redirect_is_final() -> None:
    _, attempts = await failure_and_attempts(redirects("http://elsewhere.example/"))
    assert attempts == 1


async def test_a_second_attempt_that_succeeds_is_the_answer() -> None:
    async with (
        Loopback(resets, says(b"busy", "503 Busy"), says_gzipped(JSON)) as server,
        HttpClient(limits=AT_ONCE) as client,
    ):
        counted = client.counted()
        payload = await counted(server.asks())
        assert payload.body == JSON
        assert len(server.heads) == counted.requests == 3
        assert counted.bytes == len(b'{"half": ') + len(b"busy") + len(gzip.compress(JSON))


async def test_a_cancelled_request_closes_its_connection_and_gives_its_turn_to_the_next() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def waits_for_the_end(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        gone.set()

    limits = replace(AT_ONCE, per_host=1)
    async with Loopback(waits_for_the_end, says()) as server, HttpClient(limits=limits) as client:
        first = asyncio.create_task(client(server.asks()))
        second = asyncio.create_task(client(server.asks()))
        async with asyncio.timeout(HANG_SECONDS):
            await asked.wait()
            assert len(server.heads) == 1
            first.cancel()
            assert (await second).body == JSON
            await gone.wait()
        assert first.cancelled()
