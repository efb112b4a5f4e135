"""Is our clock right? Compared with the `Date` headers of the hosts that are asked anyway."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from backend.core.clock import Clock

CLOCK_LIMIT = timedelta(minutes=5)
"""How far off our clock may be. From twice as far on, current readings are refused as future ones."""

_ALIKE = timedelta(minutes=1)  # hosts agree within this: a header has whole seconds, an answer its delay
_KEPT = timedelta(days=1)  # how long an estimate counts
_MOST_HOSTS = 64


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Our clock is off: `seconds` is hosts' time minus ours (positive: our clock is slow).

    `agreeing` of the `hosts` that were heard lately say the same.
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
    step: float  # our clock minus the monotonic one: another number once our clock was set
    at: float  # monotonic


class ClockWatch:
    """The last estimate of each host. One odd host does not matter: most of them, two at least, agree."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._estimates: dict[str, _Estimate] = {}

    def note(self, host: str, stated: datetime) -> None:
        """Take in the time (UTC) that a host stated in an answer that begins just now."""
        now, monotonic = self._clock().timestamp(), self._monotonic()
        self._estimates.pop(host, None)
        self._estimates[host] = _Estimate(stated.timestamp() - now, now - monotonic, monotonic)
        if len(self._estimates) > _MOST_HOSTS:
            del self._estimates[next(iter(self._estimates))]

    def offset(self) -> ClockOffset | None:
        """Return by how much our clock is off; None while it is right, or too few hosts agree to know.

        Estimates from before our clock was set, and those older than a day, count no more.
        """
        now, monotonic = self._clock().timestamp(), self._monotonic()
        offsets = [
            estimate.offset
            for estimate in list(self._estimates.values())
            if abs(now - monotonic - estimate.step) < _ALIKE.total_seconds()
            and monotonic - estimate.at < _KEPT.total_seconds()
        ]
        if not offsets:
            return None
        middle = median(offsets)
        agreeing = sum(abs(offset - middle) <= _ALIKE.total_seconds() for offset in offsets)
        if abs(middle) <= CLOCK_LIMIT.total_seconds() or agreeing < 2 or 2 * agreeing <= len(offsets):
            return None
        return ClockOffset(middle, agreeing, len(offsets))
