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

PATIENCE_SECONDS = 900.0

P = ParamSpec("P")
T = TypeVar("T")
Span = tuple[float, float]
"""When something began and when it ended."""


class Child:
    """A measuring process: it is given a task as JSON and answers in lines of JSON.

    Its standard input is for telling it to go on, or by its end to come to an end.
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
        """Return the next thing it says."""
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            return found
        code = self._process.wait(PATIENCE_SECONDS)
        self._errors.seek(0)
        told = self._errors.read().decode(errors="replace")[-2000:]
        raise RuntimeError(f"a measuring process ended with exit code {code}: {told}")

    def go_on(self) -> None:
        """Tell it to go on with what it waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def ended(self) -> dict[str, Any]:
        """Tell it to end, and return the last thing it says."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        said = self.line()
        self._process.wait(PATIENCE_SECONDS)
        return said

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


def answer(found: Mapping[str, Any]) -> None:
    """Say what was found, in a measuring process."""
    print(json.dumps(found), flush=True)


def timed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, Span, float]:
    """Return what a function returns, when it ran, and what it took of the processor, in seconds.

    When is told by the one clock of all processes of the machine.
    """
    began, used = time.monotonic(), time.process_time()
    found = function(*args, **kwargs)
    return found, (began, time.monotonic()), time.process_time() - used


def peak_megabytes(pid: int | str = "self") -> float:
    """Return the most memory that a process ever held (resident, MB).

    Not getrusage's: a process inherits that from whoever started it.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/status does not state a peak")
