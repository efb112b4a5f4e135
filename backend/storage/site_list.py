"""The configured sites of a running service. If the sites file breaks, the last valid list stays in use."""

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
_SETTLED_SECONDS = 2.0  # two changes within one tick of the file system's clock have the same stamp


def _stamp(path: Path) -> _Stamp | None:
    """Return a stamp that changes with the file; None if it changed just now or cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    age = time.time() - status.st_mtime
    return None if age < _SETTLED_SECONDS else (status.st_mtime_ns, status.st_size, status.st_ino)


class SiteList:
    """The present sites, from a file or, without one, from the store.

    The first read of a file must succeed: neither the service nor a command starts with a broken file. After
    that the last valid list replaces a broken file, and `problem` holds what is wrong with it. A file is also
    broken if the store refuses it, because a known take-off moved, or if it became empty.
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
        """Return the present sites without writing; raise ConfigError or StoreUnavailableError."""
        if self._path is None:
            return active(self._store.sites(), self._clock())
        try:
            sites = self._loaded(self._path)
        except ConfigError as error:
            sites = self._last_good(error)
        else:
            self._good, self.problem = sites, None
        return active(sites, self._clock())

    def version(self) -> object | None:
        """Return a value that changes with the file; None if it changed just now. Constant without a file."""
        return () if self._path is None else _stamp(self._path)

    def look(self) -> Trouble | None:
        """Return the present problem of the file, if any; cheap while the file does not change."""
        if self._path is not None:
            with suppress(ConfigError):  # before the first valid list there is no replacement
                self.sites()
        return self.problem

    def stored(self) -> tuple[Site, ...]:
        """Save the present sites to the store and return them; raise ConfigError or StoreUnavailableError."""
        if self._path is not None:
            try:
                sites = self._loaded(self._path)
                self._save(sites)
            except ConfigError as error:
                self._store.save_sites(self._last_good(error))
            else:
                self._good, self.problem = sites, None
        return active(self._store.sites(), self._clock())

    def _loaded(self, path: Path) -> tuple[Site, ...]:
        stamp = _stamp(path)
        if stamp is not None and self._seen is not None and self._seen[0] == stamp:
            sites = self._seen[1]  # an unchanged file is not parsed again
        else:
            sites = load_sites(path)
            self._seen = None if stamp is None else (stamp, sites)
        if self._good and not sites:
            raise ConfigError(
                f"{path}: contains no site, but contained {len(self._good)} before: an editor or a full disk"
                " may have emptied it; to collect for no site, restart the service"
            )
        if self._refused is not None:
            refused, error = self._refused
            if sites == refused:
                raise error
            self._refused = None
        return sites

    def _save(self, sites: tuple[Site, ...]) -> None:
        # Remember a refused list, so that the store is not asked again while the file stays the same.
        try:
            self._store.save_sites(sites)
        except ConfigError as error:
            known = self._store.sites()
            if self._good is not None and known:
                self._refused, self._good = (sites, error), known
            raise

    def _last_good(self, error: ConfigError) -> tuple[Site, ...]:
        if self._good is None:
            raise error
        if self.problem is None or self.problem.reason != str(error):
            log.error("the sites file cannot be used: the last valid list stays in use", reason=str(error))
            since = self._clock() if self.problem is None else self.problem.since
            self.problem = Trouble(since, str(error))
        return self._good
