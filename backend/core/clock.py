"""Time: aware and in UTC everywhere. Local times of French publishers are converted here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
"""The zone of the sites' local days, and of the local time stamps of French publishers."""

Clock = Callable[[], datetime]
"""Returns the present time, aware and in UTC: that of the system, or of a demo with its own clock."""


DAY_SECONDS = 86_400
"""Length of a day of UTC, in seconds."""

CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far ahead of the clock a stored or published time may be; later times are from another clock.

A service that ran under a wrong clock (for example 2031) leaves such times in the store. They are not
compared with the present: otherwise nothing newer would count until that year.
"""


def utc_now() -> datetime:
    """Return the system's time in UTC."""
    return datetime.now(UTC)


def require_utc(moment: datetime) -> datetime:
    """Return `moment` unchanged if it is aware and in UTC; raise ValueError otherwise."""
    # Fast path: a collection makes a hundred thousand records, and nearly all have this very `UTC` object.
    if moment.tzinfo is not UTC and moment.utcoffset() != timedelta(0):
        raise ValueError(f"{moment.isoformat()} is not an aware time in UTC")
    return moment


def paris_to_utc(local: datetime, now: datetime) -> datetime | None:
    """Convert a naive Europe/Paris wall-clock time to UTC; None if that time did not exist.

    In October's doubled hour the result is the instant that is not later than `now` (aware, UTC) and nearest
    to it. March's skipped hour gives None. So do the first minutes of the year 1, which some programs write
    for "no time": Python cannot represent their UTC.
    """
    try:
        candidates = {local.replace(tzinfo=PARIS, fold=fold).astimezone(UTC) for fold in (0, 1)}
    except OverflowError:
        return None
    instants = {moment for moment in candidates if moment.astimezone(PARIS).replace(tzinfo=None) == local}
    if not instants:
        return None
    past = [instant for instant in instants if instant <= now]
    return max(past) if past else min(instants)


def is_doubled(local: datetime) -> bool:
    """Return True if a naive Europe/Paris wall-clock time is in October's doubled hour."""
    try:
        first, second = (local.replace(tzinfo=PARIS, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        return False
    return first < second
