"""Time: aware and in UTC, everywhere. Local Paris stamps are converted here, at the edge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
"""The zone of the sites' local days, and of the local stamps that French publishers write."""

Clock = Callable[[], datetime]
"""Something that says what time it is, aware and in UTC: the system, or a demo that steps."""


DAY_SECONDS = 86_400
"""Length of a day of UTC, in seconds."""

CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far ahead of the clock a stored or published time may lie; later ones come from another clock.

A service that once ran under a wrong clock (2031, say) leaves such times behind. They are not compared with
the present: otherwise nothing newer would count until that year.
"""


def utc_now() -> datetime:
    """Return the system's time in UTC."""
    return datetime.now(UTC)


def require_utc(moment: datetime) -> datetime:
    """Return `moment` unchanged if it is aware and in UTC; raise ValueError otherwise."""
    # A collection makes a hundred thousand records: the one UTC that all of them have is told at a glance.
    if moment.tzinfo is not UTC and moment.utcoffset() != timedelta(0):
        raise ValueError(f"{moment.isoformat()} is not an aware time in UTC")
    return moment


def paris_to_utc(local: datetime, now: datetime) -> datetime | None:
    """Convert a naive Europe/Paris wall-clock time to UTC; None where that time did not exist.

    In the hour that October has twice, the choice is the instant that is not in the future of `now`
    (aware, UTC) and nearest to it. In the hour that March skips there is nothing to choose from. The
    first minutes of the year 1, which some programs write for "no time", have no UTC that Python can tell.
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
    """Say whether a naive Europe/Paris wall-clock time exists twice: in October's doubled hour."""
    try:
        first, second = (local.replace(tzinfo=PARIS, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        return False
    return first < second
