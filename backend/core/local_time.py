"""The local day of pilots and scores: Europe/Paris, from the IANA database.

A day has a number, counted from 1 January 1970. Its hours are counted from local midnight, so that a day with
a change of the clocks has 23 or 25 of them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from backend.core.clock import PARIS

HOUR = 3600
"""Length of an hour, in seconds."""

HOURS_A_DAY = 25
"""Largest number of hours in a local day: 25, once a year in October."""

_FIRST = date(1970, 1, 1)


def local_day(moment: datetime) -> int:
    """Return the number of the local day of an aware moment."""
    return day_number(moment.astimezone(PARIS).date())


def day_number(day: date) -> int:
    """Return the number of a calendar day."""
    return (day - _FIRST).days


def date_of(day: int) -> date:
    """Return the calendar day with this number."""
    return _FIRST + timedelta(days=day)


@lru_cache(maxsize=8192)
def local_moment(day: int, hour: int = 0) -> int:
    """Return the moment at which the wall clock shows `hour` (0 to 23) on a local day, in epoch seconds."""
    # By the wall clock: 12:00 is not always twelve hours after midnight.
    wall = datetime.combine(date_of(day), time(hour), PARIS)
    return int(wall.timestamp())


@lru_cache(maxsize=8192)
def day_of_epoch(seconds: int) -> int:
    """Return the number of the local day of a moment, in seconds since 1970."""
    return local_day(datetime.fromtimestamp(seconds, UTC))


def month_number(day: int) -> int:
    """Return the calendar month of a local day as a number that increases by one per month."""
    day_date = date_of(day)
    return day_date.year * 12 + day_date.month - 1


def month_days(month: int) -> range:
    """Return the local days of a month."""
    year, index = divmod(month, 12)
    next_year, next_index = divmod(month + 1, 12)
    return range(day_number(date(year, index + 1, 1)), day_number(date(next_year, next_index + 1, 1)))
