"""A machine that others use too: wait until they rest, and measure again what they disturbed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import psutil

T = TypeVar("T")

LOOK_SECONDS = 2.0
MOST_TRIES = 6


@dataclass
class Quiet:
    """Sees to it that others use no more than `cores` while something is measured.

    It waits up to `patience` seconds for that, and measures again up to six times; `disturbed` counts what
    was thrown away, `kept_disturbed` what was kept all the same. Without patience it does neither.
    """

    patience: float = 0.0
    cores: float = 0.2
    disturbed: int = 0
    kept_disturbed: int = 0

    async def measure(self, measure: Callable[[], Awaitable[T]]) -> T:
        """Return what was measured undisturbed."""
        for last in [False] * (MOST_TRIES - 1) + [True]:
            await self._until_others_rest()
            before, began = _used_by_others(), time.monotonic()
            found = await measure()
            if not self.patience or _cores(before, began) <= self.cores:
                break
            if last:
                self.kept_disturbed += 1
            else:
                self.disturbed += 1
        return found

    async def _until_others_rest(self) -> None:
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            before, began = _used_by_others(), time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            if _cores(before, began) <= self.cores:
                return


def _cores(before: dict[int, float], began: float) -> float:
    """Return how many cores others used since `began`; who came and went meanwhile is in no list."""
    now = _used_by_others()
    return sum(used - before.get(pid, 0.0) for pid, used in now.items()) / (time.monotonic() - began)


def _used_by_others() -> dict[int, float]:
    """Return the seconds that each process which is not ours has used so far, its ended children's included.

    A database server belongs to whoever asks it, which cannot be told: it counts as ours.
    """
    ourselves = psutil.Process()
    ours = {ourselves.pid, *(child.pid for child in ourselves.children(recursive=True))}
    return {
        process.pid: sum(process.info["cpu_times"][:4])
        for process in psutil.process_iter(["cpu_times", "name"])
        if process.pid not in ours and process.info["name"] != "postgres" and process.info["cpu_times"]
    }
