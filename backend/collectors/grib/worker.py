"""A worker process for GRIB decoding, separate from the service in memory, libraries and CPU time.

Three reasons: ecCodes loads an SQLite of its own, which must not replace the database's; damaged bytes may
crash it; and a decode takes seconds, which would delay answers of the API that take milliseconds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import ParamSpec, TypeVar, cast

import psutil

from backend.core.errors import MeteoScoreError

NICENESS = 10
_LARGEST_KEPT_BLOCK = 31 << 20
_SIGNALS = {signal.SIGINT, signal.SIGTERM}

P = ParamSpec("P")
T = TypeVar("T")


class WorkerLostError(MeteoScoreError):
    """The worker process died or was ended during a call; the next call starts a new one."""


class Worker:
    """One spawned process of low priority, started by the first call and replaced after a crash.

    Calls run one at a time, so that a crash fails only the call that caused it. After `seconds_per_call` a
    call is ended together with the process. The process ends with its parent, even if the parent is killed.
    A worker belongs to one event loop. `niceness` is what the process adds to that of its parent.
    """

    def __init__(self, *, seconds_per_call: float = 300.0, niceness: int = NICENESS) -> None:
        self.seconds_per_call = seconds_per_call
        self._niceness = niceness
        self._turn = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._process: psutil.Process | None = None

    @property
    def pid(self) -> int | None:
        """Return the id of the process, or None if none runs."""
        return self._process.pid if self._process else None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in the worker; return its result or raise its exception.

        Function, arguments and result are pickled. Raises WorkerLostError if the process died during the
        call or took too long.
        """
        async with self._turn:
            if self._pool:
                gone = True
                with suppress(psutil.NoSuchProcess):  # it may end between the two checks
                    process = self._process
                    gone = not (process and process.is_running()) or process.status() == psutil.STATUS_ZOMBIE
                if gone:
                    self._discard()  # it died between two calls, so that no call fails
            if not self._pool:
                self._pool = ProcessPoolExecutor(
                    max_workers=1,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_initialize,
                    initargs=(self._niceness,),
                )
                pid = await self._call(self._pool, os.getpid)
                with suppress(psutil.NoSuchProcess):
                    self._process = psutil.Process(pid)
            return await self._call(self._pool, function, *args, **kwargs)

    def close(self) -> None:
        """End the process after its current call. A later call would start a new one."""
        pool, self._pool, self._process = self._pool, None, None
        if pool:
            pool.shutdown(wait=True, cancel_futures=True)

    async def _call(
        self, pool: ProcessPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        seconds = self.seconds_per_call
        try:
            # The first call spawns the process, which inherits the mask until it ignores the signals.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                future = pool.submit(function, *args, **kwargs)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            async with asyncio.timeout(seconds) as bound:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not bound.expired():
                raise  # a TimeoutError of the function itself
            self._discard()
            raise WorkerLostError(
                f"the worker process was ended: a call took more than {seconds:g} s"
            ) from None
        except BrokenProcessPool as error:
            self._discard()
            raise WorkerLostError("the worker process died during a call") from error
        except asyncio.CancelledError:
            self._discard()  # the result is not needed, and the next call must not wait for it
            raise

    def _discard(self) -> None:
        pool, process, self._pool, self._process = self._pool, self._process, None, None
        if process:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)


def _initialize(niceness: int) -> None:
    """Prepare the worker process: lower priority, ignores SIGINT and SIGTERM, exits with its parent.

    A terminal and a service manager send their signal to the whole process group. The parent finishes its
    calls and then ends the worker; a worker that ended first would break these calls.
    """

    def end_with_parent() -> None:
        """Wait for the end of the parent: SIGKILL of the parent sends no notice."""
        parent = cast(BaseProcess, multiprocessing.parent_process())  # None only in the first process
        wait([parent.sentinel])
        os._exit(1)

    os.nice(niceness)
    # The C library (glibc) returns freed memory to the system, and requests it again page by page, until it
    # has seen a larger block freed; 32 MB is the largest it learns from. A message of AROME takes 15 MB, and
    # a third of the time of decoding went into that.
    bytearray(_LARGEST_KEPT_BLOCK)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=end_with_parent, daemon=True).start()
