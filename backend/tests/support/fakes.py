"""Stand-ins for the outside world, passed as arguments. Nothing of our own code is replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from backend.collectors.base import Download, Payload, Request
from backend.core.errors import FetchError, UnchangedError
from backend.core.records import Forecast

Answer = bytes | Exception | Callable[[Request], bytes]

TESTS = Path(__file__).parents[1]
PAYLOADS = TESTS / "payloads"


class ScriptedFetch:
    """A Fetch that answers from a script and records the requests.

    A script maps the address (without secrets, query appended) to bytes, to an exception, or to a
    function of the request; the longest key that the address starts with wins. Any other
    address is a 404.
    """

    def __init__(
        self,
        script: Mapping[str, Answer],
        *,
        now: datetime = datetime(2026, 7, 15, 12, 10, tzinfo=UTC),
        last_modified: datetime | None = None,
        folder: Path | None = None,
        version: str = "",
    ) -> None:
        self.script = dict(script)
        self.now = now
        self.last_modified = last_modified
        self.folder = folder
        self.version = version  # of every file, as an HTTP client makes it of the headers
        self.requests: list[Request] = []

    @property
    def urls(self) -> list[str]:
        """Return every address asked for, in order, with its query and without secrets."""
        return [address(request) for request in self.requests]

    async def __call__(self, request: Request) -> Payload:
        return Payload(
            url=address(request),
            body=self._answer(request),
            fetched_at=self.now,
            last_modified=self.last_modified,
        )

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        assert self.folder is not None, "pass folder=tmp_path to a ScriptedFetch that downloads"
        body = self._answer(request)
        if request.known and request.known == self.version:
            raise UnchangedError("still of the known version", url=address(request))
        path = self.folder / f"download-{len(self.requests)}"
        path.write_bytes(body)
        try:
            yield Download(
                url=address(request),
                path=path,
                fetched_at=self.now,
                last_modified=self.last_modified,
                version=self.version,
            )
        finally:
            path.unlink()

    def _answer(self, request: Request) -> bytes:
        self.requests.append(request)
        asked = address(request)
        known = [key for key in self.script if asked.startswith(key)]
        if not known:
            raise FetchError("HTTP 404", url=asked, status=404)
        answer = self.script[max(known, key=len)]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else answer(request)


def address(request: Request) -> str:
    """Return the address of a request with its query, without secrets."""
    return f"{request.url}?{urlencode(request.params)}" if request.params else request.url


def lead_time(record: Forecast) -> timedelta:
    """Return how far ahead a forecast looks: valid time minus reference time."""
    return record.valid_time - record.reference_time
