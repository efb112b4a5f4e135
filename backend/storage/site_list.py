"""The configured sites of a running service, which goes on with the last good list when its file breaks."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import structlog

from backend.core.clock import Clock
from backend.core.errors import ConfigError
from backend.core.records import Site
from backend.core.sites import active, load_sites
from backend.storage.database import Trouble
from backend.storage.store import Store

log = structlog.get_logger()


_Stamp = tuple[int, int, int]
_SETTLED_SECONDS = 2.0  # two changes within a tick of the file system's clock have the same stamp


def _stamp(path: Path) -> _Stamp | None:
    """Return by what a changed file is known; None where it changed just now, or cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    age = time.time() - status.st_mtime
    return None if age < _SETTLED_SECONDS else (status.st_mtime_ns, status.st_size, status.st_ino)


class SiteList:
    """The sites as they are configured just now, in a file or, without one, in the store.

    The first read of a file must succeed: a service does not start, and a command does not run, on a file
    that is broken. From then on the last good list stands in for a broken file, and `problem` says what is
    wrong with it. A file is broken too if the store refuses it, because a known take-off has moved in it, or
    if it was emptied.
    """

    def __init__(self, store: Store, path: Path | None, clock: Clock) -> None:
        self._store = store
        self._path = path
        self._clock = clock
        self._good: tuple[Site, ...] | None = None
        self._seen: tuple[_Stamp, tuple[Site, ...]] | None = None
        self._refused: tuple[tuple[Site, ...], ConfigError] | None = None
        self.problem: Trouble | None = None

    def sites(self) -> tuple[Site, ...]:
        """Return the present sites; raise ConfigError, or StoreUnavailableError. Nothing is written."""
        if self._path is None:
            return active(self._store.sites(), self._clock())
        try:
            found = self._loaded(self._path)
        except ConfigError as error:
            found = self._last_good(error)
        else:
            self._good, self.problem = found, None
        return active(found, self._clock())

    def look(self) -> Trouble | None:
        """Return what is wrong with the file just now, if anything; cheap while the file stays as it is."""
        if self._path is not None:
            with suppress(ConfigError):  # before the first good list there is nothing to go on with
                self.sites()
        return self.problem

    def stored(self) -> tuple[Site, ...]:
        """Return the present sites, all of them in the store; raise ConfigError, or StoreUnavailableError."""
        if self._path is not None:
            try:
                found = self._loaded(self._path)
                self._save(found)
            except ConfigError as error:
                self._store.save_sites(self._last_good(error))
            else:
                self._good, self.problem = found, None
        return active(self._store.sites(), self._clock())

    def _loaded(self, path: Path) -> tuple[Site, ...]:
        found = self._read(path)
        if self._good and not found:
            raise ConfigError(
                f"{path}: holds no site, and held {len(self._good)} before: an editor or a full disk may have"
                " emptied it; to collect for no site, restart the service"
            )
        if self._refused is not None:
            refused, error = self._refused
            if found == refused:
                raise error
            self._refused = None
        return found

    def _read(self, path: Path) -> tuple[Site, ...]:
        """Return what the file holds; one that has not changed is not parsed again."""
        stamp = _stamp(path)
        if stamp is None or self._seen is None or self._seen[0] != stamp:
            found = load_sites(path)
            self._seen = None if stamp is None else (stamp, found)
            return found
        return self._seen[1]

    def _save(self, found: tuple[Site, ...]) -> None:
        try:
            self._store.save_sites(found)
        except ConfigError as error:
            known = self._store.sites()
            if self._good is not None and known:
                self._refused, self._good = (found, error), known
            raise

    def _last_good(self, error: ConfigError) -> tuple[Site, ...]:
        if self._good is None:
            raise error
        if self.problem is None or self.problem.reason != str(error):
            log.error("the sites file cannot be used: the last good list goes on", reason=str(error))
            since = self._clock() if self.problem is None else self.problem.since
            self.problem = Trouble(since, str(error))
        return self._good
