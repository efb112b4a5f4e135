"""Times of readings in UTC: Paris wall-clock stamps, epoch seconds and ISO 8601; unusable ones are rejected.

The times of the FFVL are cut to the minute. Its feed and winds.mobi state seconds and its page does not, and
a reading must be the same observation on all three routes. A network whose routes all state seconds keeps
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from backend.core.clock import CLOCK_TOLERANCE, is_doubled, paris_to_utc
from backend.core.records import Rejected

_FIRST_YEAR = 2000
"""An earlier time is an error of the sender: no network is older."""


def paris_time(
    station: str, text: str, pattern: str, fetched_at: datetime, newer: datetime | None = None
) -> datetime | Rejected:
    """Read a naive Europe/Paris stamp in the format `pattern`; return it in UTC, or a Rejected.

    In October's doubled hour the result is the pass nearest to the fetch. In a history that goes back in time
    it is the pass nearest to the previous row, `newer`, so that both passes of the hour are read correctly.
    """
    return from_paris(station, text, local_stamp(text, pattern), fetched_at, newer)


def from_paris(
    station: str, text: str, local: datetime | None, fetched_at: datetime, newer: datetime | None = None
) -> datetime | Rejected:
    """Return a naive Europe/Paris time in UTC, or a Rejected.

    `text` is the stamp as received; `local` is None where it is not a date. For `newer` see `paris_time`.
    """
    if local is None or local.year < _FIRST_YEAR:
        return _rejected_time(station, text, "invalid_time")
    time = paris_to_utc(_to_the_minute(local), newer or fetched_at)
    if time is None:
        return _rejected_time(station, text, "missing_hour: skipped by the change to summer time")
    return _require_past(station, time, text, fetched_at)


def newest_first(stamps: Sequence[datetime | None]) -> bool | None:
    """True if the rows of a history go back in time, by their naive Paris stamps; None if undecidable.

    Only the doubled hour may interrupt an order, and only once: between the end of its first pass and the
    start of its second. A history of one row, or of equal stamps, fits both orders: the result is True. Two
    different stamps that may each be of either pass also fit both: the result is None.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    steps = [(before, after) for before, after in pairwise(known) if before != after]
    up = [step for step in steps if step[0] < step[1]]
    down = [step for step in steps if step[0] > step[1]]
    backward, forward = _interrupted_once(up), _interrupted_once(down)
    if backward and forward and len(up) != len(down):
        return len(up) < len(down)
    if backward and forward:
        return None if steps else True
    return True if backward else False if forward else None


def _interrupted_once(steps: Sequence[tuple[datetime, datetime]]) -> bool:
    return not steps or (len(steps) == 1 and all(map(is_doubled, steps[0])))


def one_pass_of_two(stamps: Sequence[datetime | None], fetched_at: datetime) -> bool:
    """True if stamps, newest first, have only one pass of the doubled hour, and either pass is possible.

    It is decided if the history starts in that hour (second pass), or if it ends there at the time of the
    fetch (the pass of the fetch).
    """
    known = [stamp for stamp in stamps if stamp is not None]
    inside = [index for index, stamp in enumerate(known) if is_doubled(stamp)]
    if not inside:
        return False
    first, last = inside[0], inside[-1]
    if any(known[index] < known[index + 1] for index in range(first, last)):
        return False  # both passes are present
    # Before the doubled hour there are newer rows: the pass is open only if rows are older than it too.
    if first > 0:
        return last < len(known) - 1
    newest = paris_to_utc(known[0], fetched_at)
    return newest is not None and fetched_at - newest > timedelta(hours=1)


def local_stamp(text: str, pattern: str) -> datetime | None:
    """Read a naive Europe/Paris stamp, to the minute; None if it does not match."""
    try:
        local = datetime.strptime(text.strip(), pattern)  # noqa: DTZ007 - naive on purpose: Paris wall clock
    except ValueError:
        return None
    return _to_the_minute(local)


def epoch_time(station: str, seconds: int, fetched_at: datetime) -> datetime | Rejected:
    """Read seconds since 1970; return the time in UTC, to the minute, or a Rejected."""
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return _rejected_time(station, str(seconds), "invalid_time")
    if time.year < _FIRST_YEAR:
        return _rejected_time(station, str(seconds), "invalid_time")
    return _require_past(station, _to_the_minute(time), str(seconds), fetched_at)


def iso_time(station: str, text: str, fetched_at: datetime) -> datetime | Rejected:
    """Read a stamp in ISO 8601 with its zone; return it in UTC, to the second, or a Rejected."""
    try:
        stated = datetime.fromisoformat(text)
        time = stated.astimezone(UTC)
    except (ValueError, OverflowError):
        return _rejected_time(station, text, "invalid_time")
    if stated.utcoffset() is None or time.year < _FIRST_YEAR:
        return _rejected_time(station, text, "invalid_time")
    return _require_past(station, time.replace(microsecond=0), text, fetched_at)


def _to_the_minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


def _require_past(station: str, time: datetime, raw: str, fetched_at: datetime) -> datetime | Rejected:
    if time > fetched_at + CLOCK_TOLERANCE:
        return _rejected_time(station, raw, "future: more than 10 min ahead of the fetch", time)
    return time


def _rejected_time(station: str, raw: str, reason: str, time: datetime | None = None) -> Rejected:
    return Rejected(subject=station, parameter=None, time=time, raw=raw, reason=reason)
