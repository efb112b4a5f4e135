"""Work that may block for long, in a thread that does not delay the end of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from backend.core.errors import MeteoScoreError

T = TypeVar("T")


async def in_daemon_thread(name: str, work: Callable[[], T]) -> T:
    """Return the result of `work`, which runs in a daemon thread outside the pool of answers and runs.

    Raises what `work` raises, if it is an error of ours. Any other error is in the log, and is a
    MeteoScoreError here. A cancelled caller leaves the thread to its end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(results: list[T], error: MeteoScoreError | None) -> None:
        if done.cancelled():
            return
        if results:
            done.set_result(results[0])
        else:
            done.set_exception(error or MeteoScoreError(f"{name} failed: the log has the traceback"))

    def run() -> None:
        results: list[T] = []
        failed: MeteoScoreError | None = None
        try:
            results.append(work())
        except MeteoScoreError as error:
            failed = error
        finally:
            with suppress(RuntimeError):  # the service has stopped, and its event loop is closed
                loop.call_soon_threadsafe(settle, results, failed)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
