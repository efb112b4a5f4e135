"""Our clock against the `Date` headers of the hosts that are asked."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx2
import msgspec
import pytest

from backend.collectors.base import Request
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.clock import utc_now
from backend.core.clock_watch import CLOCK_LIMIT, ClockOffset, ClockWatch
from backend.core.errors import FetchError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Rejected
from backend.scheduler.config import OBSERVATIONS
from backend.tests.support.commands import StandIns, ended, stand_ins, typed
from backend.tests.support.serving import TOKEN, client_of, run_by_hand, serving
from backend.tests.support.stores import NOW
from backend.tests.support.waiting import wait_for
from backend.tests.support.worlds import HandClock, a_reading, make_world, observation_source

AHEAD = timedelta(minutes=61)
MINUTE = timedelta(minutes=1)


class Watched:
    """A watch on two clocks in the test's hand, which go together unless one is set."""

    def __init__(self) -> None:
        self.clock = HandClock(NOW)
        self.monotonic = 1000.0
        self.watch = ClockWatch(self.clock, lambda: self.monotonic)

    def pass_by(self, time: timedelta) -> None:
        self.clock.now += time
        self.monotonic += time.total_seconds()

    def hear(self, **hosts: timedelta) -> ClockOffset | None:
        for host, ahead in hosts.items():
            self.watch.note(host, self.clock.now + ahead)
        return self.watch.offset()


def test_a_clock_is_off_when_most_hosts_agree_beyond_the_limit() -> None:
    offset = Watched().hear(a=AHEAD, b=AHEAD + timedelta(seconds=2), c=AHEAD)
    assert offset == ClockOffset(3660.0, 3, 3)
    assert offset.in_words() == "The clock of this machine is 61 min slow, by the answers of 3 of 3 hosts."
    fast = Watched().hear(a=-3 * AHEAD, b=-3 * AHEAD)
    assert fast is not None
    assert "3 h fast, by the answers of 2 of 2 hosts" in fast.in_words()


@pytest.mark.parametrize(
    "hosts",
    [
        {},
        {"a": AHEAD},
        {"a": AHEAD, "b": 0 * AHEAD},
        {"a": AHEAD, "b": 0 * AHEAD, "c": 0 * AHEAD},
        {"a": AHEAD, "b": AHEAD, "c": 0 * AHEAD, "d": 0 * AHEAD},
        {"a": AHEAD, "b": 2 * AHEAD, "c": 3 * AHEAD},
        {"a": CLOCK_LIMIT, "b": CLOCK_LIMIT, "c": CLOCK_LIMIT},
    ],
    ids=["none", "one", "half", "one odd", "two camps", "no two alike", "at the limit"],
)
def test_a_clock_is_not_called_off_by_too_few_hosts_or_by_little(hosts: dict[str, timedelta]) -> None:
    assert Watched().hear(**hosts) is None


def test_one_odd_host_does_not_hide_that_the_clock_is_off() -> None:
    assert Watched().hear(a=AHEAD, b=AHEAD, c=AHEAD, odd=timedelta(days=-4000)) == ClockOffset(3660.0, 3, 4)


def test_what_was_heard_before_the_clock_was_set_or_a_day_ago_counts_no_more() -> None:
    watched = Watched()
    assert watched.hear(a=AHEAD, b=AHEAD) is not None
    watched.pass_by(timedelta(hours=23))
    assert watched.watch.offset() is not None
    watched.pass_by(timedelta(hours=2))
    assert watched.watch.offset() is None

    assert watched.hear(a=AHEAD, b=AHEAD) is not None
    watched.clock.now += AHEAD  # the operator sets the clock
    assert watched.watch.offset() is None


def test_only_so_many_hosts_are_remembered() -> None:
    watched = Watched()
    for number in range(1000):
        watched.watch.note(f"host{number}", NOW)
    offset = watched.hear(**{f"late{number}": AHEAD for number in range(64)})
    assert offset is not None
    assert offset.hosts == 64


# --- Heard by the client ----------------------------------------------------------------------------


async def heard(headers: dict[str, str], status: int = 200) -> ClockOffset | None:
    """Ask two hosts that answer with these headers, and return what the watch makes of it."""
    watched = Watched()

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers=headers, json=[])

    client = HttpClient(
        clock=watched.clock,
        clock_watch=watched.watch,
        limits=HttpLimits(attempts=1),
        transport=httpx2.MockTransport(answer),
    )
    async with client:
        for host in ("a", "b"):
            try:
                await client(Request(url=f"https://{host}.example/", kind="json"))
            except FetchError:
                assert status != 200
    return watched.watch.offset()


async def test_the_date_of_every_answer_is_heard_also_of_a_refusal() -> None:
    date = {"Date": format_datetime(NOW + AHEAD, usegmt=True)}
    assert await heard(date) == ClockOffset(3660.0, 2, 2)
    assert await heard(date, status=503) == ClockOffset(3660.0, 2, 2)


async def test_an_answer_from_a_cache_states_its_age() -> None:
    stored = format_datetime(NOW - timedelta(hours=9), usegmt=True)
    assert await heard({"Date": stored, "Age": str(9 * 3600)}) is None
    assert await heard({"Date": stored}) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": "yesterday"},
        {"Date": "Fri, 31 Dec 9999 23:59:59 GMT", "Age": "99999999"},
        {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Age": "9" * 5000},
    ],
)
async def test_headers_without_a_time_have_no_effect(headers: dict[str, str]) -> None:
    assert await heard(headers) is None


# --- What becomes of refused values -----------------------------------------------------------------


def future(count: int, needs: CollectionRequest) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(f"ffvl:{number}", None, needs.now + AHEAD, "", "future: more than 10 min ahead")
        for number in range(count)
    )


@pytest.mark.parametrize(
    ("refused", "record_age", "status", "reason"),
    [
        (200, None, "failed", "every value was rejected: 200 future"),
        (200, timedelta(days=9), "stale", "is the most for its cadence; rejected: 200 future"),
        (200, 5 * MINUTE, "partial", "most values were rejected: 200 future"),
        (1, 5 * MINUTE, "success", ""),
    ],
)
async def test_a_source_whose_current_values_are_refused_is_neither_well_nor_nothing_new(
    tmp_path: Path, refused: int, record_age: timedelta | None, status: str, reason: str
) -> None:
    async def answers(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        batch = a_reading(needs)
        if record_age is None:
            yield replace(batch, records=(), newest=None, rejected=future(refused, needs))
            return
        time = needs.now - record_age
        record = msgspec.structs.replace(batch.records[0], time=time)
        extra = msgspec.structs.replace(record, parameter=Parameter.WIND_DIRECTION)
        yield replace(batch, records=(record, extra), newest=time, rejected=future(refused, needs))

    world = make_world(tmp_path, observations=[observation_source(answers)])
    run = await world.runner.run(OBSERVATIONS, "cli")
    assert run is not None
    (source,) = run.sources
    assert source.status == status
    assert reason in source.reason
    assert source.rejected_reasons == {"future": refused}


# --- Upstreams 61 minutes ahead ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstreams_ahead() -> Iterator[StandIns]:
    with stand_ins(utc_now().replace(second=0, microsecond=0) + AHEAD, dates=True) as serving_upstreams:
        yield serving_upstreams


def test_doctor_reports_a_slow_clock_and_the_rejection_of_every_value(
    upstreams_ahead: StandIns, tmp_path: Path
) -> None:
    environment = upstreams_ahead.environment(tmp_path, sources="meteo_parapente,ffvl,romma,arome")
    result = typed("doctor --json", environment)
    found = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert found["clock"]["ok"] is False
    assert re.search(
        r"The clock of this machine is (5\d|6\d) min slow, by the answers of", found["clock"]["says"]
    )
    assert "timedatectl" in found["clock"]["says"]
    for network in ("ffvl", "romma"):
        assert found[network]["ok"] is False, found[network]
        refused = re.search(r"every (current )?value was refused: (.*)", found[network]["says"])
        assert refused is not None, found[network]
        assert re.search(r"\d+ future", refused[2])


def test_the_service_reports_it_and_a_source_with_only_rejected_values_has_failed(
    upstreams_ahead: StandIns, tmp_path: Path
) -> None:
    environment = upstreams_ahead.environment(
        tmp_path, sources="meteo_parapente,ffvl,romma", admin_token=TOKEN, log_format="json"
    )
    with serving(environment) as service, client_of(service) as client:
        wait_for(lambda: service.count(event="run ended") >= 2, "the first collections")
        run = run_by_hand(client, service, "collect_observations")
        (romma,) = (source for source in run["sources"] if source["source"] == "romma")
        assert romma["status"] == "failed"
        assert re.fullmatch(r"every value was rejected: \d+ future.*", romma["reason"])
        ready = client.get("/api/ready").json()
        assert ready["status"] == "degraded"
        assert "clock_off" in {reason["code"] for reason in ready["reasons"]}
        client.post("/ops/sign-in", data={"token": TOKEN})
        assert "The clock of this machine is" in client.get("/ops").text
        service.terminate()
    runs = ended("runs", "--json", environment=environment)
    assert "future" in runs.stdout
