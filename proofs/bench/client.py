"""In a process of its own: sends requests at planned moments, without waiting for responses (open loop).

The latency of a response counts from the planned moment of its request: a service that stands still for a
second has a hundred late responses, not one.
"""

from __future__ import annotations

import asyncio
import random
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Iterator, Sequence

from proofs.bench.processes import answer, given


class Client:
    """Sends requests over as many open connections as needed."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        self._headers = "".join(
            f"{name}: {value}\r\n" for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items()
        )
        self._free: list[tuple[StreamReader, StreamWriter]] = []

    async def ask(self, path: str) -> int:
        """Ask once, read the whole answer, and return its status."""
        while self._free and self._free[-1][0].at_eof():
            self._free.pop()[1].close()  # the server lets go of what has been idle for long
        reader, writer = (
            self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        )
        writer.write(f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().splitlines()
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        await reader.readexactly(length)
        self._free.append((reader, writer))
        return int(status.split()[1])

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


def planned(rate: float, seconds: float, *, independent: bool) -> Iterator[float]:
    """Give the seconds after the start at which requests are sent, `rate` a second.

    They are even, or those of visitors who come independently of each other (exponential gaps, one seed).
    """
    gaps, moment = random.Random(1), 0.0
    while moment < seconds:
        yield moment
        moment += gaps.expovariate(rate) if independent else 1 / rate


async def ask_all(
    port: int, paths: Sequence[str], moments: Iterator[float], headers: dict[str, str]
) -> tuple[list[float], Counter[str]]:
    """Send the requests; return how late each answer was, in milliseconds, and how many were refused how."""
    client = Client(port, headers)
    await client.ask(paths[0])
    late: list[float] = []
    refused: Counter[str] = Counter()

    async def ask(path: str, due: float) -> None:
        try:
            status = await client.ask(path)
        except (OSError, asyncio.IncompleteReadError) as error:
            refused[type(error).__name__] += 1
            return
        if status == 200:
            late.append(1000 * (time.monotonic() - due))
        else:
            refused[str(status)] += 1

    first = time.monotonic() + 0.1
    async with asyncio.TaskGroup() as group:
        for number, moment in enumerate(moments):
            due = first + moment
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(ask(paths[number % len(paths)], due))
    client.close()
    return late, refused


async def main() -> None:
    """Send requests for some seconds, and print how late each answer was, and what was refused."""
    task = given()
    paths = task["paths"]
    random.Random(2).shuffle(paths)
    moments = planned(task["rate"], task["seconds"], independent=task.get("independent", False))
    late, refused = await ask_all(task["port"], paths, moments, task.get("headers", {}))
    answer({"late": late, "refused": refused})
