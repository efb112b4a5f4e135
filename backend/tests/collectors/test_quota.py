"""What a host allows is counted, waited for within a minute, and never exceeded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from backend.collectors.base import Request
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.collectors.transport.quota import Quota, QuotaSpentError
from backend.core.config import OPEN_METEO_FREE, Allowance, Settings
from backend.core.errors import FetchError
from backend.tests.support.worlds import HandClock

NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
HOST = "runs.test"


def quota(folder: Path, clock: HandClock, **limits: int) -> Quota:
    generous = {"minute": 1000, "hour": 10_000, "day": 10_000, "month": 10_000}
    return Quota(HOST, Allowance(**{**generous, **limits}), folder / "quota", clock)


@pytest.mark.parametrize(
    ("limits", "later", "called"),
    [
        ({"hour": 20}, timedelta(minutes=61), "an hour"),
        ({"day": 20}, timedelta(hours=25), "a day"),
        ({"month": 20}, timedelta(days=32), "a month"),
    ],
)
async def test_a_period_that_is_spent_refuses_until_it_is_over(
    tmp_path: Path, limits: dict[str, int], later: timedelta, called: str
) -> None:
    clock = HandClock(NOON)
    spent = quota(tmp_path, clock, **limits)
    await spent.spend(10)
    clock.now = NOON + timedelta(minutes=1)
    await spent.spend(9)

    with pytest.raises(QuotaSpentError, match=f"19 of the 20 calls that {HOST} allows {called} are spent"):
        await spent.spend(1)
    clock.now = NOON + later
    await spent.spend(10)


async def test_the_count_outlives_the_process_and_is_shared_by_all(tmp_path: Path) -> None:
    clock = HandClock(NOON)
    await quota(tmp_path, clock, day=20).spend(15)

    with pytest.raises(QuotaSpentError, match="15 of the 20"):
        await quota(tmp_path, clock, day=20).spend(5)


async def test_what_does_not_count_is_not_written_down(tmp_path: Path) -> None:
    await quota(tmp_path, HandClock(NOON)).spend(0)
    assert list(tmp_path.iterdir()) == []


async def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    clock = HandClock(NOON)
    await quota(tmp_path, clock).spend(3)
    (file,) = (tmp_path / "quota").iterdir()
    file.write_bytes(file.read_bytes() + b"\xff17840")
    await quota(tmp_path, clock).spend(4)

    with pytest.raises(QuotaSpentError, match="7 of the 8"):
        await quota(tmp_path, clock, day=8).spend(1)


async def test_more_at_once_than_a_minute_allows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuotaSpentError, match=r"one request of 6 calls; .* is sent at most 5 calls at once"):
        await quota(tmp_path, HandClock(NOON), minute=10).spend(6)


async def test_no_minute_has_more_than_it_allows(tmp_path: Path) -> None:
    """Half of it comes at once; the other half takes the whole minute to come back."""
    spent = quota(tmp_path, HandClock(NOON), minute=10)
    await spent.spend(5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await spent.spend(5)


async def test_what_cannot_be_counted_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "quota").write_text("a file where the folder should be")
    with pytest.raises(QuotaSpentError, match=r"^quota: file not writable, request not sent: [A-Z][a-z ]+$"):
        await quota(tmp_path, HandClock(NOON)).spend(1)


async def test_the_client_counts_each_attempt_and_sends_nothing_once_the_quota_is_spent(
    tmp_path: Path,
) -> None:
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(str(request.url))
        return httpx2.Response(503 if len(sent) == 1 else 200, json={})

    client = HttpClient(
        clock=HandClock(NOON),
        quotas={HOST: quota(tmp_path, HandClock(NOON), day=10)},
        limits=HttpLimits(backoff=0.0, backoff_max=0.0, jitter=0.0),
        transport=httpx2.MockTransport(answer),
    )
    async with client:
        await client(Request(url=f"https://{HOST}/v1/forecast", kind="json", calls=4))
        assert len(sent) == 2  # one that failed, and one that did not: eight calls
        with pytest.raises(FetchError, match="quota: 8 of the 10 calls") as refused:
            await client(Request(url=f"https://{HOST}/v1/forecast", kind="json", calls=4))
        await client(Request(url=f"https://{HOST}/meta.json", kind="json"))

    assert len(sent) == 3
    assert not refused.value.retryable


def test_the_free_service_of_open_meteo_has_the_quota_of_its_terms() -> None:
    assert Settings.load().quotas() == {"single-runs-api.open-meteo.com": OPEN_METEO_FREE}
    assert Settings.load(open_meteo_single_runs_url="http://127.0.0.1:81").quotas() == {
        "127.0.0.1:81": OPEN_METEO_FREE
    }
    assert OPEN_METEO_FREE == (600, 5_000, 10_000, 300_000)
