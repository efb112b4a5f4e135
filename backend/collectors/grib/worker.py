"""One process beside the service, for work that must share neither its memory, its libraries nor its time.

GRIB is decoded there: ecCodes brings an SQLite of its own that must never meet the database's, bad
bytes may crash it, and a decode of seconds must not stand in the way of an answer of milliseconds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
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
    """The worker process died or had to be ended while it was at work; the next call gets a new one."""


class Worker:
    """One spawned, niced process, started by the first call and replaced when it breaks.

    Calls take turns, so that a broken process costs the one call that broke it. A call that takes
    more than `seconds_per_call` is ended with the process. The process ends with its parent, however
    that one dies. A worker belongs to one event loop.
    """

    def __init__(self, *, seconds_per_call: float = 300.0) -> None:
        self.seconds_per_call = seconds_per_call
        self._turn = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._process: psutil.Process | None = None

    @property
    def pid(self) -> int | None:
        """Return the id of the process, or None while there is none."""
        return self._process.pid if self._process else None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns in the worker; whatever it raises is raised here.

        Function, arguments and result travel by pickle. Raises WorkerLostError when the process died at
        work or took too long.
        """
        async with self._turn:
            pool = await self._alive()
            return await self._call(pool, function, *args, **kwargs)

    def close(self) -> None:
        """End the process when it has finished what it is doing. A later call would start another."""
        pool, self._pool, self._process = self._pool, None, None
        if pool:
            pool.shutdown(wait=True, cancel_futures=True)

    async def _alive(self) -> ProcessPoolExecutor:
        if self._pool and _is_gone(self._process):
            self._discard()  # it died between two calls, which costs neither
        if not self._pool:
            self._pool = ProcessPoolExecutor(
                max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
            )
            pid = await self._call(self._pool, os.getpid)
            with suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(pid)
        return self._pool

    async def _call(
        self, pool: ProcessPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        seconds = self.seconds_per_call
        try:
            with _signals_held():  # the first call spawns the process
                future = pool.submit(function, *args, **kwargs)
            async with asyncio.timeout(seconds) as bound:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not bound.expired():
                raise  # the function's own
            self._discard()
            raise WorkerLostError(
                f"the worker process was ended: a call took more than {seconds:g} s"
            ) from None
        except BrokenProcessPool as error:
            self._discard()
            raise WorkerLostError("the worker process died during a call") from error
        except asyncio.CancelledError:
            self._discard()  # nobody waits for the result, and the next call must not wait for it either
            raise

    def _discard(self) -> None:
        pool, process, self._pool, self._process = self._pool, self._process, None, None
        if process:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)


def _is_gone(process: psutil.Process | None) -> bool:
    """Say whether there is no such process, or only its remains that nobody has collected yet."""
    with suppress(psutil.NoSuchProcess):  # it may go while we ask
        return process is None or not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back; a process started meanwhile inherits that until it has its own rule."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Prepare the worker process: behind everyone else, deaf to Ctrl-C, and gone with its parent.

    A terminal and a service manager send their signal to the whole group. The parent drains and then
    ends the worker; a worker that left first would break what is being drained.
    """
    os.nice(NICENESS)
    _keep_freed_memory()
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _keep_freed_memory() -> None:
    """Have what one message frees ready for the next.

    The C library (glibc) returns what is freed to the system, and takes it back page by page, until it has
    seen a larger block freed; 32 MB is the largest it learns from. A message of AROME takes 15 MB, and a
    third of the time of decoding went into that.
    """
    bytearray(_LARGEST_KEPT_BLOCK)


def _end_with_parent() -> None:
    """End this process when its parent is gone: a killed parent cannot say goodbye."""
    parent = cast(BaseProcess, multiprocessing.parent_process())  # None in no process but the first
    wait([parent.sentinel])
    os._exit(1)
