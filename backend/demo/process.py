"""Control of the stand-in process from the service: start, settings, clock, end.

This module imports nothing of the stand-ins, because ecCodes must not be loaded in the service.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from backend.core.config import SPACING_SETTINGS
from backend.core.errors import MeteoScoreError
from backend.demo.store import SITES_FILE
from backend.demo.world import ACCEPTED_KEYS

_ENDS_WITHIN_SECONDS = 5.0


class Upstreams:
    """The stand-in upstreams in a process of their own, for as long as the context lasts."""

    def __init__(
        self,
        *,
        seed: int = 1,
        now: datetime | None = None,
        sites: Path | None = None,
        full_grid: bool = False,
        files: Path | None = None,
        latency: float = 0.0,
        dates: bool = False,
        deadline: float = 120.0,
    ) -> None:
        """`now` is the simulated time (None: the real one); the process must start within `deadline` seconds.

        `files` is a folder that stores composed AROME files for the next process with the same seed, sites
        and grid; each answer starts after `latency` seconds; with `dates` each answer has the simulated time
        as the host's own.
        """
        self._arguments = ["--seed", str(seed)]
        if now is not None:
            self._arguments += ["--now", now.isoformat()]
        if sites is not None:
            self._arguments += ["--sites", str(sites.absolute())]
        if full_grid:
            self._arguments.append("--full-grid")
        if files is not None:
            self._arguments += ["--files", str(files.absolute())]
        if latency:
            self._arguments += ["--latency", str(latency)]
        if dates:
            self._arguments.append("--dates")
        self._sites = sites or SITES_FILE
        self._deadline = deadline
        self._addresses: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backend.demo", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C reaches the whole process group of a terminal. The stand-ins must outlive it: they serve
            # the run that is being finished, and end when their standard input closes.
            start_new_session=True,
        )
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self._end)
            assert self._process.stdout is not None  # noqa: S101 - it was asked for as a pipe
            try:
                line = await asyncio.wait_for(self._process.stdout.readline(), self._deadline)
            except TimeoutError:
                raise MeteoScoreError(
                    f"the stand-in upstreams did not start within {self._deadline:g} s"
                ) from None
            if not line:
                code = await self._process.wait()
                raise MeteoScoreError(
                    f"the stand-in upstreams ended with exit code {code} before they were ready"
                )
            self._addresses = msgspec.json.decode(line, type=dict[str, str])
            on_failure.pop_all()
        self._control = httpx2.AsyncClient(base_url=self._addresses["control"], trust_env=False)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._control.aclose()
        await self._end()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def environment(self) -> dict[str, Any]:
        """Return the settings that point the service at the stand-ins: `Settings.load(**environment)`."""
        urls = {name.lower(): url for name, url in self._addresses.items() if name != "control"}
        return {
            **urls,
            **ACCEPTED_KEYS,
            **dict.fromkeys(SPACING_SETTINGS, 0.0),
            "contact": "demo@example.org",
            "sites_from": "file",
            "sites_file": self._sites,
        }

    async def set_clock(self, now: datetime | None) -> None:
        """Stop the simulated time at `now` (aware); None: follow the system's."""
        await self._put("/clock", {"now": now})

    async def set_faults(self, faults: Mapping[str, str | None]) -> None:
        """Switch faults on, or off with None, by upstream: {"arome": "hang", "ffvl": None}."""
        await self._put("/faults", faults)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return the traffic of each upstream so far: {"arome": {"requests": 3, "bytes": 512}}."""
        answer = await self._control.get("/counts")
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=dict[str, dict[str, int]])

    async def _put(self, path: str, content: object) -> None:
        answer = await self._control.put(path, content=msgspec.json.encode(content))
        if answer.is_error:
            raise MeteoScoreError(f"the stand-in upstreams refused {path}: {answer.text}")

    async def _end(self) -> None:
        """Close its standard input, which ends it; kill it if it does not end in time."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for as a pipe
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ENDS_WITHIN_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
