"""In a process of its own: sends requests at fixed moments, without waiting for responses (open loop).

The latency of a response counts from the planned moment of its request: a service that stands still for a
second has a hundred late responses, not one.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import StreamReader, StreamWriter

from proofs.bench.processes import answer, given


class Client:
    """Sends requests over as many open connections as needed."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._free: list[tuple[StreamReader, StreamWriter]] = []

    async def ask(self) -> None:
        """Ask once, and read the whole answer."""
        while self._free and self._free[-1][0].at_eof():
            self._free.pop()[1].close()  # the server lets go of what has been idle for long
        reader, writer = (
            self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        )
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().splitlines()
        if " 200 " not in f"{status} ":
            raise RuntimeError(f"answered with {status}")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        await reader.readexactly(length)
        self._free.append((reader, writer))

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def main() -> None:
    """Send requests for some seconds, and print how late each response was, in milliseconds."""
    task = given()
    client = Client(task["port"], task["path"])
    await client.ask()
    late = []

    async def ask(due: float) -> None:
        await client.ask()
        late.append(1000 * (time.monotonic() - due))

    first = time.monotonic() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(round(task["rate"] * task["seconds"])):
            due = first + number / task["rate"]
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(ask(due))
    client.close()
    answer({"late": late})
