"""Score days after a run: computed in this process, or queued for the workers.

A run does not fail because of them: the days stay due if the store fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from datetime import datetime

import structlog

from backend.core.errors import StoreUnavailableError
from backend.scoring.days.update import update
from backend.storage.database import Database
from backend.storage.score_jobs import queue_due_days

log = structlog.get_logger()


def update_scores(
    database: Database,
    now: datetime,
    sites: Container[int] | None = None,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Update the score days that a run changed, of these site ids; None: of all sites. Blocks.

    The rest stays due once `stopped` returns True: the end of the process waits for the thread that is here.
    """
    began = time.monotonic()
    try:
        report = update(database, now, sites=sites, stopped=stopped)
    except StoreUnavailableError as error:
        log.warning("scores not updated yet", reason=str(error))
        return
    log.debug(
        "scores updated",
        days=sum(report.days.values()),
        unsettled=len(report.unsettled),
        seconds=round(time.monotonic() - began, 3),
    )


def queue_scores(database: Database, now: datetime) -> None:
    """Queue the score days that a run changed, for the workers. Blocks."""
    try:
        queue_due_days(database, now)
    except StoreUnavailableError as error:
        log.warning("scores not queued yet", reason=str(error))
