"""Sinks for a body while it arrives: memory, or a temporary file that is deleted after its use."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from backend.core.errors import MeteoScoreError

_BLOCK_BYTES = 1 << 20


class DiskError(MeteoScoreError):
    """A download cannot be written: the disk is full, read-only or missing."""


class Sink(Protocol):
    """Receives a body, from its start at each attempt; raises DiskError if it cannot store it."""

    async def restart(self) -> None:
        """Discard the body of the last attempt."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        ...

    async def finish(self) -> None:
        """Flush all buffers."""
        ...


class MemorySink:
    """A body in memory."""

    def __init__(self) -> None:
        self.body = bytearray()

    async def restart(self) -> None:
        """Discard the body of the last attempt."""
        self.body.clear()

    async def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        self.body += chunk

    async def finish(self) -> None:
        """Do nothing: there is no buffer."""


class FileSink:
    """A body in a file, written block by block in a thread: a slow disk must not block the event loop."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._block = bytearray()

    async def restart(self) -> None:
        """Discard the body of the last attempt."""

        def empty() -> None:
            with _disk_trouble():
                self._file.seek(0)
                self._file.truncate()

        self._block.clear()
        await _finish_in_thread(empty)

    async def write(self, chunk: bytes) -> None:
        """Append a chunk; write the buffer to the file if it is full."""
        self._block += chunk
        if len(self._block) >= _BLOCK_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """Write the buffer to the file, so that another reader of the file sees all of it."""
        await self._flush()

    async def _flush(self) -> None:
        block, self._block = self._block, bytearray()

        def store() -> None:
            with _disk_trouble():
                self._file.write(block)
                self._file.flush()

        await _finish_in_thread(store)


async def _finish_in_thread(work: Callable[[], None]) -> None:
    """Run work in a thread, and wait for it even if cancelled: it must not write into the next attempt."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@asynccontextmanager
async def temporary_file(folder: Path | None) -> AsyncIterator[FileSink]:
    """Give a sink whose file takes its space in `folder` (default: the system's) and has no name there.

    Without a name, the file disappears even after SIGKILL. Its path is that of the open file in /proc, by
    which the worker process can open it too.
    """
    with _disk_trouble():
        file = tempfile.TemporaryFile(prefix="meteo-score-", dir=folder)  # noqa: SIM115 - closed below
    try:
        yield FileSink(Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"), file)
    finally:
        # finish() has written the body and reported a full disk; close() would only report it again.
        with suppress(OSError):
            await _finish_in_thread(file.close)  # removing 10 MB takes longer than an answer of the API


@contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(f"cannot write the download: {error.strerror or error}") from error
