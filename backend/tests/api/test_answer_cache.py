"""The cache of answers: each computed once, a few at a time, with a limit of the waiting time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from threading import Event, Lock

import httpx2
import pytest

from backend.api.answer_cache import AnswerCache
from backend.core.errors import BusyError, NotFoundError
from backend.main import create_app
from backend.tests.support.served import fill, make_service
from backend.tests.support.waiting import HANG_SECONDS


class Maker:
    """Computes answers when the test allows it, and counts them, in total and at a time."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.most = 0
        self.let = Event()
        self.started = Event()
        self._now = 0
        self._lock = Lock()

    def __call__(self, name: str) -> bytes:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.started.set()
        assert self.let.wait(HANG_SECONDS)
        with self._lock:
            self._now -= 1
            self.made.append(name)
        return name.encode()


def asked(cache: AnswerCache, maker: Maker, name: str) -> bytes:
    return cache.get_or_compute(name, lambda: maker(name))


def test_an_answer_is_computed_once_for_many_equal_requests() -> None:
    cache, maker = AnswerCache(), Maker()
    with ThreadPoolExecutor(12) as askers:
        answers = [askers.submit(asked, cache, maker, "one") for _ in range(12)]
        assert maker.started.wait(HANG_SECONDS)
        maker.let.set()
        assert [each.result(HANG_SECONDS) for each in answers] == [b"one"] * 12
    assert len(maker.made) <= 2  # two may have started it at the same time
    asked(cache, maker, "one")
    assert len(maker.made) <= 2


def test_no_more_answers_than_allowed_are_computed_at_a_time() -> None:
    cache, maker = AnswerCache(at_once=2), Maker()
    names = [str(number) for number in range(12)]
    with ThreadPoolExecutor(12) as askers:
        answers = [askers.submit(asked, cache, maker, name) for name in names]
        assert maker.started.wait(HANG_SECONDS)
        maker.let.set()
        assert [each.result(HANG_SECONDS) for each in answers] == [name.encode() for name in names]
    assert sorted(maker.made) == sorted(names)
    assert maker.most <= 2


def test_a_request_without_a_turn_in_time_is_an_error_and_is_not_computed_later() -> None:
    cache, maker = AnswerCache(at_once=1, most_seconds=0.2), Maker()
    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(asked, cache, maker, "first")
        assert maker.started.wait(HANG_SECONDS)
        with pytest.raises(BusyError, match=r"no answer within 0\.2 seconds"):
            asked(cache, maker, "second")
        with pytest.raises(BusyError):
            first.result(HANG_SECONDS)
        maker.let.set()
    patient = AnswerCache(at_once=1)
    assert asked(patient, maker, "third") == b"third"
    assert "second" not in maker.made


def test_an_error_of_the_computation_is_raised_and_not_cached() -> None:
    cache = AnswerCache()

    def no_answer() -> bytes:
        raise NotFoundError("there is no such station")

    def too_late() -> bytes:
        raise TimeoutError("the disk is asleep")

    for _ in range(2):
        with pytest.raises(NotFoundError, match="no such station"):
            cache.get_or_compute("one", no_answer)
    with pytest.raises(TimeoutError, match="asleep"):
        cache.get_or_compute("one", too_late)
    assert cache.get_or_compute("one", lambda: b"found") == b"found"


def test_close_does_not_wait_and_later_answers_are_computed() -> None:
    cache, maker = AnswerCache(at_once=1), Maker()
    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(asked, cache, maker, "first")
        assert maker.started.wait(HANG_SECONDS)
        cache.close()
        assert cache.get_or_compute("second", lambda: b"second") == b"second"
        assert not first.done()
        maker.let.set()
        assert first.result(HANG_SECONDS) == b"first"


def test_log_context_of_the_request_is_bound_in_the_computing_thread() -> None:
    bound = ContextVar("bound", default="nothing")
    bound.set("request 7")
    assert AnswerCache().get_or_compute("one", lambda: bound.get().encode()) == b"request 7"


def test_least_recently_used_answers_are_dropped_first_and_too_large_ones_are_not_cached() -> None:
    cache, maker = AnswerCache(most_bytes=8), Maker()
    maker.let.set()
    for name in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
        asked(cache, maker, name)
    assert maker.made == ["aaaa", "bbbb", "cccc", "bbbb"]
    for _ in range(2):
        asked(cache, maker, "far too large")
    assert maker.made[4:] == ["far too large"] * 2
    asked(cache, maker, "aaaa")
    assert len(maker.made) == 6


async def test_over_http_a_request_without_an_answer_in_time_is_503_with_retry_after(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    app = create_app(service)
    app.state.answer_cache = AnswerCache(most_seconds=0.0)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        refused = await client.get("/api/v1/sites/grand-pre/verdict")
        other = await client.get("/api/v1/models", headers={"If-None-Match": "*"})
    await service.close()
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "Too many requests at the same time: retry in a moment."
    assert int(refused.headers["retry-after"]) > 0
    assert other.status_code == 304
