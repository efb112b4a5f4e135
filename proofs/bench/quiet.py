"""Measuring on a machine with other work: wait for quiet, and repeat disturbed measures."""

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
    """Keeps measures apart from other processes: these may use at most `cores` during a measure.

    It waits up to `patience` seconds for quiet, and measures up to six times. `disturbed` counts discarded
    measures, `kept_disturbed` those used all the same. With a patience of 0 it neither waits nor repeats.
    """

    patience: float = 0.0
    cores: float = 0.2
    disturbed: int = 0
    kept_disturbed: int = 0

    async def measure(self, measure: Callable[[], Awaitable[T]]) -> T:
        """Return the result of an undisturbed measure, or of the last attempt."""
        for last in [False] * (MOST_TRIES - 1) + [True]:
            await self._until_others_rest()
            before, began = _used_by_others(), time.monotonic()
            result = await measure()
            if not self.patience or _cores(before, began) <= self.cores:
                break
            if last:
                self.kept_disturbed += 1
            else:
                self.disturbed += 1
        return result

    async def _until_others_rest(self) -> None:
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            before, began = _used_by_others(), time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            if _cores(before, began) <= self.cores:
                return


def _cores(before: dict[int, float], began: float) -> float:
    """Return how many cores others used since `began`, without processes that started and ended since."""
    now = _used_by_others()
    return sum(used - before.get(pid, 0.0) for pid, used in now.items()) / (time.monotonic() - began)


def _used_by_others() -> dict[int, float]:
    """Return the CPU seconds of each process that is not ours, those of its ended children included.

    A database server counts as ours, because the client that it works for is unknown.
    """
    ourselves = psutil.Process()
    ours = {ourselves.pid, *(child.pid for child in ourselves.children(recursive=True))}
    return {
        process.pid: sum(process.info["cpu_times"][:4])
        for process in psutil.process_iter(["cpu_times", "name"])
        if process.pid not in ours and process.info["name"] != "postgres" and process.info["cpu_times"]
    }
