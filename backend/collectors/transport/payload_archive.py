"""The payloads of the last days as received, so that they can be parsed again after a parser is corrected.

    <folder>/2026-11-23/run-17/ffvl/0001.gz    an answer: a line of JSON (address and time), then the body
    <folder>/2026-11-23/run-17/wanted.gz       the collection request of that run, for its replay

GRIB is not archived: it is too large, and its publisher serves it for 15 days.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import shutil
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from backend.collectors.base import Download, Fetch, Kind, Payload, Request
from backend.collectors.transport.addresses import address, secrets_of
from backend.core.errors import NotFoundError, ParseError, PayloadMissingError
from backend.core.masking import MASKED
from backend.core.private_files import make_private_folder
from backend.core.records import CollectionRequest

log = structlog.get_logger()

# A shorter key may occur in the data by chance, and masking it would falsify the payload.
_LEAST_KEY_BYTES = 8

_RUN = re.compile(r"run-(\d+)")
_FILE = re.compile(r"(\d+)\.gz")
_WANTED = "wanted.gz"

_FORMER_NAMES = {
    "caught_up": "complete_until",
    "grounds": "model_elevations",
    "filled": "backfilled_days",
    "without": "networks_without_station",
}
"""Fields of a collection request and its sites as version 0.1.0 wrote them, and their present names."""


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """Address, kind and times of an archived body."""

    url: str
    kind: Kind
    fetched_at: datetime
    last_modified: datetime | None


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """A job run with archived payloads: the day of the first one (UTC), and their sources."""

    run_id: int
    day: date
    sources: tuple[str, ...]


class PayloadArchive:
    """Stores the JSON, XML and HTML payloads of `keep_days` days in `folder`; nothing if it is 0.

    Archiving is best effort: if the disk is full, the copy is lost and the collection continues.
    """

    def __init__(self, folder: Path, keep_days: int) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._warned: set[int] = set()

    def archiving(self, fetch: Fetch, run_id: int, source: str) -> Fetch:
        """Return a Fetch that archives each payload that `fetch` returns."""
        return _ArchivingFetch(self, fetch, run_id, source) if self._keep_days else fetch

    def store(self, payload: Payload, request: Request, run_id: int, source: str) -> None:
        """Write one payload to the disk; log a failure, once per run. Blocks: call it in a thread."""
        header = _Header(
            url=payload.url,
            kind=request.kind,
            fetched_at=payload.fetched_at,
            last_modified=payload.last_modified,
        )
        body = payload.body
        for secret in secrets_of(request):  # a host may repeat a key in an error
            key = secret.strip().encode()
            if len(key) >= _LEAST_KEY_BYTES:
                body = body.replace(key, MASKED.encode())
        content = msgspec.json.encode(header) + b"\n" + body
        folder = self._of(payload.fetched_at, run_id) / source
        with self._best_effort(run_id, source):
            make_private_folder(self._folder)
            folder.mkdir(parents=True, exist_ok=True)
            files = _numbered(folder)
            # A replay returns the answers in the order of these numbers. Another worker on this machine may
            # archive payloads of the same source and run, and take a number first.
            number = files[-1][0] + 1 if files else 1
            while not _write_new(folder / f"{number:04d}.gz", gzip.compress(content, mtime=0)):
                number += 1

    def store_request(self, run_id: int, needs: CollectionRequest) -> None:
        """Write the collection request of a run; log a failure. Blocks: call it in a thread."""
        if self._keep_days:
            folder = self._of(needs.now, run_id)
            with self._best_effort(run_id, "wanted"):
                make_private_folder(self._folder)
                folder.mkdir(parents=True, exist_ok=True)
                _write(folder / _WANTED, gzip.compress(msgspec.msgpack.encode(needs), mtime=0))

    def prune(self, now: datetime) -> None:
        """Delete the days older than `keep_days`; log a failure. Blocks: call it in a thread."""
        oldest = now.astimezone(UTC).date() - timedelta(days=self._keep_days)
        for day, folder in self._days():
            if day < oldest or not self._keep_days:
                try:
                    shutil.rmtree(folder)
                except OSError as error:
                    log.warning("old payloads not deleted", day=day.isoformat(), reason=str(error))

    def runs(self) -> list[ArchivedRun]:
        """Return the runs with payloads to replay, oldest first. Blocks: call it in a thread."""
        days: dict[int, date] = {}
        sources: defaultdict[int, set[str]] = defaultdict(set)
        for day, folder in self._days():
            for run in folder.iterdir():
                if run.is_dir() and (named := _RUN.fullmatch(run.name)):
                    run_id = int(named[1])
                    days.setdefault(run_id, day)
                    sources[run_id].update(entry.name for entry in run.iterdir() if entry.is_dir())
        runs = (
            ArchivedRun(run_id, days[run_id], tuple(sorted(names)))
            for run_id, names in sources.items()
            if names
        )
        return sorted(runs, key=lambda run: (run.day, run.run_id))

    def replay(self, run_id: int, source: str) -> Replay:
        """Return a Fetch that returns the payloads of a run again. Blocks: call it in a thread.

        Raises NotFoundError if the archive has no payload of this source and run, and ParseError for a
        damaged file.
        """
        folders = [folder / f"run-{run_id}" / source for _, folder in self._days()]
        files = [path for folder in folders for _, path in _numbered(folder)]
        if not files:
            raise NotFoundError(f"the archive has no payload of source {source!r} for run {run_id}")
        return Replay(files)

    def request_of(self, run_id: int) -> CollectionRequest:
        """Return the collection request of a run. Blocks: call it in a thread.

        Raises NotFoundError if it is not archived, and ParseError for a damaged file.
        """
        for _, day in reversed(self._days()):
            path = day / f"run-{run_id}" / _WANTED
            if path.is_file():
                with _opened(path) as file:
                    fields = _renamed(msgspec.msgpack.decode(file.read(), type=dict[str, Any]))
                    sites = msgspec.convert(fields.get("sites"), list[dict[str, Any]])
                    fields["sites"] = [_renamed(site) for site in sites]
                    return msgspec.convert(fields, CollectionRequest)
        raise NotFoundError(f"the archive has no collection request of run {run_id}")

    def _of(self, moment: datetime, run_id: int) -> Path:
        return self._folder / moment.date().isoformat() / f"run-{run_id}"

    @contextmanager
    def _best_effort(self, run_id: int, source: str) -> Iterator[None]:
        """Log errors of the disk, once per run."""
        try:
            yield
        except OSError as error:
            if run_id not in self._warned:
                self._warned.add(run_id)
                log.warning(
                    "payload not archived: the collection continues, a replay of this run will be incomplete",
                    run=run_id,
                    source=source,
                    reason=str(error),
                )

    def _days(self) -> list[tuple[date, Path]]:
        """Return the archived days, oldest first; other files in the folder are ignored."""
        days = []
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            with suppress(ValueError):
                day = datetime.strptime(path.name, "%Y-%m-%d").date()  # noqa: DTZ007 - a day in UTC, without a zone
                if path.is_dir():
                    days.append((day, path))
        return sorted(days)


class _ArchivingFetch:
    def __init__(self, archive: PayloadArchive, fetch: Fetch, run_id: int, source: str) -> None:
        self._archive = archive
        self._fetch = fetch
        self._run_id = run_id
        self._source = source
        self._one_at_a_time = asyncio.Lock()  # the file numbers must follow the order of the answers

    async def __call__(self, request: Request) -> Payload:
        payload = await self._fetch(request)
        if request.kind != "grib":
            async with self._one_at_a_time:
                await asyncio.to_thread(self._archive.store, payload, request, self._run_id, self._source)
        return payload

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        return self._fetch.download(request)


class Replay:
    """A Fetch that returns the archived payloads of one source and run.

    Several answers to one address are returned in their original order; the last one is repeated. An address
    that the run did not request has no payload: collect with the `request_of()` of that run.
    """

    def __init__(self, files: list[Path]) -> None:
        self._answers: defaultdict[str, deque[Path]] = defaultdict(deque)
        for path in files:
            with _opened(path) as file:
                header = msgspec.json.decode(file.readline(), type=_Header)
            self._answers[header.url].append(path)

    async def __call__(self, request: Request) -> Payload:
        """Return the archived body; raise PayloadMissingError for an address without one."""
        answers = self._answers.get(address(request))
        if answers is None:
            raise _missing_payload(request)
        path = answers.popleft() if len(answers) > 1 else answers[0]

        def read() -> Payload:
            with _opened(path) as file:
                header = msgspec.json.decode(file.readline(), type=_Header)
                return Payload(
                    url=header.url,
                    body=file.read(),
                    fetched_at=header.fetched_at,
                    last_modified=header.last_modified,
                )

        return await asyncio.to_thread(read)

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        """Raise PayloadMissingError: downloads are not archived."""
        raise _missing_payload(request)


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    return {_FORMER_NAMES.get(name, name): value for name, value in fields.items()}


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the archived files of a folder in the order of their numbers; a missing folder has none."""
    names = ((_FILE.fullmatch(path.name), path) for path in folder.glob("*.gz"))
    return sorted((int(name[1]), path) for name, path in names if name)


def _missing_payload(request: Request) -> PayloadMissingError:
    return PayloadMissingError("not in the payload archive", url=address(request))


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    # A process that is killed here leaves a .part, which no reader takes for an archived file.
    part = path.with_suffix(".part")
    try:
        part.write_bytes(content)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write_new(path: Path, content: bytes) -> bool:
    """Do the same for a file that does not exist; return False if another worker writes it or has done so."""
    part = path.with_suffix(".part")
    try:
        file = part.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
        if path.exists():
            return False
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return True


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile]:
    try:
        with gzip.open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ParseError(f"archived payload {path} cannot be read: {error}") from error
