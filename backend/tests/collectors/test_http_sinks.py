"""A file has the content of the last attempt only."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backend.collectors.transport.sinks import FileSink
from backend.tests.support.waiting import HANG_SECONDS


class _SlowDisk(io.BytesIO):
    """Takes each block only after a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def write(self, block: bytes) -> int:  # type: ignore[override]
        self.writing.set()
        assert self.go_on.wait(HANG_SECONDS)
        return super().write(block)


async def test_a_write_that_is_cancelled_ends_before_the_next_attempt_begins() -> None:
    disk = _SlowDisk()
    sink = FileSink(Path("unused"), disk)
    await sink.write(b"first attempt")
    cut_short = asyncio.create_task(sink.finish())
    await asyncio.to_thread(disk.writing.wait, HANG_SECONDS)
    cut_short.cancel()
    done, _ = await asyncio.wait([cut_short], timeout=0.05)
    assert not done, "the write was left behind"
    disk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await cut_short
    await sink.restart()
    await sink.write(b"second")
    await sink.finish()
    assert disk.getvalue() == b"second"


_DOWNLOADS = """
import asyncio, pathlib, sys
from backend.collectors.transport.sinks import temporary_file

async def main():
    async with temporary_file(pathlib.Path(sys.argv[1])) as sink:
        await sink.write(b"half a file")
        await sink.finish()
        print(sink.path.read_bytes().decode(), flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def test_a_process_that_is_killed_leaves_no_download_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DOWNLOADS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half a file\n"
        process.kill()
    assert list(tmp_path.iterdir()) == []
