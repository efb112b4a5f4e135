"""The errors of the project, from the general to the particular.

MeteoScoreError
├── ConfigError              the service refuses to start
├── NotFoundError                 asked for something we do not have
│   └── UnknownNameError          a site, station or model of that name does not exist
├── StoreUnavailableError         the database does not answer just now
│   └── StoreDamagedError         the database answers, and what it holds cannot be read
├── Busy                     too many ask at the same time
└── CollectorError           carries source, url (never with its key) and reason
    ├── FetchError           could not be read; says whether trying again may help
    │   ├── PayloadMissingError   a replay asked for an answer that the archive does not have
    │   └── UnchangedError   the file is the one that was read before, and was not downloaded
    ├── ParseError           was read, but is not in the shape we know
    └── IncompleteError      a run without all of its values; those that are there are kept
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from backend.core.text import did_you_mean


class MeteoScoreError(Exception):
    """Anything that this project raises on purpose."""


class ConfigError(MeteoScoreError):
    """A setting or a sites file cannot be used; the message names it, its value and the rule."""


class NotFoundError(MeteoScoreError):
    """Something was asked for that does not exist."""


class UnknownNameError(NotFoundError):
    """A name that does not exist. The API and the command line each add where the known ones are listed."""

    def __init__(
        self, kind: Literal["site", "station", "model"], name: str, known: Iterable[str] = ()
    ) -> None:
        self.kind = kind
        super().__init__(f"there is no {kind} {name!r}{did_you_mean(name, known)}")


class StoreUnavailableError(MeteoScoreError):
    """The database is locked, full, stopped or out of reach; what was being written is not in it."""


class StoreDamagedError(StoreUnavailableError):
    """The database found its own pages broken. Waiting does not help: the operator restores the store."""


class BusyError(MeteoScoreError):
    """Too much is asked at the same time to be answered soon."""


class CollectorError(MeteoScoreError):
    """A source could not be collected, in whole or in part."""

    def __init__(self, reason: str, *, source: str = "", url: str = "") -> None:
        self.reason = reason
        self.source = source
        self.url = url
        super().__init__(reason, source, url)

    def __str__(self) -> str:
        where = " ".join(part for part in (self.source, self.url) if part)
        return f"{where}: {self.reason}" if where else self.reason


class FetchError(CollectorError):
    """A request brought no usable answer.

    `status` is the HTTP status where there was one; `retryable` says whether the same request may
    succeed later; `retry_after` is the wait in seconds that the server asked for.
    """

    def __init__(
        self,
        reason: str,
        *,
        source: str = "",
        url: str = "",
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, source=source, url=url)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after


class PayloadMissingError(FetchError):
    """A replay asked for what that run did not ask for, or for GRIB, which is never kept."""


class UnchangedError(FetchError):
    """The host still has the file of the version that was read before; its body was not downloaded."""


class ParseError(CollectorError):
    """An answer arrived whole but is not in the shape that its source documents."""


class IncompleteError(CollectorError):
    """A run without all of its values: a field, a file or the whole run is not there. The rest is kept.

    A source that meets nothing worse has not failed: its part of a job's run is `partial`.
    """
