"""The daily look for closed months, beside the other work of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from backend.core.clock import Clock
from backend.core.config import Settings
from backend.core.daemon_thread import in_daemon_thread
from backend.core.errors import MeteoScoreError
from backend.storage.database import Database

if TYPE_CHECKING:
    from backend.files.dictionary import SourceTerms

log = structlog.get_logger()

ASK_EVERY = timedelta(hours=1)
"""How often a process asks whether the daily look for closed months is due."""


async def watch_months(
    database: Database,
    settings: Settings,
    folder: Path,
    sources: Sequence[SourceTerms],
    lookbacks: Sequence[timedelta],
    clock: Clock,
    *,
    every: timedelta = ASK_EVERY,
) -> None:
    """Once a day, export closed months and remove raw values that are old enough: one process on a store.

    Runs until it is cancelled; a failure is in the log, and the next look follows. `sources` are those of
    forecasts and observations, `lookbacks` those of their collections.
    """

    def look() -> None:
        # Imported here: services without MONTHS_DIR need no Polars.
        from backend.files import month_removal
        from backend.files.dictionary import source_origins

        rules = month_removal.Rules.of(settings, folder, source_origins(sources), *lookbacks)
        month_removal.look(database, rules, clock())

    while True:
        try:
            await in_daemon_thread("closed months", look)
        except MeteoScoreError as error:
            log.warning("closed months were not looked for", reason=str(error))
        await asyncio.sleep(every.total_seconds())
