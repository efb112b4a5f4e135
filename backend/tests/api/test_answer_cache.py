"""Answers that are kept: made once, a few at a time, and refused rather than waited for without end."""

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
    """Makes answers when it is let, and counts how many it makes, and how many at a time."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.most = 0
        self.let = Event()
        self.begun = Event()
        self._now = 0
        self._lock = Lock()

    def __call__(self, name: str) -> bytes:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.begun.set()
        assert self.let.wait(HANG_SECONDS)
        with self._lock:
            self._now -= 1
            self.made.append(name)
        return name.encode()


def asked(kept: AnswerCache, maker: Maker, name: str) -> bytes:
    return kept.get(name, lambda: maker(name))


def test_of_many_who_ask_the_same_only_the_first_has_it_made() -> None:
    kept, maker = AnswerCache(), Maker()
    with ThreadPoolExecutor(12) as askers:
        answers = [askers.submit(asked, kept, maker, "one") for _ in range(12)]
        assert maker.begun.wait(HANG_SECONDS)
        maker.let.set()
        assert [each.result(HANG_SECONDS) for each in answers] == [b"one"] * 12
    assert len(maker.made) <= 2  # two may have begun it at the same time
    asked(kept, maker, "one")
    assert len(maker.made) <= 2


def test_no_more_are_made_at_a_time_than_there_are_turns() -> None:
    kept, maker = AnswerCache(at_once=2), Maker()
    names = [str(number) for number in range(12)]
    with ThreadPoolExecutor(12) as askers:
        answers = [askers.submit(asked, kept, maker, name) for name in names]
        assert maker.begun.wait(HANG_SECONDS)
        maker.let.set()
        assert [each.result(HANG_SECONDS) for each in answers] == [name.encode() for name in names]
    assert sorted(maker.made) == sorted(names)
    assert maker.most <= 2


def test_who_gets_no_turn_in_time_is_told_so_and_what_nobody_waits_for_is_not_made() -> None:
    kept, maker = AnswerCache(at_once=1, most_seconds=0.2), Maker()
    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(asked, kept, maker, "first")
        assert maker.begun.wait(HANG_SECONDS)
        with pytest.raises(BusyError, match=r"no answer within 0\.2 seconds"):
            asked(kept, maker, "second")
        with pytest.raises(BusyError):
            first.result(HANG_SECONDS)
        maker.let.set()
    patient = AnswerCache(at_once=1)
    assert asked(patient, maker, "third") == b"third"
    assert "second" not in maker.made


def test_an_answer_that_fails_says_why_and_is_made_again_when_it_is_asked_for_again() -> None:
    kept = AnswerCache()

    def no_answer() -> bytes:
        raise NotFoundError("there is no such station")

    def too_late() -> bytes:
        raise TimeoutError("the disk is asleep")

    for _ in range(2):
        with pytest.raises(NotFoundError, match="no such station"):
            kept.get("one", no_answer)
    with pytest.raises(TimeoutError, match="asleep"):
        kept.get("one", too_late)
    assert kept.get("one", lambda: b"found") == b"found"


def test_closing_waits_for_no_answer_that_is_being_made_and_what_is_asked_later_is_made() -> None:
    kept, maker = AnswerCache(at_once=1), Maker()
    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(asked, kept, maker, "first")
        assert maker.begun.wait(HANG_SECONDS)
        kept.close()
        assert kept.get("second", lambda: b"second") == b"second"
        assert not first.done()
        maker.let.set()
        assert first.result(HANG_SECONDS) == b"first"


def test_what_is_bound_to_the_request_is_bound_where_its_answer_is_made() -> None:
    bound = ContextVar("bound", default="nothing")
    bound.set("request 7")
    assert AnswerCache().get("one", lambda: bound.get().encode()) == b"request 7"


def test_those_asked_for_longest_ago_are_dropped_first_and_one_that_is_too_large_is_not_kept() -> None:
    kept, maker = AnswerCache(most_bytes=8), Maker()
    maker.let.set()
    for name in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
        asked(kept, maker, name)
    assert maker.made == ["aaaa", "bbbb", "cccc", "bbbb"]
    for _ in range(2):
        asked(kept, maker, "far too large")
    assert maker.made[4:] == ["far too large"] * 2
    asked(kept, maker, "aaaa")
    assert len(maker.made) == 6


async def test_over_http_who_gets_no_answer_in_time_is_told_to_ask_again(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    app = create_app(service)
    app.state.kept_answers = AnswerCache(most_seconds=0.0)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client:
        refused = await client.get("/api/v1/sites/grand-pre/verdict")
        other = await client.get("/api/v1/models", headers={"If-None-Match": "*"})
    await service.close()
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "Too many ask at the same time: ask again in a moment."
    assert int(refused.headers["retry-after"]) > 0
    assert other.status_code == 304
