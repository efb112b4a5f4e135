"""The worker process: one beside the service, that breaks alone and never outlives it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from backend.collectors.grib.worker import NICENESS, Worker, WorkerLostError
from backend.core.errors import ParseError
from backend.tests.support.waiting import HANG_SECONDS, wait_for

LONG = 600.0

# Coverage has remarks of its own for the standard error of a process that it measures.
UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def at_work(worker: Worker) -> tuple[asyncio.Task[None], int]:
    """Return a call that will not end by itself, and the process that it keeps."""
    await worker.run(os.getpid)
    task = asyncio.create_task(worker.run(time.sleep, LONG))
    await asyncio.sleep(0)  # it is handed over at once
    assert worker.pid is not None
    return task, worker.pid


class KeywordsOnlyError(Exception):
    """Pickle writes this exception, but cannot read it: it calls the constructor without the keyword."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


def raise_keywords_only() -> None:
    raise KeywordsOnlyError(reason="does not survive pickle")


def raise_parse_error() -> None:
    raise ParseError("not the documented format", source="arome", url="https://example.org")


def take_and_free() -> int:
    """Return how many pages the system had to find for 20 times the memory that a message takes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [b"x" * (6 << 20) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def raise_timeout() -> None:
    raise TimeoutError("my own")


async def test_nothing_is_started_before_the_first_call() -> None:
    worker = Worker()
    assert worker.pid is None
    worker.close()


async def test_calls_run_in_one_other_process_behind_everyone_else(worker: Worker) -> None:
    first, second = await asyncio.gather(worker.run(os.getpid), worker.run(os.getpid))

    assert first == second == worker.pid != os.getpid()
    assert await worker.run(os.nice, 0) == min(19, os.nice(0) + NICENESS)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="each C library has its own ways with memory")
async def test_memory_that_one_message_frees_is_there_for_the_next(worker: Worker) -> None:
    pages = await worker.run(take_and_free)

    once = 4 * (6 << 20) // resource.getpagesize()
    assert pages < 2 * once


async def test_what_a_call_raises_is_raised_here_and_costs_no_process(worker: Worker) -> None:
    before = await worker.run(os.getpid)

    with pytest.raises(ValueError, match="invalid literal"):
        await worker.run(int, "twelve")
    with pytest.raises(TimeoutError, match="my own"):
        await worker.run(raise_timeout)

    assert await worker.run(os.getpid) == before


async def test_a_killed_process_costs_the_call_at_work_and_not_the_one_that_waits(worker: Worker) -> None:
    lost, pid = await at_work(worker)
    waiting = asyncio.create_task(worker.run(os.getpid))

    os.kill(pid, signal.SIGKILL)

    with pytest.raises(WorkerLostError, match="died during a call"):
        await lost
    assert await waiting not in (pid, os.getpid())


async def test_a_call_that_crashes_the_process_costs_itself_only(worker: Worker) -> None:
    with pytest.raises(WorkerLostError):
        await worker.run(ctypes.string_at, 0)

    assert await worker.run(abs, -3) == 3


async def test_a_process_that_died_between_two_calls_costs_neither(worker: Worker) -> None:
    pid = await worker.run(os.getpid)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid), "the end of the process")

    assert await worker.run(os.getpid) != pid


async def test_a_call_that_hangs_is_ended_with_its_process(worker: Worker) -> None:
    pid = await worker.run(os.getpid)
    worker.seconds_per_call = 0.1

    with pytest.raises(WorkerLostError, match=r"more than 0\.1 s"):
        await worker.run(time.sleep, LONG)

    wait_for(lambda: is_gone(pid), "the end of the process")
    worker.seconds_per_call = HANG_SECONDS
    assert await worker.run(abs, -3) == 3


async def test_a_process_that_cannot_start_in_time_is_given_up() -> None:
    worker = Worker(seconds_per_call=0.0)

    with pytest.raises(WorkerLostError, match="more than 0 s"):
        await worker.run(abs, -3)

    worker.seconds_per_call = HANG_SECONDS
    assert await worker.run(abs, -3) == 3
    worker.close()


async def test_a_cancelled_call_ends_its_process_and_leaves_the_next_call_alone(worker: Worker) -> None:
    task, pid = await at_work(worker)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    wait_for(lambda: is_gone(pid), "the end of the process")
    assert await worker.run(abs, -3) == 3


async def test_an_error_that_cannot_travel_costs_its_call_only(worker: Worker) -> None:
    pid = await worker.run(os.getpid)

    with pytest.raises(WorkerLostError):
        await worker.run(raise_keywords_only)

    wait_for(lambda: is_gone(pid), "the end of the process")
    assert await worker.run(abs, -3) == 3


async def test_an_exception_of_ours_arrives_with_its_attributes(worker: Worker) -> None:
    with pytest.raises(ParseError) as raised:
        await worker.run(raise_parse_error)

    assert (raised.value.source, raised.value.url) == ("arome", "https://example.org")
    assert str(raised.value) == "arome https://example.org: not the documented format"


async def test_closing_ends_the_process_and_may_be_repeated(worker: Worker) -> None:
    pid = await worker.run(os.getpid)

    worker.close()
    worker.close()

    assert is_gone(pid)
    assert worker.pid is None


SERVICE = """
import asyncio, os, signal, sys, time
from backend.collectors.grib.worker import Worker

async def main():
    worker, stop = Worker(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(await worker.run(os.getpid), flush=True)
    busy = asyncio.create_task(worker.run(time.sleep, float(sys.argv[1])))
    await stop.wait()
    await busy
    print("drained", flush=True)
    worker.close()

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def service(tmp_path: Path) -> Callable[[float], subprocess.Popen[str]]:
    """Start a process of its own group with a worker at work for some seconds."""
    script = tmp_path / "service.py"
    script.write_text(SERVICE)

    def start(seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(script), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=UNMEASURED,
        )

    return start


def test_the_process_ends_when_its_parent_is_killed(
    service: Callable[[float], subprocess.Popen[str]],
) -> None:
    with service(LONG) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)

        os.kill(parent.pid, signal.SIGKILL)

        wait_for(lambda: is_gone(pid), "the end of the process")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_leaves_the_worker_at_work_and_silent(
    service: Callable[[float], subprocess.Popen[str]], number: signal.Signals
) -> None:
    with service(0.5) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())

        os.killpg(parent.pid, number)
        out, err = parent.communicate(timeout=HANG_SECONDS)

        assert (out, err, parent.returncode) == ("drained\n", "", 0)
        wait_for(lambda: is_gone(pid), "the end of the process")
