"""How tests wait: for a condition, and never by a judgement of wall time.

A test fails by time only where something hangs: `HANG_SECONDS` is far more than a machine with ten other
busy processes needs, and less than the timeout of pytest, which would end the whole worker.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

HANG_SECONDS = 300.0
"""After this wait something hangs. One constant for every wait in the tests."""

_LOOK_EVERY_SECONDS = 0.02


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fail with `what` was waited for if it never does."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {HANG_SECONDS:g} s"
        time.sleep(_LOOK_EVERY_SECONDS)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition, awaited if need be, is true; fail if it never is."""
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            held = condition()
            if (await held) if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(_LOOK_EVERY_SECONDS / 2)


def skip(seconds: float) -> None:
    """Let the timers of the running event loop see that `seconds` more have passed.

    So a test reaches a deadline of an hour as soon as the condition holds that it waited for, on a machine
    of any speed. Only the loop's own clock moves; those of the system and of the database stay.
    """
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
