"""Logging: one line per event, with its run, and without keys."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TextIO

import structlog

from backend.core.config import Settings
from backend.core.masking import Mask, mask_of
from backend.core.text import printable

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def configure_logging(
    settings: Settings, stream: TextIO | None = None, *, level: LogLevel | None = None
) -> None:
    """Write our own and the libraries' log lines to `stream` (standard error), in `LOG_FORMAT`.

    `level` replaces `LOG_LEVEL`. While context variables (run, job, source) are bound, they are on every
    line. A second call replaces the configuration of the first.
    """
    stream = stream or sys.stderr
    level = level or settings.log_level
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = settings.log_format == "json"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _Masking(mask_of(settings.secrets())),
                structlog.processors.JSONRenderer(ensure_ascii=False)
                if as_json
                else structlog.dev.ConsoleRenderer(colors=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A server that its own command started has set a level and handlers on its loggers.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    # APScheduler and the HTTP client log each step at INFO; our own lines have the same with the run's id.
    for name in (
        "apscheduler",
        "alembic",
        "apprise",
        "httpx2",
        "httpcore2",
        "procrastinate",
        "uvicorn.access",
    ):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Attempts that are repeated: the line about what failed in the end has the reason.
    for name in ("stamina", "psycopg.pool"):
        logging.getLogger(name).setLevel(max(logging.ERROR, root.level) if root.level > logging.DEBUG else 0)
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=False,
    )


@dataclass(frozen=True, slots=True)
class _Masking:
    """Masks secrets and control characters in every value of an event, tracebacks included.

    Times become ISO 8601.
    """

    mask: Mask

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        return {self._text(key): self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case datetime():
                return value.isoformat().replace("+00:00", "Z")
            case Mapping():
                return {self._text(str(key)): self._clean(part) for key, part in value.items()}
            case list() | tuple() | set():
                return [self._clean(part) for part in value]
            case _:
                return self._text(str(value))

    def _text(self, text: str) -> str:
        # Texts of publishers and clients may contain escape sequences that a terminal would execute.
        return printable(self.mask(text), keep="\n\t")
