"""Limits per host: parallel requests, spacing, quota, retries and a circuit breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from aiolimiter import AsyncLimiter
from circuitbreaker import CircuitBreaker
from stamina import AsyncRetryingCaller

from backend.collectors.transport.quota import Quota
from backend.core.errors import FetchError, MeteoScoreError

T = TypeVar("T")


class CircuitOpenError(MeteoScoreError):
    """A host failed too often in a row; no request is sent to it for `wait` seconds."""

    def __init__(self, failures: int, wait: float, last: str) -> None:
        self.wait = wait
        super().__init__(
            f"circuit open after {failures} failures, next try in {wait} s (last failure: {last})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Timeouts (seconds), number of attempts, and parallel requests per host.

    `payload` and `download` bound one whole attempt, body included; no attempt starts later than twice that
    after the first. A host gets `per_host` requests at a time, or one if it has a spacing. After `failures`
    retryable failures in a row the circuit of a host stays open for `recovery`.
    """

    connect: float = 10
    read: float = 30
    payload: float = 60
    download: float = 600
    attempts: int = 3
    backoff: float = 0.5
    backoff_max: float = 10
    jitter: float = 1
    longest_retry_after: float = 60
    per_host: int = 4
    failures: int = 5
    recovery: float = 300

    def __post_init__(self) -> None:
        # The libraries below take 0 for "use your own default".
        if self.attempts < 1 or self.per_host < 1 or self.failures < 1 or self.recovery <= 0:
            raise ValueError(f"attempts, per_host, failures and recovery must be positive: {self}")

    def when_to_retry(self, error: Exception) -> bool | float:
        """Return False for no retry, True for a retry after the backoff, or the seconds to wait."""
        if not isinstance(error, FetchError) or not error.retryable:
            return False
        if not error.retry_after:
            return True
        return error.retry_after if error.retry_after <= self.longest_retry_after else False


class Pace(Protocol):
    """The spacing of a host's requests."""

    async def acquire(self) -> None:
        """Return when the next request may start."""


def own_pace(_host: str, spacing: timedelta) -> Pace:
    """Return the pace of a host for the requests of this process alone."""
    return AsyncLimiter(1, spacing.total_seconds())


class Host:
    """One host, shared by all requests of the process to it."""

    def __init__(self, limits: HttpLimits, pace: Pace | None = None, quota: Quota | None = None) -> None:
        self._limits = limits
        self._quota = quota
        self._slots = asyncio.Semaphore(1 if pace else limits.per_host)
        self._pace = pace
        self._breaker = CircuitBreaker(
            failure_threshold=limits.failures,
            recovery_timeout=limits.recovery,
            expected_exception=lambda _, error: isinstance(error, FetchError) and error.retryable,
        )

    async def call(self, attempt: Callable[[], Awaitable[T]], bound: float, calls: int = 0) -> T:
        """Return the result of `attempt`, retried where that can help; one attempt takes `bound` seconds.

        Waits for a free slot, which it holds from the first attempt to the last, and before each attempt for
        the host's spacing. Each attempt counts as `calls` of the host's quota. Raises the FetchError of the
        last attempt, or at once CircuitOpenError or QuotaSpentError.
        """
        retrying = AsyncRetryingCaller(
            attempts=self._limits.attempts,
            timeout=2 * bound,
            wait_initial=self._limits.backoff,
            wait_max=self._limits.backoff_max,
            wait_jitter=self._limits.jitter,
        )

        async def spaced() -> T:
            if self._quota:
                await self._quota.spend(calls)
            if self._pace:
                await self._pace.acquire()
            return await attempt()

        self._refuse_while_open()
        async with self._slots:
            self._refuse_while_open()  # the circuit may have opened during the wait for the slot
            # Report the outcome to the breaker instead of wrapping the request in it: the breaker would
            # count a cancelled request as a success.
            try:
                answer = await retrying(self._limits.when_to_retry, spaced)
            except FetchError:
                with self._breaker:
                    raise
            self._breaker.reset()
            return answer

    def _refuse_while_open(self) -> None:
        if self._breaker.opened:
            raise CircuitOpenError(
                self._breaker.failure_count, self._breaker.open_remaining, self._breaker.last_failure.reason
            )
