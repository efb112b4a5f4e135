"""The exceptions of the project. All but private ones are drawn here, with their module if it is another one.

MeteoScoreError
├── ConfigError                 a setting, argument or file cannot be used
│   └── FileRefusedError        a file cannot be imported (files/faults.py)
├── NotFoundError               a requested site, station, model or run does not exist
│   └── UnknownNameError        no site, station or model has this name
├── InvalidDaysError            a period cannot be answered; also a ValueError (answers/question.py)
│   └── UnpublishedDaysError    it is not a public period (answers/public_question.py)
├── BusyError                   too many requests at the same time
├── StoreUnavailableError       the database does not answer
│   ├── StoreReplacedError      another store, or an older state of it, is in its place
│   └── StoreDamagedError       the database answers, but stored data cannot be read
├── JobBusyError                another run of the job is under way
├── LeaseLostError              another process took the run over (storage/ledger.py)
├── NotSignedInError            a page needs a session of the operator (pages/operator.py)
├── BackupError                 a backup is not whole, or cannot be written (storage/backup_file.py)
├── MonthFileError              a file of a month is damaged or cannot be written (files/month_files.py)
├── CopyDiffersError            a copied store differs from its source (storage/store_copy.py)
├── CircuitOpenError            a host failed too often: not contacted (collectors/transport/hosts.py)
├── QuotaSpentError             a host's limit is reached: not contacted (collectors/transport/quota.py)
├── DiskError                   a download cannot be written (collectors/transport/sinks.py)
├── GribError                   a file is not valid GRIB 2 (collectors/grib/decode.py)
├── WorkerLostError             the decoding process died (collectors/grib/worker.py)
└── CollectorError              with source, url (without its key) and reason
    ├── FetchError              a response could not be read; `retryable` if another attempt may help
    │   ├── PayloadMissingError a replay needs a payload that the archive does not have
    │   └── UnchangedError      the file is still the version that was read before
    ├── ParseError              a response does not have the documented format
    │   └── RefusedError        the publisher refuses the site (collectors/meteo_parapente_answer.py)
    ├── IncompleteError         a run without all of its values; the others are stored
    └── SourceSlowError         a source took longer than the time to the next slot (scheduler/jobs.py)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from backend.core.text import did_you_mean


class MeteoScoreError(Exception):
    """Base of all exceptions that this project raises on purpose. All survive pickle and copy."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By default pickle calls the constructor with `args`. Constructors of subclasses take other arguments
        # than the message that they pass on, so the object is made from its `args` and attributes instead.
        return type(self).__new__, (type(self), *self.args), self.__dict__


class ConfigError(MeteoScoreError):
    """A setting, argument or file cannot be used; the message has its name, its value and the rule."""


class NotFoundError(MeteoScoreError):
    """A requested object does not exist."""


class UnknownNameError(NotFoundError):
    """A name that does not exist. The API and the command line add where valid names are listed."""

    def __init__(
        self, kind: Literal["site", "station", "model"], name: str, known: Iterable[str] = ()
    ) -> None:
        self.kind = kind
        super().__init__(f"there is no {kind} {name!r}{did_you_mean(name, known)}")


class StoreUnavailableError(MeteoScoreError):
    """The database is locked, full, stopped or unreachable; the failed write changed nothing."""


class StoreDamagedError(StoreUnavailableError):
    """The database found damaged pages. Waiting does not help: the operator restores the store."""


class StoreReplacedError(StoreUnavailableError):
    """The store is not the one that this process opened. It writes and reads nothing until its restart."""


class BusyError(MeteoScoreError):
    """Too many requests at the same time to answer this one soon."""


class CollectorError(MeteoScoreError):
    """A source could not be collected, completely or in part."""

    def __init__(self, reason: str, *, source: str = "", url: str = "") -> None:
        self.reason = reason
        self.source = source
        self.url = url
        super().__init__(reason, source, url)

    def __str__(self) -> str:
        where = " ".join(part for part in (self.source, self.url) if part)
        return f"{where}: {self.reason}" if where else self.reason


class FetchError(CollectorError):
    """A request without a usable response.

    `status` is the HTTP status, if any. `retryable` is True if the same request may succeed later.
    `retry_after` is the wait in seconds that the server asked for.
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
    """A replay needs a payload that the run did not request, or a GRIB file: these are not archived."""


class UnchangedError(FetchError):
    """The host still has the version of the file that was read before; its body was not downloaded."""


class ParseError(CollectorError):
    """A response is complete but does not have the format that its source documents."""


class IncompleteError(CollectorError):
    """A run without all of its values: a field, a file or the whole run is missing. The rest is stored.

    A source with no other error has not failed: its part of the job run is `partial`.
    """


class JobBusyError(MeteoScoreError):
    """A run of the same job is under way."""

    def __init__(self, job: str, run_id: int) -> None:
        super().__init__(f"{job} is already running as run {run_id}")
        self.run_id = run_id
