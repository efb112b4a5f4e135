"""Gaps of a mapped beacon, and the time up to which it is complete."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from backend.collectors.beacons.gaps import Gap, Gaps, complete_after, find_gaps
from backend.collectors.beacons.readings import Readings
from backend.collectors.ffvl_routes.network import FFVL
from backend.core.errors import ParseError
from backend.core.records import Rejected
from backend.tests.support.ffvl_samples import NOW, SINCE, at, needs, payload

BEACON = "ffvl:511"
OLDEST = NOW - timedelta(hours=72)
WITHOUT_TIME = Rejected(BEACON, None, None, "", "invalid_time")


def gaps(until: datetime | None, complete: datetime | None = None, since: datetime = SINCE) -> Gaps:
    """Compare one mapped station's newest reading with its `complete_until`."""
    want = needs(BEACON, since=since, complete_until={BEACON: complete} if complete else {})
    return find_gaps(FFVL, want, {BEACON: until} if until else {}, OLDEST)


def history(newest: datetime | None, *rejected: Rejected) -> Readings:
    return Readings((), rejected, {BEACON: newest} if newest else {}, newest)


@pytest.mark.parametrize(
    ("until", "complete", "expected"),
    [
        (at(13, 4), at(12, 49), Gaps({BEACON: at(13, 4)}, ())),  # 15 minutes: the next one, or nearly
        (at(13, 4), at(12, 48), Gaps({}, (Gap(BEACON, at(12, 48), at(13, 4)),))),
        (at(13, 4), at(13, 4), Gaps({}, ())),  # no reading since then
        (at(12, 54), at(13, 4), Gaps({}, ())),  # the bulk answer is older than the stored readings
        (at(13, 4), None, Gaps({}, (Gap(BEACON, SINCE, at(13, 4)),))),
        (at(13, 4), at(8, 0, 1), Gaps({}, (Gap(BEACON, SINCE, at(13, 4)),))),  # before `since`
        (at(8, 0, 1), None, Gaps({BEACON: at(8, 0, 1)}, ())),  # last reading before `since`
        (None, None, Gaps({}, (Gap(BEACON, SINCE, None),))),
        (None, at(9, 0, 1), Gaps({}, ())),
    ],
)
def test_a_gap_lies_between_complete_until_and_the_newest_reading(
    until: datetime | None, complete: datetime | None, expected: Gaps
) -> None:
    assert gaps(until, complete) == expected


def test_a_gap_starts_no_earlier_than_the_histories_of_the_source() -> None:
    month = NOW - timedelta(days=30)

    assert gaps(at(13, 4), since=month).open == (Gap(BEACON, OLDEST, at(13, 4)),)
    assert gaps(OLDEST - timedelta(hours=1), since=month) == Gaps({BEACON: OLDEST - timedelta(hours=1)}, ())


def test_only_mapped_stations_that_are_not_skipped_are_compared() -> None:
    latest = dict.fromkeys((BEACON, "ffvl:512", "ffvl:513"), at(13, 4))
    complete_until = dict.fromkeys(latest, at(12, 54))

    after = find_gaps(
        FFVL, needs(BEACON, "ffvl:513", complete_until=complete_until), latest, OLDEST, {"ffvl:513"}
    )

    assert after == Gaps({BEACON: at(13, 4)}, ())


@pytest.mark.parametrize(
    ("newest", "complete"),
    [
        (at(13, 4), at(13, 4)),
        (at(13, 9), at(13, 9)),  # one more reading since the bulk answer
        (at(12, 54), at(13, 4)),  # the reading of the bulk answer is not in the history yet
        (at(12, 48), at(12, 48)),  # more than one reading may be missing between them
        (at(9, 0), at(10, 0)),  # only stored readings
    ],
)
def test_a_history_completes_a_station_as_far_as_it_leaves_no_gap(
    newest: datetime, complete: datetime
) -> None:
    assert complete_after(FFVL, Gap(BEACON, at(10, 0), at(13, 4)), history(newest), payload(b"")) == {
        BEACON: complete
    }


@pytest.mark.parametrize(("newest", "complete"), [(at(12, 0), at(12, 0)), (at(9, 0), at(10, 0))])
def test_a_station_without_a_bulk_reading_is_completed_by_its_history_alone(
    newest: datetime, complete: datetime
) -> None:
    assert complete_after(FFVL, Gap(BEACON, at(10, 0), None), history(newest), payload(b"")) == {
        BEACON: complete
    }


@pytest.mark.parametrize(("until", "complete"), [(at(12, 9), at(12, 9)), (None, at(10, 0))])
def test_an_empty_history_is_accepted_if_the_last_reading_is_an_hour_old(
    until: datetime | None, complete: datetime
) -> None:
    assert complete_after(FFVL, Gap(BEACON, at(10, 0), until), history(None), payload(b"")) == {
        BEACON: complete
    }


def test_an_empty_history_is_refused_if_the_last_reading_is_younger_than_an_hour() -> None:
    with pytest.raises(ParseError, match="an empty history, but ffvl:511 has a reading of 12:10 UTC"):
        complete_after(FFVL, Gap(BEACON, at(10, 0), at(12, 10)), history(None), payload(b""))


@pytest.mark.parametrize("until", [at(13, 4), None])
def test_a_history_without_a_usable_time_completes_nothing(until: datetime | None) -> None:
    assert (
        complete_after(FFVL, Gap(BEACON, at(10, 0), until), history(None, WITHOUT_TIME), payload(b"")) == {}
    )


def test_a_history_with_rows_from_the_future_completes_nothing() -> None:
    ahead = Rejected(BEACON, None, at(14, 0), "14:00", "future: more than 10 min ahead of the fetch")
    assert (
        complete_after(FFVL, Gap(BEACON, at(10, 0), at(13, 4)), history(at(13, 4), ahead), payload(b"")) == {}
    )
