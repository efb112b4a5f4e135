"""Quotas of hosts: a request that would exceed one is refused before it is sent.

Each request that counts is written to a file per day (UTC) before it is sent. All processes on the machine
share the files, and the files survive them: the service, a collection by hand and a backfill use one quota.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from aiolimiter import AsyncLimiter

from backend.core.clock import Clock
from backend.core.config import Allowance
from backend.core.errors import MeteoScoreError
from backend.core.private_files import make_private_folder

_HOUR, _DAY, _MONTH = timedelta(hours=1), timedelta(days=1), timedelta(days=31)


class QuotaSpentError(MeteoScoreError):
    """The request would exceed the host's quota and was not sent.

    The message begins with "quota:": the command `backfill` ends at a failure with such a reason.
    """


class Quota:
    """The quota of one host in calls; one request may count as several. `folder` holds the files.

    Within a minute's allowance each process waits, for itself: half of the calls may come at once and the
    other half evenly, so that no minute exceeds it. The other periods are the last hour, 24 hours and 31
    days; for these a request is refused.
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
        """Record a request that counts as `calls`, and wait until the minute's allowance covers it.

        Raises QuotaSpentError if the request would exceed a quota, or cannot be recorded.
        """
        if not calls:
            return
        if calls > self._at_once:
            raise QuotaSpentError(
                f"quota: one request of {calls} calls; {self._host} is sent at most {self._at_once:g} calls"
                " at once, half of its limit per minute"
            )
        async with self._turn:
            await asyncio.to_thread(self._record, calls)
        await self._pace.acquire(calls)

    def _record(self, calls: int) -> None:
        now = self._clock()
        try:
            recorded: list[tuple[datetime, int]] = []  # time and calls of each request of the last month
            for ago in range(_MONTH.days + 1):
                file = self._file(now.date() - timedelta(days=ago))
                for line in file.read_text(errors="replace").splitlines() if file.exists() else ():
                    with suppress(ValueError, OverflowError):  # half a line of a killed process
                        seconds, cost = line.split()
                        recorded.append((datetime.fromtimestamp(int(seconds), now.tzinfo), int(cost)))
            for period, limit, called in self._limits:
                spent = sum(cost for time, cost in recorded if time > now - period)
                if spent + calls >= limit:
                    raise QuotaSpentError(
                        f"quota: {spent} of the {limit} calls that {self._host} allows {called} are spent,"
                        f" and this request would count as {calls}"
                    )
            make_private_folder(self._folder)
            # No period reaches back to this file any more.
            self._file(now.date() - _MONTH - 2 * _DAY).unlink(missing_ok=True)
            with self._file(now.date()).open("a") as today:
                today.write(f"\n{now.timestamp():.0f} {calls}\n")  # a killed process may leave half a line
        except OSError as error:
            # Without the path: the reasons of failures are public. The log has the whole error.
            reason = error.strerror or type(error).__name__
            raise QuotaSpentError(f"quota: file not writable, request not sent: {reason}") from error

    def _file(self, day: date) -> Path:
        return self._folder / f"{self._host.replace(':', '-')}_{day:%Y-%m-%d}.txt"
