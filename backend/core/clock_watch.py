"""Check of this machine's clock against the `Date` headers of the hosts that collection contacts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from backend.core.clock import Clock

CLOCK_LIMIT = timedelta(minutes=5)
"""Largest tolerated offset. At twice this offset, current readings are rejected as future ones."""

_ALIKE = timedelta(minutes=1)  # tolerance between hosts: headers have whole seconds, responses a delay
_VALID_FOR = timedelta(days=1)  # age at which an estimate expires
_MOST_HOSTS = 64


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The offset of this machine's clock: hosts' time minus ours in seconds (positive: our clock is slow).

    `agreeing` of the `hosts` with a recent response have this offset.
    """

    seconds: float
    agreeing: int
    hosts: int

    def in_words(self) -> str:
        """Return the offset as a sentence: "The clock of this machine is 61 min slow: ..."."""
        minutes = abs(self.seconds) / 60
        far = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
        way = "slow" if self.seconds > 0 else "fast"
        witnesses = f"{self.agreeing} of {self.hosts} hosts"
        return f"The clock of this machine is {far} {way}, by the answers of {witnesses}."


@dataclass(frozen=True, slots=True)
class _Estimate:
    offset: float  # the host's time minus ours, in seconds
    step: float  # our clock minus the monotonic one: changes when our clock is set
    at: float  # monotonic


class ClockWatch:
    """The last estimate per host. A single wrong host has no effect: a majority, at least two, must agree."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._estimates: dict[str, _Estimate] = {}

    def note(self, host: str, stated: datetime) -> None:
        """Record the time (UTC) in the header of a response that arrives now."""
        now, monotonic = self._clock().timestamp(), self._monotonic()
        self._estimates.pop(host, None)
        self._estimates[host] = _Estimate(stated.timestamp() - now, now - monotonic, monotonic)
        if len(self._estimates) > _MOST_HOSTS:
            del self._estimates[next(iter(self._estimates))]

    def seconds_of(self, host: str) -> float | None:
        """Return the host's time minus ours in seconds at its last response; None if it stated no time."""
        estimate = self._estimates.get(host)
        return None if estimate is None else estimate.offset

    def knows(self) -> bool:
        """Return whether enough hosts answered lately to decide whether our clock is off."""
        return len(self._recent()) >= 2

    def offset(self) -> ClockOffset | None:
        """Return the offset of our clock; None if it is small, or if too few hosts agree.

        Estimates from before a change of our clock, and those older than a day, do not count.
        """
        offsets = self._recent()
        if not offsets:
            return None
        middle = median(offsets)
        agreeing = sum(abs(offset - middle) <= _ALIKE.total_seconds() for offset in offsets)
        if abs(middle) <= CLOCK_LIMIT.total_seconds() or agreeing < 2 or 2 * agreeing <= len(offsets):
            return None
        return ClockOffset(middle, agreeing, len(offsets))

    def _recent(self) -> list[float]:
        now, monotonic = self._clock().timestamp(), self._monotonic()
        return [
            estimate.offset
            for estimate in list(self._estimates.values())
            if abs(now - monotonic - estimate.step) < _ALIKE.total_seconds()
            and monotonic - estimate.at < _VALID_FOR.total_seconds()
        ]
