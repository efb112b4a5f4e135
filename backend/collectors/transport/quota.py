"""What a host lets one user ask for, and what we have asked so far: refused before it is exceeded.

Every request that counts is noted before it is sent, in a file per day (UTC) that all processes on the
machine share and that outlives them: a service, a collection by hand and a backfill spend the same quota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from aiolimiter import AsyncLimiter

from backend.core.clock import Clock
from backend.core.config import Allowance
from backend.core.private_files import make_private_folder

_HOUR, _DAY, _MONTH = timedelta(hours=1), timedelta(days=1), timedelta(days=31)


class QuotaSpentError(Exception):
    """Another request would be more than the host allows; nothing was sent."""


class Quota:
    """The calls to one host, which may count for more or less than one; `folder` keeps the count.

    A minute's allowance is waited for, by each process for itself: half of it at once, and the other half
    evenly, so that no minute has more. The other periods are the last hour, 24 hours and 31 days.
    """

    def __init__(self, host: str, allowance: Allowance, folder: Path, clock: Clock) -> None:
        self._host = host
        self._folder = folder
        self._clock = clock
        self._at_once = allowance.minute / 2
        self._limits = (
            (_HOUR, allowance.hour, "an hour"),
            (_DAY, allowance.day, "a day"),
            (_MONTH, allowance.month, "a month"),
        )
        self._pace = AsyncLimiter(self._at_once, 60)
        self._turn = asyncio.Lock()

    async def spend(self, calls: int) -> None:
        """Note a request that counts as so many calls, waiting for the minute's turn.

        Raises QuotaSpentError.
        """
        if not calls:
            return
        if calls > self._at_once:
            raise QuotaSpentError(
                f"quota: one request of {calls} calls, and of what {self._host} allows a minute we ask"
                f" {self._at_once:g} at once"
            )
        async with self._turn:
            await asyncio.to_thread(self._note, calls)
        await self._pace.acquire(calls)

    def _note(self, calls: int) -> None:
        now = self._clock()
        try:
            noted = list(self._noted(now))
            for period, limit, called in self._limits:
                spent = sum(cost for time, cost in noted if time > now - period)
                if spent + calls >= limit:
                    raise QuotaSpentError(
                        f"quota: {spent} of the {limit} calls that {self._host} allows {called} are spent,"
                        f" and this request would count as {calls}"
                    )
            self._forget(now)
            with self._file(now.date()).open("a") as file:
                file.write(f"\n{now.timestamp():.0f} {calls}\n")  # what came before may be half a line
        except OSError as error:
            # Without the path: everybody may read why a request failed. The log has the whole error.
            reason = error.strerror or type(error).__name__
            raise QuotaSpentError(f"quota: what cannot be counted is not asked: {reason}") from error

    def _noted(self, now: datetime) -> Iterator[tuple[datetime, int]]:
        """Yield what was spent in the last month; half a line, of a process that died, is skipped."""
        for ago in range(_MONTH.days + 1):
            file = self._file(now.date() - timedelta(days=ago))
            for line in file.read_text(errors="replace").splitlines() if file.exists() else ():
                with suppress(ValueError, OverflowError):
                    seconds, calls = line.split()
                    yield datetime.fromtimestamp(int(seconds), now.tzinfo), int(calls)

    def _forget(self, now: datetime) -> None:
        make_private_folder(self._folder)
        self._file(now.date() - _MONTH - 2 * _DAY).unlink(missing_ok=True)

    def _file(self, day: date) -> Path:
        return self._folder / f"{self._host.replace(':', '-')}_{day:%Y-%m-%d}.txt"
