"""What a host is owed, on a clock that jumps: nothing here waits, and every time is exact."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import circuitbreaker
import httpx2
import pytest

from backend.collectors.base import Request
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.errors import FetchError

HOST = "romma.example"
OTHER = "winds.example:8443"
NO_RETRY = HttpLimits(attempts=1)
NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, it moves the time there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select()
        self.now += timeout
        return super().select(0)


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test without networks and threads, on a clock of its own."""
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        runner.run(main)


def seconds() -> float:
    """Return the time of the loop."""
    return round(asyncio.get_running_loop().time(), 3)


def asks(host: str = HOST, scheme: str = "https") -> Request:
    return Request(url=f"{scheme}://{host}/data", kind="json")


class Upstream:
    """A network whose answers take `takes` seconds; remembers when each request began and ended."""

    def __init__(self, *answers: httpx2.Response, takes: float = 0) -> None:
        self.answers = answers or (httpx2.Response(200, content=b"{}"),)
        self.takes = takes
        self.began: list[float] = []
        self.hosts: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    async def __call__(self, message: httpx2.Request) -> httpx2.Response:
        answer = self.answers[min(len(self.began), len(self.answers) - 1)]
        self.began.append(seconds())
        self.hosts.append(message.url.host)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.at_once -= 1
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self, limits: HttpLimits = NO_RETRY, **arguments: Any) -> HttpClient:
        return HttpClient(transport=httpx2.MockTransport(self), limits=limits, clock=_noon, **arguments)


def _noon() -> datetime:
    return NOON


def busy(status: int = 503, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def failure(client: HttpClient, request: Request) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await client(request)
    return caught.value


def spaced(seconds_between: float, host: str = HOST) -> dict[str, timedelta]:
    return {host: timedelta(seconds=seconds_between)}


def in_its_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def wrapper() -> None:
        run(test())

    wrapper.__name__, wrapper.__doc__ = test.__name__, test.__doc__
    return wrapper


async def together(client: HttpClient, requests: Iterable[Request]) -> None:
    await asyncio.gather(*(client(request) for request in requests))


@in_its_loop
async def test_requests_to_a_host_with_spacing_start_that_far_apart() -> None:
    upstream = Upstream()
    async with upstream.client(spacing=spaced(5)) as client:
        await together(client, [asks() for _ in range(4)])
    assert upstream.began == [0, 5, 10, 15]


@in_its_loop
async def test_spacing_is_shared_by_all_that_use_the_client_and_by_both_schemes() -> None:
    upstream = Upstream()
    async with upstream.client(spacing=spaced(5)) as client:
        one, two = client.counted(), client.counted()
        await asyncio.gather(one(asks()), two(asks(scheme="http")), one(asks(f"{HOST}:443")))
    assert upstream.began == [0, 5, 10]
    assert (one.requests, two.requests) == (2, 1)


@in_its_loop
async def test_spacing_holds_for_retries_too() -> None:
    upstream = Upstream(busy(), busy(), httpx2.Response(200, content=b"{}"))
    async with upstream.client(HttpLimits(backoff=1, jitter=0), spacing=spaced(5)) as client:
        await client(asks())
    assert upstream.began == [0, 5, 10]


@in_its_loop
async def test_a_host_with_spacing_has_one_request_at_a_time() -> None:
    upstream = Upstream(takes=8)
    async with upstream.client(spacing=spaced(5)) as client:
        await together(client, [asks() for _ in range(3)])
    assert upstream.began == [0, 8, 16]
    assert upstream.most_at_once == 1


@in_its_loop
async def test_waiting_for_one_host_holds_up_no_other() -> None:
    upstream = Upstream()
    async with upstream.client(spacing=spaced(5)) as client:
        await together(client, [asks(), asks(), asks(OTHER), asks(OTHER)])
    assert sorted(zip(upstream.began, upstream.hosts, strict=True)) == [
        (0, HOST),
        (0, "winds.example"),
        (0, "winds.example"),
        (5, HOST),
    ]


@in_its_loop
async def test_a_spacing_of_zero_is_none() -> None:
    upstream = Upstream(takes=1)
    async with upstream.client(spacing=spaced(0)) as client:
        await together(client, [asks() for _ in range(4)])
    assert upstream.began == [0, 0, 0, 0]


@in_its_loop
async def test_a_host_without_spacing_has_four_requests_at_a_time() -> None:
    upstream = Upstream(takes=1)
    async with upstream.client() as client:
        await together(client, [asks() for _ in range(9)])
    assert upstream.began == [0] * 4 + [1] * 4 + [2]
    assert upstream.most_at_once == 4


@in_its_loop
async def test_who_is_cancelled_while_waiting_gives_up_the_place_in_the_queue() -> None:
    upstream = Upstream()
    async with upstream.client(spacing=spaced(5)) as client:
        first, second, third = (asyncio.create_task(client(asks())) for _ in range(3))
        await first
        second.cancel()
        await third
    assert upstream.began == [0, 5]


@in_its_loop
async def test_the_time_spent_waiting_for_a_turn_is_not_taken_from_the_answer() -> None:
    upstream = Upstream(takes=50)
    async with upstream.client(replace(NO_RETRY, per_host=1)) as client:
        await together(client, [asks() for _ in range(5)])
    assert upstream.began == [0, 50, 100, 150, 200]


@in_its_loop
async def test_pauses_between_attempts_grow() -> None:
    upstream = Upstream(busy())
    async with upstream.client(HttpLimits(attempts=5, backoff=1, backoff_max=5, jitter=0)) as client:
        await failure(client, asks())
    assert upstream.began == [0, 1, 3, 7, 12]


@in_its_loop
async def test_pauses_between_attempts_are_jittered() -> None:
    upstream = Upstream(busy())
    async with upstream.client(HttpLimits(attempts=2, backoff=1, jitter=1, failures=100)) as client:
        for _ in range(8):
            await failure(client, asks())
    pauses = [upstream.began[index + 1] - upstream.began[index] for index in range(0, 16, 2)]
    assert all(0.998 <= pause <= 2.002 for pause in pauses)  # the times are rounded to 0.001 s
    assert len(set(pauses)) > 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["17", "Wed, 15 Jul 2026 12:00:17 GMT"])
def test_retry_after_is_waited_for_as_seconds_or_as_a_date(status: int, value: str) -> None:
    async def main() -> None:
        upstream = Upstream(busy(status, Retry_After=value), httpx2.Response(200, content=b"[]"))
        async with upstream.client(HttpLimits()) as client:
            assert (await client(asks())).body == b"[]"
        assert upstream.began == [0, 17]

    run(main())


@pytest.mark.parametrize("value", ["soon", "", "Wed, 15 Jul 2026 11:00:00 GMT", "0", "-3"])
def test_an_unreadable_retry_after_leaves_the_usual_pause(value: str) -> None:
    async def main() -> None:
        upstream = Upstream(busy(429, Retry_After=value), httpx2.Response(200, content=b"[]"))
        async with upstream.client(HttpLimits(backoff=2, jitter=0)) as client:
            await client(asks())
        assert upstream.began == [0, 2]

    run(main())


@in_its_loop
async def test_a_retry_after_beyond_the_limit_ends_the_request_at_once_with_a_reason() -> None:
    upstream = Upstream(busy(429, Retry_After="3600"))
    async with upstream.client(HttpLimits()) as client:
        error = await failure(client, asks())
    assert upstream.began == [0]
    assert (error.status, error.retryable, error.retry_after) == (429, True, 3600)
    assert error.reason == "HTTP 429 Too Many Requests; Retry-After is 3600 s, the longest wait is 60 s"


@in_its_loop
async def test_five_failed_requests_in_a_row_open_the_circuit_and_the_next_asks_nothing() -> None:
    upstream = Upstream(busy(503))
    async with upstream.client() as client:
        for _ in range(5):
            assert (await failure(client, asks())).status == 503
        error = await failure(client, asks())
        assert len(upstream.began) == 5
        assert error.reason == (
            "circuit open after 5 failures, next try in 300 s (last failure: HTTP 503 Service Unavailable)"
        )
        assert error.url == f"https://{HOST}/data"
        assert error.retryable
        assert error.retry_after == 300
        assert (await failure(client, asks(OTHER))).status == 503  # another host, another circuit


@in_its_loop
async def test_a_request_counts_once_however_often_it_was_tried() -> None:
    upstream = Upstream(busy(503))
    async with upstream.client(HttpLimits(backoff=0, jitter=0)) as client:
        for _ in range(4):
            await failure(client, asks())
        assert (await failure(client, asks())).status == 503
        assert len(upstream.began) == 15
        assert "circuit open" in (await failure(client, asks())).reason


@pytest.mark.parametrize(
    "answer", [busy(404), httpx2.Response(200, content=b"<html>"), busy(301, Location="/x")]
)
def test_an_answer_that_is_not_retryable_is_no_failure_of_the_host(answer: httpx2.Response) -> None:
    async def main() -> None:
        upstream = Upstream(*[busy(503)] * 4, answer, busy(404), *[busy(503)] * 4, busy(404))
        async with upstream.client() as client:
            for _ in range(10):
                assert "circuit" not in (await failure(client, asks())).reason

    run(main())


@in_its_loop
async def test_a_success_closes_the_count_of_failures() -> None:
    upstream = Upstream(*[busy(503)] * 4, httpx2.Response(200, content=b"{}"), busy(503))
    async with upstream.client() as client:
        for _ in range(4):
            await failure(client, asks())
        await client(asks())
        for _ in range(4):
            assert (await failure(client, asks())).status == 503


@in_its_loop
async def test_who_waits_while_the_circuit_opens_asks_nothing() -> None:
    upstream = Upstream(busy(503), takes=1)
    async with upstream.client(replace(NO_RETRY, per_host=1)) as client:
        outcomes = await asyncio.gather(*(failure(client, asks()) for _ in range(7)))
    assert len(upstream.began) == 5
    assert [outcome.status for outcome in outcomes] == [503] * 5 + [None] * 2


@in_its_loop
async def test_a_cancelled_request_neither_opens_nor_closes_the_circuit() -> None:
    upstream = Upstream(busy(503), takes=1)
    async with upstream.client(replace(NO_RETRY, failures=2)) as client:
        await failure(client, asks())
        cut_short = asyncio.create_task(client(asks()))
        await asyncio.sleep(0.5)
        cut_short.cancel()
        await asyncio.wait([cut_short])
        assert (await failure(client, asks())).status == 503  # the second failure, not a first one
        assert "circuit open after 2 failures" in (await failure(client, asks())).reason


@pytest.fixture
def breaker_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the circuit breaker's clock, which stands still; it reads the system's by itself."""
    now = [0.0]
    monkeypatch.setattr(circuitbreaker, "monotonic", lambda: now[0])
    return now


def test_an_open_circuit_lets_a_request_through_after_a_while_and_closes_on_success(
    breaker_clock: list[float],
) -> None:
    upstream = Upstream(busy(503), busy(503), httpx2.Response(200, content=b"{}"), busy(503))

    async def ask() -> None:
        async with upstream.client(replace(NO_RETRY, failures=2, recovery=60)) as client:
            await failure(client, asks())
            await failure(client, asks())
            breaker_clock[0] += 59
            assert "circuit open" in (await failure(client, asks())).reason
            breaker_clock[0] += 2
            await client(asks())
            assert len(upstream.began) == 3
            assert (await failure(client, asks())).status == 503  # closed: one failure does not open it

    run(ask())


def test_an_open_circuit_opens_again_on_the_first_failure_after_a_while(breaker_clock: list[float]) -> None:
    upstream = Upstream(busy(503))

    async def ask() -> None:
        async with upstream.client(replace(NO_RETRY, failures=2, recovery=60)) as client:
            await failure(client, asks())
            await failure(client, asks())
            breaker_clock[0] += 61
            assert (await failure(client, asks())).status == 503
            assert len(upstream.began) == 3
            assert "circuit open after 3 failures" in (await failure(client, asks())).reason

    run(ask())


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"per_host": 0}, {"failures": 0}, {"recovery": 0}])
def test_a_patience_of_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        HttpLimits(**wrong)


@in_its_loop
async def test_of_two_spellings_of_one_host_the_longest_spacing_holds() -> None:
    for first, second in (("romma.example", "ROMMA.example"), ("ROMMA.example:443", "romma.example")):
        upstream = Upstream()
        client = upstream.client(spacing={**spaced(7, first), **spaced(2, second)})
        start = seconds()
        await together(client, [asks(), asks()])
        assert [began - start for began in upstream.began] == [0, 7]
