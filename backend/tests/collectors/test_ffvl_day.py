"""Six collections a day store every reading of the day, also after failures in some of them.

The upstream answers from a list of readings as the two real ones would at each moment; the
readings of a collection go into a store in miniature, and the next collection starts from that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.collectors.base import Request, SourceRoute
from backend.collectors.beacons.winds_mobi import WindsMobi
from backend.collectors.ffvl_routes.keyed import Keyed
from backend.collectors.ffvl_routes.network import FFVL
from backend.core.clock import PARIS
from backend.core.errors import CollectorError, FetchError
from backend.core.records import CollectionRequest, ObservationBatch, Site
from backend.tests.support.fakes import Answer, ScriptedFetch
from backend.tests.support.ffvl_samples import KEYED, MOBI, at, feed, feed_row

ROUTES: dict[str, SourceRoute[ObservationBatch]] = {
    "keyed": Keyed("https://data.ffvl.fr", "s3cret"),
    "winds_mobi": WindsMobi("https://winds.mobi", FFVL, rank=1),
}
SLOTS = (*(at(hour, 0) for hour in (8, 10, 12, 14, 16, 18)), at(8, 0, 10))
LATENCY = timedelta(minutes=5)
MIDNIGHT = at(0, 0)

Trouble = str
WELL, HISTORY_FAILS, HISTORY_LAGS, DIES, BULK_FAILS = "well", "history fails", "lags", "dies", "bulk fails"
SLOW = "slow"
SHIFTS = {HISTORY_LAGS: timedelta(hours=-3), SLOW: timedelta(minutes=20)}
"""How much later than the bulk a history is answered, or how much earlier it might as well have been."""

every_route = pytest.mark.parametrize("route", list(ROUTES.values()), ids=list(ROUTES))


def spoken(phase: int, silent: Sequence[int] = ()) -> tuple[datetime, ...]:
    """Return when a beacon spoke on 9 May: every ten minutes from `phase` on, at changing seconds.

    It misses one slot in seventeen, and the hours (UTC) in which it is `silent`.
    """
    times = (MIDNIGHT + timedelta(minutes=phase + 10 * i, seconds=i * 23 % 60) for i in range(144))
    return tuple(time for i, time in enumerate(times) if i % 17 != 5 and time.hour not in silent)


DAY = {"511": spoken(4), "516": spoken(1, silent=range(9, 13)), "518": spoken(7, silent=range(10, 24))}
"""A usual beacon, one that is silent from nine to one o'clock, and one that falls silent for good at ten."""


def readings_of(*numbers: str) -> set[tuple[str, datetime]]:
    """Return all readings of the day as we keep them: to the minute."""
    return {(f"ffvl:{number}", time.replace(second=0)) for number in numbers for time in DAY[number]}


class Upstream:
    """The FFVL's feed and winds.mobi at `now`, from one list of readings."""

    def __init__(self, day: dict[str, tuple[datetime, ...]]) -> None:
        self.day = day
        self.now = MIDNIGHT
        self.trouble: Trouble = WELL
        self.histories = 0
        script: dict[str, Answer] = {
            f"{KEYED}list": feed(*({"idBalise": number, "station_type": "FFVL"} for number in self.day)),
            f"{KEYED}releves_meteo": self._bulk(self._feed_rows),
            f"{KEYED}histo": self._history(self._feed_history),
            f"{MOBI}?provider": self._bulk(self._mobi_stations),
            f"{MOBI}ffvl-": self._history(self._mobi_history),
        }
        self.fetch = ScriptedFetch(script)

    def at(self, now: datetime) -> ScriptedFetch:
        """Set the clock; return the way to the upstream at that time."""
        self.now = self.fetch.now = now
        return self.fetch

    def _bulk(self, answer: Callable[[], bytes]) -> Callable[[Request], bytes]:
        def bulk(_request: Request) -> bytes:
            if self.trouble == BULK_FAILS:
                raise FetchError("HTTP 503", status=503)
            return answer()

        return bulk

    def _history(self, answer: Callable[[Request, datetime], bytes]) -> Callable[[Request], bytes]:
        def history(request: Request) -> bytes:
            self.histories += 1
            if self.trouble == HISTORY_FAILS:
                raise FetchError("HTTP 503", status=503)
            moment = self.now + SHIFTS.get(self.trouble, timedelta(0))
            self.fetch.now = max(self.now, moment)
            return answer(request, moment)

        return history

    def _last(self, known_at: datetime) -> Iterator[tuple[str, datetime]]:
        for number, times in self.day.items():
            if past := [time for time in times if time <= known_at]:
                yield number, past[-1]

    def _feed_rows(self) -> bytes:
        return feed(*(self._row(number, time) for number, time in self._last(self.now - LATENCY)))

    def _feed_history(self, request: Request, moment: datetime) -> bytes:
        number, hours = request.params["idbalise"], int(request.params["hours"])
        assert hours <= 72
        since, until = moment - timedelta(hours=hours), moment - LATENCY
        return feed(*(self._row(number, t) for t in reversed(self.day[number]) if since < t <= until))

    def _row(self, number: str, time: datetime) -> dict[str, object]:
        return feed_row(number, f"{time.astimezone(PARIS):%Y-%m-%d %H:%M:%S}")

    def _mobi_stations(self) -> bytes:
        last = dict(self._last(self.now - LATENCY))
        return json.dumps(
            [{"_id": f"ffvl-{number}", "last": self._measure(time)} for number, time in last.items()]
        ).encode()

    def _mobi_history(self, request: Request, moment: datetime) -> bytes:
        number = request.url.split("ffvl-")[1].split("/")[0]
        duration = timedelta(seconds=int(request.params["duration"]))
        last = dict(self._last(moment - LATENCY))[number]
        times = (t for t in reversed(self.day[number]) if last - duration <= t <= last)
        return json.dumps([self._measure(time) for time in times]).encode()

    def _measure(self, time: datetime) -> dict[str, object]:
        return {"_id": int(time.timestamp()), "w-dir": 270, "w-avg": 10.0, "w-max": 16.0, "temp": 7.0}


@dataclass
class Kept:
    """A small store: delivered readings and `complete_until`."""

    readings: set[tuple[str, datetime]] = field(default_factory=set)
    complete_until: dict[str, datetime] = field(default_factory=dict)
    failures: int = 0

    def keep(self, batch: ObservationBatch) -> None:
        self.readings |= {(record.station, record.time) for record in batch.records}
        for station, time in batch.complete_until.items():
            self.complete_until[station] = max(time, self.complete_until.get(station, time))
        self.failures += len(batch.failures)

    def of(self, number: str) -> set[tuple[str, datetime]]:
        """Return the kept readings of one beacon."""
        return {reading for reading in self.readings if reading[0] == f"ffvl:{number}"}

    def needs(self, now: datetime, mapped: Sequence[str]) -> CollectionRequest:
        newest: dict[str, datetime] = {}
        for station, time in self.readings:
            newest[station] = max(time, newest.get(station, time))
        site = Site("loup", "Crête du Loup", 45.8, 6.22, 1745.0, stations=tuple(f"ffvl:{n}" for n in mapped))
        since = now - timedelta(hours=72)
        return CollectionRequest(
            now=now, since=since, sites=(site,), newest=newest, complete_until=dict(self.complete_until)
        )


async def collect_at(
    route: SourceRoute[ObservationBatch], upstream: Upstream, kept: Kept, now: datetime, mapped: Sequence[str]
) -> None:
    """Collect once at `now`. Of a process that dies, the first batch with readings is all that is kept."""
    dead = False
    try:
        async for batch in route.collect(kept.needs(now, mapped), upstream.at(now)):
            if not dead:
                kept.keep(batch)
            dead = dead or (upstream.trouble == DIES and bool(batch.records))
    except CollectorError:
        assert upstream.trouble == BULK_FAILS


async def collect_all(
    route: SourceRoute[ObservationBatch],
    troubles: Mapping[datetime, Trouble] | None = None,
    mapped: Sequence[str] = tuple(DAY),
    slots: Sequence[datetime] = SLOTS,
) -> tuple[Kept, Upstream]:
    """Collect at the slots, one after the other, with the trouble given for a slot."""
    upstream, kept = Upstream(DAY), Kept()
    for slot in slots:
        upstream.trouble = (troubles or {}).get(slot, WELL)
        await collect_at(route, upstream, kept, slot, mapped)
    return kept, upstream


@every_route
@pytest.mark.parametrize("pace", [WELL, SLOW])
async def test_six_collections_a_day_bring_every_reading_of_the_day(
    route: SourceRoute[ObservationBatch], pace: Trouble
) -> None:
    kept, _ = await collect_all(route, dict.fromkeys(SLOTS, pace))

    assert kept.readings == readings_of(*DAY)
    assert kept.failures == 0


@every_route
async def test_a_beacon_that_fell_silent_is_not_asked_for_again(route: SourceRoute[ObservationBatch]) -> None:
    _, upstream = await collect_all(route, mapped=["518"])

    assert upstream.histories == 2  # at 8 all since the night, at 10 the last two hours


@every_route
@pytest.mark.parametrize("trouble", [HISTORY_FAILS, HISTORY_LAGS, DIES])
async def test_readings_between_two_collections_that_did_not_come_are_asked_for_by_the_next(
    route: SourceRoute[ObservationBatch], trouble: Trouble
) -> None:
    broken, _ = await collect_all(route, {at(14, 0): trouble}, ["511"], SLOTS[:4])
    mended, _ = await collect_all(route, {at(14, 0): trouble}, ["511"], SLOTS[:5])

    between = {(name, time) for name, time in readings_of("511") if at(12, 0) <= time < at(13, 40)}
    newest = ("ffvl:511", at(13, 54))
    assert between.isdisjoint(broken.readings)
    assert newest in broken.readings, "the bulk answer is kept at once"
    assert broken.complete_until["ffvl:511"] == at(11, 54)
    assert between < mended.readings
    assert mended.of("511") == {reading for reading in readings_of("511") if reading[1] <= at(15, 54)}


@every_route
async def test_a_newly_mapped_beacon_of_an_earlier_bulk_answer_gets_its_history(
    route: SourceRoute[ObservationBatch],
) -> None:
    upstream, kept = Upstream(DAY), Kept()
    for slot in SLOTS[:3]:
        await collect_at(route, upstream, kept, slot, mapped=["511"])
    before = kept.of("516")
    await collect_at(route, upstream, kept, SLOTS[3], mapped=["511", "516"])

    assert len(before) == 2  # at 10 and at 12 the last word of before nine
    assert kept.of("516") == {reading for reading in readings_of("516") if reading[1] < SLOTS[3] - LATENCY}
    assert "ffvl:518" not in kept.complete_until


@every_route
@settings(max_examples=25)
@given(
    troubles=st.lists(
        st.sampled_from([WELL, SLOW, HISTORY_FAILS, HISTORY_LAGS, DIES, BULK_FAILS]), max_size=6
    )
)
def test_one_good_collection_after_any_failures_has_all_readings(
    route: SourceRoute[ObservationBatch], troubles: list[Trouble]
) -> None:
    kept, _ = asyncio.run(collect_all(route, dict(zip(SLOTS, troubles, strict=False))))

    assert kept.readings == readings_of(*DAY)
