"""Which readings of a mapped beacon are lacking, and what may be vouched for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from backend.collectors.beacons.gaps import Gap, Gaps, closed, find_gaps
from backend.collectors.beacons.readings import Readings
from backend.collectors.ffvl_routes.network import FFVL
from backend.core.errors import ParseError
from backend.core.records import Rejected
from backend.tests.support.ffvl_samples import NOW, SINCE, at, needs, payload

BEACON = "ffvl:511"
OLDEST = NOW - timedelta(hours=72)
UNTIMELY = Rejected(BEACON, None, None, "", "invalid_time")


def stock(until: datetime | None, vouched: datetime | None = None, since: datetime = SINCE) -> Gaps:
    """Compare one mapped station's newest reading with what was vouched for."""
    want = needs(BEACON, since=since, complete_until={BEACON: vouched} if vouched else {})
    return find_gaps(FFVL, want, {BEACON: until} if until else {}, OLDEST)


def history(newest: datetime | None, *rejected: Rejected) -> Readings:
    return Readings((), rejected, {BEACON: newest} if newest else {}, newest)


@pytest.mark.parametrize(
    ("until", "vouched", "expected"),
    [
        (at(13, 4), at(12, 49), Gaps({BEACON: at(13, 4)}, ())),  # 15 minutes: the next one, or nearly
        (at(13, 4), at(12, 48), Gaps({}, (Gap(BEACON, at(12, 48), at(13, 4)),))),
        (at(13, 4), at(13, 4), Gaps({}, ())),  # silent since
        (at(12, 54), at(13, 4), Gaps({}, ())),  # the bulk answer lags behind what we have
        (at(13, 4), None, Gaps({}, (Gap(BEACON, SINCE, at(13, 4)),))),
        (at(13, 4), at(8, 0, 1), Gaps({}, (Gap(BEACON, SINCE, at(13, 4)),))),  # longer ago than is wanted
        (at(8, 0, 1), None, Gaps({BEACON: at(8, 0, 1)}, ())),  # spoke last before what is wanted
        (None, None, Gaps({}, (Gap(BEACON, SINCE, None),))),
        (None, at(9, 0, 1), Gaps({}, ())),
    ],
)
def test_a_gap_lies_between_what_is_vouched_for_and_the_newest_reading(
    until: datetime | None, vouched: datetime | None, expected: Gaps
) -> None:
    assert stock(until, vouched) == expected


def test_a_history_is_not_asked_for_from_before_the_source_keeps_any() -> None:
    month = NOW - timedelta(days=30)

    assert stock(at(13, 4), since=month).gaps == (Gap(BEACON, OLDEST, at(13, 4)),)
    assert stock(OLDEST - timedelta(hours=1), since=month) == Gaps({BEACON: OLDEST - timedelta(hours=1)}, ())


def test_only_mapped_stations_that_are_not_skipped_are_looked_at() -> None:
    latest = dict.fromkeys((BEACON, "ffvl:512", "ffvl:513"), at(13, 4))
    complete_until = dict.fromkeys(latest, at(12, 54))

    after = find_gaps(
        FFVL, needs(BEACON, "ffvl:513", complete_until=complete_until), latest, OLDEST, {"ffvl:513"}
    )

    assert after == Gaps({BEACON: at(13, 4)}, ())


@pytest.mark.parametrize(
    ("newest", "vouched"),
    [
        (at(13, 4), at(13, 4)),
        (at(13, 9), at(13, 9)),  # one more came since the bulk answer
        (at(12, 54), at(13, 4)),  # the bulk's own is not in the history yet
        (at(12, 48), at(12, 48)),  # more than one reading may lie between: ask again
        (at(9, 0), at(10, 0)),  # nothing but what we had
    ],
)
def test_a_history_that_answered_is_vouched_for_as_far_as_it_leaves_no_hole(
    newest: datetime, vouched: datetime
) -> None:
    assert closed(FFVL, Gap(BEACON, at(10, 0), at(13, 4)), history(newest), payload(b"")) == {BEACON: vouched}


@pytest.mark.parametrize(("newest", "vouched"), [(at(12, 0), at(12, 0)), (at(9, 0), at(10, 0))])
def test_a_station_that_the_bulk_answer_leaves_out_is_vouched_for_by_its_history_alone(
    newest: datetime, vouched: datetime
) -> None:
    assert closed(FFVL, Gap(BEACON, at(10, 0), None), history(newest), payload(b"")) == {BEACON: vouched}


@pytest.mark.parametrize(("until", "vouched"), [(at(12, 9), at(12, 9)), (None, at(10, 0))])
def test_the_empty_history_of_a_beacon_silent_for_an_hour_says_that_there_is_nothing_more(
    until: datetime | None, vouched: datetime
) -> None:
    assert closed(FFVL, Gap(BEACON, at(10, 0), until), history(None), payload(b"")) == {BEACON: vouched}


def test_the_empty_history_of_a_beacon_that_spoke_within_the_hour_is_refused() -> None:
    with pytest.raises(ParseError, match="an empty history, though ffvl:511 spoke at 12:10 UTC"):
        closed(FFVL, Gap(BEACON, at(10, 0), at(12, 10)), history(None), payload(b""))


@pytest.mark.parametrize("until", [at(13, 4), None])
def test_a_history_of_which_no_time_can_be_used_vouches_for_nothing(until: datetime | None) -> None:
    assert closed(FFVL, Gap(BEACON, at(10, 0), until), history(None, UNTIMELY), payload(b"")) == {}


def test_a_history_with_rows_from_the_future_vouches_for_nothing() -> None:
    ahead = Rejected(BEACON, None, at(14, 0), "14:00", "future: more than 10 min ahead of the fetch")
    assert closed(FFVL, Gap(BEACON, at(10, 0), at(13, 4)), history(at(13, 4), ahead), payload(b"")) == {}
