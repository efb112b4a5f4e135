"""The payloads of the last days, kept as they came: a mistake of a parser can be repaired.

    <folder>/2026-11-23/run-17/ffvl/0001.gz    an answer: a line of JSON (whence and when), then the body
    <folder>/2026-11-23/run-17/wanted.gz       what that run was asked for, so that it can be asked again

GRIB is not kept: it is too large, and its publisher still has it when a mistake is noticed.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import shutil
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from backend.collectors.base import Download, Fetch, Kind, Payload, Request
from backend.collectors.transport.addresses import address, secrets_of
from backend.core.errors import NotFoundError, ParseError, PayloadMissingError
from backend.core.masking import MASKED
from backend.core.private_files import make_private_folder
from backend.core.records import CollectionRequest

log = structlog.get_logger()

# A shorter key may stand in the data by chance, and masking it would falsify what is kept.
_LEAST_KEY_BYTES = 8

_RUN = re.compile(r"run-(\d+)")
_FILE = re.compile(r"(\d+)\.gz")
_WANTED = "wanted.gz"


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kept body."""

    url: str
    kind: Kind
    fetched_at: datetime
    last_modified: datetime | None


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """A run of which payloads are kept: the day of its first one (UTC), and the sources they are from."""

    run_id: int
    day: date
    sources: tuple[str, ...]


class PayloadArchive:
    """Keeps the JSON, XML and HTML payloads of `keep_days` days in `folder`; of none if it is 0.

    Keeping is best effort, as nothing else here is: a full disk costs the copy, never the collection.
    """

    def __init__(self, folder: Path, keep_days: int) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._warned: set[int] = set()

    def archiving(self, fetch: Fetch, run_id: int, source: str) -> Fetch:
        """Return a Fetch that does what `fetch` does, and keeps each payload it returns."""
        return _ArchivingFetch(self, fetch, run_id, source) if self._keep_days else fetch

    def store(self, payload: Payload, request: Request, run_id: int, source: str) -> None:
        """Write one payload to the disk; a failure is logged, once per run. Blocks: call it in a thread."""
        header = _Header(
            url=payload.url,
            kind=request.kind,
            fetched_at=payload.fetched_at,
            last_modified=payload.last_modified,
        )
        kept = msgspec.json.encode(header) + b"\n" + _without_keys(payload.body, request)
        folder = self._of(payload.fetched_at, run_id) / source
        with self._best_effort(run_id, source):
            make_private_folder(self._folder)
            folder.mkdir(parents=True, exist_ok=True)
            _write_next(folder, gzip.compress(kept, mtime=0))

    def store_request(self, run_id: int, needs: CollectionRequest) -> None:
        """Write down what a run is asked for; a failure is logged. Blocks: call it in a thread."""
        if self._keep_days:
            folder = self._of(needs.now, run_id)
            with self._best_effort(run_id, "wanted"):
                make_private_folder(self._folder)
                folder.mkdir(parents=True, exist_ok=True)
                _write(folder / _WANTED, gzip.compress(msgspec.msgpack.encode(needs), mtime=0))

    def prune(self, now: datetime) -> None:
        """Delete the days older than `keep_days`; a failure is logged. Blocks: call it in a thread."""
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
        kept = (
            ArchivedRun(run_id, days[run_id], tuple(sorted(names)))
            for run_id, names in sources.items()
            if names
        )
        return sorted(kept, key=lambda run: (run.day, run.run_id))

    def replay(self, run_id: int, source: str) -> Replay:
        """Return a Fetch that answers as that run was answered. Blocks: call it in a thread.

        Raises NotFoundError if nothing of this source was kept in that run, and ParseError for a damaged
        file.
        """
        folders = [folder / f"run-{run_id}" / source for _, folder in self._days()]
        files = [path for folder in folders for _, path in _numbered(folder)]
        if not files:
            raise NotFoundError(f"no payload of source {source!r} is kept for run {run_id}")
        return Replay(files)

    def request_of(self, run_id: int) -> CollectionRequest:
        """Return what a run was asked for. Blocks: call it in a thread.

        Raises NotFoundError if that was not kept, and ParseError for a damaged file.
        """
        for _, day in reversed(self._days()):
            path = day / f"run-{run_id}" / _WANTED
            if path.is_file():
                with _opened(path) as file:
                    return msgspec.msgpack.decode(file.read(), type=CollectionRequest)
        raise NotFoundError(f"what run {run_id} was asked for is not kept")

    def _of(self, moment: datetime, run_id: int) -> Path:
        return self._folder / moment.date().isoformat() / f"run-{run_id}"

    @contextmanager
    def _best_effort(self, run_id: int, source: str) -> Iterator[None]:
        """Log, once per run, what the disk refuses."""
        try:
            yield
        except OSError as error:
            if run_id not in self._warned:
                self._warned.add(run_id)
                log.warning(
                    "payload not kept; the collection goes on, but this run cannot be replayed in full",
                    run=run_id,
                    source=source,
                    reason=str(error),
                )

    def _days(self) -> list[tuple[date, Path]]:
        """Return the days that are kept, oldest first; what else may lie in the folder is not ours."""
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted((day, path) for path in folders if path.is_dir() and (day := _as_day(path.name)))


class _ArchivingFetch:
    def __init__(self, archive: PayloadArchive, fetch: Fetch, run_id: int, source: str) -> None:
        self._archive = archive
        self._fetch = fetch
        self._run_id = run_id
        self._source = source
        self._one_at_a_time = asyncio.Lock()  # so that the numbers tell the order

    async def __call__(self, request: Request) -> Payload:
        payload = await self._fetch(request)
        if request.kind != "grib":
            async with self._one_at_a_time:
                await asyncio.to_thread(self._archive.store, payload, request, self._run_id, self._source)
        return payload

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        return self._fetch.download(request)


class Replay:
    """A Fetch that answers from the kept payloads of one source in one run.

    Several answers to one address come in the order they came then; the last one stays. What was not
    asked in that run cannot be answered now: ask the source with the `request_of()` of that run.
    """

    def __init__(self, files: list[Path]) -> None:
        self._answers: defaultdict[str, deque[Path]] = defaultdict(deque)
        for path in files:
            self._answers[_read_header(path).url].append(path)

    async def __call__(self, request: Request) -> Payload:
        """Return the body as it was kept; raise NotKeptError for an address that was not."""
        asked = address(request)
        if asked not in self._answers:
            raise _missing_payload(request)
        answers = self._answers[asked]
        path = answers.popleft() if len(answers) > 1 else answers[0]
        return await asyncio.to_thread(_read_payload, path)

    def download(self, request: Request) -> AbstractAsyncContextManager[Download]:
        """Raise NotKeptError: what is downloaded is not kept."""
        raise _missing_payload(request)


def _as_day(name: str) -> date | None:
    try:
        return datetime.strptime(name, "%Y-%m-%d").date()  # noqa: DTZ007 - a day in UTC has no zone to say
    except ValueError:
        return None


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the kept files of a folder in the order of their numbers; a missing folder has none."""
    names = ((_FILE.fullmatch(path.name), path) for path in folder.glob("*.gz"))
    return sorted((int(name[1]), path) for name, path in names if name)


def _missing_payload(request: Request) -> PayloadMissingError:
    return PayloadMissingError("not kept", url=address(request))


def _without_keys(body: bytes, request: Request) -> bytes:
    """Return a body without the keys of its request, should the host have repeated them."""
    for secret in secrets_of(request):
        key = secret.strip().encode()
        if len(key) >= _LEAST_KEY_BYTES:
            body = body.replace(key, MASKED.encode())
    return body


def _write_next(folder: Path, content: bytes) -> None:
    """Write a file under the next free number."""
    kept = _numbered(folder)
    number = kept[-1][0] + 1 if kept else 1
    _write(folder / f"{number:04d}.gz", content)


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    try:
        part.write_bytes(content)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _read_header(path: Path) -> _Header:
    with _opened(path) as file:
        return msgspec.json.decode(file.readline(), type=_Header)


def _read_payload(path: Path) -> Payload:
    with _opened(path) as file:
        header = msgspec.json.decode(file.readline(), type=_Header)
        return Payload(
            url=header.url,
            body=file.read(),
            fetched_at=header.fetched_at,
            last_modified=header.last_modified,
        )


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile]:
    try:
        with gzip.open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ParseError(f"kept payload {path} cannot be read: {error}") from error
