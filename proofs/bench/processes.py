"""Fresh processes: each measure has one, so that none inherits another's memory, caches or threads."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

import psutil

PATIENCE_SECONDS = 900.0

P = ParamSpec("P")
T = TypeVar("T")
Span = tuple[float, float]
"""When something began and when it ended."""


class Child:
    """A measuring process: it gets a task as JSON and answers in lines of JSON.

    A line on its standard input lets it go on; the end of the input ends it.
    """

    def __init__(self, module: str, task: Mapping[str, Any], errors: IO[bytes], folder: Path) -> None:
        self._errors = errors
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.child", module, json.dumps(task, default=str)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,  # where no .env of the developer is read
        )

    def line(self) -> dict[str, Any]:
        """Return its next line; raise RuntimeError with its errors if it has ended."""
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            try:
                result: dict[str, Any] = json.loads(line)
            except ValueError as error:
                raise RuntimeError(f"a measuring process printed another line: {line!r}") from error
            return result
        code = self._process.wait(PATIENCE_SECONDS)
        self._errors.seek(0)
        messages = self._errors.read().decode(errors="replace")[-2000:]
        raise RuntimeError(f"a measuring process ended with exit code {code}: {messages}")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that it has used, without its own children."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def go_on(self) -> None:
        """Let it go on after a wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def ended(self) -> dict[str, Any]:
        """End it, and return its last line."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        last = self.line()
        self._process.wait(PATIENCE_SECONDS)
        return last

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def running(module: str, **task: Any) -> Iterator[Child]:
    """Give a measuring process for as long as the context lasts."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as folder:
        child = Child(module, task, errors, Path(folder))
        try:
            yield child
        finally:
            child.kill()


async def measured(module: str, **task: Any) -> dict[str, Any]:
    """Return what a fresh process measured."""
    with running(module, **task) as child:
        return child.line()


def given() -> dict[str, Any]:
    """Return the task, in a measuring process."""
    task: dict[str, Any] = json.loads(sys.argv[2])
    return task


def answer(result: Mapping[str, Any]) -> None:
    """Print a line of results, in a measuring process."""
    print(json.dumps(result), flush=True)


def timed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, Span, float]:
    """Return the result of a function, when it ran, and its CPU seconds.

    The times are of the monotonic clock, which all processes of the machine share.
    """
    began, used = time.monotonic(), time.process_time()
    result = function(*args, **kwargs)
    return result, (began, time.monotonic()), time.process_time() - used


def peak_megabytes(pid: int | str = "self") -> float:
    """Return the peak memory of a process (resident, MB).

    Not by getrusage: its value is inherited from the parent process.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/status does not state a peak")
